//! Values that are no documents: small facts that change alone.

/// What is known about a guild beside its own fields.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GuildFacts {
    /// The shard that last spoke of it.
    pub shard: u16,
    /// Out of how many.
    pub shards: u16,
    /// Listed by READY, and its GUILD_CREATE has not come yet.
    pub pending: bool,
    /// In an outage.
    pub unavailable: bool,
    /// Its GUILD_CREATE has come, in this session or an earlier one: its entities may be cached.
    pub created: bool,
    /// How many members it has, if Discord said so.
    pub member_count: Option<u64>,
    /// How many of them are cached, those aside that only other events told.
    pub members_cached: u64,
}

impl GuildFacts {
    /// Bytes of a value.
    pub const LEN: usize = 21;

    /// The value.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let flags = u8::from(self.pending)
            | u8::from(self.unavailable) << 1
            | u8::from(self.created) << 2
            | u8::from(self.member_count.is_some()) << 3;
        let mut bytes = [0; Self::LEN];
        bytes[0..2].copy_from_slice(&self.shard.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.shards.to_le_bytes());
        bytes[4] = flags;
        bytes[5..13].copy_from_slice(&self.member_count.unwrap_or(0).to_le_bytes());
        bytes[13..21].copy_from_slice(&self.members_cached.to_le_bytes());
        bytes
    }

    /// Reads a value.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let flags = bytes[4];
        Some(Self {
            shard: u16::from_le_bytes([bytes[0], bytes[1]]),
            shards: u16::from_le_bytes([bytes[2], bytes[3]]),
            pending: flags & 1 != 0,
            unavailable: flags & 2 != 0,
            created: flags & 4 != 0,
            member_count: (flags & 8 != 0).then_some(number(&bytes[5..])?),
            members_cached: number(&bytes[13..])?,
        })
    }

    /// Whether every member is cached, so that one who is not cached is no member.
    #[must_use]
    pub fn knows_all_members(&self) -> bool {
        self.member_count.is_some_and(|count| count <= self.members_cached)
    }
}

/// A document after the number of guilds that hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally<'a> {
    /// How many guilds hold it.
    pub holders: u32,
    /// The document.
    pub document: &'a [u8],
}

impl<'a> Tally<'a> {
    /// Replaces `out` by the value.
    pub fn write(self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.holders.to_le_bytes());
        out.extend_from_slice(self.document);
    }

    /// Reads a value.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (holders, document) = bytes.split_first_chunk()?;
        Some(Self { holders: u32::from_le_bytes(*holders), document })
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_as_written() {
        let guild = GuildFacts {
            shard: 3,
            shards: 7,
            pending: true,
            unavailable: false,
            created: true,
            member_count: Some(0),
            members_cached: u64::MAX,
        };
        assert_eq!(GuildFacts::from_bytes(&guild.to_bytes()), Some(guild));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(GuildFacts::from_bytes(&[0; 3]), None);
        assert_eq!(Tally::from_bytes(&[1, 2, 3]), None);
    }
}

//! What a record says about its event, beside the event's data.

use std::{fmt, ops::BitOr};

use crate::{
    atom,
    kind::{self, Kind},
};

/// Bytes of the fixed header.
pub(crate) const HEADER_LEN: usize = 65;
/// The layout of records and documents; another one is refused.
pub(crate) const LAYOUT: u8 = 1;

/// What belongs to the layout beside its bytes: the keys and kinds that have numbers. Where this does
/// not hold, a line before `[later]` in `keys.txt` or `kinds.txt` was changed, which no reader that is
/// already built would understand (P11): put what is new behind `[later]`. Only a new layout may take it
/// into the frozen part, and then has other checksums here.
const _: () = assert!(
    atom::CHECKSUM == 0x4ba8e9e65124212c && kind::CHECKSUM == 0xf2fb78437d09a6c6,
    "keys.txt or kinds.txt was changed before [later]"
);

/// Which shard of how many.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Shard {
    /// The shard, from 0 to `count - 1`.
    pub id: u16,
    /// How many shards the bot runs.
    pub count: u16,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.count)
    }
}

/// Why an event came, where Discord's name alone does not say it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing to say.
    #[default]
    None = 0,
    /// GUILD_CREATE: the guild was listed in this session's READY.
    Startup = 1,
    /// GUILD_CREATE: the guild was unavailable and came back.
    Available = 2,
    /// GUILD_CREATE: the bot joined the guild.
    Join = 3,
    /// GUILD_DELETE: the guild became unavailable.
    Outage = 4,
    /// GUILD_DELETE: the bot left the guild, or was removed, or the guild was deleted.
    Leave = 5,
    /// The record was derived from another event: `index` is not 0.
    Derived = 6,
    /// GAP: Discord did not resume the session.
    SessionLost = 7,
    /// GAP: Discord's replay left out events.
    ReplayHole = 8,
    /// GAP: a shard ring is a new one; what the old one held is gone.
    RingLost = 9,
    /// GAP: the output ring is a new one; what was not yet published is gone.
    OutputLost = 10,
    /// GAP: the cache's state was lost and starts empty.
    StateLost = 11,
    /// GAP: a payload could not be read.
    Undecodable = 12,
    /// GAP: the cache's group lost records of a shard ring, by eviction or removal.
    RecordsLost = 13,
    /// GAP: a record could not be written into the output ring.
    Undeliverable = 14,
    /// GAP: what a shard received while the rings of another shard count were in force was left out.
    ShardCountChanged = 15,
    /// GAP: the log between machines lost records of a shard, or never had them.
    StreamLost = 16,
}

impl Reason {
    const ALL: [Self; 17] = [
        Self::None,
        Self::Startup,
        Self::Available,
        Self::Join,
        Self::Outage,
        Self::Leave,
        Self::Derived,
        Self::SessionLost,
        Self::ReplayHole,
        Self::RingLost,
        Self::OutputLost,
        Self::StateLost,
        Self::Undecodable,
        Self::RecordsLost,
        Self::Undeliverable,
        Self::ShardCountChanged,
        Self::StreamLost,
    ];

    /// Its name, as the command line prints it; `None` for [`Reason::None`].
    pub const fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Startup => "startup",
            Self::Available => "available",
            Self::Join => "join",
            Self::Outage => "outage",
            Self::Leave => "leave",
            Self::Derived => "derived",
            Self::SessionLost => "session_lost",
            Self::ReplayHole => "replay_hole",
            Self::RingLost => "ring_lost",
            Self::OutputLost => "output_lost",
            Self::StateLost => "state_lost",
            Self::Undecodable => "undecodable",
            Self::RecordsLost => "records_lost",
            Self::Undeliverable => "undeliverable",
            Self::ShardCountChanged => "shard_count_changed",
            Self::StreamLost => "stream_lost",
        })
    }

    /// The reason with this number; one from a newer Mixcord reads as [`Reason::None`].
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// Yes-or-no facts about a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u16);

impl Flags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// The event was older than what the cache held, which stayed untouched.
    pub const STALE: Self = Self(1);
    /// PRESENCE_UPDATE: status and activities are what they were.
    pub const UNCHANGED: Self = Self(1 << 1);
    /// Bytes that were not UTF-8 were replaced by U+FFFD.
    pub const NOT_UTF8: Self = Self(1 << 2);
    /// The record was derived from another event.
    pub const DERIVED: Self = Self(1 << 3);
    /// There was an entity before, but it could not be written into the output ring with the event.
    pub const WITHOUT_OLD: Self = Self(1 << 4);
    /// The session's intents bring the events of members themselves (GUILD_MEMBERS).
    pub const MEMBER_EVENTS: Self = Self(1 << 5);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and `flags`.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// The bits as they stand in a record.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Flags from their bits; unknown ones are kept.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::STALE, "STALE"),
            (Self::UNCHANGED, "UNCHANGED"),
            (Self::NOT_UTF8, "NOT_UTF8"),
            (Self::DERIVED, "DERIVED"),
            (Self::WITHOUT_OLD, "WITHOUT_OLD"),
            (Self::MEMBER_EVENTS, "MEMBER_EVENTS"),
        ];
        f.debug_set()
            .entries(names.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| name))
            .finish()
    }
}

/// Where a record of the output ring came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Origin {
    /// Id of the shard ring it was written to first, on whatever machine; 0 before a bridge or the cache has seen
    /// the record.
    pub ring: u64,
    /// Position of the record there.
    pub position: u64,
}

impl Origin {
    /// This one, or `here` where a record does not say: a gateway leaves out that it writes its own ring. What came over
    /// a bridge says it, and is the same event on every machine.
    #[must_use]
    pub const fn or(self, here: Self) -> Self {
        if self.ring == 0 { here } else { self }
    }
}

/// What a record says about its event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What happened.
    pub kind: Kind,
    /// Facts about the record.
    pub flags: Flags,
    /// Why it came.
    pub reason: Reason,
    /// The shard that received it.
    pub shard: Shard,
    /// Counts the shard's sessions in its ring: raised by each new one. A ring that is made anew, as by a change of the
    /// shard count and back, begins with 1 again: it is no part of a record's identity (I9).
    pub session: u32,
    /// Discord's sequence number in that session; 0 for Mixcord's own kinds.
    pub seq: u64,
    /// 0 for the event itself, 1… for records derived from it.
    pub index: u16,
    /// Partition key: guild id, else channel id, else user id, else 0.
    pub key: u64,
    /// When the gateway received it, in microseconds since the Unix epoch.
    pub received_us: u64,
    /// Where the cache read it; with `shard` and `index` the identity of the event.
    pub origin: Origin,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            kind: Kind::UNKNOWN,
            flags: Flags::NONE,
            reason: Reason::None,
            shard: Shard::default(),
            session: 0,
            seq: 0,
            index: 0,
            key: 0,
            received_us: 0,
            origin: Origin::default(),
        }
    }
}

impl Header {
    /// Writes the fixed header of a record whose name and documents have these lengths.
    #[inline]
    pub(crate) fn write(
        &self,
        bytes: &mut [u8; HEADER_LEN],
        name_len: u8,
        data_len: u32,
        old_len: u32,
    ) {
        bytes[0] = LAYOUT;
        bytes[1] = self.reason as u8;
        bytes[2..4].copy_from_slice(&self.kind.number().to_le_bytes());
        bytes[4..6].copy_from_slice(&self.flags.bits().to_le_bytes());
        bytes[6..8].copy_from_slice(&self.index.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.shard.id.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.shard.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.session.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.key.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.received_us.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.origin.ring.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.origin.position.to_le_bytes());
        bytes[56..60].copy_from_slice(&data_len.to_le_bytes());
        bytes[60..64].copy_from_slice(&old_len.to_le_bytes());
        bytes[64] = name_len;
    }

    /// Reads a fixed header; `None` for a kind that is unknown here. The layout is not checked.
    pub(crate) fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        Some(Self {
            kind: Kind::from_number(u16::from_le_bytes(field(bytes, 2)))?,
            flags: Flags::from_bits(u16::from_le_bytes(field(bytes, 4))),
            reason: Reason::from_number(bytes[1]),
            shard: Shard {
                id: u16::from_le_bytes(field(bytes, 8)),
                count: u16::from_le_bytes(field(bytes, 10)),
            },
            session: u32::from_le_bytes(field(bytes, 12)),
            seq: u64::from_le_bytes(field(bytes, 16)),
            index: u16::from_le_bytes(field(bytes, 6)),
            key: u64::from_le_bytes(field(bytes, 24)),
            received_us: u64::from_le_bytes(field(bytes, 32)),
            origin: Origin {
                ring: u64::from_le_bytes(field(bytes, 40)),
                position: u64::from_le_bytes(field(bytes, 48)),
            },
        })
    }
}

/// `N` bytes at `offset`; the callers' offsets are constants within the header.
pub(crate) fn field<const N: usize>(bytes: &[u8; HEADER_LEN], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}

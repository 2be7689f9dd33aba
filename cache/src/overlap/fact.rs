//! What a record is to the overlap.

use mixcord_event::{Kind, Reason, Record, Value, atoms};

use super::stand::joined;
use super::{Keys, PRIVATE, Side};

/// A record, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// Whose ring it came from.
    pub side: Side,
    /// The shard.
    pub shard: u16,
    /// The guild, or [`PRIVATE`].
    pub guild: u64,
    /// When it was received, in microseconds since 1970.
    pub at_us: u64,
    /// What it says.
    pub what: What,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Something that both sessions are told; its fingerprint.
    Event(u64),
    /// The same of a guild that is there from now on.
    Created {
        /// The fingerprint.
        print: u64,
        /// A number that is greater for a membership that began later; 0 if it is not known.
        joined: u64,
    },
    /// The same of a guild that is there no more, for a while or for good.
    Deleted {
        /// The fingerprint.
        print: u64,
        /// It may come back: an outage.
        is_outage: bool,
    },
    /// What every shard of a set is told, from a shard that is not the first.
    Echo,
    /// What one session alone is told.
    Own,
    /// A session began: its guilds, in order.
    Ready(Vec<u64>),
    /// A session was lost, and with it what followed.
    Lost,
    /// A session goes on, and something of it was lost.
    Hole,
}

impl Fact {
    /// Reads a record of a side's ring.
    #[must_use]
    pub fn of(record: &Record<'_>, side: Side, shard: u16, keys: Keys) -> Self {
        let at_us = record.header().received_us;
        let guild = record.guild_id().unwrap_or(PRIVATE);
        let says = |key| record.data().get(key).and_then(Value::as_bool) == Some(true);
        let what = match record.kind() {
            Kind::READY => What::Ready(guilds(record)),
            Kind::GAP => match record.header().reason {
                Reason::SessionLost => What::Lost,
                _ => What::Hole,
            },
            Kind::SHARD_STATE
            | Kind::RESUMED
            | Kind::GUILD_MEMBERS_CHUNK
            | Kind::SOUNDBOARD_SOUNDS
            | Kind::CHANNEL_INFO
            | Kind::RATE_LIMITED
            | Kind::VOICE_SERVER_UPDATE => What::Own,
            Kind::USER_UPDATE if shard != 0 => What::Echo,
            Kind::GUILD_CREATE if says(atoms::UNAVAILABLE) => {
                What::Deleted { print: keys.print(record), is_outage: true }
            }
            Kind::GUILD_CREATE => {
                What::Created { print: keys.print(record), joined: joined(record) }
            }
            Kind::GUILD_DELETE => {
                What::Deleted { print: keys.print(record), is_outage: says(atoms::UNAVAILABLE) }
            }
            _ => What::Event(keys.print(record)),
        };
        Self { side, shard, guild, at_us, what }
    }

    /// The fingerprint, of what both sessions are told.
    pub(super) const fn print(&self) -> Option<u64> {
        match self.what {
            What::Event(print) | What::Created { print, .. } | What::Deleted { print, .. } => {
                Some(print)
            }
            _ => None,
        }
    }
}

/// The guilds that READY lists.
fn guilds(record: &Record<'_>) -> Vec<u64> {
    let listed = record.data().get(atoms::GUILDS).and_then(Value::as_list);
    let listed = listed.iter().flat_map(|list| list.iter());
    let mut ids: Vec<u64> = listed.filter_map(|guild| guild.get(atoms::ID)?.as_id()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

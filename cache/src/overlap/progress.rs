//! How far it is, for people.

use super::guild::{Guild, There};
use super::{Overlap, PRIVATE, Side, Sides, Stage};

/// How far a change of the shard count is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The shard counts.
    pub counts: Sides<u16>,
    /// The stage.
    pub stage: Stage,
    /// Shards of the new set that have a session.
    pub sessions: u16,
    /// Guilds that are known.
    pub guilds: u64,
    /// Those that are there in both sets.
    pub overlapping: u64,
    /// Those that the new set delivers.
    pub cut: u64,
    /// Those that the old set has and the new one has not: nothing is cut there before it has.
    pub missing: u64,
    /// Records that wait, and their bytes.
    pub waiting: (u64, u64),
    /// Events that one side delivered and the other has still to bring.
    pub counted: u64,
    /// Copies that were recognised.
    pub cancelled: u64,
    /// Events that one side alone brought.
    pub one_sided: Sides<u64>,
    /// Guilds that changed sides because a session was lost, or had them in an outage.
    pub taken_over: u64,
}

impl Overlap {
    /// How far it is; looks at every guild.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let guilds = || self.guilds.iter().filter(|(id, _)| **id != PRIVATE).map(|(_, of)| of);
        let count =
            |which: fn(&Guild) -> bool| guilds().filter(|guild| which(guild)).count() as u64;
        let sessions = self.shards[Side::New].iter().filter(|shard| shard.has_session).count();
        Progress {
            counts: self.request.counts,
            stage: self.stage,
            sessions: sessions as u16,
            guilds: count(|_| true),
            overlapping: count(|guild| Side::BOTH.into_iter().all(|side| guild.is_there(side))),
            cut: count(|guild| guild.delivers == Side::New),
            missing: count(|guild| {
                guild.there[Side::Old] == There::Present && guild.there[Side::New] != There::Present
            }),
            waiting: (self.waits.len() as u64, self.waits.bytes() as u64),
            counted: self.figures.counts,
            cancelled: self.figures.cancelled,
            one_sided: self.figures.one_sided,
            taken_over: self.figures.taken_over,
        }
    }
}

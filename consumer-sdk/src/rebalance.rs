use std::fmt;

use mixcord_ring::Ring;

/// Which guilds a member of a [sticky](crate::Builder::sticky) group has from now on, and which no more.
///
/// Guilds are kept by partitions, of which the output ring has 64 unless it was made with others. Where there is no
/// guild the event's channel stands for it, else its user.
#[derive(Clone)]
pub struct Rebalance {
    ring: Ring,
    gained: Vec<u16>,
    lost: Vec<u16>,
}

impl Rebalance {
    pub(crate) fn new(ring: &Ring, gained: Vec<u16>, lost: Vec<u16>) -> Self {
        Self { ring: ring.clone(), gained, lost }
    }

    /// Whether this member has the guild from now on: its events come here, beginning with the first that nobody
    /// has acknowledged.
    #[must_use]
    pub fn gains(&self, guild_id: u64) -> bool {
        self.gained.contains(&self.ring.partition_of(guild_id))
    }

    /// Whether this member has the guild no more: no event of it is out here, and none comes until it is gained
    /// again. Nobody else is given one before the one who is told this returns.
    #[must_use]
    pub fn loses(&self, guild_id: u64) -> bool {
        self.lost.contains(&self.ring.partition_of(guild_id))
    }

    /// Partitions this member has from now on.
    #[must_use]
    pub fn gained(&self) -> &[u16] {
        &self.gained
    }

    /// Partitions this member has no more.
    #[must_use]
    pub fn lost(&self) -> &[u16] {
        &self.lost
    }
}

impl fmt::Debug for Rebalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gained, lost, .. } = self;
        f.debug_struct("Rebalance").field("gained", gained).field("lost", lost).finish()
    }
}

use std::fmt;

use mixcord_event::Header;

/// Names an event for ever: the same for every delivery of it, in every group, and different from
/// every other event's (but those of [`Event::lost`](crate::Event::lost), which no ring ever held). What a handler with side effects keeps in order to tell a redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The id of the shard ring the event came through.
    pub ring: u64,
    /// The shard.
    pub shard: u16,
    /// The position of Discord's event in that ring.
    pub position: u64,
    /// 0 for Discord's event itself, 1… for those derived from it.
    pub index: u16,
}

impl Identity {
    pub(crate) const fn of(header: &Header) -> Self {
        Self {
            ring: header.origin.ring,
            shard: header.shard.id,
            position: header.origin.position,
            index: header.index,
        }
    }
}

impl fmt::Display for Identity {
    /// Thirty-odd characters without spaces, fit for a database key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}-{}", self.ring, self.shard, self.position, self.index)
    }
}

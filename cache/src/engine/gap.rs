//! Losses that could not be avoided, told in the stream (P3).

use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::{Origin, Reason, Shard, record};

/// A loss to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    /// Shard count and shard.
    pub(super) shard: (u16, u16),
    pub(super) reason: Reason,
}

impl Gap {
    /// Replaces `out` by the record. Its identity is that of the event in whose place it stands; a gap
    /// before all events has its own place in the output ring for `origin`.
    pub(super) fn encode(&self, origin: Origin, index: u16, out: &mut Vec<u8>) {
        let (count, id) = self.shard;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let received_us = now.as_micros() as u64;
        record::gap(Shard { id, count }, self.reason, origin, index, received_us, out);
    }
}

//! Losses that could not be avoided, told in the stream (P3).

use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::{Flags, Header, Kind, Origin, Reason, Shard, Value, Writer, atoms, record};

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
        let mut data = Vec::new();
        let mut map = Writer::new(&mut data).map();
        map.entry(atoms::SHARD, Value::Int(i64::from(id)));
        map.named("from_seq", Value::Null);
        map.named("to_seq", Value::Null);
        map.entry(atoms::REASON, self.reason.as_str().map_or(Value::Null, Value::Str));
        map.end();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            kind: Kind::GAP,
            flags: Flags::NONE,
            reason: self.reason,
            shard: Shard { id, count },
            session: 0,
            seq: 0,
            index,
            key: 0,
            received_us: now.as_micros() as u64,
            origin,
        };
        out.clear();
        record::encode(&header, None, &data, None, out);
    }
}

//! The first record that a group has not acknowledged.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord_event::{Shard, record::Record};
use mixcord_ring::{Limits, Observed, Position, Ring};

/// What is told of a record to somebody who looks for the cause of a standstill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oldest {
    /// Where it stands in its ring.
    pub position: Position,
    /// Discord's name for it.
    pub kind: String,
    /// The guild it belongs to.
    pub guild: Option<u64>,
    /// The shard that received it.
    pub shard: Shard,
    /// Its identity, as handlers see it.
    pub identity: String,
    /// When the gateway received it, in microseconds since the Unix epoch; 0 where that is not known.
    pub received_us: u64,
}

impl Oldest {
    /// Reads the record at `position`. `None` when it is gone, or is no event.
    #[must_use]
    pub fn at(ring: &Ring, position: Position) -> Option<Self> {
        let mut observed = Observed::default();
        ring.glance(position, Limits { records: 1, ..Limits::default() }, &mut observed).ok()?;
        let entry = observed.get(0).filter(|entry| entry.position == position)?;
        let record = Record::parse(entry.payload).ok()?;
        let (header, id) = (record.header(), ring.id().0);
        // In the ring of a shard it is its own origin, which the cache fills in.
        let (origin_ring, origin) = match header.origin.ring {
            0 => (id, position),
            known => (known, header.origin.position),
        };
        let (shard, index) = (header.shard, header.index);
        Some(Self {
            position,
            kind: record.kind_name().to_owned(),
            guild: record.guild_id(),
            shard,
            identity: format!("{origin_ring:016x}-{}-{origin}-{index}", shard.id),
            received_us: header.received_us,
        })
    }

    /// How long ago the gateway received it.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let received = Duration::from_micros(self.received_us);
        (self.received_us != 0).then(|| now.saturating_sub(received))
    }
}

impl fmt::Display for Oldest {
    /// `MESSAGE_CREATE of guild 5 from 14:02:11 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match self.guild {
            Some(guild) => write!(f, " of guild {guild}")?,
            None => write!(f, " of shard {}", self.shard)?,
        }
        if self.received_us != 0 {
            let of_day = self.received_us / 1_000_000 % 86_400;
            let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            write!(f, " from {hour:02}:{minute:02}:{second:02} UTC")?;
        }
        Ok(())
    }
}

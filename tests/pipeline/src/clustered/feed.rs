//! The ring of a shard, written as its gateway writes it. All that it will say is encoded before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, sleep};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use mixcord::event::{Decoder, Limits, Record, RecordMeta, Seal, Shard, topology};
use mixcord::ring::{Bell, Geometry, GroupSpec, Meta, Namespace, Producer, StageError, Start};

use crate::probe::clock::now_ns;
use crate::probe::{DIGITS, STAMP, STAMP_HEAD};
use crate::process::until;
use crate::source::digits;
use crate::workload::{Blend, Mix, guild};

/// Its shard, of how many.
pub(super) const SHARD: (u16, u16) = (0, 1);
/// The gateway's own sizes.
const SLOTS: u32 = 8192;
const RING_BYTES: u64 = 4 << 20;
/// Records that are published at once in a flood: about what one read of a gateway's socket has.
const BURST: u64 = 32;
/// A run that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(240);
/// How often a full ring is looked at, to see whether it is time to stop.
const LOOK: Duration = Duration::from_millis(20);
/// From the word to begin to the first event that is due.
const LEAD_NS: u64 = 20_000_000;

/// Events as records: what bots that are in many guilds receive most of.
#[derive(Debug)]
pub(super) struct Events(Vec<Encoded>);

/// A record.
#[derive(Debug)]
struct Encoded {
    meta: Meta,
    bytes: Vec<u8>,
    /// Where a message's text has its two times.
    stamp: Option<usize>,
}

impl Events {
    /// So many, of so many guilds.
    pub(super) fn new(events: u64, guilds: u64) -> Result<Self> {
        let mut encoder = Encoder::new();
        let mut mix = Mix::new(guilds).of(Blend::Everything, STAMP);
        // One by one: their texts are larger than they are.
        let all = (0..events).flat_map(|_| mix.batch(1)).map(|text| encoder.encode(&text));
        Ok(Self(all.collect::<Result<_>>()?))
    }
}

/// What the gateway does with a message.
struct Encoder(Decoder);

impl Encoder {
    fn new() -> Self {
        Self(Decoder::new(Limits::default()))
    }

    fn encode(&mut self, text: &str) -> Result<Encoded> {
        let (id, count) = SHARD;
        let received_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let meta = RecordMeta {
            shard: Shard { id, count },
            session: 1,
            received_us: u64::try_from(received_us)?,
            ..RecordMeta::default()
        };
        let bytes = self.0.json(text.as_bytes())?.record(&meta).to_vec();
        let header = *Record::parse_head(&bytes)?.header();
        let meta =
            Meta { key: header.key, tag: u64::from(header.kind.number()), ..Meta::default() };
        let stamp = memchr::memmem::find(&bytes, STAMP.as_bytes());
        Ok(Encoded { meta, stamp: stamp.map(|at| at + STAMP_HEAD.len()), bytes })
    }
}

/// Writes the ring.
#[derive(Debug)]
pub(super) struct Feed {
    producer: Producer,
    _bell: Bell,
}

impl Feed {
    /// Makes the ring of an instance, with these groups.
    pub(super) fn new(instance: &str, groups: &[&str]) -> Result<Self> {
        let namespace = Namespace::new(&topology::namespace(instance))?;
        let bell = namespace.bell()?;
        let group = |name: &&str| {
            let group = GroupSpec::durable(name).from(Start::Earliest);
            if *name == topology::BRIDGE_GROUP { group.follow() } else { group }
        };
        let groups: Vec<_> = groups.iter().map(group).collect();
        let (name, geometry) =
            (topology::shard_ring(SHARD.0, SHARD.1), Geometry::new(SLOTS, RING_BYTES, 4, 1, 8)?);
        let producer = Producer::create(&namespace, &name, geometry, &groups, &bell)?;
        Ok(Self { producer, _bell: bell })
    }

    /// Writes, and looks meanwhile and afterwards, until `look` gives something.
    pub(super) fn write_until<T>(
        &mut self,
        write: impl FnOnce(&mut Self, &AtomicBool) -> Result<()> + Send,
        every: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut writing = Some(scope.spawn(|| write(self, &stop)));
            let found = until("what was written", STUCK, every, || {
                if writing.as_ref().is_some_and(ScopedJoinHandle::is_finished) {
                    writing.take().map_or(Ok(()), ended)?;
                }
                look()
            });
            stop.store(true, Ordering::Relaxed);
            let written = writing.map_or(Ok(()), ended);
            let found = found?;
            written.map(|()| found)
        })
    }

    /// The guilds, as in a session's beginning, each encoded as it is written.
    pub(super) fn guilds(&mut self, guilds: u64, stop: &AtomicBool) -> Result<()> {
        let mut encoder = Encoder::new();
        for number in 0..guilds {
            let guild = encoder.encode(&guild::create(number))?;
            self.put(&guild, stop)?;
            self.producer.publish();
        }
        Ok(())
    }

    /// So many events, from the first on again where there are fewer, as fast as there is room.
    pub(super) fn flood(&mut self, events: &Events, count: u64, stop: &AtomicBool) -> Result<()> {
        for (number, event) in (0..count).zip(events.0.iter().cycle()) {
            self.put(event, stop)?;
            if number % BURST == BURST - 1 {
                self.producer.publish();
            }
        }
        self.producer.publish();
        Ok(())
    }

    /// So many events, each when it is due, however the readers are doing, with both times in the texts of messages.
    pub(super) fn paced(
        &mut self,
        events: &mut Events,
        count: u64,
        rate: u32,
        stop: &AtomicBool,
    ) -> Result<()> {
        // One that comes again is older than the state, and a cache tells more than it says.
        ensure!(count <= events.0.len() as u64, "{count} events of {}", events.0.len());
        let (begin, every) = (now_ns() + LEAD_NS, 1e9 / f64::from(rate));
        for (number, event) in (0..count).zip(&mut events.0) {
            let due = begin + (number as f64 * every) as u64;
            let mut now = now_ns();
            if now < due {
                self.producer.publish();
                sleep(Duration::from_nanos(due - now));
                now = now_ns();
            }
            if let Some(at) = event.stamp {
                digits(now, &mut event.bytes[at..at + DIGITS]);
                digits(due, &mut event.bytes[at + DIGITS..at + 2 * DIGITS]);
            }
            self.put(event, stop)?;
        }
        self.producer.publish();
        Ok(())
    }

    fn put(&mut self, event: &Encoded, stop: &AtomicBool) -> Result<()> {
        let Encoded { meta, bytes, .. } = event;
        loop {
            match self.producer.stage_sealed(meta, Seal::of(bytes).bits(), &[bytes]) {
                Ok(_) => return Ok(()),
                Err(StageError::Full) => {
                    ensure!(!stop.load(Ordering::Relaxed), "stopped while the ring is full");
                    self.producer.publish();
                    self.producer.wait_space(bytes.len(), LOOK);
                }
                Err(error) => return Err(error).context("a record"),
            }
        }
    }
}

fn ended(writing: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    writing.join().map_err(|_| anyhow!("the writer of the ring panicked"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_room_for_two_times() {
        let events = Events::new(300, 4).expect("events");
        let message = u64::from(mixcord::Kind::MESSAGE_CREATE.number());
        for Encoded { meta, bytes, stamp } in &events.0 {
            assert!(meta.key > 0);
            if meta.tag == message {
                let at = stamp.expect("a message is stamped");
                assert!(bytes[at..at + 2 * DIGITS].iter().all(|&digit| digit == b'0'));
            }
        }
        assert!(events.0.iter().any(|event| event.stamp.is_none()));
    }
}

//! Writing a recording into the shard rings of an instance, as a gateway would have done.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use mixcord_event::{Record, sections, status, topology};
use mixcord_ring::{
    Bell, CreateError, GroupSpec, Meta, Namespace, Position, Producer, RemoveError, StageError,
    Start,
};

use crate::{Item, Reader, ReplayError, RingOf};

/// The longest sleep: how long a stop may go unnoticed.
const LOOK: Duration = Duration::from_millis(50);
/// Records that are published at once at most, where none is waited for.
const BATCH: u32 = 64;
/// After so long without room it is said who is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The bytes that the rings of a replay take together at most: what the file says is taken from /dev/shm at once.
const RINGS_BYTES_MAX: u64 = 4 << 30;
const WRITER: &str = concat!("mixcord ", env!("CARGO_PKG_VERSION"));

/// How fast a recording is replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was received.
    Times(f64),
    /// As fast as the cache reads it.
    Max,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Played {
    /// Records written.
    pub records: u64,
    /// Records that were missing in the recording.
    pub lost: u64,
    /// Pieces of kinds that a later release writes, and this build passed over.
    pub unknown: u64,
    /// Whether it came to the end of the recording, and was not stopped.
    pub whole: bool,
}

/// What whoever replays may want to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A ring was made.
    Ring {
        /// Its name.
        ring: String,
    },
    /// Records are missing here.
    Lost {
        /// The ring.
        ring: String,
        /// How many.
        count: u64,
    },
    /// A ring is full, and its reader does not go on.
    Full {
        /// The ring.
        ring: String,
        /// Whether the cache is there.
        read: bool,
    },
    /// Another ring comes in the place of this one as soon as all of it is read, and its reader does not go on.
    Unread {
        /// The ring.
        ring: String,
        /// Whether the cache is there.
        read: bool,
    },
}

/// Replays into the rings of one instance.
#[derive(Debug)]
pub struct Player {
    namespace: Namespace,
    bell: Bell,
    speed: Speed,
    rings: BTreeMap<u16, (u16, u16)>,
    outs: BTreeMap<(u16, u16), Out>,
    /// What the rings take together, in bytes, and the most that they may.
    reserved: u64,
    reserved_max: u64,
    /// When the first record was written, and when it had been received.
    began: Option<(Instant, u64)>,
    played: Played,
}

/// A ring that is written.
#[derive(Debug)]
struct Out {
    producer: Producer,
    /// The id of the ring that was recorded.
    id: u64,
    /// What it takes, in bytes.
    reserved: u64,
    status: status::ShardStatus,
    staged: u32,
}

impl Player {
    /// Into this instance, which must have no ring of those shards.
    ///
    /// # Errors
    /// There is no doorbell.
    pub fn new(namespace: Namespace, speed: Speed) -> Result<Self, ReplayError> {
        let bell = namespace.bell()?;
        let (rings, outs, began) = (BTreeMap::new(), BTreeMap::new(), None);
        let played = Played::default();
        let (reserved, reserved_max) = (0, RINGS_BYTES_MAX);
        Ok(Self { namespace, bell, speed, rings, outs, reserved, reserved_max, began, played })
    }

    /// Lets the rings take so many bytes of /dev/shm together at most; 4 GiB by default.
    #[must_use]
    pub fn rings_within(mut self, bytes: u64) -> Self {
        self.reserved_max = bytes;
        self
    }

    /// Writes all of it, unless `stopped` says so. What was written is in the rings in any case.
    ///
    /// # Errors
    /// See [`ReplayError`]; what was before is in the rings.
    pub fn play<R: Read>(
        mut self,
        mut reader: Reader<R>,
        stopped: impl Fn() -> bool,
        mut tell: impl FnMut(Progress),
    ) -> Result<Played, ReplayError> {
        let result = self.play_all(&mut reader, &stopped, &mut tell);
        for out in self.outs.values_mut() {
            out.status.state = "stopped".to_owned();
            out.publish();
        }
        let unknown = reader.unknown();
        result.map(|whole| Played { whole, unknown, ..self.played })
    }

    /// Whether it came to the end.
    fn play_all<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        stopped: &impl Fn() -> bool,
        tell: &mut impl FnMut(Progress),
    ) -> Result<bool, ReplayError> {
        while let Some(item) = reader.next_item()? {
            match item {
                Item::Ring(ring) => {
                    if !self.ring(&ring, stopped, tell)? {
                        return Ok(false);
                    }
                }
                Item::Record { ring, position, meta, payload } => {
                    if !self.wait_for(payload, stopped) {
                        return Ok(false);
                    }
                    if !self.record(ring, position, &meta, payload, stopped, tell)? {
                        return Ok(false);
                    }
                }
                Item::Lost { ring, count } => {
                    self.played.lost = self.played.lost.saturating_add(count);
                    tell(Progress::Lost { ring: self.name(ring), count });
                }
                Item::End { .. } => {}
            }
            if stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a ring, if need be in the place of another; false when it was stopped.
    fn ring(
        &mut self,
        ring: &RingOf,
        stopped: &impl Fn() -> bool,
        tell: &mut impl FnMut(Progress),
    ) -> Result<bool, ReplayError> {
        let of = (ring.shards, ring.shard);
        let name = topology::shard_ring(ring.shard, ring.shards);
        self.rings.insert(ring.number, of);
        if let Some(out) = self.outs.get_mut(&of) {
            // The same in other sizes goes on where it stood.
            if out.id == ring.id {
                return Ok(true);
            }
            if !out.is_read(&name, stopped, tell) {
                return Ok(false);
            }
            self.remove(of, &name)?;
        }
        let reserved = ring.geometry.segment_bytes();
        let bytes = self.reserved.saturating_add(reserved);
        if bytes > self.reserved_max {
            return Err(ReplayError::TooLarge { ring: name, bytes, most: self.reserved_max });
        }
        let cache = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
        let made = Producer::create(&self.namespace, &name, ring.geometry, &[cache], &self.bell);
        let producer = made.map_err(|source| match source {
            CreateError::Exists { .. } => ReplayError::Exists { ring: name.clone() },
            source => ReplayError::Create { ring: name.clone(), source },
        })?;
        self.reserved = bytes;
        let status = status::ShardStatus { state: "replaying".to_owned(), ..Default::default() };
        let mut out = Out { producer, id: ring.id, reserved, status, staged: 0 };
        out.publish();
        self.outs.insert(of, out);
        tell(Progress::Ring { ring: name });
        Ok(true)
    }

    /// Takes a ring away whose place another took while it was recorded: so the cache finds one with another id, and
    /// tells the loss as it did then.
    fn remove(&mut self, of: (u16, u16), name: &str) -> Result<(), ReplayError> {
        // While it has a producer nobody else takes it for one that was left behind. The cache has it until it sees the
        // next.
        match self.namespace.unlink_ring(name) {
            // Somebody took it away already.
            Ok(()) | Err(RemoveError::NotFound { .. }) => {}
            Err(source) => return Err(ReplayError::Replace { ring: name.to_owned(), source }),
        }
        if let Some(out) = self.outs.remove(&of) {
            self.reserved -= out.reserved;
        }
        Ok(())
    }

    /// Waits until it is time for a record; false when it was stopped.
    fn wait_for(&mut self, payload: &[u8], stopped: &impl Fn() -> bool) -> bool {
        let Speed::Times(speed) = self.speed else { return true };
        let received = Record::parse_head(payload).map_or(0, |record| record.header().received_us);
        if received == 0 {
            return true;
        }
        let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), received));
        let after = Duration::from_micros(received.saturating_sub(first)).as_secs_f64() / speed;
        let after = Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX);
        loop {
            let left = after.saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            self.outs.values_mut().filter(|out| out.staged > 0).for_each(Out::publish);
            if stopped() {
                return false;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Writes a record, waiting for room; false when it was stopped.
    fn record(
        &mut self,
        ring: u16,
        position: Position,
        meta: &Meta,
        payload: &[u8],
        stopped: &impl Fn() -> bool,
        tell: &mut impl FnMut(Progress),
    ) -> Result<bool, ReplayError> {
        let name = self.name(ring);
        // Of a ring that the recording does not tell of: a frame is missing, and its records with it.
        let Some(out) = self.rings.get(&ring).and_then(|of| self.outs.get_mut(of)) else {
            self.played.lost = self.played.lost.saturating_add(1);
            return Ok(true);
        };
        let mut since = None;
        loop {
            match out.producer.stage(meta, &[payload]) {
                Ok(_) => break,
                Err(StageError::Full) => {}
                Err(source) => return Err(ReplayError::Stage { ring: name, position, source }),
            }
            out.publish();
            let began = *since.get_or_insert_with(Instant::now);
            if stopped() {
                return Ok(false);
            }
            if !out.producer.wait_space(payload.len(), LOOK) && began.elapsed() >= PATIENCE {
                let groups = out.producer.ring().groups();
                let read = groups.iter().any(|group| group.members > 0);
                tell(Progress::Full { ring: name.clone(), read });
                since = Some(Instant::now());
            }
        }
        if let Ok(record) = Record::parse_head(payload) {
            let header = record.header();
            out.status.session = header.session;
            out.status.seq = Some(header.seq).filter(|seq| *seq > 0).or(out.status.seq);
        }
        out.staged += 1;
        if out.staged >= BATCH {
            out.publish();
        }
        self.played.records += 1;
        Ok(true)
    }

    fn name(&self, ring: u16) -> String {
        self.rings.get(&ring).map_or_else(
            || format!("number {ring}"),
            |&(shards, shard)| topology::shard_ring(shard, shards),
        )
    }
}

impl Out {
    /// Waits until everybody has read all of it; false when it was stopped.
    fn is_read(
        &mut self,
        name: &str,
        stopped: &impl Fn() -> bool,
        tell: &mut impl FnMut(Progress),
    ) -> bool {
        self.publish();
        let mut since = Instant::now();
        loop {
            let ring = self.producer.ring();
            if ring.is_drained() {
                return true;
            }
            if stopped() {
                return false;
            }
            if since.elapsed() >= PATIENCE {
                let read = ring.groups().iter().any(|group| group.members > 0);
                tell(Progress::Unread { ring: name.to_owned(), read });
                since = Instant::now();
            }
            std::thread::sleep(LOOK);
        }
    }

    fn publish(&mut self) {
        let mut checkpoint = vec![status::CHECKPOINT];
        sections::put(&mut checkpoint, sections::WRITER, 1, WRITER.as_bytes());
        self.status.put(&mut checkpoint);
        if let Err(error) = self.producer.set_checkpoint(&checkpoint) {
            tracing::error!("{error}");
        }
        self.producer.publish();
        self.staged = 0;
    }
}

//! Looking on at the shard rings of an instance, and writing down what comes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use mixcord_event::{Kind, Record, topology};
use mixcord_ring::{AttachError, Bell, Limits, Namespace, Observed, Observer, Ring, RingId, Start};

use crate::{RecordError, Redactor, RingOf, Writer};

/// What is read of a ring at a time.
const BATCH: Limits = Limits { records: 256, bytes: 1 << 20 };
/// How often rings are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// How often what was written is given to the file: what a recorder that is killed loses.
const FLUSH: Duration = Duration::from_secs(1);

/// Which records are wanted. What has to do with sessions (`READY`, `RESUMED`, Mixcord's own kinds) always is: without
/// it a replay's cache would not know whose events they are.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// By the names of their kinds; empty for all.
    pub kinds: Vec<String>,
    /// Of these guilds; empty for all.
    pub guilds: Vec<u64>,
}

/// Records the shard rings of an instance, those that come later included, until it is [finished](Self::finish). It
/// holds nobody up: what it is too slow for is counted.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    namespace: Namespace,
    bell: Bell,
    pen: Pen<W>,
    start: Start,
    rings: BTreeMap<(u16, u16), Watched>,
    next: u16,
    looked: Option<Instant>,
    flushed: Instant,
}

/// What writes down the records of a ring.
#[derive(Debug)]
struct Pen<W: Write> {
    writer: Writer<W>,
    wanted: Wanted,
    redactor: Option<Redactor>,
    seen: Observed,
}

/// What a recorder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Rings.
    pub rings: usize,
    /// Records.
    pub records: u64,
    /// Records that it was too slow for, or whose files were gone, counted before any filter.
    pub lost: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

#[derive(Debug)]
struct Watched {
    number: u16,
    ring: Ring,
    observer: Observer,
}

impl<W: Write> Recorder<W> {
    /// Begins with what the rings still hold, or with what comes from now on. Rings that appear later are recorded from
    /// their first record on.
    ///
    /// # Errors
    /// No doorbell, or the sink's.
    pub fn new(
        namespace: Namespace,
        writer: Writer<W>,
        wanted: Wanted,
        redactor: Option<Redactor>,
        from_earliest: bool,
    ) -> Result<Self, RecordError> {
        let bell = namespace.bell()?;
        let start = if from_earliest { Start::Earliest } else { Start::Latest };
        let mut this = Self {
            namespace,
            bell,
            pen: Pen { writer, wanted, redactor, seen: Observed::default() },
            start,
            rings: BTreeMap::new(),
            next: 0,
            looked: None,
            flushed: Instant::now(),
        };
        this.look()?;
        this.start = Start::Earliest;
        Ok(this)
    }

    /// How many rings there are so far.
    #[must_use]
    pub fn rings(&self) -> usize {
        self.next.into()
    }

    /// Writes down what is there; whether there was anything.
    ///
    /// # Errors
    /// A ring is damaged, or the sink's.
    pub fn round(&mut self) -> Result<bool, RecordError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look()?;
        }
        let mut something = false;
        for watched in self.rings.values_mut() {
            something |= self.pen.write(watched)?;
        }
        if self.flushed.elapsed() >= FLUSH {
            self.flushed = Instant::now();
            self.pen.writer.flush()?;
        }
        Ok(something)
    }

    /// Sleeps until there may be something, at most `longest`.
    pub fn wait(&mut self, longest: Duration) {
        let ticket = self.bell.ticket();
        let mut tick = longest.min(LOOK);
        for watched in self.rings.values_mut() {
            watched.observer.arm();
            tick = tick.min(watched.observer.tick());
        }
        if !self.rings.values().any(|watched| watched.observer.has_work()) {
            self.bell.wait(ticket, tick);
        }
    }

    /// Ends the recording with what is in the rings by now, and gives the sink back.
    ///
    /// # Errors
    /// As for [`round`](Self::round).
    pub fn finish(mut self) -> Result<(W, Recorded), RecordError> {
        // The second time for rings that took the place of others, which had to be read to their end first.
        for _ in 0..2 {
            self.look()?;
            self.drain()?;
        }
        let ((records, lost), rings) = (self.pen.writer.counts(), self.rings());
        let (sink, bytes) = self.pen.writer.finish()?;
        Ok((sink, Recorded { rings, records, lost, bytes }))
    }

    /// Writes down what is there now. What comes from here on is not waited for: a ring that is written all the time would
    /// have no end.
    fn drain(&mut self) -> Result<(), RecordError> {
        for watched in self.rings.values_mut() {
            let end = watched.ring.tail();
            while watched.observer.position() < end && self.pen.write(watched)? {}
        }
        Ok(())
    }

    /// Looks for rings that are new, or took the place of others.
    fn look(&mut self) -> Result<(), RecordError> {
        self.looked = Some(Instant::now());
        for name in self.namespace.rings().map_err(RecordError::Look)? {
            let Some((shard, shards)) = topology::parse_shard_ring(&name) else { continue };
            let known = self.rings.get(&(shards, shard));
            if known.is_some_and(|known| known.ring.is_current() || known.observer.has_work()) {
                continue;
            }
            let ring = match Ring::attach(&self.namespace, &name) {
                Ok(ring) => ring,
                // Gone between the look and now.
                Err(AttachError::NotFound { .. }) => continue,
                Err(source) => return Err(RecordError::Attach { ring: name, source }),
            };
            // The same in other sizes goes on where it stood.
            let start = match known {
                Some(known) if known.ring.id() == ring.id() => Start::At(known.observer.position()),
                Some(_) => Start::Earliest,
                None => self.start,
            };
            self.watch((shards, shard), ring, start)?;
        }
        Ok(())
    }

    fn watch(&mut self, of: (u16, u16), ring: Ring, start: Start) -> Result<(), RecordError> {
        let observer = ring.observe("recorder", start, &self.bell);
        let observer = observer
            .map_err(|source| RecordError::Observe { ring: ring.name().to_owned(), source })?;
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let (RingId(id), geometry, from) = (ring.id(), ring.geometry(), observer.position());
        let (shards, shard) = of;
        self.pen.writer.ring(&RingOf { number, shard, shards, id, from, geometry })?;
        self.rings.insert(of, Watched { number, ring, observer });
        Ok(())
    }
}

impl<W: Write> Pen<W> {
    /// Writes down what is next in a ring; whether there was anything.
    fn write(&mut self, watched: &mut Watched) -> Result<bool, RecordError> {
        let Self { writer, wanted, redactor, seen } = self;
        let read = watched.observer.read(BATCH, seen);
        let something = read
            .map_err(|source| RecordError::Take { ring: watched.ring.name().to_owned(), source })?;
        if seen.lost() > 0 {
            writer.lost(watched.number, seen.lost())?;
        }
        for entry in seen.entries() {
            if entry.lost {
                writer.lost(watched.number, 1)?;
                continue;
            }
            let record = Record::parse_head(entry.payload).ok();
            if record.as_ref().is_some_and(|record| !wanted.wants(record)) {
                continue;
            }
            let redacted = match (redactor.as_ref(), record) {
                // Of what cannot be read nobody knows what is in it.
                (Some(_), None) => {
                    writer.lost(watched.number, 1)?;
                    continue;
                }
                (Some(redactor), Some(record)) => Some(redactor.record(&record)),
                (None, _) => None,
            };
            let payload = redacted.as_deref().unwrap_or(entry.payload);
            let meta = mixcord_ring::Meta {
                key: entry.key,
                tag: entry.tag,
                source: entry.source,
                order: entry.order,
            };
            writer.record(watched.number, entry.position, &meta, payload)?;
        }
        Ok(something)
    }
}

impl Wanted {
    fn wants(&self, record: &Record<'_>) -> bool {
        let kind = record.kind();
        if matches!(kind, Kind::READY | Kind::RESUMED | Kind::GAP | Kind::SHARD_STATE) {
            return true;
        }
        let name = record.kind_name();
        let of_kind = self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == name);
        of_kind
            && (self.guilds.is_empty()
                || record.guild_id().is_some_and(|guild| self.guilds.contains(&guild)))
    }
}

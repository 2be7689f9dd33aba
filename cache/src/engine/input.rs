//! A shard's ring as the cache reads it.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use mixcord_event::topology::CACHE_GROUP;
use mixcord_event::{Origin, Reason, Record, RecordError, sections, status};
use mixcord_ring::{
    AttachError, Batch, Bell, Entry, GroupSpec, JoinError, Limits, Member, Namespace, Position,
    Ring, Sleeping, Start, TakeError,
};
use mixcord_state::InputPosition;

use super::cut::Cut;
use super::pass::Shard;

/// Records taken from a ring at once, and their bytes where one ring is read. Many rings share what
/// four may have, so that memory stays bounded.
const RECORDS_MAX: usize = 8192;
const BYTES_MAX: usize = 3 << 20;
const BYTES_MIN: usize = 256 << 10;

/// What is taken at once from each of so many rings.
pub(super) fn limits(rings: usize) -> Limits {
    let bytes = (4 * BYTES_MAX / rings.max(1)).clamp(BYTES_MIN, BYTES_MAX);
    Limits { records: RECORDS_MAX, bytes }
}

/// How long a ring that could not be read is left alone.
const RETRY: Duration = Duration::from_secs(10);

/// A shard's ring, and the records of it that were taken.
#[derive(Debug)]
pub(super) struct Input {
    ring: Ring,
    /// The segment's file, by which a ring that was made anew is told from this one.
    file: FileId,
    /// Another stood in its place at the last look.
    replaced: bool,
    /// `None` once the ring turned out to be damaged, or the group to be gone.
    member: Option<Member>,
    /// When the ring is tried again.
    retry: Option<Instant>,
    /// The tail at which a look found nothing.
    idle_at: Option<Position>,
    batch: Option<Batch>,
    /// How many records of the batch are staged.
    staged: usize,
    /// How many of them are committed.
    done: usize,
    /// Of the one behind those staged, the outputs before this index are staged too.
    part: Option<u16>,
    /// What of it is left out after a change of the shard count.
    pub(super) cut: Cut,
    /// It is not the turn of the one behind those staged: another ring is too far behind.
    pub(super) stops: bool,
    /// The one behind those staged is of another release: the ring is left when these are committed.
    leaves: bool,
    /// Since when it is known to be read to its end, by everybody, with nobody who writes it.
    over: Option<Instant>,
}

/// Which file a name stands for: device and number.
pub(super) type FileId = (u64, u64);

/// The file of a ring's segment, if there is one.
fn file_of(namespace: &Namespace, name: &str) -> Option<FileId> {
    let path = Namespace::directory().join(format!("{}.{name}", namespace.prefix()));
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// A ring that cannot be joined; that shard alone is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// The record at which an input goes on that was read from another ring before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) position: Position,
    /// Where it was first; `None` where that cannot be read.
    pub(super) at: Option<Origin>,
    /// Records before it are gone of which that cannot be said.
    pub(super) lost: bool,
}

/// Records that a pass works on, of one input.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) shard: Shard,
    batch: Option<Batch>,
    staged: usize,
}

impl Lent {
    /// The record of that number among those that are not staged.
    pub(super) fn get(&self, number: usize) -> Option<Entry<'_>> {
        self.batch.as_ref()?.get(self.staged + number)
    }
}

/// Where a record of `ring` was first.
fn origin_of(ring: u64, entry: &Entry<'_>) -> Option<Origin> {
    let origin = Record::parse_head(entry.payload).ok()?.header().origin;
    Some(origin.or(Origin { ring, position: entry.position }))
}

impl Input {
    /// Joins a ring; `None` if there is none any more.
    pub(super) fn join(
        namespace: &Namespace,
        name: &str,
        bell: &Bell,
    ) -> Result<Option<Self>, InputError> {
        let Some(file) = file_of(namespace, name) else { return Ok(None) };
        let ring = match Ring::attach(namespace, name) {
            Ok(ring) => ring,
            Err(AttachError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // It may have been made anew between the two; then the next look finds it.
        if file_of(namespace, name) != Some(file) {
            return Ok(None);
        }
        let group = GroupSpec::durable(CACHE_GROUP).from(Start::Earliest);
        let member = Some(ring.join(&group, bell)?);
        Ok(Some(Self {
            ring,
            file,
            replaced: false,
            member,
            retry: None,
            idle_at: None,
            batch: None,
            staged: 0,
            done: 0,
            part: None,
            cut: Cut::default(),
            stops: false,
            leaves: false,
            over: None,
        }))
    }

    /// Whether the ring is to be joined again: another one stands in its place, and of this one
    /// nothing more can come; or it could not be read and may be by now.
    pub(super) fn is_over(&mut self, file: Option<FileId>) -> bool {
        let replaced = file.is_some_and(|file| file != self.file);
        self.replaced = replaced;
        if self.batch.is_some() {
            return false;
        }
        match &mut self.member {
            Some(member) => replaced && !self.ring.producer_alive() && !member.has_work(),
            None => replaced || self.retry.is_none_or(|at| at <= Instant::now()),
        }
    }

    /// Whether it is read until its file is another.
    pub(super) fn is_settled(&self) -> bool {
        self.member.is_some() && !self.replaced
    }

    pub(super) fn id(&self) -> u64 {
        self.ring.id().0
    }

    /// Every record before it was released.
    pub(super) fn floor(&self) -> Position {
        self.member.as_ref().map_or(0, Member::floor)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.ring.producer_alive()
    }

    /// Whether nothing is in hand and nothing waits; false says nothing. Of many rings most have nothing: where the tail
    /// is what it was when a look found nothing, there is none until [`look_again`](Self::look_again).
    pub(super) fn is_idle(&mut self) -> bool {
        if self.batch.is_some() {
            return false;
        }
        // Read first: of what comes between the two looks the tail tells then.
        let tail = self.ring.tail();
        if self.idle_at == Some(tail) {
            return true;
        }
        let is_idle = self.member.as_ref().is_some_and(Member::is_idle);
        self.idle_at = is_idle.then_some(tail);
        is_idle
    }

    /// What others may have changed of the group is looked at again, though nothing came.
    pub(super) fn look_again(&mut self) {
        self.idle_at = None;
    }

    pub(super) fn has_work(&mut self) -> bool {
        if self.batch.is_some() {
            return true;
        }
        let waits = self.member.as_mut().is_some_and(Member::has_work);
        if waits {
            // Though the tail stands: the group was changed.
            self.look_again();
        }
        waits
    }

    /// Whether nothing stood in the way of reading it.
    pub(super) fn is_readable(&self) -> bool {
        self.member.is_some()
    }

    /// Whether there are records to take, or may yet be.
    pub(super) fn is_in_use(&mut self) -> bool {
        // In this order: whoever is gone has written what it wrote.
        is_written(&self.ring) || self.has_work()
    }

    /// Whether for so long already nobody writes the ring, and every group of it has read all.
    pub(super) fn is_over_since(&mut self, longest: Duration) -> bool {
        if !self.is_readable() || self.is_in_use() || !self.ring.is_drained() {
            self.over = None;
            return false;
        }
        self.over.get_or_insert_with(Instant::now).elapsed() >= longest
    }

    /// To have the bell rung at the next record.
    pub(super) fn sleeping(&mut self) -> Option<Sleeping<'_>> {
        self.member.as_mut().map(Sleeping::from)
    }

    /// The longest sleep.
    pub(super) fn tick(&self) -> Option<Duration> {
        self.member.as_ref().map(Member::tick)
    }

    /// Whether its producer waits for room.
    pub(super) fn is_waited_for(&self) -> bool {
        self.ring.producer_waits()
    }

    /// Takes what waits, if nothing is in hand. What stands before `from` was committed already; when
    /// `from` itself is no longer there, that is a loss to be told.
    pub(super) fn fill(&mut self, from: Position, limits: Limits) -> Option<Reason> {
        let mut loss = None;
        while self.batch.is_none()
            && let Some(batch) = self.take(limits)
        {
            if batch.first().is_some_and(|first| first.position > from) {
                loss = Some(Reason::RecordsLost);
            }
            let known = batch.records().take_while(|entry| entry.position < from).count();
            self.batch = Some(batch);
            self.know(known);
        }
        loss
    }

    /// Takes what waits, if nothing is in hand, up to the record that `sought` names, or what stands in its place: what
    /// was first before that one is known from another ring. Gives its position, where it was first if that can be
    /// read, and whether something before it may be lost; `None` while it is not there.
    pub(super) fn find(&mut self, sought: Origin, limits: Limits) -> Option<Found> {
        let ring = self.id();
        let mut lost = false;
        loop {
            if self.batch.is_none() {
                self.batch = Some(self.take(limits)?);
                (self.staged, self.done) = (0, 0);
            }
            let (mut known, mut found) = (self.staged, None);
            for entry in self.rest() {
                match origin_of(ring, &entry) {
                    Some(at) if at.ring == sought.ring && at.position < sought.position => {}
                    None if entry.lost => lost = true,
                    at => {
                        found = Some(Found { position: entry.position, at, lost });
                        break;
                    }
                }
                known += 1;
            }
            self.know(known);
            if found.is_some() {
                return found;
            }
        }
    }

    /// The next batch, where there is one.
    fn take(&mut self, limits: Limits) -> Option<Batch> {
        loop {
            match self.member.as_mut()?.take(limits) {
                Ok(taken) => return taken,
                Err(error @ TakeError::Evicted { .. }) => {
                    tracing::error!(ring = self.ring.name(), "{error}");
                }
                Err(error) => {
                    tracing::error!(ring = self.ring.name(), "the ring is not read: {error}");
                    let gone = matches!(error, TakeError::Removed);
                    self.retry = (!gone).then(|| Instant::now() + RETRY);
                    self.member = None;
                    return None;
                }
            }
        }
    }

    /// So many records of the batch in hand are committed already.
    fn know(&mut self, records: usize) {
        (self.staged, self.done) = (records, records);
        self.acknowledge();
    }

    /// The next record that is not staged.
    pub(super) fn next(&self) -> Option<Entry<'_>> {
        self.batch.as_ref()?.get(self.staged)
    }

    /// The records in hand that are not staged, in order.
    fn rest(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        let batch = self.batch.iter();
        batch.flat_map(|batch| (self.staged..batch.len()).filter_map(|index| batch.get(index)))
    }

    /// Gives its records out for a pass, which brings them back.
    pub(super) fn lend(&mut self, shard: Shard) -> Lent {
        Lent { shard, batch: self.batch.take(), staged: self.staged }
    }

    /// They are back.
    pub(super) fn have_back(&mut self, lent: Lent) {
        self.batch = lent.batch;
    }

    /// So many more records are staged, and of the next one the outputs before index `part`.
    pub(super) fn advance(&mut self, records: usize, part: Option<u16>) {
        self.staged += records;
        self.part = part;
    }

    /// What was staged since the last commit is forgotten.
    pub(super) fn take_back(&mut self) {
        self.staged = self.done;
        self.part = None;
        self.leaves = false;
    }

    /// The record at `position` was written by another release. It stays where it is, and all behind
    /// it: whoever can read it finds everything (P11).
    pub(super) fn stop_before(&mut self, position: Position, error: RecordError) {
        let checkpoint = self.ring.checkpoint().unwrap_or_default();
        let writer = checkpoint.get(1..).and_then(sections::writer);
        tracing::error!(
            ring = self.ring.name(),
            position,
            "the shard stands still, and loses nothing: {error}. Update mixcord-cache, which is {}: the \
             ring is written by {}",
            env!("CARGO_PKG_VERSION"),
            writer.unwrap_or("another mixcord-gateway"),
        );
        self.leaves = true;
    }

    /// Lets go of the ring for a while, if it stopped and all before that is committed.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.leaves) {
            self.batch = None;
            self.member = None;
            self.retry = Some(Instant::now() + RETRY);
        }
    }

    /// Where what is staged ends, if anything is; `before` is where it began in the log that its records came from.
    pub(super) fn reached(&self, before: Origin) -> Option<InputPosition> {
        let (batch, ring) = (self.batch.as_ref()?, self.id());
        let (entry, behind, index) = match self.part {
            Some(index) => (batch.get(self.staged)?, 0, index),
            None if self.staged == self.done => return None,
            None => (batch.get(self.staged - 1)?, 1, 0),
        };
        // Of what cannot be read that is known in the ring of a gateway alone.
        let is_own = before.ring == 0 || before.ring == ring;
        let own = is_own.then_some(Origin { ring, position: entry.position });
        let origin = match origin_of(ring, &entry).or(own) {
            Some(at) => Origin { position: at.position + behind, ..at },
            None => before,
        };
        Some(InputPosition { ring, position: entry.position + behind, index, origin })
    }

    /// Releases the records staged: they are committed.
    pub(super) fn release(&mut self) {
        self.part = None;
        if self.staged != self.done {
            self.done = self.staged;
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        if self.done == batch.len() {
            if let Some(batch) = self.batch.take() {
                batch.ack();
            }
            return;
        }
        let last = self.done.checked_sub(1).and_then(|last| Some(batch.get(last)?.position));
        if let Some(last) = last {
            batch.ack_through(last);
        }
    }
}

/// Whether something may yet be written into a ring. mixcord-bridge has one in hand of which nothing comes any more, since
/// the sessions of its shard were closed for good on the gateway's machine.
pub(super) fn is_written(ring: &Ring) -> bool {
    ring.producer_alive() && !ring.checkpoint().is_some_and(|it| status::is_closed(&it))
}

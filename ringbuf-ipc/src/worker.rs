//! A member of a group whose records are settled in any order, and what it is given.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::core::arming::{self, Sleeper};
use crate::core::buffers::{Buffers, Entry};
use crate::core::errors::TakeError;
use crate::core::reader::seat::Pool;
use crate::core::words::letter::Head;
use crate::core::words::word::ATTEMPTS_MAX;
use crate::core::worker::post::Post;
use crate::core::worker::settle::{Failure, Held, How, Outcome};
use crate::core::worker::{self as core, KeyFn, TagFn, Taken, WorkerTerms};
use crate::member::Records;
use crate::pace::{Pace, Pacer};
use crate::ring::Ring;
use crate::waiting::Waiting;
use crate::{GroupInfo, JoinError, Position};

/// How a worker takes records.
#[derive(Default)]
pub struct WorkerOptions {
    attempts: Option<u8>,
    once: bool,
    key: Option<KeyFn>,
    tags: Option<TagFn>,
}

impl fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("attempts", &self.attempts)
            .field("once", &self.once)
            .finish_non_exhaustive()
    }
}

impl WorkerOptions {
    /// Attempts where nothing else is asked for.
    pub const ATTEMPTS: u8 = 5;
    /// The most that may be asked for.
    pub const ATTEMPTS_MAX: u8 = ATTEMPTS_MAX;

    /// Five attempts, given until they are settled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A record that was given so often in vain is a dead letter: 1 to [`ATTEMPTS_MAX`](Self::ATTEMPTS_MAX), or 0
    /// for no limit. Failures count, and processes that died while they had nothing else.
    #[must_use]
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.attempts = Some(attempts.min(Self::ATTEMPTS_MAX));
        self
    }

    /// Records are given once: one that its process dies with is done.
    #[must_use]
    pub fn at_most_once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Only records of tags for which this holds: all others are settled where they lie as soon as this worker sees
    /// them, neither copied nor given, whoever of the group might have wanted them. So all members of a group should
    /// ask for the same.
    #[must_use]
    pub fn tags(mut self, wanted: impl Fn(u64) -> bool + Send + 'static) -> Self {
        self.tags = Some(Box::new(wanted));
        self
    }

    /// Works out the order key for [`Order::Own`](crate::Order::Own). Called once for each record that this
    /// worker comes to see, whoever is given it; the payload is copied for it.
    #[must_use]
    pub fn key(mut self, key: impl Fn(Entry<'_>) -> u64 + Send + 'static) -> Self {
        self.key = Some(Box::new(move |entry, payload| {
            key(Entry {
                position: entry.position,
                key: entry.key,
                tag: entry.tag,
                source: entry.source,
                order: entry.order,
                payload,
                lost: false,
            })
        }));
        self
    }
}

/// A member of a group with [`Mode::AnyOrder`](crate::Mode::AnyOrder): takes records one by one, any
/// number side by side, each once every earlier record of its order key is settled.
///
/// It lives until it and the last of its deliveries are dropped. What it has when it is killed is given again.
///
/// ```
/// # use std::time::Duration;
/// # use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Order, Producer, Settle, Start};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::new(&format!("ring-worker-{}", std::process::id()))?;
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key);
/// # let mut producer = Producer::create(&namespace, "r", geometry, &[group.clone()], &bell)?;
/// # for key in [7, 7, 8] { producer.stage(&Meta { key, ..Meta::default() }, &[b"text"])?; }
/// # producer.publish();
/// let mut worker = producer.ring().work(&group, &bell, Default::default())?;
/// let first = worker.take()?.expect("of key 7");
/// let other = worker.take()?.expect("of key 8");
/// assert_eq!((first.entry().key, other.entry().key), (7, 8));
/// assert!(worker.take()?.is_none(), "the second of key 7 waits for the first");
/// other.settle(Settle::Ack)?;
/// first.settle(Settle::Retry { after: Duration::ZERO, reason: "try again" })?;
/// let again = worker.take()?.expect("of key 7");
/// assert_eq!(again.attempt(), 2);
/// again.settle(Settle::Dead { reason: "no such channel" })?;
/// worker.take()?.expect("the second of key 7").settle(Settle::Ack)?;
/// assert_eq!(worker.lag(), 0);
/// # drop((worker, producer, bell));
/// # namespace.remove_all()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Worker {
    ring: Ring,
    pub(crate) inner: core::Worker,
    waiting: Waiting,
    /// Used again and again.
    taken: Vec<Taken>,
}

impl Worker {
    pub(crate) fn join(
        ring: &Ring,
        spec: &crate::GroupSpec,
        bell: &Bell,
        options: WorkerOptions,
    ) -> Result<Self, JoinError> {
        let terms = WorkerTerms {
            attempts: options.attempts.unwrap_or(WorkerOptions::ATTEMPTS),
            once: options.once,
            key: options.key,
            tags: options.tags,
        };
        let inner = core::Worker::join(ring.core(), spec, bell.index_in(ring.bells()), terms)?;
        let (waiting, taken) = (Waiting::new(bell), Vec::new());
        Ok(Self { ring: ring.clone(), inner, waiting, taken })
    }

    /// The ring it reads.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Takes the next record that nobody has and that waits for none, and copies it out. Does not wait.
    ///
    /// # Errors
    /// The group lost records by eviction, was removed or moved, or a record is damaged. Of those that are said
    /// of one record, the next take goes on behind it.
    pub fn take(&mut self) -> Result<Option<Delivery>, TakeError> {
        self.taken.clear();
        let Some(buffers) = self.inner.take(1, &mut self.taken)? else { return Ok(None) };
        let (records, post) = self.given(buffers, self.taken.len());
        let one = |&Taken { held, revived }| Delivery {
            records,
            index: 0,
            held,
            revived,
            post: Some(post),
        };
        Ok(self.taken.first().map(one))
    }

    /// Takes up to `most` records that nobody has and that wait for none, no two of one order key, and copies
    /// them out together: a fraction of the cost of as many [`take`](Self::take)s. Does not wait.
    ///
    /// Nobody else is given them meanwhile; so for those only who begin with all of them at once. Their bytes,
    /// 64 KiB or one longer record, are in memory as long as any of them is.
    ///
    /// # Errors
    /// As for [`take`](Self::take). What stands before a damaged record is given first.
    pub fn take_many(&mut self, most: usize) -> Result<Option<Deliveries>, TakeError> {
        let mut taken = Vec::with_capacity(most.min(64));
        let Some(buffers) = self.inner.take(most, &mut taken)? else { return Ok(None) };
        let (records, post) = self.given(buffers, taken.len());
        Ok(Some(Deliveries { records, taken, next: 0, post }))
    }

    fn given(&mut self, buffers: Buffers, count: usize) -> (Arc<Records>, Arc<Post>) {
        self.waiting.pacer.took(count as u64);
        let post = Arc::clone(&self.inner.post);
        (Arc::new(Records::new(buffers, Pool::clone(&post.seat.pool))), post)
    }

    /// Whether a take would give something, be it an error.
    pub fn has_work(&mut self) -> bool {
        self.inner.has_work()
    }

    /// A record that this worker wrote down as dead in its last takes, though nobody told it to: its processes died
    /// with it too often, or its bytes are damaged. Each is told once, by the worker that did it.
    pub fn take_buried(&mut self) -> Option<Buried> {
        let buried = self.inner.buried.pop()?;
        let records =
            Arc::new(Records::new(buried.buffers, Pool::clone(&self.inner.post.seat.pool)));
        Some(Buried {
            records,
            position: buried.position,
            reason: buried.reason,
            attempts: buried.counts.given(),
            dropped: buried.dropped.iter().map(Dropped::of).collect(),
        })
    }

    /// Records taken and not settled, as of the last call of this worker.
    pub const fn out(&self) -> usize {
        self.inner.out()
    }

    /// To be called now and then, say ten times a second, by those who do not take or wait because they have
    /// enough: moves the group's cursor on, and sets aside what holds up a ring that fills.
    pub fn tend(&mut self) {
        self.inner.tend();
    }

    /// Records the group has not settled, counted from the first of them.
    pub fn lag(&mut self) -> u64 {
        self.inner.tend();
        self.ring.tail().saturating_sub(self.floor())
    }

    /// Every record before it is settled.
    pub fn floor(&self) -> Position {
        let seat = &self.inner.post.seat;
        seat.core.group_floor(seat.group).min(self.ring.tail())
    }

    /// Where the group begins, if this worker made it; above 0 the ring's first records were gone already.
    pub const fn began_at(&self) -> Option<Position> {
        self.inner.began
    }

    /// The group it is a member of; `None` when that was removed or moved.
    pub fn group(&self) -> Option<GroupInfo> {
        let seat = &self.inner.post.seat;
        seat.is_current().then(|| self.ring.group_info(seat.group))?
    }

    /// Has the bell rung at the next news for this worker. Look for work once more before waiting: what was
    /// there already rings no bell.
    pub fn arm(&mut self) {
        arming::arm(&mut self.inner);
    }

    /// The longest sleep after [`arm`](Self::arm) and a look for work that found none.
    pub fn tick(&self) -> Duration {
        self.inner.tick()
    }

    /// How it weighs delay against processor time while it waits; [`Pace::LowLatency`] unless another is set.
    pub fn set_pace(&mut self, pace: Pace) {
        self.waiting.pacer = Pacer::new(pace);
    }

    /// Sleeps until there is work, or `timeout` is over; whether there is work.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.waiting.wait(&mut self.inner, timeout)
    }

    /// Waits until there is work. `bell` must be over this worker's bell.
    #[cfg(feature = "tokio")]
    pub async fn ready(&mut self, bell: &crate::AsyncBell) {
        self.waiting.ready(&mut self.inner, bell).await;
    }

    /// Leaves. Deliveries not yet settled stay this process's until they are dropped.
    pub fn leave(self) {
        drop(self);
    }
}

/// What becomes of a record that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settle<'a> {
    /// It is done.
    Ack,
    /// Its handler failed: this worker gives it again after a while; at the limit of attempts it is dead.
    Retry {
        /// How long until then.
        after: Duration,
        /// For its letter, if it is dead.
        reason: &'a str,
    },
    /// It is not to be given again, but to be kept as a dead letter.
    Dead {
        /// Why.
        reason: &'a str,
    },
    /// As if it had not been given: anybody may have it at once, and nothing is counted.
    Back,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is done.
    Done,
    /// It is given again.
    Again,
    /// It is a dead letter. The oldest of those that were there had to go for it where the file was full.
    Dead {
        /// Which went.
        dropped: Vec<Dropped>,
    },
}

/// A record that became a dead letter without a word from a handler.
#[derive(Debug)]
#[non_exhaustive]
pub struct Buried {
    /// Its bytes: one record, or none where they are gone.
    pub records: Arc<Records>,
    /// Its number.
    pub position: Position,
    /// Why.
    pub reason: String,
    /// How often it was given.
    pub attempts: u16,
    /// Dead letters that had to go for it where the file was full.
    pub dropped: Vec<Dropped>,
}

/// A dead letter that went for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Its record.
    pub position: Position,
    /// As its producer gave it.
    pub key: u64,
    /// As its producer gave it.
    pub tag: u64,
    /// As its producer gave it.
    pub source: u64,
}

/// Why a record was not settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The group was removed or moved by force since the record was given.
    #[error("the group was removed or moved: what was given before is not this process's any more")]
    Removed,
    /// The file of dead letters and records set aside could not be written. The record is not given again; if
    /// it is to be dead, that is tried again every second.
    #[error("the group's file of dead letters: {0}")]
    Letters(#[from] io::Error),
}

impl From<Failure> for SettleError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Removed => Self::Removed,
            Failure::Letters(error) => Self::Letters(error),
        }
    }
}

/// Records given to this process together, until they are settled: all of them by [`ack`](Self::ack), or each as
/// the [`Delivery`] that the iteration gives. Dropped without, anybody may have them at once.
#[derive(Debug)]
pub struct Deliveries {
    records: Arc<Records>,
    taken: Vec<Taken>,
    /// The first that was not given on.
    next: usize,
    post: Arc<Post>,
}

impl Deliveries {
    /// The records that were not given on, in the order in which they were taken.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + '_ {
        (self.next..self.taken.len()).map(|index| self.entry(index))
    }

    /// All that were not given on are done. Each is tried; the first failure is told.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn ack(mut self) -> Result<(), SettleError> {
        let first = std::mem::replace(&mut self.next, self.taken.len());
        let settled =
            self.post.acknowledge_all(&self.taken[first..], |index| self.entry(first + index));
        settled.map_err(SettleError::from)
    }

    fn entry(&self, index: usize) -> Entry<'_> {
        let gone = || Buffers::nothing(self.taken[index].held.position);
        self.records.get(index).unwrap_or_else(gone)
    }
}

impl Iterator for Deliveries {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        let index = self.next;
        let &Taken { held, revived } = self.taken.get(index)?;
        self.next += 1;
        let (records, post) = (Arc::clone(&self.records), Some(Arc::clone(&self.post)));
        Some(Delivery { records, index, held, revived, post })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.taken.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Deliveries {}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// A record given to this process, until it is settled. Dropped without, anybody may have it at once, and
/// nothing is counted.
#[derive(Debug)]
pub struct Delivery {
    records: Arc<Records>,
    /// Of those, its own.
    index: usize,
    held: Held,
    revived: bool,
    /// `None` once it is settled.
    post: Option<Arc<Post>>,
}

impl Delivery {
    /// The record.
    pub fn entry(&self) -> Entry<'_> {
        self.records.get(self.index).unwrap_or_else(|| Buffers::nothing(self.held.position))
    }

    /// Its bytes, to be shared for as long as one likes, settled or not: the record number
    /// [`index`](Self::index) of these, which is 0 for one that was taken alone.
    pub fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    /// Its place in [`records`](Self::records).
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Its number.
    pub const fn position(&self) -> Position {
        self.held.position
    }

    /// Which time it is given, from 1, in whatever process; never too low by more than deaths that are laid to
    /// nobody.
    pub fn attempt(&self) -> u16 {
        self.held.word.counts().given() + 1
    }

    /// Whether it may have killed its process, twice, so that it is given alone.
    pub fn is_suspect(&self) -> bool {
        self.held.word.counts().is_suspect()
    }

    /// Whether it was a dead letter that somebody had given again: it comes out of its order.
    pub const fn is_out_of_order(&self) -> bool {
        self.revived
    }

    /// Says what becomes of it.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn settle(mut self, how: Settle<'_>) -> Result<Settled, SettleError> {
        let Some(post) = self.post.take() else { return Err(SettleError::Removed) };
        let how = match how {
            Settle::Ack => How::Done,
            Settle::Retry { after, reason } => How::Retry {
                after_ns: u64::try_from(after.as_nanos()).unwrap_or(u64::MAX / 2),
                reason,
            },
            Settle::Dead { reason } => How::Dead { reason },
            Settle::Back => How::Back,
        };
        match post.settle(&self.held, &self.entry(), how) {
            Ok(Outcome::Done) => Ok(Settled::Done),
            Ok(Outcome::Again | Outcome::Back) => Ok(Settled::Again),
            Ok(Outcome::Dead(dropped)) => {
                Ok(Settled::Dead { dropped: dropped.iter().map(Dropped::of).collect() })
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(post) = self.post.take() {
            // A group that is gone has nothing to be given back to.
            let _ = post.settle(&self.held, &self.entry(), How::Back);
        }
    }
}

impl Dropped {
    pub(crate) const fn of(head: &Head) -> Self {
        Self { position: head.position, key: head.key, tag: head.tag, source: head.source }
    }
}

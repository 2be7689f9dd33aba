//! A member of a group whose records are settled in any order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::core::arming::{self, Sleeper};
use crate::core::buffers::{Buffers, Entry};
use crate::core::errors::TakeError;
use crate::core::reader::seat::Pool;
use crate::core::words::word::ATTEMPTS_MAX;
use crate::core::worker::post::Post;
use crate::core::worker::share::Moved;
use crate::core::worker::{self as core, KeyFn, TagFn, Taken, WorkerTerms};
use crate::delivery::{Buried, Deliveries, Delivery, Dropped};
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
                seal: entry.seal(),
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
        Ok(self.taken.first().map(|taken| Delivery::new(records, 0, taken, post)))
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
        Ok(Some(Deliveries::new(records, taken, post)))
    }

    fn given(&mut self, buffers: Buffers, count: usize) -> (Arc<Records>, Arc<Post>) {
        self.waiting.pacer.took(count as u64);
        let post = Arc::clone(&self.inner.post);
        (Arc::new(Records::new(buffers, Pool::clone(&post.seat.pool))), post)
    }

    /// Of a [sticky](crate::GroupSpec::sticky) group: gives up and takes partitions so that each member has an equal
    /// share; what changed, if anything did. To be called before each take, until nothing changes any more: a worker
    /// that never calls it has no partition, and is given nothing.
    ///
    /// Records of partitions that were gained are given from now on. Of those that are lost nothing is out any
    /// more; the next call lets go of them, and before that nobody else is given any of their records.
    pub fn rebalance(&mut self) -> Option<Rebalanced> {
        let Moved { gained, lost } = self.inner.rebalance();
        (!gained.is_empty() || !lost.is_empty()).then_some(Rebalanced { gained, lost })
    }

    /// The partitions it has, of a sticky group; none where that is another.
    pub fn partitions(&self) -> Vec<u16> {
        self.inner.partitions().collect()
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

    /// Wakes another member if there is more than this one has taken: to be called by those who take no more for now,
    /// before they do something else for long.
    pub fn pass_on(&mut self) {
        // What was published since the last take is not known yet.
        self.inner.has_work();
        self.inner.hand_on();
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

/// What changed of the partitions of a member of a sticky group; at least one is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebalanced {
    /// Partitions it has from now on.
    pub gained: Vec<u16>,
    /// Partitions it has no more.
    pub lost: Vec<u16>,
}

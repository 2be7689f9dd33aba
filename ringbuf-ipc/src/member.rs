//! A member of a group and what it takes.

use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::core::arming::{self, Sleeper};
use crate::core::buffers::{Buffers, Entry, Limits};
use crate::core::errors::TakeError;
use crate::core::reader::Reader;
use crate::core::reader::hold::Hold;
use crate::core::reader::seat::{Pool, recycle};
use crate::pace::{Pace, Pacer};
use crate::ring::Ring;
use crate::waiting::Waiting;
use crate::{GroupInfo, Lease, Position, RingId};

/// A member of a group, living until it and the last of its batches are dropped.
///
/// ```
/// # use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Ring, Start};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::private();
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// # let mut producer = Producer::create(&namespace, "events", geometry, &[], &bell)?;
/// # for text in ["a", "b", "c"] {
/// #     producer.stage(&Meta::default(), &[text.as_bytes()])?;
/// # }
/// # producer.publish();
/// let ring = Ring::attach(&namespace, "events")?;
/// let mut member = ring.join(&GroupSpec::durable("workers").from(Start::Earliest), &bell)?;
/// while let Some(mut batch) = member.take(Limits { records: 2, ..Limits::default() })? {
///     let done: Vec<_> = batch.records().map(|entry| entry.position).collect();
///     for position in done {
///         // Work on it here. What is not acknowledged is given again, to whoever comes.
///         batch.ack_through(position);
///     }
/// }
/// assert_eq!(member.lag(), 0);
/// # Ok(())
/// # }
/// ```
///
/// It may hold several partitions at once, one a batch. What it holds when it is killed is given again
/// to another member.
#[derive(Debug)]
pub struct Member {
    ring: Ring,
    pub(crate) reader: Reader,
    waiting: Waiting,
}

impl Member {
    pub(crate) fn new(ring: Ring, reader: Reader, bell: &Bell) -> Self {
        Self { ring, reader, waiting: Waiting::new(bell) }
    }

    /// The ring it reads.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The first record of the group, if joining it made it; `None` when it was there.
    pub fn began_at(&self) -> Option<Position> {
        self.reader.began
    }

    /// Takes hold of one partition that has records, and copies some of them out. Does not wait;
    /// `None` when there is nothing that nobody else holds.
    ///
    /// # Errors
    /// The group lost records by eviction, was removed, or a record is damaged.
    pub fn take(&mut self, limits: Limits) -> Result<Option<Batch>, TakeError> {
        let taken = self.reader.take(limits, false)?;
        Ok(taken.map(|(hold, buffers)| self.batch(hold, buffers)))
    }

    /// The same, but the records are acknowledged before they are handed out: they are given once,
    /// and lost with this process. The partition is held until the batch is dropped all the same.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn take_at_most_once(&mut self, limits: Limits) -> Result<Option<Batch>, TakeError> {
        let taken = self.reader.take(limits, true)?;
        Ok(taken.map(|(hold, buffers)| self.batch(hold, buffers)))
    }

    /// Takes hold of one partition that has records, and leaves them where they are: for those who
    /// need no slice of each. Does not wait; `None` when there is nothing that nobody else holds.
    ///
    /// # Errors
    /// As for [`take`](Self::take). A file of an out-of-line record is read later, if at all.
    pub fn lease(&mut self, limits: Limits) -> Result<Option<Lease<'_>>, TakeError> {
        let lease = self.reader.lease(limits)?;
        self.waiting.pacer.took(lease.as_ref().map_or(0, |lease| lease.entries.len() as u64));
        Ok(lease.map(Lease::new))
    }

    fn batch(&mut self, hold: Hold, buffers: Buffers) -> Batch {
        self.waiting.pacer.took(buffers.len() as u64);
        Batch::new(hold, buffers)
    }

    /// Whether a take would give something, be it an error.
    pub fn has_work(&mut self) -> bool {
        self.reader.has_work()
    }

    /// Whether the group has acknowledged all there is, and a take would give nothing: a quick look, for those who
    /// read many rings. False says nothing; [`has_work`](Self::has_work) does.
    pub fn is_idle(&self) -> bool {
        self.reader.is_idle()
    }

    /// Records the group has not acknowledged.
    pub fn lag(&self) -> u64 {
        self.ring.tail().saturating_sub(self.floor())
    }

    /// Every record before it is acknowledged by the group.
    pub fn floor(&self) -> Position {
        let seat = &self.reader.seat;
        seat.core.group_floor(seat.group).min(self.ring.tail())
    }

    /// The group it is a member of; `None` when that was removed.
    pub fn group(&self) -> Option<GroupInfo> {
        self.reader.seat.is_current().then(|| self.ring.group_info(self.reader.seat.group))?
    }

    /// Has the bell rung at the next news for this member. Look for work once more before waiting:
    /// what was there already rings no bell.
    pub fn arm(&mut self) {
        arming::arm(&mut self.reader);
    }

    /// How it weighs delay against processor time while it waits; [`Pace::LowLatency`] unless another is set.
    pub fn set_pace(&mut self, pace: Pace) {
        self.waiting.pacer = Pacer::new(pace);
    }

    /// Sleeps until there is work, or `timeout` is over; whether there is work.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.waiting.wait(&mut self.reader, timeout)
    }

    /// The longest sleep after [`arm`](Self::arm) and a look for work that found none: after that,
    /// look again, bell or no bell.
    pub fn tick(&self) -> Duration {
        self.reader.tick()
    }

    /// Waits until there is work. `bell` must be over this member's bell.
    #[cfg(feature = "tokio")]
    pub async fn ready(&mut self, bell: &crate::AsyncBell) {
        self.waiting.ready(&mut self.reader, bell).await;
    }

    /// Leaves. Batches not yet done keep their hold until they are dropped.
    pub fn leave(self) {
        drop(self);
    }
}

/// Records of one partition, copied out, and the hold on that partition.
///
/// Dropped without [`ack`](Self::ack), what was not acknowledged is given again.
#[derive(Debug)]
pub struct Batch {
    // Dropped in this order: the bytes go back to the pool, then the partition is let go.
    records: Records,
    claim: Claim,
}

impl Batch {
    fn new(hold: Hold, buffers: Buffers) -> Self {
        let pool = Arc::clone(&hold.seat.pool);
        Self { records: Records { buffers, pool }, claim: Claim { hold } }
    }

    /// The ring it was taken from.
    pub fn ring(&self) -> RingId {
        RingId(self.claim.hold.seat.core.id)
    }

    /// The partition held.
    pub fn partition(&self) -> u16 {
        self.claim.partition()
    }

    /// Number of records, at least 1.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The first record.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.records.get(0)
    }

    /// The record of that number, from 0; O(1).
    #[inline]
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.records.get(index)
    }

    /// All records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + '_ {
        self.records.buffers.iter()
    }

    /// Records up to and with `position` are done; the rest stays held.
    pub fn ack_through(&mut self, position: Position) {
        self.claim.ack_through(position);
    }

    /// All records are done; lets go of the partition.
    pub fn ack(self) {
        self.claim.ack();
    }

    /// Parts the bytes from the hold, so that the bytes can be shared for as long as a handler likes
    /// while the partition is let go at the right moment.
    pub fn split(self) -> (Records, Claim) {
        (self.records, self.claim)
    }
}

/// The records of a batch. `Send + Sync`, to be shared behind an `Arc`.
#[derive(Debug)]
pub struct Records {
    buffers: Buffers,
    pool: Pool,
}

impl Records {
    pub(crate) fn new(buffers: Buffers, pool: Pool) -> Self {
        Self { buffers, pool }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buffers.len() == 0
    }

    /// The record of that number, from 0; O(1).
    #[inline]
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.buffers.get(index)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        recycle(&self.pool, std::mem::take(&mut self.buffers));
    }
}

/// The hold on the partition of a batch. Dropping it lets go; what was not acknowledged is given again.
#[derive(Debug)]
pub struct Claim {
    hold: Hold,
}

impl Claim {
    /// The partition held.
    pub fn partition(&self) -> u16 {
        self.hold.partition
    }

    /// Records up to and with `position` are done; the rest stays held.
    pub fn ack_through(&mut self, position: Position) {
        self.hold.acknowledge_through(position);
    }

    /// All records of the batch are done; lets go of the partition.
    pub fn ack(self) {
        self.hold.advance(self.hold.next);
    }
}

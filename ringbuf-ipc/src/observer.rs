//! An observer and what it reads.

use std::time::Duration;

use crate::Position;
use crate::bell::Bell;
use crate::core::Life;
use crate::core::arming::{self, Sleeper};
use crate::core::buffers::{Buffers, Entry, Limits};
use crate::core::errors::TakeError;
use crate::core::group_spec::Start;
use crate::core::watcher::Watcher;
use crate::pace::{Pace, Pacer};
use crate::ring::Ring;
use crate::waiting::Waiting;

/// Reads a ring without holding anything: nobody waits for it, and it is told exactly how many
/// records it was too slow for.
///
/// ```
/// # use mixcord_ring::{Geometry, Limits, Meta, Namespace, Observed, Producer, Ring, Start};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::private();
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// # let mut producer = Producer::create(&namespace, "events", geometry, &[], &bell)?;
/// let mut observer = Ring::attach(&namespace, "events")?.observe("onlooker", Start::Latest, &bell)?;
/// for number in 0..100_u8 {
///     producer.stage(&Meta::default(), &[&[number]])?;
///     producer.publish();
/// }
/// let (mut seen, mut lost) = (Observed::default(), 0);
/// let mut read = 0;
/// while observer.read(Limits::default(), &mut seen)? {
///     lost += seen.lost();
///     read += seen.len() as u64;
/// }
/// assert_eq!(read + lost, 100, "the ring has 64 places");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Observer {
    ring: Ring,
    name: String,
    pub(crate) watcher: Watcher,
    waiting: Waiting,
    _life: Life,
}

/// What an observer read at a time; used again for the next time.
#[derive(Debug, Default)]
pub struct Observed {
    lost: u64,
    buffers: Buffers,
}

impl Observed {
    /// Records lost just before the first of [`entries`](Self::entries): exactly, of all kinds.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether there are no records; something may be lost all the same.
    pub fn is_empty(&self) -> bool {
        self.buffers.len() == 0
    }

    /// The records, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + '_ {
        self.buffers.iter()
    }

    /// The record of that number, from 0; O(1).
    #[inline]
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.buffers.get(index)
    }
}

impl Ring {
    /// Copies records from `from` on, or from the oldest that is still there, without being a reader of any
    /// kind: for a look at what somebody else has before him. True when there are any, or some are lost.
    ///
    /// # Errors
    /// A record is damaged.
    pub fn glance(
        &self,
        from: Position,
        limits: Limits,
        into: &mut Observed,
    ) -> Result<bool, TakeError> {
        // It never sleeps, so that it needs no slot of its own.
        let mut watcher = Watcher::new(self.core().clone(), 0, Start::At(from));
        into.lost = 0;
        into.lost = watcher.read(limits, &mut into.buffers)?;
        Ok(into.lost != 0 || !into.is_empty())
    }
}

impl Observer {
    pub(crate) fn new(ring: Ring, name: &str, watcher: Watcher, bell: &Bell, life: Life) -> Self {
        Self { ring, name: name.to_owned(), watcher, waiting: Waiting::new(bell), _life: life }
    }

    /// The ring it reads.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// As given to [`Ring::observe`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces what `into` holds by the next records. True when there are any, or some were lost.
    ///
    /// # Errors
    /// A record is damaged.
    pub fn read(&mut self, limits: Limits, into: &mut Observed) -> Result<bool, TakeError> {
        into.lost = 0;
        into.lost = self.watcher.read(limits, &mut into.buffers)?;
        self.waiting.pacer.took(into.len() as u64);
        Ok(into.lost != 0 || !into.is_empty())
    }

    /// The next record it looks at.
    pub const fn position(&self) -> Position {
        self.watcher.position()
    }

    /// Whether there are records it has not looked at.
    pub fn has_work(&self) -> bool {
        self.ring.tail() > self.position()
    }

    /// Has the bell rung at the next publish. Look for work once more before waiting: what was there
    /// already rings no bell.
    pub fn arm(&mut self) {
        arming::arm(&mut self.watcher);
    }

    /// The longest sleep after which to look again, bell or no bell.
    pub fn tick(&self) -> Duration {
        self.watcher.tick()
    }

    /// How it weighs delay against processor time while it waits; [`Pace::LowLatency`] unless another is set.
    pub fn set_pace(&mut self, pace: Pace) {
        self.waiting.pacer = Pacer::new(pace);
    }

    /// Sleeps until there is a record, or `timeout` is over; whether there is one.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.waiting.wait(&mut self.watcher, timeout)
    }

    /// Waits until there is a record. `bell` must be over this observer's bell.
    #[cfg(feature = "tokio")]
    pub async fn ready(&mut self, bell: &crate::AsyncBell) {
        self.waiting.ready(&mut self.watcher, bell).await;
    }
}

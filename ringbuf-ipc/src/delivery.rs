//! What a worker is given, and what becomes of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::Position;
use crate::core::buffers::{Buffers, Entry};
use crate::core::words::letter::Head;
use crate::core::worker::Taken;
use crate::core::worker::post::Post;
use crate::core::worker::settle::{Failure, Held, How, Outcome};
use crate::member::Records;

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
    pub(crate) const fn new(records: Arc<Records>, taken: Vec<Taken>, post: Arc<Post>) -> Self {
        Self { records, taken, next: 0, post }
    }

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
        let taken = self.taken.get(index)?;
        self.next += 1;
        Some(Delivery::new(Arc::clone(&self.records), index, taken, Arc::clone(&self.post)))
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
    pub(crate) const fn new(
        records: Arc<Records>,
        index: usize,
        taken: &Taken,
        post: Arc<Post>,
    ) -> Self {
        let &Taken { held, revived } = taken;
        Self { records, index, held, revived, post: Some(post) }
    }

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
        if how == Settle::Ack && post.acknowledge(&self.held) {
            return Ok(Settled::Done);
        }
        let how = match how {
            Settle::Ack => How::Done,
            Settle::Retry { after, reason } => How::Retry {
                after_ns: u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 2),
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

//! A shard's ring as the cache reads it.

use std::time::Duration;

use mixcord_event::topology::CACHE_GROUP;
use mixcord_ring::{
    AttachError, Batch, Bell, Entry, GroupSpec, Limits, Member, Namespace, Position, Ring, Start,
    TakeError,
};

use super::EngineError;

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

/// A shard's ring, and the records of it that were taken.
#[derive(Debug)]
pub(super) struct Input {
    ring: Ring,
    /// `None` once the ring turned out to be damaged.
    member: Option<Member>,
    batch: Option<Batch>,
    /// How many records of the batch are staged.
    staged: usize,
    /// How many of them are committed.
    done: usize,
}

impl Input {
    /// Joins a ring; `None` if it cannot be read, which is said.
    pub(super) fn join(
        namespace: &Namespace,
        name: &str,
        bell: &Bell,
    ) -> Result<Option<Self>, EngineError> {
        let ring = match Ring::attach(namespace, name) {
            Ok(ring) => ring,
            Err(AttachError::NotFound { .. }) => return Ok(None),
            Err(error) => {
                tracing::error!(ring = name, "cannot read the ring: {error}");
                return Ok(None);
            }
        };
        let group = GroupSpec::durable(CACHE_GROUP).from(Start::Earliest);
        let member = ring
            .join(&group, bell)
            .map_err(|source| EngineError::Join { ring: name.to_owned(), source })?;
        Ok(Some(Self { ring, member: Some(member), batch: None, staged: 0, done: 0 }))
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

    pub(super) fn has_work(&mut self) -> bool {
        self.batch.is_some() || self.member.as_mut().is_some_and(Member::has_work)
    }

    /// Has the bell rung at the next record; says how long to sleep at most.
    pub(super) fn arm(&mut self) -> Duration {
        self.member.as_mut().map_or(Duration::MAX, |member| {
            member.arm();
            member.tick()
        })
    }

    /// Takes what waits, if nothing is in hand; what stands before `from` was committed already.
    pub(super) fn fill(&mut self, from: Position, limits: Limits) {
        while self.batch.is_none() {
            let Some(member) = &mut self.member else { return };
            let batch = match member.take(limits) {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(error @ TakeError::Evicted { .. }) => {
                    tracing::error!(ring = self.ring.name(), "{error}");
                    continue;
                }
                Err(error) => {
                    tracing::error!(ring = self.ring.name(), "the ring is no longer read: {error}");
                    self.member = None;
                    return;
                }
            };
            let known = batch.records().take_while(|entry| entry.position < from).count();
            self.batch = Some(batch);
            (self.staged, self.done) = (known, known);
            if known > 0 {
                self.release();
            }
        }
    }

    /// The next record that is not staged.
    pub(super) fn next(&self) -> Option<Entry<'_>> {
        self.batch.as_ref()?.records().nth(self.staged)
    }

    /// The records in hand that are not staged, in order.
    pub(super) fn rest(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        self.batch.iter().flat_map(|batch| batch.records().skip(self.staged))
    }

    /// One more record is staged.
    pub(super) fn advance(&mut self, records: usize) {
        self.staged += records;
    }

    /// What was staged since the last commit is forgotten.
    pub(super) fn take_back(&mut self) {
        self.staged = self.done;
    }

    /// The position behind the records staged, if any are.
    pub(super) fn reached(&self) -> Option<Position> {
        if self.staged == self.done {
            return None;
        }
        let last = self.batch.as_ref()?.records().nth(self.staged - 1)?;
        Some(last.position + 1)
    }

    /// Releases the records staged: they are committed.
    pub(super) fn release(&mut self) {
        self.done = self.staged;
        let Some(batch) = &mut self.batch else { return };
        if self.done == batch.len() {
            if let Some(batch) = self.batch.take() {
                batch.ack();
            }
            return;
        }
        let last =
            self.done.checked_sub(1).and_then(|last| Some(batch.records().nth(last)?.position));
        if let Some(last) = last {
            batch.ack_through(last);
        }
    }
}

//! A batch: annotate, stage, commit, publish, release.

use mixcord_event::Origin;
use mixcord_ring::{Producer, StageError};
use mixcord_state::{Checkpoint, Inputs, Read, StoreError, WriteTxn};

use super::input::{self, Input};
use super::transaction::{self, Ending};
use super::work::{Done, Place, Work, stage_gap};
use super::{Engine, EngineError, Progress};
use crate::kill;
use crate::store::{DiskStore, MemoryStore};

/// Records and bytes of changes of one batch.
const RECORDS_MAX: usize = 8192;
pub(super) const CHANGES_BYTES_MAX: usize = 16 << 20;
/// After so many records their changes go into the transaction: soon enough that the pages from which
/// they were read are still near.
const SPILL_RECORDS: usize = 32;

/// Why staging ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing more waits, or the batch is long enough.
    Enough,
    /// The next record needs this many bytes.
    Full(usize),
}

impl Engine {
    pub(super) fn commit_round(&mut self) -> Result<Progress, EngineError> {
        if !self.fill() {
            return Ok(Progress::Idle);
        }
        if let Some(bytes) = self.stage_gaps()? {
            return Ok(Progress::OutputFull(bytes));
        }
        // Apart from the rest while a transaction borrows it.
        let store = self.store.take();
        let done = self.batch(store.as_ref());
        self.store = store;
        match done {
            Ok(None) => {}
            Ok(Some(progress)) => return Ok(progress),
            Err(EngineError::Store(StoreError::Full)) => return self.make_room(),
            Err(error) => return Err(error),
        }
        self.changes.committed();
        self.set_checkpoint();
        self.out.publish();
        kill::point();
        self.inputs.values_mut().for_each(Input::release);
        self.gaps.clear();
        self.knew_positions = true;
        self.records_max = self.records_max.saturating_mul(2);
        Ok(Progress::Worked)
    }

    /// Stages what waits and commits it; or says why there is nothing to commit.
    fn batch(&mut self, store: Option<&DiskStore>) -> Result<Option<Progress>, EngineError> {
        let mut txn = match store {
            Some(store) => Some(transaction::begin(store.env()?)?),
            None => None,
        };
        let end = self.stage_round(&mut txn)?;
        let staged = self.inputs.iter();
        let staged: Inputs =
            staged.filter_map(|(&key, input)| Some((key, input.reached()?))).collect();
        // What is left of a record whose state was lost has no outputs, and is done all the same.
        if self.out.staged_tail() == self.out.tail() && staged.is_empty() {
            return Ok(Some(match end {
                End::Full(bytes) => Progress::OutputFull(bytes),
                End::Enough => Progress::Idle,
            }));
        }
        let mut positions = self.positions.clone();
        positions.extend(staged);
        if let Some(txn) = txn {
            let ending = Ending {
                positions: &positions,
                persisted: &self.persisted,
                shards: self.shards,
                output: (self.out.id().0, self.out.staged_tail()),
            };
            ending.commit(txn, &mut self.changes)?;
        }
        self.persisted.clone_from(&positions);
        self.positions = positions;
        Ok(None)
    }

    /// The store has no room for the batch, which begins anew once there is.
    fn make_room(&mut self) -> Result<Progress, EngineError> {
        self.take_back();
        let Some(store) = &mut self.store else { return Ok(Progress::Idle) };
        store.clear_stale_readers()?;
        let grown = store.grow().unwrap_or_else(|error| {
            tracing::error!("{error}");
            false
        });
        if grown {
            return Ok(Progress::Worked);
        }
        // A page that a batch touches is there twice until the batch ends: a shorter one may fit.
        let was_shortest = std::mem::replace(&mut self.records_max, 1) == 1;
        Ok(if was_shortest {
            Progress::StoreFull { oldest_reader: store.oldest_reader() }
        } else {
            Progress::Worked
        })
    }

    /// Keeps the positions in the output ring too.
    pub(super) fn set_checkpoint(&mut self) {
        let store = self.store.as_ref().map_or(0, |store| store.id());
        let checkpoint = Checkpoint { store, inputs: self.positions.clone() };
        let bytes = checkpoint.to_bytes(Producer::CHECKPOINT_MAX, self.shards);
        if let Err(error) = self.out.set_checkpoint(&bytes) {
            tracing::error!("{error}");
        }
    }

    /// Takes what waits in the rings; says whether there is anything to do.
    fn fill(&mut self) -> bool {
        let shards = self.shards;
        let limits = input::limits(self.inputs.len());
        let mut some = false;
        for (key, input) in &mut self.inputs {
            if Some(key.0) == shards {
                let from = self.positions.get(key).map_or(0, |known| known.position);
                if let Some(reason) = input.fill(from, limits) {
                    self.gaps.push(super::Gap { shard: *key, reason });
                }
                some |= input.next().is_some();
            }
        }
        some || !self.gaps.is_empty()
    }

    /// Annotates and stages what waits, until the output ring is full.
    fn stage_round(&mut self, txn: &mut Option<WriteTxn<'_>>) -> Result<End, EngineError> {
        let Self { out, settings, inputs, first, positions, changes, outputs, shards, .. } = self;
        let mut left = self.records_max.min(RECORDS_MAX);
        let empty = MemoryStore::default();
        let mut work = Work { out, settings, changes, outputs, keeps: txn.is_some() };
        let mut end = End::Enough;
        let mut torn = false;
        // Whoever was not served when the last round ended is served first in this one: under
        // back-pressure all shards slow down alike.
        let order: Vec<_> =
            inputs.range(*first..).chain(inputs.range(..*first)).map(|(key, _)| *key).collect();
        'inputs: for key in &order {
            let Some(input) = inputs.get_mut(key).filter(|_| Some(key.0) == *shards) else {
                continue;
            };
            let ring = input.id();
            let known = positions.get(key);
            let mut staged = 0;
            let mut part = None;
            let mut stopped = false;
            for entry in input.rest() {
                if left == 0 || work.changes.bytes() > CHANGES_BYTES_MAX {
                    stopped = true;
                    break;
                }
                left -= 1;
                if let Some(txn) = txn.as_mut().filter(|_| left.is_multiple_of(SPILL_RECORDS)) {
                    transaction::spill(txn, work.changes)?;
                }
                let base: &dyn Read = txn.as_ref().map_or(&empty, |txn| txn);
                let at = Place { shard: *key, ring, position: entry.position };
                let known = known.filter(|known| known.position == entry.position);
                let from = known.map_or(0, |known| known.index);
                match work.record(base, at, entry, from)? {
                    Done::Staged => {
                        staged += 1;
                        continue;
                    }
                    Done::Part(index) => part = Some(index),
                    Done::Full(bytes) => end = End::Full(bytes),
                    Done::Torn(bytes) => (end, torn) = (End::Full(bytes), true),
                }
                stopped = true;
                break;
            }
            input.advance(staged, part);
            if stopped {
                let served = staged > 0 && !torn;
                *first = if served { (key.0, key.1.saturating_add(1)) } else { *key };
                break 'inputs;
            }
        }
        if torn {
            // Half a record is staged behind the others: begin again, record by record.
            *txn = None;
            self.take_back();
            self.records_max = 1;
        }
        Ok(end)
    }

    /// Stages the losses that are to be told first; gives the bytes that are missing for them, if any are.
    fn stage_gaps(&mut self) -> Result<Option<usize>, EngineError> {
        let mut bytes = Vec::new();
        for gap in &self.gaps {
            let position = self.out.staged_tail();
            gap.encode(Origin { ring: self.out.id().0, position }, 0, &mut bytes);
            match stage_gap(&mut self.out, 0, &bytes) {
                Ok(()) => {}
                Err(StageError::Full) => {
                    self.out.discard_staged();
                    return Ok(Some(bytes.len()));
                }
                Err(error) => return Err(EngineError::Stage(error)),
            }
        }
        Ok(None)
    }

    /// Forgets the batch; nothing of it was committed.
    pub(super) fn take_back(&mut self) {
        self.out.discard_staged();
        self.changes.take_back();
        self.inputs.values_mut().for_each(Input::take_back);
    }
}

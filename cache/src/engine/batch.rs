//! A batch: losses and records annotated, staged behind the output ring's tail, and committed to the
//! store. What is published and released afterwards is the engine's business.

use std::collections::BTreeMap;

use mixcord_event::Origin;
use mixcord_ring::{Producer, StageError};
use mixcord_state::{Inputs, Read, WriteTxn};

use super::gap::Gap;
use super::input::Input;
use super::limits::{CHANGES_BYTES_MAX, RECORDS_MAX, SPILL_RECORDS};
use super::transaction::{self, Ending};
use super::work::{Done, Place, Work, stage_gap};
use super::{EngineError, Progress};
use crate::annotate::Outputs;
use crate::settings::Settings;
use crate::store::{Changes, DiskStore, MemoryStore};

/// The batch in work, and what stays from one to the next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Changes,
    outputs: Outputs,
    /// Losses to be told before anything else.
    pub(super) gaps: Vec<Gap>,
    /// The input whose turn it is first.
    first: (u16, u16),
    /// Records of the batch at most: one after a batch that had to be taken back, and twice as many
    /// after each that was committed.
    records_max: usize,
}

/// How far everything is committed.
#[derive(Default, Debug)]
pub(super) struct Reached {
    /// How far each input ring is. A ring's id may be folded until the ring is seen.
    pub(super) positions: Inputs,
    /// The positions that the store holds.
    pub(super) persisted: Inputs,
    /// The shard count whose rings are read; those of another wait until these are drained.
    pub(super) shards: Option<u16>,
}

/// What a batch works on.
pub(super) struct Around<'a> {
    pub(super) out: &'a mut Producer,
    pub(super) store: Option<&'a DiskStore>,
    pub(super) settings: &'a Settings,
    pub(super) inputs: &'a mut BTreeMap<(u16, u16), Input>,
    pub(super) reached: &'a mut Reached,
}

/// Why staging ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing more waits, or the batch is long enough.
    Enough,
    /// The next record needs this many bytes.
    Full(usize),
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            changes: Changes::default(),
            outputs: Outputs::default(),
            gaps: Vec::new(),
            first: (0, 0),
            records_max: usize::MAX,
        }
    }
}

impl Batch {
    /// Stages what waits and commits it; or says why there is nothing to publish.
    pub(super) fn commit(
        &mut self,
        around: &mut Around<'_>,
    ) -> Result<Option<Progress>, EngineError> {
        if let Some(bytes) = self.stage_gaps(around.out)? {
            return Ok(Some(Progress::OutputFull(bytes)));
        }
        let mut txn = match around.store {
            Some(store) => Some(transaction::begin(store.env()?)?),
            None => None,
        };
        let end = self.stage_records(around, &mut txn)?;
        let staged = around.inputs.iter();
        let staged: Inputs =
            staged.filter_map(|(&key, input)| Some((key, input.reached()?))).collect();
        // What is left of a record whose state was lost has no outputs, and is done all the same.
        if around.out.staged_tail() == around.out.tail() && staged.is_empty() {
            return Ok(Some(match end {
                End::Full(bytes) => Progress::OutputFull(bytes),
                End::Enough => Progress::Idle,
            }));
        }
        let mut positions = around.reached.positions.clone();
        positions.extend(staged);
        if let Some(txn) = txn {
            let ending = Ending {
                positions: &positions,
                persisted: &around.reached.persisted,
                shards: around.reached.shards,
                output: (around.out.id().0, around.out.staged_tail()),
            };
            ending.commit(txn, &mut self.changes)?;
        }
        around.reached.persisted.clone_from(&positions);
        around.reached.positions = positions;
        self.changes.committed();
        Ok(None)
    }

    /// It is published: the next one may be longer.
    pub(super) fn published(&mut self) {
        self.gaps.clear();
        self.records_max = self.records_max.saturating_mul(2);
    }

    /// Forgets what was staged; nothing of it was committed.
    pub(super) fn take_back(
        &mut self,
        out: &mut Producer,
        inputs: &mut BTreeMap<(u16, u16), Input>,
    ) {
        out.discard_staged();
        self.changes.take_back();
        inputs.values_mut().for_each(Input::take_back);
    }

    /// The next batch has one record; says whether this one had no more.
    pub(super) fn shorten(&mut self) -> bool {
        std::mem::replace(&mut self.records_max, 1) == 1
    }

    /// Annotates and stages what waits, until the output ring is full.
    fn stage_records(
        &mut self,
        around: &mut Around<'_>,
        txn: &mut Option<WriteTxn<'_>>,
    ) -> Result<End, EngineError> {
        let Reached { positions, shards, .. } = &*around.reached;
        let mut left = self.records_max.min(RECORDS_MAX);
        let empty = MemoryStore::default();
        let mut work = Work {
            out: around.out,
            settings: around.settings,
            changes: &mut self.changes,
            outputs: &mut self.outputs,
            keeps: txn.is_some(),
        };
        let mut end = End::Enough;
        let mut torn = false;
        // Whoever was not served when the last round ended is served first in this one: under
        // back-pressure all shards slow down alike.
        let (after, before) =
            (around.inputs.range(self.first..), around.inputs.range(..self.first));
        let order: Vec<_> = after.chain(before).map(|(key, _)| *key).collect();
        'inputs: for key in &order {
            let Some(input) = around.inputs.get_mut(key).filter(|_| Some(key.0) == *shards) else {
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
                self.first = if served { (key.0, key.1.saturating_add(1)) } else { *key };
                break 'inputs;
            }
        }
        if torn {
            // Half a record is staged behind the others: begin again, record by record.
            *txn = None;
            self.take_back(around.out, around.inputs);
            self.records_max = 1;
        }
        Ok(end)
    }

    /// Stages the losses that are to be told first; gives the bytes that are missing for them, if any are.
    fn stage_gaps(&mut self, out: &mut Producer) -> Result<Option<usize>, EngineError> {
        let mut bytes = Vec::new();
        for gap in &self.gaps {
            let position = out.staged_tail();
            gap.encode(Origin { ring: out.id().0, position }, 0, &mut bytes);
            match stage_gap(out, 0, &bytes) {
                Ok(()) => {}
                Err(StageError::Full) => {
                    out.discard_staged();
                    return Ok(Some(bytes.len()));
                }
                Err(error) => return Err(EngineError::Stage(error)),
            }
        }
        Ok(None)
    }
}

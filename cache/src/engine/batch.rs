//! A batch: losses and records annotated, staged behind the output ring's tail, and committed to the
//! store. What is published and released afterwards is the engine's business.

use std::collections::BTreeMap;

use mixcord_event::{Origin, Reason, Record};
use mixcord_ring::{Entry, Position, Producer, StageError};
use mixcord_state::{Arena, Inputs};

use super::ahead::Ahead;
use super::gap::Gap;
use super::input::Input;
use super::limits::{OUTPUT_BYTES_MAX, RECORDS_MAX};
use super::reached::{Reached, Times};
use super::tally::Tally;
use super::transaction::Ending;
use super::work::{Done, Ground, Need, Place, Work, stage_gap};
use super::{EngineError, Progress};
use crate::annotate::Outputs;
use crate::settings::Settings;
use crate::store::{BATCH_BYTES_MAX, DiskStore, MemoryStore, Notes, OpenBatch};

/// The batch in work, and what stays from one to the next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) notes: Notes,
    outputs: Outputs,
    /// What a record read.
    arena: Arena,
    /// Losses to be told before anything else.
    pub(super) gaps: Vec<Gap>,
    /// How many of them are staged; the output ring may have too few places for all.
    told: usize,
    /// Whether the store has some that were not told.
    stored_gaps: bool,
    /// The input whose turn it is first.
    first: (u16, u16),
    /// Records of the batch at most: one after a batch that had to be taken back, and twice as many
    /// after each that was committed.
    records_max: usize,
    /// The record that was begun last: its shard and position.
    begun: Option<((u16, u16), Position)>,
    /// A record that no store takes, whose loss is told in its place.
    too_much: Option<((u16, u16), Position)>,
    pub(super) tally: Tally,
}

/// What a batch works on.
pub(super) struct Around<'a> {
    pub(super) out: &'a mut Producer,
    pub(super) store: Option<&'a mut DiskStore>,
    pub(super) settings: &'a Settings,
    pub(super) inputs: &'a mut BTreeMap<(u16, u16), Input>,
    pub(super) reached: &'a mut Reached,
    /// Why the system refused a file, if it did.
    pub(super) refusal: &'a mut String,
}

/// Why staging ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing more waits, or the batch is long enough.
    Enough,
    /// The next record waits for this.
    Waits(Need),
}

/// What was staged, beside the inputs' own positions.
struct Staged {
    end: End,
    times: Times,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            notes: Notes::default(),
            outputs: Outputs::default(),
            arena: Arena::default(),
            gaps: Vec::new(),
            told: 0,
            stored_gaps: false,
            first: (0, 0),
            records_max: usize::MAX,
            begun: None,
            too_much: None,
            tally: Tally::default(),
        }
    }
}

impl Batch {
    /// Losses found at the start that an earlier run did not tell.
    pub(super) fn resume(&mut self, untold: Vec<Gap>) {
        self.stored_gaps = !untold.is_empty();
        self.gaps = untold;
    }

    /// Losses that this batch does not tell.
    pub(super) fn untold(&self) -> &[Gap] {
        &self.gaps[self.told..]
    }

    /// Stages what waits and commits it; or says why there is nothing to publish.
    pub(super) fn commit(
        &mut self,
        around: &mut Around<'_>,
    ) -> Result<Option<Progress>, EngineError> {
        if let Some(bytes) = self.stage_gaps(around.out)? {
            return Ok(Some(Progress::OutputFull(bytes)));
        }
        let Staged { end, times } = if self.untold().is_empty() {
            self.stage_records(around)?
        } else {
            Staged { end: End::Enough, times: around.reached.times }
        };
        let staged = around.inputs.iter();
        let staged: Inputs =
            staged.filter_map(|(&key, input)| Some((key, input.reached()?))).collect();
        // What is left of a record whose state was lost has no outputs, and is done all the same.
        if around.out.staged_tail() == around.out.tail() && staged.is_empty() {
            return Ok(Some(match end {
                End::Waits(Need::Bytes(bytes)) => Progress::OutputFull(bytes),
                End::Waits(Need::File) => Progress::Refused,
                End::Enough => Progress::Idle,
            }));
        }
        let before = (around.reached.positions.clone(), around.reached.times);
        around.reached.positions.extend(staged);
        around.reached.times = times;
        if let Some(store) = &mut around.store {
            let ending = Ending {
                reached: around.reached,
                output: (around.out.id().0, around.out.staged_tail()),
                untold: &self.gaps[self.told..],
                had_untold: self.stored_gaps,
            };
            if let Err(error) = ending.commit(store.writer_mut()) {
                (around.reached.positions, around.reached.times) = before;
                return Err(error.into());
            }
        }
        let held_back = if around.store.is_some() { &[] } else { &self.gaps[self.told..] };
        around.reached.committed(held_back);
        self.tally.commit();
        self.notes.committed();
        Ok(None)
    }

    /// It is published: the next one may be longer.
    pub(super) fn published(&mut self) {
        self.gaps.drain(..std::mem::take(&mut self.told));
        self.stored_gaps = !self.gaps.is_empty();
        self.records_max = self.records_max.saturating_mul(2);
    }

    /// Forgets what was staged; nothing of it was committed.
    pub(super) fn take_back(
        &mut self,
        out: &mut Producer,
        store: Option<&mut DiskStore>,
        inputs: &mut BTreeMap<(u16, u16), Input>,
    ) {
        out.discard_staged();
        if let Some(store) = store {
            store.writer_mut().discard();
        }
        self.told = 0;
        self.tally.take_back();
        self.notes.take_back();
        inputs.values_mut().for_each(Input::take_back);
    }

    /// The next batch has one record; says whether this one had no more.
    pub(super) fn shorten(&mut self) -> bool {
        std::mem::replace(&mut self.records_max, 1) == 1
    }

    /// The record that a batch of one record had is too much for the store: its loss is told. False where
    /// there was none, or it was told already.
    pub(super) fn give_up(&mut self) -> bool {
        let begun = self.begun.take().filter(|begun| self.too_much != Some(*begun));
        self.too_much = begun.or(self.too_much);
        begun.is_some()
    }

    /// Annotates and stages what waits, until the output ring is full.
    fn stage_records(&mut self, around: &mut Around<'_>) -> Result<Staged, EngineError> {
        let Reached { positions, shards, times, .. } = &*around.reached;
        let (mut applied_us, cut_us) = (times.applied_us, times.cut_us);
        let mut left = self.records_max.min(RECORDS_MAX);
        self.begun = None;
        let mut work = Work {
            out: around.out,
            settings: around.settings,
            ground: match &mut around.store {
                Some(store) => Ground::Store(OpenBatch::new(store.writer_mut(), &mut self.arena)),
                None => Ground::Nothing(MemoryStore::default()),
            },
            notes: &mut self.notes,
            outputs: &mut self.outputs,
            output_bytes_max: OUTPUT_BYTES_MAX,
            refusal: around.refusal,
            tally: &mut self.tally,
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
            let mut newer = None;
            let mut cut = input.cut;
            let mut ahead = Ahead::new(input.rest());
            for entry in input.rest() {
                if left == 0 || work.ground.changed_bytes() > BATCH_BYTES_MAX {
                    stopped = true;
                    break;
                }
                left -= 1;
                if let Ground::Store(store) = &work.ground {
                    ahead.step(store, work.notes);
                }
                let at = Place { shard: *key, ring, position: entry.position };
                let received_us = received_us(entry);
                if cut.leaves_out(entry.position, received_us, cut_us) {
                    match work.leave_out(at, cut) {
                        Done::Waits(need) => end = End::Waits(need),
                        _ => {
                            staged += 1;
                            continue;
                        }
                    }
                    stopped = true;
                    break;
                }
                let known = known.filter(|known| known.position == entry.position);
                let from = known.map_or(0, |known| known.index);
                let place = Some((*key, entry.position));
                self.begun = place;
                let done = match place == self.too_much {
                    true => work.tell(at, from, Reason::Undeliverable),
                    false => work.record(at, entry, from)?,
                };
                match done {
                    Done::Staged => {
                        applied_us = applied_us.max(received_us.unwrap_or(0));
                        staged += 1;
                        continue;
                    }
                    Done::Part(index) => part = Some(index),
                    Done::Waits(need) => end = End::Waits(need),
                    Done::Torn(need) => (end, torn) = (End::Waits(need), true),
                    Done::Newer(error) => {
                        newer = Some((entry.position, error));
                        break;
                    }
                }
                stopped = true;
                break;
            }
            drop(ahead);
            input.cut = cut;
            work.tally.records(staged);
            input.advance(staged, part);
            if let Some((position, error)) = newer {
                input.stop_before(position, error);
            }
            if stopped {
                let served = staged > 0 && !torn;
                self.first = if served { (key.0, key.1.saturating_add(1)) } else { *key };
                break 'inputs;
            }
        }
        if torn {
            // Half a record is staged behind the others: begin again, record by record.
            self.take_back(around.out, around.store.as_deref_mut(), around.inputs);
            self.records_max = 1;
            applied_us = times.applied_us;
        }
        Ok(Staged { end, times: Times { applied_us, cut_us } })
    }

    /// Stages the losses that are to be told first, as many as there is room for; gives the bytes that are
    /// missing if there is room for none.
    fn stage_gaps(&mut self, out: &mut Producer) -> Result<Option<usize>, EngineError> {
        let mut bytes = Vec::new();
        self.told = 0;
        for gap in &self.gaps {
            let position = out.staged_tail();
            gap.encode(Origin { ring: out.id().0, position }, 0, &mut bytes);
            match stage_gap(out, 0, &bytes) {
                Ok(()) => {
                    self.tally.gap(gap.reason);
                    self.told += 1;
                }
                Err(StageError::Full) => return Ok((self.told == 0).then_some(bytes.len())),
                Err(error) => return Err(EngineError::Stage(error)),
            }
        }
        Ok(None)
    }
}

/// When a record was received, if it says so.
fn received_us(entry: Entry<'_>) -> Option<u64> {
    Record::parse_head(entry.payload).ok().map(|record| record.header().received_us)
}

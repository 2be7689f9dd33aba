//! A batch: losses and records annotated, staged behind the output ring's tail, and committed to the
//! store. What is published and released afterwards is the engine's business.

use std::collections::BTreeMap;

use mixcord_event::Origin;
use mixcord_ring::{Position, Producer, StageError};
use mixcord_state::{Arena, InputPosition};

use super::beside::Beside;
use super::gap::Gap;
use super::input::Input;
use super::limits::{OUTPUT_BYTES_MAX, RECORDS_MAX};
use super::pass::{End, Pass, Shard};
use super::positions::News;
use super::reached::{Reached, Times};
use super::stage::stage_gap;
use super::tally::Tally;
use super::transaction::Ending;
use super::work::{Ground, Need, Work};
use super::{EngineError, Progress};
use crate::annotate::Outputs;
use crate::settings::Settings;
use crate::store::{DiskStore, MemoryStore, Notes, OpenBatch};

/// The batch in work, and what stays from one to the next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) notes: Notes,
    outputs: Outputs,
    /// What a record read.
    arena: Arena,
    /// Inputs with records in hand, in their order.
    pub(super) waiting: Vec<Shard>,
    /// Losses to be told before anything else.
    pub(super) gaps: Vec<Gap>,
    /// How many of them are staged; the output ring may have too few places for all.
    told: usize,
    /// Whether the store has some that were not told.
    stored_gaps: bool,
    /// Of the batch that is committed; kept for its memory.
    news: Vec<News>,
    /// The input whose turn it is first.
    first: Shard,
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
    /// While two sets of sessions run side by side.
    pub(super) beside: &'a mut Option<Beside>,
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
            waiting: Vec::new(),
            gaps: Vec::new(),
            told: 0,
            stored_gaps: false,
            news: Vec::new(),
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
        let reached = |key: &Shard| {
            let before = around.reached.positions.get(key).map(|known| known.origin);
            Some((*key, around.inputs.get(key)?.reached(before.unwrap_or_default())?))
        };
        let staged: Vec<(Shard, InputPosition)> = self.waiting.iter().filter_map(reached).collect();
        // What is left of a record whose state was lost has no outputs, and is done all the same.
        let changes =
            around.reached.has_ended || around.beside.as_ref().is_some_and(Beside::has_changes);
        if around.out.staged_tail() == around.out.tail() && staged.is_empty() && !changes {
            return Ok(Some(match end {
                End::Waits(Need::Bytes(bytes)) => Progress::OutputFull(bytes),
                End::Waits(Need::File) => Progress::Refused,
                End::Enough => Progress::Idle,
            }));
        }
        let times_before = std::mem::replace(&mut around.reached.times, times);
        let before = staged
            .into_iter()
            .map(|(shard, input)| (shard, around.reached.positions.insert(shard, input)));
        let before: Vec<_> = before.collect();
        self.news.clear();
        self.news.extend(around.reached.positions.news());
        if let Some(store) = &mut around.store {
            let ending = Ending {
                reached: around.reached,
                news: &self.news,
                output: (around.out.id().0, around.out.staged_tail()),
                untold: &self.gaps[self.told..],
                had_untold: self.stored_gaps,
                beside: around.beside.as_mut(),
            };
            if let Err(error) = ending.commit(store.writer_mut()) {
                around.reached.times = times_before;
                for (shard, input) in before {
                    match input {
                        Some(input) => {
                            around.reached.positions.insert(shard, input);
                        }
                        None => around.reached.positions.remove(shard),
                    }
                }
                return Err(error.into());
            }
        }
        let held_back = if around.store.is_some() { &[] } else { &self.gaps[self.told..] };
        around.reached.committed(&self.news, held_back);
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
        let Reached { positions, times, .. } = &*around.reached;
        let work = Work {
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
        self.begun = None;
        let mut pass = Pass {
            work,
            left: self.records_max.min(RECORDS_MAX),
            cut_us: times.cut_us,
            applied_us: times.applied_us,
            begun: &mut self.begun,
            too_much: self.too_much,
            end: End::Enough,
            torn: false,
            beside: around.beside.as_mut(),
        };
        let may_go_on = pass.due()?;
        // Whoever was not served when the last round ended is served first in this one: under
        // back-pressure all shards slow down alike.
        let first = self.waiting.partition_point(|key| *key < self.first);
        let (before, after) = self.waiting.split_at(first);
        let in_turn = after.iter().chain(before).filter(|_| may_go_on);
        let lent = in_turn.filter_map(|key| Some(around.inputs.get_mut(key)?.lend(*key)));
        let lent: Vec<_> = lent.collect();
        let over = pass.inputs(&lent, around.inputs, positions);
        for lent in lent {
            if let Some(input) = around.inputs.get_mut(&lent.shard) {
                input.have_back(lent);
            }
        }
        self.first = over?.unwrap_or(self.first);
        let Pass { mut applied_us, end, torn, .. } = pass;
        if torn {
            // Half a record is staged behind the others: begin again, record by record.
            self.take_back(around.out, around.store.as_deref_mut(), around.inputs);
            if let Some(store) = &around.store {
                *around.beside = Beside::load(&store.view(&Arena::default()))?;
            }
            self.records_max = 1;
            applied_us = times.applied_us;
        }
        Ok(Staged { end, times: Times { applied_us, cut_us: times.cut_us } })
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

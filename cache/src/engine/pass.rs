//! One pass over the inputs: their records annotated and staged, until the output ring is full or the batch long
//! enough.

use std::collections::BTreeMap;

use mixcord_event::{Reason, Record};
use mixcord_ring::Position;
use mixcord_state::{InputPosition, Inputs, StoreError};

use super::ahead::{Ahead, Waiting};
use super::beside::Beside;
use super::cut::Cut;
use super::input::{Input, Lent};
use super::work::{Done, Need, Place, Work};
use crate::store::BATCH_BYTES_MAX;

/// An input, by shard count and shard.
pub(super) type Shard = (u16, u16);

/// Why staging ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing more waits, or the batch is long enough.
    Enough,
    /// The next record waits for this.
    Waits(Need),
}

/// A pass.
pub(super) struct Pass<'a> {
    pub(super) work: Work<'a>,
    /// Records that the batch may still take.
    pub(super) left: usize,
    /// What was received until then is left out.
    pub(super) cut_us: u64,
    /// When the latest record that is staged was received.
    pub(super) applied_us: u64,
    /// The record that was begun last.
    pub(super) begun: &'a mut Option<(Shard, Position)>,
    /// A record that no store takes.
    pub(super) too_much: Option<(Shard, Position)>,
    pub(super) end: End,
    /// Whether half a record is staged.
    pub(super) torn: bool,
    /// While two sets of sessions run side by side.
    pub(super) beside: Option<&'a mut Beside>,
}

impl Pass<'_> {
    /// Takes the records of some inputs, one input after the other; gives whose turn is first in the next pass, where
    /// this one is over before all are done.
    pub(super) fn inputs(
        &mut self,
        lent: &[Lent],
        inputs: &mut BTreeMap<Shard, Input>,
        positions: &Inputs,
    ) -> Result<Option<Shard>, StoreError> {
        let mut ahead = Ahead::new(lent);
        for (turn, Lent { shard, .. }) in lent.iter().enumerate() {
            let Some(input) = inputs.get_mut(shard) else { continue };
            let known = positions.get(shard);
            if let Some(first) = self.input((turn, *shard), input, &mut ahead, known)? {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Takes an input's records.
    fn input(
        &mut self,
        (turn, shard): (usize, Shard),
        input: &mut Input,
        ahead: &mut Ahead<'_>,
        known: Option<&InputPosition>,
    ) -> Result<Option<Shard>, StoreError> {
        // What records were looked at for until now, of which none may have begun.
        self.work.ground.forget_reads();
        let (ring, mut cut) = (input.id(), input.cut);
        let (mut staged, mut stops) = (0, false);
        // What there is of the record that ended it, and of which other one there is nothing.
        let (mut part, mut newer, mut over) = (None, None, false);
        while let Some(waiting) = ahead.next(turn, self.work.ground.batch(), self.work.notes) {
            over = self.left == 0 || self.work.ground.changed_bytes() > BATCH_BYTES_MAX;
            if over {
                break;
            }
            self.left -= 1;
            let at = Place { shard, ring, position: waiting.entry.position };
            match self.record(at, waiting, &mut cut, known)? {
                Done::Staged => {
                    staged += 1;
                    if self.due()? {
                        continue;
                    }
                }
                Done::Part(index) => part = Some(index),
                Done::Stopped => {
                    stops = true;
                    break;
                }
                Done::Waits(need) => self.end = End::Waits(need),
                Done::Torn(need) => (self.end, self.torn) = (End::Waits(need), true),
                Done::Newer(error) => newer = Some((at.position, error)),
            }
            over = newer.is_none();
            break;
        }
        input.cut = cut;
        self.work.tally.records(staged);
        input.advance(staged, part);
        input.stops = stops;
        if let Some((position, error)) = newer {
            input.stop_before(position, error);
        }
        let served = staged > 0 && !self.torn;
        let first = if served { (shard.0, shard.1.saturating_add(1)) } else { shard };
        Ok(over.then_some(first))
    }

    /// One record.
    fn record(
        &mut self,
        at: Place,
        waiting: &Waiting<'_>,
        cut: &mut Cut,
        known: Option<&InputPosition>,
    ) -> Result<Done, StoreError> {
        let received_us = received_us(waiting);
        if cut.leaves_out(at.position, received_us, self.cut_us) {
            return Ok(self.work.leave_out(at, *cut));
        }
        let known = known.filter(|known| known.position == at.position);
        let from = known.map_or(0, |known| known.index);
        let place = Some((at.shard, at.position));
        *self.begun = place;
        let done = if place == self.too_much {
            self.work.tell(at, from, Reason::Undeliverable)
        } else {
            self.judged(at, waiting, from)?
        };
        if done == Done::Staged {
            self.applied_us = self.applied_us.max(received_us.unwrap_or(0));
        }
        Ok(done)
    }
}

/// When a record was received, if it says so.
fn received_us(waiting: &Waiting<'_>) -> Option<u64> {
    match &waiting.record {
        Ok(record) => Some(record.header().received_us),
        Err(_) => Some(Record::parse_head(waiting.entry.payload).ok()?.header().received_us),
    }
}

//! How a record that was given comes back.

use std::io;

use super::Taken;
use super::burial::Burial;
use super::post::{Origin, Post, Settled};
use crate::core::Position;
use crate::core::buffers::Entry;
use crate::core::layout::group;
use crate::core::words::desk::Left;
use crate::core::words::lanes::Key;
use crate::core::words::letter::{Condition, Head, Kept};
use crate::core::words::table::Settlement;
use crate::core::words::word::{Epoch, Word};

/// A record out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) position: Position,
    pub(crate) lane: Key,
    /// Of a sticky group, else 0.
    pub(crate) partition: u16,
    /// What its take wrote.
    pub(crate) word: Word,
    pub(crate) origin: Origin,
}

/// What is to become of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How<'a> {
    Done,
    Retry { after_ns: u64, reason: &'a str },
    Dead { reason: &'a str },
    Back,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Again,
    Back,
    /// A dead letter; these went for want of room.
    Dead(Vec<Head>),
}

/// Why nothing came of it.
#[derive(Debug)]
pub(crate) enum Failure {
    Removed,
    /// The file could not be written. The record is not given again, and is written down later.
    Letters(io::Error),
}

impl Post {
    /// Acknowledges a record as nearly all are; false where it takes more than that: then nothing was done.
    pub(crate) fn acknowledge(&self, held: &Held) -> bool {
        let words = self.seat.core.words(self.seat.group, self.seat.epoch);
        let is_done = held.origin == Origin::Ring && words.done(held.position, held.word);
        if is_done {
            self.leave(held, Left::Past);
            self.acknowledged(1);
            self.let_producer_know();
        }
        is_done
    }

    /// Settles a record; `entry` is what was given.
    pub(crate) fn settle(
        &self,
        held: &Held,
        entry: &Entry<'_>,
        how: How<'_>,
    ) -> Result<Outcome, Failure> {
        let outcome = if held.origin == Origin::Ring {
            self.settle_in_ring(held, entry, how)
        } else {
            self.settle_in_file(held, entry, how)
        };
        if matches!(outcome, Ok(Outcome::Done | Outcome::Dead(_))) {
            self.acknowledged(1);
            self.let_producer_know();
        }
        outcome
    }

    /// Acknowledges records that were taken together. All are tried; the first failure is given.
    pub(crate) fn acknowledge_all<'a>(
        &self,
        taken: &[Taken],
        entry: impl Fn(usize) -> Entry<'a>,
    ) -> Result<(), Failure> {
        let words = self.seat.core.words(self.seat.group, self.seat.epoch);
        let mut elsewhere = Vec::new();
        self.came_back(taken.iter().enumerate().filter_map(|(index, taken)| {
            let Held { position, lane, partition, word, origin } = taken.held;
            let settled = origin == Origin::Ring && words.done(position, word);
            if !settled {
                elsewhere.push(index);
            }
            settled.then_some(Settled { position, lane, partition, origin, left: Left::Past })
        }));
        self.acknowledged((taken.len() - elsewhere.len()) as u64);
        self.let_producer_know();
        let mut outcome = Ok(());
        for index in elsewhere {
            let settled = self.settle(&taken[index].held, &entry(index), How::Done);
            if let Err(failure) = settled {
                outcome = outcome.and(Err(failure));
            }
        }
        outcome
    }

    fn settle_in_ring(
        &self,
        held: &Held,
        entry: &Entry<'_>,
        how: How<'_>,
    ) -> Result<Outcome, Failure> {
        let &Held { position, word, .. } = held;
        let words = self.seat.core.words(self.seat.group, self.seat.epoch);
        let how = self.last_straw(word, how);
        let settlement = match how {
            How::Done => Settlement::Done,
            How::Retry { .. } => Settlement::Retry,
            How::Back => Settlement::Back,
            How::Dead { .. } => Settlement::Dying,
        };
        let Some(after) = words.settle(position, word, settlement) else {
            return self.settle_in_file(held, entry, how);
        };
        match how {
            How::Done => {
                self.leave(held, Left::Past);
                Ok(Outcome::Done)
            }
            How::Retry { after_ns, .. } => {
                self.leave(held, Left::Until(self.seat.core.environment.now_ns() + after_ns));
                Ok(Outcome::Again)
            }
            How::Back => {
                self.leave(held, Left::Back);
                self.seat.core.count(self.seat.group, group::HANDED, 1);
                self.seat.core.light_fence();
                self.seat.core.wake_some(self.seat.group, 1);
                Ok(Outcome::Back)
            }
            How::Dead { reason } => {
                let burial = Burial { position, lane: held.lane, dying: after, entry, reason };
                let dropped = self.bury(&burial);
                let left = match dropped {
                    Ok(_) => Left::Past,
                    Err(_) => Left::Until(self.seat.core.environment.now_ns() + 1_000_000_000),
                };
                self.leave(held, left);
                dropped.map(Outcome::Dead).map_err(Failure::Letters)
            }
        }
    }

    /// A record that was given from the file, or was set aside while it was out.
    fn settle_in_file(
        &self,
        held: &Held,
        entry: &Entry<'_>,
        how: How<'_>,
    ) -> Result<Outcome, Failure> {
        let how = self.last_straw(held.word, how);
        let mut outcome = None;
        let now = self.seat.core.environment.now_ns();
        let changed = self.with_letters(true, &mut |file| {
            let own = |head: &Head| {
                let Condition { kept, member, .. } = head.condition;
                kept == Kept::Out && member == Some(self.seat.member)
            };
            let Some(found) = file.of(held.position).into_iter().find(own) else { return Ok(()) };
            let number = found.number;
            let mut condition = Condition { once: false, ..found.condition };
            outcome = Some(match how {
                How::Done => {
                    condition.kept = Kept::Gone;
                    file.change(number, condition)?;
                    (Outcome::Done, Left::Past)
                }
                How::Retry { after_ns, .. } => {
                    condition.kept = Kept::Retry;
                    condition.counts = condition.counts.failed();
                    file.change(number, condition)?;
                    (Outcome::Again, Left::Until(now + after_ns))
                }
                How::Back => {
                    (condition.kept, condition.member) = (Kept::Waiting, None);
                    file.change(number, condition)?;
                    (Outcome::Back, Left::Back)
                }
                How::Dead { reason } => {
                    // Dead at once; then with its reason, and without the one that has none.
                    (condition.kept, condition.counts) = (Kept::Dead, condition.counts.failed());
                    file.change(number, condition)?;
                    let parts = self.letter(entry, held.lane, condition, reason);
                    let mut dropped = Vec::new();
                    if let Some(mut heads) = file.append(&parts)? {
                        // Had it to go to make room for itself, nothing is lost.
                        heads.retain(|head| head.number != number);
                        dropped = heads;
                        condition.kept = Kept::Gone;
                        file.change(number, condition)?;
                    }
                    (Outcome::Dead(dropped), Left::Past)
                }
            });
            Ok(())
        });
        let (outcome, left) = match (changed, outcome) {
            (Ok(_), Some(outcome)) => outcome,
            // What the file says of it holds: this member has it no more, and it is given again.
            (Err(error), _) => {
                self.leave(held, Left::Past);
                return Err(Failure::Letters(error));
            }
            (Ok(_), None) => {
                self.leave(held, Left::Past);
                return Err(Failure::Removed);
            }
        };
        if held.origin == Origin::Ring {
            let past = Settled::of(held, Left::Past);
            self.came_back([Settled { origin: Origin::Beside, left, ..past }, past]);
        } else {
            self.leave(held, left);
        }
        if let Outcome::Dead(dropped) = &outcome {
            self.count_dead(dropped.len() as u64);
        }
        self.seat.core.light_fence();
        self.seat.core.wake_some(self.seat.group, 1);
        Ok(outcome)
    }

    /// A failure that is one too many is its death.
    fn last_straw<'a>(&self, word: Word, how: How<'a>) -> How<'a> {
        match how {
            How::Retry { reason, .. } if word.counts().failed().is_spent(self.attempts) => {
                How::Dead { reason }
            }
            how => how,
        }
    }

    fn leave(&self, held: &Held, left: Left) {
        self.came_back([Settled::of(held, left)]);
    }

    /// The producer waits for room: whoever settles something then moves the cursor on.
    fn let_producer_know(&self) {
        let core = &self.seat.core;
        core.light_fence();
        if core.producer_waits() {
            core.advance_floor(self.seat.group, self.seat.epoch);
        }
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.seat.epoch
    }
}

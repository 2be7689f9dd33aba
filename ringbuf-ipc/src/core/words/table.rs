//! The words of one group, and every step that one can make.
//!
//! Each step is one CAS from exactly the word that was looked at (Acquire) to its successor (AcqRel): of two
//! that meet, one makes it, and who makes it has seen what led there. Nothing is ever stored without a
//! look, but by [`wipe`](Words::wipe), behind a new epoch.

use super::super::Position;
use super::super::memory::{Memory, Ordering};
use super::word::{Counts, Epoch, Stamp, State, Word};

/// The words of a group in one epoch. Bytes in them may be anything: a wrong word gives or withholds a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    memory: &'a Memory,
    /// Byte offset of the first word.
    at: usize,
    /// Slots of the ring, a power of two; as many words.
    slots: u64,
    pub(crate) epoch: Epoch,
}

/// A word at one look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    raw: u64,
    /// What it says of the record asked for.
    pub(crate) word: Word,
}

/// How a member is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Acknowledged.
    Done,
    /// Its handler failed: this member tries again later.
    Retry,
    /// Given back as it came: the next one gets it.
    Back,
    /// Not to be given again: what remains is to write it down, and then [`Words::bury`].
    Dying,
}

impl<'a> Words<'a> {
    pub(crate) fn new(memory: &'a Memory, at: usize, slots: u32, epoch: Epoch) -> Self {
        debug_assert!(slots.is_power_of_two());
        Self { memory, at, slots: slots.into(), epoch }
    }

    #[inline]
    pub(crate) fn look(&self, position: Position) -> Seen {
        let raw = self.memory.load(self.place(position), Ordering::Acquire);
        Seen { raw, word: self.stamp(position).read(raw) }
    }

    /// The first record from `position` on, and before `end`, that is not acknowledged or dead for all that its word says.
    #[inline]
    pub(crate) fn first_undone(&self, position: Position, end: Position) -> Position {
        (position..end)
            .find(|&at| {
                !self.stamp(at).is_done(self.memory.load(self.place(at), Ordering::Acquire))
            })
            .unwrap_or(end)
    }

    /// Takes the record for a member: the word it then has, by which it is settled.
    #[inline]
    pub(crate) fn take(
        &self,
        position: Position,
        seen: Seen,
        member: u16,
        once: bool,
    ) -> Option<Word> {
        let state = if once { State::Once } else { State::Out };
        self.step(position, seen, seen.word.to(state, Some(member), seen.word.counts()))
    }

    /// The same of one that nobody has had yet; `None` where it cannot be told at a glance that it is one.
    #[inline]
    pub(crate) fn take_fresh(&self, position: Position, member: u16, once: bool) -> Option<Word> {
        let (place, stamp) = (self.place(position), self.stamp(position));
        let raw = self.memory.load(place, Ordering::Acquire);
        let word = stamp.taken(if once { State::Once } else { State::Out }, member);
        (stamp.is_fresh(raw) && self.memory.cas(place, raw, word.0)).then_some(word)
    }

    /// Acknowledges what was taken with `word`; whether it was this member's still.
    #[inline]
    pub(crate) fn done(&self, position: Position, word: Word) -> bool {
        self.memory.cas(self.place(position), word.0, word.done().0)
    }

    /// Whether the word of a record is what its take wrote.
    #[inline]
    pub(crate) fn is_still(&self, position: Position, word: Word) -> bool {
        self.memory.load(self.place(position), Ordering::Acquire) == word.0
    }

    /// Settles what was taken with `word`; the word it has then. `None` when it is not this member's any more.
    #[inline]
    pub(crate) fn settle(&self, position: Position, word: Word, how: Settlement) -> Option<Word> {
        let (member, counts) = (word.member(), word.counts());
        let next = match how {
            Settlement::Done => word.to(State::Done, member, counts),
            Settlement::Retry => word.to(State::Retry, member, counts.failed()),
            Settlement::Back => word.to(State::Free, None, counts),
            Settlement::Dying => word.to(State::Dying, member, counts.failed()),
        };
        self.step(position, Seen { raw: word.0, word }, next)
    }

    /// What is at its limit goes no further: `member` is to write it down.
    pub(crate) fn condemn(&self, position: Position, seen: Seen, member: u16) -> Option<Word> {
        self.step(position, seen, seen.word.to(State::Dying, Some(member), seen.word.counts()))
    }

    /// It is written down.
    pub(crate) fn bury(&self, position: Position, dying: Word) -> bool {
        let done = dying.to(State::Done, dying.member(), dying.counts());
        self.step(position, Seen { raw: dying.0, word: dying }, done).is_some()
    }

    /// It could not be written down: somebody is to try that again.
    pub(crate) fn leave_dying(&self, position: Position, dying: Word) -> bool {
        let left = dying.to(State::Dying, None, dying.counts());
        self.step(position, Seen { raw: dying.0, word: dying }, left).is_some()
    }

    /// It is in the group's file, and given from there.
    pub(crate) fn set_aside(&self, position: Position, seen: Seen) -> bool {
        let word = seen.word;
        self.step(position, seen, word.to(State::Aside, word.member(), word.counts())).is_some()
    }

    /// Takes from a member that is dead what it had; whether its death `counts`, its [`Death`](super::early::Death)
    /// says. The word after it, or `None` when somebody else was quicker.
    pub(crate) fn reclaim(&self, position: Position, seen: Seen, counts: bool) -> Option<Word> {
        let given = seen.word.counts();
        let next = match seen.word.state() {
            State::Out => {
                let given = if counts { given.died() } else { given };
                seen.word.to(State::Free, None, given)
            }
            State::Once => seen.word.to(State::Done, seen.word.member(), given),
            State::Retry => seen.word.to(State::Retry, None, given),
            State::Dying => seen.word.to(State::Dying, None, given),
            State::Free | State::Aside | State::Done | State::Passed => return None,
        };
        self.step(position, seen, next)
    }

    /// Settles it by force, whoever has it.
    pub(crate) fn skip(&self, position: Position, seen: Seen) -> bool {
        let done = seen.word.to(State::Done, None, seen.word.counts());
        self.step(position, seen, done).is_some()
    }

    /// Forgets every word. The epoch was raised before: a member of the last one may still write, and what it
    /// writes is free to those of this one.
    pub(crate) fn wipe(memory: &Memory, at: usize, slots: u32) {
        for slot in 0..slots as usize {
            memory.store(at + slot * 8, 0, Ordering::Relaxed);
        }
    }

    /// Rewrites every word for another epoch, for a group that goes on at `from` and had held `held`, a ring
    /// full at most: what is settled stays settled, what was given in vain stays counted, nobody has anything.
    /// Gives how many records of `held` before `from` were not settled. May be done again by the next if it is killed.
    ///
    /// Each by a CAS: what one of the last epoch settles meanwhile is settled, or fails.
    pub(crate) fn carry(&self, to: Epoch, held: std::ops::Range<Position>, from: Position) -> u64 {
        let mut lost = 0;
        for position in held {
            while !self.carry_one(to, position, from) {}
            let word = self.in_epoch(to).look(position).word;
            lost += u64::from(position < from && !word.is_past());
        }
        lost
    }

    /// False when somebody changed the word meanwhile.
    fn carry_one(&self, to: Epoch, position: Position, from: Position) -> bool {
        let stamp = self.stamp(position);
        let raw = self.memory.load(self.place(position), Ordering::Acquire);
        // Of this epoch, or carried already.
        let word = match stamp.read(raw) {
            word if word.0 == raw => word,
            _ => self.in_epoch(to).stamp(position).read(raw),
        };
        let kept = match word.state() {
            // The slot has a later record.
            State::Passed => return true,
            // Its letter may be there: no handler is to see it again.
            State::Dying if position >= from => word.to(State::Dying, None, word.counts()),
            _ if word.is_past() || position < from => word,
            _ => word.to(State::Free, None, word.counts()),
        };
        let next = kept.in_epoch(to).0;
        next == raw || self.memory.cas(self.place(position), raw, next)
    }

    pub(crate) const fn in_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    fn step(&self, position: Position, seen: Seen, next: Word) -> Option<Word> {
        self.memory.cas(self.place(position), seen.raw, next.0).then_some(next)
    }

    #[inline]
    fn place(&self, position: Position) -> usize {
        self.at + (position & (self.slots - 1)) as usize * 8
    }

    #[inline]
    fn stamp(&self, position: Position) -> Stamp {
        Stamp::new(position >> self.slots.trailing_zeros(), self.epoch)
    }
}

impl Seen {
    /// How often it was given in vain.
    pub(crate) const fn counts(&self) -> Counts {
        self.word.counts()
    }
}

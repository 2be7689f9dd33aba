//! A member at work: which record it takes next, what it has out, and what it waits for.
//!
//! * Records that nothing was counted against come first; what a dead member had comes behind them, so that
//!   a process that starts anew can show that it works before it meets what may have killed the last one.
//! * A suspect, out at two deaths, is given alone: its member has nothing else out, and takes nothing else
//!   meanwhile. A member in whose way there is one stops taking for a moment, so that its turn comes.
//! * A record at its limit is not given again: it is offered to be buried.
//! * As long as it has settled nothing, and others died that had not, either, a member takes its first records one by
//!   one, with a moment between them: see [`early`](super::early).
//!
//! [`find`] which record that is.

mod find;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use super::super::Position;
use super::early::{ALONE_MAX, ALONE_NS, Fear, First};
use super::lanes::{Key, Lanes, Place};
use super::peers::Peers;
use super::table::Words;
use super::word::{State, Word};

/// How a member takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) member: u16,
    /// Attempts after which a record is dead, 0 for no limit.
    pub(crate) attempts: u8,
    /// Given for the first and last time.
    pub(crate) once: bool,
}

/// A record that is this member's now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// To be handled.
    Take { position: Position, key: Key, word: Word },
    /// To be written down as dead, and buried.
    Bury { position: Position, key: Key, word: Word },
}

/// How a record left the hands of this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is settled for good: done, dead, or another's business.
    Past,
    /// To be tried again by this member at that time.
    Until(u64),
    /// Given back: anybody's again.
    Back,
}

/// The member's private state.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) lanes: Lanes,
    pub(crate) terms: Terms,
    /// Records taken, from the ring and from elsewhere, and not settled.
    out: usize,
    /// What is out is a suspect.
    alone: bool,
    suspects: VecDeque<Key>,
    /// When the wait for a suspect's turn began, or until when there is none.
    waiting_since: Option<u64>,
    no_turn_before: u64,
    /// When this member's own records are tried again.
    timers: BinaryHeap<Reverse<(u64, Key, Position)>>,
    /// Lanes with records in the group's file, which go first.
    pub(crate) aside: HashSet<Key>,
    /// This member has settled nothing yet: what it has taken, and what others died with that had not, either.
    unproven: bool,
    first: First,
    fear: Fear,
    /// How many were taken that its death was laid to alone.
    alone_ones: u8,
    /// Until then nothing is taken beside the last of them, where anything is feared.
    first_until: u64,
    /// A lane whose head is given last.
    last: Option<Key>,
    /// An aside was met that this member has not read the file for.
    pub(crate) met_aside: bool,
}

impl Desk {
    pub(crate) fn new(slots: u32, from: Position, terms: Terms) -> Self {
        Self {
            lanes: Lanes::new(slots, from),
            terms,
            out: 0,
            alone: false,
            suspects: VecDeque::new(),
            waiting_since: None,
            no_turn_before: 0,
            timers: BinaryHeap::new(),
            aside: HashSet::new(),
            unproven: true,
            first: First::Nothing,
            fear: Fear::NONE,
            alone_ones: 0,
            first_until: 0,
            last: None,
            met_aside: false,
        }
    }

    /// Records out.
    pub(crate) const fn out(&self) -> usize {
        self.out
    }

    /// Takes the next record there is. `all` looks at every lane that others had, else at some.
    #[inline]
    pub(crate) fn next(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
        all: bool,
    ) -> Option<Offer> {
        match self.next_fresh(words, peers) {
            None => self.next_of_all(words, peers, all),
            offer => offer,
        }
    }

    fn next_of_all(&mut self, words: &Words<'_>, peers: &impl Peers, all: bool) -> Option<Offer> {
        // Each failure is another member's success.
        loop {
            let (key, position, seen) = self.find(words, peers, all)?;
            let Terms { member, attempts, once } = self.terms;
            let (spent, suspect) = (seen.counts().is_spent(attempts), seen.counts().is_suspect());
            let word = if spent || seen.word.state() == State::Dying {
                words.condemn(position, seen, member)
            } else {
                self.about_to_take(position, peers);
                words.take(position, seen, member, once)
            };
            let Some(word) = word else {
                self.lanes.ready_first(key);
                continue;
            };
            self.lanes.take_head(position, key);
            self.out += 1;
            self.waiting_since = None;
            if word.state() == State::Dying {
                if self.fear.may_have_counted(position) {
                    peers.gave_up();
                }
                return Some(Offer::Bury { position, key, word });
            }
            self.took(position, peers);
            self.alone = suspect;
            return Some(Offer::Take { position, key, word });
        }
    }

    /// This member has settled something: from now on its death counts against whatever it has.
    pub(crate) fn prove(&mut self) {
        (self.unproven, self.fear) = (false, Fear::NONE);
        if let Some(key) = self.last.take() {
            self.stir(key);
        }
    }

    /// Until when nothing is taken, since what is out is to have nothing beside it: at most until it comes back.
    pub(crate) fn takes_nothing_until(&self, peers: &impl Peers) -> Option<u64> {
        if self.alone {
            return Some(u64::MAX);
        }
        let is_first = self.unproven && self.out != 0 && matches!(self.first, First::One(_));
        let until = (is_first && self.fear.is_any()).then_some(self.first_until);
        until.filter(|&until| peers.now_ns() < until)
    }

    pub(crate) const fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// Looks what members died with that had settled nothing.
    pub(crate) fn look_what_is_feared(&mut self, peers: &impl Peers) -> Fear {
        if self.unproven {
            self.fear = peers.fear();
        }
        self.fear
    }

    /// Before a record is taken: that another is out beside it, or that it is the last of some, has to be said before.
    pub(crate) fn about_to_take(&mut self, position: Position, peers: &impl Peers) {
        let other = matches!(self.first, First::One(first) if first != position);
        if self.unproven && other {
            let one_by_one = self.fear.is_any() && self.alone_ones < ALONE_MAX;
            self.first = if one_by_one { First::One(position) } else { First::Several };
            peers.took_first(self.first);
        }
    }

    /// After it was taken.
    pub(crate) fn took(&mut self, position: Position, peers: &impl Peers) {
        if !self.unproven {
            return;
        }
        if self.first == First::Nothing {
            self.first = First::One(position);
            peers.took_first(self.first);
        }
        self.alone_ones = self.alone_ones.saturating_add(1);
        self.first_until = peers.now_ns().saturating_add(ALONE_NS);
    }

    /// The same where nearly all records are: at the head of the oldest lane, had by nobody yet, and nothing else is to
    /// be minded.
    #[inline]
    fn next_fresh(&mut self, words: &Words<'_>, peers: &impl Peers) -> Option<Offer> {
        let is_plain = !self.alone
            && !self.unproven
            && self.timers.is_empty()
            && self.suspects.is_empty()
            && self.aside.is_empty();
        if !is_plain {
            return None;
        }
        let (key, position) = self.lanes.first_ready()?;
        if !peers.is_ours(position) {
            return None;
        }
        let word = words.take_fresh(position, self.terms.member, self.terms.once)?;
        self.lanes.take_first_ready();
        self.out += 1;
        self.waiting_since = None;
        Some(Offer::Take { position, key, word })
    }

    /// Whether [`next`](Self::next) would give something.
    pub(crate) fn has_next(&mut self, words: &Words<'_>, peers: &impl Peers, all: bool) -> bool {
        let found = self.find(words, peers, all);
        if let Some((key, ..)) = found {
            self.lanes.ready_first(key);
        }
        found.is_some()
    }

    /// A record left this member's hands.
    #[inline]
    pub(crate) fn left(&mut self, position: Position, key: Key, how: Left) {
        self.out -= 1;
        self.alone = false;
        if how == Left::Past {
            self.lanes.pass(position, key);
            return;
        }
        let is_head = self.lanes.give_back(position, key);
        if let Left::Until(due) = how
            && is_head
        {
            self.timers.push(Reverse((due, key, position)));
        } else if self.lanes.place(key) == Some(Place::Own) {
            self.lanes.ready_last(key);
        }
    }

    /// Shows the next record of the ring.
    #[inline]
    pub(crate) fn show(&mut self, key: Key) {
        if let Some(forgotten) = self.lanes.push(key) {
            // It may have been set aside: nothing newer of its key before the file was read.
            self.met_aside = true;
            self.aside.insert(forgotten);
        }
    }

    /// Passes the next record of the ring, which is in no lane.
    pub(crate) fn show_none(&mut self) {
        if let Some(forgotten) = self.lanes.skip() {
            self.met_aside = true;
            self.aside.insert(forgotten);
        }
    }

    /// A record was taken from elsewhere than a lane; it is one more that is out.
    pub(crate) fn took_elsewhere(&mut self, suspect: bool) {
        self.out += 1;
        self.alone = suspect;
    }

    /// One of those came back.
    pub(crate) fn came_back(&mut self) {
        self.out -= 1;
        self.alone = false;
    }

    /// Whether it is out, from the ring, with this member.
    pub(crate) fn has(&self, position: Position) -> bool {
        self.lanes.is_out(position)
    }

    /// When a record of this member is to be tried again, the soonest.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((due, ..))| *due)
    }

    /// Records that wait for another try of this member; it forgets them.
    pub(crate) fn give_up_waiting(&mut self) -> impl Iterator<Item = Position> + use<> {
        std::mem::take(&mut self.timers).into_iter().map(|Reverse((_, _, position))| position)
    }

    /// Lanes held back for the file or others are looked at anew.
    pub(crate) fn look_again(&mut self) {
        for _ in 0..self.lanes.parked() {
            let Some((key, _)) = self.lanes.pop_parked() else { break };
            self.lanes.ready_last(key);
        }
        // What waited for its time may have been set aside meanwhile: then its lane goes on without it.
        let waiting: Vec<_> = self.timers.iter().map(|Reverse((_, key, _))| *key).collect();
        waiting.into_iter().for_each(|key| self.stir(key));
    }

    /// Has a lane looked at anew whose head this member only waits for.
    fn stir(&mut self, key: Key) {
        let waits = self.lanes.head(key).is_some_and(|head| !self.lanes.is_out(head));
        if waits && self.lanes.place(key) == Some(Place::Own) {
            self.lanes.ready_last(key);
        }
    }
}

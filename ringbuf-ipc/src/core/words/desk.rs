//! A member at work: which record it takes next, what it has out, and what it waits for.
//!
//! * Records that nothing was counted against come first; what a dead member had comes behind them, so that
//!   a process that starts anew can show that it works before it meets what may have killed the last one.
//! * A suspect, out at two deaths, is given alone: its member has nothing else out, and takes nothing else
//!   meanwhile. A member in whose way there is one stops taking for a moment, so that its turn comes.
//! * A record at its limit is not given again: it is offered to be buried.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};

use super::super::Position;
use super::lanes::{Key, Lanes, Place};
use super::peers::Peers;
use super::table::{Seen, Words};
use super::word::{State, Word};

/// How long a member takes nothing so that a suspect may be given alone, and how long it then does not
/// try that again if it did not come to it.
const PATIENCE_NS: u64 = 1_000_000_000;
const PAUSE_NS: u64 = 10_000_000_000;

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
    /// An aside was met that this member has not read the file for.
    pub(crate) met_aside: bool,
}

/// Where the look at a lane's head led.
enum Look {
    Mine(Seen),
    Other,
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
            met_aside: false,
        }
    }

    /// Records out.
    pub(crate) const fn out(&self) -> usize {
        self.out
    }

    /// Takes the next record there is. `all` looks at every lane that others had, else at some.
    pub(crate) fn next(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
        all: bool,
    ) -> Option<Offer> {
        // Each failure is another member's success.
        loop {
            let (key, position, seen) = self.find(words, peers, all)?;
            let Terms { member, attempts, once } = self.terms;
            let (spent, suspect) = (seen.counts().is_spent(attempts), seen.counts().is_suspect());
            let word = if spent || seen.word.state() == State::Dying {
                words.condemn(position, seen, member)
            } else {
                words.take(position, seen, member, once)
            };
            let Some(word) = word else {
                self.lanes.ready_first(key);
                continue;
            };
            self.lanes.take_head(key);
            self.out += 1;
            self.waiting_since = None;
            if word.state() == State::Dying {
                return Some(Offer::Bury { position, key, word });
            }
            self.alone = suspect;
            return Some(Offer::Take { position, key, word });
        }
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

    /// Whether a suspect is out, beside which nothing is taken.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone
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

    /// A lane whose head is to be had, now in no queue, with its head.
    fn find(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
        all: bool,
    ) -> Option<(Key, Position, Seen)> {
        if self.alone {
            return None;
        }
        self.wake_due(peers);
        if let Some(found) = self.turn_of_suspect(words, peers) {
            return found;
        }
        let mut parked = 0;
        while let Some((key, head)) = self.lanes.pop_ready() {
            if let Some(found) = self.examine(key, head, words, peers, true) {
                return Some(found);
            }
            parked += 1;
        }
        // Two are looked at for each that is put there, so that none is left there for good.
        let looks = if all { self.lanes.parked() } else { (2 * parked).min(self.lanes.parked()) };
        for _ in 0..looks {
            let Some((key, head)) = self.lanes.pop_parked() else { break };
            if let Some(found) = self.examine(key, head, words, peers, true) {
                return Some(found);
            }
        }
        // What came back from the dead meanwhile was put behind all others.
        while let Some((key, head)) = self.lanes.pop_ready() {
            if let Some(found) = self.examine(key, head, words, peers, false) {
                return Some(found);
            }
        }
        None
    }

    /// Looks at the head of a lane that is in no queue, and puts it where it belongs, unless it is to be had.
    fn examine(
        &mut self,
        key: Key,
        head: Position,
        words: &Words<'_>,
        peers: &impl Peers,
        fresh_first: bool,
    ) -> Option<(Key, Position, Seen)> {
        let mut position = head;
        loop {
            let seen = words.look(position);
            if !seen.word.is_past() && (self.aside.contains(&key) || !peers.is_ours(position)) {
                self.lanes.park(key);
                return None;
            }
            match self.look(position, seen, words, peers) {
                Some(Look::Mine(seen)) if self.must_wait(seen) => {
                    self.lanes.own(key);
                    self.suspects.push_back(key);
                    return None;
                }
                Some(Look::Mine(seen)) => return Some((key, position, seen)),
                Some(Look::Other) => {
                    self.lanes.park(key);
                    return None;
                }
                None if seen.word.is_past() => {
                    if seen.word.state() != State::Done {
                        // Nothing newer of its key before the file was read.
                        self.met_aside = true;
                        self.aside.insert(key);
                    }
                    position = self.lanes.drop_head(key)?;
                }
                // It is this member's already.
                None if seen.word.member() == Some(self.terms.member) => {
                    self.lanes.own(key);
                    return None;
                }
                // Taken from the dead.
                None if fresh_first => {
                    self.lanes.ready_last(key);
                    return None;
                }
                None => {}
            }
        }
    }

    /// Whether it is a suspect that is to be given alone, and this member has other records out.
    fn must_wait(&self, seen: Seen) -> bool {
        let given =
            seen.word.state() != State::Dying && !seen.counts().is_spent(self.terms.attempts);
        given && seen.counts().is_suspect() && self.out != 0
    }

    /// What the word of a record says to this member; `None` for the cases that [`examine`](Self::examine) tells
    /// apart: it is past, it is this member's already, or it was taken from the dead just now.
    fn look(
        &self,
        position: Position,
        seen: Seen,
        words: &Words<'_>,
        peers: &impl Peers,
    ) -> Option<Look> {
        let owner = seen.word.member();
        let own = owner == Some(self.terms.member);
        match seen.word.state() {
            State::Done | State::Aside | State::Passed => None,
            State::Free => Some(Look::Mine(seen)),
            State::Retry if owner.is_none() || (!own && peers.is_exclusive()) => {
                Some(Look::Mine(seen))
            }
            // Settled, and not collected yet: it is this member's still.
            State::Retry if own && self.lanes.is_out(position) => None,
            State::Retry if own => {
                let waits = self.timers.iter().any(|Reverse((_, _, at))| *at == position);
                if waits { None } else { Some(Look::Mine(seen)) }
            }
            State::Out | State::Once | State::Dying if own => None,
            State::Out | State::Once | State::Dying | State::Retry => {
                let owner = owner.filter(|&owner| peers.is_alive(owner));
                if owner.is_some() {
                    return Some(Look::Other);
                }
                if seen.word.state() == State::Dying {
                    return Some(Look::Mine(seen));
                }
                let Some(dead) = seen.word.member() else {
                    words.reclaim(position, seen, false);
                    return None;
                };
                let proven = peers.is_proven(dead);
                // Done by this or by another member that saw it, too.
                let reclaimed = peers.while_dead(dead, || words.reclaim(position, seen, proven));
                reclaimed.is_none().then_some(Look::Other)
            }
        }
    }

    fn wake_due(&mut self, peers: &impl Peers) {
        if self.timers.is_empty() {
            return;
        }
        let now = peers.now_ns();
        while let Some(&Reverse((due, key, position))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            if self.lanes.head(key) == Some(position) {
                self.lanes.ready_last(key);
            } else {
                // The lane moved on without it, and waits for nothing else now.
                self.stir(key);
            }
        }
    }

    /// Whether a suspect waits for its turn: `None` when there is none to mind, else it, or nothing.
    #[allow(clippy::option_option)]
    fn turn_of_suspect(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
    ) -> Option<Option<(Key, Position, Seen)>> {
        while self.out == 0 {
            let key = self.suspects.pop_front()?;
            if self.lanes.place(key) != Some(Place::Own) {
                continue;
            }
            let Some(head) = self.lanes.head(key) else { continue };
            if let Some(found) = self.examine(key, head, words, peers, false) {
                return Some(Some(found));
            }
        }
        if self.suspects.is_empty() {
            return None;
        }
        let now = peers.now_ns();
        if now < self.no_turn_before {
            return None;
        }
        let since = *self.waiting_since.get_or_insert(now);
        if now.saturating_sub(since) < PATIENCE_NS {
            return Some(None);
        }
        self.waiting_since = None;
        self.no_turn_before = now + PAUSE_NS;
        None
    }
}

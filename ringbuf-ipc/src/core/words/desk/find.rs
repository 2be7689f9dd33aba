//! Which record a member may take next, and where lanes go whose head is not to be had.

use std::cmp::Reverse;

use super::Desk;
use crate::core::Position;
use crate::core::words::early::Death;
use crate::core::words::lanes::{Key, Place};
use crate::core::words::peers::Peers;
use crate::core::words::table::{Seen, Words};
use crate::core::words::word::State;

/// How long a member takes nothing so that a suspect may be given alone, and how long it then does not
/// try that again if it did not come to it.
const PATIENCE_NS: u64 = 1_000_000_000;
const PAUSE_NS: u64 = 10_000_000_000;

/// Where the look at a lane's head led.
enum Look {
    Mine(Seen),
    Other,
}

impl Desk {
    /// A lane whose head is to be had, now in no queue, with its head.
    pub(super) fn find(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
        all: bool,
    ) -> Option<(Key, Position, Seen)> {
        self.look_what_is_feared(peers);
        if self.takes_nothing_until(peers).is_some() {
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
        self.last_of_all(words, peers)
    }

    /// What is given when there is nothing else.
    fn last_of_all(
        &mut self,
        words: &Words<'_>,
        peers: &impl Peers,
    ) -> Option<(Key, Position, Seen)> {
        let key = self.last.take()?;
        let head = self.lanes.head(key)?;
        let waits = self.lanes.place(key) == Some(Place::Own) && !self.lanes.is_out(head);
        waits.then(|| self.examine(key, head, words, peers, false))?
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
                Some(Look::Mine(_)) if fresh_first && self.fear.is_feared(position) => {
                    self.lanes.own(key);
                    let before = self.last.replace(key).filter(|&before| before != key);
                    before.into_iter().for_each(|before| self.stir(before));
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
                let death = peers.death(dead, position, false);
                // Done by this or by another member that saw it, too.
                let reclaim = || words.reclaim(position, seen, death == Death::Counts);
                let Some(reclaimed) = peers.while_dead(dead, reclaim) else {
                    return Some(Look::Other);
                };
                if let (Some(_), State::Out, Death::Early(with)) =
                    (reclaimed, seen.word.state(), death)
                {
                    peers.died_early(with);
                }
                None
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

//! Who else of the group lives, asked of the kernel seldom.

use std::cell::Cell;
use std::sync::Arc;

use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::early::{Death, Fear, First};
use crate::core::words::peers::Peers;
use crate::core::{Core, Position, locks};

/// How long it holds that a member lives: its death is noticed that much later. That one is dead is asked each
/// time: its seat may have somebody new by now, from whom nothing may be taken.
const GOOD_FOR_NS: u64 = 2_000_000;

/// The other seats of a group.
#[derive(Debug)]
pub(super) struct Neighbours {
    core: Arc<Core>,
    group: u16,
    own: u16,
    asked_at: Cell<u64>,
    /// Bits of the seats that lived when asked since.
    alive: Cell<u64>,
}

impl Neighbours {
    pub(super) fn new(core: &Arc<Core>, group: u16, own: u16) -> Self {
        let (asked_at, alive) = (Cell::new(0), Cell::new(0));
        Self { core: Arc::clone(core), group, own, asked_at, alive }
    }

    /// Whether the ring has no other record that the group is not through with.
    fn is_only(&self, position: Position) -> bool {
        let words = self.core.words(self.group, self.core.group_epoch(self.group));
        let (floor, tail) = (self.core.group_floor(self.group), self.core.tail());
        (floor..tail).all(|at| at == position || words.look(at).word.is_past())
    }

    fn fear_at(&self) -> usize {
        self.core.layout.group(self.group) + group::FEAR
    }
}

impl Peers for Neighbours {
    fn is_alive(&self, member: u16) -> bool {
        if member == self.own {
            return true;
        }
        if member >= self.core.layout.geometry.members {
            return false;
        }
        let now = self.now_ns();
        if now.saturating_sub(self.asked_at.get()) >= GOOD_FOR_NS {
            self.asked_at.set(now);
            self.alive.set(0);
        }
        let bit = 1 << member;
        if self.alive.get() & bit == 0 && self.core.is_alive(self.group, member) {
            self.alive.set(self.alive.get() | bit);
        }
        self.alive.get() & bit != 0
    }

    fn is_proven(&self, member: u16) -> bool {
        member < self.core.layout.geometry.members && {
            let at = self.core.layout.member(self.group, member) + group::MEMBER_SETTLED;
            self.core.memory.load(at, Ordering::Acquire) != 0
        }
    }

    fn death(&self, member: u16, position: Position, beside: bool) -> Death {
        if self.is_proven(member) {
            return Death::Counts;
        }
        if member >= self.core.layout.geometry.members {
            return Death::Unknown;
        }
        let at = self.core.layout.member(self.group, member) + group::MEMBER_FIRST;
        let first = First::of(self.core.memory.load(at, Ordering::Acquire));
        Death::early(first, self.fear(), position, || !beside && self.is_only(position))
    }

    fn died_early(&self, with: Option<Position>) {
        loop {
            let fear = self.fear();
            if self.core.memory.cas(self.fear_at(), fear.0, fear.after(with).0) {
                return;
            }
        }
    }

    fn gave_up(&self) {
        self.core.memory.store(self.fear_at(), Fear::given_up().0, Ordering::Release);
    }

    fn fear(&self) -> Fear {
        Fear(self.core.memory.load(self.fear_at(), Ordering::Acquire))
    }

    fn took_first(&self, first: First) {
        let at = self.core.layout.member(self.group, self.own) + group::MEMBER_FIRST;
        self.core.memory.store(at, first.word(), Ordering::Release);
    }

    fn while_dead<T>(&self, member: u16, take: impl FnOnce() -> T) -> Option<T> {
        // No lock or an error of it: the next look comes soon.
        let _held = self.core.environment.hold(locks::succession(self.group)).ok()??;
        let is_dead =
            member >= self.core.layout.geometry.members || !self.core.is_alive(self.group, member);
        is_dead.then(take)
    }

    fn now_ns(&self) -> u64 {
        self.core.environment.now_ns()
    }
}

//! Who else of the group lives, asked of the kernel seldom.

use std::cell::Cell;
use std::sync::Arc;

use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::peers::Peers;
use crate::core::{Core, locks};

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

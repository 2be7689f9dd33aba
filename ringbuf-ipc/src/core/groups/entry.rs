//! What the entry of a group says.

use std::time::Duration;

use super::{EPHEMERAL, state};
use crate::core::group_spec::{Mode, Policy};
use crate::core::layout::{group, mode};
use crate::core::memory::Ordering;
use crate::core::reader::seat::owner;
use crate::core::words::word::{Epoch, Stand};
use crate::core::{Core, Position, locks};

impl Core {
    pub(crate) fn group_state(&self, index: u16) -> u64 {
        self.memory.load(self.layout.group(index) + group::STATE, Ordering::Acquire)
    }

    /// Every record before it is acknowledged; [`Position::MAX`] when the group holds nothing.
    #[inline]
    pub(crate) fn group_floor(&self, index: u16) -> Position {
        self.floor_stand(index).held()
    }

    /// The same with the epoch it is of.
    #[inline]
    pub(crate) fn floor_stand(&self, index: u16) -> Stand {
        Stand(self.memory.load(self.layout.group(index) + group::FLOOR, Ordering::Acquire))
    }

    /// The epoch of a group as it is now.
    pub(crate) fn group_epoch(&self, index: u16) -> Epoch {
        Epoch::of(self.group_state(index) >> 8)
    }

    /// See [`mode`].
    pub(crate) fn group_mode(&self, index: u16) -> u64 {
        self.memory.load(self.layout.group(index) + group::MODE, Ordering::Relaxed)
    }

    /// Partitions that a group has: none where there are words, one where a member follows the ring.
    pub(crate) fn partitions(&self, index: u16) -> u16 {
        match self.group_mode(index) {
            mode::ANY_ORDER => 0,
            mode::FOLLOW => 1,
            _ => self.layout.geometry.partitions,
        }
    }

    /// Where the floor of an evicted group was.
    pub(crate) fn floor_at_eviction(&self, index: u16) -> Position {
        self.memory.load(self.layout.group(index) + group::MOVE_TO, Ordering::Relaxed)
    }

    /// When any member of a group took or acknowledged something, or had nothing to do, in ms of the ring's clock.
    pub(crate) fn last_moved(&self, index: u16) -> u64 {
        (0..self.layout.geometry.members)
            .map(|member| self.layout.member(index, member) + group::MEMBER_MOVED)
            .map(|at| self.memory.load(at, Ordering::Relaxed))
            .max()
            .unwrap_or(0)
    }

    /// Since when a group without a living member has none: its last one left then, or, if that died, moved last
    /// then.
    pub(crate) fn absent_since(&self, index: u16) -> u64 {
        let at = self.layout.group(index) + group::ABSENT_SINCE;
        match self.memory.load(at, Ordering::Relaxed) {
            0 => self.last_moved(index),
            since => since,
        }
    }

    /// How its members take records.
    pub(crate) fn group_mode_of(&self, index: u16) -> Mode {
        match self.group_mode(index) {
            mode::ANY_ORDER => {
                let at = self.layout.group(index) + group::ORDER;
                Mode::any_order(self.memory.load(at, Ordering::Relaxed))
            }
            mode::FOLLOW => Mode::Follow,
            _ => Mode::InOrder,
        }
    }

    /// Whether its partitions stay with its members.
    pub(crate) fn is_sticky(&self, index: u16) -> bool {
        matches!(self.group_mode_of(index), Mode::AnyOrder { sticky: true, .. })
    }

    /// The seats of those that have the partitions of a sticky group, dead or alive.
    pub(crate) fn partition_owners(&self, index: u16) -> Vec<Option<u16>> {
        let owner_of = |partition| {
            let at = self.layout.partition(index, partition) + group::PARTITION_OWNER;
            owner(self.memory.load(at, Ordering::Relaxed))
        };
        (0..self.layout.geometry.partitions).map(owner_of).collect()
    }

    pub(crate) fn cursor(&self, index: u16, partition: u16) -> Position {
        self.cursor_stand(index, partition).held()
    }

    /// The same with the epoch it is of.
    #[inline]
    pub(crate) fn cursor_stand(&self, index: u16, partition: u16) -> Stand {
        let at = self.layout.partition(index, partition) + group::PARTITION_CURSOR;
        Stand(self.memory.load(at, Ordering::Acquire))
    }

    /// The name of an entry; characters that are none become U+FFFD.
    pub(crate) fn group_name(&self, index: u16) -> String {
        let at = self.layout.group(index);
        let length = self.memory.load(at + group::NAME_LEN, Ordering::Relaxed);
        let mut bytes = vec![0; (length as usize).min(group::NAME_MAX)];
        self.memory.read(at + group::NAME, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn group_policy(&self, index: u16) -> Policy {
        let at = self.layout.group(index);
        if self.memory.load(at + group::POLICY, Ordering::Relaxed) == EPHEMERAL {
            return Policy::Ephemeral;
        }
        let absence = self.memory.load(at + group::MAX_ABSENCE, Ordering::Relaxed);
        Policy::Durable { max_absence: (absence != 0).then(|| Duration::from_millis(absence)) }
    }

    /// Living members, by their locks.
    pub(crate) fn living_members(&self, index: u16) -> u16 {
        if !self.has_living_member(index) {
            return 0;
        }
        let held = |member: &u16| self.environment.held(locks::member(index, *member));
        (0..self.layout.geometry.members).filter(held).count() as u16
    }

    /// Whether any member lives; one question to the kernel, whatever their number.
    pub(in crate::core) fn has_living_member(&self, index: u16) -> bool {
        let members = self.layout.geometry.members;
        self.environment.held_any(locks::member(index, 0), members.into())
    }

    pub(super) fn find_group(&self, name: &str) -> Option<u16> {
        (0..self.layout.geometry.groups).find(|&index| {
            matches!(state::of(self.group_state(index)), state::ACTIVE | state::EVICTED)
                && self.group_name(index) == name
        })
    }
}

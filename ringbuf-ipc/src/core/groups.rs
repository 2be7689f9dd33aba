//! The table of reader groups. It is changed only with the table lock held, which the kernel takes
//! back from whoever dies with it; entries left half-made are then put right by the next holder.

use std::time::Duration;

use super::group_spec::{GroupError, GroupSpec, Policy, Start, check_name};
use super::layout::group;
use super::memory::{Memory, Ordering, fence};
use super::{Core, Position, locks};

/// States of an entry, the low byte of its state word.
pub(crate) mod state {
    pub(crate) const FREE: u64 = 0;
    /// Being made; nobody may use it, but its floor holds already.
    pub(crate) const CREATING: u64 = 1;
    pub(crate) const ACTIVE: u64 = 2;
    /// Holds nothing, remembers its cursors.
    pub(crate) const EVICTED: u64 = 3;

    pub(crate) const fn of(word: u64) -> u64 {
        word & 0xFF
    }

    /// The same entry in another state, one generation on.
    pub(crate) const fn next(word: u64, state: u64) -> u64 {
        ((word >> 8).wrapping_add(1) << 8) | state
    }
}

const DURABLE: u64 = 0;
const EPHEMERAL: u64 = 1;

impl Core {
    pub(crate) fn group_state(&self, index: u16) -> u64 {
        self.memory.load(self.layout.group(index) + group::STATE, Ordering::Acquire)
    }

    pub(crate) fn group_floor(&self, index: u16) -> Position {
        self.memory.load(self.layout.group(index) + group::FLOOR, Ordering::Acquire)
    }

    pub(crate) fn cursor(&self, index: u16, partition: u16) -> Position {
        let at = self.layout.partition(index, partition) + group::PARTITION_CURSOR;
        self.memory.load(at, Ordering::Acquire)
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
    pub(super) fn has_living_member(&self, index: u16) -> bool {
        let members = self.layout.geometry.members;
        self.environment.held_any(locks::member(index, 0), members.into())
    }

    fn find_group(&self, name: &str) -> Option<u16> {
        (0..self.layout.geometry.groups).find(|&index| {
            matches!(state::of(self.group_state(index)), state::ACTIVE | state::EVICTED)
                && self.group_name(index) == name
        })
    }
}

/// Makes the group unless it is there; the caller holds the table lock. Gives its place, and whether
/// it was made.
pub(crate) fn declare(core: &Core, spec: &GroupSpec) -> Result<(u16, bool), GroupError> {
    check_name(&spec.name)?;
    repair(core);
    if let Some(index) = core.find_group(&spec.name) {
        let evicted = state::of(core.group_state(index)) == state::EVICTED;
        let left_over =
            core.group_policy(index) == Policy::Ephemeral && !core.has_living_member(index);
        if left_over {
            free(core, index);
        } else {
            if evicted {
                reinstate(core, index);
            }
            return Ok((index, false));
        }
    }
    let place = (0..core.layout.geometry.groups)
        .find(|&index| state::of(core.group_state(index)) == state::FREE)
        .or_else(|| removable(core))
        .ok_or(GroupError::TableFull { limit: core.layout.geometry.groups })?;
    create(core, place, spec);
    Ok((place, true))
}

/// Ends a group; the caller holds the table lock.
pub(crate) fn remove(core: &Core, name: &str) -> Result<(), GroupError> {
    repair(core);
    let index =
        core.find_group(name).ok_or_else(|| GroupError::NotFound { name: name.to_owned() })?;
    let members = core.living_members(index);
    if members != 0 {
        return Err(GroupError::InUse { name: name.to_owned(), members });
    }
    free(core, index);
    Ok(())
}

/// Ends an ephemeral group whose last member left; the caller holds the table lock.
pub(crate) fn end_if_deserted(core: &Core, index: u16, expected: u64, now_ms: u64) {
    if core.group_state(index) != expected || core.has_living_member(index) {
        return;
    }
    match core.group_policy(index) {
        Policy::Ephemeral => free(core, index),
        Policy::Durable { .. } => {
            let at = core.layout.group(index) + group::ABSENT_SINCE;
            core.memory.store(at, now_ms.max(1), Ordering::Relaxed);
        }
    }
}

/// Writes a group into an empty ring nobody else sees yet, or one entry of a live one.
fn create(core: &Core, index: u16, spec: &GroupSpec) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::CREATING), Ordering::Release);
    let (policy, absence) = match spec.policy {
        Policy::Durable { max_absence } => (
            DURABLE,
            max_absence.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX).max(1)),
        ),
        Policy::Ephemeral => (EPHEMERAL, 0),
    };
    memory.store(at + group::POLICY, policy, Ordering::Relaxed);
    memory.store(at + group::MAX_ABSENCE, absence, Ordering::Relaxed);
    let now_ms = (core.environment.now_ns() / 1_000_000).max(1);
    memory.store(at + group::ABSENT_SINCE, now_ms, Ordering::Relaxed);
    memory.store(at + group::LOSS, 0, Ordering::Relaxed);
    memory.store(at + group::SLEEPERS, 0, Ordering::Relaxed);
    memory.store(at + group::NAME_LEN, spec.name.len() as u64, Ordering::Relaxed);
    write_name(memory, at, &spec.name);
    for member in 0..core.layout.geometry.members {
        let bell = core.layout.member(index, member) + group::MEMBER_BELL;
        memory.store(bell, 0, Ordering::Relaxed);
    }
    let (tail, reserved) = (core.tail(), core.reserved());
    let wish = match spec.start {
        Start::Earliest => reserved,
        Start::Latest => tail,
        Start::At(position) => position.clamp(reserved.min(tail), tail),
    };
    let start = hold(core, index, wish);
    for partition in 0..core.layout.geometry.partitions {
        let at = core.layout.partition(index, partition);
        release_by_force(memory, at + group::PARTITION_OWNER);
        memory.store(at + group::PARTITION_CURSOR, start, Ordering::Relaxed);
        memory.store(at + group::PARTITION_LOST_FROM, start, Ordering::Relaxed);
    }
    memory.store(at + group::FLOOR, start, Ordering::Release);
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::ACTIVE), Ordering::Release);
}

/// Lets an evicted group go on where records are still to be had, and notes what it lost.
fn reinstate(core: &Core, index: u16) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    let partitions = 0..core.layout.geometry.partitions;
    let old = partitions.clone().map(|p| core.cursor(index, p)).min().unwrap_or(0);
    // Killed from here on, the entry is still evicted, with a floor `repair` takes away.
    let start = hold(core, index, old.min(core.tail()));
    let mut lost = false;
    for partition in partitions {
        let at = core.layout.partition(index, partition);
        release_by_force(memory, at + group::PARTITION_OWNER);
        let cursor = core.cursor(index, partition);
        // What an earlier eviction took and nobody was told of counts too.
        let untold = memory.load(at + group::PARTITION_LOST_FROM, Ordering::Relaxed);
        let told = memory.load(core.layout.group(index) + group::LOSS, Ordering::Relaxed) == 0;
        let from = if told { cursor } else { untold.min(cursor) };
        memory.store(at + group::PARTITION_LOST_FROM, from, Ordering::Relaxed);
        if cursor < start {
            lost = true;
        }
    }
    if lost {
        memory.store(at + group::LOST_TO, start, Ordering::Relaxed);
        memory.store(at + group::LOSS, 1, Ordering::Release);
        for partition in 0..core.layout.geometry.partitions {
            let at = core.layout.partition(index, partition) + group::PARTITION_CURSOR;
            memory.raise(at, start);
        }
    }
    let since = (core.environment.now_ns() / 1_000_000).max(1);
    memory.store(at + group::ABSENT_SINCE, since, Ordering::Relaxed);
    memory.store(at + group::FLOOR, start, Ordering::Release);
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::ACTIVE), Ordering::Release);
}

/// The joining half of "joining against overwriting": gives the oldest record surely kept from now on.
fn hold(core: &Core, index: u16, wish: Position) -> Position {
    let floor = core.layout.group(index) + group::FLOOR;
    core.memory.store(floor, wish, Ordering::Release);
    fence(Ordering::SeqCst);
    wish.max(core.reserved())
}

/// Puts right what a process left that died with the table lock.
pub(super) fn repair(core: &Core) -> bool {
    let mut changed = false;
    for index in 0..core.layout.geometry.groups {
        let floor = core.layout.group(index) + group::FLOOR;
        let holds = core.group_floor(index) != u64::MAX;
        match state::of(core.group_state(index)) {
            state::ACTIVE => {}
            state::FREE | state::EVICTED => {
                if holds {
                    core.memory.store(floor, u64::MAX, Ordering::Release);
                    changed = true;
                }
            }
            _ => {
                free(core, index);
                changed = true;
            }
        }
    }
    changed
}

/// An entry whose group is gone for all that matters.
fn removable(core: &Core) -> Option<u16> {
    let index = (0..core.layout.geometry.groups).find(|&index| {
        state::of(core.group_state(index)) == state::ACTIVE
            && core.group_policy(index) == Policy::Ephemeral
            && !core.has_living_member(index)
    })?;
    free(core, index);
    Some(index)
}

pub(super) fn free(core: &Core, index: u16) {
    vacate(core, index, state::FREE);
}

/// First the state, then the floor: what is left by a death between the two is what `repair` finds.
pub(super) fn vacate(core: &Core, index: u16, to: u64) {
    let at = core.layout.group(index);
    let word = core.group_state(index);
    core.memory.store(at + group::STATE, state::next(word, to), Ordering::Release);
    core.memory.store(at + group::FLOOR, u64::MAX, Ordering::Release);
}

/// Nobody owns the partition any more, whoever the word says.
fn release_by_force(memory: &Memory, owner: usize) {
    let word = memory.load(owner, Ordering::Relaxed);
    memory.store(owner, (word >> 16).wrapping_add(1) << 16, Ordering::Release);
}

fn write_name(memory: &Memory, at: usize, name: &str) {
    let mut bytes = [0; group::NAME_MAX];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    memory.write(at + group::NAME, &bytes);
}

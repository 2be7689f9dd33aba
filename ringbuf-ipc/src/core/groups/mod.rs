//! The table of reader groups. It is changed only with the table lock held, which the kernel takes
//! back from whoever dies with it; entries left half-made are then put right by the next holder.
//!
//! [`entry`] what an entry says; [`create`] how one is made; [`reinstate`] how an evicted group goes on; [`force`]
//! how one is evicted, moved and ended, whoever is at work in it.

mod create;
mod entry;
mod force;
mod reinstate;

use super::Core;
use super::group_spec::{GroupError, GroupSpec, Policy, check_name};
use super::layout::{group, mode};
use super::memory::Ordering;
use super::words::table::Words;
use super::words::word::Stand;

pub(crate) use force::{evict, reset};
pub(super) use force::{free, vacate};

use create::create;
use force::{finish_move, give_back_words};
use reinstate::reinstate;

/// States of an entry, the low byte of its state word.
pub(crate) mod state {
    pub(crate) const FREE: u64 = 0;
    /// Being made; nobody may use it, but its floor holds already.
    pub(crate) const CREATING: u64 = 1;
    pub(crate) const ACTIVE: u64 = 2;
    /// Holds nothing, remembers its cursors.
    pub(crate) const EVICTED: u64 = 3;
    /// Being moved to where its entry says; whoever finds it so finishes that.
    pub(crate) const MOVING: u64 = 4;

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
            let is = core.group_mode_of(index);
            if is != spec.mode {
                let name = spec.name.clone();
                return Err(GroupError::Mode { name, is, wanted: spec.mode });
            }
            if evicted {
                reinstate(core, index);
            }
            return Ok((index, false));
        }
    }
    let mut free = (0..core.layout.geometry.groups)
        .filter(|&index| state::of(core.group_state(index)) == state::FREE);
    // Rather one in which nobody is left who was a member by force.
    let place = free
        .clone()
        .find(|&index| !core.has_living_member(index))
        .or_else(|| free.next())
        .or_else(|| removable(core))
        .ok_or(GroupError::TableFull { limit: core.layout.geometry.groups })?;
    if spec.mode.has_words() {
        // Before the entry says anything: what may fail has failed then, and what a predecessor left is gone.
        if core.has_living_member(place) {
            // They may touch its words until they know: their memory stays where it is.
            core.environment.reserve(core.layout.words(place))?;
            Words::wipe(&core.memory, core.layout.words(place).start, core.layout.geometry.slots);
        } else {
            core.environment.give_back(core.layout.words(place))?;
            core.environment.reserve(core.layout.words(place))?;
        }
    }
    core.environment.remove_letters(place);
    create(core, place, spec);
    Ok((place, true))
}

/// Ends a group, by force also one whose members live; the caller holds the table lock.
pub(crate) fn remove(core: &Core, name: &str, force: bool) -> Result<(), GroupError> {
    let index = find(core, name)?;
    let members = core.living_members(index);
    if members != 0 && !force {
        return Err(GroupError::InUse { name: name.to_owned(), members });
    }
    free(core, index);
    Ok(())
}

/// The place of a group; the caller holds the table lock.
pub(crate) fn find(core: &Core, name: &str) -> Result<u16, GroupError> {
    repair(core);
    core.find_group(name).ok_or_else(|| GroupError::NotFound { name: name.to_owned() })
}

/// Ends an ephemeral group whose last member left; the caller holds the table lock.
pub(crate) fn end_if_deserted(core: &Core, index: u16, expected: u64, now_ms: u64) {
    let word = core.group_state(index);
    if state::of(word) == state::FREE && core.group_mode(index) == mode::ANY_ORDER {
        give_back_words(core, index);
    }
    if word != expected || core.has_living_member(index) {
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

/// Puts right what a process left that died with the table lock.
pub(crate) fn repair(core: &Core) -> bool {
    let mut changed = false;
    for index in 0..core.layout.geometry.groups {
        let floor = core.layout.group(index) + group::FLOOR;
        let holds = core.group_floor(index) != u64::MAX;
        match state::of(core.group_state(index)) {
            state::ACTIVE => {}
            state @ (state::FREE | state::EVICTED) => {
                if state == state::FREE && core.group_mode(index) == mode::ANY_ORDER {
                    give_back_words(core, index);
                }
                if holds {
                    core.memory.swap(floor, Stand::NOTHING.0, Ordering::AcqRel);
                    changed = true;
                }
            }
            state::MOVING => {
                finish_move(core, index);
                changed = true;
            }
            _ => {
                free(core, index);
                changed = true;
            }
        }
    }
    changed
}

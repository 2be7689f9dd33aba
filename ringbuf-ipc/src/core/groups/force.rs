//! Groups evicted, moved and ended, whoever is at work in them.

use super::create::place;
use super::{find, state};
use crate::core::group_spec::GroupError;
use crate::core::layout::{group, mode};
use crate::core::memory::Ordering;
use crate::core::words::letter::Kept;
use crate::core::words::table::Words;
use crate::core::words::word::Stand;
use crate::core::{Core, Position};

/// Evicts a group by force, whoever is at work in it; the caller holds the table lock.
pub(crate) fn evict(core: &Core, name: &str) -> Result<(), GroupError> {
    let index = find(core, name)?;
    if state::of(core.group_state(index)) == state::ACTIVE {
        vacate(core, index, state::EVICTED);
        core.floor_reached(core.tail());
        core.wake_group(index);
    }
    Ok(())
}

/// Moves a group by force, whoever is at work in it: they are evicted. The caller holds the table lock.
pub(crate) fn reset(core: &Core, name: &str, to: Position) -> Result<Position, GroupError> {
    let index = find(core, name)?;
    let at = core.layout.group(index);
    core.memory.store(at + group::MOVE_TO, to.min(core.tail()), Ordering::Relaxed);
    let word = core.group_state(index);
    core.memory.store(at + group::STATE, state::next(word, state::MOVING), Ordering::Release);
    finish_move(core, index);
    Ok(core.group_floor(index))
}

/// First the new epoch, which is that of the state to come, then words and cursors, then the state.
pub(super) fn finish_move(core: &Core, index: u16) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    if core.group_mode(index) == mode::ANY_ORDER {
        Words::wipe(memory, core.layout.words(index).start, core.layout.geometry.slots);
    }
    memory.store(at + group::LOSS, 0, Ordering::Relaxed);
    memory.store(at + group::FEAR, 0, Ordering::Relaxed);
    let to = memory.load(at + group::MOVE_TO, Ordering::Relaxed).min(core.tail());
    place(core, index, to);
    if core.group_mode(index) == mode::ANY_ORDER {
        keep_asides(core, index, to..core.group_floor(index));
    }
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::ACTIVE), Ordering::Release);
    core.wake_group(index);
}

/// Of what is in the group's file and waits or is out, only `wanted` is still to be given from there: the rest
/// is skipped, or given from the ring.
fn keep_asides(core: &Core, index: u16, wanted: std::ops::Range<Position>) {
    // Without the lock, or where it cannot be written, more is given than was asked for, never less.
    let kept = core.with_letters(index, false, &mut |file| {
        for head in file.live() {
            let mut condition = head.condition;
            let keep = wanted.contains(&head.position) && condition.kept != Kept::Prepared;
            condition.kept = if keep { Kept::Waiting } else { Kept::Gone };
            (condition.member, condition.once) = (None, false);
            file.change(head.number, condition)?;
        }
        Ok(())
    });
    // Else the next one who comes to the file finishes what was begun, for which the flag stays raised.
    if kept.is_ok() {
        let setting = core.layout.group(index) + group::SETTING_ASIDE;
        core.memory.store(setting, 0, Ordering::Release);
    }
    core.count(index, group::FILE_VERSION, 1);
}

pub(in crate::core) fn free(core: &Core, index: u16) {
    vacate(core, index, state::FREE);
    if core.group_mode(index) == mode::ANY_ORDER {
        core.environment.remove_letters(index);
        give_back_words(core, index);
    }
}

/// Gives the memory of a removed group's words back, unless a member lives that was told nothing yet: what it writes
/// would take memory again that nobody counts on, or meet none. Its last one does it, or whoever comes by.
pub(super) fn give_back_words(core: &Core, index: u16) {
    if core.has_living_member(index) {
        // What they have can be settled no more.
        Words::wipe(&core.memory, core.layout.words(index).start, core.layout.geometry.slots);
        return;
    }
    // What cannot be given back now is used by the next group in this place, or given back then.
    let _ = core.environment.give_back(core.layout.words(index));
    let at = core.layout.group(index);
    core.memory.store(at + group::MODE, mode::IN_ORDER, Ordering::Relaxed);
}

/// First the state, then the floor: what is left by a death between the two is what `repair` finds.
pub(in crate::core) fn vacate(core: &Core, index: u16, to: u64) {
    let at = core.layout.group(index);
    let word = core.group_state(index);
    if to == state::EVICTED {
        // Its words are carried over from there: of those before a floor that is damaged each says for itself
        // that it is done.
        let (floor, slots) = (core.floor_stand(index), u64::from(core.layout.geometry.slots));
        let from = if floor.is_of(core.group_epoch(index)) {
            floor.position()
        } else {
            core.tail().saturating_sub(slots)
        };
        core.memory.store(at + group::MOVE_TO, from, Ordering::Relaxed);
    }
    core.memory.store(at + group::STATE, state::next(word, to), Ordering::Release);
    core.memory.swap(at + group::FLOOR, Stand::NOTHING.0, Ordering::AcqRel);
}

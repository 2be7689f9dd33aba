//! How an evicted group goes on where records are still to be had, and what it lost.

use super::create::{disown_shares, hold, next_epoch, release_by_force};
use super::state;
use crate::core::Core;
use crate::core::layout::{group, mode};
use crate::core::memory::Ordering;
use crate::core::words::word::{Epoch, Stand};

/// Lets an evicted group go on where records are still to be had, and notes what it lost.
pub(super) fn reinstate(core: &Core, index: u16) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    let epoch = next_epoch(core, index);
    if core.group_mode(index) == mode::ANY_ORDER {
        disown_shares(core, index);
        reinstate_words(core, index, epoch);
        return;
    }
    let partitions = 0..core.partitions(index);
    disown_foreign(core, index, epoch);
    let old = partitions.clone().map(|p| core.cursor(index, p)).min().unwrap_or(0);
    freeze_cursors(core, index, epoch);
    // Killed from here on, the entry is still evicted, with a floor `repair` takes away.
    let start = hold(core, index, epoch, old.min(core.tail()));
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
    }
    for partition in 0..core.partitions(index) {
        let at = core.layout.partition(index, partition) + group::PARTITION_CURSOR;
        let cursor = core.cursor_stand(index, partition);
        if cursor != Stand::NOTHING {
            // Nobody else moves it before the group is active.
            let stand = Stand::new(epoch, cursor.position().max(start));
            memory.store(at, stand.0, Ordering::Release);
        }
    }
    activate(core, index, Stand::new(epoch, start));
}

/// Makes the cursors of an evicted group those of the epoch to come, where they are: what a member that was evicted
/// acknowledged before counts, and from here on none of them can.
fn freeze_cursors(core: &Core, index: u16, to_come: Epoch) {
    for partition in 0..core.partitions(index) {
        let at = core.layout.partition(index, partition) + group::PARTITION_CURSOR;
        loop {
            let found = core.cursor_stand(index, partition);
            let frozen = Stand::new(to_come, found.position());
            if found == Stand::NOTHING || core.memory.cas(at, found.0, frozen.0) {
                break;
            }
        }
    }
}

/// A cursor of an evicted group that is of no epoch it can be of stays damaged, and is told by the next take,
/// rather than made one of the new epoch. It can be of that in which the group was evicted or went over into
/// this ring, or of that to come, when somebody died who let the group go on.
fn disown_foreign(core: &Core, index: u16, to_come: Epoch) {
    let generation = core.group_state(index) >> 8;
    let known = [Epoch::of(generation.wrapping_sub(1)), Epoch::of(generation), to_come];
    for partition in 0..core.partitions(index) {
        if !known.iter().any(|&epoch| core.cursor_stand(index, partition).is_of(epoch)) {
            let at = core.layout.partition(index, partition) + group::PARTITION_CURSOR;
            core.memory.store(at, Stand::NOTHING.0, Ordering::Release);
        }
    }
}

/// The same of a group with words: what was settled stays so, and is not counted as lost.
fn reinstate_words(core: &Core, index: u16, epoch: Epoch) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    // Where its floor stood when it was evicted; `vacate` noted it, and it stays until the group is active.
    let old = memory.load(at + group::MOVE_TO, Ordering::Relaxed).min(core.tail());
    let start = hold(core, index, epoch, old);
    let slots = u64::from(core.layout.geometry.slots);
    let evicted = Epoch::of((core.group_state(index) >> 8).wrapping_sub(1));
    let held = old..core.tail().min(old + slots);
    let unsettled = core.words(index, evicted).carry(epoch, held, start);
    if start > old {
        let lost = unsettled + start.saturating_sub(old + slots);
        let untold = match memory.load(at + group::LOSS, Ordering::Relaxed) {
            0 => 0,
            _ => memory.load(at + group::LOST_RECORDS, Ordering::Relaxed),
        };
        memory.store(at + group::LOST_RECORDS, untold + lost, Ordering::Relaxed);
        memory.store(at + group::LOST_TO, start, Ordering::Relaxed);
        memory.store(at + group::LOSS, 1, Ordering::Release);
    }
    activate(core, index, Stand::new(epoch, start));
}

fn activate(core: &Core, index: u16, floor: Stand) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    let since = (core.environment.now_ns() / 1_000_000).max(1);
    memory.store(at + group::ABSENT_SINCE, since, Ordering::Relaxed);
    memory.swap(at + group::FLOOR, floor.0, Ordering::AcqRel);
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::ACTIVE), Ordering::Release);
}

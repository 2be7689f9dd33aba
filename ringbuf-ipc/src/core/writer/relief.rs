//! What a full ring may take back from those who are away.

use std::time::Duration;

use crate::core::group_spec::Policy;
use crate::core::groups::{free, repair, state, vacate};
use crate::core::layout::{group, mode};
use crate::core::memory::Ordering;
use crate::core::pending::Pending;
use crate::core::{Core, Position, patience};

/// What [`relieve`] did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Relief {
    pub(crate) changed: bool,
    /// Groups evicted or removed.
    pub(crate) gone: u64,
}

/// Frees what only the absent hold: idle partitions of groups without a living member are moved on,
/// deserted ephemeral groups end, absent groups past their time are evicted. Only of groups that stand before
/// `needed`: the others are in nobody's way.
///
/// The table is not waited for: who changes it now may be stopped.
///
/// Records before `overwritten` may be gone.
pub(crate) fn relieve(core: &Core, needed: Position, overwritten: Position, now_ms: u64) -> Relief {
    let mut relief = Relief::default();
    let mut change = || {
        relief.changed |= repair(core);
        for index in 0..core.layout.geometry.groups {
            if state::of(core.group_state(index)) != state::ACTIVE
                || core.group_floor(index) >= needed
            {
                continue;
            }
            if core.group_floor(index) < overwritten {
                core.advance_floor(index, core.group_epoch(index));
            }
            // A group that joined late was given a floor beyond that, and every other consented.
            let cannot_be = core.group_floor(index) < overwritten;
            if cannot_be || core.check_entry(index).is_err() {
                // This entry is damaged, and would hold the ring for ever.
                vacate(core, index, state::EVICTED);
                core.wake_group(index);
                relief = Relief { changed: true, gone: relief.gone + 1 };
                continue;
            }
            if core.has_living_member(index) {
                relieve_still_group(core, index, now_ms, &mut relief);
            } else {
                relieve_group(core, index, now_ms, &mut relief);
            }
        }
    };
    // An error of the lock is like a lock that is held: the next look comes soon.
    let _ = core.environment.with_table(patience::NONE, &mut change);
    relief
}

fn relieve_group(core: &Core, index: u16, now_ms: u64, relief: &mut Relief) {
    let floor = core.group_floor(index);
    match core.group_policy(index) {
        Policy::Ephemeral => {
            free(core, index);
            relief.changed = true;
            relief.gone += 1;
        }
        Policy::Durable { max_absence } => {
            if let Some(mut pending) = Pending::of_group(core, index) {
                pending.sweep(core, index, core.group_epoch(index));
            }
            relief.changed |= core.group_floor(index) != floor;
            let since = core.absent_since(index);
            let over = max_absence.is_some_and(|allowed| is_over(since, now_ms, allowed));
            if over && !relief.changed {
                vacate(core, index, state::EVICTED);
                relief.changed = true;
                relief.gone += 1;
            }
        }
    }
}

/// A group whose members live and do not move, though there is something to do: they are stopped, or hang. Also one
/// whose floor stands though others of it move: one was stopped while it set records aside, or nothing more can be.
fn relieve_still_group(core: &Core, index: u16, now_ms: u64, relief: &mut Relief) {
    let Policy::Durable { max_absence: Some(allowed) } = core.group_policy(index) else { return };
    let stands = core.group_mode(index) == mode::ANY_ORDER
        && is_over(stands_since(core, index, now_ms), now_ms, allowed);
    if !relief.changed && (stands || is_over(core.last_moved(index), now_ms, allowed)) {
        vacate(core, index, state::EVICTED);
        core.wake_group(index);
        relief.changed = true;
        relief.gone += 1;
    }
}

/// Since when the floor, for which the ring's producer waits, is where it is; as far as it was looked at.
fn stands_since(core: &Core, index: u16, now_ms: u64) -> u64 {
    let (memory, at) = (&core.memory, core.layout.group(index));
    // Read as it stands, with its epoch: a group that was moved begins anew.
    let floor = memory.load(at + group::FLOOR, Ordering::Acquire);
    let since = memory.load(at + group::STANDS_SINCE, Ordering::Relaxed);
    if memory.load(at + group::STANDS_AT, Ordering::Relaxed) == floor && since != 0 {
        return since;
    }
    memory.store(at + group::STANDS_AT, floor, Ordering::Relaxed);
    memory.store(at + group::STANDS_SINCE, now_ms.max(1), Ordering::Relaxed);
    now_ms
}

fn is_over(since_ms: u64, now_ms: u64, allowed: Duration) -> bool {
    u128::from(now_ms.saturating_sub(since_ms)) >= allowed.as_millis()
}

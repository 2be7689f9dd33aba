//! How the entry of a group is made, and where a group begins.

use super::{DURABLE, EPHEMERAL, state};
use crate::core::group_spec::{GroupSpec, Mode, Policy, Start};
use crate::core::layout::{group, mode};
use crate::core::memory::{Memory, Ordering, fence};
use crate::core::words::word::{Epoch, Stand};
use crate::core::{Core, Position};

/// Words of an entry that begin anew with each group.
const FIGURES: [usize; 17] = [
    group::LOSS,
    group::HANDED,
    group::MOVE_TO,
    group::FILE_VERSION,
    group::SETTING_ASIDE,
    group::ASIDE,
    group::DEAD,
    group::DROPPED,
    group::REDELIVERED,
    group::LOST_RECORDS,
    group::DAMAGED,
    group::DAMAGED_LOST,
    group::STANDS_AT,
    group::STANDS_SINCE,
    group::SEATS,
    group::FEAR,
    group::ANEW,
];

/// Writes a group into an empty ring nobody else sees yet, or one entry of a live one.
pub(super) fn create(core: &Core, index: u16, spec: &GroupSpec) {
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
    let mode = match spec.mode {
        Mode::InOrder => mode::IN_ORDER,
        Mode::AnyOrder { .. } => mode::ANY_ORDER,
        Mode::Follow => mode::FOLLOW,
    };
    memory.store(at + group::MODE, mode, Ordering::Relaxed);
    memory.store(at + group::ORDER, spec.mode.order_word(), Ordering::Relaxed);
    for figure in FIGURES {
        memory.store(at + figure, 0, Ordering::Relaxed);
    }
    memory.store(at + group::SLEEPERS, 0, Ordering::Relaxed);
    memory.store(at + group::NAME_LEN, spec.name.len() as u64, Ordering::Relaxed);
    write_name(memory, at, &spec.name);
    for member in 0..core.layout.geometry.members {
        let member = core.layout.member(index, member);
        memory.store(member + group::MEMBER_BELL, 0, Ordering::Relaxed);
        memory.store(member + group::MEMBER_MOVED, now_ms, Ordering::Relaxed);
        memory.store(member + group::MEMBER_SHARES, 0, Ordering::Relaxed);
    }
    let (tail, reserved) = (core.tail(), core.reserved());
    let wish = match spec.start {
        Start::Earliest => reserved,
        Start::Latest => tail,
        Start::At(position) => position.clamp(reserved.min(tail), tail),
    };
    place(core, index, wish);
    let word = core.group_state(index);
    memory.store(at + group::STATE, state::next(word, state::ACTIVE), Ordering::Release);
}

/// Puts floor and cursors of a group, whose next state is that in which they count, at `wish` or at the
/// oldest record that is surely kept.
pub(super) fn place(core: &Core, index: u16, wish: Position) {
    let memory = &core.memory;
    let epoch = next_epoch(core, index);
    let start = hold(core, index, epoch, wish);
    let stand = Stand::new(epoch, start).0;
    for partition in 0..core.partitions(index) {
        let at = core.layout.partition(index, partition);
        release_by_force(memory, at + group::PARTITION_OWNER);
        memory.swap(at + group::PARTITION_CURSOR, stand, Ordering::AcqRel);
        memory.store(at + group::PARTITION_LOST_FROM, start, Ordering::Relaxed);
    }
    disown_shares(core, index);
    memory.swap(core.layout.group(index) + group::FLOOR, stand, Ordering::AcqRel);
}

/// The joining half of "joining against overwriting": gives the oldest record surely kept from now on.
pub(super) fn hold(core: &Core, index: u16, epoch: Epoch, wish: Position) -> Position {
    let floor = core.layout.group(index) + group::FLOOR;
    core.memory.swap(floor, Stand::new(epoch, wish).0, Ordering::AcqRel);
    fence(Ordering::SeqCst);
    wish.max(core.reserved())
}

/// The epoch that begins with the next state.
pub(super) fn next_epoch(core: &Core, index: u16) -> Epoch {
    Epoch::of((core.group_state(index) >> 8).wrapping_add(1))
}

/// Who was at work in a sticky group before it was made, moved or made to go on has no partition of it any more.
pub(super) fn disown_shares(core: &Core, index: u16) {
    if core.is_sticky(index) {
        for partition in 0..core.layout.geometry.partitions {
            let at = core.layout.partition(index, partition);
            release_by_force(&core.memory, at + group::PARTITION_OWNER);
        }
    }
}

/// Nobody owns the partition any more, whoever the word says.
pub(super) fn release_by_force(memory: &Memory, owner: usize) {
    let word = memory.load(owner, Ordering::Relaxed);
    memory.store(owner, (word >> 16).wrapping_add(1) << 16, Ordering::Release);
}

fn write_name(memory: &Memory, at: usize, name: &str) {
    let mut bytes = [0; group::NAME_MAX];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    memory.write(at + group::NAME, &bytes);
}

//! A member's place in its group, and the owner words of the partitions it takes hold of.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::core::buffers::Buffers;
use crate::core::layout::group;
use crate::core::memory::{Ordering, fence};
use crate::core::words::cursor;
use crate::core::words::word::Epoch;
use crate::core::{Core, Life, Position, groups, locks, patience};

/// Buffers of batches that are done, to be used again.
pub(crate) type Pool = Arc<Mutex<Vec<Buffers>>>;

/// How often a member with nothing to do says that it is not stuck.
const MOVED_EVERY_MS: u64 = 10;

/// How many forks without exec lie between this process and the first one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// This process is a child. Callable from a signal's handler.
pub(crate) extern "C" fn forked() {
    FORKS.fetch_add(1, Relaxed);
}

/// The process as such: a child's is another.
pub(crate) fn process() -> u32 {
    FORKS.load(Relaxed)
}

/// What a member's batches share with it: the place in the group, held until the last of them is gone.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) core: Arc<Core>,
    pub(crate) group: u16,
    pub(crate) member: u16,
    /// State word of the group at the time of joining.
    pub(crate) state: u64,
    /// That it names.
    pub(crate) epoch: Epoch,
    pub(crate) partitions: u16,
    pub(crate) pool: Pool,
    /// Whose seat it is: a child that was forked has a copy, and no say.
    pub(crate) process: u32,
    /// What keeps the member's lock; let go only when no partition word will be written again.
    pub(crate) life: Option<Life>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let core = Arc::clone(&self.core);
        // Without the lock the group is only found deserted later, when its space is needed.
        self.leave(|end| drop(core.environment.with_table(patience::LEAVING, end)));
    }
}

impl Seat {
    /// Leaves a seat that was just taken, by who holds the lock on the group table still.
    pub(crate) fn leave_locked(mut self) {
        self.leave(|end| end());
    }

    /// Leaves the group, once: an ephemeral one ends with its last member. `locked` runs what it is given with the lock
    /// on the group table held.
    fn leave(&mut self, locked: impl FnOnce(&mut dyn FnMut())) {
        if self.life.is_none() || self.process != process() {
            return;
        }
        let core = &self.core;
        let bell = core.layout.member(self.group, self.member) + group::MEMBER_BELL;
        core.memory.store(bell, 0, Ordering::Relaxed);
        self.life = None;
        let now_ms = core.environment.now_ns() / 1_000_000;
        locked(&mut || groups::end_if_deserted(core, self.group, self.state, now_ms));
        fence(Ordering::SeqCst);
        core.wake_group(self.group);
    }
}

impl Seat {
    /// Takes hold of a partition whose owner word is `word`; whether it was still so.
    pub(crate) fn claim(&self, partition: u16, word: u64) -> bool {
        let claimed = ((word >> 16).wrapping_add(1) << 16) | (u64::from(self.member) + 1);
        self.core.memory.cas(self.owner_of(partition), word, claimed)
    }

    /// Lets go of what an earlier member in this seat died with.
    pub(crate) fn release_predecessor(&self) {
        for partition in 0..self.partitions {
            let at = self.owner_of(partition);
            let word = self.core.memory.load(at, Ordering::Acquire);
            if owner(word) == Some(self.member) {
                self.core.memory.cas(at, word, released(word));
            }
        }
    }

    /// Takes the place of a member: from here on others may wake it.
    pub(crate) fn sit_down(&self, bell: Option<u64>) {
        let (memory, at) = (&self.core.memory, self.core.layout.member(self.group, self.member));
        memory.store(at + group::MEMBER_SETTLED, 0, Ordering::Relaxed);
        memory.store(at + group::MEMBER_FIRST, 0, Ordering::Relaxed);
        memory.store(at + group::MEMBER_PROCESS, std::process::id().into(), Ordering::Relaxed);
        let now_ms = self.core.environment.now_ns() / 1_000_000;
        memory.store(at + group::MEMBER_JOINED, now_ms, Ordering::Relaxed);
        memory.store(at + group::MEMBER_MOVED, now_ms, Ordering::Relaxed);
        memory.store(at + group::MEMBER_BELL, bell.map_or(0, |bell| bell + 1), Ordering::Relaxed);
        let absent = self.core.layout.group(self.group) + group::ABSENT_SINCE;
        memory.store(absent, 0, Ordering::Relaxed);
    }

    /// Says that this member sleeps.
    pub(crate) fn announce(&self) {
        self.core.say_member_asleep(self.group, self.member);
    }

    /// It took or settled something, or had nothing to do.
    pub(crate) fn moved(&self) {
        let at = self.core.layout.member(self.group, self.member) + group::MEMBER_MOVED;
        let now_ms = self.core.environment.now_ns() / 1_000_000;
        self.core.memory.store(at, now_ms, Ordering::Relaxed);
    }

    /// The same at a time that is known. Seconds count: who says it at every wake writes it now and then.
    pub(crate) fn moved_at(&self, now_ms: u64) {
        let at = self.core.layout.member(self.group, self.member) + group::MEMBER_MOVED;
        let known = self.core.memory.load(at, Ordering::Relaxed);
        if now_ms.wrapping_sub(known) >= MOVED_EVERY_MS {
            self.core.memory.store(at, now_ms, Ordering::Relaxed);
        }
    }

    /// Whether the group is still the one that was joined.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.core.group_state(self.group) == self.state
    }

    fn owner_of(&self, partition: u16) -> usize {
        self.core.layout.partition(self.group, partition) + group::PARTITION_OWNER
    }

    /// Everything of the partition, which this member holds, before `position` is done.
    pub(super) fn advance(&self, partition: u16, position: Position) {
        let core = &self.core;
        let old = core.cursor(self.group, partition);
        if position <= old {
            return;
        }
        let at = core.layout.partition(self.group, partition);
        let cursor = at + group::PARTITION_CURSOR;
        if cursor::raise(&core.memory, cursor, self.epoch, position).is_err() {
            // The group was moved by force, or the word is damaged; the next take says so.
            return;
        }
        if self.partitions == 1 {
            let floor = core.layout.group(self.group) + group::FLOOR;
            if cursor::raise(&core.memory, floor, self.epoch, position).is_ok() {
                core.floor_reached(position);
            }
        } else {
            // Only the lowest cursor holds the floor. Whoever is raising it to this one's old place has
            // yet to look at the cursors again, or has raised it before this load. Both are members, so
            // neither half of this pair may be a light one.
            fence(Ordering::SeqCst);
            if old <= core.group_floor(self.group) {
                core.advance_floor(self.group, self.epoch);
            }
        }
    }

    /// Lets go of a partition whose next record is `next`; others are woken when there are more.
    pub(super) fn release(&self, partition: u16, next: Position) {
        if self.process != process() {
            return;
        }
        let core = &self.core;
        let at = self.owner_of(partition);
        let word = core.memory.load(at, Ordering::Relaxed);
        if owner(word) != Some(self.member) {
            return;
        }
        core.memory.store(at, released(word), Ordering::Release);
        core.light_fence();
        let sleepers = core.layout.group(self.group) + group::SLEEPERS;
        if core.memory.load(sleepers, Ordering::Relaxed) != 0 {
            let cursor = core.cursor(self.group, partition);
            if cursor < next || cursor < core.tail() {
                core.wake_some(self.group, 1);
            }
        }
    }
}

/// Keeps buffers for the next batch, if they are worth it.
pub(crate) fn recycle(pool: &Mutex<Vec<Buffers>>, mut buffers: Buffers) {
    // Many short ones are out where records are settled one by one.
    let kept = if buffers.is_short() { 1024 } else { 8 };
    if buffers.is_worth_keeping()
        && let Ok(mut pool) = pool.lock()
        && pool.len() < kept
    {
        buffers.clear();
        pool.push(buffers);
    }
}

impl Core {
    /// Whether the member in that seat lives.
    pub(crate) fn is_alive(&self, index: u16, member: u16) -> bool {
        member < self.layout.geometry.members && self.environment.held(locks::member(index, member))
    }
}

/// The member an owner word names.
pub(crate) const fn owner(word: u64) -> Option<u16> {
    match word as u16 {
        0 => None,
        member => Some(member - 1),
    }
}

/// The word of a partition that nobody has any more.
pub(crate) const fn released(word: u64) -> u64 {
    (word >> 16).wrapping_add(1) << 16
}

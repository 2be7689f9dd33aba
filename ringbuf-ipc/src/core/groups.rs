//! The table of reader groups. It is changed only with the table lock held, which the kernel takes
//! back from whoever dies with it; entries left half-made are then put right by the next holder.

use std::time::Duration;

use super::group_spec::{GroupError, GroupSpec, Mode, Policy, Start, check_name};
use super::layout::{group, mode};
use super::memory::{Memory, Ordering, fence};
use super::reader::seat::owner;
use super::words::letter::Kept;
use super::words::table::Words;
use super::words::word::{Epoch, Stand};
use super::{Core, Position, locks};

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

/// Words of an entry that begin anew with each group.
const FIGURES: [usize; 15] = [
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
];

const DURABLE: u64 = 0;
const EPHEMERAL: u64 = 1;

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

/// Who was at work in a sticky group before it was made, moved or made to go on has no partition of it any more.
fn disown_shares(core: &Core, index: u16) {
    if core.is_sticky(index) {
        for partition in 0..core.layout.geometry.partitions {
            let at = core.layout.partition(index, partition);
            release_by_force(&core.memory, at + group::PARTITION_OWNER);
        }
    }
}

/// The epoch that begins with the next state.
pub(super) fn next_epoch(core: &Core, index: u16) -> Epoch {
    Epoch::of((core.group_state(index) >> 8).wrapping_add(1))
}

/// Lets an evicted group go on where records are still to be had, and notes what it lost.
fn reinstate(core: &Core, index: u16) {
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

/// The joining half of "joining against overwriting": gives the oldest record surely kept from now on.
fn hold(core: &Core, index: u16, epoch: Epoch, wish: Position) -> Position {
    let floor = core.layout.group(index) + group::FLOOR;
    core.memory.swap(floor, Stand::new(epoch, wish).0, Ordering::AcqRel);
    fence(Ordering::SeqCst);
    wish.max(core.reserved())
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

/// The place of a group; the caller holds the table lock.
pub(crate) fn find(core: &Core, name: &str) -> Result<u16, GroupError> {
    repair(core);
    core.find_group(name).ok_or_else(|| GroupError::NotFound { name: name.to_owned() })
}

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
fn finish_move(core: &Core, index: u16) {
    let (memory, at) = (&core.memory, core.layout.group(index));
    if core.group_mode(index) == mode::ANY_ORDER {
        Words::wipe(memory, core.layout.words(index).start, core.layout.geometry.slots);
    }
    memory.store(at + group::LOSS, 0, Ordering::Relaxed);
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

pub(super) fn free(core: &Core, index: u16) {
    vacate(core, index, state::FREE);
    if core.group_mode(index) == mode::ANY_ORDER {
        core.environment.remove_letters(index);
        give_back_words(core, index);
    }
}

/// Gives the memory of a removed group's words back, unless a member lives that was told nothing yet: what it writes
/// would take memory again that nobody counts on, or meet none. Its last one does it, or whoever comes by.
fn give_back_words(core: &Core, index: u16) {
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
pub(super) fn vacate(core: &Core, index: u16, to: u64) {
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

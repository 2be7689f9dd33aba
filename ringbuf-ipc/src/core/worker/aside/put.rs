//! Putting records into the file.

use std::io;

use crate::core::Position;
use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::group_spec::{Mode, Order};
use crate::core::layout::{PRODUCER, group, producer};
use crate::core::memory::Ordering;
use crate::core::words::lanes::Key;
use crate::core::words::letter::{Condition, Kept, LetterFile};
use crate::core::words::peers::Peers;
use crate::core::words::word::{State, Word};
use crate::core::worker::Worker;
use crate::core::worker::burial::no_room;
use crate::core::worker::post::Post;

/// The most records that are set aside at a time.
const AT_A_TIME: usize = 4096;
/// How long until a file that was full is tried again.
const AGAIN_NS: u64 = 100_000_000;

/// How long a full ring waits for the record at its floor before that is set aside: a group that only is slower than
/// the producer settles it sooner, and is to be waited for.
const STUCK_NS: u64 = 100_000_000;
/// How long a member of a sticky group takes nothing until it is stopped rather than slow.
const STILL_MS: u64 = 5_000;

/// How records stood: one whose word is the same a while later is stuck.
#[derive(Debug)]
pub(super) struct Standing {
    at_ns: u64,
    /// Of all that were not settled, by position.
    words: Vec<(Position, Word)>,
}

impl Standing {
    fn is_same(&self, position: Position, word: Word) -> bool {
        let found = self.words.binary_search_by_key(&position, |&(position, _)| position);
        found.is_ok_and(|index| self.words[index].1 == word)
    }
}

impl Worker {
    /// When the ring is three quarters full behind records that have not moved for a while, they and those that wait
    /// for them are set aside, all of them at once.
    pub(in crate::core::worker) fn set_aside_what_holds_up(&mut self) {
        let now = self.neighbours.now_ns();
        let Some(mut floor) = self.floor_in_the_way() else {
            self.asides.stuck = None;
            return;
        };
        if now < self.asides.not_before {
            return;
        }
        let Some(standing) = self.asides.stuck.take() else {
            self.asides.stuck = Some(self.look_round(floor, now));
            return;
        };
        if now.saturating_sub(standing.at_ns) < STUCK_NS {
            self.asides.stuck = Some(standing);
            return;
        }
        // One that takes nothing, because it has enough, has not seen what is new. Damage its next take tells.
        let _ = self.scan();
        while self.set_floor_aside(floor, &standing, now) {
            match self.floor_in_the_way() {
                Some(next) if next > floor => floor = next,
                _ => break,
            }
        }
        self.asides.stuck = Some(self.look_round(floor, now));
    }

    /// The group's floor, where the ring is three quarters full behind it.
    fn floor_in_the_way(&self) -> Option<Position> {
        let seat = &self.post.seat;
        let floor = seat.core.group_floor(seat.group);
        let in_the_way = floor < seat.core.tail() && is_three_quarters_full(&seat.core, floor);
        in_the_way.then_some(floor)
    }

    fn look_round(&self, floor: Position, at_ns: u64) -> Standing {
        let seat = &self.post.seat;
        let words = seat.core.words(seat.group, seat.epoch);
        let end = seat.core.tail().min(floor + u64::from(seat.core.layout.geometry.slots));
        let standing = (floor..end).map(|position| (position, words.look(position).word));
        Standing { at_ns, words: standing.filter(|(_, word)| !word.is_past()).collect() }
    }

    /// Sets the record at the floor aside, and what waits for it, if it has not moved; whether it did.
    fn set_floor_aside(&mut self, floor: Position, standing: &Standing, now: u64) -> bool {
        let seat = &self.post.seat;
        let (core, index) = (&seat.core, seat.group);
        let words = core.words(index, seat.epoch);
        let seen = words.look(floor);
        if seen.word.is_past() || seen.word.state() == State::Dying {
            self.help_with_file();
            return false;
        }
        if !standing.is_same(floor, seen.word) {
            return false;
        }
        let lane = self.desk.lanes.key_of(floor);
        // Its time to be tried is now, and it is anybody's: no need. But a suspect waits until what else is out comes
        // back, and that may take for ever.
        let waits = lane.is_some_and(|lane| self.desk.aside.contains(&lane))
            || seen.counts().is_suspect() && self.desk.out() != 0
            || self.is_of_one_that_stands_still(floor, now);
        if seen.word.state() == State::Free && !waits {
            return false;
        }
        // All records are of one key there: whatever is out, all others wait for it, and none would be left in the ring.
        if matches!(core.group_mode_of(index), Mode::AnyOrder { order: Order::Ring, .. }) {
            return false;
        }
        let Some(lane) = lane else { return false };
        let mut waiting: Vec<_> =
            self.desk.lanes.records(lane).filter(|&position| position >= floor).collect();
        if waiting.first() != Some(&floor) {
            waiting.insert(0, floor);
        }
        waiting.truncate(AT_A_TIME);
        let outcome = self.post.set_aside(lane, &waiting);
        if outcome.is_err() {
            // The ring is held up; who looks at the group is told by whom.
            self.asides.not_before = now + AGAIN_NS;
        }
        self.read_asides();
        outcome.is_ok()
    }

    /// Whether its partition is another's who takes nothing: of a sticky group nobody else may take it.
    fn is_of_one_that_stands_still(&self, position: Position, now: u64) -> bool {
        let seat = &self.post.seat;
        let owner = self.share.owner_elsewhere(seat, position);
        owner.is_some_and(|owner| {
            let at = seat.core.layout.member(seat.group, owner) + group::MEMBER_MOVED;
            let moved_ms = seat.core.memory.load(at, Ordering::Relaxed);
            (now / 1_000_000).saturating_sub(moved_ms) >= STILL_MS
        })
    }

    /// One that died while it set records aside left the flag raised: any look at the file puts that right.
    fn help_with_file(&self) {
        let seat = &self.post.seat;
        let at = seat.core.layout.group(seat.group) + group::SETTING_ASIDE;
        if seat.core.memory.load(at, Ordering::Acquire) != 0 {
            let _ = self.post.with_letters(true, &mut |_| Ok(()));
        }
    }
}

impl Post {
    /// Copies records of one lane into the file, in order, and lets the cursor pass them.
    pub(in crate::core::worker) fn set_aside(
        &self,
        lane: Key,
        positions: &[Position],
    ) -> io::Result<()> {
        let (core, index) = (&self.seat.core, self.seat.group);
        let setting = core.layout.group(index) + group::SETTING_ASIDE;
        let mut full = false;
        self.with_letters(true, &mut |file| {
            core.memory.store(setting, 1, Ordering::Release);
            // Before any word says aside: who sees one reads the file first.
            core.count(index, group::FILE_VERSION, 1);
            let prepared = self.prepare(lane, positions, file);
            let finished = self.finish_setting_aside(file);
            full = prepared?;
            finished
        })?;
        if full { Err(no_room()) } else { Ok(()) }
    }

    /// Appends the records, and has their words say so; true when there was no room for the first.
    fn prepare(
        &self,
        lane: Key,
        positions: &[Position],
        file: &mut dyn LetterFile,
    ) -> io::Result<bool> {
        let (core, index) = (&self.seat.core, self.seat.group);
        let words = core.words(index, self.seat.epoch);
        let mut buffers = Buffers::default();
        let mut seen = Vec::new();
        for &position in positions {
            let now = words.look(position);
            if now.word.is_past() || now.word.state() == State::Dying {
                break;
            }
            buffers.clear();
            let Some(entry) = Descriptor::load(core, position) else { break };
            buffers.push(core, &entry)?;
            let Some(entry) = buffers.get(0) else { break };
            let condition = Condition {
                kept: Kept::Prepared,
                member: now.word.member(),
                counts: now.word.counts(),
                epoch: self.seat.epoch,
                revived: false,
                once: now.word.state() == State::Once,
            };
            let appended = file.append(&self.letter(&entry, lane, condition, ""))?;
            let Some(dropped) = appended else { break };
            if !dropped.is_empty() {
                core.count(index, group::DROPPED, dropped.len() as u64);
            }
            seen.push((position, now));
        }
        let some = !seen.is_empty();
        for (position, now) in seen {
            if !words.set_aside(position, now) {
                // Settled or taken meanwhile: those behind it wait for it where they are.
                break;
            }
        }
        Ok(!some)
    }

    /// Entries that are prepared follow what the words say; then the cursor may pass.
    pub(in crate::core::worker) fn finish_setting_aside(
        &self,
        file: &mut dyn LetterFile,
    ) -> io::Result<()> {
        let (core, index) = (&self.seat.core, self.seat.group);
        let words = core.words(index, self.seat.epoch);
        let mut aside = 0;
        for head in file.live().iter().filter(|head| head.condition.kept == Kept::Prepared) {
            let word = words.look(head.position).word;
            let mut condition = head.condition;
            condition.kept = if word.state() != State::Aside {
                Kept::Gone
            } else if word.member().is_some() {
                Kept::Out
            } else {
                Kept::Waiting
            };
            (condition.member, condition.counts) = (word.member(), word.counts());
            aside += u64::from(condition.kept != Kept::Gone);
            file.change(head.number, condition)?;
        }
        if aside != 0 {
            core.count(index, group::ASIDE, aside);
        }
        core.count(index, group::FILE_VERSION, 1);
        let setting = core.layout.group(index) + group::SETTING_ASIDE;
        core.memory.store(setting, 0, Ordering::Release);
        core.advance_floor(index, self.seat.epoch);
        Ok(())
    }
}

fn is_three_quarters_full(core: &crate::core::Core, floor: Position) -> bool {
    let geometry = core.layout.geometry;
    let held = core.tail().saturating_sub(floor);
    if held >= u64::from(geometry.slots) / 4 * 3 {
        return true;
    }
    let head = core.memory.load(PRODUCER + producer::PAYLOAD_HEAD, Ordering::Relaxed);
    Descriptor::load(core, floor)
        .is_some_and(|entry| head.saturating_sub(entry.offset) >= geometry.payload_bytes / 4 * 3)
}

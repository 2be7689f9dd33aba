//! Records set aside: copied whole into the group's file when a ring fills behind a record that is out, waits
//! for another try, or waits for one of its key; and given from there, in order, before anything newer of
//! that key.
//!
//! Setting aside: the flag is raised, which keeps the cursor before every aside; entries are appended as
//! *prepared*; words say aside, in order, until one cannot; entries follow what the words say; the flag is
//! taken back. Who comes to the file and finds the flag raised does the last two for one that died.

use std::collections::{HashMap, HashSet};
use std::io;

use super::burial::no_room;
use super::post::{Origin, Post};
use super::settle::Held;
use super::{Taken, Worker};
use crate::core::Position;
use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;
use crate::core::group_spec::{Mode, Order};
use crate::core::layout::{PRODUCER, group, producer};
use crate::core::memory::Ordering;
use crate::core::words::desk::{Left, Peers};
use crate::core::words::lanes::Key;
use crate::core::words::letter::{Condition, Kept, LetterFile, Placed};
use crate::core::words::word::{Counts, State, Word};

/// The most records that are set aside at a time.
const AT_A_TIME: usize = 4096;
/// How long until a file that was full is tried again.
const AGAIN_NS: u64 = 100_000_000;
/// How long until one is tried again that could not be read: much longer than its lock is waited for, so that
/// the others of the group have nearly all of the time.
const REST_NS: u64 = 5_000_000_000;

/// How long a full ring waits for the record at its floor before that is set aside: a group that only is slower than
/// the producer settles it sooner, and is to be waited for.
const STUCK_NS: u64 = 100_000_000;

/// What a worker knows of the file.
#[derive(Debug, Default)]
pub(super) struct Asides {
    /// Of the file, when it was read last; `None` when nothing is known of it.
    version: Option<u64>,
    /// In the order of the file, which is that of each key.
    live: Vec<Live>,
    /// Given to this worker.
    out: HashSet<Position>,
    /// When this worker tries again.
    due: HashMap<Position, u64>,
    /// Not before: the file was full.
    not_before: u64,
    /// The floor of a ring that fills, and since when it is that.
    stuck: (Position, u64),
    /// Until then the file is left alone: it could not be read, or whoever has its lock does not let go.
    rests_until: u64,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    position: Position,
    lane: Key,
    condition: Condition,
}

impl Live {
    const fn of(placed: &Placed) -> Self {
        let head = &placed.head;
        Self { position: head.position, lane: head.lane, condition: head.condition }
    }
}

impl Asides {
    /// Lanes begin anew, without what was seen of asides in them.
    pub(super) fn forget(&mut self) {
        self.version = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.values().min().copied()
    }

    pub(super) fn came_back(&mut self, position: Position, left: Left) {
        self.out.remove(&position);
        if let Left::Until(due) = left {
            self.due.insert(position, due);
        }
    }

    /// Records of this worker that wait for another try may be tried by anybody.
    pub(super) fn give_up_waiting(&self, post: &Post) {
        if self.due.is_empty() && self.out.is_empty() {
            return;
        }
        // Whoever finds them later does the same: their member is gone.
        let _ = post.with_letters(false, &mut |file| {
            for placed in file.entries().to_vec() {
                let mut condition = placed.head.condition;
                if condition.kept == Kept::Retry && condition.member == Some(post.seat.member) {
                    (condition.kept, condition.member) = (Kept::Waiting, None);
                    file.change(placed.at, condition)?;
                }
            }
            Ok(())
        });
    }
}

impl Worker {
    /// Reads what waits in the group's file, if that changed. False while nothing may be given: nothing is known
    /// of the file, and it cannot be read.
    pub(super) fn read_asides(&mut self) -> bool {
        let seat = &self.post.seat;
        let at = seat.core.layout.group(seat.group);
        let version = seat.core.memory.load(at + group::FILE_VERSION, Ordering::Acquire);
        if Some(version) == self.asides.version && !self.desk.met_aside {
            return true;
        }
        if self.asides.rests_until > self.neighbours.now_ns() {
            return self.asides.version.is_some();
        }
        let mut live = Vec::new();
        if version != 0 {
            let read = seat.core.environment.with_letters(seat.group, false, &mut |file| {
                live.clear();
                live.extend(file.entries().iter().filter(|placed| is_live(placed)).map(Live::of));
                Ok(())
            });
            if read.is_err() {
                // Tried again at the next look. What is known holds still: of a key that may have got records
                // aside since, nothing newer is given.
                self.asides.rests_until = self.neighbours.now_ns() + REST_NS;
                return self.asides.version.is_some();
            }
        }
        self.desk.met_aside = false;
        self.asides.version = Some(version);
        self.desk.aside = live.iter().map(|live| live.lane).collect();
        self.asides.live = live;
        let there: HashSet<_> = self.asides.live.iter().map(|live| live.position).collect();
        self.asides.due.retain(|position, _| there.contains(position));
        self.desk.look_again();
        true
    }

    /// Whether the file has a record that may be given.
    pub(super) fn has_aside(&self) -> bool {
        !self.desk.is_alone() && self.candidates().next().is_some()
    }

    /// Records of the file that may be given, with their counts: the first of each lane, unless somebody who
    /// lives has it, or it is a suspect and others are out.
    fn candidates(&self) -> impl Iterator<Item = (Live, Counts)> + '_ {
        let mut lanes = HashSet::new();
        let now = if self.asides.is_empty() { 0 } else { self.neighbours.now_ns() };
        let live = if now < self.asides.rests_until { &[] } else { self.asides.live.as_slice() };
        let first = live.iter().filter(move |live| lanes.insert(live.lane));
        first.filter(move |live| self.may_be_given(live, now)).filter_map(move |&live| {
            let counts = self.counts_of(&live);
            let waits =
                counts.is_suspect() && self.desk.out() != 0 && !counts.is_spent(self.post.attempts);
            let beside = live.condition.revived && self.is_at_work_on_another(&live, now);
            (!waits && !beside).then_some((live, counts))
        })
    }

    /// Whether somebody who lives has another record of its lane: one that was dead comes out of its order, but
    /// never beside another.
    fn is_at_work_on_another(&self, live: &Live, now: u64) -> bool {
        let others = self.asides.live.iter();
        let mut others = others.filter(|o| o.lane == live.lane && o.position != live.position);
        if others.any(|o| o.condition.kept == Kept::Out && !self.may_be_given(o, now)) {
            return true;
        }
        let seat = &self.post.seat;
        let words = seat.core.words(seat.group, seat.epoch);
        let mut waiting = self.desk.lanes.records(live.lane).map(|at| words.look(at).word);
        waiting.find(|word| !word.is_past()).is_some_and(|word| {
            matches!(word.state(), State::Out | State::Once)
                && word.member().is_some_and(|member| self.neighbours.is_alive(member))
        })
    }

    fn may_be_given(&self, live: &Live, now: u64) -> bool {
        let Condition { kept, member, .. } = live.condition;
        let own = member == Some(self.post.seat.member);
        // This worker's still, whatever the file says by now: it was settled and is not collected yet. Given again
        // before that, it would look as if it had come back while it is out.
        if self.asides.out.contains(&live.position) || self.desk.has(live.position) {
            return false;
        }
        match kept {
            Kept::Waiting => true,
            Kept::Out if own => true,
            Kept::Retry if own => self.asides.due.get(&live.position).is_none_or(|&due| due <= now),
            Kept::Out | Kept::Retry => {
                member.is_none_or(|member| !self.neighbours.is_alive(member))
            }
            Kept::Prepared | Kept::Dead | Kept::Gone => false,
        }
    }

    /// Takes a record from the file, if one may be given.
    pub(super) fn take_aside(
        &mut self,
        taken: &mut Vec<Taken>,
    ) -> Result<Option<Buffers>, TakeError> {
        if !self.has_aside() {
            return Ok(None);
        }
        let found: Vec<_> = self.candidates().collect();
        for (live, counts) in found {
            match self.take_live(live, counts) {
                Ok(Some((one, buffers))) => {
                    self.asides.due.remove(&live.position);
                    self.asides.out.insert(live.position);
                    self.desk.took_elsewhere(counts.is_suspect());
                    taken.push(one);
                    self.note_taken(taken);
                    return Ok(Some(buffers));
                }
                Ok(None) => {}
                Err(error) => {
                    self.asides.rests_until = self.neighbours.now_ns() + REST_NS;
                    return Err(TakeError::Letters { position: live.position, error });
                }
            }
        }
        Ok(None)
    }

    /// As they are once what its last owner died with is counted.
    fn counts_of(&self, live: &Live) -> Counts {
        let Condition { kept, member, counts, .. } = live.condition;
        let died = kept == Kept::Out
            && member.is_some_and(|member| {
                member != self.post.seat.member && self.neighbours.is_proven(member)
            });
        if died { counts.died() } else { counts }
    }

    fn take_live(&self, live: Live, counts: Counts) -> io::Result<Option<(Taken, Buffers)>> {
        let post = &self.post;
        let mut taken = None;
        post.with_letters(false, &mut |file| {
            let same = |placed: &&Placed| {
                placed.head.position == live.position && placed.head.condition == live.condition
            };
            let Some(placed) = file.entries().iter().find(same).copied() else { return Ok(()) };
            // Asked again with the lock held: its seat may have somebody new, who has taken it since.
            let owner = live.condition.member.filter(|&member| member != post.seat.member);
            if owner.is_some_and(|owner| self.neighbours.is_alive(owner)) {
                return Ok(());
            }
            let (epoch, revived) = (post.epoch(), placed.head.condition.revived);
            if counts.is_spent(post.attempts) {
                let condition =
                    Condition { kept: Kept::Dead, member: None, counts, epoch, revived };
                file.change(placed.at, condition)?;
                post.count_dead(0);
                return Ok(());
            }
            let payload = match file.body(&placed) {
                Ok((_, payload)) => payload,
                Err(error) => {
                    // Nothing is left of it to be given; those behind it go on.
                    let condition =
                        Condition { kept: Kept::Dead, member: None, counts, epoch, revived };
                    file.change(placed.at, condition)?;
                    post.count_dead(0);
                    return Err(error);
                }
            };
            let member = Some(post.seat.member);
            file.change(placed.at, Condition { kept: Kept::Out, member, counts, epoch, revived })?;
            let mut buffers = Buffers::default();
            let head = placed.head;
            let entry = Descriptor {
                position: head.position,
                offset: 0,
                length: payload.len() as u32,
                flags: 0,
                key: head.key,
                tag: head.tag,
                source: head.source,
                order: head.order,
            };
            buffers.push_bytes(&entry, &payload);
            let held = Held {
                position: head.position,
                lane: head.lane,
                word: Word(0).to(State::Out, member, counts),
                origin: Origin::File,
            };
            taken = Some((Taken { held, revived }, buffers));
            Ok(())
        })?;
        Ok(taken)
    }

    /// When the ring is three quarters full behind a record that cannot be given now, it and those that wait
    /// for it are set aside.
    pub(super) fn set_aside_what_holds_up(&mut self) {
        let seat = &self.post.seat;
        let (core, index) = (&seat.core, seat.group);
        let floor = core.group_floor(index);
        if floor >= core.tail() || !is_three_quarters_full(self.post.seat.core.as_ref(), floor) {
            return;
        }
        let now = self.neighbours.now_ns();
        if now < self.asides.not_before {
            return;
        }
        if self.asides.stuck.0 != floor {
            self.asides.stuck = (floor, now);
        }
        if now.saturating_sub(self.asides.stuck.1) < STUCK_NS {
            return;
        }
        let words = core.words(index, seat.epoch);
        let seen = words.look(floor);
        let lane = self.desk.lanes.key_of(floor);
        match seen.word.state() {
            // Its time to be tried is now, and it is this worker's: no need. But a suspect waits until what else is
            // out comes back, and that may take for ever.
            State::Free
                if !(lane.is_some_and(|lane| self.desk.aside.contains(&lane))
                    || seen.counts().is_suspect() && self.desk.out() != 0) =>
            {
                return;
            }
            State::Once => {
                // It is given once: what its owner does about it changes nothing any more.
                words.settle(floor, seen.word, crate::core::words::table::Settlement::Done);
                return;
            }
            State::Dying | State::Done | State::Aside | State::Passed => {
                self.help_with_file();
                return;
            }
            _ => {}
        }
        // All records are of one key there: whatever is out, all others wait for it, and none would be left in the ring.
        if core.group_mode_of(index) == (Mode::AnyOrder { order: Order::Ring }) {
            return;
        }
        let Some(lane) = lane else { return };
        let mut waiting: Vec<_> =
            self.desk.lanes.records(lane).filter(|&position| position >= floor).collect();
        if waiting.first() != Some(&floor) {
            waiting.insert(0, floor);
        }
        waiting.truncate(AT_A_TIME);
        if self.post.set_aside(lane, &waiting).is_err() {
            // The ring is held up; who looks at the group is told by whom.
            self.asides.not_before = now + AGAIN_NS;
        }
        self.read_asides();
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
    /// Takes back what an earlier member in this seat had from the file when it died.
    pub(super) fn reclaim_asides_of_predecessor(&self, proven: bool) -> io::Result<()> {
        self.with_letters(false, &mut |file| {
            for placed in
                file.entries().iter().filter(|placed| is_live(placed)).copied().collect::<Vec<_>>()
            {
                let mut condition = placed.head.condition;
                if condition.member != Some(self.seat.member) {
                    continue;
                }
                if condition.kept == Kept::Out && proven {
                    condition.counts = condition.counts.died();
                }
                (condition.kept, condition.member) = (Kept::Waiting, None);
                file.change(placed.at, condition)?;
            }
            Ok(())
        })
        .map(drop)
    }

    /// Copies records of one lane into the file, in order, and lets the cursor pass them.
    fn set_aside(&self, lane: Key, positions: &[Position]) -> io::Result<()> {
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
            let kept = Kept::Prepared;
            let (member, counts, epoch) = (now.word.member(), now.word.counts(), self.seat.epoch);
            let condition = Condition { kept, member, counts, epoch, revived: false };
            let bytes = self.letter(&entry, lane, condition, "").encode().len() as u64;
            if file.room() < bytes {
                break;
            }
            let Some(new) = file.append(&self.letter(&entry, lane, condition, ""))? else { break };
            if !new.dropped.is_empty() {
                core.count(index, group::DROPPED, new.dropped.len() as u64);
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
    pub(super) fn finish_setting_aside(&self, file: &mut dyn LetterFile) -> io::Result<()> {
        let (core, index) = (&self.seat.core, self.seat.group);
        let words = core.words(index, self.seat.epoch);
        let prepared = |placed: &&Placed| placed.head.condition.kept == Kept::Prepared;
        let mut aside = 0;
        for placed in file.entries().iter().filter(prepared).copied().collect::<Vec<_>>() {
            let word = words.look(placed.head.position).word;
            let mut condition = placed.head.condition;
            condition.kept = if word.state() != State::Aside {
                Kept::Gone
            } else if word.member().is_some() {
                Kept::Out
            } else {
                Kept::Waiting
            };
            (condition.member, condition.counts) = (word.member(), word.counts());
            aside += u64::from(condition.kept != Kept::Gone);
            file.change(placed.at, condition)?;
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

fn is_live(placed: &Placed) -> bool {
    !matches!(placed.head.condition.kept, Kept::Dead | Kept::Gone)
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

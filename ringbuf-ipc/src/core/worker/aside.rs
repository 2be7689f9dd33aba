//! Records set aside: copied whole into the group's file when a ring fills behind a record that is out, waits
//! for another try, or waits for one of its key; and given from there, in order, before anything newer of
//! that key.
//!
//! Setting aside: the flag is raised, which keeps the cursor before every aside; entries are appended as
//! *prepared*; words say aside, in order, until one cannot; entries follow what the words say; the flag is
//! taken back. Who comes to the file and finds the flag raised does the last two for one that died.

use std::collections::{HashMap, HashSet};
use std::io;

use super::burial::{Buried, in_vain, no_room};
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
use crate::core::words::letter::{Condition, Head, Kept, LetterFile};
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
    /// What was not settled when a ring that fills was looked at last.
    stuck: Option<Standing>,
    /// Until then the file is left alone: it could not be read, or whoever has its lock does not let go.
    rests_until: u64,
}

/// How records stood: one whose word is the same a while later is stuck.
#[derive(Debug)]
struct Standing {
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

#[derive(Debug, Clone, Copy)]
struct Live {
    position: Position,
    lane: Key,
    condition: Condition,
}

impl Live {
    const fn of(head: &Head) -> Self {
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
            for head in file.live() {
                let mut condition = head.condition;
                if condition.kept == Kept::Retry && condition.member == Some(post.seat.member) {
                    (condition.kept, condition.member) = (Kept::Waiting, None);
                    file.change(head.number, condition)?;
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
            let read = seat.core.with_letters(seat.group, false, &mut |file| {
                live.clear();
                live.extend(file.live().iter().map(Live::of));
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

    fn take_live(&mut self, live: Live, counts: Counts) -> io::Result<Option<(Taken, Buffers)>> {
        let (post, neighbours) = (&self.post, &self.neighbours);
        let terms_once = self.desk.terms.once;
        let (mut taken, mut buried) = (None, None);
        let position = live.position;
        let outcome = post.with_letters(false, &mut |file| {
            let same = |head: &&Head| head.condition == live.condition;
            let Some(head) = file.of(live.position).iter().find(same).copied() else {
                return Ok(());
            };
            // Asked again with the lock held: its seat may have somebody new, who has taken it since.
            let owner = live.condition.member.filter(|&member| member != post.seat.member);
            if owner.is_some_and(|owner| neighbours.is_alive(owner)) {
                return Ok(());
            }
            let (epoch, revived) = (post.epoch(), head.condition.revived);
            let once = false;
            if head.condition.once && head.condition.kept == Kept::Out {
                // Its member died with it, or could not settle it.
                file.change(head.number, head.condition.orphaned(false))?;
                return Ok(());
            }
            if counts.is_spent(post.attempts) {
                let condition =
                    Condition { kept: Kept::Dead, member: None, counts, epoch, revived, once };
                file.change(head.number, condition)?;
                post.count_dead(0);
                let payload = file.body(head.number).map(|(_, payload)| payload);
                let buffers =
                    payload.map_or_else(|_| Buffers::default(), |p| buffers_of(&head, &p));
                let (reason, dropped) = (in_vain(counts), Vec::new());
                buried = Some(Buried { position, buffers, reason, counts, dropped });
                return Ok(());
            }
            let payload = match file.body(head.number) {
                Ok((_, payload)) => payload,
                Err(error) => {
                    // Nothing is left of it to be given; those behind it go on.
                    let condition =
                        Condition { kept: Kept::Dead, member: None, counts, epoch, revived, once };
                    file.change(head.number, condition)?;
                    post.count_dead(0);
                    let (reason, dropped) = (error.to_string(), Vec::new());
                    let buffers = Buffers::default();
                    buried = Some(Buried { position, buffers, reason, counts, dropped });
                    return Ok(());
                }
            };
            let (member, once) = (Some(post.seat.member), terms_once);
            let condition = Condition { kept: Kept::Out, member, counts, epoch, revived, once };
            file.change(head.number, condition)?;
            let buffers = buffers_of(&head, &payload);
            let held = Held {
                position: head.position,
                lane: head.lane,
                word: Word(0).to(State::Out, member, counts),
                origin: Origin::File,
            };
            taken = Some((Taken { held, revived }, buffers));
            Ok(())
        });
        self.buried.extend(buried);
        outcome.map(|_| taken)
    }

    /// When the ring is three quarters full behind records that have not moved for a while, they and those that wait
    /// for them are set aside, all of them at once.
    pub(super) fn set_aside_what_holds_up(&mut self) {
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
            || seen.counts().is_suspect() && self.desk.out() != 0;
        if seen.word.state() == State::Free && !waits {
            return false;
        }
        // All records are of one key there: whatever is out, all others wait for it, and none would be left in the ring.
        if core.group_mode_of(index) == (Mode::AnyOrder { order: Order::Ring }) {
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
            for head in file.live() {
                if head.condition.member == Some(self.seat.member) {
                    file.change(head.number, head.condition.orphaned(proven))?;
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// Copies records of one lane into the file, in order, and lets the cursor pass them.
    pub(super) fn set_aside(&self, lane: Key, positions: &[Position]) -> io::Result<()> {
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
    pub(super) fn finish_setting_aside(&self, file: &mut dyn LetterFile) -> io::Result<()> {
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

fn buffers_of(head: &Head, payload: &[u8]) -> Buffers {
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
    let mut buffers = Buffers::default();
    buffers.push_bytes(&entry, payload);
    buffers
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

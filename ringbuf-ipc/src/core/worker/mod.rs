//! A member of a group with delivery words: takes records one by one, and hands them to whoever settles them,
//! in whatever thread and order.
//!
//! [`post`] what a worker shares with what it has out; [`settle`] how that comes back; [`burial`] dead letters;
//! [`aside`] what is given from the group's file; [`neighbours`] who else lives.

mod aside;
pub(crate) mod burial;
mod neighbours;
pub(crate) mod post;
pub(crate) mod settle;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aside::Asides;
use burial::Buried;
use neighbours::Neighbours;
use post::{Origin, Post};
use settle::Held;

use super::arming::Sleeper;
use super::buffers::Buffers;
use super::descriptor::{Descriptor, Hashes};
use super::errors::{JoinError, TakeError};
use super::geometry::hash_of;
use super::group_spec::{GroupSpec, Mode, Order};
use super::layout::group;
use super::memory::{Ordering, fence};
use super::reader::seat::{self, Pool, Seat};
use super::words::desk::{Desk, Left, Offer, Peers, Terms};
use super::words::lanes::Key;
use super::words::letter::Damage;
use super::words::table::{Settlement, Words};
use super::words::word::{Counts, State, Word};
use super::{Core, Position, groups, locks, patience};

/// Bytes of records after which no other is taken along.
const AT_A_TIME: usize = 64 << 10;
/// Takes and settlements after which the cursor is moved on, unless somebody waits for it.
const SWEEP_EVERY: u32 = 64;
/// How often lanes that others have are looked at without being told: their holders may have died.
const SUSPECT_EVERY_NS: u64 = 5_000_000;

/// Works out the order key of a record, from its keys and its payload.
pub(crate) type KeyFn = Box<dyn Fn(&Descriptor, &[u8]) -> u64 + Send>;

/// Whether records of a tag are wanted.
pub(crate) type TagFn = Box<dyn Fn(u64) -> bool + Send>;

/// How a worker takes records.
pub(crate) struct WorkerTerms {
    /// Attempts after which a record is dead, 0 for no limit.
    pub(crate) attempts: u8,
    /// Given for the first and last time.
    pub(crate) once: bool,
    /// For [`Order::Own`].
    pub(crate) key: Option<KeyFn>,
    pub(crate) tags: Option<TagFn>,
}

/// A worker's own state.
pub(crate) struct Worker {
    pub(crate) post: Arc<Post>,
    desk: Desk,
    /// Where the group begins, if it was made by this worker.
    pub(crate) began: Option<Position>,
    order: Order,
    key: Option<KeyFn>,
    neighbours: Neighbours,
    asides: Asides,
    /// The group's count of records let go when all lanes were looked at last, and when that was.
    handed: u64,
    looked_at: u64,
    /// Takes and settlements since the cursor was moved on.
    unswept: u32,
    /// The loss of an eviction was handed out; the next take takes note of it.
    told: bool,
    /// What is wrong with a record that was come to behind others; told by the next take.
    found_behind: Option<TakeError>,
    /// Damage of the group's file that was told.
    damage: Damage,
    /// Written down by this worker, and told to nobody yet.
    pub(crate) buried: Vec<Buried>,
    /// Which tags are wanted; all where there is none.
    tags: Option<TagFn>,
    /// Used again and again for records whose payload decides their key.
    scratch: Vec<u8>,
}

/// A record taken, and what settles it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) held: Held,
    /// It was dead: it comes out of its order.
    pub(crate) revived: bool,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("post", &self.post).finish_non_exhaustive()
    }
}

impl Worker {
    /// Joins the group, made if it is not there. Without a bell it is not woken.
    pub(crate) fn join(
        core: &Arc<Core>,
        spec: &GroupSpec,
        bell: Option<u64>,
        terms: WorkerTerms,
    ) -> Result<Self, JoinError> {
        let mut terms = Some(terms);
        let mut outcome = None;
        core.environment.with_table(patience::CHANGING, &mut || {
            if let Some(terms) = terms.take() {
                outcome = Some(Self::join_locked(core, spec, bell, terms));
            }
        })?;
        outcome.unwrap_or(Err(JoinError::Busy))
    }

    fn join_locked(
        core: &Arc<Core>,
        spec: &GroupSpec,
        bell: Option<u64>,
        terms: WorkerTerms,
    ) -> Result<Self, JoinError> {
        let (index, made) = groups::declare(core, spec)?;
        let Mode::AnyOrder { order } = spec.mode else {
            return Err(JoinError::Io(io::ErrorKind::InvalidInput.into()));
        };
        let limit = core.layout.geometry.members;
        for member in 0..limit {
            let Some(life) = core.environment.hold(locks::member(index, member))? else {
                continue;
            };
            let seat = Seat {
                core: Arc::clone(core),
                group: index,
                member,
                state: core.group_state(index),
                epoch: core.group_epoch(index),
                partitions: 0,
                pool: Pool::default(),
                process: seat::process(),
                life: Some(life),
            };
            let floor = core.group_floor(index).min(core.tail());
            let neighbours = Neighbours::new(core, index, member);
            let succession = locks::succession(index);
            let held = core.environment.hold_within(succession, patience::LEAVING)?;
            let Some(held) = held else { return Err(JoinError::Busy) };
            seat.reclaim_from_predecessor(floor, &neighbours);
            drop(held);
            let damage = file_damage(core, index);
            let post = Post::new(seat, terms.attempts);
            match post.reclaim_asides_of_predecessor(neighbours.is_proven(member)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(JoinError::Busy);
                }
                other => other?,
            }
            post.seat.sit_down(bell);
            let desk_terms = Terms { member, attempts: terms.attempts, once: terms.once };
            return Ok(Self {
                began: made.then_some(floor),
                desk: Desk::new(core.layout.geometry.slots, floor, desk_terms),
                post: Arc::new(post),
                order,
                key: terms.key,
                neighbours,
                asides: Asides::default(),
                handed: u64::MAX,
                looked_at: 0,
                unswept: 0,
                told: false,
                found_behind: None,
                damage,
                buried: Vec::new(),
                tags: terms.tags,
                scratch: Vec::new(),
            });
        }
        Err(JoinError::Full { limit })
    }

    /// Takes the records there are, `most` of them and some [`AT_A_TIME`] bytes at most, and copies them out;
    /// what settles each is put into `taken`, which is empty, in the order of the buffers.
    pub(crate) fn take(
        &mut self,
        most: usize,
        taken: &mut Vec<Taken>,
    ) -> Result<Option<Buffers>, TakeError> {
        if let Some(error) = self.found_behind.take() {
            return Err(error);
        }
        self.check_group()?;
        self.collect();
        let scanned = self.scan();
        let known = self.read_asides();
        self.tell_damage()?;
        if !known {
            return Ok(None);
        }
        // A file that cannot be read now holds up its own records alone.
        let unreadable = match self.take_aside(taken) {
            Ok(Some(buffers)) => return Ok(Some(buffers)),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let mut buffers = self.post.buffers();
        self.take_from_ring(most, &mut buffers, taken)?;
        if !taken.is_empty() {
            self.note_taken(taken);
            return Ok(Some(buffers));
        }
        self.post.give_back_buffers(buffers);
        // Damage is told when everything before it was given.
        scanned?;
        self.tend();
        unreadable.map_or(Ok(None), Err)
    }

    /// What stands before a record that cannot be given is given first.
    fn take_from_ring(
        &mut self,
        most: usize,
        buffers: &mut Buffers,
        taken: &mut Vec<Taken>,
    ) -> Result<(), TakeError> {
        let all = self.is_time_to_look_at_all();
        let post = Arc::clone(&self.post);
        let words = post.seat.core.words(post.seat.group, post.seat.epoch);
        while taken.len() < most && buffers.bytes_used() < AT_A_TIME {
            let offer = self.desk.next(&words, &self.neighbours, all);
            if self.desk.met_aside {
                self.read_asides();
            }
            let done = match offer {
                Some(Offer::Take { position, key, word }) => {
                    self.copy(&words, position, key, word, buffers).map(|held| taken.extend(held))
                }
                Some(Offer::Bury { position, key, word }) => self.bury_offered(position, key, word),
                None => break,
            };
            match done {
                Ok(()) => {}
                Err(error) if taken.is_empty() => return Err(error),
                Err(error) => {
                    self.found_behind = Some(error);
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is to be done now and then by a member that lives, also while it takes nothing: moves the cursor
    /// on, and sets aside what holds up a ring that fills.
    pub(crate) fn tend(&mut self) {
        self.collect();
        let moved = std::mem::take(&mut self.unswept) != 0;
        let seat = &self.post.seat;
        seat.core.advance_floor(seat.group, seat.epoch);
        if moved || seat.core.group_floor(seat.group) >= seat.core.tail() {
            seat.moved();
        }
        self.set_aside_what_holds_up();
        self.hand_on();
    }

    /// Records taken and not settled.
    pub(crate) const fn out(&self) -> usize {
        self.desk.out()
    }

    /// Takes back what was settled since the last time.
    fn collect(&mut self) {
        let Some(mut settled) = self.post.take_settled() else { return };
        for item in settled.drain(..) {
            self.unswept += 1;
            match item.origin {
                Origin::Ring => {
                    self.desk.left(item.position, item.lane, item.left);
                }
                Origin::File => {
                    self.desk.came_back();
                    self.asides.came_back(item.position, item.left);
                }
                Origin::Beside => self.asides.came_back(item.position, item.left),
            }
        }
        self.post.give_back_settled(settled);
    }

    /// Looks at what was published since.
    fn scan(&mut self) -> Result<(), TakeError> {
        let tail = self.post.seat.core.tail();
        if self.desk.lanes.scanned() == tail {
            return Ok(());
        }
        let (core, index) = (Arc::clone(&self.post.seat.core), self.post.seat.group);
        while self.desk.lanes.scanned() < tail {
            let position = self.desk.lanes.scanned();
            if self.pass_unwanted(&core, position) {
                continue;
            }
            match self.key_of(&core, position) {
                Some(key) => self.desk.show(key),
                None => {
                    fence(Ordering::Acquire);
                    let floor = core.group_floor(index);
                    if floor > core.tail() {
                        return Err(TakeError::Corrupt { position });
                    }
                    if floor > position {
                        self.desk.lanes.restart(floor);
                        self.asides.forget();
                        continue;
                    }
                    // Its hash is damaged. What its descriptor says is as good; where that is damaged too, it waits
                    // for nobody, and its take says so.
                    let key =
                        Descriptor::load(&core, position).and_then(|entry| self.key_by(&entry));
                    self.desk.show(key.unwrap_or(position as Key));
                }
            }
        }
        Ok(())
    }

    /// Settles a record that is not wanted where it lies: it is neither copied nor given, and waits for nothing.
    fn pass_unwanted(&mut self, core: &Core, position: Position) -> bool {
        let Some(wants) = &self.tags else { return false };
        match Descriptor::load(core, position) {
            // A loss is told, whatever was lost.
            Some(entry) if !wants(entry.tag) && entry.is_there(core).unwrap_or(false) => {}
            _ => return false,
        }
        let words = core.words(self.post.seat.group, self.post.seat.epoch);
        let seen = words.look(position);
        let untouched = seen.word.state() == State::Free && seen.counts() == Counts::default();
        if !(seen.word.is_past() || untouched && words.skip(position, seen)) {
            // Somebody else wants it, or did the same just now.
            return false;
        }
        if seen.word.state() == State::Aside {
            return false;
        }
        self.desk.show_none();
        self.unswept += 1;
        true
    }

    /// The same of a record whose hashes are damaged.
    fn key_by(&self, entry: &Descriptor) -> Option<Key> {
        match self.order {
            Order::Key | Order::Own(_) => Some(hash_of(entry.key)),
            Order::Finer if entry.order != 0 => Some(hash_of(entry.order)),
            Order::Finer => Some(hash_of(entry.key)),
            Order::None => None,
            Order::Ring => Some(0),
        }
    }

    /// Hash of the order key of a record; `None` when another record stands there.
    fn key_of(&mut self, core: &Core, position: Position) -> Option<Key> {
        let hashes = Hashes::load(core, position)?;
        Some(match self.order {
            Order::Key => hashes.key(),
            Order::Finer => hashes.order(),
            Order::None => position as Key,
            Order::Ring => 0,
            Order::Own(_) => {
                let key = self.key.as_ref()?;
                let Some(entry) = Descriptor::load(core, position) else {
                    // Damaged: its take says so, whatever its key.
                    return Some(hashes.key());
                };
                self.scratch.resize(entry.length as usize, 0);
                let there = entry.is_there(core).unwrap_or(false);
                if !there || entry.copy(core, &mut self.scratch).is_err() {
                    return Some(hashes.key());
                }
                hash_of(key(&entry, &self.scratch))
            }
        })
    }

    fn is_time_to_look_at_all(&mut self) -> bool {
        if self.desk.lanes.parked() == 0 {
            return false;
        }
        let seat = &self.post.seat;
        let at = seat.core.layout.group(seat.group) + group::HANDED;
        let handed = seat.core.memory.load(at, Ordering::Acquire);
        let now = self.neighbours.now_ns();
        if handed == self.handed && now.saturating_sub(self.looked_at) < SUSPECT_EVERY_NS {
            return false;
        }
        (self.handed, self.looked_at) = (handed, now);
        true
    }

    fn note_taken(&mut self, taken: &[Taken]) {
        let seat = &self.post.seat;
        let again = taken.iter().filter(|taken| taken.held.word.counts().given() != 0).count();
        if again != 0 {
            seat.core.count(seat.group, group::REDELIVERED, again as u64);
        }
        self.unswept += taken.len() as u32;
        if self.unswept >= SWEEP_EVERY.min(seat.core.layout.geometry.slots / 8) {
            self.tend();
        } else {
            self.hand_on();
        }
    }

    /// Wakes another member when there is more than this one has taken.
    fn hand_on(&self) {
        if !self.desk.lanes.is_any_ready() {
            return;
        }
        let seat = &self.post.seat;
        seat.core.light_fence();
        let sleepers = seat.core.layout.group(seat.group) + group::SLEEPERS;
        if seat.core.memory.load(sleepers, Ordering::Relaxed) != 0 {
            seat.core.count(seat.group, group::HANDED, 1);
            seat.core.wake_some(seat.group, 1);
        }
    }

    /// Copies a record out that was taken. One that is damaged, or whose file is gone, is dead: it would hold
    /// up all that come after it.
    fn copy(
        &mut self,
        words: &Words<'_>,
        position: Position,
        lane: Key,
        word: Word,
        buffers: &mut Buffers,
    ) -> Result<Option<Taken>, TakeError> {
        let core = &self.post.seat.core;
        let copied = match Descriptor::load(core, position) {
            None => Err(TakeError::Corrupt { position }),
            Some(entry) => {
                let pushed = buffers.push(core, &entry);
                pushed.map_err(|error| TakeError::Blob { position, error })
            }
        };
        // Set aside meanwhile, it may have been overwritten while it was copied: it is given from the file then.
        fence(Ordering::Acquire);
        if words.look(position).word != word {
            if copied.is_ok() {
                buffers.drop_last();
            }
            self.desk.left(position, lane, Left::Past);
            self.read_asides();
            return Ok(None);
        }
        if let Err(error) = copied {
            self.give_up_damaged(position, lane, word, &error);
            return Err(error);
        }
        let held = Held { position, lane, word, origin: Origin::Ring };
        Ok(Some(Taken { held, revived: false }))
    }

    fn tell_damage(&mut self) -> Result<(), TakeError> {
        let seat = &self.post.seat;
        let damage = file_damage(&seat.core, seat.group);
        if damage.times == self.damage.times {
            return Ok(());
        }
        let lost = damage.lost.saturating_sub(self.damage.lost);
        self.damage = damage;
        let file = seat.core.environment.letters_name(seat.group);
        Err(TakeError::LettersDamaged { lost, file })
    }

    fn check_group(&mut self) -> Result<(), TakeError> {
        let seat = &self.post.seat;
        if !seat.is_current() {
            return Err(TakeError::Removed);
        }
        let core = &seat.core;
        let at = core.layout.group(seat.group);
        core.check_stand(seat.group, seat.state, "floor", core.floor_stand(seat.group))?;
        if core.memory.load(at + group::LOSS, Ordering::Acquire) == 0 {
            return Ok(());
        }
        if std::mem::take(&mut self.told) {
            core.memory.store(at + group::LOSS, 0, Ordering::Release);
            return Ok(());
        }
        let word = |figure| core.memory.load(at + figure, Ordering::Relaxed);
        let (to, records) = (word(group::LOST_TO), word(group::LOST_RECORDS));
        self.told = true;
        let lost = to.saturating_sub(records)..to;
        Err(TakeError::Evicted { lost, partitions: Vec::new() })
    }
}

impl Sleeper for Worker {
    fn core(&self) -> &Core {
        &self.post.seat.core
    }

    fn announce(&mut self) {
        self.tend();
        self.post.seat.announce();
    }

    /// Who lets go of a record from now on sees a sleeper.
    fn settle(&mut self) {
        self.handed = u64::MAX;
    }

    fn has_work(&mut self) -> bool {
        let core = &self.post.seat.core;
        let loss = core.layout.group(self.post.seat.group) + group::LOSS;
        if self.found_behind.is_some()
            || !self.post.seat.is_current()
            || core.memory.load(loss, Ordering::Relaxed) != 0
        {
            return true;
        }
        self.collect();
        if self.scan().is_err() {
            return true;
        }
        if !self.read_asides() {
            return false;
        }
        if self.has_aside() {
            return true;
        }
        let all = self.is_time_to_look_at_all();
        let seat = &self.post.seat;
        let words = seat.core.words(seat.group, seat.epoch);
        self.desk.has_next(&words, &self.neighbours, all)
    }

    fn tick(&self) -> Duration {
        let core = &self.post.seat.core;
        let mut tick = core.tick();
        if self.desk.lanes.parked() != 0 || !self.asides.is_empty() {
            tick = tick.min(Duration::from_millis(10));
        }
        let due = [self.desk.next_due(), self.asides.next_due()].into_iter().flatten().min();
        if let Some(due) = due {
            let left = due.saturating_sub(core.environment.now_ns());
            tick = tick.min(Duration::from_nanos(left));
        }
        tick
    }
}

/// What was lost of the file of a group.
fn file_damage(core: &Core, index: u16) -> Damage {
    let at = core.layout.group(index);
    let times = core.memory.load(at + group::DAMAGED, Ordering::Acquire);
    Damage { times, lost: core.memory.load(at + group::DAMAGED_LOST, Ordering::Relaxed) }
}

impl Drop for Worker {
    /// Records that wait for another try of this worker may be tried by anybody.
    fn drop(&mut self) {
        self.collect();
        let seat = &self.post.seat;
        if !seat.is_current() {
            return;
        }
        let words = seat.core.words(seat.group, seat.epoch);
        for position in self.desk.give_up_waiting() {
            let seen = words.look(position);
            if seen.word.state() == State::Retry && seen.word.member() == Some(seat.member) {
                words.reclaim(position, seen, false);
            }
        }
        self.asides.give_up_waiting(&self.post);
        seat.core.advance_floor(seat.group, seat.epoch);
        seat.core.count(seat.group, group::HANDED, 1);
    }
}

/// Gives a record back that cannot be handed out now.
pub(super) fn give_back(post: &Post, position: Position, word: Word) -> bool {
    let words = post.seat.core.words(post.seat.group, post.seat.epoch);
    words.settle(position, word, Settlement::Back).is_some()
}

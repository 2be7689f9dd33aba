//! A member of a group with delivery words: takes records one by one, and hands them to whoever settles them,
//! in whatever thread and order.
//!
//! [`scan`] what was published; [`take`] what of it is taken; [`post`] what a worker shares with what it has out;
//! [`settle`] how that comes back; [`burial`] dead letters; [`aside`] what is given from the group's file;
//! [`neighbours`] who else lives; [`pass_on`] when another is woken; [`share`] which partitions are whose in a sticky group.

mod aside;
pub(crate) mod burial;
mod neighbours;
mod pass_on;
pub(crate) mod post;
mod scan;
pub(crate) mod settle;
pub(crate) mod share;
#[cfg(all(test, not(loom)))]
mod sticky_tests;
#[cfg(all(test, not(loom)))]
mod stress_tests;
mod take;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod tick_tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aside::Asides;
use burial::Buried;
use neighbours::Neighbours;
use pass_on::Speed;
use post::{Origin, Post};
use settle::Held;
use share::{Around, Moved, Share};

use super::arming::Sleeper;
use super::buffers::Buffers;
use super::descriptor::Descriptor;
use super::errors::{JoinError, TakeError};
use super::group_spec::{GroupSpec, Mode, Order};
use super::layout::group;
use super::memory::Ordering;
use super::reader::seat::{self, Pool, Seat};
use super::words::desk::{Desk, Terms};
use super::words::letter::Damage;
use super::words::word::State;
use super::{Core, Position, groups, locks, patience};

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
    share: Share,
    asides: Asides,
    /// The group's count of records let go when all lanes were looked at last, and when that was.
    handed: u64,
    looked_at: u64,
    /// Takes and settlements since the cursor was moved on.
    unswept: u32,
    /// How soon it comes to the next record.
    speed: Speed,
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
    /// To copy records into.
    spare: Vec<Buffers>,
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
        let Mode::AnyOrder { order, sticky } = spec.mode else {
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
            seat.skip_unwanted(terms.tags.as_ref(), floor, &neighbours);
            let patience = patience::LEAVING;
            let held = match core.environment.hold_within(locks::succession(index), patience) {
                Ok(Some(held)) => held,
                outcome => {
                    seat.leave_locked();
                    return Err(outcome.err().map_or(JoinError::Busy, JoinError::Io));
                }
            };
            seat.reclaim_from_predecessor(floor, &neighbours);
            let share = Share::new(core, sticky);
            share.release_predecessor(&seat);
            drop(held);
            let damage = file_damage(core, index);
            let post = Post::new(seat, terms.attempts);
            if let Err(error) = post.reclaim_asides_of_predecessor(&neighbours) {
                post.seat.leave_locked();
                let is_busy = error.kind() == io::ErrorKind::WouldBlock;
                return Err(if is_busy { JoinError::Busy } else { error.into() });
            }
            post.seat.sit_down(bell);
            share.enter(&post.seat);
            let desk_terms = Terms { member, attempts: terms.attempts, once: terms.once };
            return Ok(Self {
                began: made.then_some(floor),
                desk: Desk::new(core.layout.geometry.slots, floor, desk_terms),
                post: Arc::new(post),
                order,
                key: terms.key,
                neighbours,
                share,
                asides: Asides::default(),
                handed: u64::MAX,
                looked_at: 0,
                unswept: 0,
                speed: Speed::default(),
                told: false,
                found_behind: None,
                damage,
                buried: Vec::new(),
                tags: terms.tags,
                scratch: Vec::new(),
                spare: Vec::new(),
            });
        }
        Err(JoinError::Full { limit })
    }

    /// What is to be done now and then by a member that lives, also while it takes nothing: moves the cursor
    /// on, and sets aside what holds up a ring that fills.
    pub(crate) fn tend(&mut self) {
        self.sweep();
        self.hand_on();
    }

    /// The same, and nobody is woken for what is left: it is about to be taken.
    fn sweep(&mut self) {
        self.collect();
        let moved = std::mem::take(&mut self.unswept) != 0;
        let seat = &self.post.seat;
        seat.core.advance_floor(seat.group, seat.epoch);
        if moved || seat.core.group_floor(seat.group) >= seat.core.tail() {
            seat.moved();
        }
        self.set_aside_what_holds_up();
    }

    /// Gives up and takes partitions, so that each member of a sticky group has an equal share; which were gained,
    /// and which are lost: those are let go of by the next call.
    pub(crate) fn rebalance(&mut self) -> Moved {
        if !self.share.is_sticky() || !self.post.seat.is_current() {
            return Moved::default();
        }
        self.collect();
        let moved = self.share.settle_up(&self.post.seat, &self.neighbours);
        if !moved.gained.is_empty() {
            self.desk.look_again();
        }
        moved
    }

    /// Partitions of a sticky group that this member has.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = u16> + '_ {
        self.share.own()
    }

    /// Records taken and not settled.
    pub(crate) const fn out(&self) -> usize {
        self.desk.out()
    }

    /// Takes back what was settled since the last time.
    fn collect(&mut self) {
        // Whether or not anything came back: that it is settled is said after it is put there.
        if self.desk.is_unproven() && self.post.has_settled() {
            self.desk.prove();
        }
        let Some(mut settled) = self.post.take_settled() else { return };
        for item in settled.drain(..) {
            self.unswept += 1;
            if item.origin != Origin::Beside {
                self.share.came_back(item.partition);
            }
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

    /// To copy records into.
    fn buffers(&mut self) -> Buffers {
        if self.spare.is_empty() {
            self.post.exchange_buffers(&mut self.spare);
        }
        self.spare.pop().unwrap_or_default()
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
    fn settle(&mut self, _: u64) {
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
        if self.scan().is_err() || self.share.is_unsettled(&self.post.seat, &self.neighbours) {
            return true;
        }
        if !self.read_asides() {
            return false;
        }
        self.desk.look_what_is_feared(&self.neighbours);
        if self.has_aside() {
            return true;
        }
        let all = self.is_time_to_look_at_all();
        let seat = &self.post.seat;
        let words = seat.core.words(seat.group, seat.epoch);
        let around = Around { neighbours: &self.neighbours, share: &self.share, core: &seat.core };
        self.desk.has_next(&words, &around, all)
    }

    fn tick(&self) -> Duration {
        let seat = &self.post.seat;
        let core = &seat.core;
        let mut tick = core.shared_tick(seat.group, seat.member);
        // In a sticky group lanes of others are no business of this member: it looks who lives at each tick.
        let waits_for_others = self.desk.lanes.parked() != 0 && !self.share.is_sticky();
        if waits_for_others || !self.asides.is_empty() {
            tick = tick.min(Duration::from_millis(10));
        }
        // While nothing is taken, nothing is due.
        let due = self
            .desk
            .takes_nothing_until(&self.neighbours)
            .or_else(|| [self.desk.next_due(), self.asides.next_due()].into_iter().flatten().min());
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
        self.share.leave(seat);
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

//! A member of a group: finds a partition with work, takes hold of it, copies its records out.

mod find;
pub(crate) mod hold;
pub(crate) mod seat;
mod walk;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hold::Hold;
use seat::{Pool, Seat};

use crate::core::arming::Sleeper;
use crate::core::buffers::{Buffers, Limits};
use crate::core::descriptor::Descriptor;
use crate::core::errors::{JoinError, TakeError};
use crate::core::group_spec::{GroupSpec, Mode};
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::pending::Pending;
use crate::core::words::word::Stand;
use crate::core::{Core, Position, groups, locks, patience};

/// The longest single sleep while a partition with work is held by another member, whose death rings no bell.
const CONTENDED_TICK: Duration = Duration::from_millis(10);

/// A member's own state.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) seat: Arc<Seat>,
    /// The first record of the group, if this member made it.
    pub(crate) began: Option<Position>,
    pending: Pending,
    /// Partition to look at first, so that each has its turn.
    turn: u16,
    swept: Position,
    suspected_at: u64,
    /// Some partition with work is held by somebody else, whose death would ring no bell.
    contended: bool,
    /// The whole entry of the group was looked at, which is done when there is nothing to take for the first time:
    /// a cursor that is damaged in a partition without records would be met by nobody.
    examined: bool,
    /// The loss of an eviction was handed out; the next take takes note of it.
    told: bool,
    /// A partition with work found by a look, and its owner word: if that is so still, it is taken.
    found: Option<(u16, u64)>,
    /// Virtual offset after the last payload taken, where the next one is likely to be.
    follows: u64,
    /// Records of the last take, if it left nothing behind; 0 if it did.
    drained: usize,
    /// Of the records of a lease.
    leased: Vec<Descriptor>,
}

/// Records held where they are, and the hold on their partition.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    pub(crate) hold: Hold<&'a Seat>,
    pub(crate) entries: &'a [Descriptor],
}

impl Reader {
    /// Joins the group, made if it is not there. Without a bell it is not woken.
    pub(crate) fn join(
        core: &Arc<Core>,
        spec: &GroupSpec,
        bell: Option<u64>,
    ) -> Result<Self, JoinError> {
        let mut outcome = None;
        core.environment.with_table(patience::CHANGING, &mut || {
            outcome = Some(Self::join_locked(core, spec, bell));
        })?;
        outcome.unwrap_or(Err(JoinError::Busy))
    }

    fn join_locked(
        core: &Arc<Core>,
        spec: &GroupSpec,
        bell: Option<u64>,
    ) -> Result<Self, JoinError> {
        let (index, made) = groups::declare(core, spec)?;
        let limit = match spec.mode {
            Mode::Follow => 1,
            _ => core.layout.geometry.members,
        };
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
                partitions: core.partitions(index),
                pool: Pool::default(),
                process: seat::process(),
                life: Some(life),
            };
            seat.release_predecessor();
            seat.sit_down(bell);
            // One beyond the tail is damage, which the first take tells.
            let floor = core.group_floor(index).min(core.tail());
            return Ok(Self {
                seat: Arc::new(seat),
                began: made.then_some(floor),
                pending: Pending::new(core, index, floor),
                turn: member % core.partitions(index).max(1),
                swept: floor,
                suspected_at: 0,
                contended: false,
                examined: false,
                told: false,
                found: None,
                follows: 0,
                drained: 0,
                leased: Vec::new(),
            });
        }
        Err(JoinError::Full { limit })
    }

    /// Takes hold of a partition with records and copies some of them out.
    pub(crate) fn take(
        &mut self,
        limits: Limits,
        at_most_once: bool,
    ) -> Result<Option<(Hold, Buffers)>, TakeError> {
        let Some((partition, first)) = self.grip()? else { return Ok(None) };
        let mut hold = Hold { seat: Arc::clone(&self.seat), partition, end: first, next: first };
        let mut pool = self.seat.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = pool.pop().unwrap_or_default();
        drop(pool);
        let core = &self.seat.core;
        let mut push = |entry: &Descriptor| match buffers.push(core, entry) {
            Ok(()) => Ok(true),
            // What stands before it is given first.
            Err(_) if buffers.len() != 0 => Ok(false),
            Err(error) => Err(TakeError::Blob { position: entry.position, error }),
        };
        let extent = self.walk(partition, first, limits, &mut push)?;
        (hold.end, hold.next) = (extent.end, extent.next);
        self.after(&extent);
        if at_most_once {
            hold.advance(hold.next);
        }
        Ok(Some((hold, buffers)))
    }

    /// Takes hold of a partition with records, and leaves them where they are.
    pub(crate) fn lease(&mut self, limits: Limits) -> Result<Option<Lease<'_>>, TakeError> {
        let Some((partition, first)) = self.grip()? else { return Ok(None) };
        let mut leased = std::mem::take(&mut self.leased);
        leased.clear();
        let walked = self.walk(partition, first, limits, &mut |entry| {
            leased.push(*entry);
            Ok(true)
        });
        self.leased = leased;
        if let Ok(extent) = &walked {
            self.after(extent);
        }
        let hold = |end, next| Hold { seat: &*self.seat, partition, end, next };
        match walked {
            Ok(extent) => {
                Ok(Some(Lease { hold: hold(extent.end, extent.next), entries: &self.leased }))
            }
            Err(error) => {
                drop(hold(first, first));
                Err(error)
            }
        }
    }

    /// Notes what was taken, and moves idle partitions on when it is time.
    fn after(&mut self, extent: &walk::Extent) {
        let tail = self.pending.scanned();
        self.follows = extent.follows;
        self.drained = if extent.next == tail { extent.records } else { 0 };
        let slots = u64::from(self.core().layout.geometry.slots);
        let waited_for = self.producer_waits();
        if waited_for {
            self.seat.moved();
        }
        self.sweep_if(tail, if waited_for { 1 } else { slots / 8 + 1 });
    }

    fn producer_waits(&self) -> bool {
        self.seat.core.producer_waits()
    }

    /// Whether a partition may have come to rest since the last sweep: the end of a batch is where its
    /// partition had no more when it was taken, and the ring may have moved on since.
    fn holds_back(&self) -> bool {
        self.seat.core.group_floor(self.seat.group) < self.swept
    }

    /// Moves idle partitions on, if the ring moved on by `least` since the last time.
    fn sweep_if(&mut self, tail: Position, least: u64) {
        if tail.saturating_sub(self.swept) >= least {
            self.swept = tail;
            self.pending.sweep(&self.seat.core, self.seat.group, self.seat.epoch);
        }
    }

    /// Whether the group has settled all there is, and nobody changed it: three words tell, for those who look at many
    /// rings that have nothing. False says nothing.
    pub(crate) fn is_idle(&self) -> bool {
        let core = &self.seat.core;
        let (index, tail) = (self.seat.group, core.tail());
        let loss = core.layout.group(index) + group::LOSS;
        self.examined
            && self.pending.scanned() == tail
            && self.seat.is_current()
            && core.memory.load(loss, Ordering::Relaxed) == 0
            && core.floor_stand(index) == Stand::new(self.seat.epoch, tail)
    }

    fn check_group(&mut self) -> Result<(), TakeError> {
        if !self.seat.is_current() {
            return Err(TakeError::Removed);
        }
        let core = &self.seat.core;
        let at = core.layout.group(self.seat.group);
        if core.memory.load(at + group::LOSS, Ordering::Acquire) == 0 {
            return Ok(());
        }
        if std::mem::take(&mut self.told) {
            core.memory.store(at + group::LOSS, 0, Ordering::Release);
            return Ok(());
        }
        let to = core.memory.load(at + group::LOST_TO, Ordering::Relaxed);
        let partitions: Vec<_> = (0..self.seat.partitions)
            .map(|partition| {
                let at = core.layout.partition(self.seat.group, partition);
                let from = at + group::PARTITION_LOST_FROM;
                (partition, core.memory.load(from, Ordering::Relaxed)..to)
            })
            .filter(|(_, lost)| !lost.is_empty())
            .collect();
        let from = partitions.iter().map(|(_, lost)| lost.start).min().unwrap_or(to);
        self.told = true;
        Err(TakeError::Evicted { lost: from..to, partitions })
    }
}

impl Sleeper for Reader {
    fn core(&self) -> &Core {
        &self.seat.core
    }

    fn announce(&mut self) {
        self.seat.announce();
    }

    /// Who lets go of a partition from now on sees a sleeper, and one let go of before is moved on here.
    fn settle(&mut self, now_ms: u64) {
        let tail = self.pending.scanned();
        self.sweep_if(tail, if self.holds_back() { 0 } else { 1 });
        if self.core().group_floor(self.seat.group) >= self.core().tail() {
            // It has nothing to do; else it moves when it takes something.
            self.seat.moved_at(now_ms);
        }
    }

    fn has_work(&mut self) -> bool {
        if self.is_idle() {
            return false;
        }
        let core = &self.seat.core;
        let loss = core.layout.group(self.seat.group) + group::LOSS;
        if !self.seat.is_current() || core.memory.load(loss, Ordering::Relaxed) != 0 {
            return true;
        }
        if self.look().is_err() {
            return true;
        }
        let looked = match self.candidate(false) {
            Ok(None) if self.contended => self.candidate(true),
            looked => looked,
        };
        self.found = looked.as_ref().copied().unwrap_or(None);
        self.found.is_some() || looked.is_err()
    }

    fn tick(&self) -> Duration {
        let seat = &self.seat;
        match self.contended {
            true => seat.core.tick().min(CONTENDED_TICK),
            false => seat.core.shared_tick(seat.group, seat.member),
        }
    }

    fn drained(&self) -> usize {
        self.drained
    }
}

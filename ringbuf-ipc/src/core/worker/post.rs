//! What a worker shares with the records it has out: its seat, and the box in which they come back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Plain};
use std::sync::{Mutex, PoisonError};

use super::settle::Held;
use crate::core::Position;
use crate::core::buffers::Buffers;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::reader::seat::Seat;
use crate::core::words::desk::Left;
use crate::core::words::early::{Death, Fear};
use crate::core::words::lanes::Key;
use crate::core::words::peers::Peers;
use crate::core::words::word::State;

/// Where a record was given from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the ring.
    Ring,
    /// From the group's file.
    File,
    /// From the ring, but its state is in the file by now; told apart from the record itself.
    Beside,
}

/// A record that was settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) position: Position,
    pub(super) lane: Key,
    pub(super) partition: u16,
    pub(super) origin: Origin,
    pub(super) left: Left,
}

impl Settled {
    pub(super) const fn of(held: &Held, left: Left) -> Self {
        let &Held { position, lane, partition, origin, .. } = held;
        Self { position, lane, partition, origin, left }
    }
}

/// The shared half of a worker.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) seat: Seat,
    /// The worker's limit of attempts, 0 for none.
    pub(super) attempts: u8,
    settled: Mutex<Vec<Settled>>,
    /// Kept for the next time, so that nothing is allocated in steady state.
    spare: Mutex<Vec<Settled>>,
    /// There may be some in it.
    any_settled: AtomicBool,
    done: AtomicU64,
}

impl Post {
    pub(super) fn new(seat: Seat, attempts: u8) -> Self {
        Self {
            seat,
            attempts,
            settled: Mutex::default(),
            spare: Mutex::default(),
            any_settled: AtomicBool::new(false),
            done: AtomicU64::new(0),
        }
    }

    /// All of them at once: the worker sees all or none.
    pub(super) fn came_back(&self, settled: impl IntoIterator<Item = Settled>) {
        let mut all = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(settled);
        self.any_settled.store(true, Plain::Release);
    }

    /// `None` when nothing came back.
    pub(super) fn take_settled(&self) -> Option<Vec<Settled>> {
        if !self.any_settled.load(Plain::Acquire) {
            return None;
        }
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        self.any_settled.store(false, Plain::Relaxed);
        let spare = std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner));
        Some(std::mem::replace(&mut *settled, spare))
    }

    pub(super) fn give_back_settled(&self, mut emptied: Vec<Settled>) {
        emptied.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = emptied;
    }

    /// All buffers that came back, in exchange for `none`.
    pub(super) fn exchange_buffers(&self, none: &mut Vec<Buffers>) {
        let mut pool = self.seat.pool.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *pool, none);
    }

    /// So many records were acknowledged: from now on this process's death counts.
    pub(super) fn acknowledged(&self, records: u64) {
        if records == 0 {
            return;
        }
        let before = self.done.fetch_add(records, Plain::Relaxed);
        if before == 0 {
            self.calm();
        }
        // Others read it as a figure, and at a death whether it is 0: now and then is often enough.
        if before < 64 || before / 64 != (before + records) / 64 {
            let seat = &self.seat;
            let at = seat.core.layout.member(seat.group, seat.member) + group::MEMBER_SETTLED;
            seat.core.memory.store(at, before + records, Ordering::Release);
        }
    }
}

impl Post {
    /// A member has settled its first: that others died before they did says nothing of the program any more, and what
    /// one record does from now on counts.
    fn calm(&self) {
        let at = self.seat.core.layout.group(self.seat.group) + group::FEAR;
        let fear = Fear(self.seat.core.memory.load(at, Ordering::Acquire));
        if fear.is_any() {
            self.seat.core.memory.cas(at, fear.0, Fear::NONE.0);
        }
    }

    /// Whether anything was acknowledged or died with a word.
    pub(super) fn has_settled(&self) -> bool {
        self.done.load(Plain::Relaxed) != 0
    }
}

impl Seat {
    /// Takes back what an earlier member in this seat died with: to everybody else its seat looks alive now.
    pub(super) fn reclaim_from_predecessor(&self, floor: Position, peers: &impl Peers) {
        let words = self.core.words(self.group, self.epoch);
        for position in floor..self.core.tail() {
            let seen = words.look(position);
            if seen.word.member() == Some(self.member) && !seen.word.is_past() {
                let death = peers.death(self.member, position, false);
                let reclaimed = words.reclaim(position, seen, death == Death::Counts);
                if let (Some(_), State::Out, Death::Early(with)) =
                    (reclaimed, seen.word.state(), death)
                {
                    peers.died_early(with);
                }
            }
        }
    }
}

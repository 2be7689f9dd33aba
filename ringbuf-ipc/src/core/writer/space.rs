//! What the producer may overwrite, and how it comes by more.
//!
//! Overwriting is announced: `reserved` is stored, a SeqCst fence follows, and the floors are read
//! again. A group that joins stores its floor, fences, and starts at max(floor, `reserved`): of the
//! two, at least one sees the other. An observer reads `reserved` again after its copy.

use super::{Writer, relief};
use crate::core::Position;
use crate::core::descriptor::Descriptor;
use crate::core::layout::{CONTROL, control, producer};
use crate::core::memory::{Ordering, fence};

/// How often a full ring looks for groups without a living member.
const RELIEF_EVERY_NS: u64 = 10_000_000;

impl Writer {
    /// Where a payload of `length` bytes goes (its virtual offset), once there is room for it.
    #[inline]
    pub(super) fn place(&mut self, length: u64) -> Option<u64> {
        let (offset, end) = self.span(length);
        if self.staged < self.slot_limit
            && end <= self.payload_limit
            && length <= self.core.layout.geometry.inline_bytes()
        {
            return Some(offset);
        }
        self.make_room(length, end).then_some(offset)
    }

    /// Whether a record of `length` bytes, or of any fewer, could be staged now. An out-of-line record
    /// takes no room in the payload ring, but a shorter one does.
    pub(crate) fn has_space(&mut self, length: u64) -> bool {
        let inline = self.core.layout.geometry.inline_bytes();
        self.place(length.min(inline)).is_some()
            && (length <= inline || self.place(length).is_some())
    }

    /// Records that could be staged now if they had no payload.
    pub(crate) fn free_records(&mut self) -> u64 {
        let floor = self.lowest_floor();
        let slots = u64::from(self.core.layout.geometry.slots);
        let behind = slots.saturating_sub(self.staged - floor.min(self.staged));
        behind.min((slots - 1).saturating_sub(self.staged - self.tail))
    }

    /// Payload bytes not held by anybody, padding not counted.
    pub(crate) fn free_payload(&mut self) -> u64 {
        let floor = self.lowest_floor();
        let capacity = self.core.layout.geometry.payload_bytes;
        capacity.saturating_sub(self.head.saturating_sub(self.payload_from(floor)))
    }

    /// Whether waiting can make room for such a record: not when what is staged takes it.
    pub(crate) fn could_have_space(&self, length: u64) -> bool {
        self.needed_for(length).is_some()
    }

    /// The smallest floor that lets in a record of `length` bytes, and of any fewer.
    fn needed_for(&self, length: u64) -> Option<Position> {
        let inline = length.min(self.core.layout.geometry.inline_bytes());
        let needed = self.needed(inline, self.span(inline).1)?;
        Some(self.needed(length, self.span(length).1)?.max(needed))
    }

    /// Tells the consumers which floor is waited for. True when it is reached already.
    pub(crate) fn arm_space(&mut self, length: u64) -> bool {
        if self.has_space(length) {
            return true;
        }
        let slots = u64::from(self.core.layout.geometry.slots);
        let needed = self.needed_for(length).unwrap_or(self.tail).max(1);
        // A little more than needed, so that a full ring is not woken for one record at a time.
        let wanted = (needed + slots / 16).min(self.tail).max(needed);
        let word = CONTROL + control::WANTED;
        self.core.memory.store(word, wanted, Ordering::Relaxed);
        self.core.heavy_fence();
        self.lowest_floor() >= wanted || self.has_space(length)
    }

    /// Every record before it may go as far as the groups are concerned.
    pub(super) fn lowest_floor(&self) -> Position {
        self.core.lowest_floor(self.tail)
    }

    /// Takes over `safe` and what follows from it.
    pub(super) fn set_safe(&mut self, safe: Position) {
        let geometry = self.core.layout.geometry;
        let slots = u64::from(geometry.slots);
        self.safe = safe;
        self.slot_limit = (safe + slots).min(self.tail_limit());
        self.payload_limit = self.payload_from(safe).saturating_add(geometry.payload_bytes);
    }

    pub(super) fn end_stall(&mut self) {
        if let Some(since) = self.stalled_since.take() {
            let lasted = self.core.environment.now_ns().saturating_sub(since);
            self.add_own(producer::STALLED_NS, lasted);
            self.store_own(producer::STALLED_SINCE, 0);
        }
    }

    pub(super) fn end_stall_of_predecessor(&self) {
        self.store_own(producer::STALLED_SINCE, 0);
        self.core.memory.store(CONTROL + control::WANTED, 0, Ordering::Relaxed);
    }

    /// Virtual offsets of the start and the padded end of the next payload.
    #[inline]
    fn span(&self, length: u64) -> (u64, u64) {
        let geometry = self.core.layout.geometry;
        let capacity = geometry.payload_bytes;
        if length > geometry.inline_bytes() {
            return (self.head, self.head);
        }
        let padded = (length + 63) & !63;
        let place = self.head & (capacity - 1);
        let offset =
            if place + padded > capacity { self.head + (capacity - place) } else { self.head };
        (offset, offset + padded)
    }

    /// The descriptor of the last published record stays whatever happens: recovery starts from it.
    fn tail_limit(&self) -> Position {
        self.tail + u64::from(self.core.layout.geometry.slots) - 1
    }

    /// Virtual offset at which the payload of `position` begins; the head when there is none yet.
    fn payload_from(&self, position: Position) -> u64 {
        if position >= self.staged {
            return self.head;
        }
        Descriptor::load(&self.core, position).map_or(self.head, |entry| entry.offset)
    }

    /// The smallest floor that lets the record in; `None` when only publishing would.
    fn needed(&self, length: u64, end: u64) -> Option<Position> {
        let geometry = self.core.layout.geometry;
        let slots = u64::from(geometry.slots);
        if self.staged >= self.tail_limit() {
            return None;
        }
        let mut needed = (self.staged + 1).saturating_sub(slots).max(self.safe);
        while needed < self.staged
            && self.payload_from(needed).saturating_add(geometry.payload_bytes) < end
        {
            needed += 1;
        }
        if length > geometry.inline_bytes() {
            let mut held = self.blob_bytes;
            for &(position, bytes) in &self.blobs {
                if held == 0 || held + length <= geometry.payload_bytes {
                    break;
                }
                needed = needed.max(position + 1);
                held -= bytes;
            }
        }
        (needed <= self.tail).then_some(needed)
    }

    #[cold]
    fn make_room(&mut self, length: u64, end: u64) -> bool {
        let slots = u64::from(self.core.layout.geometry.slots);
        self.set_safe(self.safe);
        let fits = self.try_room(length, end, slots / 16)
            || (self.relieve(length, end) && self.try_room(length, end, slots / 16));
        if fits {
            if self.stalled_since.is_some() {
                self.end_stall();
            }
        } else if self.stalled_since.is_none() && self.needed(length, end).is_some() {
            let now = self.core.environment.now_ns();
            self.stalled_since = Some(now);
            self.add_own(producer::STALLS, 1);
            self.store_own(producer::STALLED_SINCE, now);
        }
        fits
    }

    /// Reserves what the record needs, and `ahead` records more where nobody holds them.
    fn try_room(&mut self, length: u64, end: u64, ahead: u64) -> bool {
        let Some(needed) = self.needed(length, end) else { return false };
        if needed > self.safe {
            let mut floor = self.lowest_floor();
            if needed > floor && self.core.settle_floors(needed) {
                floor = self.lowest_floor();
            }
            if needed > floor {
                return false;
            }
            self.reserve((needed + ahead).min(floor));
        }
        needed <= self.safe
    }

    /// Frees the out-of-line records every group is past, without waiting for the ring to fill.
    ///
    /// One word is looked at while the group that held the oldest of them holds it still. Where no group
    /// holds the ring, so that it keeps its newest records for those who come later, all are looked at once
    /// in as many records as there are groups.
    #[cold]
    pub(super) fn release_blobs(&mut self) {
        let groups = self.core.layout.geometry.groups;
        let Some(&(oldest, _)) = self.blobs.front() else { return };
        let holds = |index: u16| self.core.group_floor(index) <= oldest;
        if holds(self.blob_holder) || self.tail < self.blob_look_from {
            return;
        }
        if let Some(holder) = (0..groups).find(|&index| holds(index)) {
            self.blob_holder = holder;
            return;
        }
        if !(0..groups).any(|index| self.core.group_floor(index) != u64::MAX) {
            self.blob_look_from = self.tail + u64::from(groups);
            return;
        }
        let floor = self.lowest_floor();
        let past = self.blobs.iter().take_while(|&&(position, _)| position < floor).last();
        if let Some(&(position, _)) = past {
            self.reserve(position + 1);
        }
    }

    /// Announces that records before `position` go, and finds out which of them may.
    fn reserve(&mut self, position: Position) {
        let position = position.max(self.reserved);
        self.reserved = position;
        self.store_own(producer::RESERVED, position);
        // The stores into the space come after this fence, and so does the second look.
        fence(Ordering::SeqCst);
        let floor = self.lowest_floor();
        self.set_safe(position.min(floor).max(self.safe));
        self.free_blobs();
    }

    /// Removes the files of records that are given up.
    fn free_blobs(&mut self) {
        while let Some(&(position, bytes)) = self.blobs.front() {
            if position >= self.safe {
                break;
            }
            self.core.environment.remove_blob(position);
            self.blob_bytes -= bytes;
            self.blobs.pop_front();
        }
    }

    /// Frees what only the absent hold. True when anything was done.
    fn relieve(&mut self, length: u64, end: u64) -> bool {
        let now = self.core.environment.now_ns();
        if now.wrapping_sub(self.relieved_at) < RELIEF_EVERY_NS && self.relieved_at != 0 {
            return false;
        }
        self.relieved_at = now;
        let needed = self.needed(length, end).unwrap_or(self.tail);
        let evicted = relief::relieve(&self.core, needed, self.safe, now / 1_000_000);
        if evicted.gone != 0 {
            self.add_own(producer::EVICTIONS, evicted.gone);
        }
        evicted.changed
    }
}

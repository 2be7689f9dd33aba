//! Which partition a member takes hold of: one with records that nobody alive holds.

use super::Reader;
use super::hold::Hold;
use super::seat::owner;
use crate::core::Position;
use crate::core::arming::Sleeper;
use crate::core::errors::TakeError;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::pending::Damaged;

/// How often the holders of wanted partitions are looked at.
const SUSPECT_EVERY_NS: u64 = 5_000_000;

impl Reader {
    pub(super) fn look(&mut self) -> Result<Position, TakeError> {
        let core = &self.seat.core;
        let tail = core.tail();
        let seen = self.pending.scanned();
        if tail != seen {
            // The next record's lines come together, rather than one after the other. Those after it are
            // not sent for: at the heels of the producer, it would have to take them back to write them.
            core.memory.expect_read(core.layout.descriptor(seen));
            core.memory.expect_read(core.layout.payload_at(self.follows));
        }
        match self.pending.scan(core, self.seat.group, tail) {
            Ok(()) => Ok(tail),
            Err(Damaged(position)) => Err(TakeError::Corrupt { position }),
        }
    }

    /// A partition with work and its owner word; of the dead if `orphaned`. An error for one whose cursor
    /// cannot be.
    pub(super) fn candidate(&mut self, orphaned: bool) -> Result<Option<(u16, u64)>, TakeError> {
        let core = &self.seat.core;
        if orphaned {
            let now = core.environment.now_ns();
            if now.wrapping_sub(self.suspected_at) < SUSPECT_EVERY_NS {
                return Ok(None);
            }
            self.suspected_at = now;
        } else {
            self.contended = false;
        }
        let count = self.seat.partitions;
        for step in 0..count {
            let partition = (self.turn + step) & (count - 1);
            if !self.pending.may_have(partition) {
                continue;
            }
            let cursor = self.cursor(partition)?;
            if self.pending.first(partition, cursor).is_none() {
                continue;
            }
            let at = core.layout.partition(self.seat.group, partition) + group::PARTITION_OWNER;
            let word = core.memory.load(at, Ordering::Acquire);
            match owner(word) {
                None if !orphaned => return Ok(Some((partition, word))),
                Some(member) if orphaned && !core.is_alive(self.seat.group, member) => {
                    // Whoever was told of work may look for it at once.
                    self.suspected_at = 0;
                    return Ok(Some((partition, word)));
                }
                None => {}
                // Held by one of this member's own batches, or by another's.
                Some(member) => self.contended |= member != self.seat.member,
            }
        }
        Ok(None)
    }

    /// Takes hold of a partition with work: which, and its first record.
    pub(super) fn grip(&mut self) -> Result<Option<(u16, Position)>, TakeError> {
        self.check_group()?;
        let looked = self.look();
        let found = match self.find(false)? {
            Some(found) => Some(found),
            None if self.contended => self.find(true)?,
            None => None,
        };
        if found.is_none() {
            let core = self.core();
            let floor = core.floor_stand(self.seat.group);
            core.check_stand(self.seat.group, self.seat.state, "floor", floor)?;
            if !self.examined {
                core.check_entry(self.seat.group)?;
                self.examined = true;
            }
            // Damage is told when everything before it was given.
            let tail = looked?;
            self.drained = 0;
            self.sweep_if(tail, if self.producer_waits() && self.holds_back() { 0 } else { 1 });
        }
        Ok(found)
    }

    /// Where a partition stands. An error when its group was moved, or where it cannot stand.
    fn cursor(&self, partition: u16) -> Result<Position, TakeError> {
        let (core, seat) = (self.core(), &self.seat);
        let found = core.cursor_stand(seat.group, partition);
        let moved = !found.is_of(seat.epoch);
        // Others know of more; but nobody can have acknowledged what was never published.
        if moved || found.position() > self.pending.scanned() {
            core.check_stand(seat.group, seat.state, "cursor", found)?;
        }
        if moved { Err(TakeError::Removed) } else { Ok(found.position()) }
    }

    fn find(&mut self, orphaned: bool) -> Result<Option<(u16, Position)>, TakeError> {
        let count = self.seat.partitions;
        // Each failure is another member's success; after so many, what was found is all the same.
        for _ in 0..=count {
            let (partition, word) = match self.found.take() {
                Some(found) => found,
                None => match self.candidate(orphaned)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
            };
            self.turn = (partition + 1) & (count - 1);
            if !self.seat.claim(partition, word) {
                self.suspected_at = 0;
                continue;
            }
            let cursor = self.cursor(partition);
            if let Ok(cursor) = cursor
                && let Some(first) = self.pending.first(partition, cursor)
            {
                return Ok(Some((partition, first)));
            }
            // Done by whoever had it in between, or not to be had.
            let next = *cursor.as_ref().unwrap_or(&0);
            drop(Hold { seat: &*self.seat, partition, end: next, next });
            cursor?;
        }
        Ok(None)
    }
}

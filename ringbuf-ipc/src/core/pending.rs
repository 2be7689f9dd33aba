//! Which record belongs to which partition: a member's private, bounded memory of what it has seen.
//!
//! Each descriptor is looked at once. Records of one partition form a chain through a table with one
//! entry a slot of the ring; nothing is allocated after creation. It is a hint: cursors decide what is
//! still to be done, and every record is checked again when it is copied.

use super::descriptor::Hashes;
use super::layout::group;
use super::memory::{Ordering, fence};
use super::words::word::{Epoch, Stand};
use super::{Core, Position};

/// Chains of records, one a partition.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Every record from the group's floor to here has been looked at.
    scanned: Position,
    /// First of each chain; [`NONE`] for an empty one. Never more than a ring behind `scanned`.
    heads: Box<[Position]>,
    /// Last of each chain; meaningless for an empty one.
    lasts: Box<[Position]>,
    /// By slot; empty where there is but one partition.
    links: Box<[Link]>,
    mask: u64,
}

/// What is known of one record.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Distance to the next record of the partition, 0 at the end of the chain.
    next: u32,
    partition: u16,
}

/// No complete record stands where one must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) Position);

pub(crate) const NONE: Position = Position::MAX;

impl Pending {
    pub(crate) fn new(core: &Core, index: u16, floor: Position) -> Self {
        let geometry = core.layout.geometry;
        let partitions = usize::from(core.partitions(index).max(1));
        // With one partition every record is in it and no chain is needed.
        let slots = if partitions == 1 { 0 } else { geometry.slots as usize };
        Self {
            scanned: floor,
            heads: vec![NONE; partitions].into(),
            lasts: vec![NONE; partitions].into(),
            links: vec![Link::default(); slots].into(),
            mask: u64::from(geometry.slots) - 1,
        }
    }

    pub(crate) const fn scanned(&self) -> Position {
        self.scanned
    }

    /// Looks at what was published since.
    pub(crate) fn scan(&mut self, core: &Core, index: u16, tail: Position) -> Result<(), Damaged> {
        if self.links.is_empty() {
            self.scanned = tail;
            return Ok(());
        }
        while self.scanned < tail {
            match Hashes::load(core, self.scanned) {
                Some(hashes) => self.push(hashes.partition(self.heads.len() as u16)),
                None => {
                    // Others have acknowledged it, and it was overwritten before we came to see it: who
                    // finds the later record finds the floor that let it be written.
                    fence(Ordering::Acquire);
                    let floor = core.group_floor(index);
                    if floor <= self.scanned || floor > core.tail() {
                        return Err(Damaged(self.scanned));
                    }
                    self.restart(floor);
                }
            }
        }
        Ok(())
    }

    /// Forgets everything before `floor`, which is all that is known.
    fn restart(&mut self, floor: Position) {
        self.heads.fill(NONE);
        self.scanned = floor;
    }

    fn push(&mut self, partition: u16) {
        let position = self.scanned;
        let slot = (position & self.mask) as usize;
        // The record that had the slot is acknowledged, else it could not have been overwritten.
        if let Some(old) = position.checked_sub(self.mask + 1) {
            let owner = usize::from(self.links[slot].partition);
            if self.heads[owner] == old {
                self.drop_head(owner);
            }
        }
        let chain = usize::from(partition);
        if self.heads[chain] == NONE {
            self.heads[chain] = position;
        } else {
            let last = self.lasts[chain];
            self.links[(last & self.mask) as usize].next = (position - last) as u32;
        }
        self.lasts[chain] = position;
        self.links[slot] = Link { next: 0, partition };
        self.scanned = position + 1;
    }

    fn drop_head(&mut self, chain: usize) {
        self.heads[chain] = self.after(self.heads[chain]).unwrap_or(NONE);
    }

    /// The record after `position` in its chain.
    fn after(&self, position: Position) -> Option<Position> {
        match self.links[(position & self.mask) as usize].next {
            0 => None,
            distance => Some(position + u64::from(distance)),
        }
    }

    /// The first record of a partition at or after `cursor`.
    pub(crate) fn first(&mut self, partition: u16, cursor: Position) -> Option<Position> {
        if self.links.is_empty() {
            return (cursor < self.scanned).then_some(cursor);
        }
        let chain = usize::from(partition);
        while self.heads[chain] < cursor {
            self.drop_head(chain);
        }
        let head = self.heads[chain];
        (head != NONE).then_some(head)
    }

    /// Whether any record of the partition is known; may be one that is done with.
    #[inline]
    pub(crate) fn may_have(&self, partition: u16) -> bool {
        self.links.is_empty() || self.heads[usize::from(partition)] != NONE
    }

    /// The record that follows `position` in its partition, among those looked at.
    #[inline]
    pub(crate) fn following(&self, position: Position) -> Option<Position> {
        self.after(position)
    }

    /// The same where there is but one partition.
    #[inline]
    pub(crate) fn in_row(&self, position: Position) -> Option<Position> {
        (position + 1 < self.scanned).then_some(position + 1)
    }

    /// Whether there is but one partition.
    #[inline]
    pub(crate) const fn is_single(&self) -> bool {
        self.links.is_empty()
    }

    /// Moves the cursors of all partitions up to their first record still to be done, held by somebody
    /// or not: that there is nothing between is true whoever says it, and a cursor only grows.
    pub(crate) fn sweep(&mut self, core: &Core, index: u16, epoch: Epoch) {
        for partition in 0..core.partitions(index) {
            let at = core.layout.partition(index, partition) + group::PARTITION_CURSOR;
            let stand = Stand(core.memory.load(at, Ordering::Acquire));
            if !stand.is_of(epoch) {
                // The group was moved, or the word is damaged: its records stay known, so that a take finds out.
                continue;
            }
            let cursor = stand.position();
            let idle = self.first(partition, cursor).unwrap_or(self.scanned);
            if cursor < idle {
                core.memory.cas(at, stand.0, Stand::new(epoch, idle).0);
            }
        }
        core.advance_floor(index, epoch);
    }

    /// What a group has before it, from scratch; `None` where its entry or a record is damaged. To be
    /// [swept](Self::sweep) by who needs its floor, with the table locked and the group still the same.
    pub(crate) fn of_group(core: &Core, index: u16) -> Option<Self> {
        let epoch = core.group_epoch(index);
        let stand = core.floor_stand(index);
        let (floor, tail) = (stand.position(), core.tail());
        if floor > tail || !stand.is_of(epoch) {
            return None;
        }
        let mut pending = Self::new(core, index, floor);
        // With one partition a cursor is where it is, and only the floor may be behind it.
        let end = if pending.is_single() { floor } else { tail };
        pending.scan(core, index, end).ok()?;
        Some(pending)
    }
}

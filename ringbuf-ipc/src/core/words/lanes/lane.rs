//! One lane, and how its records hang together.

use super::Key;
use crate::core::Position;

/// Where a lane is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has no record.
    #[default]
    Ended,
    /// In the queue of those to be looked at.
    Ready,
    /// Behind somebody else's record.
    Parked,
    /// Its head is with this member: out, or waiting for another try.
    Own,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lane {
    pub(super) head: Position,
    pub(super) last: Position,
    pub(super) key: Key,
    pub(super) place: Place,
    /// The head is out with this member.
    pub(super) out: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    /// Distance to the next record of the lane, 0 at its end.
    pub(super) next: u32,
    pub(super) lane: u32,
}

impl Lane {
    pub(super) const fn has(&self, position: Position) -> bool {
        !matches!(self.place, Place::Ended) && self.head <= position && position <= self.last
    }

    /// Goes on behind its head.
    #[inline]
    pub(super) fn step(&mut self, links: &[Link], mask: u64) -> Option<Position> {
        if self.head == self.last {
            self.place = Place::Ended;
            return None;
        }
        self.head += u64::from(links[(self.head & mask) as usize].next);
        Some(self.head)
    }
}

//! Holding a partition, from the take to the acknowledgement.

use std::borrow::Borrow;
use std::sync::Arc;

use super::seat::Seat;
use crate::core::Position;

/// A partition held by a member, let go when it is dropped.
#[derive(Debug)]
pub(crate) struct Hold<S: Borrow<Seat> = Arc<Seat>> {
    pub(crate) seat: S,
    pub(crate) partition: u16,
    /// One past the last record taken.
    pub(crate) end: Position,
    /// Where the cursor goes when everything taken is acknowledged: the next record of the partition
    /// that was known at the time, or how far there is none.
    pub(crate) next: Position,
}

impl<S: Borrow<Seat>> Hold<S> {
    /// Everything of the partition before `position` is done.
    pub(crate) fn advance(&self, position: Position) {
        self.seat.borrow().advance(self.partition, position);
    }

    /// Records up to and with `position` are done.
    pub(crate) fn acknowledge_through(&self, position: Position) {
        let past = position.saturating_add(1);
        self.advance(if past >= self.end { self.next } else { past });
    }
}

impl<S: Borrow<Seat>> Drop for Hold<S> {
    fn drop(&mut self) {
        self.seat.borrow().release(self.partition, self.next);
    }
}

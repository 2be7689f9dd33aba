//! A group's floor: how far its cursors let it be raised, and what of the ring all floors let go.

use super::errors::TakeError;
use super::groups::state;
use super::layout::group;
use super::memory::{Ordering, fence};
use super::{Core, Position};

impl Core {
    /// The smallest floor of all groups that hold anything, at most `tail`.
    ///
    /// A floor beyond the tail is damage, which its members are told of: that group holds nothing, the
    /// others are not touched by it.
    pub(crate) fn lowest_floor(&self, tail: Position) -> Position {
        let mut lowest = tail;
        for index in 0..self.layout.geometry.groups {
            lowest = lowest.min(self.group_floor(index));
        }
        lowest
    }

    /// An error when `found`, which was loaded as the floor or a cursor of a group whose state was `word`,
    /// lies beyond the tail. The tail is loaded behind it, and was at least as far when that was stored.
    pub(crate) fn check_reached(
        &self,
        index: u16,
        word: u64,
        what: &'static str,
        found: Position,
    ) -> Result<(), TakeError> {
        let tail = self.tail();
        // The floor of a group that is being removed is put out of the way behind its state.
        if found <= tail || self.group_state(index) != word {
            return Ok(());
        }
        Err(TakeError::Beyond { what, found, tail })
    }

    /// The same for all that the entry of a group says.
    pub(crate) fn check_entry(&self, index: u16) -> Result<(), TakeError> {
        let word = self.group_state(index);
        if state::of(word) == state::ACTIVE {
            self.check_reached(index, word, "floor", self.group_floor(index))?;
        }
        (0..self.layout.geometry.partitions)
            .try_for_each(|at| self.check_reached(index, word, "cursor", self.cursor(index, at)))
    }

    /// Moves the group's floor up to the lowest of its cursors, and wakes the producer if it waits.
    pub(crate) fn advance_floor(&self, index: u16) {
        let floor = self.layout.group(index) + group::FLOOR;
        loop {
            fence(Ordering::SeqCst);
            let (lowest, holder) = self.lowest_cursor(index);
            if self.memory.load(floor, Ordering::Acquire) >= lowest {
                return;
            }
            self.memory.raise(floor, lowest);
            self.floor_reached(lowest);
            fence(Ordering::SeqCst);
            // Who moves it after this finds that it held the floor, and looks for the next one.
            if self.memory.load(holder, Ordering::Acquire) == lowest {
                return;
            }
        }
    }

    /// The lowest cursor of a group, and the word it is in.
    fn lowest_cursor(&self, index: u16) -> (Position, usize) {
        let first = self.layout.partition(index, 0) + group::PARTITION_CURSOR;
        let mut lowest = (Position::MAX, first);
        for partition in 0..usize::from(self.layout.geometry.partitions) {
            let at = first + partition * group::PARTITION_BYTES;
            let cursor = self.memory.load(at, Ordering::Acquire);
            if cursor < lowest.0 {
                lowest = (cursor, at);
            }
        }
        lowest
    }
}

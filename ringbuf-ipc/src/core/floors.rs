//! A group's floor: how far its cursors let it be raised, and what of the ring all floors let go.

use super::errors::TakeError;
use super::groups::state;
use super::layout::{group, mode};
use super::memory::{Ordering, fence};
use super::words::cursor;
use super::words::table::Words;
use super::words::word::{Epoch, Stand};
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
        (0..self.partitions(index))
            .try_for_each(|at| self.check_reached(index, word, "cursor", self.cursor(index, at)))
    }

    /// Moves the group's floor up as far as its cursors, or its words, let it, and wakes the producer if it
    /// waits. Whoever calls is of this `epoch`: a floor of a later one stays where it is.
    pub(crate) fn advance_floor(&self, index: u16, epoch: Epoch) {
        let floor = self.layout.group(index) + group::FLOOR;
        if self.group_mode(index) == mode::ANY_ORDER {
            let words = self.words(index, epoch);
            let setting = self.layout.group(index) + group::SETTING_ASIDE;
            let hold = || self.memory.load(setting, Ordering::Acquire) != 0;
            let moved = cursor::advance(&self.memory, floor, &words, self.tail(), hold);
            if let Ok(position) = moved {
                self.floor_reached(position);
            }
            return;
        }
        loop {
            fence(Ordering::SeqCst);
            let (lowest, holder) = self.lowest_cursor(index);
            if self.group_floor(index) >= lowest {
                return;
            }
            if cursor::raise(&self.memory, floor, epoch, lowest).is_err() {
                return;
            }
            self.floor_reached(lowest);
            fence(Ordering::SeqCst);
            // Who moves it after this finds that it held the floor, and looks for the next one.
            if Stand(self.memory.load(holder, Ordering::Acquire)).position() == lowest {
                return;
            }
        }
    }

    /// Moves the cursors of groups with words that stand before `wanted`: their members do it now and then only.
    /// True when there are any.
    pub(crate) fn settle_floors(&self, wanted: Position) -> bool {
        let mut any = false;
        for index in 0..self.layout.geometry.groups {
            let word = self.group_state(index);
            let late = state::of(word) == state::ACTIVE
                && self.group_mode(index) == mode::ANY_ORDER
                && self.group_floor(index) < wanted;
            if late {
                self.advance_floor(index, Epoch::of(word >> 8));
                any = true;
            }
        }
        any
    }

    /// The delivery words of a group, as those of an epoch see them.
    pub(crate) fn words(&self, index: u16, epoch: Epoch) -> Words<'_> {
        let at = self.layout.words(index).start;
        Words::new(&self.memory, at, self.layout.geometry.slots, epoch)
    }

    /// The lowest cursor of a group, and the word it is in.
    fn lowest_cursor(&self, index: u16) -> (Position, usize) {
        let first = self.layout.partition(index, 0) + group::PARTITION_CURSOR;
        let mut lowest = (Position::MAX, first);
        for partition in 0..usize::from(self.partitions(index)) {
            let at = first + partition * group::PARTITION_BYTES;
            let cursor = Stand(self.memory.load(at, Ordering::Acquire)).position();
            if cursor < lowest.0 {
                lowest = (cursor, at);
            }
        }
        lowest
    }
}

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

    /// An error when `found`, which was loaded as the floor or a cursor of an active group whose state was
    /// `word`, is what no member can have stored: beyond the tail, or of another epoch than the state's.
    ///
    /// The tail is loaded behind it, and was at least as far when that was stored. A new epoch is stored into
    /// floor and cursors behind the state that begins it, so who finds one finds that state, too; and all of
    /// them are of their state's epoch before it says that the group is active.
    pub(crate) fn check_stand(
        &self,
        index: u16,
        word: u64,
        what: &'static str,
        found: Stand,
    ) -> Result<(), TakeError> {
        let tail = self.tail();
        let sound = found.held() <= tail && found.epoch() == Epoch::of(word >> 8);
        // The floor of a group that is being removed is put out of the way behind its state.
        if sound || self.group_state(index) != word {
            return Ok(());
        }
        Err(match found.held() {
            found if found > tail => TakeError::Beyond { what, found, tail },
            _ => TakeError::Foreign { what, found: found.0 },
        })
    }

    /// The same for all that the entry of a group says. One that is evicted holds nothing, and is about to be of
    /// another epoch while it is made to go on: of its cursors only the tail is asked.
    pub(crate) fn check_entry(&self, index: u16) -> Result<(), TakeError> {
        let word = self.group_state(index);
        let active = state::of(word) == state::ACTIVE;
        if active {
            self.check_stand(index, word, "floor", self.floor_stand(index))?;
        }
        (0..self.partitions(index)).try_for_each(|at| {
            let found = self.cursor_stand(index, at);
            let asked =
                if active { found } else { Stand::new(Epoch::of(word >> 8), found.position()) };
            self.check_stand(index, word, "cursor", asked)
        })
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
            let Some((lowest, holder)) = self.lowest_cursor(index, epoch) else { return };
            let stand = self.floor_stand(index);
            if stand.is_of(epoch) && stand.position() >= lowest {
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

    /// The lowest cursor of a group, and the word it is in; `None` where one is of another epoch, or none is sound:
    /// the group was moved, or is damaged, and then its floor stays until its members are told.
    fn lowest_cursor(&self, index: u16, epoch: Epoch) -> Option<(Position, usize)> {
        let first = self.layout.partition(index, 0) + group::PARTITION_CURSOR;
        let mut lowest = (Position::MAX, first);
        for partition in 0..usize::from(self.partitions(index)) {
            let at = first + partition * group::PARTITION_BYTES;
            let cursor = Stand(self.memory.load(at, Ordering::Acquire));
            if !cursor.is_of(epoch) {
                return None;
            }
            if cursor.position() < lowest.0 {
                lowest = (cursor.position(), at);
            }
        }
        // Loaded behind them, it is at least as far as any that is sound.
        (lowest.0 <= self.tail()).then_some(lowest)
    }
}

//! A group that lost what it had made of the records asks its producer to say anew what they said.
//!
//! The ring carries the wish and attaches no meaning to it. It is never taken back: a producer that has begun to
//! say everything anew at a position knows by that which wishes are met, whoever of the two died meanwhile.

use crate::core::Core;
use crate::core::groups::{self, state};
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::{GroupError, Position, Producer, Ring};

impl Ring {
    /// The group asks for what was said before position `before`, anew. An earlier wish is part of a later one.
    ///
    /// # Errors
    /// There is no such group, or the table's lock.
    pub fn ask_anew(&self, name: &str, before: Position) -> Result<(), GroupError> {
        self.with_table(|core| {
            let wish = core.layout.group(groups::find(core, name)?) + group::ANEW;
            let before = before.min(core.tail());
            if core.memory.load(wish, Ordering::Relaxed) < before {
                core.memory.store(wish, before, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    /// Up to where some group asks for what was said before, anew; 0 when none does. Costs some nanoseconds.
    pub fn asked_anew(&self) -> Position {
        self.core().asked_anew()
    }
}

impl Producer {
    /// See [`Ring::asked_anew`].
    pub fn asked_anew(&self) -> Position {
        self.core().asked_anew()
    }
}

impl Core {
    fn asked_anew(&self) -> Position {
        let tail = self.tail();
        let wishes = (0..self.layout.geometry.groups).map(|index| {
            let wish = self.layout.group(index) + group::ANEW;
            let wish = self.memory.load(wish, Ordering::Relaxed);
            // Nobody can have lost what was not said yet: such a word is damage.
            let counts = wish > 0 && wish <= tail;
            let is_group = || state::of(self.group_state(index)) == state::ACTIVE;
            if counts && is_group() { wish } else { 0 }
        });
        wishes.max().unwrap_or(0)
    }
}

//! The redo ring: what a batch stores into slots, written before the commit; and afterwards, until it
//! is overwritten, the journal of what changed.

use mixcord_memory::{Ordering, fence};

use crate::error::Damage;
use crate::key::{Key, TableId};
use crate::layout::{CHUNK, Fixed, Grain, Place, SLOT};
use crate::space::Space;

/// One change of a slot or a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Of which batch.
    pub(crate) batch: u64,
    /// Of the value, or of the value for which a link was made.
    pub(crate) table: TableId,
    pub(crate) key: Key,
    pub(crate) step: Step,
}

/// What is to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// Where the slot or the link lies.
    pub(crate) at: u64,
    pub(crate) hash: u64,
    pub(crate) place: Place,
}

/// What an entry does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The slot gets hash and place.
    Put,
    /// The slot's place becomes none.
    Delete,
    /// A bucket gets an overflow bucket.
    Link,
}

impl Entry {
    fn words(&self, grain: Grain) -> [u64; 7] {
        let Step { what, at, hash, place } = self.step;
        let what = match what {
            What::Put => 1,
            What::Delete => 2,
            What::Link => 3,
        };
        let table = u64::from(self.table.raw()) << 16;
        [self.batch, table | what, self.key.owner, self.key.id, at, hash, grain.word(place)]
    }

    fn from_words(words: [u64; 7], grain: Grain) -> Option<Self> {
        let [batch, word, owner, id, at, hash, place] = words;
        let what = match word & 0xFFFF {
            1 => What::Put,
            2 => What::Delete,
            3 => What::Link,
            _ => return None,
        };
        let table = TableId::from_raw((word >> 16) as u16);
        let step = Step { what, at, hash, place: grain.place(place) };
        Some(Self { batch, table, key: Key::new(owner, id), step })
    }
}

/// Writes entry number `position`, over the one that was `redo_entries` before it.
pub(crate) fn write(space: &Space, fixed: &Fixed, position: u64, entry: &Entry) {
    let (memory, at) = (space.memory(), fixed.redo(position) as usize);
    let [batch, word, owner, id, slot, hash, place] = entry.words(space.grain);
    // Who finds a word of this entry finds that the old one is gone.
    memory.store_words(at, [0, batch, word, owner, id, slot, hash, place]);
    memory.store(at, position + 1, Ordering::Release);
}

/// Entry number `position`; `None` where another one is there by now.
pub(crate) fn read(space: &Space, fixed: &Fixed, position: u64) -> Option<Entry> {
    let (memory, at) = (space.memory(), fixed.redo(position) as usize);
    if memory.load(at, Ordering::Acquire) != position + 1 {
        return None;
    }
    let words = memory.load_words::<7>(at + 8);
    fence(Ordering::Acquire);
    if memory.load(at, Ordering::Relaxed) != position + 1 {
        return None;
    }
    Entry::from_words(words, space.grain)
}

impl Step {
    /// Whether it can be: it stores inside of what is given out.
    pub(crate) fn check(&self, space: &Space, fixed: &Fixed) -> Result<(), Damage> {
        let in_a_bucket = self.at.is_multiple_of(8)
            && self.at >= fixed.first_chunk() * CHUNK
            && space.holds(self.at, SLOT);
        if in_a_bucket {
            Ok(())
        } else {
            Err(Damage { what: "where a change belongs", at: self.at })
        }
    }

    /// Stores it. Storing it again changes nothing.
    #[inline]
    pub(crate) fn apply(&self, space: &Space) {
        let (memory, at, place) = (space.memory(), self.at as usize, space.grain.word(self.place));
        match self.what {
            What::Put => {
                // A reader that finds the place finds this hash, or one that is newer.
                memory.store(at, self.hash, Ordering::Relaxed);
                memory.store(at + 8, place, Ordering::Release);
            }
            What::Delete => memory.store(at + 8, 0, Ordering::Release),
            What::Link => memory.store(at, place, Ordering::Release),
        }
    }
}

//! A batch on its way: its values lie in free places, its changes in the redo ring, and nobody sees any
//! of it.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use mixcord_memory::Ordering;

use crate::error::CommitError;
use crate::key::{Key, TableId};
use crate::layout::{
    AT_LINK, AT_SLOTS, BUCKET, CHAIN_MAX, Place, SLOT, SLOTS, VALUE_HEAD, VALUE_MAX, bucket_of,
};
use crate::look;
use crate::redo::{self, Entry, What};
use crate::space::{Slot, ValueHead};
use crate::writer::Writer;

/// What a batch has done so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Entries of the redo ring.
    pub(crate) entries: u64,
    /// Places taken; given back if the batch comes to nothing.
    pub(crate) fresh: Vec<Place>,
    /// Places whose values it replaces or deletes; free once the slots are stored.
    pub(crate) replaced: Vec<Place>,
    /// Keys that were not there before, less those that are gone.
    pub(crate) more: i64,
    /// Empty slots that its entries will fill.
    taken: HashSet<u64, RandomState>,
    /// Overflow buckets that its entries will link, by the bucket before.
    links: HashMap<u64, Place, RandomState>,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.fresh.clear();
        self.replaced.clear();
        self.taken.clear();
        self.links.clear();
        (self.entries, self.more) = (0, 0);
    }
}

/// Whether a key was there before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Before {
    There,
    Missing,
}

impl Writer {
    /// Puts a value under a key that no change of this batch was about.
    pub(crate) fn put(
        &mut self,
        table: TableId,
        key: Key,
        value: &[u8],
    ) -> Result<Before, CommitError> {
        if value.len() > VALUE_MAX {
            return Err(CommitError::TooLong { bytes: value.len() });
        }
        let hash = self.fixed.hash.of(table, key);
        let (slot, last) = look::find(&self.space, &self.fixed, hash, table, key)?;
        let place = self.write_value(table, key, value)?;
        let (at, before) = match slot {
            Some(slot) => {
                self.current.replaced.push(slot.place);
                (slot.at, Before::There)
            }
            None => (self.empty_slot(hash, last, table, key)?, Before::Missing),
        };
        self.current.more += i64::from(before == Before::Missing);
        self.note(Entry { batch: self.batch + 1, what: What::Put, table, key, at, hash, place })?;
        Ok(before)
    }

    /// Deletes what is under such a key.
    pub(crate) fn delete(&mut self, table: TableId, key: Key) -> Result<Before, CommitError> {
        let hash = self.fixed.hash.of(table, key);
        let (slot, _) = look::find(&self.space, &self.fixed, hash, table, key)?;
        let Some(Slot { at, place, .. }) = slot else { return Ok(Before::Missing) };
        self.current.replaced.push(place);
        self.current.more -= 1;
        let (batch, place) = (self.batch + 1, Place::NONE);
        self.note(Entry { batch, what: What::Delete, table, key, at, hash, place })?;
        Ok(Before::There)
    }

    /// Writes a value into a free place.
    pub(crate) fn write_value(
        &mut self,
        table: TableId,
        key: Key,
        value: &[u8],
    ) -> Result<Place, CommitError> {
        let place = self.take(Place::units_for(value.len()))?;
        self.current.fresh.push(place);
        let number = self.next_number();
        let (memory, at) = (self.space.memory(), place.offset() as usize);
        let head = ValueHead { number: 0, table, len: value.len() as u64, key };
        // The number 0 first, then the fence that `store_words` has behind its first word: who finds a
        // byte of this value finds that the number of the one before is gone.
        memory.store_words(at, head.words());
        memory.write(at + VALUE_HEAD as usize, value);
        memory.store(at, number, Ordering::Release);
        Ok(place)
    }

    /// An empty slot for a hash whose chain ends with the bucket at `last`; longer if need be.
    fn empty_slot(
        &mut self,
        hash: u64,
        last: u64,
        table: TableId,
        key: Key,
    ) -> Result<u64, CommitError> {
        let bucket = self.space.bucket(&self.fixed, bucket_of(hash, self.space.buckets()?))?;
        let mut free = None;
        self.space.chain(bucket, |slot| {
            let empty = slot.place.0 == 0 && !self.current.taken.contains(&slot.at);
            free = empty.then_some(slot.at);
            !empty
        })?;
        let mut last = last;
        for _ in 0..CHAIN_MAX {
            if let Some(at) = free {
                self.current.taken.insert(at);
                return Ok(at);
            }
            match self.current.links.get(&last) {
                None => last = self.link(last, table, key)?,
                Some(next) => last = next.offset(),
            }
            let slots = (0..SLOTS).map(|index| last + AT_SLOTS + index * SLOT);
            free = slots.into_iter().find(|at| !self.current.taken.contains(at));
        }
        Err(CommitError::Full { bytes_max: self.space.reserved() })
    }

    /// Gives the bucket at `before` an overflow bucket; gives where that lies.
    fn link(&mut self, before: u64, table: TableId, key: Key) -> Result<u64, CommitError> {
        let place = self.take(1)?;
        self.current.fresh.push(place);
        self.space.memory().store_words(place.offset() as usize, [0; BUCKET as usize / 8]);
        self.current.links.insert(before, place);
        let (batch, at) = (self.batch + 1, before + AT_LINK);
        self.note(Entry { batch, what: What::Link, table, key, at, hash: 0, place })?;
        Ok(place.offset())
    }

    fn note(&mut self, entry: Entry) -> Result<(), CommitError> {
        if self.current.entries == self.fixed.redo_entries {
            return Err(CommitError::TooMany {
                changes: self.current.entries + 1,
                changes_max: self.fixed.redo_entries,
            });
        }
        let position = self.redo_next + self.current.entries;
        redo::write(&self.space, &self.fixed, position, &entry);
        self.current.entries += 1;
        Ok(())
    }
}

//! The one process that changes a table.

use mixcord_memory::Ordering;

use crate::batch::{Batch, Before};
use crate::error::{CommitError, Damage, ReadError};
use crate::heap::Heap;
use crate::key::{Key, TableId};
use crate::layout::{
    AT_APPLIED, AT_COMMITTED, AT_META, AT_NUMBERS, CHUNK, CHUNK_UNITS, Fixed, META_WORDS, Place,
    UNIT,
};
use crate::lists::{Get, List, Lists};
use crate::look::{self, Found};
use crate::redo;
use crate::space::{Space, checksum};

/// A value put under a key, or with `None` what is there deleted.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Its table.
    pub table: TableId,
    /// Its key.
    pub key: Key,
    /// What is put.
    pub value: Option<&'a [u8]>,
}

/// How a table takes its space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most it may take, bytes.
    pub bytes_max: u64,
    /// What it grows by, bytes; a multiple of 64 KiB.
    pub step_bytes: u64,
}

/// How much a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// Values, and chunks of lists.
    pub values: u64,
    /// Buckets, without overflow.
    pub buckets: u64,
    /// Bytes of the places that values and overflow buckets take.
    pub used_bytes: u64,
    /// Bytes of the file.
    pub allocated_bytes: u64,
    /// Bytes of chunks of which nothing is used.
    pub free_bytes: u64,
}

/// The table, open for changes.
#[derive(Debug)]
pub struct Writer {
    pub(crate) space: Space,
    pub(crate) fixed: Fixed,
    pub(crate) heap: Heap,
    pub(crate) limits: Limits,
    /// The last batch that was committed.
    pub(crate) batch: u64,
    /// Position behind the last redo entry of that batch.
    pub(crate) redo_next: u64,
    pub(crate) numbers: Numbers,
    pub(crate) values: u64,
    /// The batch on its way.
    pub(crate) current: Batch,
    pub(crate) lists: Lists,
}

/// Numbers of values: each is given once, whatever is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    pub(crate) next: u64,
    /// The table says that all below may have been given.
    pub(crate) limit: u64,
}

/// Numbers for which one store is made.
const NUMBERS_STEP: u64 = if cfg!(loom) { 4 } else { 1 << 20 };
/// Changes whose buckets, and half as many whose values, are sent for before they are come to.
const AHEAD: usize = 16;
/// Values to a bucket before there are more buckets; three have room without overflow.
const VALUES_PER_BUCKET: u64 = 2;

impl Writer {
    /// Commits `changes`, sorted by table and key, with no key twice: all of them or none.
    ///
    /// A reader may see some of them before others until this returns; no reader sees any of a batch
    /// that is not committed, and after a kill the next writer stores the rest. Gives the batch's number.
    ///
    /// # Errors
    /// Nothing of the batch is committed.
    pub fn commit(&mut self, changes: &[Change<'_>]) -> Result<u64, CommitError> {
        self.current.clear();
        self.split_buckets(changes.len() as u64);
        match self.stage(changes) {
            Ok(()) => self.publish()?,
            Err(error) => {
                self.take_back();
                return Err(error);
            }
        }
        Ok(self.batch)
    }

    /// A value written for a key that is there, and what would store it; for models, which are to have
    /// the stores that a reader can meet and no others.
    #[cfg(all(test, loom))]
    pub(crate) fn write_alone(&mut self, table: TableId, key: Key, value: &[u8]) -> redo::Entry {
        let hash = self.hash_of(table, key);
        let (slot, _) = look::find(&self.space, &self.fixed, hash, table, key).unwrap();
        let place = self.write_value(table, key, value).unwrap();
        let at = slot.unwrap().at;
        redo::Entry { batch: 1, what: redo::What::Put, table, key, at, hash, place }
    }

    /// Stores it, and frees the place of the value before.
    #[cfg(all(test, loom))]
    pub(crate) fn store_alone(&mut self, entry: &redo::Entry) {
        let found = look::find(&self.space, &self.fixed, entry.hash, entry.table, entry.key);
        let before = found.unwrap().0.unwrap().place;
        redo::apply(&self.space, &self.fixed, entry).unwrap();
        self.heap.give_back(before);
    }

    #[cfg(all(test, loom))]
    pub(crate) fn bucket_at(&self, bucket: u64) -> usize {
        self.space.bucket(&self.fixed, bucket).unwrap() as usize
    }

    #[cfg(all(test, loom))]
    pub(crate) fn hash_of(&self, table: TableId, key: Key) -> u64 {
        self.fixed.hash.of(table, key)
    }

    /// Copies the value under `key` to the end of `into`, as the last batch left it; false where there
    /// is none.
    ///
    /// # Errors
    /// [`Damage`] if the table's bytes cannot be.
    pub fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, Damage> {
        let Some(found) = self.find(table, key)? else { return Ok(false) };
        let begin = into.len();
        into.resize(begin + found.len, 0);
        self.copy(found, &mut into[begin..]);
        Ok(true)
    }

    /// Where the value under `key` lies, to be copied before the next commit.
    ///
    /// # Errors
    /// [`Damage`] if the table's bytes cannot be.
    pub fn find(&self, table: TableId, key: Key) -> Result<Option<Found>, Damage> {
        look::find_own(&self.space, &self.fixed, table, key)
    }

    /// Copies what was found out.
    ///
    /// # Panics
    /// `into` is not as long as the value.
    pub fn copy(&self, found: Found, into: &mut [u8]) {
        look::copy_own(&self.space, found, into);
    }

    /// As [`Reader::ids`](crate::Reader::ids), as the last batch left them.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the table's bytes cannot be.
    pub fn ids(
        &self,
        table: TableId,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        List::of_ids(table, owner).page(self, from, into)
    }

    /// As [`Reader::owners`](crate::Reader::owners), as the last batch left them.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the table's bytes cannot be.
    pub fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        List::of_owners(table).page(self, from, into)
    }

    /// The number of the last batch.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The table's id: random, and of this table alone.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.fixed.id
    }

    /// How much it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            values: self.values,
            buckets: self.space.buckets().unwrap_or(0),
            used_bytes: self.heap.used_units() * UNIT,
            allocated_bytes: self.space.allocated(),
            free_bytes: self.heap.free_chunks() * CHUNK,
        }
    }

    /// Writes values and redo entries.
    fn stage(&mut self, changes: &[Change<'_>]) -> Result<(), CommitError> {
        debug_assert!(changes.is_sorted_by(|a, b| (a.table, a.key) < (b.table, b.key)));
        let mut lists = std::mem::take(&mut self.lists);
        lists.clear();
        let result = self.stage_with(changes, &mut lists);
        self.lists = lists;
        result
    }

    fn stage_with(&mut self, changes: &[Change<'_>], lists: &mut Lists) -> Result<(), CommitError> {
        let buckets = self.space.buckets()?;
        for (place, change) in changes.iter().enumerate() {
            if let Some(later) = changes.get(place + AHEAD) {
                let hash = self.fixed.hash.of(later.table, later.key);
                self.space.expect(&self.fixed, hash, buckets);
            }
            if let Some(later) = changes.get(place + AHEAD / 2) {
                self.expect_value(later, buckets);
            }
            let Change { table, key, value } = *change;
            let before = match value {
                Some(value) => self.put(table, key, value)?,
                None => self.delete(table, key)?,
            };
            match (value, before) {
                (Some(_), Before::Missing) => lists.add(table, key),
                (None, Before::There) => lists.remove(table, key),
                _ => {}
            }
        }
        lists.write(self)
    }

    /// Has the line come with which a value begins that is about to be replaced.
    fn expect_value(&self, change: &Change<'_>, buckets: u64) {
        let hash = self.fixed.hash.of(change.table, change.key);
        let bucket = crate::layout::bucket_of(hash, buckets);
        let Ok(bucket) = self.space.bucket(&self.fixed, bucket) else { return };
        // What is wrong with the chain is told when its turn comes.
        let _ = self.space.chain(bucket, |slot| {
            if slot.hash == hash {
                self.space.memory().expect_read(slot.place.offset() as usize);
            }
            slot.hash != hash
        });
    }

    /// The commit, and what follows it.
    fn publish(&mut self) -> Result<(), Damage> {
        let batch = self.batch + 1;
        let (first, behind) = (self.redo_next, self.redo_next + self.current.entries);
        let values = self.values.saturating_add_signed(self.current.more);
        let mut meta = [batch, first, behind, values, 0];
        meta[META_WORDS - 1] = checksum(&meta[..META_WORDS - 1]);
        let memory = self.space.memory();
        // The other block is the one in force.
        memory.store_words(AT_META[(batch % 2) as usize], meta);
        // The commit: before it nothing of the batch is found by anybody, after it a start stores what
        // is missing. Release, so that who sees the number sees the block and its entries.
        memory.store(AT_COMMITTED, batch, Ordering::Release);
        for position in first..behind {
            let entry = redo::read(&self.space, &self.fixed, position)
                .ok_or_else(|| Damage { what: "a redo entry", at: self.fixed.redo(position) })?;
            redo::apply(&self.space, &self.fixed, &entry)?;
        }
        self.space.memory().store(AT_APPLIED, batch, Ordering::Release);
        (self.batch, self.redo_next, self.values) = (batch, behind, values);
        for place in self.current.replaced.drain(..) {
            self.heap.give_back(place);
        }
        Ok(())
    }

    fn take_back(&mut self) {
        for place in self.current.fresh.drain(..) {
            self.heap.give_back(place);
        }
        self.current.clear();
    }

    /// A place for `units` units; the file grows for it, if need be and if it may.
    pub(crate) fn take(&mut self, units: u64) -> Result<Place, CommitError> {
        if let Some(place) = self.heap.take(units) {
            return Ok(place);
        }
        let more = match units.div_ceil(CHUNK_UNITS) {
            1 => 1,
            run => run - self.heap.free_at_end().min(run - 1),
        };
        self.grow(more)?;
        self.heap.take(units).ok_or(CommitError::Full { bytes_max: self.limits.bytes_max })
    }

    /// At least `chunks` chunks more.
    pub(crate) fn grow(&mut self, chunks: u64) -> Result<(), CommitError> {
        let before = self.heap.chunks() * CHUNK;
        let bytes_max = self.limits.bytes_max.min(self.space.reserved()) / CHUNK * CHUNK;
        let step = (chunks * CHUNK).max(self.limits.step_bytes.next_multiple_of(CHUNK));
        let after = (before + step).min(bytes_max);
        if after < before + chunks * CHUNK {
            return Err(CommitError::Full { bytes_max: self.limits.bytes_max });
        }
        let bytes = after - before;
        self.space.allocate(after).map_err(|source| CommitError::NoSpace { bytes, source })?;
        self.heap.grow(after / CHUNK);
        Ok(())
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        if self.numbers.next == self.numbers.limit {
            self.numbers.limit += NUMBERS_STEP;
            // Before any of them is given: who comes after this writer begins at the limit.
            self.space.memory().store(AT_NUMBERS, self.numbers.limit, Ordering::Release);
        }
        self.numbers.next += 1;
        self.numbers.next - 1
    }

    /// As many buckets as there are values for once there are `more` of them. Ahead of them, since the
    /// values of one batch would all have to lie in the buckets that there were.
    fn split_buckets(&mut self, more: u64) {
        let Ok(mut buckets) = self.space.buckets() else { return };
        // A bucket for which there is no room is a longer chain somewhere, and no more.
        while self.values + more > buckets * VALUES_PER_BUCKET && self.split(buckets).is_ok() {
            buckets += 1;
        }
    }
}

impl Get for Writer {
    fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, ReadError> {
        Ok(Self::get(self, table, key, into)?)
    }
}

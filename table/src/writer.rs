//! The one process that changes a table.

use mixcord_memory::Ordering;

use crate::batch::{Batch, Edit, Number};
use crate::error::{CommitError, ReadError};
use crate::heap::Heap;
use crate::index::Index;
use crate::key::{Key, TableId};
use crate::layout::{AT_NUMBERS, CHUNK, CHUNK_UNITS, Fixed, Place, UNIT, VALUE_HEAD, VALUE_MAX};
use crate::lists::List;
use crate::redo::Step;
use crate::space::{Space, ValueHead};
use crate::totals::Counted;

/// How a table takes its space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most it may take, bytes.
    pub bytes_max: u64,
    /// What it grows by, bytes; a multiple of 64 KiB.
    pub step_bytes: u64,
}

impl Limits {
    /// What it has ahead of need, bytes.
    pub(crate) const fn ahead_bytes(&self) -> u64 {
        self.step_bytes * 2
    }
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

/// Two words of the caller's that belong to a batch.
pub type Note = [u64; 2];

/// The table, open for changes.
///
/// A batch is always open. What is put lies in its place in the file at once, and this writer finds it
/// there; readers do once the batch is committed.
#[derive(Debug)]
pub struct Writer {
    pub(crate) space: Space,
    pub(crate) fixed: Fixed,
    pub(crate) index: Index,
    pub(crate) heap: Heap,
    pub(crate) limits: Limits,
    /// The last batch that was committed.
    pub(crate) batch: u64,
    pub(crate) note: Note,
    /// Position behind the last redo entry of that batch.
    pub(crate) redo_next: u64,
    pub(crate) numbers: Numbers,
    pub(crate) values: u64,
    pub(crate) current: Batch,
    pub(crate) counted: Counted,
    /// Of a commit; kept for its memory.
    pub(crate) steps: Vec<Step>,
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
/// Of the redo ring, what a batch may need before it is sure to have room: overflow buckets are beside.
const REDO_PART: [u64; 2] = [4, 5];
/// Lines of a value that are sent for; the processor sees a longer row by itself.
pub(crate) const LINES_AHEAD: u64 = 8;

impl Writer {
    /// Puts the concatenation of `parts` under a key, over what is there.
    ///
    /// # Errors
    /// The open batch is as it was.
    pub fn put(&mut self, table: TableId, key: Key, parts: &[&[u8]]) -> Result<(), CommitError> {
        self.check_room()?;
        self.put_with(table, key, parts, true)
    }

    /// Deletes what is under a key; if nothing is, nothing happens.
    ///
    /// # Errors
    /// The open batch is as it was.
    pub fn delete(&mut self, table: TableId, key: Key) -> Result<(), CommitError> {
        self.check_room()?;
        self.delete_with(table, key, true)
    }

    /// Keeps what was changed: [`Writer::take_back`] goes back to here.
    pub fn mark(&mut self) {
        let Self { current, heap, .. } = self;
        current.mark(|place| {
            heap.give_back(place);
        });
    }

    /// Takes back what was changed since the last mark.
    pub fn take_back(&mut self) {
        let Self { current, heap, .. } = self;
        current.take_back(|place| {
            heap.give_back(place);
        });
    }

    /// Takes back the whole open batch.
    pub fn discard(&mut self) {
        let Self { current, heap, .. } = self;
        current.discard(|place| {
            heap.give_back(place);
        });
    }

    /// How many keys the open batch changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.current.entries().len() as u64
    }

    /// How many keys a batch may change whatever they are. It may be more of keys that are there.
    #[must_use]
    pub fn changes_max(&self) -> u64 {
        self.redo_max() / Batch::REDO_PER_CHANGE
    }

    /// Bytes of the values that the open batch put.
    #[must_use]
    pub fn changed_bytes(&self) -> u64 {
        self.current.bytes
    }

    /// As [`Reader::ids`](crate::Reader::ids), with the open batch.
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
        self.current.with_edits(table, owner, |edits| {
            List::of_ids(table, owner).page_with(self, edits, from, into)
        })
    }

    /// As [`Reader::owners`](crate::Reader::owners), with the open batch.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if the table's bytes cannot be.
    pub fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, ReadError> {
        let page = |edits: &[Edit]| List::of_owners(table).page_with(self, edits, from, into);
        self.current.with_owner_edits(table, || self.owner_edits(table), page)?
    }

    /// The owners that come or go with the open batch; who stays may be among those that come.
    fn owner_edits(&self, table: TableId) -> Result<Vec<Edit>, ReadError> {
        let mut edits = Vec::new();
        for group in self.current.groups_of(table) {
            if !table.is_of_pairs() {
                return Ok(self.current.edits(*group));
            }
            let mut ids = Vec::new();
            self.ids(table, group.owner, 0, &mut ids)?;
            edits.push((group.owner, !ids.is_empty()));
        }
        Ok(edits)
    }

    /// The number of the last batch.
    #[must_use]
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The note of the last batch.
    #[must_use]
    pub fn note(&self) -> Note {
        self.note
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
            buckets: self.index.buckets(),
            used_bytes: self.heap.used_units() * UNIT,
            allocated_bytes: self.space.allocated(),
            free_bytes: self.heap.free_chunks() * CHUNK,
        }
    }

    fn redo_max(&self) -> u64 {
        self.fixed.redo_entries * REDO_PART[0] / REDO_PART[1]
    }

    /// Whether the redo ring holds one change more.
    fn check_room(&self) -> Result<(), CommitError> {
        if self.current.redo_entries() + Batch::REDO_PER_CHANGE <= self.redo_max() {
            return Ok(());
        }
        Err(CommitError::TooMany { changes: self.changes() + 1, changes_max: self.changes_max() })
    }

    /// A change that is noted in no list.
    pub(crate) fn put_unlisted(
        &mut self,
        table: TableId,
        key: Key,
        parts: &[&[u8]],
    ) -> Result<(), CommitError> {
        self.put_with(table, key, parts, false)
    }

    /// A deletion that is noted in no list.
    pub(crate) fn delete_unlisted(&mut self, table: TableId, key: Key) -> Result<(), CommitError> {
        self.delete_with(table, key, false)
    }

    #[inline]
    fn put_with(
        &mut self,
        table: TableId,
        key: Key,
        parts: &[&[u8]],
        listed: bool,
    ) -> Result<(), CommitError> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        if bytes > VALUE_MAX {
            return Err(CommitError::TooLong { bytes });
        }
        let hash = self.fixed.hash.of(table, key);
        let known = self.current.get(hash, table, key);
        let before = match known {
            Some(_) => (0, Place::NONE),
            None => self.committed(hash, table, key)?,
        };
        let place = self.write_value(table, key, parts, bytes)?;
        self.current.bytes += bytes as u64;
        self.change(known, (hash, table, key), before, place, listed);
        Ok(())
    }

    fn delete_with(&mut self, table: TableId, key: Key, listed: bool) -> Result<(), CommitError> {
        let hash = self.fixed.hash.of(table, key);
        let known = self.current.get(hash, table, key);
        let before = match known {
            Some(_) => (0, Place::NONE),
            None => self.committed(hash, table, key)?,
        };
        let there = match known {
            Some(number) => self.current.entries()[number as usize].now != Place::NONE,
            None => before.1 != Place::NONE,
        };
        if there {
            self.change(known, (hash, table, key), before, Place::NONE, listed);
        }
        Ok(())
    }

    fn change(
        &mut self,
        known: Option<Number>,
        key: (u64, TableId, Key),
        before: (u64, Place),
        now: Place,
        listed: bool,
    ) {
        match known {
            Some(number) => self.current.set(number, now, listed),
            None => self.current.add(key, before, now, listed),
        }
    }

    /// Writes a value into a free place.
    #[inline]
    pub(crate) fn write_value(
        &mut self,
        table: TableId,
        key: Key,
        parts: &[&[u8]],
        bytes: usize,
    ) -> Result<Place, CommitError> {
        let units = self.space.grain.units_for(bytes);
        let place = self.take(units)?;
        if let Some(next) = self.heap.next(units) {
            for at in Place::new(next, units).lines(LINES_AHEAD) {
                self.space.memory().expect_write(at as usize);
            }
        }
        let number = self.next_number();
        let (memory, at) = (self.space.memory(), place.offset() as usize);
        let head = ValueHead { number: 0, table, len: bytes as u64, key };
        // The number 0 first, then the fence that `store_words` has behind its first word: who finds a
        // byte of this value finds that the number of the one before is gone.
        memory.store_words(at, head.words());
        let mut to = at + VALUE_HEAD as usize;
        for part in parts {
            memory.write(to, part);
            to += part.len();
        }
        memory.store(at, number, Ordering::Release);
        Ok(place)
    }

    /// A place for `units` units; the file grows for it, if need be and if it may.
    #[inline]
    pub(crate) fn take(&mut self, units: u64) -> Result<Place, CommitError> {
        match self.heap.take(units) {
            Some(place) => Ok(place),
            None => self.take_more(units),
        }
    }

    #[cold]
    fn take_more(&mut self, units: u64) -> Result<Place, CommitError> {
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
        let after = self.end_of_step(before + chunks * CHUNK).min(bytes_max);
        if after < before + chunks * CHUNK {
            return Err(CommitError::Full { bytes_max: self.limits.bytes_max });
        }
        let bytes = after - before;
        self.space.allocate(after).map_err(|source| CommitError::NoSpace { bytes, source })?;
        self.heap.grow(after / CHUNK);
        Ok(())
    }

    /// Has the next steps allocated by the time they are needed: as much as the batch took that is done, `bytes`,
    /// and [`Limits::ahead_bytes`] at least.
    #[inline]
    pub(crate) fn grow_ahead(&self, bytes: u64) {
        let free = self.heap.free_chunks() * CHUNK;
        let missing = bytes.max(self.limits.ahead_bytes()).saturating_sub(free);
        if missing > 0 {
            let after = self.end_of_step(self.heap.chunks() * CHUNK + missing);
            self.space.prepare(after.min(self.limits.bytes_max / CHUNK * CHUNK));
        }
    }

    /// How long a file is that has at least so many bytes: whole steps, which begin where large pages do.
    fn end_of_step(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(self.limits.step_bytes.next_multiple_of(CHUNK).max(CHUNK))
    }

    #[inline]
    pub(crate) fn next_number(&mut self) -> u64 {
        if self.numbers.next == self.numbers.limit {
            self.numbers.limit += NUMBERS_STEP;
            // Before any of them is given: who comes after this writer begins at the limit.
            self.space.memory().store(AT_NUMBERS, self.numbers.limit, Ordering::Release);
        }
        self.numbers.next += 1;
        self.numbers.next - 1
    }
}

//! The store, open for writing: by one process at a time.

use std::path::Path;

use mixcord_table::{FileWriter, Key as TableKey, Limits, Usage};

use crate::format::{FORMAT, TABLE_FILE};
use crate::{Arena, Key, OpenError, StoreError, Values, View};

/// The store's table, open for changes.
///
/// A batch is always open: what is put is found by this writer at once, and by readers once the batch is
/// committed.
#[derive(Debug)]
pub struct Writer {
    table: FileWriter,
    bytes_max: u64,
}

/// What the table grows by, bytes.
const STEP_BYTES: u64 = 8 << 20;

impl Writer {
    /// Makes an empty table in `dir`, which may take up to `bytes_max` bytes. Who reads the one that is
    /// there goes on with it.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`]: nothing is left behind.
    pub fn create(dir: &Path, bytes_max: u64) -> Result<Self, StoreError> {
        let table = FileWriter::create(&dir.join(TABLE_FILE), FORMAT, limits(bytes_max))?;
        Ok(Self { table, bytes_max })
    }

    /// Takes over the table in `dir`.
    ///
    /// # Errors
    /// [`OpenError::is_damage`] tells what is no table any more from what another try may cure.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self, OpenError> {
        let table = FileWriter::open(&dir.join(TABLE_FILE), FORMAT, limits(bytes_max));
        Ok(Self { table: table.map_err(|error| OpenError::of_table(dir, error))?, bytes_max })
    }

    /// The table's id: another one means that it was made anew.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.table.id()
    }

    /// The value under a key, copied into `arena`.
    ///
    /// # Errors
    /// The table's bytes cannot be.
    pub fn get<'a>(&self, key: Key, arena: &'a Arena) -> Result<Option<&'a [u8]>, StoreError> {
        Values::copy(&*self.table, key.table().id(), at(key), arena)
    }

    /// Everything, with what the open batch changed.
    #[must_use]
    pub fn view<'a>(&'a self, arena: &'a Arena) -> View<'a, mixcord_table::Writer> {
        View::new(&self.table, arena)
    }

    /// Says that a key will be asked for some records later.
    pub fn expect(&self, key: Key) {
        self.table.expect(key.table().id(), at(key));
    }

    /// The same for the value under it, some records behind [`Writer::expect`].
    pub fn expect_value(&self, key: Key) {
        self.table.expect_value(key.table().id(), at(key));
    }

    /// Puts the concatenation of `parts` under a key.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn put(&mut self, key: Key, parts: &[&[u8]]) -> Result<(), StoreError> {
        Ok(self.table.put(key.table().id(), at(key), parts)?)
    }

    /// Deletes what is under a key, if anything is.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn delete(&mut self, key: Key) -> Result<(), StoreError> {
        Ok(self.table.delete(key.table().id(), at(key))?)
    }

    /// Keeps what was changed: [`Writer::take_back`] goes back to here.
    pub fn mark(&mut self) {
        self.table.mark();
    }

    /// Takes back what was changed since the last mark.
    pub fn take_back(&mut self) {
        self.table.take_back();
    }

    /// Takes back the whole open batch.
    pub fn discard(&mut self) {
        self.table.discard();
    }

    /// Bytes of the values that the open batch put.
    #[must_use]
    pub fn changed_bytes(&self) -> u64 {
        self.table.changed_bytes()
    }

    /// Keys that it changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.table.changes()
    }

    /// So many keys a batch may change, whatever they are.
    #[must_use]
    pub fn changes_max(&self) -> u64 {
        self.table.changes_max()
    }

    /// Makes the open batch the state, all at once. `output` is the output ring's id and the tail it is to
    /// reach.
    ///
    /// # Errors
    /// Nothing of it is; it stays open.
    pub fn commit(&mut self, output: (u64, u64)) -> Result<(), StoreError> {
        self.table.commit([output.0, output.1])?;
        Ok(())
    }

    /// What the last commit was given.
    #[must_use]
    pub fn output(&self) -> (u64, u64) {
        let [ring, tail] = self.table.note();
        (ring, tail)
    }

    /// Whether there is so little room left that something should go.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        let Usage { used_bytes, buckets, allocated_bytes, free_bytes, .. } = self.table.usage();
        let used = used_bytes + buckets * BUCKET_BYTES;
        // A change of another size needs a chunk, however much is free between the values of those in use.
        let whole = self.bytes_max.saturating_sub(allocated_bytes) + free_bytes;
        used + self.bytes_max / SPARE >= self.bytes_max
            || whole <= (self.bytes_max / SPARE_WHOLE).max(SPARE_WHOLE_MIN)
    }

    /// How much it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

/// The part of a table that is kept free: its own head and what cannot be used at the ends of places are in it.
const SPARE: u64 = 8;
const BUCKET_BYTES: u64 = 64;
/// The part of it that is kept free in whole chunks, and its least: what goes needs some itself, bytes.
const SPARE_WHOLE: u64 = 64;
const SPARE_WHOLE_MIN: u64 = 256 << 10;

const fn at(key: Key) -> TableKey {
    TableKey::new(key.owner(), key.id())
}

const fn limits(bytes_max: u64) -> Limits {
    Limits { bytes_max, step_bytes: STEP_BYTES }
}

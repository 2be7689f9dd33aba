//! The store's open batch, as the annotator sees it.

use mixcord_state::{Arena, Key, Range, Read, StoreError, Writer, format};

use super::{Store, Tables};
use crate::kill;

/// What a batch may change, in bytes: values, and for each key at least what this process holds of it; in a
/// small store, whose batches may have fewer keys, as much more.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
const KEY_BYTES_MIN: usize = 128;

/// The store with what the open batch changed. What it cannot take is told by [`OpenBatch::check`], after
/// which the record is to be taken back.
#[derive(Debug)]
pub struct OpenBatch<'a> {
    writer: &'a mut Writer,
    /// What was read: it may be looked at until the next record.
    arena: &'a mut Arena,
    failed: Option<StoreError>,
    /// What a key counts for.
    key_bytes: usize,
}

impl<'a> OpenBatch<'a> {
    /// What is read is copied into `arena`.
    pub fn new(writer: &'a mut Writer, arena: &'a mut Arena) -> Self {
        let keys_max = writer.changes_max().max(1) as usize;
        let key_bytes = (BATCH_BYTES_MAX / keys_max).max(KEY_BYTES_MIN);
        Self { writer, arena, failed: None, key_bytes }
    }

    /// Says that a key will be asked for some records later.
    pub fn expect(&self, key: Key) {
        self.writer.expect(key);
    }

    /// The same of the value under it, some records behind [`OpenBatch::expect`].
    pub fn expect_value(&self, key: Key) -> bool {
        self.writer.expect_value(key)
    }

    /// Gives up what was read.
    pub fn forget_reads(&mut self) {
        self.arena.clear();
    }

    /// A record begins.
    pub fn begin_record(&mut self) {
        self.forget_reads();
        self.writer.mark();
    }

    /// Takes back what was changed since the record began.
    pub fn take_back_record(&mut self) {
        self.failed = None;
        self.writer.take_back();
    }

    /// Whether everything that was changed could be.
    ///
    /// # Errors
    /// The first change that could not.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn keep(&mut self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            self.failed.get_or_insert(error);
        }
    }
}

impl Read for OpenBatch<'_> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.writer.get(key, self.arena)
    }

    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.writer.append(key, into)
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.writer.view(self.arena).keys(range, visit)
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.writer.view(self.arena).scan(range, visit)
    }
}

impl Store for OpenBatch<'_> {
    fn put(&mut self, key: Key, parts: &[&[u8]]) {
        let done = self.writer.put(key, parts);
        self.keep(done);
    }

    fn delete(&mut self, key: Key) {
        let done = self.writer.delete(key);
        self.keep(done);
    }

    fn changed_bytes(&self) -> usize {
        self.writer.changed_bytes() as usize + self.writer.changes() as usize * self.key_bytes
    }

    fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    fn composes_voice_states(&self) -> bool {
        self.writer.version() >= format::COMPOSED_SINCE
    }

    fn has_channels_whole(&self) -> bool {
        self.writer.version() >= format::CHANNELS_WHOLE_SINCE
    }
}

impl Tables for OpenBatch<'_> {
    fn settle(&mut self) -> Result<(), StoreError> {
        self.check()?;
        kill::point();
        let output = self.writer.output();
        self.writer.commit(output)?;
        kill::point();
        self.arena.clear();
        Ok(())
    }
}

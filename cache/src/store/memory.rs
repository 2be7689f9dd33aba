//! Tables in memory: for tests, and behind `--store none`, where it stays empty.

use std::collections::BTreeMap;

use mixcord_state::{Key, Range, Read, StoreError, Table};

use super::{Store, Tables};

/// Tables in the memory of this process.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MemoryStore {
    entries: BTreeMap<Key, Vec<u8>>,
    channels_apart: bool,
}

impl MemoryStore {
    /// An empty one that has what is known about channels as a store of before has it
    /// ([`Store::has_channels_whole`]).
    #[must_use]
    pub fn with_channels_apart() -> Self {
        Self { channels_apart: true, ..Self::default() }
    }

    /// How many entries a table has.
    #[must_use]
    pub fn len(&self, table: Table) -> usize {
        self.in_range(table.all()).count()
    }

    /// Whether no table has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn in_range(&self, range: Range) -> impl Iterator<Item = (Key, &[u8])> {
        let entries = self.entries.range(range.first()..=range.last());
        entries.map(|(key, value)| (*key, value.as_slice()))
    }
}

impl Read for MemoryStore {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.entries.get(&key).map(Vec::as_slice))
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.in_range(range).all(|(key, _)| visit(key));
        Ok(())
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.in_range(range).all(|(key, value)| visit(key, value));
        Ok(())
    }
}

impl Store for MemoryStore {
    fn put(&mut self, key: Key, parts: &[&[u8]]) {
        self.entries.insert(key, parts.concat());
    }

    fn delete(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    fn has_channels_whole(&self) -> bool {
        !self.channels_apart
    }
}

impl Tables for MemoryStore {
    fn settle(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

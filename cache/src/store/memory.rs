//! Tables in memory: for tests, and behind `--store none`, where it stays empty.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use mixcord_state::{Key, Read, StoreError, Table};

use super::{Store, Tables};

/// Tables in the memory of this process.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MemoryStore {
    tables: BTreeMap<(Table, Key), Vec<u8>>,
}

impl MemoryStore {
    /// How many entries a table has.
    #[must_use]
    pub fn len(&self, table: Table) -> usize {
        self.tables.range((table, Key::one(0))..=(table, *Key::all().end())).count()
    }

    /// Whether no table has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

impl Read for MemoryStore {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.tables.get(&(table, key)).map(Vec::as_slice))
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        for (&(_, key), value) in self.tables.range((table, *range.start())..=(table, *range.end()))
        {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn put(&mut self, table: Table, key: Key, parts: &[&[u8]]) {
        self.tables.insert((table, key), parts.concat());
    }

    fn delete(&mut self, table: Table, key: Key) {
        self.tables.remove(&(table, key));
    }
}

impl Tables for MemoryStore {
    fn set(&mut self, table: Table, key: Key, value: &[u8]) -> Result<(), StoreError> {
        self.put(table, key, &[value]);
        Ok(())
    }

    fn remove(&mut self, table: Table, key: Key) -> Result<(), StoreError> {
        self.delete(table, key);
        Ok(())
    }

    fn clear(&mut self, table: Table) -> Result<(), StoreError> {
        self.tables.retain(|(held, _), _| *held != table);
        Ok(())
    }
}

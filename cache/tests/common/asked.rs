//! A store that remembers what it was asked for.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use mixcord_cache::store::{MemoryStore, Overlay};
use mixcord_state::{Key, Read, StoreError, Table};
use serde_json::Value as Json;

use super::{Cache, feed};

struct Watched<'a> {
    store: &'a MemoryStore,
    asked: RefCell<Vec<Table>>,
}

impl Read for Watched<'_> {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.asked.borrow_mut().push(table);
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.asked.borrow_mut().push(table);
        self.store.scan(table, range, visit)
    }
}

/// Feeds an event, and commits it; says for which of `tables` the store was asked, once for each time.
pub(crate) fn asked(cache: &mut Cache, tables: &[Table], kind: &str, payload: &Json) -> Vec<Table> {
    cache.changes.begin_record();
    let base = Watched { store: &cache.store, asked: RefCell::default() };
    let mut overlay = Overlay::new(&base, &mut cache.changes);
    feed(&mut overlay, &cache.settings, kind, payload, cache.at);
    let asked = base.asked.into_inner();
    cache.commit();
    asked.into_iter().filter(|table| tables.contains(table)).collect()
}

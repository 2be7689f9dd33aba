//! A store that remembers what it was asked for.

use std::cell::RefCell;

use mixcord_cache::store::MemoryStore;
use mixcord_state::{Key, Range, Read, StoreError, Table};
use serde_json::Value as Json;

use super::{Cache, feed};

struct Watched<'a> {
    store: &'a MemoryStore,
    asked: RefCell<Vec<Table>>,
}

impl Read for Watched<'_> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.asked.borrow_mut().push(key.table());
        self.store.get(key)
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.asked.borrow_mut().push(range.table());
        self.store.keys(range, visit)
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.asked.borrow_mut().push(range.table());
        self.store.scan(range, visit)
    }
}

/// Feeds an event, and commits it; says for which of `tables` the store was asked, once for each time.
pub(crate) fn asked(cache: &mut Cache, tables: &[Table], kind: &str, payload: &Json) -> Vec<Table> {
    cache.changes.begin_record();
    let base = Watched { store: &cache.store, asked: RefCell::default() };
    let (settings, at) = (&cache.settings, cache.at);
    cache.changes.over(&base, |store| feed(store, settings, kind, payload, at));
    let asked = base.asked.into_inner();
    cache.commit();
    asked.into_iter().filter(|table| tables.contains(table)).collect()
}

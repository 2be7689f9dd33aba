//! A store that remembers what it was asked for.

use std::cell::RefCell;

use mixcord_cache::store::MemoryStore;
use mixcord_state::{Key, Range, Read, StoreError, Table};
use serde_json::Value as Json;

use super::{Cache, feed};

struct Watched<'a> {
    store: &'a MemoryStore,
    asked: RefCell<Vec<Table>>,
    keys: RefCell<Vec<Key>>,
}

impl Read for Watched<'_> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.asked.borrow_mut().push(key.table());
        self.keys.borrow_mut().push(key);
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
    let asked = watch(cache, kind, payload).0;
    asked.into_iter().filter(|table| tables.contains(table)).collect()
}

/// The same: the keys under which it was asked for a value.
pub(crate) fn asked_keys(cache: &mut Cache, kind: &str, payload: &Json) -> Vec<Key> {
    watch(cache, kind, payload).1
}

fn watch(cache: &mut Cache, kind: &str, payload: &Json) -> (Vec<Table>, Vec<Key>) {
    cache.changes.begin_record();
    let (asked, keys) = (RefCell::default(), RefCell::default());
    let base = Watched { store: &cache.store, asked, keys };
    let (settings, at) = (&cache.settings, cache.at);
    cache.changes.over(&base, |store| feed(store, settings, kind, payload, at));
    let seen = (base.asked.into_inner(), base.keys.into_inner());
    cache.commit();
    seen
}

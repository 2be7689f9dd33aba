//! The write-back table: a batch's changes in front of the store.
//!
//! The last write of a batch wins, and what is written goes into the store in the order of its
//! keys. The changes of the record in work can be taken back, for when its outputs do not fit.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use mixcord_state::{Key, Read, StoreError, Table};

use super::Store;

/// Where a changed value lies.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// In the arena: offset and length.
    Put(usize, usize),
    Deleted,
}

/// The changes of a batch.
#[derive(Debug)]
pub struct Changes {
    tables: [BTreeMap<Key, Slot>; Table::COUNT],
    /// Values, one after the other; an overwritten one stays until the batch ends.
    arena: Vec<u8>,
    /// What stood in the tables before the record in work changed it.
    undo: Vec<(Table, Key, Option<Slot>)>,
}

/// Arena bytes kept from batch to batch.
const ARENA_KEPT: usize = 8 << 20;

impl Default for Changes {
    fn default() -> Self {
        Self {
            tables: std::array::from_fn(|_| BTreeMap::new()),
            arena: Vec::new(),
            undo: Vec::new(),
        }
    }
}

impl Changes {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }

    /// Bytes of all values written.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Begins a record: what came before can no longer be taken back.
    pub fn begin_record(&mut self) {
        self.undo.clear();
    }

    /// Takes back what was changed since [`Changes::begin_record`].
    pub fn take_back_record(&mut self) {
        while let Some((table, key, before)) = self.undo.pop() {
            let entries = &mut self.tables[table.index()];
            match before {
                Some(slot) => entries.insert(key, slot),
                None => entries.remove(&key),
            };
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tables.iter_mut().for_each(BTreeMap::clear);
        self.undo.clear();
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEPT);
    }

    /// Shows the changes, table by table in the order of their keys; `None` is a deletion.
    pub fn each(
        &self,
        mut visit: impl FnMut(Table, Key, Option<&[u8]>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for table in Table::ALL {
            for (&key, &slot) in &self.tables[table.index()] {
                visit(table, key, self.value(slot))?;
            }
        }
        Ok(())
    }

    fn value(&self, slot: Slot) -> Option<&[u8]> {
        match slot {
            Slot::Put(offset, len) => Some(&self.arena[offset..offset + len]),
            Slot::Deleted => None,
        }
    }

    fn set(&mut self, table: Table, key: Key, slot: Slot) {
        let before = self.tables[table.index()].insert(key, slot);
        self.undo.push((table, key, before));
    }
}

/// [`Changes`] in front of something that is only read.
pub struct Overlay<'a> {
    base: &'a dyn Read,
    changes: &'a mut Changes,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// Puts `changes` in front of `base`.
    pub fn new(base: &'a dyn Read, changes: &'a mut Changes) -> Self {
        Self { base, changes }
    }
}

impl Read for Overlay<'_> {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        match self.changes.tables[table.index()].get(&key) {
            Some(&slot) => Ok(self.changes.value(slot)),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut changed = self.changes.tables[table.index()].range(range.clone()).peekable();
        let mut go_on = true;
        self.base.scan(table, range, &mut |key, value| {
            while let Some((&changed_key, &slot)) = changed.next_if(|(other, _)| **other < key) {
                if let Some(value) = self.changes.value(slot) {
                    go_on = visit(changed_key, value);
                    if !go_on {
                        return false;
                    }
                }
            }
            go_on = match changed.next_if(|(other, _)| **other == key) {
                Some((_, &slot)) => self.changes.value(slot).is_none_or(|value| visit(key, value)),
                None => visit(key, value),
            };
            go_on
        })?;
        while let (true, Some((&key, &slot))) = (go_on, changed.next()) {
            if let Some(value) = self.changes.value(slot) {
                go_on = visit(key, value);
            }
        }
        Ok(())
    }
}

impl Store for Overlay<'_> {
    fn put(&mut self, table: Table, key: Key, value: &[u8]) {
        let offset = self.changes.arena.len();
        self.changes.arena.extend_from_slice(value);
        self.changes.set(table, key, Slot::Put(offset, value.len()));
    }

    fn delete(&mut self, table: Table, key: Key) {
        self.changes.set(table, key, Slot::Deleted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const T: Table = Table::Members;

    fn entries(read: &dyn Read, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        read.scan(T, Key::all_of(1), &mut |key, value| {
            found.push((key.id(), value.to_vec()));
            found.len() < limit
        })
        .unwrap();
        found
    }

    #[test]
    fn a_scan_merges_changes_and_base_in_order_and_stops_when_told() {
        let mut base = MemoryStore::default();
        for id in [2, 4, 6] {
            base.put(T, Key::pair(1, id), b"base");
        }
        let mut changes = Changes::default();
        let mut overlay = Overlay::new(&base, &mut changes);
        overlay.put(T, Key::pair(1, 1), b"new");
        overlay.put(T, Key::pair(1, 4), b"over");
        overlay.delete(T, Key::pair(1, 6));
        overlay.put(T, Key::pair(1, 9), b"last");
        overlay.put(T, Key::pair(2, 1), b"elsewhere");
        let all = entries(&overlay, usize::MAX);
        let expected: [(u64, &[u8]); 4] = [(1, b"new"), (2, b"base"), (4, b"over"), (9, b"last")];
        assert_eq!(all, expected.map(|(id, value)| (id, value.to_vec())));
        for limit in 1..=4 {
            assert_eq!(entries(&overlay, limit), all[..limit]);
        }
    }

    #[test]
    fn a_record_is_taken_back_whole_and_alone() {
        let base = MemoryStore::default();
        let mut changes = Changes::default();
        let key = |id| Key::pair(1, id);
        Overlay::new(&base, &mut changes).put(T, key(1), b"first");
        changes.begin_record();
        let mut overlay = Overlay::new(&base, &mut changes);
        overlay.put(T, key(1), b"second");
        overlay.delete(T, key(1));
        overlay.put(T, key(2), b"third");
        changes.take_back_record();
        let overlay = Overlay::new(&base, &mut changes);
        assert_eq!(entries(&overlay, usize::MAX), [(1, b"first".to_vec())]);
    }
}

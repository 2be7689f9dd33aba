//! The write-back table: a batch's changes in front of the store.
//!
//! The last write of a batch wins, and what is written goes into the store in the order of its
//! keys. The changes of the record in work can be taken back, for when its outputs do not fit.

use std::ops::RangeInclusive;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use mixcord_state::{Key, Read, StoreError, Table};

use super::Store;
use super::notes::Notes;

/// Where a changed value lies.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// In the arena: offset and length.
    Put(usize, usize),
    Deleted,
}

/// One changed key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    slot: Slot,
    /// The owner's entry before this one, plus one; 0 for none.
    before: u32,
}

/// The changes of one table: found by key, and by owner, in whatever order they came.
#[derive(Default, Debug)]
struct TableChanges {
    entries: Vec<Entry>,
    /// Places in `entries`.
    by_key: HashMap<Key, u32, RandomState>,
    /// The owner's latest entry, plus one.
    by_owner: HashMap<u64, u32, RandomState>,
}

impl TableChanges {
    fn get(&self, key: Key) -> Option<Slot> {
        if self.entries.is_empty() {
            return None;
        }
        self.by_key.get(&key).map(|&place| self.entries[place as usize].slot)
    }

    /// Sets a key's slot; gives its place, and the slot before.
    fn set(&mut self, key: Key, slot: Slot) -> (u32, Option<Slot>) {
        let place = self.entries.len() as u32;
        let found = *self.by_key.entry(key).or_insert(place);
        if found != place {
            let entry = &mut self.entries[found as usize];
            return (found, Some(std::mem::replace(&mut entry.slot, slot)));
        }
        let before = self.by_owner.insert(key.owner(), place + 1).unwrap_or(0);
        self.entries.push(Entry { key, slot, before });
        (place, None)
    }

    /// Takes back the latest change.
    fn undo(&mut self, place: u32, before: Option<Slot>) {
        if let Some(slot) = before {
            self.entries[place as usize].slot = slot;
            return;
        }
        // A key that was new is the last one.
        let Some(entry) = self.entries.pop() else { return };
        self.by_key.remove(&entry.key);
        match entry.before {
            0 => self.by_owner.remove(&entry.key.owner()),
            before => self.by_owner.insert(entry.key.owner(), before),
        };
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.by_key.clear();
        self.by_owner.clear();
        if self.entries.capacity() > ENTRIES_KEPT {
            self.entries.shrink_to(ENTRIES_KEPT);
            self.by_key.shrink_to(ENTRIES_KEPT);
            self.by_owner.shrink_to(ENTRIES_KEPT);
        }
    }

    /// The changes in `range`, in the order of their keys.
    fn range(&self, range: &RangeInclusive<Key>) -> Vec<(Key, Slot)> {
        let mut found = Vec::new();
        if self.entries.is_empty() {
            return found;
        }
        let owner = range.start().owner();
        if owner == range.end().owner() {
            let mut next = self.by_owner.get(&owner).copied().unwrap_or(0);
            while let Some(place) = next.checked_sub(1) {
                let entry = self.entries[place as usize];
                found.push((entry.key, entry.slot));
                next = entry.before;
            }
        } else {
            found.extend(self.entries.iter().map(|entry| (entry.key, entry.slot)));
        }
        found.retain(|(key, _)| range.contains(key));
        found.sort_unstable_by_key(|(key, _)| *key);
        found
    }
}

/// The changes of a batch.
pub struct Changes {
    tables: [TableChanges; Table::COUNT],
    /// Values, one after the other; an overwritten one stays until the batch ends.
    arena: Vec<u8>,
    /// Its length before the record in work.
    arena_before: usize,
    /// What stood in the tables before the record in work changed it.
    undo: Vec<(Table, u32, Option<Slot>)>,
    notes: Notes,
    /// Notes there were before the record in work.
    notes_before: usize,
    /// The order of a table's entries, kept for its memory.
    order: Vec<(Key, u32)>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// Arena bytes kept from batch to batch, and entries of a table.
const ARENA_KEPT: usize = 8 << 20;
const ENTRIES_KEPT: usize = 1 << 14;

/// About what a changed key takes beside its value: its entry, its places in the two maps, and what
/// takes it back.
const ENTRY_BYTES: usize = 128;

impl Default for Changes {
    fn default() -> Self {
        Self {
            tables: std::array::from_fn(|_| TableChanges::default()),
            arena: Vec::new(),
            arena_before: 0,
            undo: Vec::new(),
            notes: Notes::default(),
            notes_before: 0,
            order: Vec::new(),
        }
    }
}

impl Changes {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.entries.is_empty())
    }

    /// About the bytes they take: the values written, and every key put or deleted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let keys: usize = self.tables.iter().map(|table| table.entries.len()).sum();
        self.arena.len() + keys * ENTRY_BYTES
    }

    /// Begins a record: what came before can no longer be taken back alone.
    pub fn begin_record(&mut self) {
        self.undo.clear();
        self.arena_before = self.arena.len();
        self.notes_before = self.notes.fresh();
    }

    /// Takes back what was changed since [`Changes::begin_record`].
    pub fn take_back_record(&mut self) {
        while let Some((table, place, before)) = self.undo.pop() {
            self.tables[table.index()].undo(place, before);
        }
        // A record that waits for room is begun again and again.
        self.arena.truncate(self.arena_before);
        self.notes.take_back(self.notes_before);
    }

    /// Forgets everything: none of it was committed.
    pub fn take_back(&mut self) {
        self.notes.take_back(0);
        self.clear();
    }

    /// Begins anew: all of it was committed.
    pub fn committed(&mut self) {
        self.notes.keep();
        self.clear();
    }

    fn clear(&mut self) {
        self.tables.iter_mut().for_each(TableChanges::clear);
        self.undo.clear();
        self.undo.shrink_to(ENTRIES_KEPT);
        (self.notes_before, self.arena_before) = (0, 0);
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEPT);
    }

    /// Shows the changes, table by table in the order of their keys; `None` is a deletion.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub fn each(
        &mut self,
        mut visit: impl FnMut(Table, Key, Option<&[u8]>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for table in Table::ALL {
            let changes = &self.tables[table.index()];
            self.order.clear();
            let places = changes.entries.iter().zip(0..);
            self.order.extend(places.map(|(entry, place)| (entry.key, place)));
            self.order.sort_unstable();
            for &(key, place) in &self.order {
                visit(table, key, self.value(changes.entries[place as usize].slot))?;
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
        match table {
            Table::Members => self.notes.forget_member(key.owner(), key.id()),
            Table::Users => self.notes.forget_user(key.owner()),
            _ => {}
        }
        let (place, before) = self.tables[table.index()].set(key, slot);
        self.undo.push((table, place, before));
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
        match self.changes.tables[table.index()].get(key) {
            Some(slot) => Ok(self.changes.value(slot)),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let changed = self.changes.tables[table.index()].range(&range);
        let mut changed = changed.into_iter().peekable();
        let mut go_on = true;
        self.base.scan(table, range, &mut |key, value| {
            while let Some((changed_key, slot)) = changed.next_if(|(other, _)| *other < key) {
                if let Some(value) = self.changes.value(slot) {
                    go_on = visit(changed_key, value);
                    if !go_on {
                        return false;
                    }
                }
            }
            go_on = match changed.next_if(|(other, _)| *other == key) {
                Some((_, slot)) => self.changes.value(slot).is_none_or(|value| visit(key, value)),
                None => visit(key, value),
            };
            go_on
        })?;
        while let (true, Some((key, slot))) = (go_on, changed.next()) {
            if let Some(value) = self.changes.value(slot) {
                go_on = visit(key, value);
            }
        }
        Ok(())
    }
}

impl Store for Overlay<'_> {
    fn put(&mut self, table: Table, key: Key, parts: &[&[u8]]) {
        let offset = self.changes.arena.len();
        parts.iter().for_each(|part| self.changes.arena.extend_from_slice(part));
        let len = self.changes.arena.len() - offset;
        self.changes.set(table, key, Slot::Put(offset, len));
    }

    fn delete(&mut self, table: Table, key: Key) {
        self.changes.set(table, key, Slot::Deleted);
    }

    fn changed_bytes(&self) -> usize {
        self.changes.bytes()
    }

    fn knows(&self, guild: u64, user: u64, documents: [&[u8]; 2]) -> bool {
        self.changes.notes.has((guild, user, documents))
    }

    fn note(&mut self, guild: u64, user: u64, documents: [&[u8]; 2]) {
        self.changes.notes.add((guild, user, documents));
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
            base.put(T, Key::pair(1, id), &[b"base"]);
        }
        let mut changes = Changes::default();
        let mut overlay = Overlay::new(&base, &mut changes);
        overlay.put(T, Key::pair(1, 1), &[b"new"]);
        overlay.put(T, Key::pair(1, 4), &[b"over"]);
        overlay.delete(T, Key::pair(1, 6));
        overlay.put(T, Key::pair(1, 9), &[b"last"]);
        overlay.put(T, Key::pair(2, 1), &[b"elsewhere"]);
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
        Overlay::new(&base, &mut changes).put(T, key(1), &[b"first"]);
        changes.begin_record();
        let mut overlay = Overlay::new(&base, &mut changes);
        overlay.put(T, key(1), &[b"second"]);
        overlay.delete(T, key(1));
        overlay.put(T, key(2), &[b"third"]);
        changes.take_back_record();
        let overlay = Overlay::new(&base, &mut changes);
        assert_eq!(entries(&overlay, usize::MAX), [(1, b"first".to_vec())]);
    }

    #[test]
    fn every_key_takes_memory_also_one_that_is_deleted() {
        let base = MemoryStore::default();
        let mut changes = Changes::default();
        let mut overlay = Overlay::new(&base, &mut changes);
        for id in 0..100 {
            overlay.delete(T, Key::pair(1, id));
        }
        overlay.put(T, Key::pair(1, 0), &[b"value"]);
        assert_eq!(overlay.changed_bytes(), 100 * ENTRY_BYTES + 5);
        changes.begin_record();
        Overlay::new(&base, &mut changes).delete(T, Key::pair(2, 0));
        changes.take_back_record();
        assert_eq!(changes.bytes(), 100 * ENTRY_BYTES + 5);
        changes.committed();
        assert_eq!(changes.bytes(), 0);
    }

    #[test]
    fn a_note_ends_with_the_member_or_the_user_it_is_about() {
        let base = MemoryStore::default();
        let mut changes = Changes::default();
        let documents: [&[u8]; 2] = [b"member", b"user"];
        let mut overlay = Overlay::new(&base, &mut changes);
        assert!(!overlay.knows(1, 2, documents));
        overlay.note(1, 2, documents);
        assert!(overlay.knows(1, 2, documents));
        assert!(!overlay.knows(1, 2, [b"member", b"other"]) && !overlay.knows(2, 2, documents));
        overlay.put(Table::Members, Key::pair(1, 2), &[b"m"]);
        assert!(!overlay.knows(1, 2, documents), "the member changed");
        overlay.note(1, 2, documents);
        overlay.delete(Table::Users, Key::one(2));
        assert!(!overlay.knows(1, 2, documents), "the user changed");
    }

    #[test]
    fn notes_are_taken_back_with_the_changes_they_rest_on() {
        let base = MemoryStore::default();
        let mut changes = Changes::default();
        let documents: [&[u8]; 2] = [b"member", b"user"];
        Overlay::new(&base, &mut changes).note(1, 1, documents);
        changes.begin_record();
        Overlay::new(&base, &mut changes).note(1, 2, documents);
        changes.take_back_record();
        let known = |changes: &mut Changes, user| {
            Overlay::new(&MemoryStore::default(), changes).knows(1, user, documents)
        };
        assert!(known(&mut changes, 1) && !known(&mut changes, 2));
        changes.take_back();
        assert!(!known(&mut changes, 1));
        Overlay::new(&base, &mut changes).note(1, 3, documents);
        changes.committed();
        changes.take_back();
        assert!(known(&mut changes, 3), "what is committed stays noted");
    }
}

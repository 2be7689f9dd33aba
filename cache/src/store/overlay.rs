//! The write-back table: the changes of a batch's latest records, in front of its transaction.
//!
//! The last write wins, and what is written goes into the transaction in the order of its keys. The
//! changes of the record in work can be taken back, for when its outputs do not fit; those before it go
//! with the transaction.

use std::ops::RangeInclusive;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use mixcord_event::{Atom, Map};
use mixcord_state::{Key, Read, StoreError, Table, Tally, compose};

use super::Store;
use super::notes::{Notes, Subject};

/// Where a changed value lies.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// In the arena: offset and length.
    Put(usize, usize),
    Deleted,
}

impl Slot {
    fn value(self, arena: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Put(offset, len) => Some(&arena[offset..offset + len]),
            Self::Deleted => None,
        }
    }
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
        if self.entries.is_empty() {
            return;
        }
        self.entries.clear();
        self.by_key.clear();
        self.by_owner.clear();
        if self.by_key.capacity() > ENTRIES_KEPT {
            *self = Self::default();
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

/// The changes of a batch that are not in its transaction yet.
pub struct Changes {
    tables: [TableChanges; Table::COUNT],
    /// Values, one after the other; an overwritten one stays until all are moved.
    arena: Vec<u8>,
    /// Its length before the record in work.
    arena_before: usize,
    /// Bytes of changes that were moved into the transaction.
    spilled: usize,
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

/// Arena bytes kept from batch to batch.
const ARENA_KEPT: usize = 8 << 20;
/// Entries of a table for which room is kept: emptying it costs as much as the room it has.
const ENTRIES_KEPT: usize = 1024;

/// About what a changed key takes beside its value: its entry, its places in the two maps, and what
/// takes it back.
const ENTRY_BYTES: usize = 128;

impl Default for Changes {
    fn default() -> Self {
        Self {
            tables: std::array::from_fn(|_| TableChanges::default()),
            arena: Vec::new(),
            arena_before: 0,
            spilled: 0,
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

    /// About the bytes that were changed since the last commit: the values written, and every key put or
    /// deleted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let keys: usize = self.tables.iter().map(|table| table.entries.len()).sum();
        self.spilled + self.arena.len() + keys * ENTRY_BYTES
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
        self.spilled = 0;
        self.clear();
    }

    /// Begins anew in front of a store that holds all of it now, though not for good yet.
    pub fn spilled(&mut self) {
        self.spilled = self.bytes();
        self.clear();
    }

    /// Begins anew: all of it was committed.
    pub fn committed(&mut self) {
        self.notes.keep();
        self.spilled = 0;
        self.clear();
    }

    fn clear(&mut self) {
        self.tables.iter_mut().for_each(TableChanges::clear);
        self.undo.clear();
        self.undo.shrink_to(ENTRIES_KEPT);
        self.order.clear();
        self.order.shrink_to(ENTRIES_KEPT);
        (self.notes_before, self.arena_before) = (self.notes.fresh(), 0);
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
        slot.value(&self.arena)
    }

    fn set(&mut self, table: Table, key: Key, slot: Slot) {
        if let Some(subject) = Subject::of(table, key) {
            self.notes.forget(subject);
            let value = slot.value(&self.arena);
            if let Some(document) = value.and_then(|value| document(table, value)) {
                self.notes.add(subject, document, &[]);
            }
        }
        let (place, before) = self.tables[table.index()].set(key, slot);
        self.undo.push((table, place, before));
    }
}

/// What is merged over in a value of a table.
fn document(table: Table, value: &[u8]) -> Option<Map<'_>> {
    let document = match table {
        Table::Users => Tally::from_bytes(value)?.document,
        _ => value,
    };
    compose::stored(document).as_map()
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

    fn knows(&self, subject: Subject, document: Map<'_>, except: &[Atom]) -> bool {
        self.changes.notes.has(subject, document, except)
    }

    fn note(&mut self, subject: Subject, document: Map<'_>, except: &[Atom]) {
        self.changes.notes.add(subject, document, except);
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::{Writer, atoms};

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

    const MEMBER: Subject = Subject::Member { guild: 1, user: 2 };
    const USER: Subject = Subject::User(2);

    /// The bytes of a small document.
    fn named(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut map = Writer::new(&mut bytes).map();
        map.entry(atoms::NAME, name);
        map.end();
        bytes
    }

    fn knows(changes: &mut Changes, subject: Subject, name: &str) -> bool {
        let base = MemoryStore::default();
        Overlay::new(&base, changes).knows(subject, compose::stored_map(&named(name)), &[])
    }

    fn note(changes: &mut Changes, subject: Subject, name: &str) {
        let base = MemoryStore::default();
        Overlay::new(&base, changes).note(subject, compose::stored_map(&named(name)), &[]);
    }

    fn put(changes: &mut Changes, name: &str) {
        let base = MemoryStore::default();
        let mut overlay = Overlay::new(&base, changes);
        overlay.put(Table::Members, Key::pair(1, 2), &[&named(name)]);
        overlay.put(Table::Users, Key::one(2), &[&1_u32.to_le_bytes(), &named(name)]);
    }

    #[test]
    fn what_is_put_is_known_until_it_changes() {
        let mut changes = Changes::default();
        put(&mut changes, "a");
        for subject in [MEMBER, USER] {
            assert!(knows(&mut changes, subject, "a") && !knows(&mut changes, subject, "b"));
            note(&mut changes, subject, "b");
            assert!(knows(&mut changes, subject, "a") && knows(&mut changes, subject, "b"));
        }
        let base = MemoryStore::default();
        Overlay::new(&base, &mut changes).delete(Table::Members, Key::pair(1, 2));
        assert!(!knows(&mut changes, MEMBER, "a") && !knows(&mut changes, MEMBER, "b"));
        assert!(knows(&mut changes, USER, "a") && knows(&mut changes, USER, "b"));
        put(&mut changes, "c");
        for subject in [MEMBER, USER] {
            let known = ["a", "b", "c"].map(|name| knows(&mut changes, subject, name));
            assert_eq!(known, [false, false, true], "{subject:?}");
        }
    }

    #[test]
    fn notes_are_taken_back_with_the_changes_they_rest_on() {
        let mut changes = Changes::default();
        put(&mut changes, "a");
        changes.begin_record();
        put(&mut changes, "b");
        note(&mut changes, MEMBER, "c");
        changes.take_back_record();
        for name in ["b", "c"] {
            assert!(!knows(&mut changes, MEMBER, name) && !knows(&mut changes, USER, name));
        }
        changes.begin_record();
        note(&mut changes, MEMBER, "a");
        changes.begin_record();
        note(&mut changes, MEMBER, "d");
        changes.take_back_record();
        assert!(knows(&mut changes, MEMBER, "a") && !knows(&mut changes, MEMBER, "d"));
        changes.take_back();
        assert!(!knows(&mut changes, MEMBER, "a"));
        put(&mut changes, "e");
        changes.committed();
        changes.take_back();
        assert!(knows(&mut changes, MEMBER, "e"), "what is committed stays noted");
    }
}

//! A store whose changes of members and users are noted, so that the same ones that come again need not be
//! looked up.

use std::borrow::Cow;

use mixcord_event::{Atom, Map};
use mixcord_state::{Key, Range, Read, StoreError, Table, Tally, compose};

use super::Store;
use super::notes::{Notes, Subject};

/// A store, and what is noted of it.
pub struct Noted<'a> {
    store: &'a mut dyn Store,
    notes: &'a mut Notes,
}

impl std::fmt::Debug for Noted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noted").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl<'a> Noted<'a> {
    /// `notes` are of this store, and of all that was changed in it.
    pub fn new(store: &'a mut dyn Store, notes: &'a mut Notes) -> Self {
        Self { store, notes }
    }
}

impl Read for Noted<'_> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.store.get(key)
    }

    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.store.append(key, into)
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.store.keys(range, visit)
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.store.scan(range, visit)
    }
}

impl Store for Noted<'_> {
    fn put(&mut self, key: Key, parts: &[&[u8]]) {
        if let Some(subject) = Subject::of(key) {
            self.notes.forget(subject);
            let value = match parts {
                [value] => Cow::Borrowed(*value),
                parts => Cow::Owned(parts.concat()),
            };
            if let Some(document) = document(key.table(), &value) {
                self.notes.add(subject, document, &[]);
            }
        }
        self.store.put(key, parts);
    }

    fn delete(&mut self, key: Key) {
        if let Some(subject) = Subject::of(key) {
            self.notes.forget(subject);
        }
        self.store.delete(key);
    }

    fn changed_bytes(&self) -> usize {
        self.store.changed_bytes()
    }

    fn key_bytes(&self) -> usize {
        self.store.key_bytes()
    }

    fn composes_voice_states(&self) -> bool {
        self.store.composes_voice_states()
    }

    fn has_channels_whole(&self) -> bool {
        self.store.has_channels_whole()
    }

    fn knows(&self, subject: Subject, document: Map<'_>, except: &[Atom]) -> bool {
        self.notes.has(subject, document, except)
    }

    fn note(&mut self, subject: Subject, document: Map<'_>, except: &[Atom]) {
        self.notes.add(subject, document, except);
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

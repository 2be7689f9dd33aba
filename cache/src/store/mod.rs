//! Where the annotator keeps its state.

mod disk;
mod memory;
mod notes;
mod overlay;
mod place;

pub use disk::{DiskError, DiskStore, Fate};
pub use memory::MemoryStore;
pub use notes::Subject;
pub use overlay::{Changes, Overlay};
pub use place::announce;

use mixcord_event::{Atom, Map};
use mixcord_state::{Key, Read, StoreError, Table, WriteTxn};

use crate::kill;

/// Tables that can be read and changed.
pub trait Store: Read {
    /// Stores the concatenation of `parts` under `key`.
    fn put(&mut self, table: Table, key: Key, parts: &[&[u8]]);

    /// Removes what stands under `key`, if anything does.
    fn delete(&mut self, table: Table, key: Key);

    /// Removes all of `table` in `range`.
    fn delete_range(
        &mut self,
        table: Table,
        range: std::ops::RangeInclusive<Key>,
    ) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        self.scan(table, range, &mut |key, _| {
            keys.push(key);
            true
        })?;
        keys.into_iter().for_each(|key| self.delete(table, key));
        Ok(())
    }

    /// About the bytes of memory that changes take until they are committed.
    fn changed_bytes(&self) -> usize {
        0
    }

    /// Whether it was noted that merging `document`, without the members under `except`, over what is
    /// stored about `subject` changes nothing. A store may forget any note, and forgets all about a
    /// subject that changes.
    fn knows(&self, _subject: Subject, _document: Map<'_>, _except: &[Atom]) -> bool {
        false
    }

    /// Notes that. What is put in needs no note: a store may know it already.
    fn note(&mut self, _subject: Subject, _document: Map<'_>, _except: &[Atom]) {}
}

/// Tables that are changed where they are, and whole: a transaction of the store, or memory.
pub trait Tables: Read {
    /// Stores `value` under `key`.
    fn set(&mut self, table: Table, key: Key, value: &[u8]) -> Result<(), StoreError>;

    /// Removes what stands under `key`, if anything does.
    fn remove(&mut self, table: Table, key: Key) -> Result<(), StoreError>;

    /// Removes everything from a table.
    fn clear(&mut self, table: Table) -> Result<(), StoreError>;
}

impl Tables for WriteTxn<'_> {
    fn set(&mut self, table: Table, key: Key, value: &[u8]) -> Result<(), StoreError> {
        self.put(table, key, value)?;
        kill::point();
        Ok(())
    }

    fn remove(&mut self, table: Table, key: Key) -> Result<(), StoreError> {
        self.delete(table, key)?;
        kill::point();
        Ok(())
    }

    fn clear(&mut self, table: Table) -> Result<(), StoreError> {
        Self::clear(self, table)?;
        kill::point();
        Ok(())
    }
}

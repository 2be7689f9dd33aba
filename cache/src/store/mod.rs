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
use mixcord_state::{Key, Read, StoreError, Table};

/// Tables that can be read and changed.
pub trait Store: Read {
    /// Stores the concatenation of `parts` under `key`.
    fn put(&mut self, table: Table, key: Key, parts: &[&[u8]]);

    /// Removes what stands under `key`, if anything does.
    fn delete(&mut self, table: Table, key: Key);

    /// Removes all of `table` in `range`; says how many entries went.
    fn delete_range(
        &mut self,
        table: Table,
        range: std::ops::RangeInclusive<Key>,
    ) -> Result<usize, StoreError> {
        let mut keys = Vec::new();
        self.scan(table, range, &mut |key, _| {
            keys.push(key);
            true
        })?;
        for &key in &keys {
            self.delete(table, key);
        }
        Ok(keys.len())
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

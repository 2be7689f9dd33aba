//! Where the annotator keeps its state.

mod disk;
mod memory;
mod notes;
mod overlay;
mod place;

pub use disk::{DiskError, DiskStore, Fate};
pub use memory::MemoryStore;
pub use overlay::{Changes, Overlay};
pub use place::announce;

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

    /// About the bytes of memory that changes take until they are committed.
    fn changed_bytes(&self) -> usize {
        0
    }

    /// Whether it was noted that merging `documents` over the member and the user under these ids
    /// changes neither. A store may forget any note, and forgets it once one of the two changes.
    fn knows(&self, _guild: u64, _user: u64, _documents: [&[u8]; 2]) -> bool {
        false
    }

    /// Notes that.
    fn note(&mut self, _guild: u64, _user: u64, _documents: [&[u8]; 2]) {}
}

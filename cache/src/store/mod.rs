//! Where the annotator keeps its state.

mod disk;
mod memory;
mod overlay;
mod place;

pub use disk::{DiskError, DiskStore, Fate};
pub use memory::MemoryStore;
pub use overlay::{Changes, Overlay};
pub use place::announce;

use mixcord_state::{Key, Read, StoreError, Table};

/// Tables that can be read and changed.
pub trait Store: Read {
    /// Stores `value` under `key`.
    fn put(&mut self, table: Table, key: Key, value: &[u8]);

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
}

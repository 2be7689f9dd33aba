//! Reading tables, wherever they are.

use std::ops::RangeInclusive;

use crate::{Key, StoreError, Table};

/// Tables that can be read: a transaction of the store, changes in front of one, or a model.
pub trait Read {
    /// The value under `key`.
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError>;

    /// Shows the entries of `range` in the order of their keys, until `visit` says false.
    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError>;
}

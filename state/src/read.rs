//! Reading tables, wherever they are.

use std::ops::RangeInclusive;

use crate::{Key, Table};

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

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No free page is left in the space allocated to it.
    #[error("the store is full")]
    Full,
    /// An entry is not what this version writes.
    #[error("the store's table {} holds a damaged entry {key:?}; remove the state directory", .table.name())]
    Damaged {
        /// The table.
        table: Table,
        /// The entry's key.
        key: Key,
    },
    /// LMDB failed.
    #[error("the store failed: {0}")]
    Lmdb(heed::Error),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => Self::Full,
            other => Self::Lmdb(other),
        }
    }
}

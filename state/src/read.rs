//! Reading tables, wherever they are.

use crate::{Key, Range, StoreError};

/// Tables that can be read: the store's, changes in front of them, or a model.
pub trait Read {
    /// The value under `key`.
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError>;

    /// Copies the value under `key` to the end of `into`; false where there is none.
    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        let value = self.get(key)?;
        into.extend_from_slice(value.unwrap_or_default());
        Ok(value.is_some())
    }

    /// Shows the keys of `range`, in order, until `visit` says false.
    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError>;

    /// The same with what stands under them.
    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError>;
}

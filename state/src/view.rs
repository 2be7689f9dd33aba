//! Reading the store's table: each value is copied out once, and lives as long as the answer that is made
//! of it.

use std::fmt;

use mixcord_table::{Key as TableKey, Reader, TableId, Writer};

use crate::{Key, Range, Read, StoreError};

/// Where values are copied to.
///
/// It only grows until it is cleared: one record, one query, one entity of a page.
#[derive(Default)]
pub struct Arena(bumpalo::Bump);

impl Arena {
    /// Gives all its values up, and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// A table's values, as its writer or a reader gets them.
pub trait Values {
    /// Copies the value under a key into the arena.
    fn copy<'a>(
        &self,
        table: TableId,
        key: TableKey,
        arena: &'a Arena,
    ) -> Result<Option<&'a [u8]>, StoreError>;

    /// Copies it to the end of `into`; false where there is none.
    fn append(&self, table: TableId, key: TableKey, into: &mut Vec<u8>)
    -> Result<bool, StoreError>;

    /// A page of an owner's ids; where the next begins.
    fn ids(
        &self,
        table: TableId,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError>;

    /// A page of the owners.
    fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError>;
}

impl Values for Writer {
    fn copy<'a>(
        &self,
        table: TableId,
        key: TableKey,
        arena: &'a Arena,
    ) -> Result<Option<&'a [u8]>, StoreError> {
        Ok(self.get_in(table, key, &arena.0)?)
    }

    fn append(
        &self,
        table: TableId,
        key: TableKey,
        into: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        Ok(self.get(table, key, into)?)
    }

    fn ids(
        &self,
        table: TableId,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(Self::ids(self, table, owner, from, into)?)
    }

    fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(Self::owners(self, table, from, into)?)
    }
}

impl Values for Reader {
    fn copy<'a>(
        &self,
        table: TableId,
        key: TableKey,
        arena: &'a Arena,
    ) -> Result<Option<&'a [u8]>, StoreError> {
        let mut value = Vec::new();
        let found = self.get(table, key, &mut value)?;
        Ok(found.then(|| &*arena.0.alloc_slice_copy(&value)))
    }

    fn append(
        &self,
        table: TableId,
        key: TableKey,
        into: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        Ok(self.get(table, key, into)?)
    }

    fn ids(
        &self,
        table: TableId,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(Self::ids(self, table, owner, from, into)?)
    }

    fn owners(
        &self,
        table: TableId,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(Self::owners(self, table, from, into)?)
    }
}

/// The store's tables, as a reader sees them. What is got is whole, and of the last batch or a later one; two values need not be
/// of the same.
#[derive(Debug)]
pub struct View<'a, V> {
    values: &'a V,
    arena: &'a Arena,
}

impl<'a, V: Values> View<'a, V> {
    /// What `values` hold, copied into `arena`.
    pub const fn new(values: &'a V, arena: &'a Arena) -> Self {
        Self { values, arena }
    }
}

/// Calls `visit` with the ids from `first` to `last` that `page` gives; says whether it wanted all.
fn each(
    first: u64,
    last: u64,
    mut page: impl FnMut(u64, &mut Vec<u64>) -> Result<Option<u64>, StoreError>,
    mut visit: impl FnMut(u64) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let mut ids = Vec::new();
    let mut from = Some(first);
    while let Some(begin) = from.filter(|from| *from <= last) {
        ids.clear();
        from = page(begin, &mut ids)?;
        for &id in ids.iter().take_while(|id| **id <= last) {
            if !visit(id)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

impl<V: Values> View<'_, V> {
    /// Shows keys until `visit` says false.
    fn walk(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let (Range { first, last }, table) = (range, range.table());
        let (id, values) = (table.id(), self.values);
        let mut of_owner = |owner| {
            if !table.is_of_pairs() {
                return visit(Key::new(table, owner, 0));
            }
            let from = if owner == first.owner() { first.id() } else { 0 };
            let to = if owner == last.owner() { last.id() } else { u64::MAX };
            let page = |from, into: &mut Vec<u64>| values.ids(id, owner, from, into);
            each(from, to, page, |id| visit(Key::new(table, owner, id)))
        };
        if let Some(owner) = range.owner().filter(|_| table.is_of_pairs()) {
            return of_owner(owner).map(drop);
        }
        let page = |from, into: &mut Vec<u64>| values.owners(id, from, into);
        each(first.owner(), last.owner(), page, of_owner).map(drop)
    }
}

impl<V: Values> Read for View<'_, V> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.values.copy(key.table().id(), TableKey::new(key.owner(), key.id()), self.arena)
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.walk(range, &mut |key| Ok(visit(key)))
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut value = Vec::new();
        self.walk(range, &mut |key| {
            value.clear();
            let at = TableKey::new(key.owner(), key.id());
            // What went since its id was read is no entry.
            let found = self.values.append(key.table().id(), at, &mut value)?;
            Ok(!found || visit(key, &value))
        })
    }
}

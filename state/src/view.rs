//! Reading the store's table: each value is copied out once, and lives as long as the answer that is made
//! of it.

use std::cell::RefCell;
use std::fmt;

use crate::{Key, Range, Read, StoreError, Table};

/// Where values are copied to.
///
/// It only grows until it is cleared: one record, one query, one entity of a page.
#[derive(Default)]
pub struct Arena {
    values: bumpalo::Bump,
    /// A value of which it is not known yet how long it is; kept for its memory.
    pub(crate) read: RefCell<Vec<u8>>,
}

impl Arena {
    /// Gives all its values up, and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.values.reset();
    }

    /// Bytes of memory that it has for them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.values.allocated_bytes() + self.read.borrow().capacity()
    }

    pub(crate) const fn memory(&self) -> &bumpalo::Bump {
        &self.values
    }

    /// Room for a value.
    #[allow(clippy::mut_from_ref, reason = "each call gives other memory")]
    pub(crate) fn space(&self, len: usize) -> &mut [u8] {
        self.values.alloc_slice_fill_copy(len, 0)
    }

    pub(crate) fn copy(&self, value: &[u8]) -> &[u8] {
        self.values.alloc_slice_copy(value)
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// A store's values, as its writer or a reader gets them: as they were put, whatever form they lie in.
pub trait Values {
    /// The value under a key, copied into the arena.
    fn copy<'a>(&self, key: Key, arena: &'a Arena) -> Result<Option<&'a [u8]>, StoreError>;

    /// Copies it to the end of `into`; false where there is none. What is in `into` behind an error is of no use.
    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError>;

    /// A page of an owner's ids; where the next begins.
    fn ids(
        &self,
        table: Table,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError>;

    /// A page of the owners.
    fn owners(
        &self,
        table: Table,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError>;
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
        let values = self.values;
        let mut of_owner = |owner| {
            if !table.is_of_pairs() {
                return visit(Key::new(table, owner, 0));
            }
            let from = if owner == first.owner() { first.id() } else { 0 };
            let to = if owner == last.owner() { last.id() } else { u64::MAX };
            let page = |from, into: &mut Vec<u64>| values.ids(table, owner, from, into);
            each(from, to, page, |id| visit(Key::new(table, owner, id)))
        };
        if let Some(owner) = range.owner().filter(|_| table.is_of_pairs()) {
            return of_owner(owner).map(drop);
        }
        let page = |from, into: &mut Vec<u64>| values.owners(table, from, into);
        each(first.owner(), last.owner(), page, of_owner).map(drop)
    }
}

impl<V: Values> Read for View<'_, V> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.values.copy(key, self.arena)
    }

    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.values.append(key, into)
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
            // What went since its id was read is no entry.
            let found = self.values.append(key, &mut value)?;
            Ok(!found || visit(key, &value))
        })
    }
}

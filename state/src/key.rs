//! What a value of the store is found by.

use std::fmt;

use crate::Table;

/// A key: its table, and one id, or an owner's id and the id of what it owns.
///
/// Only a table makes one ([`Singles::at`](crate::Singles::at), [`Pairs::at`](crate::Pairs::at)), so it has
/// as many ids as the table's keys have. Ordered by table, owner and id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    table: Table,
    owner: u64,
    id: u64,
}

impl Key {
    pub(crate) const fn new(table: Table, owner: u64, id: u64) -> Self {
        Self { table, owner, id }
    }

    /// Its table.
    #[must_use]
    pub const fn table(self) -> Table {
        self.table
    }

    /// The owner's id; the only id of a key with one.
    #[must_use]
    pub const fn owner(self) -> u64 {
        self.owner
    }

    /// The second id; 0 in a key with one.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.id
    }

    /// The next key there could be in its table.
    pub(crate) const fn following(self) -> Option<Self> {
        let Self { table, owner, id } = self;
        match (table.is_of_pairs(), id.checked_add(1), owner.checked_add(1)) {
            (true, Some(id), _) => Some(Self { table, owner, id }),
            (_, _, Some(owner)) => Some(Self { table, owner, id: 0 }),
            _ => None,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, owner, id } = self;
        match table.is_of_pairs() {
            true => write!(f, "{} {owner}/{id}", table.name()),
            false => write!(f, "{} {owner}", table.name()),
        }
    }
}

/// Keys of one table that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub(crate) first: Key,
    pub(crate) last: Key,
}

impl Range {
    /// Whether a key is one of them.
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.first <= key && key <= self.last
    }

    /// Its table.
    #[must_use]
    pub const fn table(&self) -> Table {
        self.first.table
    }

    /// Those of them of the owners behind a key's, if there could be any.
    #[must_use]
    pub fn behind_owner(&self, key: Key) -> Option<Self> {
        self.behind(Key { id: u64::MAX, ..key })
    }

    /// Those of them behind a key, if there could be any.
    #[must_use]
    pub fn behind(&self, key: Key) -> Option<Self> {
        let first = key.following()?.max(self.first);
        (first <= self.last).then_some(Self { first, last: self.last })
    }

    /// The first key there could be.
    #[must_use]
    pub const fn first(&self) -> Key {
        self.first
    }

    /// The last key there could be.
    #[must_use]
    pub const fn last(&self) -> Key {
        self.last
    }

    /// The owner, where all of them have the same.
    #[must_use]
    pub const fn owner(&self) -> Option<u64> {
        if self.first.owner == self.last.owner { Some(self.first.owner) } else { None }
    }
}

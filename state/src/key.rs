//! Keys of the store.

use std::fmt;
use std::ops::RangeInclusive;

use crate::Table;

/// A key: one id, or an owner's id and the id of what it owns.
///
/// Ordered as its bytes are in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u128);

impl Key {
    /// The key of something with an id of its own.
    #[must_use]
    pub const fn one(id: u64) -> Self {
        Self((id as u128) << 64)
    }

    /// The key of what `owner` owns under `id`.
    #[must_use]
    pub const fn pair(owner: u64, id: u64) -> Self {
        Self(((owner as u128) << 64) | id as u128)
    }

    /// Every key of `owner`.
    #[must_use]
    pub const fn all_of(owner: u64) -> RangeInclusive<Self> {
        Self::pair(owner, 0)..=Self::pair(owner, u64::MAX)
    }

    /// Every key.
    #[must_use]
    pub const fn all() -> RangeInclusive<Self> {
        Self(0)..=Self(u128::MAX)
    }

    /// The owner's id; the only id of a key with one.
    #[must_use]
    pub const fn owner(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The second id.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.0 as u64
    }

    /// The next key there could be.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The next key there could be in a table, if there could be one.
    #[must_use]
    pub(crate) fn following(self, table: Table) -> Option<Self> {
        let step = if table.is_wide() { 1 } else { 1 << 64 };
        self.0.checked_add(step).map(Self)
    }

    /// The key before, if there could be one.
    #[must_use]
    pub const fn before(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(key) => Some(Self(key)),
            None => None,
        }
    }

    /// Its bytes; a table of single ids uses the first eight.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads what [`Key::to_bytes`] wrote, of either width.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            8 => Some(Self::one(u64::from_be_bytes(bytes.try_into().ok()?))),
            16 => Some(Self(u128::from_be_bytes(bytes.try_into().ok()?))),
            _ => None,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner(), self.id())
    }
}

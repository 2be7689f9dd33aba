//! Documented keys as 16-bit numbers.

use std::fmt;

use crate::names::{Slot, Table};

include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// How many keys the table holds.
pub(crate) const ATOMS: usize = COUNT;

const TABLE: Table<{ 1 << BITS }> =
    Table { slots: &SLOTS, displacements: &DISPLACEMENTS, seed: SEED, names: &NAMES };

/// A key of the table in `keys.txt`.
///
/// Its number is its place there and stands in stored documents, so the list only grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(u16);

impl Atom {
    /// The atom of a documented key; `None` for any other text.
    #[inline]
    pub fn lookup(name: &[u8]) -> Option<Self> {
        Self::lookup_in(name, name.len()).map(|slot| Self(slot.index))
    }

    /// Looks up the first `len` bytes of `bytes`, which are no fewer.
    #[inline(always)]
    pub(crate) fn lookup_in(bytes: &[u8], len: usize) -> Option<&'static Slot> {
        TABLE.find(bytes, len)
    }

    /// The name and the mark of the key with this number, which is one of the table's.
    pub(crate) const fn listed(number: usize) -> (&'static str, Ids) {
        (NAMES[number], IDS[number])
    }

    /// The atom with this number, if the table has it.
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        (usize::from(number) < COUNT).then_some(Self(number))
    }

    /// Its number: its place in `keys.txt`.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The key as Discord spells it.
    #[inline]
    pub fn as_str(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// Whether a scalar under this key (or in a list under it) is a snowflake.
    #[inline]
    pub fn is_snowflake(self) -> bool {
        IDS[usize::from(self.0)] == Ids::Value
    }

    /// Every key of the table, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u16).map(Self)
    }
}

/// Which values around a key are snowflakes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Ids {
    /// None.
    None,
    /// This one, if it is a scalar.
    Element,
    /// This one, or the scalars of the list that it is.
    Value,
    /// The members of the map that it is, under keys outside the table.
    Members,
    /// None, and the member `id` of the map that it is, or of those in its list, is a number.
    Plain,
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Documented keys as 16-bit numbers.

use std::fmt;

use crate::{
    format::RawKey,
    names::{Slot, Table},
};

include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// How many keys have a number in documents.
pub(crate) const ATOMS: usize = FROZEN;
/// How many keys there are, those included that travel by name.
pub(crate) const ATOMS_ALL: usize = NAMES.len();

const TABLE: Table<{ 1 << BITS }> =
    Table { slots: &SLOTS, displacements: &DISPLACEMENTS, seed: SEED, names: &NAMES };

/// A key of the table in `keys.txt`.
///
/// Within a layout of records every reader knows the same numbers. A key that Discord added since
/// ([`Atom::is_later`]) stands in documents by its name, which makes no difference to who reads them
/// here: it is got, compared, edited and printed like any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(u16);

impl Atom {
    /// The atom of a documented key; `None` for any other text.
    #[inline]
    pub fn lookup(name: &[u8]) -> Option<Self> {
        match Self::lookup_in(name, name.len()) {
            Some(slot) => Some(Self(slot.index)),
            None => Self::later(name),
        }
    }

    /// The atom of a key that travels by its name.
    #[inline(never)]
    pub(crate) fn later(name: &[u8]) -> Option<Self> {
        let place = NAMES[FROZEN..].iter().position(|later| later.as_bytes() == name)?;
        Some(Self((FROZEN + place) as u16))
    }

    /// Looks up the first `len` bytes of `bytes`, which are no fewer, among the keys with a number.
    #[inline(always)]
    pub(crate) fn lookup_in(bytes: &[u8], len: usize) -> Option<&'static Slot> {
        TABLE.find(bytes, len)
    }

    /// The name and the mark of the key with this number in documents, which is one of the table's.
    pub(crate) const fn listed(number: usize) -> (&'static str, Ids) {
        (NAMES[number], IDS[number])
    }

    /// The atom with this number in documents, if there is one.
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        (usize::from(number) < FROZEN).then_some(Self(number))
    }

    /// Whether it came after the layout of records: it has no number there, and travels by its name.
    #[inline]
    pub const fn is_later(self) -> bool {
        self.0 as usize >= FROZEN
    }

    /// The key as it stands in a map.
    #[inline]
    pub(crate) fn raw(self) -> RawKey<'static> {
        if self.is_later() {
            return RawKey::Text(self.as_str().as_bytes());
        }
        RawKey::Atom(self.0)
    }

    /// Which values around it are snowflakes.
    pub(crate) fn ids(self) -> Ids {
        IDS[usize::from(self.0)]
    }

    /// Its place in `keys.txt`, which is its number in documents unless it [is later](Self::is_later).
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
        self.ids() == Ids::Value
    }

    /// Every key of the table, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ATOMS_ALL as u16).map(Self)
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

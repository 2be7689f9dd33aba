//! Documented keys as 16-bit numbers.

use std::fmt;

use crate::keyhash;

include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// How many keys the table holds.
pub(crate) const ATOMS: usize = COUNT;

/// A key of the table in `keys.txt`.
///
/// Its number is its place there and stands in stored documents, so the list only grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(u16);

impl Atom {
    /// The atom of a documented key; `None` for any other text.
    #[inline]
    pub fn lookup(name: &[u8]) -> Option<Self> {
        let (first, last) = keyhash::ends(name);
        let hash = keyhash::mix(first, last, name.len());
        let displacement = DISPLACEMENTS[keyhash::bucket(hash)];
        let index = usize::from(SLOTS[keyhash::slot(hash, displacement, BITS)]);
        let candidate = NAMES.get(index)?;
        if candidate.len() != name.len() || ENDS[index] != (first, last) {
            return None;
        }
        if name.len() > 16 && candidate.as_bytes() != name {
            return None;
        }
        Some(Self(index as u16))
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
        FLAGS[usize::from(self.0)] == 1
    }

    /// What `keys.txt` says behind the key: 0 nothing, 1 `id`, 2 `owners`.
    #[inline]
    pub(crate) fn flag(self) -> u8 {
        FLAGS[usize::from(self.0)]
    }

    /// Every key of the table, in its order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u16).map(Self)
    }
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

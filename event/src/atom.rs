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
        Self::lookup_in(name, name.len()).map(|slot| Self(slot.index))
    }

    /// Looks up the first `len` bytes of `bytes`, which are no fewer.
    #[inline(always)]
    pub(crate) fn lookup_in(bytes: &[u8], len: usize) -> Option<&'static Slot> {
        let words = keyhash::words(bytes, len)?;
        let hash = keyhash::mix(words, len, SEED);
        let displacement = DISPLACEMENTS[keyhash::bucket(hash)];
        let slot = &SLOTS[keyhash::slot(hash, displacement, BITS)];
        let differences =
            slot.low ^ words.0 | slot.high ^ words.1 | u64::from(slot.len) ^ len as u64;
        if differences != 0 {
            return None;
        }
        if len > 16 && keyhash::middle(bytes, len)? != slot.middle {
            return None;
        }
        if len > 32 && !slot.names(bytes) {
            return None;
        }
        Some(slot)
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

/// A place in the hash table of the keys or of the kinds.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The words of the name.
    pub(crate) low: u64,
    pub(crate) high: u64,
    /// What lies between them in a name of 17 to 32 bytes.
    pub(crate) middle: (u64, u64),
    /// Its place in the list.
    pub(crate) index: u16,
    /// Its length; 255, which none has, where the table is empty.
    pub(crate) len: u8,
    /// What `keys.txt` says behind the name.
    pub(crate) ids: Ids,
}

impl Slot {
    pub(crate) const EMPTY: Self =
        Self { low: 0, high: 0, middle: (0, 0), index: 0, len: u8::MAX, ids: Ids::None };

    /// Whether the key here is what `bytes` begin with.
    #[cold]
    fn names(&self, bytes: &[u8]) -> bool {
        let name = NAMES[usize::from(self.index)].as_bytes();
        bytes.starts_with(name)
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

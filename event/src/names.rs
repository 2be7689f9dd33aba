//! A table of names that `build.rs` made: a perfect hash, and what the names' lists say of them.

use crate::{atom::Ids, keyhash};

/// A list of names, and the hash table over it.
pub(crate) struct Table<const SLOTS: usize> {
    pub(crate) slots: &'static [Slot; SLOTS],
    pub(crate) displacements: &'static [u16; 256],
    pub(crate) seed: u64,
    pub(crate) names: &'static [&'static str],
}

/// A place in the hash table.
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
    /// What the list says behind the name.
    pub(crate) ids: Ids,
}

impl Slot {
    pub(crate) const EMPTY: Self =
        Self { low: 0, high: 0, middle: (0, 0), index: 0, len: u8::MAX, ids: Ids::None };
}

impl<const SLOTS: usize> Table<SLOTS> {
    /// The slot of the name that the first `len` bytes of `bytes` are; these are no fewer.
    #[inline(always)]
    pub(crate) fn find(&self, bytes: &[u8], len: usize) -> Option<&'static Slot> {
        let words = keyhash::words(bytes, len)?;
        let hash = keyhash::mix(words, len, self.seed);
        let displacement = self.displacements[keyhash::bucket(hash)];
        let slot = &self.slots[keyhash::slot(hash, displacement, SLOTS)];
        let differences =
            slot.low ^ words.0 | slot.high ^ words.1 | u64::from(slot.len) ^ len as u64;
        if differences != 0 {
            return None;
        }
        if len > 16 && keyhash::middle(bytes, len)? != slot.middle {
            return None;
        }
        if len > 32 && !self.is(slot, bytes) {
            return None;
        }
        Some(slot)
    }

    /// Whether the slot's name is what `bytes` begin with.
    #[cold]
    fn is(&self, slot: &Slot, bytes: &[u8]) -> bool {
        bytes.starts_with(self.names[usize::from(slot.index)].as_bytes())
    }
}

//! What a value is found by: its table, and one or two ids.

use std::fmt;

/// The number of a table; what the tables mean is their user's business.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableId(u16);

impl TableId {
    /// Numbers of tables are below this, for either width of keys.
    pub const LIMIT: u16 = 0x0800;
    const PAIRS: u16 = 0x0800;

    /// The table of single ids with a number, if a table may have it.
    #[must_use]
    pub const fn of_ids(number: u16) -> Option<Self> {
        if number < Self::LIMIT { Some(Self(number)) } else { None }
    }

    /// The table of pairs of ids with a number, if a table may have it.
    #[must_use]
    pub const fn of_pairs(number: u16) -> Option<Self> {
        if number < Self::LIMIT { Some(Self(number | Self::PAIRS)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 % Self::LIMIT
    }

    /// Whether its keys are pairs.
    #[must_use]
    pub const fn is_of_pairs(self) -> bool {
        self.0 & Self::PAIRS != 0
    }

    /// One of the map's own tables, which hold the order of this one's keys.
    pub(crate) const fn list(self, part: Part) -> Self {
        Self(self.0 | part as u16)
    }

    /// Whether it holds the order of another.
    pub(crate) const fn is_list(self) -> bool {
        self.0 >= Part::IdHead as u16
    }

    pub(crate) const fn raw(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_raw(number: u16) -> Self {
        Self(number)
    }
}

/// What of a table's order lies in a table of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(crate) enum Part {
    /// (owner, 0) → where each chunk of the owner's ids begins.
    IdHead = 0x1000,
    /// (owner, chunk) → ids.
    IdChunk = 0x2000,
    /// (0, 0) → where each chunk of the table's owners begins.
    OwnerHead = 0x3000,
    /// (0, chunk) → owners.
    OwnerChunk = 0x4000,
}

/// An owner's id, and the id of what it owns. A table whose keys are single ids has them as owners,
/// with 0 for the id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose; the only id of a table with single ids.
    pub owner: u64,
    /// Which of the owner's.
    pub id: u64,
}

impl Key {
    /// The key of what `owner` owns under `id`.
    #[must_use]
    pub const fn new(owner: u64, id: u64) -> Self {
        Self { owner, id }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.id)
    }
}

/// Spreads keys over the buckets. Part of the layout: every build must come to the same numbers.
///
/// The seeds are the table's own random numbers, so nobody outside can choose ids that meet in one
/// bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hash {
    pub(crate) seeds: [u64; 2],
}

impl Hash {
    #[inline]
    pub(crate) fn of(self, table: TableId, key: Key) -> u64 {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let table = u64::from(table.0).wrapping_mul(ODD);
        let first = fold(key.owner ^ self.seeds[0], key.id ^ self.seeds[1] ^ table);
        fold(first ^ table, ODD ^ self.seeds[0]) ^ key.id.rotate_left(32)
    }
}

/// Both halves of the product, mixed: each bit of either factor reaches all of it.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_part_of_the_layout() {
        let hash = Hash { seeds: [1, 2] };
        let table = |number| TableId::of_pairs(number).unwrap();
        assert_eq!(hash.of(table(3), Key::new(4, 5)), 4_732_456_144_464_916_720);
    }

    #[test]
    fn ids_that_follow_each_other_spread_evenly() {
        let hash = Hash { seeds: [0x1234_5678_9ABC_DEF1, 0x0FED_CBA9_8765_4321] };
        let table = TableId::of_pairs(11).unwrap();
        for step in [1, 1 << 22, 1 << 32] {
            let mut counts = [0u32; 1024];
            for i in 0..102_400u64 {
                counts[(hash.of(table, Key::new(7, i * step)) % 1024) as usize] += 1;
            }
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(*least > 50 && *most < 150, "{least}..{most} of 100, step {step}");
        }
    }

    #[test]
    fn a_table_is_neither_another_nor_a_list() {
        assert_eq!(
            (TableId::of_ids(TableId::LIMIT), TableId::of_pairs(TableId::LIMIT)),
            (None, None)
        );
        let tables = [TableId::of_ids(5).unwrap(), TableId::of_pairs(5).unwrap()];
        assert_ne!(tables[0], tables[1]);
        for table in tables {
            assert!(table.number() == 5 && !table.is_list());
            for part in [Part::IdHead, Part::IdChunk, Part::OwnerHead, Part::OwnerChunk] {
                assert!(table.list(part).is_list());
            }
        }
    }
}

//! Where everything lies in the file. README.md draws it; `tests/layout.rs` holds it.
//!
//! ```text
//! chunk 0          header: what never changes, then one word a line
//! then             directory: one word for each 64 KiB of buckets
//! then             redo ring: one line for each change
//! then             chunks of 64 KiB: buckets, or values of one size, or a run for one large value
//! ```

use crate::key::Hash;

#[cfg(not(target_endian = "little"))]
compile_error!("the layout is little-endian");

/// `mixctabl`.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"mixctabl");
/// Raised with every change of what is drawn in README.md.
pub const LAYOUT_VERSION: u64 = 3;

/// What a value's place is counted in, bytes; a line of the processors this runs on.
pub(crate) const UNIT: u64 = 64;
/// What space is taken in, bytes: the largest page there is.
pub(crate) const CHUNK: u64 = 64 << 10;
/// Units of a chunk.
pub(crate) const CHUNK_UNITS: u64 = CHUNK / UNIT;
/// Buckets of a chunk.
pub(crate) const CHUNK_BUCKETS: u64 = CHUNK / BUCKET;

/// Behind what never changes, [`Fixed::words`].
pub(crate) const AT_CHECKSUM: usize = 64;
/// Words before the checksum.
pub(crate) const FIXED_WORDS: usize = AT_CHECKSUM / 8;

// Words that change, each stored by the writer alone.
/// How many buckets there are: the split pointer of linear hashing.
pub(crate) const AT_BUCKETS: usize = 128;
/// The id of the table that is read in place of this one; 0 as long as this one is.
pub(crate) const AT_MOVED: usize = 136;
/// The last batch that counts. Its store is the commit.
pub(crate) const AT_COMMITTED: usize = 192;
/// The last batch whose slots are stored; `committed` or the one before.
pub(crate) const AT_APPLIED: usize = 256;
/// Numbers of values below this may have been used.
pub(crate) const AT_NUMBERS: usize = 320;
/// The two meta blocks; batch `b` has number `b % 2`.
pub(crate) const AT_META: [usize; 2] = [512, 576];
/// Where the totals of each table are told, values and bytes, and of how many tables.
pub(crate) const AT_TOTALS: usize = 4096;
pub(crate) const TOTALS_TABLES: usize = 64;
/// Words of a meta block: batch, first redo entry, behind the last, values, the two of the note,
/// checksum.
pub(crate) const META_WORDS: usize = 7;

/// Bytes of a bucket: 0, then three slots, then the place of its overflow bucket.
pub(crate) const BUCKET: u64 = 64;
pub(crate) const SLOTS: u64 = 3;
pub(crate) const AT_SLOTS: u64 = 8;
pub(crate) const SLOT: u64 = 16;
pub(crate) const AT_LINK: u64 = 56;
/// Overflow buckets in a row at most; reached only where somebody chose the keys, or in damage.
pub(crate) const CHAIN_MAX: usize = 64;

/// Bytes before a value's own: number, table and length, owner, id.
pub(crate) const VALUE_HEAD: u64 = 32;
/// Bytes of a value at most.
pub const VALUE_MAX: usize = 256 << 20;

/// Batches, redo entries, numbers: nobody lives to count further.
pub(crate) const COUNT_MAX: u64 = u64::MAX / 2;

/// Bytes of a redo entry.
pub(crate) const REDO: u64 = 64;

/// What never changes, and where the parts lie by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fixed {
    /// Random; another table has another.
    pub(crate) id: u64,
    pub(crate) hash: Hash,
    /// What its user writes into it.
    pub(crate) format: u64,
    /// A power of two.
    pub(crate) redo_entries: u64,
    pub(crate) directory_entries: u64,
}

impl Fixed {
    /// For a table of up to `bytes_max` bytes.
    pub(crate) fn sized(id: u64, seeds: [u64; 2], format: u64, bytes_max: u64) -> Self {
        let small = (bytes_max / REDO_SHARE_MAX).min(REDO_BYTES_ENOUGH);
        let redo_bytes = (bytes_max / REDO_SHARE).max(small);
        let redo_entries = (redo_bytes / REDO).next_power_of_two();
        Self {
            id,
            hash: Hash { seeds },
            format,
            redo_entries: redo_entries.clamp(REDO_ENTRIES_MIN, REDO_ENTRIES_MAX),
            // Buckets never take more than half.
            directory_entries: (bytes_max / CHUNK / 2).max(1).next_multiple_of(CHUNK / 8),
        }
    }

    pub(crate) fn words(&self) -> [u64; FIXED_WORDS] {
        let [first, second] = self.hash.seeds;
        let sizes = [self.redo_entries, self.directory_entries];
        [MAGIC, LAYOUT_VERSION, self.id, first, second, self.format, sizes[0], sizes[1]]
    }

    /// Reads what [`Fixed::words`] gave, before any of it is computed with.
    pub(crate) fn from_words(words: [u64; FIXED_WORDS]) -> Option<Self> {
        let [MAGIC, LAYOUT_VERSION, id, first, second, format, redo_entries, directory_entries] =
            words
        else {
            return None;
        };
        let redo_fits = (REDO_ENTRIES_MIN..=REDO_ENTRIES_MAX).contains(&redo_entries);
        let sound = id != 0
            && redo_fits
            && redo_entries.is_power_of_two()
            && directory_entries > 0
            && directory_entries <= DIRECTORY_ENTRIES_MAX;
        let hash = Hash { seeds: [first, second] };
        sound.then_some(Self { id, hash, format, redo_entries, directory_entries })
    }

    pub(crate) const fn directory(&self, index: u64) -> u64 {
        CHUNK + index * 8
    }

    pub(crate) const fn redo(&self, position: u64) -> u64 {
        self.directory_end() + (position % self.redo_entries) * REDO
    }

    const fn directory_end(&self) -> u64 {
        CHUNK + (self.directory_entries * 8).next_multiple_of(CHUNK)
    }

    /// Chunks before the first one that is given out.
    pub(crate) const fn first_chunk(&self) -> u64 {
        (self.directory_end() + self.redo_entries * REDO).div_ceil(CHUNK)
    }
}

/// The redo ring takes this part of the most the table may take;
const REDO_SHARE: u64 = 128;
/// of a small one more, for batches of some ten thousand changes,
const REDO_SHARE_MAX: u64 = 16;
/// bytes.
const REDO_BYTES_ENOUGH: u64 = 4 << 20;
const REDO_ENTRIES_MIN: u64 = if cfg!(loom) { 8 } else { 1 << 12 };
const REDO_ENTRIES_MAX: u64 = 1 << 20;
/// Of a table of 64 TiB.
const DIRECTORY_ENTRIES_MAX: u64 = 1 << 29;

/// Where a value lies and how long it is, in units: one word, so that it changes in one store. 0 is
/// no place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    pub(crate) const NONE: Self = Self(0);
    const UNITS_BITS: u32 = 24;

    pub(crate) const fn new(unit: u64, units: u64) -> Self {
        Self((unit << Self::UNITS_BITS) | units)
    }

    pub(crate) const fn unit(self) -> u64 {
        self.0 >> Self::UNITS_BITS
    }

    pub(crate) const fn units(self) -> u64 {
        self.0 & ((1 << Self::UNITS_BITS) - 1)
    }

    pub(crate) const fn offset(self) -> u64 {
        self.unit() * UNIT
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.units() * UNIT
    }

    /// Units that a value of `len` bytes takes, its head among them.
    pub(crate) const fn units_for(len: usize) -> u64 {
        (VALUE_HEAD + len as u64).div_ceil(UNIT)
    }
}

/// Which of `buckets` buckets a hash belongs to.
#[inline]
pub(crate) const fn bucket_of(hash: u64, buckets: u64) -> u64 {
    // `buckets` is never 0; the hash's low bits choose, and a bucket that is not there yet is still
    // in the one it will be split from.
    let above = (buckets - 1).checked_ilog2();
    let above = match above {
        Some(bits) => 2u64 << bits,
        None => 1,
    };
    let bucket = hash & (above - 1);
    if bucket >= buckets { bucket & (above / 2 - 1) } else { bucket }
}

/// The bucket from which bucket number `new`, the next one, is split.
pub(crate) const fn split_from(new: u64) -> u64 {
    new - (1 << new.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_moves_a_hash_only_to_the_new_bucket() {
        for buckets in 1..200u64 {
            for hash in 0..1000u64 {
                let (before, after) = (bucket_of(hash, buckets), bucket_of(hash, buckets + 1));
                assert!(before < buckets && after <= buckets);
                assert!(after == before || (after == buckets && before == split_from(buckets)));
            }
        }
    }

    #[test]
    fn a_place_is_one_word() {
        let place = Place::new((1 << 40) - 1, (1 << 24) - 1);
        assert_eq!((place.unit(), place.units()), ((1 << 40) - 1, (1 << 24) - 1));
        assert_eq!([0, 32, 33, 96].map(Place::units_for), [1, 1, 2, 2]);
        assert!(Place::units_for(VALUE_MAX) < 1 << 24);
    }
}

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
pub const LAYOUT_VERSION: u64 = 4;
/// Its places are counted in 64 bytes. Tables of it are read and written as they are.
const COARSE_VERSION: u64 = 3;

/// What a value's place is counted in, bytes; as long as a value's head, which so lies in one line.
pub(crate) const UNIT: u64 = 32;
/// A line of the processors this runs on, bytes.
pub(crate) const LINE: u64 = 64;
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
/// Units of an overflow bucket. Places of so many lie at its multiples.
pub(crate) const BUCKET_UNITS: u64 = BUCKET / UNIT;
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
/// What a value takes in memory is its bytes and these before it,
pub const VALUE_HEAD_BYTES: usize = VALUE_HEAD as usize;
/// in whole pieces of so many bytes.
pub const UNIT_BYTES: usize = UNIT as usize;

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
    /// How places are counted in it.
    pub(crate) grain: Grain,
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
            grain: Grain::FINE,
            format,
            redo_entries: redo_entries.clamp(REDO_ENTRIES_MIN, REDO_ENTRIES_MAX),
            // Buckets never take more than half.
            directory_entries: (bytes_max / CHUNK / 2).max(1).next_multiple_of(CHUNK / 8),
        }
    }

    pub(crate) fn words(&self) -> [u64; FIXED_WORDS] {
        let [first, second] = self.hash.seeds;
        let sizes = [self.redo_entries, self.directory_entries];
        let version = if self.grain == Grain::FINE { LAYOUT_VERSION } else { COARSE_VERSION };
        [MAGIC, version, self.id, first, second, self.format, sizes[0], sizes[1]]
    }

    /// Reads what [`Fixed::words`] gave, before any of it is computed with.
    pub(crate) fn from_words(words: [u64; FIXED_WORDS]) -> Option<Self> {
        let [MAGIC, version, id, first, second, format, redo_entries, directory_entries] = words
        else {
            return None;
        };
        let grain = match version {
            LAYOUT_VERSION => Grain::FINE,
            COARSE_VERSION => Grain::COARSE,
            _ => return None,
        };
        let redo_fits = (REDO_ENTRIES_MIN..=REDO_ENTRIES_MAX).contains(&redo_entries);
        let sound = id != 0
            && redo_fits
            && redo_entries.is_power_of_two()
            && directory_entries > 0
            && directory_entries <= DIRECTORY_ENTRIES_MAX;
        let hash = Hash { seeds: [first, second] };
        sound.then_some(Self { id, hash, grain, format, redo_entries, directory_entries })
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

    /// Where the lines begin that it lies in, the first `lines_max` of them.
    #[inline]
    pub(crate) fn lines(self, lines_max: u64) -> impl Iterator<Item = u64> {
        let first = self.offset() / LINE * LINE;
        let count = (self.offset() - first + self.bytes()).div_ceil(LINE);
        (0..count.min(lines_max)).map(move |line| first.wrapping_add(line * LINE))
    }

    /// Units that a value of `len` bytes takes, its head among them.
    pub(crate) const fn units_for(len: usize) -> u64 {
        (VALUE_HEAD + len as u64).div_ceil(UNIT)
    }
}

/// How a table counts the units of its places: their words in the file say so many bits less than [`Place`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Grain(u32);

impl Grain {
    pub(crate) const FINE: Self = Self(0);
    /// Units of 64 bytes.
    pub(crate) const COARSE: Self = Self(1);

    /// The place that a word of the file says.
    #[inline]
    pub(crate) const fn place(self, word: u64) -> Place {
        let place = Place(word);
        Place::new(place.unit() << self.0, place.units() << self.0)
    }

    /// The word of a place.
    #[inline]
    pub(crate) const fn word(self, place: Place) -> u64 {
        Place::new(place.unit() >> self.0, place.units() >> self.0).0
    }

    /// As [`Place::units_for`], in whole units of this table.
    #[inline]
    pub(crate) const fn units_for(self, len: usize) -> u64 {
        Place::units_for(len).next_multiple_of(1 << self.0)
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
        assert_eq!([0, 1, 32, 33, 96].map(Place::units_for), [1, 2, 2, 3, 4]);
        assert_eq!(Place::new(3, 4).lines(8).collect::<Vec<_>>(), [64, 128, 192]);
        assert_eq!(Place::new(4, 4).lines(1).collect::<Vec<_>>(), [128]);
        assert!(Place::units_for(VALUE_MAX) < 1 << 24);
    }
}

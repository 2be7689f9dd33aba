//! The block a table lies in: words by offset, never beyond what is allocated.

use std::io;
use std::sync::atomic::AtomicU64;

use mixcord_memory::{Ordering, fence};

use crate::error::Damage;
use crate::key::{Key, TableId};
use crate::layout::{
    AT_BUCKETS, AT_CHECKSUM, AT_LINK, AT_SLOTS, BUCKET, BUCKET_UNITS, CHAIN_MAX, CHUNK,
    CHUNK_BUCKETS, FIXED_WORDS, Fixed, Grain, Place, SLOT, SLOTS, VALUE_HEAD, VALUE_MAX,
};

/// The words of a block that is at least one chunk long.
pub(crate) type Memory = mixcord_memory::Memory<{ CHUNK as usize }>;

/// Makes the block longer, or learns that it is.
pub(crate) trait Ground: Send + Sync + std::fmt::Debug {
    /// Allocates the bytes from `from` to `to`, so that no access to them fails.
    fn allocate(&self, from: u64, to: u64) -> io::Result<()>;
    /// Begins to, and does not wait: what fails is told when it is asked for.
    fn prepare(&self, _to: u64) {}
    /// Bytes that are allocated, as the system says and not as the table does.
    fn allocated(&self) -> u64;
}

/// Under loom the words are the model's, and the writer and its readers share them.
#[cfg(loom)]
pub(crate) type Words = std::sync::Arc<Memory>;
#[cfg(not(loom))]
pub(crate) type Words = Memory;

/// A block whose first `allocated` bytes may be touched.
#[derive(Debug)]
pub(crate) struct Space {
    memory: Words,
    allocated: AtomicU64,
    ground: Box<dyn Ground>,
    /// How the table in it counts places.
    pub(crate) grain: Grain,
}

/// A slot: a hash, and the place of the value with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    /// Where the slot lies.
    pub(crate) at: u64,
    pub(crate) hash: u64,
    pub(crate) place: Place,
}

/// The head of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueHead {
    /// Of this value alone; 0 while it is written.
    pub(crate) number: u64,
    pub(crate) table: TableId,
    /// Bytes of the value.
    pub(crate) len: u64,
    pub(crate) key: Key,
}

impl ValueHead {
    const LEN_BITS: u32 = 48;

    pub(crate) fn words(self) -> [u64; 4] {
        let table = u64::from(self.table.raw()) << Self::LEN_BITS;
        [self.number, table | self.len, self.key.owner, self.key.id]
    }

    pub(crate) fn from_words([number, word, owner, id]: [u64; 4]) -> Self {
        Self {
            number,
            table: TableId::from_raw((word >> Self::LEN_BITS) as u16),
            len: word & ((1 << Self::LEN_BITS) - 1),
            key: Key::new(owner, id),
        }
    }

    /// Whether a value with this head can lie in `place`.
    pub(crate) fn fits(&self, place: Place) -> bool {
        self.len <= place.bytes().saturating_sub(VALUE_HEAD)
    }
}

impl Space {
    pub(crate) fn new(memory: Words, ground: Box<dyn Ground>) -> Self {
        let allocated = ground.allocated().min(memory.len() as u64);
        Self { memory, allocated: AtomicU64::new(allocated), ground, grain: Grain::FINE }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Bytes that may be touched.
    pub(crate) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// The most there can be without mapping anew, bytes.
    pub(crate) fn reserved(&self) -> u64 {
        self.memory.len() as u64
    }

    pub(crate) fn allocate(&self, to: u64) -> io::Result<()> {
        self.ground.allocate(self.allocated(), to)?;
        self.allocated.store(to, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn prepare(&self, to: u64) {
        self.ground.prepare(to);
    }

    /// Whether `bytes` from `at` on may be touched; asks the system anew before it says no.
    #[inline]
    pub(crate) fn holds(&self, at: u64, bytes: u64) -> bool {
        let inside = |end: u64| at <= end && bytes <= end - at;
        inside(self.allocated()) || {
            let allocated = self.ground.allocated().min(self.reserved());
            self.allocated.store(allocated, Ordering::Relaxed);
            inside(allocated)
        }
    }

    /// What never changes, checked.
    pub(crate) fn fixed(&self) -> Option<Fixed> {
        if !self.holds(0, CHUNK) {
            return None;
        }
        let words = self.memory.load_words::<FIXED_WORDS>(0);
        let sum = self.memory.load(AT_CHECKSUM, Ordering::Relaxed);
        let fixed = Fixed::from_words(words).filter(|_| sum == checksum(&words))?;
        self.holds(0, fixed.first_chunk() * CHUNK).then_some(fixed)
    }

    /// The same, with a table in it.
    pub(crate) fn of(self, fixed: &Fixed) -> Self {
        Self { grain: fixed.grain, ..self }
    }

    pub(crate) fn write_fixed(&self, fixed: &Fixed) {
        let words = fixed.words();
        self.memory.store_words(0, words);
        self.memory.store(AT_CHECKSUM, checksum(&words), Ordering::Release);
    }

    /// How many buckets there are; with it everything that was split before is seen.
    #[inline]
    pub(crate) fn buckets(&self) -> Result<u64, Damage> {
        let buckets = self.memory.load(AT_BUCKETS, Ordering::Acquire);
        if buckets == 0 || buckets > self.reserved() / BUCKET {
            return Err(Damage { what: "a number of buckets", at: AT_BUCKETS as u64 });
        }
        Ok(buckets)
    }

    /// Where a bucket lies.
    #[inline]
    pub(crate) fn bucket(&self, fixed: &Fixed, bucket: u64) -> Result<u64, Damage> {
        let index = bucket / CHUNK_BUCKETS;
        let at = fixed.directory(index);
        let wrong = Damage { what: "a chunk of buckets", at };
        if index >= fixed.directory_entries {
            return Err(wrong);
        }
        let chunk = self.memory.load(at as usize, Ordering::Relaxed);
        let first = chunk.checked_mul(CHUNK).ok_or(wrong)?;
        if chunk < fixed.first_chunk() || !self.holds(first, CHUNK) {
            return Err(wrong);
        }
        Ok(first + bucket % CHUNK_BUCKETS * BUCKET)
    }

    /// Shows the slots of the chain that begins at `bucket`, the empty ones too, until `visit` says
    /// false; gives where the last of its buckets lies, as far as it came.
    #[inline]
    pub(crate) fn chain(
        &self,
        bucket: u64,
        mut visit: impl FnMut(Slot) -> bool,
    ) -> Result<u64, Damage> {
        let mut at = bucket;
        for _ in 0..CHAIN_MAX {
            let line = self.memory.load_words::<8>(at as usize);
            for index in 0..SLOTS {
                let word = (1 + index * 2) as usize;
                let at = at + AT_SLOTS + index * SLOT;
                if !visit(Slot { at, hash: line[word], place: self.grain.place(line[word + 1]) }) {
                    return Ok(at);
                }
            }
            match line[7] {
                0 => return Ok(at),
                link => at = self.overflow(at, self.grain.place(link))?,
            }
        }
        Err(Damage { what: "an endless chain of buckets", at: bucket })
    }

    /// Where the overflow bucket lies that the bucket at `at` names.
    pub(crate) fn overflow(&self, at: u64, link: Place) -> Result<u64, Damage> {
        // What the bucket's writer stored before it was linked is to be seen.
        fence(Ordering::Acquire);
        let aligned = link.units() == BUCKET_UNITS && link.offset().is_multiple_of(BUCKET);
        if !aligned || !self.holds(link.offset(), BUCKET) {
            return Err(Damage { what: "an overflow bucket", at: at + AT_LINK });
        }
        Ok(link.offset())
    }

    /// Whether a place can be touched.
    #[inline]
    pub(crate) fn check_place(&self, place: Place) -> Result<(), Damage> {
        let sound = place.units() > 0
            && place.units() <= Place::units_for(VALUE_MAX)
            && self.holds(place.offset(), place.bytes());
        if sound { Ok(()) } else { Err(Damage { what: "a value's place", at: place.offset() }) }
    }

    /// The head of the value in a place, for the writer.
    #[inline]
    pub(crate) fn value_head(&self, place: Place) -> Result<ValueHead, Damage> {
        self.check_place(place)?;
        Ok(ValueHead::from_words(self.memory.load_words::<4>(place.offset() as usize)))
    }
}

/// A sum over words that notices a torn or foreign block; no secret, and none is needed.
pub(crate) fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0x6D69_7863_6F72_6431, |sum: u64, word| {
        (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

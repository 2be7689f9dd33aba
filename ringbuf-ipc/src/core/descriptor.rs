//! One descriptor: written by the producer, copied once and checked by everybody else.

use super::geometry::{hash_of, partition_of};
use super::layout::{Layout, descriptor};
use super::memory::{Memory, Ordering};
use super::{Core, Position};

/// The longest record of all, whatever the ring: 256 MiB.
pub const RECORD_MAX: u64 = 256 << 20;

/// How many descriptors ahead of the one at hand a line is sent for.
const AHEAD: usize = 4;

/// A private copy of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) position: Position,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) flags: u32,
    pub(crate) key: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) order: u64,
}

impl Descriptor {
    // Called once a record: a call would put the whole descriptor through memory first.
    #[inline(always)]
    pub(crate) fn store(&self, memory: &Memory, layout: &Layout) {
        let at = layout.descriptor(self.position);
        let words = self.words();
        let [position, offset, length, key, tag, source, order] = words;
        memory.expect_write(at + AHEAD * descriptor::BYTES);
        // Release: who finds it finds the floors that let the record before it be overwritten.
        let hashes = Hashes::of(layout, self).0;
        memory.store(layout.hash(self.position), hashes, Ordering::Release);
        memory.store_words(at, [position, offset, length, key, tag, source, order, sum(&words)]);
    }

    /// The descriptor of `position`, or `None` when what stands there is anything else.
    #[inline]
    pub(crate) fn load(core: &Core, position: Position) -> Option<Self> {
        let at = core.layout.descriptor(position);
        let [found, offset, length, key, tag, source, order, checksum] = core.memory.load_words(at);
        let expected = sum(&[found, offset, length, key, tag, source, order]);
        let this = Self {
            position,
            offset,
            length: length as u32,
            flags: (length >> 32) as u32,
            key,
            tag,
            source,
            order,
        };
        (found == position && checksum == expected && this.fits(&core.layout)).then_some(this)
    }

    /// Whether the payload is a file of its own.
    #[inline]
    pub(crate) const fn is_blob(&self) -> bool {
        self.flags & descriptor::BLOB != 0
    }

    /// What its writer says of the payload; 0 for nothing.
    #[inline]
    pub(crate) const fn seal(&self) -> u32 {
        self.flags >> descriptor::SEAL
    }

    /// Bytes the payload takes in the payload ring.
    #[inline]
    pub(crate) const fn padded(&self) -> u64 {
        if self.is_blob() { 0 } else { self.lines() as u64 }
    }

    /// Bytes of the payload, rounded up to whole lines.
    #[inline]
    pub(crate) const fn lines(&self) -> usize {
        (self.length as usize + 63) & !63
    }

    /// Virtual offset just after the payload.
    #[inline]
    pub(crate) const fn end(&self) -> u64 {
        self.offset.wrapping_add(self.padded())
    }

    #[inline]
    pub(crate) const fn partition(&self, partitions: u16) -> u16 {
        partition_of(self.key, partitions)
    }

    /// The payload lies inside the ring, aligned and in one piece.
    #[inline]
    const fn fits(&self, layout: &Layout) -> bool {
        let capacity = layout.geometry.payload_bytes;
        if self.is_blob() {
            self.length as u64 <= RECORD_MAX
        } else {
            self.length as u64 <= layout.geometry.inline_bytes()
                && self.offset.is_multiple_of(64)
                && (self.offset & (capacity - 1)) + self.padded() <= capacity
        }
    }

    #[inline]
    const fn words(&self) -> [u64; 7] {
        [
            self.position,
            self.offset,
            (self.flags as u64) << 32 | self.length as u64,
            self.key,
            self.tag,
            self.source,
            self.order,
        ]
    }
}

/// What lies beside the descriptor of a record, dense, for those who look at every record: hashes of its keys.
///
/// ```text
/// | lap 4 | hash of the finer key 30 | hash of the key 30 |
/// ```
/// A hint like all that a member remembers: a record is taken by its word or its partition, and its
/// descriptor is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashes(u64);

impl Hashes {
    #[inline(always)]
    fn of(layout: &Layout, entry: &Descriptor) -> Self {
        let key = hash_of(entry.key);
        let order = if entry.order == 0 { key } else { hash_of(entry.order) };
        let lap = layout.lap(entry.position) << 60;
        Self(lap | u64::from(order) << 30 | u64::from(key))
    }

    /// Those of the record of `position`; `None` when another record stands there or is on its way.
    #[inline]
    pub(crate) fn load(core: &Core, position: Position) -> Option<Self> {
        let word = core.memory.load(core.layout.hash(position), Ordering::Acquire);
        (word >> 60 == core.layout.lap(position) & 0xF).then_some(Self(word))
    }

    /// Of the key.
    #[inline]
    pub(crate) const fn key(self) -> u32 {
        self.0 as u32 & 0x3FFF_FFFF
    }

    /// Of the finer key.
    #[inline]
    pub(crate) const fn order(self) -> u32 {
        (self.0 >> 30) as u32 & 0x3FFF_FFFF
    }

    #[inline]
    pub(crate) const fn partition(self, partitions: u16) -> u16 {
        self.key() as u16 & (partitions - 1)
    }
}

/// Not against malice: against a descriptor torn by a crash or an overrun. Each word is mixed in by a
/// bijection, so that one word changed always shows.
#[inline]
const fn sum(words: &[u64; 7]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let [position, offset, length, key, tag, source, order] = *words;
    let mut sum = (position ^ ODD).wrapping_mul(ODD);
    sum = (sum ^ offset).wrapping_mul(ODD);
    sum = (sum ^ length).wrapping_mul(ODD);
    sum = (sum ^ key).wrapping_mul(ODD);
    sum = (sum ^ tag).wrapping_mul(ODD);
    sum = (sum ^ source).wrapping_mul(ODD);
    (sum ^ order).wrapping_mul(ODD)
}

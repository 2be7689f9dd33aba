//! A pack: what one message of the log holds, up to 64 records of one shard ring.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `MXPK` |
//! | 1 | version |
//! | 1 | how the body is packed: 0 as it is, 1 zstd |
//! | 2 | length of this head, all of it: a later one may be longer |
//! | 8 | log: the id of the ring that the records were written to first |
//! | 8 | position of the first record there |
//! | 8 | generation of who sent it: behind a higher one, in this log or another, a lower one counts for nothing |
//! | 8 | kept: every position before it was in the log when this was packed, or never will be |
//! | 4 | records |
//! | 4 | length of the body, unpacked |
//! | 2 2 | which part of how many: a body that no single message can hold travels in parts |
//! | 4 | a sum of the whole body as it travels, where it does so in parts; else 0 |
//! | … | body, or a part of it |
//!
//! The body is made of sections with lengths ([`mixcord_event::sections`]), so that a reader skips what it does
//! not know. All numbers are little-endian.

mod body;
mod packer;
mod parts;

pub use body::{About, Body, Predecessor, Row, Rows};
pub use packer::{MESSAGE_MIN, Packed, Packer, Sizes};
pub use parts::{Assembler, Whole};

/// Records of a pack.
pub const RECORDS_MAX: usize = 64;
/// The longest body. A record that makes it longer is told as a loss, like one whose file is gone.
pub const BODY_MAX: usize = 64 << 20;

const MAGIC: [u8; 4] = *b"MXPK";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// What stands before a message's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The log that the positions are of.
    pub log: u64,
    /// Position of the first record; of the next one that comes where there are none.
    pub first: u64,
    /// Generation of who sent it.
    pub generation: u64,
    /// Every position before it was in the log when this was packed, or never will be.
    pub kept: u64,
    /// How many records.
    pub count: u32,
    /// Which part of the pack this message is, from 0.
    pub part: u16,
    /// Of how many, at least 1.
    pub parts: u16,
    compressed: bool,
    body_len: u32,
    sum: u32,
}

impl Head {
    /// Its length in bytes.
    pub const LEN: usize = 56;

    /// Where the log stands behind this message: at the next position, and before the pack while parts of it are
    /// missing.
    #[must_use]
    pub const fn end(&self) -> u64 {
        if self.part + 1 == self.parts { self.first + self.count as u64 } else { self.first }
    }

    /// Splits a message.
    ///
    /// # Errors
    /// It is no message of a bridge, or one of a later kind.
    pub fn read(message: &[u8]) -> Result<(Self, &[u8]), PackError> {
        let fixed: &[u8; Self::LEN] = message.first_chunk().ok_or(PackError::Short)?;
        if fixed[..4] != MAGIC {
            return Err(PackError::Foreign);
        }
        if fixed[4] != VERSION {
            return Err(PackError::Version { found: fixed[4] });
        }
        let compressed = match fixed[5] {
            PLAIN => false,
            ZSTD => true,
            found => return Err(PackError::Packing { found }),
        };
        let head_len = usize::from(u16::from_le_bytes([fixed[6], fixed[7]]));
        let body = message.get(head_len.max(Self::LEN)..).ok_or(PackError::Short)?;
        let word = |at: usize| u64::from_le_bytes(array(fixed, at));
        let half = |at: usize| u32::from_le_bytes(array(fixed, at));
        let short = |at: usize| u16::from_le_bytes(array(fixed, at));
        let head = Self {
            log: word(8),
            first: word(16),
            generation: word(24),
            kept: word(32),
            count: half(40),
            body_len: half(44),
            part: short(48),
            parts: short(50),
            sum: half(52),
            compressed,
        };
        let sound = head.part < head.parts
            && head.count as usize <= RECORDS_MAX
            && head.body_len as usize <= BODY_MAX
            && head.kept <= head.first
            && head.first.checked_add(head.count.into()).is_some();
        if sound { Ok((head, body)) } else { Err(PackError::Numbers) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, if self.compressed { ZSTD } else { PLAIN }]);
        out.extend_from_slice(&(Self::LEN as u16).to_le_bytes());
        for word in [self.log, self.first, self.generation, self.kept] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&self.part.to_le_bytes());
        out.extend_from_slice(&self.parts.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
    }
}

/// Tells parts of one body from those of another that looks alike: FNV-1a.
pub(crate) fn sum(body: &[u8]) -> u32 {
    body.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// `N` bytes at `at`; the callers' offsets are constants within the head.
fn array<const N: usize>(fixed: &[u8; Head::LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&fixed[at..at + N]);
    bytes
}

/// Why a message is no pack.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// It ends too soon.
    #[error("the message ends within its head or a section")]
    Short,
    /// It is no message of a bridge.
    #[error("no bridge wrote this message: the stream must be the instance's own")]
    Foreign,
    /// A later release wrote it.
    #[error("a pack of version {found}, this build reads {VERSION}: update mixcord-bridge")]
    Version {
        /// Its version.
        found: u8,
    },
    /// A later release packed it.
    #[error("a body packed in way {found}, which this build does not know: update mixcord-bridge")]
    Packing {
        /// How it is packed.
        found: u8,
    },
    /// Its numbers contradict each other, or a limit.
    #[error("the numbers of the head cannot be")]
    Numbers,
    /// The body cannot be unpacked.
    #[error("the body cannot be unpacked: {why}")]
    Zstd {
        /// As the library says it.
        why: &'static str,
    },
    /// Records and head do not fit each other.
    #[error("the pack has {found} records, its head says {said}")]
    Count {
        /// What is there.
        found: u32,
        /// What the head says.
        said: u32,
    },
    /// A part came that does not follow the one before.
    #[error("part {part} of {parts} does not follow the one before it")]
    Part {
        /// Which.
        part: u16,
        /// Of how many.
        parts: u16,
    },
}

impl PackError {
    /// Whether a later release may read it: whoever cannot stops in front of it (P11).
    #[must_use]
    pub const fn is_of_another_release(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Packing { .. })
    }
}

#[cfg(test)]
mod tests;

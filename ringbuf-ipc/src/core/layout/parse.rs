//! The header of a segment that somebody made: every word of it is checked before any is used.

use super::{LAYOUT_VERSION, Layout, MAGIC, header};
use crate::core::geometry::{Geometry, GeometryError, mix};

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file is shorter than a header, or not as long as its geometry says.
    #[error("is {found} bytes long, not {wanted}")]
    Size {
        /// Bytes found.
        found: u64,
        /// Bytes wanted.
        wanted: u64,
    },
    /// Not a ring segment.
    #[error("is no ring (its first bytes are {found:#018x})")]
    Magic {
        /// What stands in the place of the magic number.
        found: u64,
    },
    /// Made by another version of this crate.
    #[error(
        "has layout version {found}, this program reads {ours}: drain it with the programs that \
         made it, then remove the file"
    )]
    Version {
        /// Version of the segment.
        found: u64,
        /// Version of this crate.
        ours: u64,
    },
    /// Damaged.
    #[error("has a header that does not match its checksum")]
    Checksum,
    /// A geometry out of range.
    #[error("{0}")]
    Geometry(#[from] GeometryError),
    /// Offsets or id that this geometry cannot have.
    #[error("has offsets that do not follow from its geometry")]
    Offsets,
}

impl HeaderError {
    /// What to do, where the text before does not say it.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::Version { .. } => "",
            _ => ": what is in it is lost; stop who uses it and remove the file, it is made anew",
        }
    }
}

/// Checksum of the header's words.
pub(crate) fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(0x6D69_7863_6F72_6421, |sum, &word| mix(sum ^ word))
}

/// Parses a header: every word is checked before any of them is used.
pub(crate) fn parse_header(
    words: &[u64; header::WORDS + 1],
    file_bytes: u64,
) -> Result<(Layout, u64), HeaderError> {
    let at = |offset: usize| words[offset / 8];
    if at(header::MAGIC) != MAGIC {
        return Err(HeaderError::Magic { found: at(header::MAGIC) });
    }
    if at(header::VERSION) != LAYOUT_VERSION {
        return Err(HeaderError::Version { found: at(header::VERSION), ours: LAYOUT_VERSION });
    }
    if checksum(&words[..header::WORDS]) != at(header::CHECKSUM) {
        return Err(HeaderError::Checksum);
    }
    let narrow = |offset: usize| u16::try_from(at(offset)).unwrap_or(u16::MAX);
    let geometry = Geometry::new(
        u32::try_from(at(header::SLOTS)).unwrap_or(u32::MAX),
        at(header::PAYLOAD_BYTES),
        narrow(header::GROUPS),
        narrow(header::PARTITIONS),
        narrow(header::MEMBERS),
    )?
    .checkpoints(u32::try_from(at(header::CHECKPOINT_BYTES)).unwrap_or(u32::MAX))?;
    let layout = Layout::new(geometry);
    let ring_id = at(header::RING_ID);
    let known = header::SPARE / 8;
    if words[..known] != layout.header(ring_id)[..known] || ring_id == 0 {
        return Err(HeaderError::Offsets);
    }
    if file_bytes != layout.total as u64 {
        return Err(HeaderError::Size { found: file_bytes, wanted: layout.total as u64 });
    }
    Ok((layout, ring_id))
}

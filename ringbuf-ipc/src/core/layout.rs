//! Where every byte of a ring segment is. `README.md` draws it; `tests/layout.rs` fixes it.
//!
//! ```text
//! header page        immutable after creation
//! producer pages     tail, reserved, pressure, two checkpoint slots     written by the producer
//! control pages      sleepers, wanted floor, groups, partitions, members  written by everybody
//! descriptor ring    64 bytes a record                                  written by the producer
//! payload ring       64-byte aligned payloads                           written by the producer
//! ```

use super::geometry::{Geometry, GeometryError, mix};

/// Version of everything in this module; a change of any offset or meaning raises it.
pub const LAYOUT_VERSION: u64 = 2;

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"MIXRING\0");
pub(crate) const PAGE: usize = 4096;
/// Two cache lines: the prefetcher of current x86 cores fetches lines in pairs.
pub(crate) const LINE: usize = 128;

/// Where the producer pages begin, in bytes from the start of the segment.
pub(crate) const PRODUCER: usize = PAGE;
/// Where the control pages begin.
pub(crate) const CONTROL: usize = PRODUCER + producer::BYTES;
/// Up to here every segment is the same, whatever its geometry.
pub(crate) const FIXED: usize = CONTROL + control::GROUPS;

/// Words of the header page, in bytes from the start of the segment.
pub(crate) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 8;
    pub(crate) const RING_ID: usize = 16;
    pub(crate) const SLOTS: usize = 24;
    pub(crate) const PAYLOAD_BYTES: usize = 32;
    pub(crate) const GROUPS: usize = 40;
    pub(crate) const PARTITIONS: usize = 48;
    pub(crate) const MEMBERS: usize = 56;
    /// Offsets of the producer pages, the control pages, the descriptors and the payloads, and the
    /// length of the segment: five words.
    #[allow(dead_code)]
    pub(crate) const OFFSETS: usize = 64;
    pub(crate) const CHECKSUM: usize = 104;
    /// Words covered by the checksum: all before it.
    pub(crate) const WORDS: usize = CHECKSUM / 8;
}

/// Offsets inside the producer pages.
pub(crate) mod producer {
    use super::{LINE, PAGE};

    /// Records published; the only commit. Only grows; below 2^62.
    pub(crate) const TAIL: usize = 0;
    /// The oldest record not given up for overwriting. Only grows; `RESERVED <= TAIL`.
    ///
    /// A group's floor may be *below* it: that of a group which joined between the producer's announcement
    /// and its second look at the floors. The producer then overwrites nothing from that floor on, though
    /// `RESERVED` stays where it is; so what may go is decided by `min(RESERVED, floors)`, never by this
    /// word alone.
    pub(crate) const RESERVED: usize = LINE;
    /// The producer's bell + 1, 0 for none.
    pub(crate) const BELL: usize = 2 * LINE;
    pub(crate) const PUBLISHES: usize = 3 * LINE;
    pub(crate) const WAKES: usize = 3 * LINE + 8;
    pub(crate) const STALLS: usize = 3 * LINE + 16;
    pub(crate) const STALLED_NS: usize = 3 * LINE + 24;
    /// When the stall that lasts now began (boot clock, ns), 0 for none.
    pub(crate) const STALLED_SINCE: usize = 3 * LINE + 32;
    /// Payload bytes published, padding included, since creation: the head of the payload ring.
    pub(crate) const PAYLOAD_HEAD: usize = 3 * LINE + 40;
    pub(crate) const EVICTIONS: usize = 3 * LINE + 48;
    pub(crate) const BLOBS: usize = 3 * LINE + 56;

    /// Two checkpoint slots, a page each: tag, length, checksum, bytes.
    pub(crate) const CHECKPOINTS: usize = PAGE;
    pub(crate) const CHECKPOINT_TAG: usize = 0;
    pub(crate) const CHECKPOINT_LEN: usize = 8;
    pub(crate) const CHECKPOINT_SUM: usize = 16;
    /// Counts the checkpoints written, to tell two of one tail apart.
    pub(crate) const CHECKPOINT_NUMBER: usize = 24;
    pub(crate) const CHECKPOINT_BYTES: usize = 64;
    pub(crate) const CHECKPOINT_MAX: usize = PAGE - CHECKPOINT_BYTES;

    pub(crate) const BYTES: usize = 3 * PAGE;
}

/// Offsets inside the control pages, before the group table.
pub(crate) mod control {
    use super::LINE;

    /// One bit a group some member of which sleeps.
    pub(crate) const SLEEPERS: usize = 0;
    /// One bit an observer that sleeps.
    pub(crate) const SLEEPING_OBSERVERS: usize = 8;
    /// The floor the producer waits for, 1 to `TAIL`; 0 when it does not wait.
    pub(crate) const WANTED: usize = LINE;
    /// A word an observer: its bell + 1, 0 for none.
    pub(crate) const OBSERVERS: usize = 2 * LINE;
    pub(crate) const OBSERVER_COUNT: usize = 64;
    pub(crate) const GROUPS: usize = OBSERVERS + OBSERVER_COUNT * 8;
}

/// Offsets inside one entry of the group table.
pub(crate) mod group {
    use super::LINE;

    /// Generation << 8 | state.
    pub(crate) const STATE: usize = 0;
    pub(crate) const POLICY: usize = 8;
    /// Milliseconds, 0 for never.
    pub(crate) const MAX_ABSENCE: usize = 16;
    /// Boot clock in ms at which the group was first seen without a member; 0 when it has one.
    pub(crate) const ABSENT_SINCE: usize = 24;
    pub(crate) const NAME_LEN: usize = 32;
    /// 1 while the loss of an eviction was not told to a member.
    pub(crate) const LOSS: usize = 40;
    pub(crate) const LOST_TO: usize = 48;
    pub(crate) const NAME: usize = 64;
    pub(crate) const NAME_MAX: usize = 64;
    /// Every record before it is acknowledged; u64::MAX when the group holds nothing. At most its lowest
    /// cursor; at most `TAIL`; may be below `RESERVED`, see there.
    pub(crate) const FLOOR: usize = LINE;
    /// One bit a member that sleeps.
    pub(crate) const SLEEPERS: usize = 2 * LINE;
    pub(crate) const MEMBERS: usize = 3 * LINE;

    pub(crate) const MEMBER_BYTES: usize = 64;
    /// Bell + 1 of a member, 0 for none.
    pub(crate) const MEMBER_BELL: usize = 0;

    pub(crate) const PARTITION_BYTES: usize = LINE;
    /// Claim count << 16 | member + 1; 0 in the low half when nobody holds it.
    pub(crate) const PARTITION_OWNER: usize = 0;
    /// Every record of the partition before it is acknowledged. At most `TAIL`.
    pub(crate) const PARTITION_CURSOR: usize = 8;
    /// The cursor at the eviction whose loss is not told yet. At most `LOST_TO`, or nothing was lost.
    pub(crate) const PARTITION_LOST_FROM: usize = 16;
}

/// Offsets inside one descriptor.
pub(crate) mod descriptor {
    pub(crate) const POSITION: usize = 0;
    /// Payload bytes before this record since creation (virtual offset); the place is its remainder.
    pub(crate) const OFFSET: usize = 8;
    /// Flags << 32 | payload length.
    pub(crate) const LENGTH: usize = 16;
    pub(crate) const KEY: usize = 24;
    pub(crate) const TAG: usize = 32;
    pub(crate) const SOURCE: usize = 40;
    pub(crate) const CHECKSUM: usize = 48;
    pub(crate) const BYTES: usize = 64;

    /// The payload is a file of its own.
    pub(crate) const BLOB: u32 = 1;
}

/// The parts of a segment of one geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) geometry: Geometry,
    pub(crate) descriptors: usize,
    pub(crate) payload: usize,
    pub(crate) total: usize,
    group_bytes: usize,
    partitions_at: usize,
}

impl Layout {
    /// `geometry` must be valid.
    pub(crate) fn new(geometry: Geometry) -> Self {
        let partitions_at = (group::MEMBERS + usize::from(geometry.members) * group::MEMBER_BYTES)
            .next_multiple_of(LINE);
        let group_bytes = partitions_at + usize::from(geometry.partitions) * group::PARTITION_BYTES;
        let control_bytes = control::GROUPS + usize::from(geometry.groups) * group_bytes;
        let descriptors = (CONTROL + control_bytes).next_multiple_of(PAGE);
        let payload =
            (descriptors + geometry.slots as usize * descriptor::BYTES).next_multiple_of(PAGE);
        let total = (payload + geometry.payload_bytes as usize).next_multiple_of(PAGE);
        Self { geometry, descriptors, payload, total, group_bytes, partitions_at }
    }

    #[inline]
    pub(crate) fn group(&self, group: u16) -> usize {
        CONTROL + control::GROUPS + usize::from(group) * self.group_bytes
    }

    #[inline]
    pub(crate) fn member(&self, group: u16, member: u16) -> usize {
        self.group(group) + group::MEMBERS + usize::from(member) * group::MEMBER_BYTES
    }

    #[inline]
    pub(crate) fn partition(&self, group: u16, partition: u16) -> usize {
        self.group(group) + self.partitions_at + usize::from(partition) * group::PARTITION_BYTES
    }

    #[inline]
    pub(crate) const fn descriptor(&self, position: u64) -> usize {
        self.descriptors
            + (position & (self.geometry.slots as u64 - 1)) as usize * descriptor::BYTES
    }

    /// Place of a payload by its virtual offset.
    #[inline]
    pub(crate) const fn payload_at(&self, offset: u64) -> usize {
        self.payload + (offset & (self.geometry.payload_bytes - 1)) as usize
    }

    #[inline]
    pub(crate) const fn checkpoint(&self, slot: usize) -> usize {
        PRODUCER + producer::CHECKPOINTS + slot * PAGE
    }

    /// The header's words but the checksum.
    pub(crate) fn header(&self, ring_id: u64) -> [u64; header::WORDS] {
        let g = &self.geometry;
        [
            MAGIC,
            LAYOUT_VERSION,
            ring_id,
            g.slots.into(),
            g.payload_bytes,
            g.groups.into(),
            g.partitions.into(),
            g.members.into(),
            PRODUCER as u64,
            CONTROL as u64,
            self.descriptors as u64,
            self.payload as u64,
            self.total as u64,
        ]
    }
}

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
         made it (`mixcord tail --group … --from earliest`), then remove it with `mixcord rm`"
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
    )?;
    let layout = Layout::new(geometry);
    let ring_id = at(header::RING_ID);
    if words[..header::WORDS] != layout.header(ring_id) || ring_id == 0 {
        return Err(HeaderError::Offsets);
    }
    if file_bytes != layout.total as u64 {
        return Err(HeaderError::Size { found: file_bytes, wanted: layout.total as u64 });
    }
    Ok((layout, ring_id))
}

const _: () = assert!(control::GROUPS.is_multiple_of(LINE));
const _: () = assert!(group::NAME + group::NAME_MAX <= group::FLOOR);
const _: () = assert!(descriptor::CHECKSUM + 8 <= descriptor::BYTES);
// Its words are moved as one row.
const _: () = assert!(descriptor::POSITION == 0 && descriptor::OFFSET == 8);
const _: () = assert!(descriptor::LENGTH == 16 && descriptor::KEY == 24);
const _: () = assert!(descriptor::TAG == 32 && descriptor::SOURCE == 40);
const _: () = assert!(descriptor::CHECKSUM == 48);

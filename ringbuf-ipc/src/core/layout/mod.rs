//! Where every byte of a ring segment is. `LAYOUT.md` draws it; `tests/layout.rs` fixes it.
//!
//! ```text
//! header page        immutable after creation
//! producer page      tail, reserved, pressure                           written by the producer
//! control part       sleepers, wanted floor, groups, partitions, members  written by everybody
//! delivery words     8 bytes a slot and group that has them             written by everybody
//! checkpoints        two slots                                          written by the producer
//! hashes             8 bytes a record                                   written by the producer
//! descriptor ring    64 bytes a record                                  written by the producer
//! payload ring       64-byte aligned payloads                           written by the producer
//! ```

mod parse;

use super::geometry::Geometry;

pub use parse::HeaderError;
pub(crate) use parse::{checksum, parse_header};

/// Version of everything in this module; a change of any offset or meaning raises it.
pub const LAYOUT_VERSION: u64 = 3;

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"MIXRING\0");
pub(crate) const PAGE: usize = 4096;
/// Where the right to write changes: a multiple of every page size there is.
pub(crate) const PART: usize = 64 << 10;
/// Two cache lines: the prefetcher of current x86 cores fetches lines in pairs.
pub(crate) const LINE: usize = 128;

/// Where the producer pages begin, in bytes from the start of the segment.
pub(crate) const PRODUCER: usize = PAGE;
/// Where the control part begins.
pub(crate) const CONTROL: usize = PART;
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
    pub(crate) const CHECKPOINT_BYTES: usize = 64;
    /// Length of the segment, then offset and stride of each part: 18 words.
    #[allow(dead_code)]
    pub(crate) const PARTS: usize = 72;
    /// From here on: zeros that mean nothing yet.
    pub(crate) const SPARE: usize = 216;
    pub(crate) const CHECKSUM: usize = 248;
    /// Words covered by the checksum: all before it.
    pub(crate) const WORDS: usize = CHECKSUM / 8;
}

/// Offsets inside the producer page, and inside a checkpoint.
pub(crate) mod producer {
    use super::LINE;

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

    /// Inside a checkpoint slot.
    pub(crate) const CHECKPOINT_TAG: usize = 0;
    pub(crate) const CHECKPOINT_LEN: usize = 8;
    pub(crate) const CHECKPOINT_SUM: usize = 16;
    /// Counts the checkpoints written, to tell two of one tail apart.
    pub(crate) const CHECKPOINT_NUMBER: usize = 24;
    pub(crate) const CHECKPOINT_BYTES: usize = 64;
}

/// Offsets inside the control part, before the group table.
pub(crate) mod control {
    use super::LINE;

    /// One bit an observer that sleeps.
    pub(crate) const SLEEPING_OBSERVERS: usize = 0;
    /// One bit a group some member of which sleeps: a word for 64 groups.
    pub(crate) const SLEEPERS: usize = 8;
    /// The floor the producer waits for, 1 to `TAIL`; 0 when it does not wait.
    pub(crate) const WANTED: usize = 2 * LINE;
    /// A word an observer: its bell + 1, 0 for none.
    pub(crate) const OBSERVERS: usize = 3 * LINE;
    pub(crate) const OBSERVER_COUNT: usize = 64;
    pub(crate) const GROUPS: usize = OBSERVERS + OBSERVER_COUNT * 8;
}

/// Offsets inside one entry of the group table.
#[allow(dead_code)] // joined to members next
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
    /// How its members take records; see [`mode`].
    pub(crate) const MODE: usize = 56;
    pub(crate) const NAME: usize = 64;
    pub(crate) const NAME_MAX: usize = 64;
    /// Every record before it is acknowledged; u64::MAX when the group holds nothing. At most its lowest
    /// cursor; at most `TAIL`; may be below `RESERVED`, see there.
    pub(crate) const FLOOR: usize = LINE;
    /// One bit a member that sleeps.
    pub(crate) const SLEEPERS: usize = 2 * LINE;
    /// Counts records that were let go while others of their key wait: who had looked in vain looks again.
    pub(crate) const HANDED: usize = 2 * LINE + 8;
    /// What the order key is, of groups with delivery words, and in the highest bit whether partitions stay with
    /// members: one that asks for another is refused.
    pub(crate) const ORDER: usize = 3 * LINE;
    /// Where a move that was begun ends, while the state is that.
    pub(crate) const MOVE_TO: usize = 3 * LINE + 8;
    /// Raised with every change of the group's file.
    pub(crate) const FILE_VERSION: usize = 3 * LINE + 16;
    /// 1 while records are being set aside; the cursor passes none meanwhile.
    pub(crate) const SETTING_ASIDE: usize = 3 * LINE + 24;
    /// Records in the group's file that wait or are out.
    pub(crate) const ASIDE: usize = 3 * LINE + 32;
    /// Dead letters written, and of those, dropped for want of room.
    pub(crate) const DEAD: usize = 3 * LINE + 40;
    pub(crate) const DROPPED: usize = 3 * LINE + 48;
    /// Records given more than once.
    pub(crate) const REDELIVERED: usize = 3 * LINE + 56;
    /// Records lost by an eviction of a group with delivery words: what was settled is not counted.
    pub(crate) const LOST_RECORDS: usize = 3 * LINE + 64;
    /// Times that damage of its file was found, and entries lost to that.
    pub(crate) const DAMAGED: usize = 3 * LINE + 72;
    pub(crate) const DAMAGED_LOST: usize = 3 * LINE + 80;
    /// The floor that the producer waited for last, and since when (boot clock ms) it has stood there.
    pub(crate) const STANDS_AT: usize = 3 * LINE + 88;
    pub(crate) const STANDS_SINCE: usize = 3 * LINE + 96;
    /// Of a sticky group: counts members that came and went, and partitions let go.
    pub(crate) const SEATS: usize = 3 * LINE + 104;
    /// What members died with that had settled nothing; see [`Fear`](crate::core::words::early::Fear). A release before
    /// this one leaves this word and the next as they are when it makes a group where another one was.
    pub(crate) const FEAR: usize = 3 * LINE + 112;
    /// What was said before this position the group asks its producer to say anew; 0 when it asks for nothing.
    pub(crate) const ANEW: usize = 3 * LINE + 120;
    pub(crate) const MEMBERS: usize = 4 * LINE;

    pub(crate) const MEMBER_BYTES: usize = 64;
    /// Bell + 1 of a member, 0 for none.
    pub(crate) const MEMBER_BELL: usize = 0;
    /// Records it settled since it joined.
    pub(crate) const MEMBER_SETTLED: usize = 8;
    /// When it last took or settled something, or had nothing to do (boot clock, ms).
    pub(crate) const MEMBER_MOVED: usize = 16;
    /// Its process, and when it joined (boot clock, ms).
    pub(crate) const MEMBER_PROCESS: usize = 24;
    pub(crate) const MEMBER_JOINED: usize = 32;
    /// The state word of the sticky group in which it has a share of the partitions; 0 when it has none.
    pub(crate) const MEMBER_SHARES: usize = 40;
    /// What it has taken, as long as it has settled nothing; see [`First`](crate::core::words::early::First).
    pub(crate) const MEMBER_FIRST: usize = 48;

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
    /// Flags << 32 | payload length. The flags are [`BLOB`], and the seal above it.
    pub(crate) const LENGTH: usize = 16;
    pub(crate) const KEY: usize = 24;
    pub(crate) const TAG: usize = 32;
    pub(crate) const SOURCE: usize = 40;
    /// The finer key; 0 when it is the same.
    pub(crate) const ORDER: usize = 48;
    pub(crate) const CHECKSUM: usize = 56;
    pub(crate) const BYTES: usize = 64;

    /// The payload is a file of its own.
    pub(crate) const BLOB: u32 = 1;
    /// Where the seal begins in the flags.
    pub(crate) const SEAL: u32 = 1;
}

/// How the members of a group take records.
#[allow(dead_code)] // joined to members next
pub(crate) mod mode {
    /// Batches of a partition, acknowledged in order.
    pub(crate) const IN_ORDER: u64 = 0;
    /// One by one, settled in any order: the group has delivery words.
    pub(crate) const ANY_ORDER: u64 = 1;
    /// One member, in the order of the ring.
    pub(crate) const FOLLOW: u64 = 2;
}

/// The parts of a segment of one geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) geometry: Geometry,
    words: usize,
    words_stride: usize,
    pub(crate) checkpoints: usize,
    checkpoint_stride: usize,
    hashes: usize,
    pub(crate) descriptors: usize,
    pub(crate) payload: usize,
    pub(crate) total: usize,
    group_bytes: usize,
    partitions_at: usize,
}

impl Layout {
    /// `geometry` must be valid.
    pub(crate) fn new(geometry: Geometry) -> Self {
        let (slots, groups) = (geometry.slots as usize, usize::from(geometry.groups));
        let partitions_at = (group::MEMBERS + usize::from(geometry.members) * group::MEMBER_BYTES)
            .next_multiple_of(LINE);
        let group_bytes = partitions_at + usize::from(geometry.partitions) * group::PARTITION_BYTES;
        let words = (CONTROL + control::GROUPS + groups * group_bytes).next_multiple_of(PART);
        let words_stride = (slots * 8).next_multiple_of(PAGE);
        let checkpoints = (words + groups * words_stride).next_multiple_of(PART);
        let checkpoint_stride = (producer::CHECKPOINT_BYTES + geometry.checkpoint_bytes as usize)
            .next_multiple_of(PAGE);
        let hashes = checkpoints + 2 * checkpoint_stride;
        let descriptors = hashes + (slots * 8).next_multiple_of(PAGE);
        let payload = (descriptors + slots * descriptor::BYTES).next_multiple_of(PAGE);
        let total = (payload + geometry.payload_bytes as usize).next_multiple_of(PART);
        Self {
            geometry,
            words,
            words_stride,
            checkpoints,
            checkpoint_stride,
            hashes,
            descriptors,
            payload,
            total,
            group_bytes,
            partitions_at,
        }
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

    /// Where the delivery words of a group are, if it has any.
    #[allow(dead_code)] // joined to members next
    pub(crate) fn words(&self, group: u16) -> std::ops::Range<usize> {
        let at = self.words + usize::from(group) * self.words_stride;
        at..at + self.geometry.slots as usize * 8
    }

    /// What no memory is reserved for until a group is made that needs it.
    pub(crate) const fn all_words(&self) -> std::ops::Range<usize> {
        self.words..self.words + self.geometry.groups as usize * self.words_stride
    }

    /// Bytes of memory of the segment, without delivery words.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        (self.total - self.all_words().len()) as u64
    }

    #[inline]
    pub(crate) const fn hash(&self, position: u64) -> usize {
        self.hashes + (position & (self.geometry.slots as u64 - 1)) as usize * 8
    }

    /// How often the ring had gone round at this position.
    #[inline]
    pub(crate) const fn lap(&self, position: u64) -> u64 {
        position >> self.geometry.slots.trailing_zeros()
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
        self.checkpoints + slot * self.checkpoint_stride
    }

    /// The header's words but the checksum.
    pub(crate) fn header(&self, ring_id: u64) -> [u64; header::WORDS] {
        let g = &self.geometry;
        let mut words = [0; header::WORDS];
        let known = [
            MAGIC,
            LAYOUT_VERSION,
            ring_id,
            g.slots.into(),
            g.payload_bytes,
            g.groups.into(),
            g.partitions.into(),
            g.members.into(),
            g.checkpoint_bytes.into(),
            self.total as u64,
            PRODUCER as u64,
            CONTROL as u64,
            (CONTROL + control::GROUPS) as u64,
            self.group_bytes as u64,
            group::MEMBERS as u64,
            group::MEMBER_BYTES as u64,
            self.partitions_at as u64,
            group::PARTITION_BYTES as u64,
            self.words as u64,
            self.words_stride as u64,
            self.checkpoints as u64,
            self.checkpoint_stride as u64,
            self.hashes as u64,
            8,
            self.descriptors as u64,
            descriptor::BYTES as u64,
            self.payload as u64,
        ];
        words[..known.len()].copy_from_slice(&known);
        words
    }
}

const _: () = assert!(control::GROUPS.is_multiple_of(LINE));
const _: () =
    assert!(control::SLEEPERS + super::geometry::GROUPS_MAX as usize / 8 <= control::WANTED);
const _: () = assert!(group::ANEW + 8 <= group::MEMBERS);
const _: () = assert!(group::MEMBER_FIRST + 8 <= group::MEMBER_BYTES);
const _: () = assert!(group::NAME + group::NAME_MAX <= group::FLOOR);
const _: () = assert!(descriptor::CHECKSUM + 8 <= descriptor::BYTES);
// Its words are moved as one row.
const _: () = assert!(descriptor::POSITION == 0 && descriptor::OFFSET == 8);
const _: () = assert!(descriptor::LENGTH == 16 && descriptor::KEY == 24);
const _: () = assert!(descriptor::TAG == 32 && descriptor::SOURCE == 40);
const _: () = assert!(descriptor::ORDER == 48 && descriptor::CHECKSUM == 56);
const _: () = assert!(header::SPARE == 27 * 8);

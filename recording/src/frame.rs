//! Frames: what a recording says.

use mixcord_blocks::Format;
use mixcord_event::sections;
use mixcord_ring::{Geometry, Meta, Position};

/// What a recording calls itself.
pub(crate) const FORMAT: Format = Format { magic: *b"mixrec\r\n", version: 1 };

/// Kinds of frames.
pub(crate) const HEAD: u8 = 1;
pub(crate) const RING: u8 = 2;
pub(crate) const RECORD: u8 = 3;
pub(crate) const LOST: u8 = 4;
pub(crate) const END: u8 = 5;

/// The sections of the head.
const STARTED: u8 = 2;
const REDACTED: u8 = 3;
const WRITER: &str = concat!("mixcord ", env!("CARGO_PKG_VERSION"));

/// How a recording was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Head {
    /// The program, with its version.
    pub writer: String,
    /// When it began, in microseconds since 1970.
    pub started_us: u64,
    /// Whether contents and names were replaced.
    pub redacted: bool,
}

/// A shard's ring, as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOf {
    /// Its number in the file.
    pub number: u16,
    /// The shard.
    pub shard: u16,
    /// Of how many.
    pub shards: u16,
    /// Its id.
    pub id: u64,
    /// The first record that may be in the file.
    pub from: Position,
    /// Its sizes.
    pub geometry: Geometry,
}

/// What a recording says, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A ring, whose records follow.
    Ring(RingOf),
    /// A record of a ring.
    Record {
        /// The ring's number in the file.
        ring: u16,
        /// Its position there.
        position: Position,
        /// What it carried.
        meta: Meta,
        /// The record.
        payload: &'a [u8],
    },
    /// Records are missing here.
    Lost {
        /// The ring's number in the file.
        ring: u16,
        /// How many.
        count: u64,
    },
    /// The recording was ended, and not cut off.
    End {
        /// Records in it.
        records: u64,
        /// Records that are missing.
        lost: u64,
    },
}

impl Head {
    pub(crate) fn new(started_us: u64, redacted: bool) -> Self {
        Self { writer: WRITER.to_owned(), started_us, redacted }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        sections::put(&mut bytes, sections::WRITER, 1, self.writer.as_bytes());
        sections::put(&mut bytes, STARTED, 1, &self.started_us.to_le_bytes());
        sections::put(&mut bytes, REDACTED, 1, &[u8::from(self.redacted)]);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let started = sections::find(bytes, STARTED, 1).and_then(<[u8]>::first_chunk);
        Self {
            writer: sections::writer(bytes).unwrap_or_default().to_owned(),
            started_us: started.map_or(0, |word| u64::from_le_bytes(*word)),
            redacted: sections::find(bytes, REDACTED, 1).is_some_and(|set| set.first() == Some(&1)),
        }
    }
}

impl RingOf {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Geometry { slots, payload_bytes, groups, partitions, members, checkpoint_bytes } =
            self.geometry;
        let mut bytes = Vec::new();
        for word in [self.number, self.shard, self.shards] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.from.to_le_bytes());
        bytes.extend_from_slice(&slots.to_le_bytes());
        bytes.extend_from_slice(&payload_bytes.to_le_bytes());
        for word in [groups, partitions, members] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&checkpoint_bytes.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (number, shard, shards) = (fields.word16()?, fields.word16()?, fields.word16()?);
        let (id, from) = (fields.word64()?, fields.word64()?);
        let slots = fields.word32()?;
        let payload_bytes = fields.word64()?;
        let (groups, partitions, members) = (fields.word16()?, fields.word16()?, fields.word16()?);
        let checkpoint_bytes = fields.word32()?;
        let geometry = Geometry::new(slots, payload_bytes, groups, partitions, members).ok()?;
        let geometry = Geometry { checkpoint_bytes, ..geometry };
        (shard < shards).then_some(Self { number, shard, shards, id, from, geometry })
    }
}

/// What stands before a record's bytes.
pub(crate) fn record_head(ring: u16, position: Position, meta: &Meta) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(42);
    bytes.extend_from_slice(&ring.to_le_bytes());
    for word in [position, meta.key, meta.tag, meta.source, meta.order] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// What is in a frame; the outer `None` for a kind that is not known, the inner for damage.
pub(crate) fn decode(kind: u8, content: &[u8]) -> Option<Option<Item<'_>>> {
    let mut fields = Fields(content);
    let item = match kind {
        RING => RingOf::decode(content).map(Item::Ring),
        RECORD => record(fields),
        LOST => {
            fields.word16().zip(fields.word64()).map(|(ring, count)| Item::Lost { ring, count })
        }
        END => {
            fields.word64().zip(fields.word64()).map(|(records, lost)| Item::End { records, lost })
        }
        _ => return None,
    };
    Some(item)
}

fn record(mut fields: Fields<'_>) -> Option<Item<'_>> {
    let (ring, position) = (fields.word16()?, fields.word64()?);
    let (key, tag) = (fields.word64()?, fields.word64()?);
    let (source, order) = (fields.word64()?, fields.word64()?);
    Some(Item::Record { ring, position, meta: Meta { key, tag, source, order }, payload: fields.0 })
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*word)
    }

    fn word16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn word32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn word64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

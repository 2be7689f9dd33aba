//! The sections of a pack's body.

use mixcord_event::sections;
use mixcord_ring::{Entry, Meta};

use super::PackError;

/// Records, one behind the other.
const RECORDS: u8 = 2;
/// A checkpoint of the shard ring: how the shard stands.
const CHECKPOINT: u8 = 3;
/// The log that this one goes on from.
const PREDECESSOR: u8 = 4;
const SECTION_VERSION: u8 = 1;
const SECTION_HEAD: usize = 6;
/// Before a record's bytes: length, key, tag, source, order.
pub(super) const ROW_HEAD: usize = 4 + 4 * 8;
/// In place of a length: the record's bytes were gone before they were sent.
const LOST: u32 = u32::MAX;

/// The log that a log goes on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Predecessor {
    /// Which.
    pub log: u64,
    /// Up to which of its positions; what stands there and behind is none of this bot's any more.
    pub position: u64,
}

/// What a pack says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Body<'a> {
    /// Beside its records.
    pub about: About<'a>,
    rows: &'a [u8],
}

/// What a pack says beside its records.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct About<'a> {
    /// How the shard stands, as the gateway's checkpoint says.
    pub checkpoint: Option<&'a [u8]>,
    /// What log came before this one.
    pub predecessor: Option<Predecessor>,
}

impl<'a> Body<'a> {
    /// Reads the sections.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let find = |section| sections::find(bytes, section, SECTION_VERSION);
        let about = About {
            checkpoint: find(CHECKPOINT),
            predecessor: find(PREDECESSOR).and_then(|content| {
                Some(Predecessor { log: word(content)?, position: word(content.get(8..)?)? })
            }),
        };
        Self { about, rows: find(RECORDS).unwrap_or_default() }
    }

    /// Its records.
    #[must_use]
    pub const fn rows(&self) -> Rows<'a> {
        Rows { rest: self.rows }
    }
}

impl About<'_> {
    /// Writes the sections that say something.
    pub(super) fn write_sections(&self, out: &mut Vec<u8>) {
        if let Some(checkpoint) = self.checkpoint {
            sections::put(out, CHECKPOINT, SECTION_VERSION, checkpoint);
        }
        if let Some(Predecessor { log, position }) = self.predecessor {
            let content = [log.to_le_bytes(), position.to_le_bytes()].concat();
            sections::put(out, PREDECESSOR, SECTION_VERSION, &content);
        }
    }
}

fn word(content: &[u8]) -> Option<u64> {
    content.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Begins the section of records; [`end_rows`] closes it.
pub(super) fn begin_rows(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    sections::put(out, RECORDS, SECTION_VERSION, &[]);
    at
}

/// Closes the section that begins at `at`.
pub(super) fn end_rows(out: &mut [u8], at: usize) {
    let len = (out.len() - at - SECTION_HEAD) as u32;
    out[at + 2..at + SECTION_HEAD].copy_from_slice(&len.to_le_bytes());
}

/// Appends a record.
pub(super) fn push_row(out: &mut Vec<u8>, entry: &Entry<'_>, lost: bool) {
    let len = if lost { LOST } else { entry.payload.len() as u32 };
    out.extend_from_slice(&len.to_le_bytes());
    for word in [entry.key, entry.tag, entry.source, entry.order] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    if !lost {
        out.extend_from_slice(entry.payload);
    }
}

/// A record of a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// What the ring's descriptor says.
    pub key: u64,
    /// As its producer gave it.
    pub tag: u64,
    /// As its producer gave it.
    pub source: u64,
    /// Its finer key, 0 where that is `key`.
    pub order: u64,
    /// Its bytes; `None` where they were gone before they could be sent.
    pub bytes: Option<&'a [u8]>,
}

impl Row<'_> {
    /// For the descriptor in another ring.
    #[must_use]
    pub fn meta(&self) -> Meta {
        Meta { key: self.key, tag: self.tag, source: self.source, order: self.order }
    }
}

/// The records of a pack, in order. A damaged rest is left out; the [`Assembler`](super::Assembler) counts them first.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
}

impl Rows<'_> {
    /// Checks that there are so many, and nothing else.
    pub(super) fn check(self, said: u32) -> Result<(), PackError> {
        let mut rows = self;
        let found = rows.by_ref().count() as u32;
        if found == said && rows.rest.is_empty() {
            Ok(())
        } else {
            Err(PackError::Count { found, said })
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<ROW_HEAD>()?;
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let field = |at: usize| head.get(at..).and_then(word).unwrap_or_default();
        let (bytes, rest) = match len {
            LOST => (None, rest),
            len => rest.split_at_checked(len as usize).map(|(bytes, rest)| (Some(bytes), rest))?,
        };
        self.rest = rest;
        Some(Row { key: field(4), tag: field(12), source: field(20), order: field(28), bytes })
    }
}

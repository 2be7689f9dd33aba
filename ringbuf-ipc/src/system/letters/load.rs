//! Reading a file from where it was read to: entries and changes, one behind the other.
//!
//! A process that is killed while it appends leaves the first part of what it appends at the very end, which the
//! next one cuts. Anything else that is no entry and no change is damage: what comes behind it is looked for, so
//! that no more is lost than was damaged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::index::Index;
use crate::core::words::letter::{CHANGE, Change, HEAD, Head, IS_CHANGE, Kept};

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whole up to there, which is its end unless somebody died while he appended.
    At(u64),
    /// Damaged: of so many entries, at least, nothing is left.
    Damaged { lost: u64 },
}

/// What lies at the end of a file and is no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Its first part.
    Torn,
    Change,
    Entry,
}

/// One item.
enum Item {
    Entry(Head),
    Change(Change),
}

impl Item {
    const fn bytes(&self) -> u64 {
        match self {
            Self::Entry(head) => head.bytes,
            Self::Change(_) => CHANGE as u64,
        }
    }
}

/// Reads a part of the file into the index. What lies beyond `longest` was not written by us.
pub(super) fn load(
    file: &File,
    ring_id: u64,
    index: &mut Index,
    part: Range<u64>,
    longest: u64,
) -> io::Result<End> {
    let (mut at, length) = (part.start, part.end.min(longest));
    let mut window = Window { file, at: 0, bytes: Vec::new(), length };
    let mut damaged = length < part.end;
    let mut lost = 0;
    // Numbers of entries that must have been there, and what was said of them later.
    let (mut missing, mut gone) = (BTreeSet::new(), BTreeSet::new());
    while at < length {
        let Some(item) = window.item(at, ring_id)? else {
            let behind = window.next_item(at + 8, ring_id)?;
            if behind.is_none() {
                let what = window.rest(at, ring_id)?;
                if what == Rest::Torn && !damaged {
                    return Ok(End::At(at));
                }
                // How many, nothing behind it says.
                lost += u64::from(what == Rest::Entry);
            }
            damaged = true;
            at = behind.unwrap_or(length);
            continue;
        };
        let end = at + item.bytes();
        match item {
            Item::Entry(head) => {
                if damaged {
                    note_missing(&mut missing, index.last(), head.number);
                }
                index.push(at, head);
            }
            Item::Change(change) => {
                if damaged {
                    note_missing(&mut missing, index.last(), change.number + 1);
                }
                if change.condition.kept == Kept::Gone {
                    gone.insert(change.number);
                }
                index.change(change);
            }
        }
        at = end;
    }
    if damaged {
        lost += missing.difference(&gone).count() as u64;
        return Ok(End::Damaged { lost });
    }
    Ok(End::At(at))
}

/// Entries between two that follow each other; of all in a file no more than are worth counting (P7).
fn note_missing(missing: &mut BTreeSet<u64>, last: u64, next: u64) {
    const MOST: usize = 1 << 16;
    let first = missing.last().map_or(last, |&noted| noted.max(last)) + 1;
    let room = MOST.saturating_sub(missing.len()) as u64;
    missing.extend(first..next.min(first + room));
}

/// What was read of a file at a time: heads of short entries are many to a read.
struct Window<'a> {
    file: &'a File,
    at: u64,
    bytes: Vec<u8>,
    length: u64,
}

impl Window<'_> {
    const BYTES: u64 = 64 << 10;

    /// So many bytes from there, or those that there are.
    fn bytes(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let wanted = (self.length - at).min(wanted as u64);
        let end = self.at + self.bytes.len() as u64;
        if at < self.at || at + wanted > end {
            self.bytes.resize(Self::BYTES.min(self.length - at) as usize, 0);
            self.at = at;
            self.file.read_exact_at(&mut self.bytes, at)?;
        }
        let first = (at - self.at) as usize;
        Ok(&self.bytes[first..first + wanted as usize])
    }

    /// The item that begins there, if it is whole.
    fn item(&mut self, at: u64, ring_id: u64) -> io::Result<Option<Item>> {
        let left = self.length - at;
        let raw = self.bytes(at, HEAD)?;
        if let Some(head) = raw.first_chunk().and_then(|raw| Head::parse(raw, ring_id)) {
            return Ok((head.bytes <= left).then_some(Item::Entry(head)));
        }
        let change = raw.first_chunk().and_then(|raw| Change::parse(raw, ring_id));
        Ok(change.map(Item::Change))
    }

    /// Where the next item begins.
    fn next_item(&mut self, from: u64, ring_id: u64) -> io::Result<Option<u64>> {
        for at in (from..self.length).step_by(8) {
            if self.item(at, ring_id)?.is_some() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// What begins there, behind which nothing comes. A torn item is whole as far as it was written.
    fn rest(&mut self, at: u64, ring_id: u64) -> io::Result<Rest> {
        let left = self.length - at;
        let raw = self.bytes(at, HEAD)?;
        let Some(bytes) = raw.get(8..16).and_then(|bytes| bytes.first_chunk()) else {
            return Ok(Rest::Torn);
        };
        let bytes = u64::from_le_bytes(*bytes);
        if bytes == CHANGE as u64 | IS_CHANGE {
            return Ok(if left < CHANGE as u64 { Rest::Torn } else { Rest::Change });
        }
        let Some(raw) = raw.first_chunk() else {
            let is_length = bytes >= HEAD as u64 && bytes.is_multiple_of(8);
            // No entry is that short.
            return Ok(if is_length { Rest::Torn } else { Rest::Change });
        };
        let is_whole = Head::parse(raw, ring_id).is_some();
        Ok(if is_whole { Rest::Torn } else { Rest::Entry })
    }
}

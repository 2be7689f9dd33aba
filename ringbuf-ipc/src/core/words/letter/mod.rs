//! What a group's file is made of: entries, each a record that is dead or was set aside, whole; and changes of
//! their state. Nothing in it is ever written over, so that whoever knows its first part has to read but the rest.
//!
//! ```text
//! entry
//! +0   head sum: of the ring id and the 13 words behind it
//! +8   bytes of the entry, a multiple of 8      +16 number: 1 for the first of the file, and so on
//! +24  state: epoch << 48 | member + 1 << 32 | deaths << 24 | failures << 16
//!             | 1 << 15 when revived | 1 << 14 when given once | state
//! +32  body sum: of the bytes from +112 on
//! +40  position   +48 key   +56 order key   +64 tag   +72 source
//! +80  when it was written, ms since 1970       +88 hash of its order key
//! +96  bytes of the reason                      +104 bytes of the payload
//! +112 reason, payload, zeros up to a multiple of 8
//!
//! change
//! +0   sum: of the ring id and the 3 words behind it
//! +8   32 | 1     +16 number of an entry before it     +24 its state from here on
//! ```
//!
//! The ring id is in the sums because payloads are what others wrote: no bytes of theirs, met after damage, are
//! taken for an entry.

mod frame;
#[cfg(all(test, not(loom)))]
mod tests;

use std::io;

use super::super::Position;
use super::lanes::Key;
use super::word::{Counts, Epoch};

/// Bytes of an entry before the reason.
pub(crate) const HEAD: usize = 112;
/// Bytes of a change.
pub(crate) const CHANGE: usize = 32;
/// What tells the length of a change from that of an entry.
pub(crate) const IS_CHANGE: u64 = 1;
/// The longest reason that is kept.
pub(crate) const REASON_MAX: usize = 8 << 10;

/// What is so of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Copied out of the ring, whose word has yet to say so: it counts if that says so.
    Prepared,
    /// Waits to be given from here.
    Waiting,
    /// Given from here to a member.
    Out,
    /// Waits for its member to try again.
    Retry,
    /// A dead letter.
    Dead,
    /// Handled, taken back or dropped: its room may be used again.
    Gone,
}

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kept: Kept,
    pub(crate) member: Option<u16>,
    pub(crate) counts: Counts,
    /// Of the group when it was last changed.
    pub(crate) epoch: Epoch,
    /// It was dead, and somebody had it given again: out of its order.
    pub(crate) revived: bool,
    /// Its member has it for the first and last time: it is gone when that dies.
    pub(crate) once: bool,
}

/// An entry without reason and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) condition: Condition,
    pub(crate) bytes: u64,
    pub(crate) number: u64,
    body_sum: u64,
    pub(crate) position: Position,
    pub(crate) key: u64,
    pub(crate) order: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) written_ms: u64,
    pub(crate) lane: Key,
    reason_bytes: u64,
    pub(crate) payload_bytes: u64,
}

/// What an entry is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) condition: Condition,
    pub(crate) position: Position,
    pub(crate) key: u64,
    pub(crate) order: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) written_ms: u64,
    pub(crate) lane: Key,
    pub(crate) reason: &'a str,
    pub(crate) payload: &'a [u8],
}

/// A change of an entry's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) condition: Condition,
}

/// What was lost to damage of a file, since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Times that damage was found.
    pub(crate) times: u64,
    /// Entries of which nothing is left, at least.
    pub(crate) lost: u64,
}

/// The file of a group, for who holds its lock.
pub(crate) trait LetterFile: std::fmt::Debug {
    /// Entries that are dead, the oldest first.
    fn dead(&self) -> Vec<Head>;
    /// Entries that wait, are out, or are being set aside, the oldest first.
    fn live(&self) -> Vec<Head>;
    /// Entries of this record that are not gone, the oldest first.
    fn of(&self, position: Position) -> Vec<Head>;
    /// Bytes that entries may take, besides those of what waits or is out.
    fn room(&self) -> u64;
    /// Appends an entry: which dead letters had to go for it, the oldest first. `Ok(None)` when there is no room
    /// for it, whatever dead letters are dropped.
    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Vec<Head>>>;
    /// Changes the state of the entry of that number.
    fn change(&mut self, number: u64, condition: Condition) -> io::Result<()>;
    /// Reason and payload of the entry of that number.
    fn body(&self, number: u64) -> io::Result<(String, Vec<u8>)>;
    /// Whether anything was appended or changed since it was opened.
    fn is_changed(&self) -> bool;
    fn damage(&self) -> Damage;
}

impl Kept {
    /// Whether it is still to be given.
    pub(crate) const fn is_live(self) -> bool {
        !matches!(self, Self::Dead | Self::Gone)
    }
}

impl Condition {
    /// As it is when its member died: what was given once is gone, anything else anybody's. A death counts only
    /// of one that is `proven`.
    #[must_use]
    pub(crate) fn orphaned(self, proven: bool) -> Self {
        let died = self.kept == Kept::Out && proven;
        let counts = if died { self.counts.died() } else { self.counts };
        let kept = if self.once && self.kept == Kept::Out { Kept::Gone } else { Kept::Waiting };
        Self { kept, member: None, counts, once: false, ..self }
    }
}

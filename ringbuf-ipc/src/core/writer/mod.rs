//! The producer's half: stage beyond the tail, publish by one store.
//!
//! [`space`] is what it may overwrite, and how it gets more; [`relief`] taking back from the absent;
//! [`restage`] what a producer that died left beyond the tail.

#[cfg(all(test, not(loom)))]
mod checkpoint_tests;
mod relief;
pub(crate) mod restage;
mod space;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::core::checkpoint::{Checkpoint, CheckpointError};
use crate::core::descriptor::{Descriptor, RECORD_MAX};
use crate::core::layout::{PRODUCER, descriptor, producer};
use crate::core::memory::{Ordering, fence};
use crate::core::words::word::Stand;
use crate::core::{Core, Position};

/// What a record carries beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// Partition key: records of one key reach one member of a group at a time, in order.
    pub key: u64,
    /// Free for the user; meant for filtering without looking at the payload.
    pub tag: u64,
    /// Free for the user; meant for the position in whatever this record came from.
    pub source: u64,
    /// A finer key, for groups that keep order by it alone; 0 where it is the same as `key`.
    pub order: u64,
}

/// Why a record was not staged. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// No room: the slowest group, or records staged and not published, hold it. Publish, then wait.
    #[error("the ring is full: wait for its slowest group")]
    Full,
    /// Longer than any record may be.
    #[error("a record of {bytes} bytes is longer than {limit}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The most there may be.
        limit: u64,
    },
    /// The file of a record too long for the ring could not be made.
    #[error("out-of-line record: {0}")]
    Io(#[from] io::Error),
}

/// Virtual offsets stay below, by centuries of records.
const NUMBER_MAX: u64 = 1 << 62;

/// How far ahead of a payload's first byte a line is sent for.
const AHEAD_BYTES: usize = 256;

/// The state only the one producer has.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    tail: Position,
    /// One past the last record written: `tail` to `tail + slots - 1`.
    staged: Position,
    /// Virtual payload offset after the last record written.
    head: u64,
    /// `head` at the tail, to go back to.
    head_at_tail: u64,
    /// Own copy of the word of that name: at most `tail`, may be beyond a group's floor.
    reserved: Position,
    /// Records before this one may be overwritten: at most `reserved`, at most every group's floor.
    safe: Position,
    /// Records from this position on need more room than `safe` gives.
    slot_limit: Position,
    /// Virtual payload offset of which the same is true.
    payload_limit: u64,
    /// Out-of-line records not yet freed, oldest first, with their sizes.
    blobs: VecDeque<(Position, u64)>,
    blob_bytes: u64,
    /// A group that held the oldest of them at the last look.
    blob_holder: u16,
    /// The tail from which on to look again, after no group held anything.
    blob_look_from: Position,
    /// Files left beyond the tail by a producer that died.
    orphans: bool,
    /// Own copy of the word of that name.
    publishes: u64,
    stalled_since: Option<u64>,
    relieved_at: u64,
    checkpoint: Checkpoint,
}

/// Damage that keeps a producer from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no complete record at position {position}, the last one published")]
pub struct TailError {
    /// The last published position.
    pub position: Position,
}

impl Writer {
    /// Goes on where the last producer was killed: at the tail.
    pub(crate) fn resume(core: Arc<Core>) -> Result<Self, TailError> {
        let tail = core.tail();
        let head = match tail.checked_sub(1) {
            None => 0,
            Some(last) => Descriptor::load(&core, last).ok_or(TailError { position: last })?.end(),
        };
        // No ring gets that far; a number beyond is damage, and sums with it would overflow.
        if tail > Stand::POSITION_MAX || head > NUMBER_MAX {
            return Err(TailError { position: tail });
        }
        let reserved = core.reserved().min(tail);
        // The announcement was the predecessor's: whoever joins now and has not seen it is seen here.
        fence(Ordering::SeqCst);
        let mut this = Self {
            tail,
            staged: tail,
            head,
            head_at_tail: head,
            reserved,
            safe: 0,
            slot_limit: 0,
            payload_limit: 0,
            blobs: VecDeque::new(),
            blob_bytes: 0,
            blob_holder: 0,
            blob_look_from: 0,
            orphans: false,
            stalled_since: None,
            relieved_at: 0,
            publishes: core.memory.load(PRODUCER + producer::PUBLISHES, Ordering::Relaxed),
            checkpoint: Checkpoint::resume(&core, tail),
            core,
        };
        let safe = reserved.min(this.lowest_floor());
        this.adopt_blobs(safe);
        this.set_safe(safe);
        this.end_stall_of_predecessor();
        this.core.ring_everybody();
        Ok(this)
    }

    pub(crate) const fn tail(&self) -> Position {
        self.tail
    }

    pub(crate) const fn staged(&self) -> Position {
        self.staged
    }

    /// Records before this one may be overwritten.
    #[cfg(all(test, loom))]
    pub(crate) const fn safe(&self) -> Position {
        self.safe
    }

    #[inline(always)]
    pub(crate) fn stage(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<Position, StageError> {
        self.stage_sealed(meta, 0, parts)
    }

    #[inline(always)]
    pub(crate) fn stage_sealed(
        &mut self,
        meta: &Meta,
        seal: u32,
        parts: &[&[u8]],
    ) -> Result<Position, StageError> {
        let length = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        if length > self.core.layout.geometry.inline_bytes() || self.orphans {
            return self.stage_out_of_line(meta, seal, length, parts);
        }
        let Some(offset) = self.place(length) else {
            return Err(StageError::Full);
        };
        let mut at = self.core.layout.payload_at(offset);
        // Readers have these lines still: they are sent for before the next record is written to them.
        self.core.memory.expect_write(at + AHEAD_BYTES);
        for part in parts {
            self.core.memory.write(at, part);
            at += part.len();
        }
        Ok(self.describe(meta, offset, length, seal << descriptor::SEAL))
    }

    /// Writes the descriptor of the next record.
    #[inline(always)]
    fn describe(&mut self, meta: &Meta, offset: u64, length: u64, flags: u32) -> Position {
        let position = self.staged;
        let length = length as u32;
        let Meta { key, tag, source, order } = *meta;
        let entry = Descriptor { position, offset, length, flags, key, tag, source, order };
        entry.store(&self.core.memory, &self.core.layout);
        self.staged = position + 1;
        self.head = entry.end();
        position
    }

    pub(crate) fn set_checkpoint(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.checkpoint.set(bytes)
    }

    #[inline]
    pub(crate) fn publish(&mut self) -> Position {
        let before = self.tail;
        self.show();
        self.core.wake_counted(before..self.tail);
        self.let_go();
        self.tail
    }

    /// The same without a wake, where there are records: whoever sleeps is to be woken for those behind the position that is
    /// given. Without records there is a checkpoint, and nothing to wait for.
    #[inline]
    pub(crate) fn publish_quietly(&mut self) -> Option<Position> {
        let before = self.tail;
        self.show();
        if self.tail == before {
            self.core.wake_counted(before..before);
        }
        self.let_go();
        (self.tail != before).then_some(before)
    }

    /// Makes what is staged visible.
    #[inline]
    fn show(&mut self) {
        if self.checkpoint.due {
            self.checkpoint.prepare(&self.core, self.tail, self.staged);
        }
        if self.staged != self.tail {
            self.tail = self.staged;
            self.head_at_tail = self.head;
            self.publishes += 1;
            self.store_own(producer::PAYLOAD_HEAD, self.head);
            self.core.memory.store(self.layout_word(producer::TAIL), self.tail, Ordering::Release);
            self.store_own(producer::PUBLISHES, self.publishes);
        }
    }

    /// Files of records that everybody has read are removed.
    #[inline]
    fn let_go(&mut self) {
        if !self.blobs.is_empty() {
            self.release_blobs();
        }
    }

    pub(crate) fn discard_staged(&mut self) {
        while self.blobs.back().is_some_and(|&(position, _)| position >= self.tail) {
            if let Some((position, bytes)) = self.blobs.pop_back() {
                self.core.environment.remove_blob(position);
                self.blob_bytes -= bytes;
            }
        }
        self.staged = self.tail;
        self.head = self.head_at_tail;
        self.checkpoint.discard();
    }

    pub(super) fn layout_word(&self, word: usize) -> usize {
        PRODUCER + word
    }

    pub(super) fn store_own(&self, word: usize, value: u64) {
        self.core.memory.store(self.layout_word(word), value, Ordering::Relaxed);
    }

    /// Adds to a word nobody else writes.
    pub(super) fn add_own(&self, word: usize, value: u64) {
        let old = self.core.memory.load(self.layout_word(word), Ordering::Relaxed);
        self.store_own(word, old.wrapping_add(value));
    }

    /// A record in a file of its own, or the first record after a producer that left such files.
    #[cold]
    #[inline(never)]
    fn stage_out_of_line(
        &mut self,
        meta: &Meta,
        seal: u32,
        length: u64,
        parts: &[&[u8]],
    ) -> Result<Position, StageError> {
        if length > RECORD_MAX {
            return Err(StageError::TooLarge { bytes: length, limit: RECORD_MAX });
        }
        let Some(offset) = self.place(length) else {
            return Err(StageError::Full);
        };
        if self.orphans {
            for (position, _) in self.core.environment.blobs()? {
                if position >= self.staged {
                    self.core.environment.remove_blob(position);
                }
            }
            self.orphans = false;
        }
        if length <= self.core.layout.geometry.inline_bytes() {
            return self.stage_sealed(meta, seal, parts);
        }
        self.core.environment.create_blob(self.staged, parts)?;
        self.blobs.push_back((self.staged, length));
        self.blob_bytes += length;
        self.add_own(producer::BLOBS, 1);
        Ok(self.describe(meta, offset, length, seal << descriptor::SEAL | descriptor::BLOB))
    }
}

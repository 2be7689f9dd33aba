//! The producer's half: stage beyond the tail, publish by one store.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::descriptor::{Descriptor, RECORD_MAX};
use super::layout::{checksum, descriptor, producer};
use super::memory::{Ordering, fence};
use super::{Core, Position};

/// What a record carries beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// Partition key: records of one key reach one member of a group at a time, in order.
    pub key: u64,
    /// Free for the user; meant for filtering without looking at the payload.
    pub tag: u64,
    /// Free for the user; meant for the position in whatever this record came from.
    pub source: u64,
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

/// A checkpoint longer than [`CHECKPOINT_MAX`](crate::Producer::CHECKPOINT_MAX).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint of {bytes} bytes is longer than {limit}")]
pub struct CheckpointError {
    /// Its length.
    pub bytes: usize,
    /// The most there may be.
    pub limit: usize,
}

/// Why records beyond the tail could not be adopted. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestageError {
    /// The intended tail lies before the tail or more than the ring beyond it.
    #[error("intended tail {intended} is not within the ring after tail {tail}")]
    OutOfRange {
        /// What was asked for.
        intended: Position,
        /// The tail.
        tail: Position,
    },
    /// There are staged records already.
    #[error("{staged} records are staged already")]
    Staged {
        /// How many.
        staged: u64,
    },
    /// What stands at `position` is no complete record.
    #[error("no complete record at position {position}")]
    Invalid {
        /// The first such position.
        position: Position,
    },
}

/// Positions and virtual offsets stay below, by centuries of records.
const NUMBER_MAX: u64 = 1 << 62;

/// The state only the one producer has.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    pub(super) tail: Position,
    /// One past the last record written.
    pub(super) staged: Position,
    /// Virtual payload offset after the last record written.
    pub(super) head: u64,
    /// `head` at the tail, to go back to.
    head_at_tail: u64,
    /// Own copy of the word of that name.
    pub(super) reserved: Position,
    /// Records before this one may be overwritten; at most `reserved`.
    pub(super) safe: Position,
    /// Records from this position on need more room than `safe` gives.
    pub(super) slot_limit: Position,
    /// Virtual payload offset of which the same is true.
    pub(super) payload_limit: u64,
    /// Out-of-line records not yet freed, oldest first, with their sizes.
    pub(super) blobs: VecDeque<(Position, u64)>,
    pub(super) blob_bytes: u64,
    /// Files left beyond the tail by a producer that died.
    orphans: bool,
    pub(super) stalled_since: Option<u64>,
    pub(super) relieved_at: u64,
    checkpoint: Checkpoint,
}

/// The checkpoint slots as the producer knows them.
#[derive(Debug)]
struct Checkpoint {
    /// Slot that holds the newest committed one, if any.
    current: Option<usize>,
    /// Number of the newest one.
    number: u64,
    /// Whether `bytes` wait for the next publish.
    waiting: bool,
    /// Kept for the next checkpoint, so that none allocates.
    bytes: Vec<u8>,
    /// A slot, with its tag and number, that a producer wrote before it died short of that tail. It is
    /// good only if just those records are adopted again.
    stale: Option<(usize, Position, u64)>,
    /// Records before this one were adopted again.
    restaged: Position,
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
        if tail > NUMBER_MAX || head > NUMBER_MAX {
            return Err(TailError { position: tail });
        }
        let reserved = core.reserved().min(tail);
        let (current, number) = newest_checkpoint(&core, tail)
            .map_or((None, 0), |found| (Some(found.slot), found.number));
        let stale = newest_checkpoint(&core, Position::MAX)
            .filter(|found| found.tag > tail)
            .map(|found| (found.slot, found.tag, found.number));
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
            orphans: false,
            stalled_since: None,
            relieved_at: 0,
            checkpoint: Checkpoint {
                current,
                number,
                waiting: false,
                bytes: Vec::new(),
                stale,
                restaged: 0,
            },
            core,
        };
        this.adopt_blobs();
        this.set_safe(reserved.min(this.lowest_floor()));
        this.end_stall_of_predecessor();
        // Sleepers of a producer that died between its store and its wake.
        fence(Ordering::SeqCst);
        this.core.wake_readers();
        Ok(this)
    }

    pub(crate) const fn tail(&self) -> Position {
        self.tail
    }

    pub(crate) const fn staged(&self) -> Position {
        self.staged
    }

    #[inline]
    pub(crate) fn stage(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<Position, StageError> {
        let length = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        if length > RECORD_MAX {
            return Err(StageError::TooLarge { bytes: length, limit: RECORD_MAX });
        }
        let blob = length > self.core.layout.geometry.inline_bytes();
        let Some(offset) = self.place(length) else {
            return Err(StageError::Full);
        };
        if blob || self.orphans {
            self.stage_blob(blob, length, parts)?;
        }
        let entry = Descriptor {
            position: self.staged,
            offset,
            length: length as u32,
            flags: if blob { descriptor::BLOB } else { 0 },
            key: meta.key,
            tag: meta.tag,
            source: meta.source,
        };
        if !blob {
            let mut at = self.core.layout.payload_at(offset);
            for part in parts {
                self.core.memory.write(at, part);
                at += part.len();
            }
        }
        entry.store(&self.core.memory, &self.core.layout);
        self.staged += 1;
        self.head = entry.end();
        Ok(entry.position)
    }

    pub(crate) fn set_checkpoint(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let limit = producer::CHECKPOINT_MAX;
        if bytes.len() > limit {
            return Err(CheckpointError { bytes: bytes.len(), limit });
        }
        self.checkpoint.bytes.clear();
        self.checkpoint.bytes.extend_from_slice(bytes);
        self.checkpoint.waiting = true;
        Ok(())
    }

    pub(crate) fn publish(&mut self) -> Position {
        if self.checkpoint.stale.is_some() && self.staged != self.tail {
            self.settle_stale_checkpoint();
        }
        if self.checkpoint.waiting {
            self.write_checkpoint();
        }
        if self.staged != self.tail {
            let records = self.layout_word(producer::TAIL);
            self.tail = self.staged;
            self.head_at_tail = self.head;
            self.store_own(producer::PAYLOAD_HEAD, self.head);
            self.core.memory.store(records, self.tail, Ordering::Release);
            self.add_own(producer::PUBLISHES, 1);
        }
        fence(Ordering::SeqCst);
        let rung = self.core.wake_readers();
        if rung != 0 {
            self.add_own(producer::WAKES, rung);
        }
        if !self.blobs.is_empty() {
            self.release_blobs();
        }
        self.tail
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
        self.checkpoint.waiting = false;
        self.checkpoint.restaged = 0;
    }

    pub(crate) fn restage(&mut self, intended: Position) -> Result<(), RestageError> {
        if self.staged != self.tail {
            return Err(RestageError::Staged { staged: self.staged - self.tail });
        }
        let slots = u64::from(self.core.layout.geometry.slots);
        if intended < self.tail || intended - self.tail >= slots {
            return Err(RestageError::OutOfRange { intended, tail: self.tail });
        }
        let mut head = self.head;
        let mut blobs = Vec::new();
        for position in self.tail..intended {
            let invalid = RestageError::Invalid { position };
            let entry = Descriptor::load(&self.core, position).ok_or_else(|| invalid.clone())?;
            let gap = entry.offset.wrapping_sub(head);
            if gap >= self.core.layout.geometry.payload_bytes {
                return Err(invalid);
            }
            if entry.is_blob() {
                blobs.push((position, u64::from(entry.length)));
            }
            head = entry.end();
        }
        let files = self.core.environment.blobs().unwrap_or_default();
        if let Some(missing) = blobs.iter().find(|blob| files.binary_search(blob).is_err()) {
            return Err(RestageError::Invalid { position: missing.0 });
        }
        self.blob_bytes += blobs.iter().map(|&(_, bytes)| bytes).sum::<u64>();
        self.blobs.extend(blobs);
        self.staged = intended;
        self.head = head;
        self.checkpoint.restaged = intended;
        Ok(())
    }

    pub(super) fn layout_word(&self, word: usize) -> usize {
        self.core.layout.producer + word
    }

    pub(super) fn store_own(&self, word: usize, value: u64) {
        self.core.memory.store(self.layout_word(word), value, Ordering::Relaxed);
    }

    /// Adds to a word nobody else writes.
    pub(super) fn add_own(&self, word: usize, value: u64) {
        let old = self.core.memory.load(self.layout_word(word), Ordering::Relaxed);
        self.store_own(word, old.wrapping_add(value));
    }

    /// Files of records: those still to be read are kept, those past removed, those beyond the tail
    /// are left for `restage` to claim or the first new record to sweep.
    fn adopt_blobs(&mut self) {
        for (position, bytes) in self.core.environment.blobs().unwrap_or_default() {
            if position >= self.tail {
                self.orphans = true;
            } else if position < self.reserved {
                self.core.environment.remove_blob(position);
            } else {
                self.blobs.push_back((position, bytes));
                self.blob_bytes += bytes;
            }
        }
    }

    #[cold]
    fn stage_blob(&mut self, blob: bool, bytes: u64, parts: &[&[u8]]) -> Result<(), StageError> {
        if std::mem::take(&mut self.orphans) {
            for (position, _) in self.core.environment.blobs()? {
                if position >= self.staged {
                    self.core.environment.remove_blob(position);
                }
            }
        }
        if blob {
            self.core.environment.create_blob(self.staged, parts)?;
            self.blobs.push_back((self.staged, bytes));
            self.blob_bytes += bytes;
            self.add_own(producer::BLOBS, 1);
        }
        Ok(())
    }

    /// Before the tail passes the tag of a checkpoint that was never committed.
    #[cold]
    fn settle_stale_checkpoint(&mut self) {
        let Some((slot, tag, number)) = self.checkpoint.stale.take() else { return };
        if tag <= self.checkpoint.restaged {
            self.checkpoint.current = Some(slot);
            self.checkpoint.number = self.checkpoint.number.max(number);
        } else {
            let sum = self.core.layout.checkpoint(slot) + producer::CHECKPOINT_SUM;
            self.core.memory.store(sum, 0, Ordering::Release);
        }
    }

    /// Fills the slot that does not hold the newest committed checkpoint.
    fn write_checkpoint(&mut self) {
        let slot = self.checkpoint.current.map_or(0, |current| 1 - current);
        self.checkpoint.number += 1;
        let at = self.core.layout.checkpoint(slot);
        let memory = &self.core.memory;
        let bytes = &self.checkpoint.bytes;
        let number = self.checkpoint.number;
        // A reader, or a producer after a crash, takes the slot only with a sum that fits.
        memory.store(at + producer::CHECKPOINT_SUM, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        memory.store(at + producer::CHECKPOINT_TAG, self.staged, Ordering::Relaxed);
        memory.store(at + producer::CHECKPOINT_LEN, bytes.len() as u64, Ordering::Relaxed);
        memory.store(at + producer::CHECKPOINT_NUMBER, number, Ordering::Relaxed);
        memory.write(at + producer::CHECKPOINT_BYTES, bytes);
        let sum = checkpoint_sum(self.staged, number, bytes);
        memory.store(at + producer::CHECKPOINT_SUM, sum, Ordering::Release);
        self.checkpoint.current = Some(slot);
        self.checkpoint.waiting = false;
    }
}

/// A committed checkpoint.
pub(crate) struct FoundCheckpoint {
    slot: usize,
    tag: Position,
    number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The newest checkpoint that belongs to `tail` or before.
pub(crate) fn newest_checkpoint(core: &Core, tail: Position) -> Option<FoundCheckpoint> {
    let mut best: Option<FoundCheckpoint> = None;
    for slot in 0..2 {
        let at = core.layout.checkpoint(slot);
        let word = |offset| core.memory.load(at + offset, Ordering::Acquire);
        let sum = word(producer::CHECKPOINT_SUM);
        let (tag, number) = (word(producer::CHECKPOINT_TAG), word(producer::CHECKPOINT_NUMBER));
        let length = word(producer::CHECKPOINT_LEN);
        if sum == 0 || tag > tail || length > producer::CHECKPOINT_MAX as u64 {
            continue;
        }
        let mut bytes = vec![0; length as usize];
        core.memory.read(at + producer::CHECKPOINT_BYTES, &mut bytes);
        if checkpoint_sum(tag, number, &bytes) != sum {
            continue;
        }
        if best.as_ref().is_none_or(|old| (old.tag, old.number) < (tag, number)) {
            best = Some(FoundCheckpoint { slot, tag, number, bytes });
        }
    }
    best
}

/// The same for those who read while the producer goes on.
pub(crate) fn current_checkpoint(core: &Core) -> Option<Vec<u8>> {
    // Both slots may be of a later tail than the one looked at; the next look finds the newer one.
    for _ in 0..64 {
        let tail = core.tail();
        if let Some(found) = newest_checkpoint(core, tail) {
            return Some(found.bytes);
        }
        if core.tail() == tail {
            break;
        }
    }
    None
}

/// Never 0.
fn checkpoint_sum(tag: Position, number: u64, bytes: &[u8]) -> u64 {
    let head = checksum(&[tag, number, bytes.len() as u64]);
    let sum = bytes.chunks(8).fold(head, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        checksum(&[sum, u64::from_le_bytes(word)])
    });
    sum | 1
}

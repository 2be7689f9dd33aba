//! The producer's checkpoint: two slots, each tagged with the tail it belongs to.

use super::layout::{checksum, producer};
use super::memory::{Ordering, fence};
use super::{Core, Position};

/// A checkpoint longer than [`checkpoint_bytes`](crate::Geometry::checkpoint_bytes).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint of {bytes} bytes is longer than {limit}")]
pub struct CheckpointError {
    /// Its length.
    pub bytes: usize,
    /// The most there may be.
    pub limit: usize,
}

/// The slots as the producer knows them.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Slot that holds the newest committed one, if any.
    current: Option<usize>,
    /// Number of the newest one.
    number: u64,
    /// Whether anything is to be done before the next publish.
    pub(super) due: bool,
    /// Whether `bytes` wait for the next publish.
    waiting: bool,
    /// Kept for the next checkpoint, so that none allocates.
    bytes: Vec<u8>,
    /// A slot, with its tag and number, that a producer wrote before it died short of that tail. It is
    /// good only if just those records are adopted again.
    stale: Option<(usize, Position, u64)>,
    /// Records before this one were adopted again.
    restaged: Position,
    /// The longest there may be, in bytes.
    limit: usize,
}

impl Checkpoint {
    /// As a producer that died at `tail` left it.
    pub(super) fn resume(core: &Core, tail: Position) -> Self {
        let (current, number) = newest_checkpoint(core, tail)
            .map_or((None, 0), |found| (Some(found.slot), found.number));
        let stale = newest_checkpoint(core, Position::MAX)
            .filter(|found| found.tag > tail)
            .map(|found| (found.slot, found.tag, found.number));
        let due = stale.is_some();
        let limit = core.layout.geometry.checkpoint_bytes as usize;
        Self { current, number, due, waiting: false, bytes: Vec::new(), stale, restaged: 0, limit }
    }

    /// Keeps `bytes` for the next publish.
    pub(super) fn set(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let limit = self.limit;
        if bytes.len() > limit {
            return Err(CheckpointError { bytes: bytes.len(), limit });
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.waiting = true;
        self.due = true;
        Ok(())
    }

    /// Records before `intended` were adopted again, and with them what was written for that tail.
    pub(super) fn restage(&mut self, intended: Position) {
        self.restaged = intended;
    }

    /// Forgets what waits.
    pub(super) fn discard(&mut self) {
        self.waiting = false;
        self.restaged = 0;
        self.due = self.stale.is_some();
    }

    /// What must be in the slots before the tail becomes `staged`.
    #[cold]
    pub(super) fn prepare(&mut self, core: &Core, tail: Position, staged: Position) {
        if staged != tail {
            self.settle_stale(core);
        }
        if self.waiting {
            self.write(core, staged);
        }
        self.due = self.stale.is_some();
    }

    /// Before the tail passes the tag of a checkpoint that was never committed.
    fn settle_stale(&mut self, core: &Core) {
        let Some((slot, tag, number)) = self.stale.take() else { return };
        if tag <= self.restaged {
            self.current = Some(slot);
            self.number = self.number.max(number);
        } else {
            let sum = core.layout.checkpoint(slot) + producer::CHECKPOINT_SUM;
            core.memory.store(sum, 0, Ordering::Release);
        }
    }

    /// Fills the slot that does not hold the newest committed checkpoint.
    fn write(&mut self, core: &Core, staged: Position) {
        let slot = self.current.map_or(0, |current| 1 - current);
        // What a dead producer left there is gone now, and nothing is left to be settled.
        self.stale = self.stale.filter(|&(stale, ..)| stale != slot);
        self.number += 1;
        let at = core.layout.checkpoint(slot);
        let memory = &core.memory;
        // A reader, or a producer after a crash, takes the slot only with a sum that fits.
        memory.store(at + producer::CHECKPOINT_SUM, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        memory.store(at + producer::CHECKPOINT_TAG, staged, Ordering::Relaxed);
        memory.store(at + producer::CHECKPOINT_LEN, self.bytes.len() as u64, Ordering::Relaxed);
        memory.store(at + producer::CHECKPOINT_NUMBER, self.number, Ordering::Relaxed);
        memory.write(at + producer::CHECKPOINT_BYTES, &self.bytes);
        let sum = checkpoint_sum(staged, self.number, &self.bytes);
        memory.store(at + producer::CHECKPOINT_SUM, sum, Ordering::Release);
        self.current = Some(slot);
        self.waiting = false;
    }
}

/// A committed checkpoint.
pub(crate) struct FoundCheckpoint {
    slot: usize,
    tag: Position,
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Writes one into a new ring, which is that of the tail.
pub(crate) fn put(core: &Core, tail: Position, number: u64, bytes: &[u8]) {
    let at = core.layout.checkpoint(0);
    let store = |offset, value| core.memory.store(at + offset, value, Ordering::Relaxed);
    store(producer::CHECKPOINT_TAG, tail);
    store(producer::CHECKPOINT_LEN, bytes.len() as u64);
    store(producer::CHECKPOINT_NUMBER, number);
    core.memory.write(at + producer::CHECKPOINT_BYTES, bytes);
    let sum = checkpoint_sum(tail, number, bytes);
    core.memory.store(at + producer::CHECKPOINT_SUM, sum, Ordering::Release);
}

/// The newest checkpoint that belongs to `tail` or before.
pub(crate) fn newest_checkpoint(core: &Core, tail: Position) -> Option<FoundCheckpoint> {
    let mut best: Option<FoundCheckpoint> = None;
    for slot in 0..2 {
        let at = core.layout.checkpoint(slot);
        let word = |offset| core.acquire(at + offset);
        let sum = word(producer::CHECKPOINT_SUM);
        let (tag, number) = (word(producer::CHECKPOINT_TAG), word(producer::CHECKPOINT_NUMBER));
        let length = word(producer::CHECKPOINT_LEN);
        if sum == 0 || tag > tail || length > core.layout.geometry.checkpoint_bytes.into() {
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

/// Whether every checkpoint that is there, committed or not, begins with `prefix`. Cheaper than reading
/// one by far; while one is written the answer may be false though both do.
pub(crate) fn all_begin_with<const N: usize>(core: &Core, prefix: &[u8; N]) -> bool {
    let mut some = false;
    for slot in 0..2 {
        let at = core.layout.checkpoint(slot);
        if core.acquire(at + producer::CHECKPOINT_NUMBER) == 0 {
            continue;
        }
        let length = core.acquire(at + producer::CHECKPOINT_LEN);
        let mut found = [0; N];
        core.memory.read(at + producer::CHECKPOINT_BYTES, &mut found);
        // Behind a short one stand bytes of the one before.
        if length < N as u64 || found != *prefix {
            return false;
        }
        some = true;
    }
    some
}

/// Never 0.
pub(crate) fn checkpoint_sum(tag: Position, number: u64, bytes: &[u8]) -> u64 {
    let head = checksum(&[tag, number, bytes.len() as u64]);
    let sum = bytes.chunks(8).fold(head, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        checksum(&[sum, u64::from_le_bytes(word)])
    });
    sum | 1
}

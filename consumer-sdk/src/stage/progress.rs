//! How far a stage is, as it stands in the checkpoint of its ring: committed with the events that came of it.

use mixcord_event::{sections, status};
use mixcord_ring::Position;

/// The section of this, which grows at its end only.
const SECTION: u8 = 2;
const VERSION: u8 = 1;
/// Who writes it.
const WRITER: &str = concat!("mixcord ", env!("CARGO_PKG_VERSION"));
const WORDS: usize = 9;

/// How far a stage is, and what it did since its ring was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The id of the ring that it reads.
    pub(crate) source: u64,
    /// Every record of it before this one is done, and no other.
    pub(crate) position: Position,
    /// Whether a process is at work, or was until it died.
    pub(super) running: bool,
    /// How many processes began the record at `position`, and nothing else, and died.
    pub(super) begun: u8,
    pub(crate) passed: u64,
    pub(crate) changed: u64,
    pub(crate) dropped: u64,
    pub(crate) added: u64,
    /// Events with which the function failed for the last time.
    pub(crate) failed: u64,
}

impl Progress {
    /// What a ring says before its stage joins a source for the first time. No ring has the id 0.
    pub(super) const FIRST: Self = Self {
        source: 0,
        position: 1,
        running: false,
        begun: 0,
        passed: 0,
        changed: 0,
        dropped: 0,
        added: 0,
        failed: 0,
    };

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let state = u64::from(self.running) | u64::from(self.begun) << 8;
        let words: [u64; WORDS] = [
            self.source,
            self.position,
            state,
            self.passed,
            self.changed,
            self.dropped,
            self.added,
            self.failed,
            0,
        ];
        let content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![status::CHECKPOINT];
        sections::put(&mut bytes, sections::WRITER, 1, WRITER.as_bytes());
        sections::put(&mut bytes, SECTION, VERSION, &content);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) of any release wrote; `None` for anything else.
    pub(crate) fn read(checkpoint: &[u8]) -> Option<Self> {
        let sections = checkpoint.strip_prefix(&[status::CHECKPOINT])?;
        let content = sections::find(sections, SECTION, VERSION)?;
        let mut words = content
            .chunks_exact(8)
            .map(|word| word.first_chunk().map_or(0, |word: &[u8; 8]| u64::from_le_bytes(*word)));
        let mut next = || words.next().unwrap_or(0);
        let (source, position, state) = (next(), next(), next());
        Some(Self {
            source,
            position,
            running: state & 1 == 1,
            begun: (state >> 8) as u8,
            passed: next(),
            changed: next(),
            dropped: next(),
            added: next(),
            failed: next(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: Progress = Progress {
        source: 0x0102_0304_0506_0708,
        position: 77,
        running: true,
        begun: 3,
        passed: 5,
        changed: 6,
        dropped: 7,
        added: 8,
        failed: 9,
    };

    /// P11: what a stage of 2026-11 left.
    #[test]
    fn the_bytes_of_this_release_are_read_by_the_next() {
        let words: [u64; 8] = [0x0102_0304_0506_0708, 77, 1 | 3 << 8, 5, 6, 7, 8, 9];
        let content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![status::CHECKPOINT];
        sections::put(&mut bytes, 99, 1, b"of a later release");
        sections::put(&mut bytes, 2, 1, &content);
        assert_eq!(Progress::read(&bytes), Some(PROGRESS));
        assert_eq!(Progress::read(&PROGRESS.to_bytes()), Some(PROGRESS));
    }

    #[test]
    fn p8_other_bytes_are_none() {
        let bytes = PROGRESS.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Progress::read(&bytes[..end]), None);
        }
        assert_eq!(Progress::read(&[0xff; 99]), None);
    }
}

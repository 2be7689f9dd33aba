//! The dead letters and asides of a group of a private ring: what `letters` keeps in a file, in a list.

use std::io;

use crate::core::words::letter::{
    Appended, Condition, HEAD, Head, Kept, LetterFile, Parts, Placed, STATE_AT,
};

/// Entries one behind the other. The place of an entry is its number, and never used again.
#[derive(Debug)]
pub(crate) struct LetterList {
    entries: Vec<Placed>,
    bytes: Vec<Vec<u8>>,
    next: u64,
    /// Bytes that entries may take.
    limit: u64,
    changed: bool,
}

impl LetterList {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { entries: Vec::new(), bytes: Vec::new(), next: 0, limit, changed: false }
    }

    /// Somebody looks at it anew.
    pub(crate) const fn begin(&mut self) {
        self.changed = false;
    }

    fn used(&self, counts: impl Fn(Kept) -> bool) -> u64 {
        let counted = self.entries.iter().filter(|entry| counts(entry.head.condition.kept));
        counted.map(|entry| entry.head.bytes).sum()
    }

    fn retain(&mut self, keep: impl Fn(&Placed) -> bool) {
        let mut kept = self.entries.iter().map(&keep);
        self.bytes.retain(|_| kept.next() == Some(true));
        drop(kept);
        self.entries.retain(keep);
    }
}

impl LetterFile for LetterList {
    fn entries(&self) -> &[Placed] {
        &self.entries
    }

    fn room(&self) -> u64 {
        let stays = |kept| !matches!(kept, Kept::Gone | Kept::Dead);
        self.limit.saturating_sub(self.used(stays))
    }

    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Appended>> {
        let bytes = parts.encode();
        if self.room() < bytes.len() as u64 {
            return Ok(None);
        }
        self.retain(|entry| entry.head.condition.kept != Kept::Gone);
        let mut dropped = Vec::new();
        while self.used(|_| true) + bytes.len() as u64 > self.limit {
            let oldest = self.entries.iter().find(|entry| entry.head.condition.kept == Kept::Dead);
            let Some(oldest) = oldest.copied() else { return Ok(None) };
            self.retain(|entry| entry.at != oldest.at);
            dropped.push(oldest.head);
        }
        let head = bytes.first_chunk().and_then(Head::parse).ok_or(io::ErrorKind::InvalidData)?;
        self.entries.push(Placed { at: self.next, head });
        self.bytes.push(bytes);
        self.next += 1;
        self.changed = true;
        Ok(Some(Appended { dropped }))
    }

    fn change(&mut self, at: u64, condition: Condition) -> io::Result<()> {
        self.changed = true;
        if let Ok(index) = self.entries.binary_search_by_key(&at, |entry| entry.at) {
            self.entries[index].head.condition = condition;
            let state = STATE_AT as usize;
            self.bytes[index][state..state + 8].copy_from_slice(&condition.word().to_le_bytes());
        }
        Ok(())
    }

    fn body(&self, entry: &Placed) -> io::Result<(String, Vec<u8>)> {
        let index = self.entries.binary_search_by_key(&entry.at, |entry| entry.at);
        let bytes = index.ok().and_then(|index| self.bytes.get(index));
        let bytes = bytes.and_then(|bytes| bytes.get(HEAD..)).ok_or(io::ErrorKind::NotFound)?;
        entry.head.body(bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn trim(&mut self) -> io::Result<()> {
        if !self.entries.iter().any(|entry| entry.head.condition.kept != Kept::Gone) {
            self.retain(|_| false);
        }
        Ok(())
    }

    fn is_changed(&self) -> bool {
        self.changed
    }
}

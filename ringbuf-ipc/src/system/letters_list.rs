//! The dead letters and asides of a group of a private ring: what `letters` keeps in a file, in memory.

use std::collections::HashMap;
use std::io;

use super::letters::index::Index;
use crate::core::Position;
use crate::core::words::letter::{Change, Condition, Damage, HEAD, Head, Kept, LetterFile, Parts};

/// Entries by their numbers, which are never used again.
#[derive(Debug)]
pub(crate) struct LetterList {
    index: Index,
    /// What stands behind the head of each.
    bodies: HashMap<u64, Vec<u8>>,
    /// Bytes that entries may take.
    limit: u64,
    changed: bool,
}

impl LetterList {
    pub(crate) fn new(limit: u64) -> Self {
        Self { index: Index::default(), bodies: HashMap::new(), limit, changed: false }
    }

    /// Somebody looks at it anew.
    pub(crate) const fn begin(&mut self) {
        self.changed = false;
    }
}

impl LetterFile for LetterList {
    fn dead(&self) -> Vec<Head> {
        self.index.dead().collect()
    }

    fn live(&self) -> Vec<Head> {
        self.index.live().collect()
    }

    fn of(&self, position: Position) -> Vec<Head> {
        self.index.of(position).collect()
    }

    fn room(&self) -> u64 {
        self.index.room(self.limit)
    }

    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Vec<Head>>> {
        if parts.bytes() > self.room() {
            return Ok(None);
        }
        let number = self.index.last() + 1;
        let bytes = parts.encode(0, number);
        let head = bytes.first_chunk().and_then(|raw| Head::parse(raw, 0));
        self.index.push(0, head.ok_or(io::ErrorKind::InvalidData)?);
        self.bodies.insert(number, bytes[HEAD..].to_vec());
        self.changed = true;
        let mut dropped = Vec::new();
        while let Some(oldest) = self.index.surplus(self.limit, number) {
            self.change(oldest.number, Condition { kept: Kept::Gone, ..oldest.condition })?;
            dropped.push(oldest);
        }
        Ok(Some(dropped))
    }

    fn change(&mut self, number: u64, condition: Condition) -> io::Result<()> {
        self.changed = true;
        self.index.change(Change { number, condition });
        if condition.kept == Kept::Gone {
            self.bodies.remove(&number);
        }
        Ok(())
    }

    fn body(&self, number: u64) -> io::Result<(String, Vec<u8>)> {
        let head = self.index.get(number).ok_or(io::ErrorKind::NotFound)?.head;
        let body = self.bodies.get(&number).ok_or(io::ErrorKind::NotFound)?;
        head.body(body).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn is_changed(&self) -> bool {
        self.changed
    }

    fn damage(&self) -> Damage {
        Damage::default()
    }
}

//! What is in a file, in the memory of a process that has read it.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Position;
use crate::core::words::letter::{Change, Head, Kept};

/// Entries that are not gone.
#[derive(Debug, Default)]
pub(in crate::system) struct Index {
    /// By their numbers.
    entries: BTreeMap<u64, Placed>,
    by_position: BTreeSet<(Position, u64)>,
    live: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// Bytes of all entries, and of those that are live.
    used: u64,
    live_bytes: u64,
    /// Number of the last entry in the file.
    last: u64,
}

/// An entry and where it begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::system) struct Placed {
    pub(in crate::system) at: u64,
    pub(in crate::system) head: Head,
}

impl Index {
    pub(in crate::system) fn push(&mut self, at: u64, head: Head) {
        self.last = self.last.max(head.number);
        // No two have one number, whatever the file says.
        self.remove(head.number);
        if head.condition.kept != Kept::Gone {
            self.insert(Placed { at, head });
        }
    }

    /// Nothing happens to an entry that is gone.
    pub(in crate::system) fn change(&mut self, Change { number, condition }: Change) {
        let Some(mut placed) = self.remove(number) else { return };
        placed.head.condition = condition;
        if condition.kept != Kept::Gone {
            self.insert(placed);
        }
    }

    pub(in crate::system) fn get(&self, number: u64) -> Option<Placed> {
        self.entries.get(&number).copied()
    }

    pub(in crate::system) fn all(&self) -> impl Iterator<Item = Placed> + '_ {
        self.entries.values().copied()
    }

    pub(in crate::system) fn live(&self) -> impl Iterator<Item = Head> + '_ {
        self.live.iter().map(|number| self.entries[number].head)
    }

    pub(in crate::system) fn dead(&self) -> impl Iterator<Item = Head> + '_ {
        self.dead.iter().map(|number| self.entries[number].head)
    }

    pub(in crate::system) fn of(&self, position: Position) -> impl Iterator<Item = Head> + '_ {
        let numbers = self.by_position.range((position, 0)..=(position, u64::MAX));
        numbers.map(|(_, number)| self.entries[number].head)
    }

    pub(in crate::system) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that entries may still take, of `limit`: dead letters make room.
    pub(in crate::system) const fn room(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.live_bytes)
    }

    /// The dead letter that has to go while entries take more than `limit` bytes: the oldest, but never `newest`.
    pub(in crate::system) fn surplus(&self, limit: u64, newest: u64) -> Option<Head> {
        if self.used <= limit {
            return None;
        }
        self.dead().next().filter(|dead| dead.number != newest)
    }

    pub(in crate::system) const fn used(&self) -> u64 {
        self.used
    }

    pub(in crate::system) const fn last(&self) -> u64 {
        self.last
    }

    fn insert(&mut self, placed: Placed) {
        let Head { number, position, bytes, condition, .. } = placed.head;
        if condition.kept.is_live() {
            self.live.insert(number);
            self.live_bytes += bytes;
        } else {
            self.dead.insert(number);
        }
        self.used += bytes;
        self.by_position.insert((position, number));
        self.entries.insert(number, placed);
    }

    fn remove(&mut self, number: u64) -> Option<Placed> {
        let placed = self.entries.remove(&number)?;
        let Head { position, bytes, .. } = placed.head;
        if self.live.remove(&number) {
            self.live_bytes -= bytes;
        }
        self.dead.remove(&number);
        self.used -= bytes;
        self.by_position.remove(&(position, number));
        Some(placed)
    }
}

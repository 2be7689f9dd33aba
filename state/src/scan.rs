//! Ranges of entities, read page by page.

use std::ops::RangeInclusive;

use mixcord_event::Document;

use crate::query::{entity, listed};
use crate::{Found, Key, Read, Resource, StoreError, Table, Txn};

/// A page ends with this many keys, or behind the entity that fills these bytes: little memory, and
/// a snapshot that is soon given up.
const KEYS: usize = 256;
const BYTES: usize = 1 << 20;

/// Entities of one resource in the order of their ids, and how far they were read. It holds nothing
/// of the store between two pages.
#[derive(Clone, Debug)]
pub struct Scan {
    table: Table,
    /// What is left to read.
    range: Option<RangeInclusive<Key>>,
    newest_first: bool,
    limit: usize,
}

impl Scan {
    /// Every entity of a resource, those of one guild (of one channel, for messages) after the other.
    #[must_use]
    pub fn all(resource: Resource) -> Self {
        Self::new(resource.table(), Key::all())
    }

    /// The entities of a resource that one guild has, or one channel for messages.
    #[must_use]
    pub fn of(resource: Resource, owner: u64) -> Self {
        Self::new(resource.table(), Key::all_of(owner))
    }

    /// At most `limit` messages of a channel that are older than `id`, the newest first.
    #[must_use]
    pub fn messages_before(channel: u64, id: u64, limit: usize) -> Self {
        let range = Key::pair(channel, 0)..=Key::pair(channel, id.saturating_sub(1));
        let limit = if id == 0 { 0 } else { limit };
        Self { newest_first: true, limit, ..Self::new(Table::Messages, range) }
    }

    /// At most `limit` messages of a channel that are newer than `id`, the oldest first.
    #[must_use]
    pub fn messages_after(channel: u64, id: u64, limit: usize) -> Self {
        let range = Key::pair(channel, id.saturating_add(1))..=Key::pair(channel, u64::MAX);
        let limit = if id == u64::MAX { 0 } else { limit };
        Self { limit, ..Self::new(Table::Messages, range) }
    }

    /// Whether nothing is left to read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.range.is_none() || self.limit == 0
    }

    const fn new(table: Table, range: RangeInclusive<Key>) -> Self {
        Self { table, range: Some(range), newest_first: false, limit: usize::MAX }
    }

    /// The next entities. After an error there are none.
    pub(crate) fn page(&mut self, txn: &Txn<'_>) -> Result<Vec<Found>, StoreError> {
        let Some(range) = self.range.take().filter(|_| self.limit > 0) else {
            return Ok(Vec::new());
        };
        let (first, last) = (*range.start(), *range.end());
        let count = self.limit.min(KEYS);
        let mut keys = Vec::with_capacity(count);
        let mut visit = |key: Key, _: &[u8]| {
            keys.push(key);
            keys.len() < count
        };
        if self.newest_first {
            txn.scan_back(self.table, range, &mut visit)?;
        } else {
            txn.scan(self.table, range, &mut visit)?;
        }
        let (mut page, mut bytes, mut read) = (Vec::new(), 0, 0);
        for &key in &keys {
            if bytes >= BYTES {
                break;
            }
            bytes += self.read(txn, key, &mut page)?;
            read += 1;
        }
        if let Some(&key) = keys.get(read.max(1) - 1)
            && (read < keys.len() || keys.len() == count)
        {
            self.range = if self.newest_first {
                key.before().filter(|before| first <= *before).map(|before| first..=before)
            } else {
                key.following(self.table).filter(|next| *next <= last).map(|next| next..=last)
            };
        }
        self.limit -= read;
        Ok(page)
    }

    /// Adds what stands under a key; says how many bytes it has.
    fn read(&self, txn: &Txn<'_>, key: Key, page: &mut Vec<Found>) -> Result<usize, StoreError> {
        let (owner, id) =
            if self.table.is_wide() { (key.owner(), key.id()) } else { (0, key.owner()) };
        if matches!(self.table, Table::Emojis | Table::Stickers) {
            let list = txn.get(self.table, key)?.unwrap_or_default();
            for (item_id, item) in listed(list) {
                page.push(Found { owner: id, id: item_id, document: item.to_document() });
            }
            return Ok(list.len());
        }
        let mut out = Vec::new();
        if !entity(txn, self.table, key, &mut out)? {
            return Ok(0);
        }
        let bytes = out.len();
        page.push(Found { owner, id, document: Document::trusted(out) });
        Ok(bytes)
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

//! Ranges of entities, read page by page.

use std::ops::RangeInclusive;

use mixcord_event::{Document, Value, atoms};

use crate::query::{entity, listed};
use crate::{Found, Key, Read, Resource, StoreError, Table, Txn, compose};

/// A page ends with this many keys, or behind the entity that fills these bytes: little memory, and
/// a snapshot that is soon given up.
const KEYS: usize = 256;
const BYTES: usize = 1 << 20;

/// Entities of one resource in the order of their ids, and how far they were read. It holds nothing
/// of the store between two pages.
#[derive(Clone, Debug)]
pub struct Scan {
    source: Source,
    /// What is left to read.
    range: Option<RangeInclusive<Key>>,
    newest_first: bool,
    limit: usize,
}

/// What the keys of a range are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Those of a table.
    Table(Table),
    /// A channel and the ids of messages in its history.
    History,
}

/// An entity to be read.
#[derive(Clone, Copy)]
struct Place {
    /// Its place in the range.
    at: Key,
    /// Its key in the table.
    key: Key,
}

impl Scan {
    /// Every entity of a resource, those of one guild after the other; messages in the order in which
    /// they were received.
    #[must_use]
    pub fn all(resource: Resource) -> Self {
        Self::new(Source::Table(resource.table()), Key::all())
    }

    /// The entities of a resource that one guild has, or one channel for messages.
    #[must_use]
    pub fn of(resource: Resource, owner: u64) -> Self {
        let source = match resource.table() {
            Table::Messages => Source::History,
            table => Source::Table(table),
        };
        Self::new(source, Key::all_of(owner))
    }

    /// At most `limit` messages of a channel that are older than `id`, the newest first.
    #[must_use]
    pub fn messages_before(channel: u64, id: u64, limit: usize) -> Self {
        let range = Key::pair(channel, 0)..=Key::pair(channel, id.saturating_sub(1));
        let limit = if id == 0 { 0 } else { limit };
        Self { newest_first: true, limit, ..Self::new(Source::History, range) }
    }

    /// At most `limit` messages of a channel that are newer than `id`, the oldest first.
    #[must_use]
    pub fn messages_after(channel: u64, id: u64, limit: usize) -> Self {
        let range = Key::pair(channel, id.saturating_add(1))..=Key::pair(channel, u64::MAX);
        let limit = if id == u64::MAX { 0 } else { limit };
        Self { limit, ..Self::new(Source::History, range) }
    }

    /// Whether nothing is left to read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.range.is_none() || self.limit == 0
    }

    const fn new(source: Source, range: RangeInclusive<Key>) -> Self {
        Self { source, range: Some(range), newest_first: false, limit: usize::MAX }
    }

    /// The next entities. After an error there are none.
    pub(crate) fn page(&mut self, txn: &Txn<'_>) -> Result<Vec<Found>, StoreError> {
        let Some(range) = self.range.take().filter(|_| self.limit > 0) else {
            return Ok(Vec::new());
        };
        let (first, last) = (*range.start(), *range.end());
        let count = self.limit.min(KEYS);
        let places = match self.source {
            Source::Table(table) => in_table(txn, table, range, count)?,
            Source::History => self.in_history(txn, &range, count)?,
        };
        let (mut page, mut bytes, mut read) = (Vec::new(), 0, 0);
        for &place in &places {
            if bytes >= BYTES {
                break;
            }
            bytes += self.read(txn, place, &mut page)?;
            read += 1;
        }
        if let Some(place) = places.get(read.max(1) - 1)
            && (read < places.len() || places.len() == count)
        {
            self.range = if self.newest_first {
                place.at.before().filter(|before| first <= *before).map(|before| first..=before)
            } else {
                self.following(place.at).filter(|next| *next <= last).map(|next| next..=last)
            };
        }
        self.limit -= read;
        Ok(page)
    }

    /// The next key there could be.
    fn following(&self, key: Key) -> Option<Key> {
        match self.source {
            Source::Table(table) => key.following(table),
            Source::History => key.following(Table::ChannelFacts),
        }
    }

    /// The first messages of a channel in a range of their ids, or the last ones.
    fn in_history(
        &self,
        txn: &Txn<'_>,
        range: &RangeInclusive<Key>,
        count: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let channel = range.start().owner();
        let Some(facts) = compose::facts_of_channel(txn, channel)? else { return Ok(Vec::new()) };
        let found = facts.history_in(range.start().id()..=range.end().id());
        let found =
            found.map(|message| Place { at: Key::pair(channel, message.id), key: message.key() });
        Ok(if self.newest_first {
            found.rev().take(count).collect()
        } else {
            found.take(count).collect()
        })
    }

    /// Adds what stands in a place; says how many bytes it has.
    fn read(
        &self,
        txn: &Txn<'_>,
        place: Place,
        page: &mut Vec<Found>,
    ) -> Result<usize, StoreError> {
        let Place { at, key } = place;
        let table = match self.source {
            Source::Table(table) => table,
            Source::History => Table::Messages,
        };
        if matches!(table, Table::Emojis | Table::Stickers) {
            let list = txn.get(table, key)?.unwrap_or_default();
            for (id, item) in listed(list) {
                page.push(Found { owner: at.owner(), id, document: item.to_document() });
            }
            return Ok(list.len());
        }
        let mut out = Vec::new();
        if !entity(txn, table, key, &mut out)? {
            return Ok(0);
        }
        let (owner, id) = match self.source {
            Source::Table(Table::Messages) => (channel_of(&out), at.id()),
            Source::Table(table) if !table.is_wide() => (0, at.owner()),
            _ => (at.owner(), at.id()),
        };
        let bytes = out.len();
        page.push(Found { owner, id, document: Document::trusted(out) });
        Ok(bytes)
    }
}

fn in_table(
    txn: &Txn<'_>,
    table: Table,
    range: RangeInclusive<Key>,
    count: usize,
) -> Result<Vec<Place>, StoreError> {
    let mut places = Vec::new();
    txn.scan(table, range, &mut |key, _| {
        places.push(Place { at: key, key });
        places.len() < count
    })?;
    Ok(places)
}

/// The channel a message says it is in.
fn channel_of(message: &[u8]) -> u64 {
    let channel = compose::stored_map(message).get(atoms::CHANNEL_ID);
    channel.and_then(Value::as_id).unwrap_or(0)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

//! Ranges of entities, read page by page.

use mixcord_event::{Atom, Document, Value, atoms};

use crate::query::{entity, listed, look};
use crate::settle::settle;
use crate::source::Source as Store;
use crate::{Arena, Found, Key, Range, Read, Resource, StoreError, Table, View, compose};

/// A page ends with this many keys, or behind the entity that fills these bytes: little memory.
const KEYS: usize = 256;
const BYTES: usize = 1 << 20;

/// Entities of one resource in the order of their ids, and how far they were read. It holds nothing
/// of the store between two pages.
#[derive(Clone, Debug)]
pub struct Scan {
    source: Source,
    limit: usize,
}

/// What is left to read.
#[derive(Clone, Debug)]
enum Source {
    Nothing,
    /// Entities of a table.
    Table(Range),
    /// Messages of a channel, by the ids in its history.
    History {
        channel: u64,
        first: u64,
        last: u64,
        newest_first: bool,
    },
}

impl Scan {
    /// Every entity of a resource, those of one guild after the other; messages in the order in which
    /// they were received.
    #[must_use]
    pub const fn all(resource: Resource) -> Self {
        Self::new(Source::Table(resource.table().all()), usize::MAX)
    }

    /// The entities of a resource that one guild has, or one channel for messages.
    #[must_use]
    pub const fn of(resource: Resource, owner: u64) -> Self {
        match resource.table() {
            Table::Messages => Self::history(owner, 0, u64::MAX, usize::MAX, false),
            table => Self::new(Source::Table(table.of_guild(owner)), usize::MAX),
        }
    }

    /// At most `limit` messages of a channel that are older than `id`, the newest first.
    #[must_use]
    pub const fn messages_before(channel: u64, id: u64, limit: usize) -> Self {
        match id.checked_sub(1) {
            Some(last) => Self::history(channel, 0, last, limit, true),
            None => Self::new(Source::Nothing, 0),
        }
    }

    /// At most `limit` messages of a channel that are newer than `id`, the oldest first.
    #[must_use]
    pub const fn messages_after(channel: u64, id: u64, limit: usize) -> Self {
        match id.checked_add(1) {
            Some(first) => Self::history(channel, first, u64::MAX, limit, false),
            None => Self::new(Source::Nothing, 0),
        }
    }

    /// Whether nothing is left to read.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.source, Source::Nothing) || self.limit == 0
    }

    const fn new(source: Source, limit: usize) -> Self {
        Self { source, limit }
    }

    const fn history(
        channel: u64,
        first: u64,
        last: u64,
        limit: usize,
        newest_first: bool,
    ) -> Self {
        Self::new(Source::History { channel, first, last, newest_first }, limit)
    }

    /// The next entities. After an error there are none.
    pub(crate) fn page(&mut self, store: &Store) -> Result<Vec<Found>, StoreError> {
        settle(&store.reader);
        let mut page = Page { store, arena: Arena::default(), found: Vec::new(), bytes: 0 };
        let count = self.limit.min(KEYS);
        let source = std::mem::replace(&mut self.source, Source::Nothing);
        let (rest, read) = match source {
            Source::Nothing => (Source::Nothing, 0),
            _ if count == 0 => (Source::Nothing, 0),
            Source::Table(range) => page.of_table(range, count)?,
            Source::History { .. } => page.of_history(source, count)?,
        };
        self.source = rest;
        self.limit -= read;
        Ok(page.found)
    }
}

/// A page on its way.
struct Page<'r> {
    store: &'r Store,
    arena: Arena,
    found: Vec<Found>,
    bytes: usize,
}

impl Page<'_> {
    fn of_table(&mut self, range: Range, count: usize) -> Result<(Source, usize), StoreError> {
        let mut keys = Vec::new();
        View::new(self.store, &self.arena).keys(range, &mut |key| {
            keys.push(key);
            keys.len() < count
        })?;
        let read = self.read(&keys, |key, bytes| match key.table() {
            Table::Messages => (id_in(bytes, atoms::CHANNEL_ID), id_in(bytes, atoms::ID)),
            table if !table.is_of_pairs() => (0, key.owner()),
            _ => (key.owner(), key.id()),
        })?;
        let more = read < keys.len() || keys.len() == count;
        let rest = read.checked_sub(1).filter(|_| more).and_then(|last| range.behind(keys[last]));
        Ok((rest.map_or(Source::Nothing, Source::Table), read))
    }

    /// The first messages of a channel in a range of their ids, or the last ones.
    fn of_history(&mut self, source: Source, count: usize) -> Result<(Source, usize), StoreError> {
        let Source::History { channel, first, last, newest_first } = source else {
            return Ok((source, 0));
        };
        let view = View::new(self.store, &self.arena);
        let Some(facts) = compose::facts_of_channel(&view, channel)? else {
            return Ok((Source::Nothing, 0));
        };
        let held = facts.history_in(first..=last);
        let messages: Vec<_> = match newest_first {
            true => held.rev().take(count).collect(),
            false => held.take(count).collect(),
        };
        let keys: Vec<Key> = messages.iter().map(|message| message.key()).collect();
        let mut ids = messages.iter().map(|message| message.id);
        let read = self.read(&keys, |_, bytes| (channel, id_in(bytes, atoms::ID)))?;
        let reached = read.checked_sub(1).and_then(|last| ids.nth(last));
        let more = reached.filter(|_| read < keys.len() || keys.len() == count);
        let rest = match (more, newest_first) {
            (None, _) => None,
            (Some(id), true) => id.checked_sub(1).map(|last| (first, last)),
            (Some(id), false) => id.checked_add(1).map(|first| (first, last)),
        };
        let rest = rest.filter(|(first, last)| first <= last);
        let rest = rest.map_or(Source::Nothing, |(first, last)| Source::History {
            channel,
            first,
            last,
            newest_first,
        });
        Ok((rest, read))
    }

    /// Adds what stands under keys, until the page is full; says how many of them were looked at.
    fn read(
        &mut self,
        keys: &[Key],
        name: impl Fn(Key, &[u8]) -> (u64, u64),
    ) -> Result<usize, StoreError> {
        for (read, &key) in keys.iter().enumerate() {
            if self.bytes >= BYTES {
                return Ok(read);
            }
            self.arena.clear();
            if matches!(key.table(), Table::Emojis | Table::Stickers) {
                let view = View::new(self.store, &self.arena);
                let list = view.get(key)?.unwrap_or_default();
                for (id, item) in listed(list) {
                    let document = item.to_document();
                    self.found.push(Found { owner: key.owner(), id, document });
                }
                self.bytes += list.len();
                continue;
            }
            let composed = look(
                || self.store.batches(),
                || {
                    self.arena.clear();
                    let mut out = Vec::new();
                    let view = View::new(self.store, &self.arena);
                    // That it is gone meanwhile is an answer too.
                    Ok(Some(entity(&view, key, &mut out)?.then_some(out)))
                },
            )?;
            if let Some(out) = composed.flatten() {
                let (owner, id) = name(key, &out);
                self.bytes += out.len();
                self.found.push(Found { owner, id, document: Document::trusted(out) });
            }
        }
        Ok(keys.len())
    }
}

/// An id that a message says.
fn id_in(message: &[u8], key: Atom) -> u64 {
    compose::stored_map(message).get(key).and_then(Value::as_id).unwrap_or(0)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

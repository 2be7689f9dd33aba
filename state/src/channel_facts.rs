//! What is known about a channel or thread beside its own fields: its guild, its last message, and which of
//! its messages are cached.
//!
//! Messages themselves stand in the order in which they were received, whatever their channel: new ones
//! come behind all others, and old ones go from the front. A channel's history says which are its own.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::tables::MESSAGES;
use crate::{Key, Range};

/// A channel's `last_message_id`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LastMessage {
    /// Nobody said.
    #[default]
    Unknown,
    /// Null: there is none.
    None,
    /// This one.
    Id(u64),
}

/// A message that is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cached {
    /// Its id.
    pub id: u64,
    /// When its record was received, in microseconds since 1970.
    pub received_us: u64,
}

impl Cached {
    /// Where it stands in [`Table::Messages`](crate::Table::Messages): Discord gives an id to one message
    /// only, whatever its channel.
    ///
    /// The owner is the minute (2^26 µs) of the receipt with that of the id, in which Discord puts when a
    /// message was sent; the rest of both is the id: so those of one minute stand in one list, in the order
    /// of their receipt, and a new one at its end.
    #[must_use]
    pub const fn key(self) -> Key {
        let (owner, id) = by_time(self.received_us, self.id);
        MESSAGES.at(owner, id)
    }

    /// When the message under such a key was received.
    #[must_use]
    pub const fn received_us_of(key: Key) -> u64 {
        time_of(key)
    }

    /// The messages that were received up to the end of a time's minute.
    #[must_use]
    pub const fn received_by(time_us: u64) -> Range {
        MESSAGES.up_to(time_us | (u64::MAX >> ID_BITS))
    }

    fn from_entry(entry: &Entry) -> Self {
        let [id, received_us] = [0, 8]
            .map(|at| entry[at..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number)));
        Self { id, received_us }
    }

    fn to_entry(self) -> Entry {
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&self.id.to_le_bytes());
        entry[8..].copy_from_slice(&self.received_us.to_le_bytes());
        entry
    }
}

/// A message's minute: so many of the bits of its receive time are within it, and as many of its id's
/// are beside it.
pub(crate) const MINUTE_BITS: u32 = 26;
pub(crate) const ID_BITS: u32 = u64::BITS - MINUTE_BITS;

/// Owner and id of what stands in the order of a time, see [`Cached::key`].
pub(crate) const fn by_time(time_us: u64, id: u64) -> (u64, u64) {
    let owner = (time_us >> MINUTE_BITS) << MINUTE_BITS | id >> ID_BITS;
    (owner, time_us << ID_BITS | id & (u64::MAX >> MINUTE_BITS))
}

/// The time in such a key.
pub(crate) const fn time_of(key: Key) -> u64 {
    (key.owner() >> MINUTE_BITS) << MINUTE_BITS | key.id() >> ID_BITS
}

/// Id and receive time.
type Entry = [u8; 16];

/// A value of [`Table::ChannelMap`](crate::Table::ChannelMap): as it stands in the store, or with changes.
///
/// The guild, a tag and an id for the last message, then sixteen bytes for each cached message in the order
/// of their ids. Stores of before [`CHANNELS_WHOLE_SINCE`](crate::format::CHANNELS_WHOLE_SINCE) have it in two
/// parts: the guild, and what is behind it ([`Table::ChannelFacts`](crate::Table::ChannelFacts)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelFacts<'a> {
    bytes: Cow<'a, [u8]>,
}

/// Where the tag stands, and the id.
const TAG: usize = 8;
const LAST: usize = 9;
/// Bytes before the history.
const HEAD: usize = 17;

impl<'a> ChannelFacts<'a> {
    /// Of a channel or thread of this guild, 0 for a private channel, nothing else is known.
    #[must_use]
    pub fn of(guild: u64) -> ChannelFacts<'static> {
        let mut bytes = vec![0; HEAD];
        bytes[..TAG].copy_from_slice(&guild.to_le_bytes());
        ChannelFacts { bytes: Cow::Owned(bytes) }
    }

    /// Reads a value.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let history = bytes.get(HEAD..)?;
        let whole = bytes[TAG] <= 2 && history.len().is_multiple_of(size_of::<Entry>());
        whole.then_some(Self { bytes: Cow::Borrowed(bytes) })
    }

    /// The same, for changes; [`ChannelFacts::into_bytes`] gives the buffer back.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Option<ChannelFacts<'static>> {
        ChannelFacts::from_bytes(&bytes)?;
        Some(ChannelFacts { bytes: Cow::Owned(bytes) })
    }

    /// The value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its two parts: the guild, and the rest.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(TAG)
    }

    /// The guild; 0 for a private channel.
    #[must_use]
    pub fn guild(&self) -> u64 {
        self.bytes.first_chunk().map_or(0, |guild| u64::from_le_bytes(*guild))
    }

    /// It is in another guild.
    pub fn set_guild(&mut self, guild: u64) {
        self.bytes.to_mut()[..TAG].copy_from_slice(&guild.to_le_bytes());
    }

    /// The same, independent of the store.
    #[must_use]
    pub fn into_owned(self) -> ChannelFacts<'static> {
        ChannelFacts { bytes: Cow::Owned(self.bytes.into_owned()) }
    }

    /// The value's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// Its last message.
    #[must_use]
    pub fn last_message(&self) -> LastMessage {
        let id = self.bytes[LAST..].first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
        match self.bytes[TAG] {
            0 => LastMessage::Unknown,
            1 => LastMessage::None,
            _ => LastMessage::Id(id),
        }
    }

    /// Sets the last message.
    pub fn set_last_message(&mut self, message: LastMessage) {
        let (tag, id) = match message {
            LastMessage::Unknown => (0, 0),
            LastMessage::None => (1, 0),
            LastMessage::Id(id) => (2, id),
        };
        let bytes = self.bytes.to_mut();
        bytes[TAG] = tag;
        bytes[LAST..HEAD].copy_from_slice(&id.to_le_bytes());
    }

    /// How many messages are cached.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    /// The cached messages, in the order of their ids.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = Cached> + '_ {
        self.entries().iter().map(Cached::from_entry)
    }

    /// Those with ids in `range`.
    pub fn history_in(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = Cached> + '_ {
        let entries = self.entries();
        let first = entries.partition_point(|entry| Cached::from_entry(entry).id < *range.start());
        let behind = entries.partition_point(|entry| Cached::from_entry(entry).id <= *range.end());
        entries[first..behind.max(first)].iter().map(Cached::from_entry)
    }

    /// A message, if it is cached.
    #[must_use]
    pub fn message(&self, id: u64) -> Option<Cached> {
        let place = self.place(id).ok()?;
        Some(Cached::from_entry(&self.entries()[place]))
    }

    /// Adds a message; gives the one with its id that was there.
    pub fn insert(&mut self, message: Cached) -> Option<Cached> {
        let entry = message.to_entry();
        match self.place(message.id) {
            Ok(place) => {
                let earlier = Cached::from_entry(&self.entries()[place]);
                self.bytes.to_mut()[span(place)].copy_from_slice(&entry);
                Some(earlier)
            }
            Err(place) => {
                let at = span(place).start;
                self.bytes.to_mut().splice(at..at, entry);
                None
            }
        }
    }

    /// Takes out the first messages, those with the lowest ids.
    pub fn remove_first(&mut self, count: usize) {
        let end = span(count.min(self.count())).start;
        self.bytes.to_mut().drain(HEAD..end);
    }

    /// Keeps only the messages for which `keep` says so; takes one pass, however many go.
    pub fn retain(&mut self, mut keep: impl FnMut(Cached) -> bool) {
        let bytes = self.bytes.to_mut();
        let entries = bytes[HEAD..].as_chunks_mut::<{ size_of::<Entry>() }>().0;
        let mut kept = 0;
        for place in 0..entries.len() {
            if keep(Cached::from_entry(&entries[place])) {
                entries[kept] = entries[place];
                kept += 1;
            }
        }
        bytes.truncate(span(kept).start);
    }

    /// Takes all messages out.
    pub fn clear_history(&mut self) {
        self.bytes.to_mut().truncate(HEAD);
    }

    fn entries(&self) -> &[Entry] {
        self.bytes[HEAD..].as_chunks().0
    }

    /// Where a message is, or would be.
    fn place(&self, id: u64) -> Result<usize, usize> {
        let entries = self.entries();
        // Nearly every message that comes is the newest.
        if entries.last().is_none_or(|last| Cached::from_entry(last).id < id) {
            return Err(entries.len());
        }
        entries.binary_search_by_key(&id, |entry| Cached::from_entry(entry).id)
    }
}

/// The bytes of the entry at a place.
const fn span(place: usize) -> std::ops::Range<usize> {
    let at = HEAD + place * size_of::<Entry>();
    at..at + size_of::<Entry>()
}

#[cfg(test)]
mod tests;

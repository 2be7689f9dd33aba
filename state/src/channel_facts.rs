//! What is known about a channel or thread beside its own fields: its last message, and which of its
//! messages are cached.
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

/// A value of [`Table::ChannelFacts`](crate::Table::ChannelFacts): as it stands in the store, or with
/// changes.
///
/// A tag and an id for the last message, then sixteen bytes for each cached message in the order of
/// their ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelFacts<'a> {
    bytes: Cow<'a, [u8]>,
}

/// Bytes before the history.
const HEAD: usize = 9;

impl Default for ChannelFacts<'_> {
    fn default() -> Self {
        Self { bytes: Cow::Borrowed(&[0; HEAD]) }
    }
}

impl<'a> ChannelFacts<'a> {
    /// Reads a value.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let history = bytes.get(HEAD..)?;
        let whole = bytes[0] <= 2 && history.len().is_multiple_of(size_of::<Entry>());
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
        let id = self.bytes[1..].first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
        match self.bytes[0] {
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
        bytes[0] = tag;
        bytes[1..HEAD].copy_from_slice(&id.to_le_bytes());
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
mod tests {
    use super::*;

    fn cached(id: u64) -> Cached {
        Cached { id, received_us: 1_000 + id }
    }

    fn ids(facts: &ChannelFacts<'_>) -> Vec<u64> {
        facts.history().map(|message| message.id).collect()
    }

    #[test]
    fn messages_stand_in_the_order_of_their_receipt_and_no_two_in_one_place() {
        let sent = |us: u64, n: u64| ((us / 1000 - 1_420_070_400_000) << 22) | n;
        let begin = 1_795_080_861_000_000;
        let mut keys = Vec::new();
        for received_us in (begin..begin + 200_000_000).step_by(999_983) {
            keys.push(Cached { id: sent(received_us - 80_000, 1), received_us }.key());
        }
        assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
        keys.dedup_by_key(|key| key.owner());
        assert!(keys.len() <= 8, "{} owners", keys.len());
        let odd = [0, 1, u64::MAX, 1 << 38, (1 << 38) - 1, 1 << 63];
        let times = [0, 1, begin, begin + 1, (1 << 52) - 1, 1 << 26, (1 << 26) - 1];
        let all =
            odd.iter().flat_map(|&id| times.map(|received_us| Cached { id, received_us }.key()));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), odd.len() * times.len());
    }

    #[test]
    fn a_key_says_when_its_message_was_received() {
        for received_us in [0, 1, (1 << 26) - 1, 1 << 26, 1_795_080_861_000_001] {
            let minute = received_us >> 26 << 26;
            let range = Cached::received_by(received_us);
            for id in [0, 1, 1 << 38, u64::MAX] {
                let key = Cached { id, received_us }.key();
                assert_eq!(Cached::received_us_of(key), received_us);
                assert!(range.contains(key));
                assert!(range.contains(Cached { id, received_us: minute }.key()));
                assert!(!range.contains(Cached { id, received_us: minute + (1 << 26) }.key()));
            }
        }
    }

    #[test]
    fn a_history_stays_in_the_order_of_ids() {
        let mut facts = ChannelFacts::default();
        for id in [5, 9, 7, 3] {
            assert_eq!(facts.insert(cached(id)), None);
        }
        let again = Cached { received_us: 1, ..cached(7) };
        assert_eq!(facts.insert(again), Some(cached(7)));
        assert_eq!(ids(&facts), [3, 5, 7, 9]);
        assert_eq!(facts.message(7), Some(again));
        assert_eq!(facts.message(4), None);
        let between = |range| facts.history_in(range).map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(between(4..=7), [5, 7]);
        assert_eq!(between(0..=u64::MAX).len(), 4);
        #[expect(clippy::reversed_empty_ranges, reason = "a range that is empty")]
        let none = between(7..=4);
        assert!(none.is_empty());
    }

    #[test]
    fn messages_go_by_choice_or_from_the_front() {
        let mut facts = ChannelFacts::default();
        facts.set_last_message(LastMessage::Id(9));
        for id in 1..=6 {
            facts.insert(cached(id));
        }
        facts.retain(|message| !matches!(message.id, 2 | 5 | 6));
        assert_eq!((facts.count(), ids(&facts)), (3, vec![1, 3, 4]));
        facts.remove_first(2);
        assert_eq!(ids(&facts), [4]);
        facts.remove_first(2);
        assert_eq!((facts.count(), facts.last_message()), (0, LastMessage::Id(9)));
    }

    #[test]
    fn facts_come_back_as_written() {
        for last_message in [LastMessage::Unknown, LastMessage::None, LastMessage::Id(u64::MAX)] {
            let mut facts = ChannelFacts::default();
            facts.insert(cached(1));
            facts.set_last_message(last_message);
            let bytes = facts.as_bytes().to_vec();
            let mut read = ChannelFacts::from_bytes(&bytes).unwrap();
            assert_eq!((read.last_message(), ids(&read)), (last_message, vec![1]));
            read.clear_history();
            assert_eq!((read.last_message(), read.count()), (last_message, 0));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [&[][..], &[0; 8], &[3; 9], &[0; 10], &[0; 24]] {
            assert_eq!(ChannelFacts::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}

//! What a group's file is made of: entries, each a record that is dead or was set aside, whole; and changes of
//! their state. Nothing in it is ever written over, so that whoever knows its first part has to read but the rest.
//!
//! ```text
//! entry
//! +0   head sum: of the ring id and the 13 words behind it
//! +8   bytes of the entry, a multiple of 8      +16 number: 1 for the first of the file, and so on
//! +24  state: epoch << 48 | member + 1 << 32 | deaths << 24 | failures << 16
//!             | 1 << 15 when revived | 1 << 14 when given once | state
//! +32  body sum: of the bytes from +112 on
//! +40  position   +48 key   +56 order key   +64 tag   +72 source
//! +80  when it was written, ms since 1970       +88 hash of its order key
//! +96  bytes of the reason                      +104 bytes of the payload
//! +112 reason, payload, zeros up to a multiple of 8
//!
//! change
//! +0   sum: of the ring id and the 3 words behind it
//! +8   32 | 1     +16 number of an entry before it     +24 its state from here on
//! ```
//!
//! The ring id is in the sums because payloads are what others wrote: no bytes of theirs, met after damage, are
//! taken for an entry.

use std::io;

use super::super::Position;
use super::super::descriptor::RECORD_MAX;
use super::super::layout::checksum;
use super::lanes::Key;
use super::word::{Counts, Epoch};

/// Bytes of an entry before the reason.
pub(crate) const HEAD: usize = 112;
/// Bytes of a change.
pub(crate) const CHANGE: usize = 32;
/// What tells the length of a change from that of an entry.
pub(crate) const IS_CHANGE: u64 = 1;
/// The longest reason that is kept.
pub(crate) const REASON_MAX: usize = 8 << 10;

/// No file has so many entries. A number beyond it was not written by us, whatever its sum says (P8): counting
/// on from one that is not can never overflow.
const NUMBER_MAX: u64 = 1 << 48;

/// What is so of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Copied out of the ring, whose word has yet to say so: it counts if that says so.
    Prepared,
    /// Waits to be given from here.
    Waiting,
    /// Given from here to a member.
    Out,
    /// Waits for its member to try again.
    Retry,
    /// A dead letter.
    Dead,
    /// Handled, taken back or dropped: its room may be used again.
    Gone,
}

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kept: Kept,
    pub(crate) member: Option<u16>,
    pub(crate) counts: Counts,
    /// Of the group when it was last changed.
    pub(crate) epoch: Epoch,
    /// It was dead, and somebody had it given again: out of its order.
    pub(crate) revived: bool,
    /// Its member has it for the first and last time: it is gone when that dies.
    pub(crate) once: bool,
}

/// An entry without reason and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) condition: Condition,
    pub(crate) bytes: u64,
    pub(crate) number: u64,
    body_sum: u64,
    pub(crate) position: Position,
    pub(crate) key: u64,
    pub(crate) order: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) written_ms: u64,
    pub(crate) lane: Key,
    reason_bytes: u64,
    pub(crate) payload_bytes: u64,
}

/// What an entry is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) condition: Condition,
    pub(crate) position: Position,
    pub(crate) key: u64,
    pub(crate) order: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) written_ms: u64,
    pub(crate) lane: Key,
    pub(crate) reason: &'a str,
    pub(crate) payload: &'a [u8],
}

/// A change of an entry's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) condition: Condition,
}

/// What was lost to damage of a file, since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Times that damage was found.
    pub(crate) times: u64,
    /// Entries of which nothing is left, at least.
    pub(crate) lost: u64,
}

/// The file of a group, for who holds its lock.
pub(crate) trait LetterFile: std::fmt::Debug {
    /// Entries that are dead, the oldest first.
    fn dead(&self) -> Vec<Head>;
    /// Entries that wait, are out, or are being set aside, the oldest first.
    fn live(&self) -> Vec<Head>;
    /// Entries of this record that are not gone, the oldest first.
    fn of(&self, position: Position) -> Vec<Head>;
    /// Bytes that entries may take, besides those of what waits or is out.
    fn room(&self) -> u64;
    /// Appends an entry: which dead letters had to go for it, the oldest first. `Ok(None)` when there is no room
    /// for it, whatever dead letters are dropped.
    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Vec<Head>>>;
    /// Changes the state of the entry of that number.
    fn change(&mut self, number: u64, condition: Condition) -> io::Result<()>;
    /// Reason and payload of the entry of that number.
    fn body(&self, number: u64) -> io::Result<(String, Vec<u8>)>;
    /// Whether anything was appended or changed since it was opened.
    fn is_changed(&self) -> bool;
    fn damage(&self) -> Damage;
}

impl Kept {
    /// Whether it is still to be given.
    pub(crate) const fn is_live(self) -> bool {
        !matches!(self, Self::Dead | Self::Gone)
    }
}

impl Condition {
    fn word(self) -> u64 {
        let member = self.member.map_or(0, |member| u64::from(member) + 1);
        let Counts { failures, deaths } = self.counts;
        self.epoch.bits() << 48
            | (member & 0xFFFF) << 32
            | u64::from(deaths) << 24
            | u64::from(failures) << 16
            | u64::from(self.revived) << 15
            | u64::from(self.once) << 14
            | self.kept as u64
    }

    /// `None` for what no condition is.
    fn of(word: u64) -> Option<Self> {
        let kept = match word & 0x3FFF {
            0 => Kept::Prepared,
            1 => Kept::Waiting,
            2 => Kept::Out,
            3 => Kept::Retry,
            4 => Kept::Dead,
            5 => Kept::Gone,
            _ => return None,
        };
        let counts = Counts { failures: (word >> 16) as u8, deaths: (word >> 24) as u8 };
        let member = ((word >> 32) as u16).checked_sub(1);
        let epoch = Epoch::from_bits((word >> 48) as u16);
        let (revived, once) = (word & 0x8000 != 0, word & 0x4000 != 0);
        Some(Self { kept, member, counts, epoch, revived, once })
    }

    /// As it is when its member died: what was given once is gone, anything else anybody's. A death counts only
    /// of one that is `proven`.
    #[must_use]
    pub(crate) fn orphaned(self, proven: bool) -> Self {
        let died = self.kept == Kept::Out && proven;
        let counts = if died { self.counts.died() } else { self.counts };
        let kept = if self.once && self.kept == Kept::Out { Kept::Gone } else { Kept::Waiting };
        Self { kept, member: None, counts, once: false, ..self }
    }
}

impl Parts<'_> {
    /// The bytes of the entry.
    pub(crate) fn encode(&self, ring_id: u64, number: u64) -> Vec<u8> {
        let mut end = self.reason.len().min(REASON_MAX);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = &self.reason.as_bytes()[..end];
        let mut entry = vec![0; HEAD];
        entry.extend_from_slice(reason);
        entry.extend_from_slice(self.payload);
        entry.resize(entry.len().next_multiple_of(8), 0);
        let head = Head {
            condition: self.condition,
            bytes: entry.len() as u64,
            number,
            body_sum: sum_of(&entry[HEAD..]),
            position: self.position,
            key: self.key,
            order: self.order,
            tag: self.tag,
            source: self.source,
            written_ms: self.written_ms,
            lane: self.lane,
            reason_bytes: reason.len() as u64,
            payload_bytes: self.payload.len() as u64,
        };
        entry[..HEAD].copy_from_slice(&head.encode(ring_id));
        entry
    }

    /// How many bytes that will be.
    pub(crate) fn bytes(&self) -> u64 {
        (HEAD + self.reason.len().min(REASON_MAX) + self.payload.len()).next_multiple_of(8) as u64
    }
}

impl Head {
    pub(crate) fn encode(&self, ring_id: u64) -> [u8; HEAD] {
        sealed(
            ring_id,
            [
                0,
                self.bytes,
                self.number,
                self.condition.word(),
                self.body_sum,
                self.position,
                self.key,
                self.order,
                self.tag,
                self.source,
                self.written_ms,
                self.lane.into(),
                self.reason_bytes,
                self.payload_bytes,
            ],
        )
    }

    /// Parses a head; `None` for bytes that are none. No number of it is used before its sum is seen to fit.
    pub(crate) fn parse(raw: &[u8; HEAD], ring_id: u64) -> Option<Self> {
        let [
            _,
            bytes,
            number,
            state,
            body_sum,
            position,
            key,
            order,
            tag,
            source,
            written_ms,
            lane,
            reason_bytes,
            payload_bytes,
        ] = unsealed::<{ HEAD / 8 }>(raw, ring_id)?;
        let condition = Condition::of(state)?;
        let whole = reason_bytes
            .checked_add(payload_bytes)?
            .checked_add(HEAD as u64)?
            .checked_next_multiple_of(8)?;
        let fits = bytes == whole
            && reason_bytes <= REASON_MAX as u64
            && payload_bytes <= RECORD_MAX
            && (1..=NUMBER_MAX).contains(&number);
        fits.then_some(Self {
            condition,
            bytes,
            number,
            body_sum,
            position,
            key,
            order,
            tag,
            source,
            written_ms,
            lane: lane as Key,
            reason_bytes,
            payload_bytes,
        })
    }

    /// Whether these bytes behind the head are those that were written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len() as u64 == self.bytes - HEAD as u64 && sum_of(body) == self.body_sum
    }

    /// Reason and payload, of the bytes behind the head; `None` when they are not those that were written.
    pub(crate) fn body(&self, body: &[u8]) -> Option<(String, Vec<u8>)> {
        if !self.fits(body) {
            return None;
        }
        let (reason, rest) = body.split_at(self.reason_bytes as usize);
        let payload = &rest[..self.payload_bytes as usize];
        Some((String::from_utf8_lossy(reason).into_owned(), payload.to_vec()))
    }
}

impl Change {
    pub(crate) fn encode(&self, ring_id: u64) -> [u8; CHANGE] {
        sealed(ring_id, [0, CHANGE as u64 | IS_CHANGE, self.number, self.condition.word()])
    }

    /// `None` for bytes that are none.
    pub(crate) fn parse(raw: &[u8; CHANGE], ring_id: u64) -> Option<Self> {
        let [_, bytes, number, state] = unsealed::<{ CHANGE / 8 }>(raw, ring_id)?;
        let condition = Condition::of(state)?;
        let fits = bytes == CHANGE as u64 | IS_CHANGE && number <= NUMBER_MAX;
        fits.then_some(Self { number, condition })
    }
}

/// Little-endian words, the first of them a sum of the others.
fn sealed<const WORDS: usize, const BYTES: usize>(
    ring_id: u64,
    mut words: [u64; WORDS],
) -> [u8; BYTES] {
    words[0] = seal(ring_id, &words);
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn unsealed<const WORDS: usize>(bytes: &[u8], ring_id: u64) -> Option<[u64; WORDS]> {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut little = [0; 8];
        little.copy_from_slice(bytes);
        *word = u64::from_le_bytes(little);
    }
    (seal(ring_id, &words) == words[0]).then_some(words)
}

fn seal(ring_id: u64, words: &[u64]) -> u64 {
    checksum(&[ring_id, checksum(&words[1..])])
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(checksum(&[bytes.len() as u64]), |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        checksum(&[sum, u64::from_le_bytes(word)])
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn parts<'a>(reason: &'a str, payload: &'a [u8]) -> Parts<'a> {
        let counts = Counts { failures: 200, deaths: 3 };
        let condition = Condition {
            kept: Kept::Dead,
            member: Some(63),
            counts,
            epoch: Epoch::of(4_000),
            revived: true,
            once: true,
        };
        let (position, key, order, tag, source) = (1 << 40, 2, 3, 4, 5);
        let (written_ms, lane) = (6, 8);
        Parts { condition, position, key, order, tag, source, written_ms, lane, reason, payload }
    }

    #[test]
    fn what_is_encoded_is_parsed_and_no_bit_may_change() {
        let entry = parts("no such channel", b"payload").encode(7, 3);
        assert_eq!(parts("no such channel", b"payload").bytes(), entry.len() as u64);
        assert_eq!(entry.len() % 8, 0);
        let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
        let parsed = Head::parse(head, 7).unwrap();
        assert_eq!(parsed.bytes, entry.len() as u64);
        assert_eq!(parsed.condition, parts("", b"").condition);
        assert_eq!((parsed.position, parsed.lane, parsed.number), (1 << 40, 8, 3));
        assert_eq!(Head::parse(head, 8), None, "of another ring");
        assert_eq!(parsed.encode(7), *head);
        let expected = ("no such channel".to_owned(), b"payload".to_vec());
        assert_eq!(parsed.body(body), Some(expected));
        for bit in 0..HEAD * 8 {
            let mut broken = *head;
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::parse(&broken, 7), None, "bit {bit}");
        }
        for bit in 0..body.len() * 8 {
            let mut broken = body.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parsed.body(&broken), None, "bit {bit}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let entry = parts(&"ü".repeat(REASON_MAX), b"x").encode(7, 1);
        let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
        let (reason, payload) = Head::parse(head, 7).unwrap().body(body).unwrap();
        assert_eq!((reason.chars().count(), &payload[..]), (REASON_MAX / 2, &b"x"[..]));
    }

    #[test]
    fn no_bit_of_a_change_may_change() {
        let change = Change { number: 9, condition: parts("", b"").condition };
        let bytes = change.encode(7);
        assert_eq!(Change::parse(&bytes, 7), Some(change));
        assert_eq!(Change::parse(&bytes, 8), None, "of another ring");
        for bit in 0..CHANGE * 8 {
            let mut broken = bytes;
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Change::parse(&broken, 7), None, "bit {bit}");
        }
    }

    #[test]
    fn what_was_given_once_is_gone_with_its_member() {
        let once = Condition { kept: Kept::Out, ..parts("", b"").condition };
        assert_eq!(once.orphaned(true).kept, Kept::Gone);
        let again = Condition { once: false, ..once }.orphaned(true);
        assert_eq!((again.kept, again.member, again.counts.deaths), (Kept::Waiting, None, 4));
        let unproven = Condition { once: false, ..once }.orphaned(false);
        assert_eq!(unproven.counts.deaths, 3);
    }
}

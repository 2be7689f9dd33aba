//! One entry of a group's file: a record that is dead, or was set aside, whole.
//!
//! ```text
//! +0   head sum: of the 13 words behind it but the state
//! +8   state, changed in place:
//!      epoch << 48 | member + 1 << 32 | deaths << 24 | failures << 16 | 1 << 15 when revived | state
//! +16  bytes of the entry, a multiple of 8      +24 body sum: of the bytes from +112 on
//! +32  position   +40 key   +48 order key   +56 tag   +64 source
//! +72  when it was written, ms since 1970       +80 times given       +88 hash of its order key
//! +96  bytes of the reason                      +104 bytes of the payload
//! +112 reason, payload, zeros up to a multiple of 8
//! ```

use std::io;

use super::super::Position;
use super::super::descriptor::RECORD_MAX;
use super::super::layout::checksum;
use super::lanes::Key;
use super::word::{Counts, Epoch};

/// Bytes before the reason.
pub(crate) const HEAD: usize = 112;
/// Where the state word is.
pub(crate) const STATE_AT: u64 = 8;
/// The longest reason that is kept.
pub(crate) const REASON_MAX: usize = 8 << 10;

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

/// The state word of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kept: Kept,
    pub(crate) member: Option<u16>,
    pub(crate) counts: Counts,
    /// Of the group when it was last changed.
    pub(crate) epoch: Epoch,
    /// It was dead, and somebody had it given again: out of its order.
    pub(crate) revived: bool,
}

/// An entry without reason and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) condition: Condition,
    pub(crate) bytes: u64,
    body_sum: u64,
    pub(crate) position: Position,
    pub(crate) key: u64,
    pub(crate) order: u64,
    pub(crate) tag: u64,
    pub(crate) source: u64,
    pub(crate) written_ms: u64,
    pub(crate) given: u64,
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
    pub(crate) given: u64,
    pub(crate) lane: Key,
    pub(crate) reason: &'a str,
    pub(crate) payload: &'a [u8],
}

/// An entry and where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) at: u64,
    pub(crate) head: Head,
}

/// What was appended, and what had to go for it.
#[derive(Debug)]
pub(crate) struct Appended {
    /// Dead letters that were dropped, the oldest first.
    pub(crate) dropped: Vec<Head>,
}

/// The file of a group, for who holds its lock.
pub(crate) trait LetterFile: std::fmt::Debug {
    /// All entries that are there, oldest first.
    fn entries(&self) -> &[Placed];
    /// Bytes that entries may take, besides those of what waits or is out.
    fn room(&self) -> u64;
    /// Appends an entry. `Ok(None)` when there is no room for it, whatever dead letters are dropped.
    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Appended>>;
    /// Changes the state of the entry that begins at `at`.
    fn change(&mut self, at: u64, condition: Condition) -> io::Result<()>;
    /// Reason and payload of an entry.
    fn body(&self, entry: &Placed) -> io::Result<(String, Vec<u8>)>;
    /// Cuts a file in which nothing is left that matters.
    fn trim(&mut self) -> io::Result<()>;
    /// Whether anything was appended or changed since it was opened.
    fn is_changed(&self) -> bool;
}

impl Condition {
    pub(crate) fn word(self) -> u64 {
        let member = self.member.map_or(0, |member| u64::from(member) + 1);
        let Counts { failures, deaths } = self.counts;
        self.epoch.bits() << 48
            | (member & 0xFFFF) << 32
            | u64::from(deaths) << 24
            | u64::from(failures) << 16
            | u64::from(self.revived) << 15
            | self.kept as u64
    }

    /// `None` for what no condition is.
    fn of(word: u64) -> Option<Self> {
        let kept = match word & 0x7FFF {
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
        Some(Self { kept, member, counts, epoch, revived: word & 0x8000 != 0 })
    }
}

impl Parts<'_> {
    /// The bytes of the entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut end = self.reason.len().min(REASON_MAX);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = &self.reason.as_bytes()[..end];
        let bytes = (HEAD + reason.len() + self.payload.len()).next_multiple_of(8);
        let mut entry = Vec::with_capacity(bytes);
        entry.resize(HEAD, 0);
        entry.extend_from_slice(reason);
        entry.extend_from_slice(self.payload);
        entry.resize(bytes, 0);
        let words = [
            bytes as u64,
            sum_of(&entry[HEAD..]),
            self.position,
            self.key,
            self.order,
            self.tag,
            self.source,
            self.written_ms,
            self.given,
            self.lane.into(),
            reason.len() as u64,
            self.payload.len() as u64,
        ];
        entry[..8].copy_from_slice(&checksum(&words).to_le_bytes());
        entry[8..16].copy_from_slice(&self.condition.word().to_le_bytes());
        for (place, word) in entry[16..HEAD].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        entry
    }
}

impl Head {
    /// Parses a head; `None` for bytes that are none. No number of it is used before its sum is seen to fit.
    pub(crate) fn parse(raw: &[u8; HEAD]) -> Option<Self> {
        let mut words = [0; HEAD / 8];
        for (word, bytes) in words.iter_mut().zip(raw.chunks_exact(8)) {
            let mut little = [0; 8];
            little.copy_from_slice(bytes);
            *word = u64::from_le_bytes(little);
        }
        if checksum(&words[2..]) != words[0] {
            return None;
        }
        let [
            _,
            state,
            bytes,
            body_sum,
            position,
            key,
            order,
            tag,
            source,
            written_ms,
            given,
            lane,
            reason_bytes,
            payload_bytes,
        ] = words;
        let condition = Condition::of(state)?;
        let whole = reason_bytes
            .checked_add(payload_bytes)?
            .checked_add(HEAD as u64)?
            .checked_next_multiple_of(8)?;
        (bytes == whole && reason_bytes <= REASON_MAX as u64 && payload_bytes <= RECORD_MAX)
            .then_some(Self {
                condition,
                bytes,
                body_sum,
                position,
                key,
                order,
                tag,
                source,
                written_ms,
                given,
                lane: lane as Key,
                reason_bytes,
                payload_bytes,
            })
    }

    /// Reason and payload, of the bytes behind the head; `None` when they are not those that were written.
    pub(crate) fn body(&self, body: &[u8]) -> Option<(String, Vec<u8>)> {
        if body.len() as u64 != self.bytes - HEAD as u64 || sum_of(body) != self.body_sum {
            return None;
        }
        let (reason, rest) = body.split_at(self.reason_bytes as usize);
        let payload = &rest[..self.payload_bytes as usize];
        Some((String::from_utf8_lossy(reason).into_owned(), payload.to_vec()))
    }
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
        };
        let (position, key, order, tag, source) = (1 << 40, 2, 3, 4, 5);
        let (written_ms, given, lane) = (6, 7, 8);
        Parts {
            condition,
            position,
            key,
            order,
            tag,
            source,
            written_ms,
            given,
            lane,
            reason,
            payload,
        }
    }

    #[test]
    fn what_is_encoded_is_parsed_and_no_bit_may_change() {
        let entry = parts("no such channel", b"payload").encode();
        assert_eq!(entry.len() % 8, 0);
        let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
        let parsed = Head::parse(head).unwrap();
        assert_eq!(parsed.bytes, entry.len() as u64);
        assert_eq!(parsed.condition, parts("", b"").condition);
        assert_eq!((parsed.position, parsed.lane, parsed.given), (1 << 40, 8, 7));
        let expected = ("no such channel".to_owned(), b"payload".to_vec());
        assert_eq!(parsed.body(body), Some(expected));
        for bit in (0..HEAD * 8).filter(|bit| !(64..128).contains(bit)) {
            let mut broken = *head;
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::parse(&broken), None, "bit {bit}");
        }
        for bit in 0..body.len() * 8 {
            let mut broken = body.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parsed.body(&broken), None, "bit {bit}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let entry = parts(&"ü".repeat(REASON_MAX), b"x").encode();
        let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
        let (reason, payload) = Head::parse(head).unwrap().body(body).unwrap();
        assert_eq!((reason.chars().count(), &payload[..]), (REASON_MAX / 2, &b"x"[..]));
    }
}

//! Entries and changes as bytes, each behind a sum.

use super::{CHANGE, Change, Condition, HEAD, Head, IS_CHANGE, Kept, Parts, REASON_MAX};
use crate::core::descriptor::RECORD_MAX;
use crate::core::layout::checksum;
use crate::core::words::lanes::Key;
use crate::core::words::word::{Counts, Epoch};

/// No file has so many entries. A number beyond it was not written by us, whatever its sum says (P8): counting
/// on from one that is not can never overflow.
const NUMBER_MAX: u64 = 1 << 48;

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

//! How far a mirrored ring came: a section of its checkpoint, committed with the records.

use mixcord_event::sections;
use mixcord_event::status::{CHECKPOINT, MIRROR, SESSION};

use crate::pack::{self, Head};

const VERSION: u8 = 1;
/// Six words, and two that say which message was read last.
const LEN: usize = 8 * 8;

/// How far a log was read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Place {
    /// The log; 0 before the first.
    pub log: u64,
    /// The first of its positions that is not in the mirror.
    pub next: u64,
    /// The highest generation that was seen: what comes with a lower one is left out.
    pub generation: u64,
    /// The last message that was read to its end.
    pub mark: Mark,
    /// Who reads: floors are told under this number, over restarts.
    pub receiver: u64,
}

/// A message of the log as a reader remembers it. Its sequence number is a hint: a stream may be made anew.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mark {
    /// Its sequence number; 0 before the first.
    pub sequence: u64,
    /// What its head said; 0 where it has none, as no bridge wrote it.
    pub log: u64,
    /// What its head said; a sum of it where it has none.
    pub first: u64,
    /// Records, with the part in the upper bits; its length where it has no head.
    pub count: u64,
}

impl Mark {
    /// Of a message.
    #[must_use]
    pub fn of(sequence: u64, message: &[u8]) -> Self {
        match Head::read(message) {
            Ok((Head { log, first, count, part, .. }, _)) => {
                Self { sequence, log, first, count: u64::from(count) | u64::from(part) << 32 }
            }
            Err(_) => Self {
                sequence,
                log: 0,
                first: pack::sum(message).into(),
                count: message.len() as u64,
            },
        }
    }
}

impl Place {
    /// Reads it from a mirror's checkpoint; `None` where there is none: a gateway wrote this ring, or nobody.
    #[must_use]
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        let sections = checkpoint.strip_prefix(&[CHECKPOINT])?;
        let content = sections::find(sections, MIRROR, VERSION)?;
        let mut words =
            content.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        let mut next = || words.next();
        Some(Self {
            log: next()?,
            next: next()?,
            generation: next()?,
            mark: Mark { sequence: next()?, log: next()?, first: next()?, count: next()? },
            receiver: next()?,
        })
    }

    /// The checkpoint of a mirror: how the shard stands, as its gateway said last, without the session, which is
    /// that gateway's; and this place.
    pub fn encode(&self, shard: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.push(CHECKPOINT);
        let sections = shard.strip_prefix(&[CHECKPOINT]).unwrap_or_default();
        for (section, bytes) in sections::each(sections) {
            if section != SESSION && section != MIRROR {
                out.extend_from_slice(bytes);
            }
        }
        let mark = self.mark;
        let words = [self.log, self.next, self.generation, mark.sequence];
        let words = words.into_iter().chain([mark.log, mark.first, mark.count, self.receiver]);
        let content: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        debug_assert_eq!(content.len(), LEN, "as it is read");
        sections::put(out, MIRROR, VERSION, &content);
    }
}

/// A gateway's checkpoint as it may leave the machine: without the session, by which others could take it over.
#[must_use]
pub fn without_session(checkpoint: &[u8]) -> Vec<u8> {
    let sections = checkpoint.strip_prefix(&[CHECKPOINT]).unwrap_or_default();
    let kept = sections::each(sections).filter(|(section, _)| *section != SESSION);
    std::iter::once(CHECKPOINT).chain(kept.flat_map(|(_, bytes)| bytes.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use mixcord_event::status::ShardStatus;

    use super::*;

    #[test]
    fn the_place_stands_beside_the_status_and_no_session_leaves() {
        let status =
            ShardStatus { state: "connected".into(), seq: Some(7), ..ShardStatus::default() };
        let mut gateway = status.encode();
        sections::put(&mut gateway, SESSION, 1, b"secret session");
        let sent = without_session(&gateway);
        assert!(!sent.windows(6).any(|at| at == b"secret"));
        let mark = Mark { sequence: 9, log: 1, first: 2, count: 3 };
        let place = Place { log: 1, next: 5, generation: 2, mark, receiver: 77 };
        let mut bytes = Vec::new();
        for from in [&sent, &gateway] {
            place.encode(from, &mut bytes);
            assert!(!bytes.windows(6).any(|at| at == b"secret"));
            assert_eq!(Place::decode(&bytes), Some(place));
            assert_eq!(ShardStatus::decode(&bytes), Some(status.clone()));
        }
        let again = Place { next: 6, ..place };
        again.encode(&bytes.clone(), &mut bytes);
        assert_eq!(Place::decode(&bytes), Some(again), "there is one");
        assert_eq!(Place::decode(&gateway), None);
        for end in 0..bytes.len() {
            assert_eq!(Place::decode(&bytes[..end]), None, "P8: cut at {end}");
        }
    }
}

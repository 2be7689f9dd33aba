//! How far a mirrored ring came: a section of its checkpoint, committed with the records.

use mixcord_event::figures::SHARD_FIGURES;
use mixcord_event::sections;
use mixcord_event::status::{CHECKPOINT, MIRROR, PROGRESS, SESSION};
use mixcord_event::takeover::{Progress, TAKEN, Taken};

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

    /// The checkpoint of a mirror that has records up to `progress`: how the shard stands, as its gateway said last in
    /// `shard`, and this place.
    pub fn encode(&self, shard: &[u8], progress: Progress, out: &mut Vec<u8>) {
        begin(shard, progress, &[], out);
        let mark = self.mark;
        let words = [self.log, self.next, self.generation, mark.sequence];
        let words = words.into_iter().chain([mark.log, mark.first, mark.count, self.receiver]);
        let content: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        debug_assert_eq!(content.len(), LEN, "as it is read");
        sections::put(out, MIRROR, VERSION, &content);
    }
}

/// The checkpoint of what was a mirror, for the gateway that goes on in the ring. What the one before counted is its
/// own.
#[must_use]
pub fn hand_over(shard: &[u8], progress: Progress, taken: &Taken) -> Vec<u8> {
    let mut out = Vec::new();
    begin(shard, progress, &[SHARD_FIGURES], &mut out);
    taken.put(&mut out);
    out
}

/// What the gateway said of the shard, but how far the records are that stand here; and the session only where they are of
/// that session, so that nobody goes on with it from anywhere else.
fn begin(shard: &[u8], progress: Progress, without: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(CHECKPOINT);
    progress.put(out);
    let is_of_session = Progress::decode(shard).session == progress.session;
    let sections = shard.strip_prefix(&[CHECKPOINT]).unwrap_or_default();
    for (section, bytes) in sections::each(sections) {
        let is_left_out = match section {
            PROGRESS | MIRROR | TAKEN => true,
            SESSION => !is_of_session,
            other => without.contains(&other),
        };
        if !is_left_out {
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::status::ShardStatus;

    use super::*;

    #[test]
    fn the_place_stands_beside_the_status_and_the_session_where_the_records_are_of_it() {
        let status =
            ShardStatus { state: "connected".into(), seq: Some(7), ..ShardStatus::default() };
        let mut gateway = status.encode();
        // What the gateway has written meanwhile, and did not arrive yet.
        Progress { session: 3, seq: Some(90) }.put(&mut gateway);
        sections::put(&mut gateway, SESSION, 1, b"a session");
        let mark = Mark { sequence: 9, log: 1, first: 2, count: 3 };
        let place = Place { log: 1, next: 5, generation: 2, mark, receiver: 77 };
        let here = Progress { session: 3, seq: Some(70) };
        let session = |bytes: &[u8]| sections::find(&bytes[1..], SESSION, 1).map(<[u8]>::to_vec);
        let mut bytes = Vec::new();
        place.encode(&gateway, here, &mut bytes);
        assert_eq!(Place::decode(&bytes), Some(place));
        assert_eq!(ShardStatus::decode(&bytes), Some(status));
        assert_eq!(Progress::decode(&bytes), here, "how far the records are");
        assert_eq!(session(&bytes).as_deref(), Some(&b"a session"[..]));
        for end in 0..bytes.len() {
            assert_eq!(Place::decode(&bytes[..end]), None, "P8: cut at {end}");
        }
        let mirror = bytes.clone();
        let again = Place { next: 6, ..place };
        again.encode(&mirror, here, &mut bytes);
        assert_eq!(Place::decode(&bytes), Some(again), "there is one");
        for other in [2, 4] {
            let of_another = Progress { session: other, seq: Some(1) };
            place.encode(&gateway, of_another, &mut bytes);
            assert_eq!(session(&bytes), None, "the records are of session {other}");
        }
        assert_eq!(Place::decode(&gateway), None);
    }

    #[test]
    fn what_is_handed_over_is_no_mirror_and_keeps_the_session() {
        let mut gateway = ShardStatus::default().encode();
        Progress { session: 3, seq: Some(90) }.put(&mut gateway);
        sections::put(&mut gateway, SESSION, 1, b"a session");
        gateway.extend_from_slice(&mixcord_event::figures::ShardFigures::default().encode());
        let (place, here) = (Place::default(), Progress { session: 3, seq: Some(70) });
        let mut mirror = Vec::new();
        place.encode(&gateway, here, &mut mirror);
        let taken = Taken { log: 1, position: 5, generation: 2, from: 40 };
        let bytes = hand_over(&mirror, here, &taken);
        assert_eq!((Place::decode(&bytes), Taken::decode(&bytes)), (None, Some(taken)));
        assert!(!mixcord_event::takeover::is_mirror(&bytes));
        assert_eq!(Progress::decode(&bytes), here);
        assert_eq!(sections::find(&bytes[1..], SESSION, 1), Some(&b"a session"[..]));
        assert_eq!(sections::find(&bytes[1..], SHARD_FIGURES, 1), None);
        // The gateway that goes on says so to the bridge of its machine only.
        place.encode(&bytes, here, &mut mirror);
        assert_eq!(Taken::decode(&mirror), None);
    }
}

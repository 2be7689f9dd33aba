//! What of a shard travels to the machine that may take it over, and what stays in the ring of one that did (DESIGN §10):
//! sections of the ring's checkpoint.

use crate::sections;
use crate::status::{CHECKPOINT, MIRROR, PROGRESS};

/// In a ring that was a mirror until a gateway took it over: [`Taken`].
pub const TAKEN: u8 = 33;
const VERSION: u8 = 1;
/// Numbers of Discord that fall by less came late: it swaps events now and then.
const LATE: u64 = 64;

/// How far the sessions of a shard came in the records of a ring: what RESUME carries behind the last of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// The counter of the newest session; 0 before the first.
    pub session: u32,
    /// Discord's last sequence number in it.
    pub seq: Option<u64>,
}

impl Progress {
    /// Reads it from a checkpoint; nothing where there is none.
    #[must_use]
    pub fn decode(checkpoint: &[u8]) -> Self {
        let sections = checkpoint.strip_prefix(&[CHECKPOINT]).unwrap_or_default();
        let read = || {
            let content = sections::find(sections, PROGRESS, VERSION)?;
            let (session, rest) = content.split_first_chunk()?;
            let (&is_there, rest) = rest.split_first()?;
            let seq = u64::from_le_bytes(*rest.first_chunk()?);
            Some(Self {
                session: u32::from_le_bytes(*session),
                seq: (is_there != 0).then_some(seq),
            })
        };
        read().unwrap_or_default()
    }

    /// Appends the section to a checkpoint.
    pub fn put(&self, checkpoint: &mut Vec<u8>) {
        let mut content = self.session.to_le_bytes().to_vec();
        content.push(u8::from(self.seq.is_some()));
        content.extend_from_slice(&self.seq.unwrap_or(0).to_le_bytes());
        sections::put(checkpoint, PROGRESS, VERSION, &content);
    }

    /// An event of Discord's stands in the ring, with this number in the session of that counter.
    pub fn event(&mut self, session: u32, seq: u64) {
        // Of a session before, whose connection is read to its end beside the new one.
        if session < self.session {
            return;
        }
        let before = self.seq.filter(|_| session == self.session).unwrap_or(0);
        if session > self.session || seq > before || before - seq >= LATE {
            *self = Self { session, seq: Some(seq) };
        }
    }
}

/// From what a ring goes on that was taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The log of the machine before.
    pub log: u64,
    /// Where that ended: nobody has more of it.
    pub position: u64,
    /// The generation that ended it.
    pub generation: u64,
    /// Where the records begin that the gateway of this machine wrote; what stands before them is of that log.
    pub from: u64,
}

impl Taken {
    /// Reads it from a checkpoint; `None` where the ring was not taken over.
    #[must_use]
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        let sections = checkpoint.strip_prefix(&[CHECKPOINT])?;
        let content = sections::find(sections, TAKEN, VERSION)?;
        let mut words =
            content.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
        let mut next = || words.next();
        Some(Self { log: next()?, position: next()?, generation: next()?, from: next()? })
    }

    /// Appends the section to a checkpoint.
    pub fn put(&self, checkpoint: &mut Vec<u8>) {
        let words = [self.log, self.position, self.generation, self.from];
        sections::put(checkpoint, TAKEN, VERSION, &words.map(u64::to_le_bytes).concat());
    }
}

/// Whether the ring with this checkpoint is written by mixcord-bridge: a gateway of another machine runs its shard.
#[must_use]
pub fn is_mirror(checkpoint: &[u8]) -> bool {
    let sections = checkpoint.strip_prefix(&[CHECKPOINT]).unwrap_or_default();
    sections::each(sections).any(|(section, _)| section == MIRROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let taken = Taken { log: 7, position: u64::MAX, generation: 3, from: 4 };
        let progress = Progress { session: 5, seq: Some(77) };
        let mut bytes = vec![CHECKPOINT];
        progress.put(&mut bytes);
        taken.put(&mut bytes);
        assert_eq!((Progress::decode(&bytes), Taken::decode(&bytes)), (progress, Some(taken)));
        assert!((0..bytes.len()).all(|end| Taken::decode(&bytes[..end]).is_none()), "P8");
        assert!(!is_mirror(&bytes));
        sections::put(&mut bytes, MIRROR, 1, b"whatever");
        assert!(is_mirror(&bytes));
        assert_eq!(Progress::decode(&[0xff; 9]), Progress::default());
    }

    #[test]
    fn the_number_is_that_of_resume() {
        let mut progress = Progress::default();
        for (session, seq, then) in [
            (1, 1, 1),
            (1, 3, 3),
            // Swapped, and late.
            (1, 2, 3),
            (1, 90, 90),
            // Counting began anew.
            (1, 5, 5),
            (2, 1, 1),
            // The connection of the session before.
            (1, 6, 1),
            (2, 2, 2),
        ] {
            progress.event(session, seq);
            assert_eq!(progress.seq, Some(then), "{session} {seq}");
        }
        assert_eq!(progress.session, 2);
    }
}

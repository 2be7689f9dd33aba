//! What is counted of batches, for people: taken back with them, and told once they are committed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord_event::figures::CacheFigures;
use mixcord_event::pauses::Pauses;
use mixcord_event::{Kind, Reason};

#[derive(Debug)]
pub(super) struct Tally {
    committed: CacheFigures,
    pauses: Pauses,
    /// Their section, encoded when they change.
    encoded_pauses: Vec<u8>,
    /// Of the batch that is being made.
    kinds: Vec<Kind>,
    gaps: Vec<Reason>,
    records: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let committed = CacheFigures::begin(std::process::id(), now_us());
        Self {
            committed,
            pauses: Pauses::default(),
            encoded_pauses: Pauses::default().encode(),
            kinds: Vec::new(),
            gaps: Vec::new(),
            records: 0,
        }
    }
}

impl Tally {
    /// An output is staged.
    pub(super) fn event(&mut self, kind: Kind) {
        self.kinds.push(kind);
    }

    /// A gap of our own is staged.
    pub(super) fn gap(&mut self, reason: Reason) {
        self.event(Kind::GAP);
        self.gaps.push(reason);
    }

    /// So many records are done with all that came of them.
    pub(super) fn records(&mut self, count: usize) {
        self.records += count as u64;
    }

    /// Nothing of the batch was committed.
    pub(super) fn take_back(&mut self) {
        self.kinds.clear();
        self.gaps.clear();
        self.records = 0;
    }

    /// All of it was.
    pub(super) fn commit(&mut self) {
        self.committed.batches += 1;
        self.committed.records += std::mem::take(&mut self.records);
        self.kinds.drain(..).for_each(|kind| self.committed.event(kind));
        self.gaps.drain(..).for_each(|reason| self.committed.gap(reason));
    }

    /// So long it took.
    pub(super) fn took(&mut self, took: Duration) {
        self.committed.commit(took);
    }

    /// So long a round took that had something to do.
    pub(super) fn worked(&mut self, took: Duration) {
        if self.pauses.work.count(took, now_us) {
            self.encoded_pauses = self.pauses.encode();
        }
    }

    /// So much longer than it wanted to it slept.
    pub(super) fn overslept(&mut self, late: Duration) {
        if self.pauses.late.count(late, now_us) {
            self.encoded_pauses = self.pauses.encode();
        }
    }

    /// Appends what is counted to a checkpoint, as far as that is not longer than `limit` then.
    pub(super) fn put(&self, checkpoint: &mut Vec<u8>, limit: usize) {
        self.committed.put(checkpoint, limit);
        if checkpoint.len() + self.encoded_pauses.len() <= limit {
            checkpoint.extend_from_slice(&self.encoded_pauses);
        }
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_not_counted() {
        let mut tally = Tally::default();
        tally.event(Kind::MESSAGE_CREATE);
        tally.gap(Reason::RingLost);
        tally.records(3);
        tally.take_back();
        tally.event(Kind::GUILD_CREATE);
        tally.records(1);
        tally.commit();
        let figures = &tally.committed;
        assert_eq!((figures.batches, figures.records), (1, 1));
        assert_eq!(figures.events().collect::<Vec<_>>(), [(Kind::GUILD_CREATE, 1)]);
        assert_eq!(figures.gaps().count(), 0);
    }
}

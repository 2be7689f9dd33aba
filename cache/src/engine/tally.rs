//! What is counted of batches, for people: taken back with them, and told once they are committed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord_event::figures::CacheFigures;
use mixcord_event::{Kind, Reason};

#[derive(Debug)]
pub(super) struct Tally {
    committed: CacheFigures,
    /// Of the batch that is being made.
    kinds: Vec<Kind>,
    gaps: Vec<Reason>,
    records: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_us = u64::try_from(now.as_micros()).unwrap_or(0);
        let committed = CacheFigures::begin(std::process::id(), started_us);
        Self { committed, kinds: Vec::new(), gaps: Vec::new(), records: 0 }
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

    /// What is committed.
    pub(super) fn figures(&self) -> &CacheFigures {
        &self.committed
    }
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
        let figures = tally.figures();
        assert_eq!((figures.batches, figures.records), (1, 1));
        assert_eq!(figures.events().collect::<Vec<_>>(), [(Kind::GUILD_CREATE, 1)]);
        assert_eq!(figures.gaps().count(), 0);
    }
}

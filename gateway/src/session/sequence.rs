//! The numbers of one session's stream (Discord's `s`): where it stands, and what a number means there.
//!
//! * *accepted*: the last one handed on towards the ring in this process;
//! * *committed*: the last one that is in the ring for good. RESUME and heartbeats carry it, and it
//!   never passes *accepted*.

use std::ops::RangeInclusive;

/// What a number means, from where the stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admitted {
    /// The event that was accepted last, once more.
    Duplicate,
    /// The event that has to come next, or one that counting begins anew from: a number that falls is the
    /// server's business, and its event is still news.
    Next,
    /// Numbers are missing before it. Nothing has moved: [`Sequence::jump`] does, once that is told.
    Jump(RangeInclusive<u64>),
}

/// Where the stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    accepted: Option<u64>,
    committed: Option<u64>,
    /// The number of the session's READY: before the first commit RESUME carries it.
    began_at: u64,
}

impl Sequence {
    /// Goes on behind `seq`, the last number in the ring.
    pub(super) fn restored(seq: Option<u64>) -> Self {
        Self { accepted: seq, committed: seq, began_at: seq.unwrap_or(0) }
    }

    /// Begins with a session's READY, which has the number `seq`.
    pub(super) fn begin(seq: u64) -> Self {
        Self { accepted: Some(seq), committed: None, began_at: seq }
    }

    /// Takes the number of an event.
    pub(super) fn admit(&mut self, seq: u64) -> Admitted {
        let next = self.next();
        if self.accepted == Some(seq) {
            return Admitted::Duplicate;
        }
        if seq > next {
            return Admitted::Jump(next..=seq - 1);
        }
        self.accepted = Some(seq);
        Admitted::Next
    }

    /// Goes on from `seq`, although numbers before it are missing.
    pub(super) fn jump(&mut self, seq: u64) {
        self.accepted = Some(seq);
    }

    /// Everything up to `seq` is in the ring for good.
    pub(super) fn commit(&mut self, seq: u64) {
        self.committed = Some(seq);
    }

    /// The last number handed on.
    pub(super) fn accepted(&self) -> Option<u64> {
        self.accepted
    }

    /// The last number that is in the ring for good.
    pub(super) fn committed(&self) -> Option<u64> {
        self.committed
    }

    /// What RESUME carries. Before the first commit nothing of the session is kept but what waits for
    /// the ring.
    pub(super) fn resume_at(&self) -> u64 {
        self.committed.unwrap_or(self.began_at)
    }

    /// The number that has to come next.
    pub(super) fn next(&self) -> u64 {
        self.accepted.unwrap_or(0).saturating_add(1)
    }

    /// The first number that nobody handed on.
    pub(super) fn first_missing(&self) -> u64 {
        self.accepted.map_or(0, |seq| seq.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_order_come_next_and_the_last_one_again_is_a_duplicate() {
        let mut sequence = Sequence::begin(1);
        for seq in 2..100 {
            assert_eq!(sequence.admit(seq), Admitted::Next);
            assert_eq!(sequence.admit(seq), Admitted::Duplicate);
            assert_eq!(sequence.accepted(), Some(seq));
        }
    }

    #[test]
    fn a_jump_names_what_is_missing_and_moves_nothing_until_that_is_told() {
        let mut sequence = Sequence::begin(1);
        assert_eq!(sequence.admit(5), Admitted::Jump(2..=4));
        assert_eq!(sequence.first_missing(), 2);
        assert_eq!(sequence.admit(5), Admitted::Jump(2..=4));
        sequence.jump(5);
        assert_eq!(sequence.admit(6), Admitted::Next);
        assert_eq!(sequence.admit(u64::MAX), Admitted::Jump(7..=u64::MAX - 1));
        sequence.jump(u64::MAX);
        assert_eq!(sequence.admit(u64::MAX), Admitted::Duplicate, "there is no number behind it");
    }

    #[test]
    fn resume_carries_what_is_committed_and_before_that_the_number_of_ready() {
        let mut sequence = Sequence::begin(7);
        sequence.admit(8);
        assert_eq!((sequence.committed(), sequence.resume_at()), (None, 7));
        sequence.commit(8);
        sequence.admit(9);
        assert_eq!((sequence.committed(), sequence.resume_at()), (Some(8), 8));
        assert_eq!(Sequence::restored(Some(41)).resume_at(), 41);
        assert_eq!(Sequence::restored(None).first_missing(), 0);
    }
}

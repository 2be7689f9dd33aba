//! The numbers of one session's stream (Discord's `s`): where it stands, and what a number means there.
//!
//! * *accepted*: the last one handed on towards the ring in this process;
//! * *known*: which of the 64 numbers up to *accepted* were handed on. Discord swaps events now and then: one
//!   that was missing is handed on when it comes late, one that came before is not handed on twice.
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
    /// One of the last numbers, which was missing: the server had swapped events. Counting goes on from
    /// where it was.
    Late,
    /// Numbers are missing before it. Nothing has moved: [`Sequence::jump`] does, once that is told.
    Jump(RangeInclusive<u64>),
}

/// Where the stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    accepted: Option<u64>,
    /// Which of the last numbers were handed on, or never were of this session: bit `n` stands for
    /// `accepted - n`.
    known: u64,
    committed: Option<u64>,
    /// The number of the session's READY: before the first commit RESUME carries it.
    began_at: u64,
}

impl Sequence {
    /// Goes on behind `seq`, the last number in the ring.
    pub(super) fn restored(seq: Option<u64>) -> Self {
        Self { accepted: seq, known: u64::MAX, committed: seq, began_at: seq.unwrap_or(0) }
    }

    /// Begins with a session's READY, which has the number `seq`.
    pub(super) fn begin(seq: u64) -> Self {
        Self { accepted: Some(seq), known: u64::MAX, committed: None, began_at: seq }
    }

    /// Takes the number of an event.
    pub(super) fn admit(&mut self, seq: u64) -> Admitted {
        let next = self.next();
        if seq > next {
            return Admitted::Jump(next..=seq - 1);
        }
        match self.accepted.and_then(|accepted| accepted.checked_sub(seq)) {
            Some(0) => return Admitted::Duplicate,
            Some(behind) if behind < u64::from(u64::BITS) && self.known >> behind & 1 == 0 => {
                self.known |= 1 << behind;
                return Admitted::Late;
            }
            // Counting begins anew: nothing is missing before it.
            Some(_) => self.known = u64::MAX,
            None => self.known = self.known << 1 | 1,
        }
        self.accepted = Some(seq);
        Admitted::Next
    }

    /// Goes on from `seq`, although numbers before it are missing.
    pub(super) fn jump(&mut self, seq: u64) {
        let over = seq.saturating_sub(self.accepted.unwrap_or(0));
        let shifted = u32::try_from(over).ok().and_then(|over| self.known.checked_shl(over));
        self.known = shifted.unwrap_or(0) | 1;
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

    /// Every order in which seven events can come: each is handed on once, and a number is told to be
    /// missing once, and only if its event had not come.
    #[test]
    fn swapped_events_are_handed_on_once_and_told_missing_at_most_once() {
        let mut orders = 0;
        each_order(&mut [1, 2, 3, 4, 5, 6, 7], 0, &mut |order| {
            let mut sequence = Sequence::begin(0);
            let (mut handed_on, mut missing) = (Vec::new(), Vec::new());
            for seq in order {
                match sequence.admit(*seq) {
                    Admitted::Duplicate => panic!("{order:?}: {seq} is no duplicate"),
                    Admitted::Next => {}
                    Admitted::Late => assert!(missing.contains(seq), "{order:?}: {seq}"),
                    Admitted::Jump(range) => {
                        for number in range {
                            assert!(!handed_on.contains(&number), "{order:?}: {number} had come");
                            assert!(!missing.contains(&number), "{order:?}: {number} told twice");
                            missing.push(number);
                        }
                        sequence.jump(*seq);
                    }
                }
                handed_on.push(*seq);
            }
            assert_eq!(sequence.accepted(), Some(7), "{order:?}");
            orders += 1;
        });
        assert_eq!(orders, 5_040);
    }

    fn each_order(items: &mut [u64], from: usize, each: &mut impl FnMut(&[u64])) {
        if from == items.len() {
            return each(items);
        }
        for other in from..items.len() {
            items.swap(from, other);
            each_order(items, from + 1, each);
            items.swap(from, other);
        }
    }

    #[test]
    fn what_is_missing_for_too_long_is_news_when_it_comes() {
        let mut sequence = Sequence::begin(1);
        sequence.jump(3);
        sequence.jump(64);
        assert_eq!(sequence.clone().admit(2), Admitted::Late, "62 numbers later");
        sequence.jump(66);
        assert_eq!(sequence.admit(2), Admitted::Next, "counting begins anew");
        assert_eq!(sequence.admit(3), Admitted::Next);
        assert_eq!(sequence.admit(2), Admitted::Next, "nothing is missing before it");
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

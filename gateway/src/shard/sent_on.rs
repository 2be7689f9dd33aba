//! How much of a session stands in the log of other machines: what heartbeats carry where one of them may take the shard over
//! (DESIGN §10), so that Discord keeps the rest for it.

use std::collections::VecDeque;

use mixcord_ring::Position;

/// Commits that the bridge has not sent yet.
#[derive(Debug, Default)]
pub(super) struct SentOn {
    /// Where the ring ended then, with the session's counter and its number.
    commits: VecDeque<(Position, u32, u64)>,
    /// The newest that it has sent.
    last: Option<(u32, u64)>,
}

impl SentOn {
    /// The ring ends at `tail` with this number of the session of that counter.
    pub(super) fn committed(&mut self, tail: Position, counter: u32, seq: u64) {
        // Without a record between them the later number is as good.
        if self.commits.back().is_some_and(|(before, ..)| *before == tail) {
            self.commits.pop_back();
        }
        self.commits.push_back((tail, counter, seq));
    }

    /// The last number of that session of which everything up to it was sent; the bridge let go of what is before `floor`.
    pub(super) fn number(&mut self, floor: Position, counter: u32) -> Option<u64> {
        while let Some((tail, counter, seq)) = self.commits.front().copied()
            && tail <= floor
        {
            self.commits.pop_front();
            self.last = Some((counter, seq));
        }
        self.last.filter(|last| last.0 == counter).map(|last| last.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_once_all_before_it_is_sent() {
        let mut sent = SentOn::default();
        sent.committed(10, 1, 7);
        sent.committed(12, 1, 9);
        sent.committed(12, 1, 10);
        sent.committed(20, 2, 1);
        assert_eq!(sent.number(9, 1), None);
        assert_eq!(sent.number(11, 1), Some(7));
        assert_eq!(sent.number(11, 2), None, "nothing of that session");
        assert_eq!(sent.number(12, 1), Some(10));
        assert_eq!(sent.number(20, 2), Some(1));
        assert_eq!(sent.number(20, 1), None, "it is over");
    }
}

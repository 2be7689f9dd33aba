//! How often a client may send (G-28, G-29), as Discord counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many in so long.
#[derive(Debug)]
pub(super) struct Limit {
    most: usize,
    within: Duration,
    at: VecDeque<Instant>,
}

impl Limit {
    /// 120 messages in 60 s, heartbeats among them: who sends more is closed with 4008.
    pub(super) fn of_messages() -> Self {
        Self { most: 120, within: Duration::from_secs(60), at: VecDeque::new() }
    }

    /// 5 presences in 20 s: what is more goes nowhere.
    pub(super) fn of_presences() -> Self {
        Self { most: 5, within: Duration::from_secs(20), at: VecDeque::new() }
    }

    /// Counts one; is it within the limit?
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.at.front().is_some_and(|at| now.duration_since(*at) >= self.within) {
            self.at.pop_front();
        }
        let fits = self.at.len() < self.most;
        if fits {
            self.at.push_back(now);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g28_the_121st_within_a_minute_is_too_many() {
        let (mut limit, start) = (Limit::of_messages(), Instant::now());
        assert!((0..120).all(|_| limit.take(start)));
        assert!(!limit.take(start + Duration::from_secs(59)));
        assert!(limit.take(start + Duration::from_secs(60)));
    }
}

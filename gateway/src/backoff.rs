//! How long to wait before the next attempt.

use std::time::Duration;

use crate::config::Options;
use crate::random::Random;

/// A delay that doubles from `min` to `max`, with jitter, so that shards cut off together do not
/// come back together (G-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The scale of the first delay.
    pub min: Duration,
    /// No delay is longer.
    pub max: Duration,
}

impl Backoff {
    /// The operator's.
    pub fn of(options: &Options) -> Self {
        Self {
            min: Duration::from_millis(options.reconnect_min_ms.into()),
            max: Duration::from_millis(options.reconnect_max_ms.into()),
        }
    }

    /// The same with no delay longer than `max`.
    pub fn within(self, max: Duration) -> Self {
        Self { max: self.max.min(max), ..self }
    }

    /// The delay before attempt number `attempt`: 0 is the one right after a connection that was
    /// well, and waits up to `min`; later ones wait between half and the whole of `min · 2^attempt`.
    pub fn delay(&self, attempt: u32, random: &mut Random) -> Duration {
        if attempt == 0 {
            return random.between(Duration::ZERO, self.min);
        }
        let whole = self.min.saturating_mul(1 << attempt.min(30)).min(self.max);
        random.between(whole / 2, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_the_limit_and_differ() {
        let backoff = Backoff { min: Duration::from_millis(500), max: Duration::from_secs(60) };
        let mut random = Random::seeded(3);
        for attempt in 1..100 {
            let whole = Duration::from_millis(500) * (1 << attempt.min(7));
            let delay = backoff.delay(attempt, &mut random);
            assert!(delay >= whole.min(backoff.max) / 2, "attempt {attempt}: {delay:?}");
            assert!(delay <= backoff.max, "attempt {attempt}: {delay:?}");
        }
        assert!(backoff.delay(0, &mut random) < backoff.min);
        assert_ne!(backoff.delay(9, &mut random), backoff.delay(9, &mut random));
    }
}

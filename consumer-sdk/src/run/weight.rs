//! What a handler's first steps cost: whether they are better done where its event was taken.
//!
//! To give an event to another thread costs some ten microseconds, so handlers that are through sooner, or begin
//! to wait sooner, are called by the thread that takes the events. One that computes for longer would keep those
//! behind it waiting while other processors are idle: it is given away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The mean of what was measured lately.
#[derive(Debug, Default)]
pub(super) struct Weight(AtomicU64);

impl Weight {
    /// More than this is given to another thread. About what that costs.
    const LIGHT_NS: u64 = 20_000;
    /// A thread that was put aside by the system for milliseconds says nothing of its handler.
    const MOST_NS: u64 = 10 * Self::LIGHT_NS;
    /// What a measurement counts in the mean.
    const SHARE: u64 = 8;

    pub(super) fn is_light(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= Self::LIGHT_NS
    }

    /// Two threads that learn at once may forget one of the two.
    pub(super) fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(Self::MOST_NS);
        let mean = self.0.load(Ordering::Relaxed);
        self.0.store(mean - mean / Self::SHARE + took / Self::SHARE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_computes_for_long_is_heavy_and_may_become_light_again() {
        let weight = Weight::default();
        assert!(weight.is_light(), "nothing is known yet");
        weight.learn(Duration::from_secs(1));
        weight.learn(Duration::from_micros(1));
        weight.learn(Duration::from_micros(1));
        assert!(weight.is_light(), "one that was put aside is no sign");
        (0..20).for_each(|_| weight.learn(Duration::from_micros(100)));
        assert!(!weight.is_light());
        (0..20).for_each(|_| weight.learn(Duration::from_micros(2)));
        assert!(weight.is_light());
    }
}

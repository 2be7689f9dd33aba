//! Times by size, 64 steps for each doubling: 1.6 % at most from the truth, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// Steps of a doubling, as a power of two.
const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;
/// Enough for 2^46 ns, which is 19 hours.
const BUCKETS: usize = 40 * STEPS;

/// How often which time was seen.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
}

/// What most, nearly all, and all of the times are at most, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Times counted.
    pub count: u64,
    /// Half of them.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn count(&self, ns: u64) {
        self.buckets[bucket(ns)].fetch_add(1, Relaxed);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }

    /// What was counted.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let at = |share: f64| {
            let wanted = (count as f64 * share).ceil().max(1.0) as u64;
            let mut seen = 0;
            let place = counts.iter().position(|&n| {
                seen += n;
                seen >= wanted
            });
            place.map_or(0.0, middle)
        };
        Percentiles { count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.max(1 << STEP_BITS);
    let doubling = ns.ilog2() - STEP_BITS;
    let step = (ns >> doubling) as usize & (STEPS - 1);
    (doubling as usize * STEPS + step).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> f64 {
    let (doubling, step) = (bucket / STEPS, bucket % STEPS);
    (STEPS as f64 + step as f64 + 0.5) * 2_f64.powi(doubling as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_counted_within_a_hundredth_or_two() {
        for ns in [64_u64, 65, 100, 1_000, 4_095, 4_096, 123_456_789, 1 << 40] {
            let error = middle(bucket(ns)) / ns as f64 - 1.0;
            assert!(error.abs() < 0.017, "{ns}: {error}");
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_a_thousand_times() {
        let times = Histogram::default();
        assert_eq!(times.percentiles().max, 0.0);
        (1..=1_000).for_each(|n| times.count(n * 1_000));
        let Percentiles { count, p50, p99, p999, max } = times.percentiles();
        assert_eq!(count, 1_000);
        for (is, wanted) in [(p50, 500e3), (p99, 990e3), (p999, 999e3), (max, 1e6)] {
            assert!((is / wanted - 1.0).abs() < 0.02, "{is} for {wanted}");
        }
        times.clear();
        assert_eq!(times.percentiles().count, 0);
    }
}

//! How often a process of the way was away for longer than it should be: a histogram for people.
//!
//! Only what is above [`PAUSE_MIN`] is counted. The gateway leaves its own in [`crate::figures::ShardFigures`], the
//! cache in a section of the output ring's checkpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sections;

/// The section of the output ring's checkpoint.
const SECTION: u8 = 4;
/// Raised only when what is there begins to mean something else.
const VERSION: u8 = 1;

/// What is no longer is no pause.
pub const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Upper bounds of pauses, in microseconds.
pub const PAUSE_US: [u64; 9] =
    [2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Pauses since the process started, by their cause.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Pauses {
    /// Its own work took so long: from the first look at what had come until that was published.
    pub work: Histogram,
    /// It wanted to be back sooner: the machine had something else to do, or had stopped it.
    pub late: Histogram,
}

/// How many pauses, and how long.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Histogram {
    /// How many took no longer than each of [`PAUSE_US`], and last how many took longer.
    pub counts: [u64; PAUSE_US.len() + 1],
    /// All together, in microseconds.
    pub total_us: u64,
    /// The longest, in microseconds; 0 where there was none.
    pub longest_us: u64,
    /// When that ended, in microseconds since the Unix epoch.
    pub longest_at_us: u64,
}

impl Histogram {
    /// Counts what took so long until `now`, if that is a pause; `now` is in microseconds since the Unix epoch. Says
    /// whether it is.
    #[inline]
    pub fn count(&mut self, took: Duration, now: impl FnOnce() -> u64) -> bool {
        let is_pause = took > PAUSE_MIN;
        if is_pause {
            self.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), now());
        }
        is_pause
    }

    #[cold]
    fn add(&mut self, us: u64, now_us: u64) {
        self.counts[PAUSE_US.partition_point(|bound| *bound < us)] += 1;
        self.total_us = self.total_us.saturating_add(us);
        if us >= self.longest_us {
            (self.longest_us, self.longest_at_us) = (us, now_us);
        }
    }

    /// These and others'.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.total_us = self.total_us.saturating_add(other.total_us);
        if other.longest_us > self.longest_us {
            (self.longest_us, self.longest_at_us) = (other.longest_us, other.longest_at_us);
        }
    }
}

impl Pauses {
    /// These and others'.
    pub fn merge(&mut self, other: &Self) {
        self.work.merge(&other.work);
        self.late.merge(&other.late);
    }

    /// The section, to be appended to an output ring's checkpoint.
    pub fn encode(&self) -> Vec<u8> {
        let content = bincode::serde::encode_to_vec(self, bincode::config::standard());
        let mut section = Vec::new();
        sections::put(&mut section, SECTION, VERSION, &content.unwrap_or_default());
        section
    }

    /// Reads them from the sections of an output ring's checkpoint, if they are there.
    pub fn decode(all: &[u8]) -> Option<Self> {
        sections::read(sections::find(all, SECTION, VERSION)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_no_pause_and_the_longest_is_known() {
        let mut times = Histogram::default();
        assert!(!times.count(PAUSE_MIN, || unreachable!("nobody looks at the clock")));
        assert_eq!(times, Histogram::default());
        for (us, at) in [(1_001, 1), (2_500, 2), (2_501, 3), (9_000_000, 4), (1_500, 5)] {
            assert!(times.count(Duration::from_micros(us), || at));
        }
        assert_eq!((times.counts[0], times.counts[1], times.counts[9]), (3, 1, 1));
        assert_eq!((times.longest_us, times.longest_at_us), (9_000_000, 4));
        assert_eq!(times.total_us, 1_001 + 2_500 + 2_501 + 9_000_000 + 1_500);
        let mut all = Histogram::default();
        all.merge(&times);
        all.merge(&times);
        assert_eq!((all.counts[0], all.longest_at_us), (6, 4));
    }

    #[test]
    fn p8_they_come_back_and_other_bytes_are_none() {
        let mut pauses = Pauses::default();
        pauses.late.count(Duration::from_secs(2), || 7);
        let bytes = pauses.encode();
        assert_eq!(Pauses::decode(&bytes), Some(pauses));
        assert!((0..bytes.len()).all(|end| Pauses::decode(&bytes[..end]).is_none()));
        let mut hostile = Vec::new();
        sections::put(&mut hostile, SECTION, VERSION, &[0xff; 300]);
        assert_eq!(Pauses::decode(&hostile), None);
    }
}

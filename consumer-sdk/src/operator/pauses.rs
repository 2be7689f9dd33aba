use std::time::Duration;

use mixcord_event::pauses::{Histogram, PAUSE_US, Pauses};
use serde::Serialize;

/// When a process of the way was away for more than a millisecond, since it started. Shorter times are not counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PausesStatus {
    /// Its own work took so long: from the first look at what had come until that was published.
    pub work: PauseStatus,
    /// It came back so much later than it wanted to: the machine had something else to do, or had stopped it.
    pub late: PauseStatus,
}

/// How many pauses there were, and how long they took.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PauseStatus {
    /// How many.
    pub count: u64,
    /// All together, in seconds.
    pub seconds: f64,
    /// The longest, in seconds; `null` where there was none.
    pub longest_seconds: Option<f64>,
    /// How long ago that ended, in seconds.
    pub longest_age_seconds: Option<f64>,
    /// How many took no longer than so many seconds, and longer than those before; the last one, without a bound,
    /// how many took longer than all of them.
    pub times: Vec<(Option<f64>, u64)>,
}

impl PausesStatus {
    pub(super) fn new(pauses: &Pauses, now_us: u128) -> Self {
        Self {
            work: PauseStatus::new(&pauses.work, now_us),
            late: PauseStatus::new(&pauses.late, now_us),
        }
    }

    /// Those of several, such as all shards of a gateway.
    #[must_use]
    pub fn all<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.work.add(&part.work);
            all.late.add(&part.late);
        }
        all
    }

    /// In a few words, for people; `None` where there was none.
    ///
    /// `12 times above 1 ms, the longest 8.1 ms 3 min ago, at work; 1 time above 1 ms, …, too late from a rest`
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let work = self.work.text().map(|text| format!("{text} at work"));
        let late = self.late.text().map(|text| format!("{text} too late from a rest"));
        let both: Vec<_> = work.into_iter().chain(late).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    /// Whether there was none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.work.count == 0 && self.late.count == 0
    }
}

impl PauseStatus {
    fn new(times: &Histogram, now_us: u128) -> Self {
        let bounds = PAUSE_US.iter().map(|us| Some(*us as f64 / 1e6)).chain([None]);
        let count = times.counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        let age_us = now_us.saturating_sub(times.longest_at_us.into());
        Self {
            count,
            seconds: times.total_us as f64 / 1e6,
            longest_seconds: (count > 0).then_some(times.longest_us as f64 / 1e6),
            longest_age_seconds: (count > 0).then_some(age_us as f64 / 1e6),
            times: bounds.zip(times.counts).collect(),
        }
    }

    fn text(&self) -> Option<String> {
        let (longest, age) = self.longest_seconds.zip(self.longest_age_seconds)?;
        let ago = mixcord_holdup::span(Duration::try_from_secs_f64(age).unwrap_or_default());
        let times = if self.count == 1 { "time" } else { "times" };
        let (count, longest_ms) = (self.count, longest * 1e3);
        Some(format!("{count} {times} above 1 ms, the longest {longest_ms:.1} ms {ago} ago,"))
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.seconds += other.seconds;
        if other.longest_seconds > self.longest_seconds {
            self.longest_seconds = other.longest_seconds;
            self.longest_age_seconds = other.longest_age_seconds;
        }
        if self.times.is_empty() {
            self.times.clone_from(&other.times);
            return;
        }
        for ((_, sum), (_, more)) in self.times.iter_mut().zip(&other.times) {
            *sum = sum.saturating_add(*more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_all_shards_are_one_gateways() {
        let mut first = Pauses::default();
        first.work.count(Duration::from_millis(4), || 1_000_000);
        first.work.count(Duration::from_millis(2), || 2_000_000);
        let mut second = Pauses::default();
        second.work.count(Duration::from_millis(30), || 3_000_000);
        second.late.count(Duration::from_secs(6), || 4_000_000);
        let parts = [first, second, Pauses::default()].map(|it| PausesStatus::new(&it, 5_000_000));
        let all = PausesStatus::all(&parts);
        assert_eq!((all.work.count, all.late.count, all.is_empty()), (3, 1, false));
        assert!((all.work.seconds - 0.036).abs() < 1e-9);
        assert_eq!(all.work.longest_seconds.zip(all.work.longest_age_seconds), Some((0.03, 2.0)));
        let of = |bound: Option<f64>, status: &PauseStatus| {
            status.times.iter().find(|(of, _)| *of == bound).map(|(_, count)| *count)
        };
        assert_eq!([of(Some(0.0025), &all.work), of(Some(0.005), &all.work)], [Some(1), Some(1)]);
        assert_eq!([of(Some(0.05), &all.work), of(None, &all.late)], [Some(1), Some(1)]);
        assert_eq!(
            all.text().as_deref(),
            Some(
                "3 times above 1 ms, the longest 30.0 ms 2 s ago, at work; 1 time above 1 ms, the longest 6000.0 ms \
                 1 s ago, too late from a rest"
            )
        );
        assert!(PausesStatus::all(&parts[2..]).is_empty());
        assert_eq!(parts[2].text(), None);
        assert_eq!(parts[2].work.longest_seconds, None);
    }
}

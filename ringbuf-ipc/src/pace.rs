//! How long a reader stays away when it has read everything: learned from how its records come.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What a reader that waits weighs: how soon it has a record, or what its wakes cost.
///
/// A sleep and the wake that ends it cost both ends some ten microseconds together. Where records come one by
/// one, a hundred or more microseconds apart, that is most of what they cost. So a reader to which they come
/// often takes a *nap*: it sleeps for a set time, asks for no bell, and then takes all that came. A reader to
/// which they come seldom never does: it asks for a bell, and has each record as soon as the system wakes it.
///
/// Measured prices, by rate: README, "What a wait costs".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Pace {
    /// Never a nap. Where records are less than twenty microseconds apart it looks on instead of sleeping.
    #[default]
    LowLatency,
    /// Naps of 0.3 ms where two or more records come in that time (some 7,000 a second).
    Balanced,
    /// Naps of 2 ms where two or more records come in that time (1,000 a second), and no look in vain before
    /// a sleep.
    LowCpu,
}

impl Pace {
    /// How long a nap is; `None` where there is none.
    pub const fn nap(self) -> Option<Duration> {
        match self {
            Self::LowLatency => None,
            Self::Balanced => Some(Duration::from_micros(300)),
            Self::LowCpu => Some(Duration::from_millis(2)),
        }
    }
}

/// Not one of the names of a [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected low-latency, balanced or low-cpu")]
pub struct UnknownPace;

impl fmt::Display for Pace {
    /// As options spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LowLatency => "low-latency",
            Self::Balanced => "balanced",
            Self::LowCpu => "low-cpu",
        })
    }
}

impl FromStr for Pace {
    type Err = UnknownPace;

    fn from_str(name: &str) -> Result<Self, UnknownPace> {
        let all = [Self::LowLatency, Self::Balanced, Self::LowCpu];
        all.into_iter().find(|pace| pace.to_string() == name).ok_or(UnknownPace)
    }
}

/// Says how to rest, for those who wait for several things at once. [`Member`](crate::Member),
/// [`Worker`](crate::Worker) and [`Observer`](crate::Observer) have one for their own waits.
///
/// ```no_run
/// # use std::time::Duration;
/// # use mixcord_ring::{Bell, Member, Pace, Pacer, TakeError};
/// # fn example(bell: &Bell, member: &mut Member) -> Result<(), TakeError> {
/// let mut pacer = Pacer::new(Pace::Balanced);
/// loop {
///     while let Some(batch) = member.take(Default::default())? {
///         pacer.took(batch.len() as u64);
///         batch.ack();
///     }
///     let ticket = bell.ticket();
///     if let Some(nap) = pacer.rest() {
///         // Nobody rings: it was not asked for. What else rings this bell still does.
///         bell.wait(ticket, nap);
///         continue;
///     }
///     member.arm();
///     if !member.has_work() {
///         bell.wait(ticket, member.tick());
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pacer {
    pace: Pace,
    /// Records since the last rest.
    records: u64,
    /// When the last rest began.
    rested_at: Option<Instant>,
    /// Sums over the rests before, each worth seven eighths of the one after it.
    recent_records: f64,
    recent_ns: f64,
    /// The last rest was a nap.
    napped: bool,
    /// What a nap is at most of what it would be.
    share: f64,
}

impl Pacer {
    /// Records that a nap has to bring, or it costs more than it saves.
    const WORTH: f64 = 2.0;
    /// What a rest counts when the next one is over.
    const FADE: f64 = 0.875;
    /// A rest that took longer says only that nothing came.
    const LONGEST_NS: f64 = 20e6;
    /// Records so close together are looked for, not slept for, where nobody naps; a sleep and a wake cost more.
    const LINGER_NS: f64 = 20e3;

    /// Knows nothing yet: its first rests are sleeps.
    pub const fn new(pace: Pace) -> Self {
        Self {
            pace,
            records: 0,
            rested_at: None,
            recent_records: 0.0,
            recent_ns: 0.0,
            napped: false,
            share: 1.0,
        }
    }

    /// What it was made with.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// So many records were there.
    #[inline]
    pub fn took(&mut self, records: u64) {
        self.records += records;
    }

    /// To be called when nothing is left to do: how long to stay away, asking for no bell, or `None` for a sleep
    /// with one.
    ///
    /// After a nap that brought nothing the next rest is a sleep.
    pub fn rest(&mut self) -> Option<Duration> {
        self.rest_at(Instant::now())
    }

    /// The producer waits for room, as [`Ring::producer_waits`](crate::Ring::producer_waits) tells: naps are half
    /// as long from now on, and grow again slowly.
    pub fn hurry(&mut self) {
        self.share = (self.share / 2.0).max(1.0 / 64.0);
    }

    /// How long to look on rather than sleep; nothing for all but [`Pace::LowLatency`] in a stream of records.
    pub(crate) fn linger(&self) -> Duration {
        match self.gap_ns() {
            Some(gap) if self.pace == Pace::LowLatency && gap <= Self::LINGER_NS => {
                Duration::from_nanos((2.0 * gap) as u64)
            }
            _ => Duration::ZERO,
        }
    }

    fn rest_at(&mut self, now: Instant) -> Option<Duration> {
        let records = std::mem::take(&mut self.records);
        let napped = std::mem::take(&mut self.napped);
        if let Some(since) = self.rested_at.replace(now) {
            let ns = (now.saturating_duration_since(since).as_nanos() as f64).min(Self::LONGEST_NS);
            self.recent_ns = self.recent_ns * Self::FADE + ns;
            self.recent_records = self.recent_records * Self::FADE + records as f64;
        }
        let nap = self.pace.nap()?.mul_f64(self.share);
        self.share = (self.share * 1.02).min(1.0);
        let in_vain = napped && records == 0;
        let comes = self.gap_ns().is_some_and(|gap| gap * Self::WORTH <= nap.as_nanos() as f64);
        self.napped = comes && !in_vain;
        self.napped.then_some(nap)
    }

    /// Nanoseconds between two records, lately.
    fn gap_ns(&self) -> Option<f64> {
        (self.recent_records >= 1.0).then(|| self.recent_ns / self.recent_records)
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new(Pace::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader whose records come every `gap`, one at a time, and take no time: how many records each sleep
    /// and each nap brought, of `count`.
    fn read(pace: Pace, gap: Duration, count: u32) -> (u32, u32) {
        let begun = Instant::now();
        let (mut pacer, mut now, mut taken) = (Pacer::new(pace), begun, 0);
        let (mut slept, mut napped) = (0, 0);
        while taken < count {
            match pacer.rest_at(now) {
                Some(nap) => {
                    now += nap;
                    napped += 1;
                }
                None => {
                    now = begun + gap * (taken + 1);
                    slept += 1;
                }
            }
            let come = ((now - begun).as_nanos() / gap.as_nanos()) as u32;
            pacer.took(u64::from(come - taken));
            taken = come;
        }
        (slept, napped)
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for pace in [Pace::LowLatency, Pace::Balanced, Pace::LowCpu] {
            assert_eq!(pace.to_string().parse(), Ok(pace));
        }
        assert_eq!("fast".parse::<Pace>(), Err(UnknownPace));
    }

    #[test]
    fn naps_are_for_what_comes_often() {
        let gap = |rate| Duration::from_secs(1) / rate;
        for (pace, seldom, often) in [(Pace::Balanced, 5_000, 10_000), (Pace::LowCpu, 800, 1_500)] {
            assert_eq!(read(pace, gap(seldom), 1000), (1000, 0), "{pace:?}");
            let (slept, napped) = read(pace, gap(often), 10_000);
            assert!(slept < 20 && napped < 5_100, "{pace:?}: {slept} sleeps, {napped} naps");
        }
        assert_eq!(read(Pace::LowLatency, gap(1_000_000), 1000), (1000, 0));
    }

    #[test]
    fn a_nap_in_vain_is_followed_by_a_sleep() {
        let mut pacer = Pacer::new(Pace::Balanced);
        let mut now = Instant::now();
        for _ in 0..20 {
            pacer.took(10);
            now += Duration::from_micros(100);
            pacer.rest_at(now);
        }
        pacer.took(1);
        assert!(pacer.rest_at(now + Duration::from_micros(300)).is_some());
        assert!(pacer.rest_at(now + Duration::from_micros(600)).is_none(), "nothing came");
    }

    #[test]
    fn one_that_wants_every_record_at_once_looks_on_only_in_a_stream() {
        let mut pacer = Pacer::new(Pace::LowLatency);
        let mut now = Instant::now();
        assert_eq!(pacer.linger(), Duration::ZERO);
        for _ in 0..50 {
            pacer.took(1);
            now += Duration::from_micros(5);
            assert_eq!(pacer.rest_at(now), None);
        }
        assert!(pacer.linger() >= Duration::from_micros(9));
        for _ in 0..50 {
            pacer.took(1);
            now += Duration::from_micros(100);
            pacer.rest_at(now);
        }
        assert_eq!(pacer.linger(), Duration::ZERO);
    }
}

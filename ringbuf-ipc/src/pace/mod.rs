//! How a reader that has read everything waits: asleep until it is rung, or away for a set time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What a reader that waits weighs: how soon it has a record, or what its wakes cost.
///
/// A sleep and the wake that ends it cost both ends some ten microseconds together. Where records come one by
/// one, a hundred or more microseconds apart, that is most of what they cost. So a reader that would be woken
/// often takes a *nap*: it sleeps for a set time, asks for no bell, and then takes all that came. A reader that
/// is woken seldom never does: it asks for a bell, and has each record as soon as the system wakes it.
///
/// One nap on the way is enough: who reads behind it is woken once for all that it brought, which is seldom
/// enough not to nap as well. So the first of several readers ([`Pacer::at_source`]) naps sooner.
///
/// Measured prices, by rate: README, "What a wait costs".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Pace {
    /// Never a nap. Where records are less than twenty microseconds apart it looks on instead of sleeping.
    #[default]
    LowLatency,
    /// Naps of 1 ms where it would be woken more than 3,000 times a second.
    Balanced,
    /// Naps of 3 ms where it would be woken more than 700 times a second, and no look in vain before a sleep.
    LowCpu,
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

/// When a reader naps, and how long, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// Wakes closer together than this are not slept for.
    close_ns: f64,
    /// The usual and the longest nap; none where the longest is 0.
    nap_ns: (f64, f64),
    /// Records that a nap has to bring, or it costs more than it saves; and those that pay for it: in a flood they
    /// come sooner.
    records: (f64, f64),
}

impl Terms {
    const fn of(pace: Pace, is_source: bool) -> Self {
        let (close_ns, nap_ns, records) = match (pace, is_source) {
            // Looked for, not slept for: a sleep and a wake cost more.
            (Pace::LowLatency, _) => (20e3, (0.0, 0.0), (0.0, 0.0)),
            // Who reads behind a nap is woken less often than this.
            (Pace::Balanced, false) => (0.3e6, (1e6, 1e6), (1.5, 16.0)),
            (Pace::LowCpu, false) => (1.4e6, (3e6, 3e6), (2.5, 64.0)),
            (Pace::Balanced, true) => (1.1e6, (1e6, 1.65e6), (1.5, 16.0)),
            (Pace::LowCpu, true) => (2.4e6, (3e6, 6e6), (2.5, 64.0)),
        };
        Self { close_ns, nap_ns, records }
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
    terms: Terms,
    /// Records since the last rest.
    records: u64,
    /// What the last rest that brought something was.
    last: Last,
    /// When the sleep began that brought nothing so far.
    slept_at: Option<Instant>,
    /// When the first rest began that brought nothing so far.
    rested_at: Option<Instant>,
    /// Nanoseconds from one wake to the next, lately, where each is slept for.
    gap_ns: f64,
    /// Nanoseconds for each record, lately.
    apart_ns: Option<f64>,
    /// Naps since the last sleep.
    naps: u32,
    /// What a nap is at most of what it would be.
    share: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nap,
    /// A sleep that began at no particular time.
    Sleep,
    /// One that began where another ended: it lasted as long as sleeps do, and that was short or not.
    Measured {
        is_close: bool,
    },
}

impl Pacer {
    /// Times what is close: a longer gap says only that nothing came.
    const LONGEST: f64 = 8.0;
    /// Naps do not tell whether sleeps would have been as long: so often that is tried.
    const TRY_AFTER: u32 = 64;

    /// Knows nothing yet: its first rests are sleeps.
    pub const fn new(pace: Pace) -> Self {
        Self::with(pace, Terms::of(pace, false))
    }

    /// Of the first reader on the way of records, which others follow: where [`Pace::Balanced`] it naps for 1 to
    /// 1.65 ms where it would be woken more than 900 times a second, where [`Pace::LowCpu`] for 3 to 6 ms where
    /// more than 400 times.
    pub const fn at_source(pace: Pace) -> Self {
        Self::with(pace, Terms::of(pace, true))
    }

    const fn with(pace: Pace, terms: Terms) -> Self {
        Self {
            pace,
            terms,
            records: 0,
            last: Last::Nap,
            slept_at: None,
            rested_at: None,
            gap_ns: terms.close_ns * Self::LONGEST,
            apart_ns: None,
            naps: 0,
            share: 1.0,
        }
    }

    /// What it was made with.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether it ever naps.
    pub const fn may_nap(&self) -> bool {
        self.terms.nap_ns.1 > 0.0
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
        if self.may_nap() || self.gap_ns > self.terms.close_ns {
            return Duration::ZERO;
        }
        Duration::from_nanos((2.0 * self.gap_ns) as u64)
    }

    /// [`rest`](Self::rest) where the time is known, which never goes back.
    pub fn rest_at(&mut self, now: Instant) -> Option<Duration> {
        let records = std::mem::take(&mut self.records);
        self.learn(now, records);
        if self.is_time_for_nap(records != 0) {
            self.naps += 1;
            self.last = Last::Nap;
            return Some(self.nap());
        }
        self.naps = 0;
        // What wakes it for something else ends no sleep.
        self.slept_at.get_or_insert(now);
        None
    }

    /// What the rest was that is over.
    fn learn(&mut self, now: Instant, records: u64) {
        let Terms { close_ns, .. } = self.terms;
        let longest = close_ns * Self::LONGEST;
        let since = |then: Instant| {
            let ns = now.saturating_duration_since(then).as_nanos() as f64;
            ns.min(longest)
        };
        if records == 0 {
            self.rested_at.get_or_insert(now);
            return;
        }
        if let Some(slept) = self.slept_at.take().map(since) {
            self.last = if self.last == Last::Nap {
                Last::Sleep
            } else {
                learn(&mut self.gap_ns, slept);
                Last::Measured { is_close: slept <= close_ns }
            };
        }
        if let Some(rested) = self.rested_at.replace(now).map(since) {
            let apart = rested / records as f64;
            learn(self.apart_ns.get_or_insert(apart), apart);
        }
    }

    /// Whether a sleep would be over soon.
    fn is_time_for_nap(&self, brought: bool) -> bool {
        let is_close = self.gap_ns <= self.terms.close_ns;
        self.may_nap()
            && is_close
            && match self.last {
                Last::Nap => brought && self.naps < Self::TRY_AFTER,
                Last::Sleep => false,
                Last::Measured { is_close } => is_close,
            }
    }

    fn nap(&mut self) -> Duration {
        let Terms { nap_ns: (usual, longest), records: (least, enough), .. } = self.terms;
        let apart = self.apart_ns.unwrap_or(self.gap_ns);
        let nap = usual.min(apart * enough).max(apart * least).min(longest) * self.share;
        self.share = (self.share * 1.02).min(1.0);
        Duration::from_nanos(nap as u64)
    }
}

/// Adds a measurement to a mean of those before.
fn learn(mean: &mut f64, ns: f64) {
    *mean += (ns - *mean) / 16.0;
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new(Pace::default())
    }
}

#[cfg(test)]
mod tests;

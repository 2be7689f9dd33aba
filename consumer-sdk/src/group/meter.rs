//! What a consumer has done, to be read while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::Team;
use super::out::lock;

/// Counts of one consumer, from its start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) handled: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) too_old: AtomicU64,
    /// The member that counts.
    pub(super) team: Mutex<Weak<Team>>,
}

impl Counters {
    /// Ends the member, wherever the consumer is.
    pub(crate) fn leave(&self) {
        let team = lock(&self.team).upgrade();
        if let Some(team) = team {
            team.leave();
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Reads what a [`Consumer`](crate::Consumer) does, also while `run` has it: [`Consumer::meter`](crate::Consumer::meter).
///
/// ```no_run
/// # async fn example() -> Result<(), mixcord::Error> {
/// let consumer = mixcord::Consumer::builder().group("bot").connect().await?;
/// let meter = consumer.meter();
/// std::thread::spawn(move || loop {
///     println!("{:?}", meter.read());
///     std::thread::sleep(std::time::Duration::from_secs(10));
/// });
/// consumer.run(|_event| async {}).await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Meter {
    pub(crate) counters: Arc<Counters>,
}

/// What a [`Meter`] shows. Counts are of this process, from the start of its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reading {
    /// Events acknowledged, dropped as too old not counted.
    pub handled: u64,
    /// Attempts that failed: errors, panics, timeouts, events dropped without a word.
    pub failed: u64,
    /// Events given that were given before, here or elsewhere.
    pub retried: u64,
    /// Events this process gave up on: they are dead letters.
    pub dead: u64,
    /// Events dropped because of their [`max_age`](crate::Builder::max_age).
    pub too_old: u64,
    /// Events that are out with handlers now.
    pub in_work: usize,
    /// For how long the oldest of those has been out.
    pub oldest: Option<Duration>,
    /// Records the whole group has not handled, counted from the first of them; `None` for an observer, and after
    /// the end.
    pub lag: Option<u64>,
    /// Partitions this member has of a [sticky](crate::Builder::sticky) group; `None` for all others, and after the end.
    pub partitions: Option<usize>,
}

impl Meter {
    /// What there is now.
    #[must_use]
    pub fn read(&self) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let team = lock(&counters.team).upgrade();
        let (in_work, oldest) = team.as_ref().map_or((0, None), |team| team.in_work());
        Reading {
            handled: get(&counters.handled),
            failed: get(&counters.failed),
            retried: get(&counters.retried),
            dead: get(&counters.dead),
            too_old: get(&counters.too_old),
            in_work,
            oldest,
            lag: team.as_ref().and_then(|team| team.lag()),
            partitions: team.and_then(|team| team.partitions()),
        }
    }
}

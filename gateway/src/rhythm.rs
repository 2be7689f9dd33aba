//! When sockets are read: all of them at a time, where messages come often.
//!
//! A message that comes alone wakes a thread, which reads it, publishes it and goes to sleep: most of what the message
//! costs. Where messages come closer together than that, a thread that has nothing left to do stays away for a moment
//! before it asks the system for news, and then finds all that came meanwhile, of every shard. [`Pace`] says how
//! long; where messages are further apart nobody ever stays away, unless the operator wants it (`--coalesce-ms`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mixcord_ring::{Pace, Pacer};

/// The rhythm of a process, whatever its threads and shards.
#[derive(Debug)]
pub struct Rhythm {
    /// Messages since a thread rested.
    messages: AtomicU64,
    /// `None` where nobody ever stays away.
    state: Option<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rests: Rests,
    /// The end of the rest that a thread takes.
    until: Option<Instant>,
}

#[derive(Debug)]
enum Rests {
    /// Where messages come often enough.
    Paced(Pacer),
    /// Whenever one came.
    Always(Duration),
}

impl Rests {
    /// How long to stay away after so many messages.
    fn after(&mut self, messages: u64) -> Option<Duration> {
        match self {
            Self::Paced(pacer) => {
                pacer.took(messages);
                pacer.rest()
            }
            Self::Always(nap) => (messages > 0).then_some(*nap),
        }
    }
}

impl Rhythm {
    /// At this pace; with `coalesce` that long after each message instead.
    #[must_use]
    pub fn new(pace: Pace, coalesce: Option<Duration>) -> Self {
        let rests = match (coalesce, pace.nap()) {
            (Some(nap), _) => Some(Rests::Always(nap)),
            (None, Some(_)) => Some(Rests::Paced(Pacer::new(pace))),
            (None, None) => None,
        };
        let state = rests.map(|rests| Mutex::new(State { rests, until: None }));
        Self { messages: AtomicU64::new(0), state }
    }

    /// So many messages were read.
    pub fn took(&self, messages: u64) {
        if self.state.is_some() {
            self.messages.fetch_add(messages, Ordering::Relaxed);
        }
    }

    /// For a thread that has nothing left to do: it comes back when it is time to ask for news.
    pub fn rest(&self) {
        if let Some(until) = self.until(Instant::now()) {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Until when a thread stays away. While one does all others do, or they would read message by message meanwhile.
    fn until(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.until
            && now < until
        {
            return Some(until);
        }
        state.until =
            state.rests.after(self.messages.swap(0, Ordering::Relaxed)).map(|nap| now + nap);
        state.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_stays_away_where_latency_counts_or_messages_are_rare() {
        let rhythm = Rhythm::new(Pace::LowLatency, None);
        rhythm.took(1_000);
        assert_eq!(rhythm.until(Instant::now()), None);
        let rhythm = Rhythm::new(Pace::Balanced, None);
        for _ in 0..100 {
            assert_eq!(rhythm.until(Instant::now()), None);
        }
    }

    #[test]
    fn who_wants_it_stays_away_after_each_message_and_only_then() {
        let nap = Duration::from_millis(5);
        let rhythm = Rhythm::new(Pace::LowLatency, Some(nap));
        let now = Instant::now();
        assert_eq!(rhythm.until(now), None, "nothing came");
        rhythm.took(1);
        assert_eq!(rhythm.until(now), Some(now + nap));
        assert_eq!(rhythm.until(now + nap / 2), Some(now + nap), "and so do all others");
        assert_eq!(rhythm.until(now + nap), None, "nothing came meanwhile");
    }

    #[test]
    fn all_threads_stay_away_until_the_same_moment() {
        let rhythm = Rhythm::new(Pace::LowCpu, None);
        let until = loop {
            rhythm.took(1_000);
            if let Some(until) = rhythm.until(Instant::now()) {
                break until;
            }
        };
        assert_eq!(rhythm.until(until - std::time::Duration::from_nanos(1)), Some(until));
    }
}

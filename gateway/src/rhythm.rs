//! When sockets are read: all of them at a time, where messages come often.
//!
//! A message that comes alone wakes a thread, which reads it, publishes it and goes to sleep: most of what the message
//! costs. Where messages come closer together than that, a thread that has nothing left to do stays away for a moment
//! before it asks the system for news, and then finds all that came meanwhile, of every shard. [`Pace`] says how
//! long; where messages are further apart nobody ever stays away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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
    pacer: Pacer,
    /// The end of the rest that a thread takes.
    until: Option<Instant>,
}

impl Rhythm {
    /// At this pace.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        let state = State { pacer: Pacer::new(pace), until: None };
        let state = pace.nap().map(|_| Mutex::new(state));
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
        state.pacer.took(self.messages.swap(0, Ordering::Relaxed));
        state.until = state.pacer.rest().map(|nap| now + nap);
        state.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_stays_away_where_latency_counts_or_messages_are_rare() {
        let rhythm = Rhythm::new(Pace::LowLatency);
        rhythm.took(1_000);
        assert_eq!(rhythm.until(Instant::now()), None);
        let rhythm = Rhythm::new(Pace::Balanced);
        for _ in 0..100 {
            assert_eq!(rhythm.until(Instant::now()), None);
        }
    }

    #[test]
    fn all_threads_stay_away_until_the_same_moment() {
        let rhythm = Rhythm::new(Pace::LowCpu);
        let until = loop {
            rhythm.took(1_000);
            if let Some(until) = rhythm.until(Instant::now()) {
                break until;
            }
        };
        assert_eq!(rhythm.until(until - std::time::Duration::from_nanos(1)), Some(until));
    }
}

//! When sockets are read: all of them at a time, where messages come often.
//!
//! A message that comes alone wakes a thread, which reads it, publishes it and goes to sleep: most of what the message
//! costs. Where messages come closer together than that, a thread that has nothing left to do stays away for a moment
//! before it asks the system for news, and then finds all that came meanwhile, of every shard. [`Pace`] says how
//! long; where messages are further apart nobody ever stays away, unless the operator wants it (`--coalesce-ms`).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_event::pauses::PAUSE_MIN;
use mixcord_ring::{Pace, Pacer, Wakes};

/// A nap brings messages of many shards. Whoever reads their rings is woken once for all of them, when there is nothing
/// left to read; but between two bursts once the first has waited for so long.
const WAKES_MAX: Duration = Duration::from_micros(400);

/// The rhythm of a process, whatever its threads and shards.
#[derive(Debug)]
pub struct Rhythm {
    /// Messages since the threads rested.
    messages: AtomicU64,
    /// Threads that are not at rest.
    at_work: AtomicUsize,
    /// `None` where nobody ever stays away.
    state: Option<Mutex<State>>,
    /// Whether threads stay away, as of the last rest.
    naps: AtomicBool,
    put_off: Mutex<PutOff>,
}

/// Readers of rings that are to be woken for what a nap brought.
#[derive(Debug, Default)]
struct PutOff {
    wakes: Vec<Wakes>,
    /// When the first was put off.
    since: Option<Instant>,
}

#[derive(Debug)]
struct State {
    rests: Rests,
    /// The end of the rest that a thread takes.
    until: Option<Instant>,
    /// How long after that it came back, the longest since somebody asked.
    late: Duration,
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
    fn after(&mut self, messages: u64, now: Instant) -> Option<Duration> {
        match self {
            Self::Paced(pacer) => {
                pacer.took(messages);
                pacer.rest_at(now)
            }
            Self::Always(nap) => (messages > 0).then_some(*nap),
        }
    }
}

impl Rhythm {
    /// At this pace, with so many threads, which begin at work; with `coalesce` that long after each message instead.
    #[must_use]
    pub fn new(pace: Pace, coalesce: Option<Duration>, threads: usize) -> Self {
        let pacer = Pacer::at_source(pace);
        let rests = match coalesce {
            Some(nap) => Some(Rests::Always(nap)),
            None => pacer.may_nap().then_some(Rests::Paced(pacer)),
        };
        let state =
            rests.map(|rests| Mutex::new(State { rests, until: None, late: Duration::ZERO }));
        Self {
            messages: AtomicU64::new(0),
            at_work: AtomicUsize::new(threads),
            state,
            naps: AtomicBool::new(false),
            put_off: Mutex::default(),
        }
    }

    /// So many messages were read.
    pub fn took(&self, messages: u64) {
        if self.state.is_some() {
            self.messages.fetch_add(messages, Ordering::Relaxed);
        }
    }

    /// A ring has news: who sleeps on it is woken, at once where messages come one by one.
    pub fn wake(&self, wakes: Wakes, now: Instant) {
        if !self.naps.load(Ordering::Relaxed) {
            return drop(wakes);
        }
        let mut put_off = self.put_off();
        put_off.wakes.push(wakes);
        put_off.since.get_or_insert(now);
        drop(put_off);
        self.wake_late(now);
    }

    /// A thread begins to read what a shard received, however long that takes: who waits for long already is woken.
    pub fn wake_late(&self, now: Instant) {
        let since = self.put_off().since;
        if since.is_some_and(|since| now.saturating_duration_since(since) >= WAKES_MAX) {
            self.wake_all();
        }
    }

    /// For a thread that has nothing left to do: it comes back when it is time to ask for news.
    pub fn rest(&self) {
        if self.state.is_none() {
            return;
        }
        self.wake_all();
        if let Some(until) = self.until(Instant::now()) {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            self.back(until, Instant::now());
        }
    }

    fn wake_all(&self) {
        // They call the system, and nobody is to wait for that.
        let put_off = std::mem::take(&mut *self.put_off());
        drop(put_off);
    }

    fn put_off(&self) -> MutexGuard<'_, PutOff> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread was to be back by then.
    fn back(&self, until: Instant, now: Instant) {
        let late = now.saturating_duration_since(until);
        if late > PAUSE_MIN
            && let Some(state) = &self.state
        {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.late = state.late.max(late);
        }
    }

    /// How much longer than it wanted to a thread rested since this was asked last, where that was a pause.
    pub fn take_late(&self) -> Duration {
        let Some(state) = &self.state else { return Duration::ZERO };
        std::mem::take(&mut state.lock().unwrap_or_else(PoisonError::into_inner).late)
    }

    /// For a thread that had rested and has something to do.
    pub fn work(&self) {
        self.at_work.fetch_add(1, Ordering::Relaxed);
    }

    /// Until when a thread stays away that goes to rest. While one does all others do, or they would read message by
    /// message meanwhile; while others are at work it is their messages that count, and they who rest.
    fn until(&self, now: Instant) -> Option<Instant> {
        let is_last = self.at_work.fetch_sub(1, Ordering::Relaxed) == 1;
        let mut state = self.state.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.until
            && now < until
        {
            return Some(until);
        }
        if !is_last {
            return None;
        }
        state.until =
            state.rests.after(self.messages.swap(0, Ordering::Relaxed), now).map(|nap| now + nap);
        self.naps.store(state.until.is_some(), Ordering::Relaxed);
        state.until
    }
}

#[cfg(test)]
mod tests {
    use mixcord_ring::{
        Bell, Geometry, GroupSpec, Member, Meta, Namespace, Producer, Start, Woken,
    };

    use super::*;

    /// The only thread goes to rest, and to work again.
    fn rest(rhythm: &Rhythm, now: Instant) -> Option<Instant> {
        let until = rhythm.until(now);
        rhythm.work();
        until
    }

    #[test]
    fn nobody_stays_away_where_latency_counts_or_messages_are_rare() {
        let rhythm = Rhythm::new(Pace::LowLatency, None, 1);
        rhythm.took(1_000);
        assert_eq!(rest(&rhythm, Instant::now()), None);
        let rhythm = Rhythm::new(Pace::Balanced, None, 1);
        let mut now = Instant::now();
        for _ in 0..100 {
            rhythm.took(1);
            assert_eq!(rest(&rhythm, now), None);
            now += Duration::from_millis(5);
        }
    }

    #[test]
    fn who_wants_it_stays_away_after_each_message_and_only_then() {
        let nap = Duration::from_millis(5);
        let rhythm = Rhythm::new(Pace::LowLatency, Some(nap), 1);
        let now = Instant::now();
        assert_eq!(rest(&rhythm, now), None, "nothing came");
        rhythm.took(1);
        assert_eq!(rest(&rhythm, now), Some(now + nap));
        assert_eq!(rest(&rhythm, now + nap / 2), Some(now + nap), "and so do all others");
        assert_eq!(rest(&rhythm, now + nap), None, "nothing came meanwhile");
    }

    /// Wakes the only thread for a message every tenth of a millisecond, until it stays away.
    fn until_a_nap(rhythm: &Rhythm, mut now: Instant) -> Instant {
        loop {
            rhythm.took(1);
            if let Some(until) = rest(rhythm, now) {
                return until;
            }
            now += Duration::from_micros(100);
        }
    }

    #[test]
    fn all_threads_stay_away_until_the_same_moment() {
        let rhythm = Rhythm::new(Pace::LowCpu, None, 1);
        let until = until_a_nap(&rhythm, Instant::now());
        assert_eq!(rest(&rhythm, until - Duration::from_nanos(1)), Some(until));
    }

    /// A ring with a record, whose reader sleeps, and what it waits for.
    struct Sleeper {
        producer: Producer,
        member: Member,
        bell: Bell,
    }

    impl Sleeper {
        fn new() -> Self {
            let namespace = Namespace::private();
            let bell = namespace.bell().expect("a bell");
            let geometry = Geometry::new(64, 1 << 16, 4, 1, 4).expect("sizes");
            let group = GroupSpec::durable("g").from(Start::Earliest);
            let producer =
                Producer::create(&namespace, "r", geometry, std::slice::from_ref(&group), &bell)
                    .expect("a ring");
            let member = producer.ring().join(&group, &bell).expect("a member");
            Self { producer, member, bell }
        }

        /// Whether it was woken for a record that is published now and told to `rhythm`.
        fn is_woken(&mut self, rhythm: &Rhythm, now: Instant, then: impl FnOnce()) -> bool {
            let ticket = self.bell.ticket();
            self.member.arm();
            self.producer.stage(&Meta::default(), &[b"news"]).expect("staged");
            rhythm.wake(self.producer.publish_quietly().expect("news"), now);
            then();
            self.bell.wait(ticket, Duration::ZERO) != Woken::TimedOut
        }
    }

    #[test]
    fn readers_are_woken_at_once_but_for_what_a_nap_brings() {
        let mut sleeper = Sleeper::new();
        let rhythm = Rhythm::new(Pace::Balanced, None, 1);
        let now = Instant::now();
        assert!(sleeper.is_woken(&rhythm, now, || ()), "messages come one by one");
        let until = until_a_nap(&rhythm, now);
        assert!(!sleeper.is_woken(&rhythm, until, || ()), "there is more to read");
        assert!(sleeper.is_woken(&rhythm, until, || rhythm.wake_all()), "with all others");
        assert!(!sleeper.is_woken(&rhythm, until, || ()));
        assert!(sleeper.is_woken(&rhythm, until + WAKES_MAX, || ()), "there was enough time");
        let later = until + WAKES_MAX;
        assert!(sleeper.is_woken(&rhythm, until, || rhythm.wake_late(later)), "before a burst");
        let rests = || {
            rhythm.rest();
            rhythm.work();
        };
        assert!(sleeper.is_woken(&rhythm, until, rests), "there is nothing left to read");
    }

    /// Told once, of the longest, and not of what is no pause.
    #[test]
    fn who_comes_back_late_says_so() {
        let rhythm = Rhythm::new(Pace::Balanced, None, 1);
        let until = Instant::now();
        for ms in [0, 1, 7, 3] {
            rhythm.back(until, until + Duration::from_millis(ms));
        }
        assert_eq!(rhythm.take_late(), Duration::from_millis(7));
        rhythm.back(until, until + PAUSE_MIN);
        assert_eq!(rhythm.take_late(), Duration::ZERO);
    }

    /// A thread that was woken for nothing does not end the naps of the one that reads.
    #[test]
    fn who_rests_while_others_work_decides_nothing() {
        let rhythm = Rhythm::new(Pace::Balanced, None, 1);
        let until = until_a_nap(&rhythm, Instant::now());
        rhythm.work(); // a second one
        assert_eq!(rhythm.until(until), None, "the first is at work");
        rhythm.took(5);
        assert!(rhythm.until(until).is_some(), "as if there had been no second");
    }
}

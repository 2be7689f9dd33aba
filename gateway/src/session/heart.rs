//! The heartbeat of one connection: when to beat, and when the connection is dead.

use std::time::{Duration, Instant};

use super::Reading;
use crate::random::Random;

/// What Discord announces today; taken when HELLO has no usable number.
pub const USUAL_INTERVAL: Duration = Duration::from_millis(41_250);
/// A server that asks for less would make us break the send limit (G-28).
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// A longer one would leave dead connections standing.
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);
/// G-11: this many beats without an answer are too many, whatever else arrives.
const UNANSWERED_MAX: u32 = 3;
/// How many latencies are kept.
const LATENCIES: usize = 10;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    NotDue,
    /// Send a heartbeat.
    Send,
    /// Nobody is at the other end (G-10, G-11).
    Dead,
}

/// The latencies of the last heartbeats, newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    fn push(&mut self, latency: Duration) {
        if self.0.len() == LATENCIES {
            self.0.remove(0);
        }
        self.0.push(latency);
    }

    /// At most ten, newest last.
    pub fn as_slice(&self) -> &[Duration] {
        &self.0
    }

    /// The newest.
    pub fn last(&self) -> Option<Duration> {
        self.0.last().copied()
    }
}

/// One connection's heartbeat.
#[derive(Debug)]
pub(super) struct Heart {
    interval: Duration,
    next: Instant,
    /// When the newest beat whose answer is still missing was sent.
    sent: Option<Instant>,
    /// Beats sent since the last answer.
    unanswered: u32,
    /// Did anything arrive since the last beat?
    heard: bool,
}

impl Heart {
    /// Starts with the interval of HELLO; the first beat comes after a random part of it (G-8).
    pub(super) fn start(now: Instant, interval_ms: Option<u64>, random: &mut Random) -> Self {
        let interval = interval_ms
            .map_or(USUAL_INTERVAL, Duration::from_millis)
            .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        Self {
            interval,
            next: now + interval.mul_f64(random.fraction()),
            sent: None,
            unanswered: 0,
            heard: true,
        }
    }

    /// The interval in use, after limits.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Says what to do at `now`; counts the beat when it is [`Beat::Send`]. While the socket is not read,
    /// silence proves nothing: beats go on, the rules of dead connections rest.
    pub(super) fn tick(&mut self, now: Instant, reading: Reading) -> Beat {
        if now < self.next {
            return Beat::NotDue;
        }
        // Woken late (a suspended machine, a stopped process): what waits in the socket could not
        // be heard yet.
        let late = now.saturating_duration_since(self.next) > self.interval / 2;
        let silent = !self.heard || self.unanswered >= UNANSWERED_MAX;
        if self.unanswered > 0 && silent && reading == Reading::Running && !late {
            return Beat::Dead;
        }
        self.heard = false;
        self.unanswered = self.unanswered.saturating_add(1);
        self.sent = Some(now);
        self.next += self.interval;
        if self.next <= now {
            self.next = now + self.interval;
        }
        Beat::Send
    }

    /// Something arrived, whatever it was.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// The answer to a beat arrived.
    pub(super) fn answered(&mut self, now: Instant, latencies: &mut Latencies) {
        self.unanswered = 0;
        if let Some(sent) = self.sent.take() {
            latencies.push(now.saturating_duration_since(sent));
        }
    }

    /// Nothing counts that could not be heard.
    pub(super) fn forgive(&mut self) {
        self.heard = true;
        self.unanswered = 0;
        self.sent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn heart(now: Instant) -> Heart {
        Heart::start(now, Some(1_000), &mut Random::seeded(5))
    }

    /// §15 line 1: the first beat comes in `[0, interval)`.
    #[test]
    fn g8_first_beat_is_spread_over_the_interval() {
        let now = Instant::now();
        let mut random = Random::seeded(9);
        let firsts: Vec<_> =
            (0..200).map(|_| Heart::start(now, Some(1_000), &mut random).next() - now).collect();
        assert!(firsts.iter().all(|first| *first < SECOND));
        assert!(firsts.iter().any(|first| *first < SECOND / 10));
        assert!(firsts.iter().any(|first| *first > SECOND * 9 / 10));
    }

    #[test]
    fn g8_one_beat_every_interval_latency_not_subtracted() {
        let now = Instant::now();
        let (mut heart, mut latencies) = (heart(now), Latencies::default());
        let first = heart.next();
        for beat in 0..50 {
            let due = first + SECOND * beat;
            assert_eq!(heart.next(), due);
            assert_eq!(heart.tick(due - Duration::from_millis(1), Reading::Running), Beat::NotDue);
            assert_eq!(heart.tick(due, Reading::Running), Beat::Send);
            heart.heard();
            heart.answered(due + SECOND / 4, &mut latencies);
        }
        assert_eq!(latencies.as_slice(), [SECOND / 4; 10]);
    }

    #[test]
    fn g10_silence_between_two_beats_is_death() {
        let mut heart = heart(Instant::now());
        assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Send);
        assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Dead);
    }

    #[test]
    fn g11_other_traffic_is_life_but_not_for_ever() {
        let mut heart = heart(Instant::now());
        for _ in 0..UNANSWERED_MAX {
            assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Send);
            heart.heard();
        }
        assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Dead);
    }

    #[test]
    fn while_the_socket_is_not_read_beats_go_on_and_nothing_dies() {
        let mut heart = heart(Instant::now());
        for _ in 0..20 {
            assert_eq!(heart.tick(heart.next(), Reading::Stalled), Beat::Send);
        }
        heart.forgive();
        assert_eq!(
            heart.tick(heart.next(), Reading::Running),
            Beat::Send,
            "nothing counts from before"
        );
        assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Dead, "the rules hold again");
    }

    #[test]
    fn a_late_wake_is_not_held_against_the_server() {
        let mut heart = heart(Instant::now());
        assert_eq!(heart.tick(heart.next(), Reading::Running), Beat::Send);
        let late = heart.next() + SECOND * 30;
        assert_eq!(heart.tick(late, Reading::Running), Beat::Send);
        assert_eq!(heart.next(), late + SECOND, "missed beats are not made up for");
    }

    #[test]
    fn absurd_intervals_are_kept_within_limits() {
        let now = Instant::now();
        let interval = |ms| Heart::start(now, ms, &mut Random::seeded(1)).interval();
        assert_eq!(interval(Some(0)), SHORTEST_INTERVAL);
        assert_eq!(interval(Some(u64::MAX)), LONGEST_INTERVAL);
        assert_eq!(interval(None), USUAL_INTERVAL);
    }
}

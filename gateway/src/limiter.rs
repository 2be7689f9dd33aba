//! The limits on what one connection may send (G-28, G-29).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Everything sent counts: 120 in 60 s, or Discord closes with 4008 (G-28).
pub const SENDS_MAX: usize = 120;
const SENDS_WINDOW: Duration = Duration::from_secs(60);
/// Presence updates: 5 in 20 s (G-29).
pub const PRESENCES_MAX: usize = 5;
const PRESENCES_WINDOW: Duration = Duration::from_secs(20);
/// The most that is kept free for heartbeats.
const RESERVE_MAX: usize = 10;

/// At most `max` in any `window`.
#[derive(Debug)]
struct Window {
    max: usize,
    window: Duration,
    sent: VecDeque<Instant>,
}

impl Window {
    fn new(max: usize, window: Duration) -> Self {
        Self { max, window, sent: VecDeque::with_capacity(max) }
    }

    /// How long until `reserve + 1` more would fit; zero when they do.
    fn wait(&mut self, now: Instant, reserve: usize) -> Duration {
        while self.sent.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.window)
        {
            self.sent.pop_front();
        }
        let room = self.max.saturating_sub(reserve).max(1);
        match (self.sent.len() + 1).checked_sub(room) {
            None | Some(0) => Duration::ZERO,
            // The one whose leaving makes room.
            Some(over) => self
                .sent
                .get(over - 1)
                .map_or(Duration::ZERO, |at| (*at + self.window).saturating_duration_since(now)),
        }
    }

    fn note(&mut self, now: Instant) {
        if self.sent.len() == self.max {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

/// What one connection has sent in the last minute. Starts afresh with each connection.
#[derive(Debug)]
pub struct Limiter {
    sends: Window,
    presences: Window,
    /// Heartbeats due in one window.
    beats: usize,
    /// What is kept free of commands.
    reserve: usize,
}

impl Limiter {
    /// For a new connection, which beats every `heartbeat`.
    pub fn new(heartbeat: Duration) -> Self {
        let mut limiter = Self {
            sends: Window::new(SENDS_MAX, SENDS_WINDOW),
            presences: Window::new(PRESENCES_MAX, PRESENCES_WINDOW),
            beats: 0,
            reserve: 0,
        };
        limiter.beats_every(heartbeat);
        limiter
    }

    /// The server has told how often the connection beats. What was sent counts on.
    pub fn beats_every(&mut self, heartbeat: Duration) {
        let beats = SENDS_WINDOW.as_millis() / heartbeat.as_millis().max(1);
        self.beats = usize::try_from(beats).unwrap_or(SENDS_MAX).min(SENDS_MAX);
        // One beat more than fit in the window, one that the server may ask for (op 1), and RESUME.
        self.reserve = (self.beats + 3).min(RESERVE_MAX);
    }

    /// Is there room for a heartbeat that the server asks for (G-9) beside those that are due? A server
    /// that wants more by itself than it would allow is not held to its limit.
    pub fn may_answer(&mut self, now: Instant) -> bool {
        self.beats >= SENDS_MAX || self.sends.wait(now, self.beats + 1).is_zero()
    }

    /// Notes a heartbeat, IDENTIFY or RESUME, which never wait.
    pub fn note(&mut self, now: Instant) {
        self.sends.note(now);
    }

    /// Takes room for one command of a user.
    ///
    /// # Errors
    /// How long to wait when there is none.
    pub fn take(&mut self, now: Instant, presence: bool) -> Result<(), Duration> {
        let mut wait = self.sends.wait(now, self.reserve);
        if presence {
            wait = wait.max(self.presences.wait(now, 0));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        self.sends.note(now);
        if presence {
            self.presences.note(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §15 line 14: 121 sends in 60 s never happen, and heartbeats always have room.
    #[test]
    fn g28_never_121_sends_in_a_minute_with_heartbeats_on_time() {
        let start = Instant::now();
        let interval = Duration::from_millis(41_250);
        let mut limiter = Limiter::new(interval);
        let mut sent: Vec<Instant> = Vec::new();
        for ms in (0..400_000u64).step_by(50) {
            let now = start + Duration::from_millis(ms);
            if ms % 41_250 == 0 {
                limiter.note(now);
                sent.push(now);
            }
            while limiter.take(now, false).is_ok() {
                sent.push(now);
            }
        }
        for (first, at) in sent.iter().enumerate() {
            let within = sent[first..].iter().take_while(|s| **s < *at + SENDS_WINDOW).count();
            assert!(within <= 120, "{within} sends in a minute");
        }
        assert!(sent.len() > 6 * 100, "the budget is used: {}", sent.len());
    }

    /// §15 line 14, whatever the server asks for.
    #[test]
    fn g9_g28_heartbeats_that_the_server_asks_for_stay_within_the_limit() {
        let start = Instant::now();
        let mut limiter = Limiter::new(Duration::from_millis(41_250));
        let mut answered = 0;
        for ms in (0..59_000u64).step_by(10) {
            let now = start + Duration::from_millis(ms);
            if ms % 41_250 == 0 {
                limiter.note(now);
                answered += 1;
            }
            if limiter.may_answer(now) {
                limiter.note(now);
                answered += 1;
            }
        }
        assert!((110..=120).contains(&answered), "{answered}");
        assert!(!limiter.may_answer(start + Duration::from_secs(59)));
        assert!(limiter.may_answer(start + Duration::from_secs(61)));
        let mut wanting = Limiter::new(Duration::from_millis(100));
        (0..300).for_each(|_| wanting.note(start));
        assert!(wanting.may_answer(start));
    }

    /// Commands, what the server asks for and the beats that are due fill the window, and no more.
    #[test]
    fn g28_a_full_window_holds_120_sends() {
        let start = Instant::now();
        let mut limiter = Limiter::new(Duration::from_millis(41_250));
        let mut sent = 0;
        while limiter.take(start, false).is_ok() {
            sent += 1;
        }
        while limiter.may_answer(start) {
            limiter.note(start);
            sent += 1;
        }
        for beat in [0, 41_250] {
            limiter.note(start + Duration::from_millis(beat));
            sent += 1;
        }
        assert_eq!(sent, 120);
        assert!(limiter.take(start + Duration::from_secs(59), false).is_err());
        assert!(!limiter.may_answer(start + Duration::from_secs(59)));
    }

    #[test]
    fn g28_what_was_sent_before_the_interval_is_known_counts() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Duration::from_secs(41));
        (0..100).for_each(|_| limiter.note(now));
        limiter.beats_every(Duration::from_secs(30));
        let more = std::iter::from_fn(|| limiter.take(now, false).ok()).count();
        assert_eq!(more, 15, "two beats a minute, and three more, are kept free");
    }

    #[test]
    fn g29_five_presences_in_twenty_seconds() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Duration::from_secs(41));
        for _ in 0..5 {
            assert_eq!(limiter.take(now, true), Ok(()));
        }
        assert_eq!(limiter.take(now + Duration::from_secs(5), true), Err(Duration::from_secs(15)));
        assert_eq!(limiter.take(now + Duration::from_secs(5), false), Ok(()));
        assert_eq!(limiter.take(now + Duration::from_secs(20), true), Ok(()));
    }

    #[test]
    fn the_answer_says_when_there_is_room_again() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Duration::from_secs(41));
        let mut count = 0;
        let wait = loop {
            match limiter.take(now, false) {
                Ok(()) => count += 1,
                Err(wait) => break wait,
            }
        };
        assert!((100..120).contains(&count), "{count}");
        assert_eq!(limiter.take(now + wait, false), Ok(()));
    }
}

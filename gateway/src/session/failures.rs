//! What went wrong lately, and what follows from it: where to connect, how long to wait before, and when
//! a session is no longer worth resuming.

use std::time::{Duration, Instant};

use super::{Endpoint, Lost, SessionInfo, Times, close};
use crate::backoff::Backoff;
use crate::random::Random;

/// How often in a row the server may end a connection in the middle of resuming before the session
/// is given up (G-27).
pub(super) const RESUMES_REFUSED_MAX: u32 = 2;
/// The same for a close code that the contract does not know.
const RESUMES_REFUSED_UNKNOWN_MAX: u32 = 1;
/// No wait for a server that is away is longer: Discord keeps what it replays for little more than half a
/// minute (G-23), and connecting costs nothing (G-7).
const AWAY_MAX: Duration = Duration::from_secs(20);
/// A hole in a replay ends a session once in this time at most.
const HOLE_EVERY: Duration = Duration::from_secs(60 * 60);

/// What went wrong lately.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Connections in a row that were not well, since the server last answered.
    attempts: u32,
    /// Times in a row that the server answered only to call the session invalid, or to end it.
    invalid: u32,
    /// Identifies in a row without a lasting session.
    identifies: u32,
    /// Resumes in a row that the server ended.
    resumes_refused: u32,
    /// Since when resuming fails without a word.
    resume_failing: Option<Instant>,
    /// The session's own URL did not connect (G-21).
    resume_url_failed: bool,
    /// The gateway's URL did not connect (G-2).
    gateway_failed: bool,
    /// When a hole in a replay last ended a session.
    hole: Option<Instant>,
}

impl Failures {
    /// Where to connect next.
    pub(super) fn endpoint(&self, session: Option<&SessionInfo>) -> Endpoint {
        match session.and_then(|session| session.resume_url.clone()) {
            Some(url) if !self.resume_url_failed => Endpoint::Resume(url),
            _ => Endpoint::Gateway { ask_again: self.gateway_failed },
        }
    }

    /// Identifies in a row without a lasting session.
    pub(super) fn identifies(&self) -> u32 {
        self.identifies
    }

    /// So many runs of the shard before this one failed.
    pub(super) fn before(&mut self, runs: u32) {
        self.identifies = runs;
    }

    /// The server was reached.
    pub(super) fn reached(&mut self) {
        self.gateway_failed = false;
    }

    /// There was no connection, or no HELLO. G-21: a resume URL that does not work is not tried again; the
    /// session is kept.
    pub(super) fn unreachable(&mut self, with_session: bool) {
        if with_session && !self.resume_url_failed {
            self.resume_url_failed = true;
        } else {
            self.gateway_failed = true;
        }
    }

    /// IDENTIFY is sent.
    pub(super) fn identify(&mut self) {
        self.identifies = self.identifies.saturating_add(1);
    }

    /// Events flow.
    pub(super) fn active(&mut self) {
        self.resumes_refused = 0;
        self.resume_failing = None;
        // Whatever kept it from connecting, such as a network that was down, may be over.
        self.resume_url_failed = false;
    }

    /// Events have been flowing for as long as `active`.
    pub(super) fn lived(&mut self, active: Duration, times: &Times) {
        if active >= times.settled {
            self.attempts = 0;
            self.invalid = 0;
        }
        if active >= times.lasting {
            self.identifies = 0;
        }
    }

    /// A connection ended in the middle of resuming. Is the session to be given up?
    pub(super) fn resume_failed(&mut self, now: Instant, lost: Lost, times: &Times) -> bool {
        match lost {
            // G-25: for a while after an outage this is what RESUME gets.
            Lost::Closed(None | Some(1006)) | Lost::Zombie => {
                let since = *self.resume_failing.get_or_insert(now);
                now.saturating_duration_since(since) >= times.resume_patience
            }
            Lost::Reconnect | Lost::Asked => false,
            // G-27.
            _ => {
                self.resumes_refused = self.resumes_refused.saturating_add(1);
                let known = !matches!(lost, Lost::Closed(code) if !close::is_known(code));
                let max = if known { RESUMES_REFUSED_MAX } else { RESUMES_REFUSED_UNKNOWN_MAX };
                self.resumes_refused >= max
            }
        }
    }

    /// A replay has a hole. Does that end the session?
    pub(super) fn may_end_for_a_hole(&mut self, now: Instant) -> bool {
        let often = self.hole.is_some_and(|at| now.saturating_duration_since(at) < HOLE_EVERY);
        if !often {
            self.hole = Some(now);
        }
        !often
    }

    /// There is no session to resume any more: what was held against it is forgotten.
    pub(super) fn session_gone(&mut self) {
        self.resumes_refused = 0;
        self.resume_failing = None;
        self.resume_url_failed = false;
    }

    /// How long to wait before the next connection; counts the one that was lost.
    pub(super) fn wait(
        &mut self,
        lost: Lost,
        next: Next,
        backoff: &Backoff,
        random: &mut Random,
    ) -> Duration {
        if is_verdict(lost) {
            return self.wait_after_verdict(lost, next, backoff, random);
        }
        let backoff = match next {
            Next::Identify => *backoff,
            Next::Resume | Next::Reach => backoff.within(AWAY_MAX),
        };
        let wait = backoff.delay(self.attempts, random);
        self.attempts = self.attempts.saturating_add(1);
        wait
    }

    /// The server is there and has answered, so that what failed before means nothing any more. One that
    /// always answers so is spared, too.
    fn wait_after_verdict(
        &mut self,
        lost: Lost,
        next: Next,
        backoff: &Backoff,
        random: &mut Random,
    ) -> Duration {
        self.attempts = 0;
        let wait = backoff.delay(self.invalid, random);
        self.invalid = self.invalid.saturating_add(1);
        if lost == Lost::InvalidSession && next != Next::Resume {
            // G-26: one to five seconds, the first part of the wait included; in the scale of the shortest
            // delay, which is half a second.
            return wait + random.between(backoff.min * 2, backoff.min * 9);
        }
        wait
    }
}

/// What the next connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To resume: Discord does not keep the session for long.
    Resume,
    /// To find the server, which the last attempt did not.
    Reach,
    /// To begin a session.
    Identify,
}

/// Did the server itself say that the session is over?
fn is_verdict(lost: Lost) -> bool {
    match lost {
        Lost::InvalidSession => true,
        Lost::Closed(code) => close::verdict(code) == close::Verdict::Identify,
        _ => false,
    }
}

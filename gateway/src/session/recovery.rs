//! What happens when a connection ends: resume, identify, or give up (contract §3 and §7).

use std::time::{Duration, Instant};

use super::close::{self, RESUMABLE_CLOSE, Verdict as CloseVerdict};
use super::{Action, Ended, Gap, GapReason, Lost, Phase, Session, State};

/// How often in a row the server may end a connection in the middle of resuming before the session
/// is given up (G-27).
pub(super) const RESUMES_REFUSED_MAX: u32 = 2;
/// The same for a close code that the contract does not know.
const RESUMES_REFUSED_UNKNOWN_MAX: u32 = 1;

impl Session {
    /// Ends the connection from our side.
    pub(super) fn drop_connection(&mut self, now: Instant, lost: Lost) {
        self.actions.push_back(Action::Close(RESUMABLE_CLOSE));
        self.lost(now, lost);
    }

    /// The connection is gone; decides what comes next.
    pub(super) fn lost(&mut self, now: Instant, lost: Lost) {
        self.settle(now);
        self.reconnects = self.reconnects.saturating_add(1);
        self.heart = None;
        if let Lost::Closed(code) = lost {
            match close::verdict(code) {
                CloseVerdict::Fatal(fatal) => return self.end(Ended::Fatal(fatal)),
                CloseVerdict::Identify => {
                    self.give_up_session(GapReason::SessionClosed(code.unwrap_or(0)));
                }
                CloseVerdict::Resume => {}
            }
        }
        match self.phase {
            Phase::Connecting | Phase::AwaitHello { .. }
                if !matches!(lost, Lost::Reconnect | Lost::InvalidSession) =>
            {
                // G-21: a resume URL that does not work is not tried again; the session is kept.
                if self.session.is_some() && self.to_resume_url {
                    self.to_resume_url = false;
                } else {
                    self.gateway_failed = true;
                }
            }
            Phase::AwaitPermit => self.actions.push_back(Action::CancelPermit),
            Phase::Resuming { .. } => self.resume_failed(now, lost),
            _ => {}
        }
        let wait = self.backoff.delay(self.attempts, &mut self.random) + self.courtesy(lost);
        self.attempts = self.attempts.saturating_add(1);
        self.phase = Phase::Waiting { until: now + wait };
        self.set_state(State::Disconnected);
        tracing::info!(%lost, wait_ms = wait.as_millis(), resumable = self.session.is_some(), "connection lost");
    }

    /// G-26: after an invalid session, one to five seconds (in the scale of the shortest delay).
    fn courtesy(&mut self, lost: Lost) -> Duration {
        if lost == Lost::InvalidSession && self.session.is_none() {
            self.random.between(self.backoff.min, self.backoff.min * 5)
        } else {
            Duration::ZERO
        }
    }

    fn resume_failed(&mut self, now: Instant, lost: Lost) {
        let give_up = match lost {
            // G-25: for a while after an outage this is what RESUME gets.
            Lost::Closed(None | Some(1006)) | Lost::Zombie => {
                let since = *self.resume_failing.get_or_insert(now);
                now.saturating_duration_since(since) >= self.times.resume_patience
            }
            Lost::Reconnect => false,
            // G-27.
            _ => {
                self.resumes_refused = self.resumes_refused.saturating_add(1);
                let known = !matches!(lost, Lost::Closed(code) if !close::is_known(code));
                let max = if known { RESUMES_REFUSED_MAX } else { RESUMES_REFUSED_UNKNOWN_MAX };
                self.resumes_refused >= max
            }
        };
        if give_up {
            self.give_up_session(GapReason::ResumeFailed);
        }
    }

    pub(super) fn give_up_session(&mut self, reason: GapReason) {
        if self.session.take().is_none() {
            return;
        }
        tracing::warn!(reason = reason.as_str(), after_seq = ?self.accepted, "session lost: events are missing");
        self.resumes_refused = 0;
        self.resume_failing = None;
        self.to_resume_url = true;
        self.owe(reason);
    }

    /// The next session's first commit has to tell that events are missing from here on.
    pub(super) fn owe(&mut self, reason: GapReason) {
        // A gap already owed began earlier and has no end: it covers this one.
        if self.owed.is_none() {
            self.owed = Some(Gap {
                counter: self.counter,
                from_seq: self.accepted.map_or(0, |seq| seq.saturating_add(1)),
                to_seq: None,
                reason,
            });
        }
    }
}

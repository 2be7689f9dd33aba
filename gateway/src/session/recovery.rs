//! What happens when a connection ends: resume, identify, or give up (contract §3 and §7).

use std::time::Instant;

use super::close::{self, RESUMABLE_CLOSE, Verdict as CloseVerdict};
use super::connection::{Connection, Stage};
use super::failures::Next;
use super::{Action, Ended, Gap, GapReason, Lost, Phase, Session, State};

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
        if let Lost::Closed(code) = lost {
            self.last_close = code.or(self.last_close);
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
                self.failures.unreachable(self.session.is_some());
            }
            Phase::Open(Connection { stage: Stage::AwaitPermit, .. }) => {
                self.actions.push_back(Action::CancelPermit);
            }
            Phase::Open(Connection { stage: Stage::Resuming { .. }, .. })
                if self.failures.resume_failed(now, lost, &self.times) =>
            {
                self.give_up_session(GapReason::ResumeFailed);
            }
            _ => {}
        }
        let resumable = self.session.is_some();
        let next = match self.phase {
            _ if resumable => Next::Resume,
            Phase::Connecting | Phase::AwaitHello { .. } => Next::Reach,
            _ => Next::Identify,
        };
        let wait = self.failures.wait(lost, next, &self.backoff, &mut self.random);
        self.phase = Phase::Waiting { until: now + wait };
        self.set_state(State::Disconnected);
        tracing::info!(%lost, wait_ms = wait.as_millis(), resumable, "connection lost");
    }

    /// A connection that has lived for a while was well.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Phase::Open(Connection { stage: Stage::Active { since }, .. }) = self.phase {
            self.failures.lived(now.saturating_duration_since(since), &self.times);
        }
    }

    pub(super) fn give_up_session(&mut self, reason: GapReason) {
        if self.session.take().is_none() {
            return;
        }
        let after_seq = self.sequence.accepted();
        tracing::warn!(reason = reason.as_str(), ?after_seq, "session lost: events are missing");
        self.failures.session_gone();
        self.owe(reason);
    }

    /// The next session's first commit has to tell that events are missing from here on.
    pub(super) fn owe(&mut self, reason: GapReason) {
        // A gap already owed began earlier and has no end: it covers this one.
        if self.owed.is_none() {
            let (counter, from_seq) = (self.counter, self.sequence.first_missing());
            self.owed = Some(Gap { counter, from_seq, to_seq: None, reason });
        }
    }
}

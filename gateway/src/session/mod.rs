//! The life of one shard's session, without any I/O: messages and the passing of time go in,
//! actions come out (contract §3).
//!
//! ```text
//! Waiting ──delay──▶ Connecting ──▶ AwaitHello ──HELLO──▶ AwaitPermit ──▶ Identifying ──READY──▶ Active
//!    ▲                   │              │     └─session─▶ Resuming ───────────RESUMED────────────▶ │
//!    └───────────────────┴── connection lost, op 7, op 9, zombie ◀──────────────┴──────────────────┘
//! ```
//!
//! Three numbers follow Discord's `s`:
//! * *accepted*: the last one handed on towards the ring in this process,
//! * *committed*: the last one that is in the ring for good; RESUME and heartbeats carry it, and it
//!   never passes *accepted*;
//! * *replayed*: after a RESUME, what was accepted but not yet committed is sent again by Discord
//!   and left out here, up to this number.

mod close;
mod connection;
mod events;
mod figures;
mod heart;
mod recovery;
mod types;

use std::collections::VecDeque;
use std::time::Instant;

pub use close::{Fatal, RESUMABLE_CLOSE};
pub use heart::Latencies;
pub use types::*;

use crate::backoff::Backoff;
use crate::random::Random;
use heart::{Beat, Heart};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting {
        until: Instant,
    },
    Connecting,
    AwaitHello {
        until: Instant,
    },
    AwaitPermit,
    /// Waits for READY; not longer than `until`, once something that may have been it was lost.
    Identifying {
        until: Option<Instant>,
    },
    /// Waits for RESUMED; not longer than `until`, once something that may have been it was lost.
    Resuming {
        until: Option<Instant>,
    },
    Active {
        since: Instant,
    },
    Ended,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Session {
    backoff: Backoff,
    times: Times,
    random: Random,
    phase: Phase,
    heart: Option<Heart>,
    latencies: Latencies,
    session: Option<SessionInfo>,
    counter: u32,
    accepted: Option<u64>,
    committed: Option<u64>,
    /// The number of the session's READY.
    began_at: u64,
    /// Numbers up to this one are repetitions on this connection.
    replayed: Option<u64>,
    /// The replay's first new event has not come yet: a hole there ends the session.
    replaying: bool,
    /// A message was left out since the last accepted event.
    poisoned: bool,
    /// The first event on this connection that came before READY.
    early: Option<u64>,
    /// A gap that the next session's first commit has to tell.
    owed: Option<Gap>,
    /// Connections in a row that were not well.
    attempts: u32,
    /// Identifies in a row without a lasting session.
    identify_failures: u32,
    /// Resumes in a row that the server ended.
    resumes_refused: u32,
    /// Since when resuming fails without a word.
    resume_failing: Option<Instant>,
    /// The gateway URL did not connect.
    gateway_failed: bool,
    to_resume_url: bool,
    state: State,
    reconnects: u64,
    reading: bool,
    actions: VecDeque<Action>,
}

impl Session {
    /// A machine that connects at its first [`Self::tick`].
    pub fn new(
        now: Instant,
        restored: Restored,
        backoff: Backoff,
        times: Times,
        random: Random,
    ) -> Self {
        let owed = restored.lost.map(|reason| Gap {
            counter: restored.counter,
            from_seq: restored.seq.map_or(0, |seq| seq.saturating_add(1)),
            to_seq: None,
            reason,
        });
        Self {
            backoff,
            times,
            random,
            phase: Phase::Waiting { until: now },
            heart: None,
            latencies: Latencies::default(),
            session: restored.session,
            counter: restored.counter,
            accepted: restored.seq,
            committed: restored.seq,
            began_at: restored.seq.unwrap_or(0),
            replayed: None,
            replaying: false,
            poisoned: false,
            early: None,
            owed,
            attempts: 0,
            identify_failures: 0,
            resumes_refused: 0,
            resume_failing: None,
            gateway_failed: false,
            to_resume_url: true,
            state: State::Disconnected,
            reconnects: 0,
            reading: true,
            actions: VecDeque::new(),
        }
    }

    /// So many runs of the shard before this one failed: an identify that follows counts as one
    /// after a failure, or a shard that fails on its READY would spend the day's budget (G-16).
    pub fn failed_before(&mut self, failures: u32) {
        self.identify_failures = failures;
    }

    /// The next thing to do, oldest first.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Is there something to do?
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// When [`Self::tick`] wants to be called; `None` while only the outside can move the session.
    pub fn deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Waiting { until } => Some(until),
            // While the socket is not read, nothing can be late.
            _ if !self.reading => None,
            Phase::AwaitHello { until } => Some(until),
            Phase::Identifying { until } | Phase::Resuming { until } => until,
            _ => None,
        };
        let beat = self.heart.as_ref().map(Heart::next);
        match (phase, beat) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { until } if now >= until => self.connect(),
            Phase::AwaitHello { until } if now >= until && self.reading => {
                self.drop_connection(now, Lost::NoHello);
            }
            Phase::Identifying { until: Some(until) } if now >= until && self.reading => {
                self.owe(GapReason::Undecodable);
                self.drop_connection(now, Lost::NoReady);
            }
            // Events flow: it was RESUMED that could not be decoded.
            Phase::Resuming { until: Some(until) } if now >= until && self.reading => {
                self.activate(now);
            }
            _ => {}
        }
        let beat = self.heart.as_mut().map_or(Beat::NotDue, |heart| heart.tick(now));
        match beat {
            Beat::NotDue => {}
            Beat::Send => self.beat(false),
            Beat::Dead => self.drop_connection(now, Lost::Zombie),
        }
    }

    /// A message arrived.
    pub fn message(&mut self, now: Instant, incoming: Incoming<'_>) -> Verdict {
        if !self.is_open() {
            return Verdict::Ignore;
        }
        self.heard();
        match incoming {
            Incoming::Dispatch { seq, event } => return self.dispatch(now, seq, event),
            Incoming::Heartbeat => self.beat(true),
            Incoming::Reconnect => self.drop_connection(now, Lost::Reconnect),
            Incoming::InvalidSession { resumable } => {
                if !resumable {
                    self.give_up_session(GapReason::InvalidSession);
                }
                self.drop_connection(now, Lost::InvalidSession);
            }
            Incoming::Hello { interval_ms } => self.hello(now, interval_ms),
            Incoming::HeartbeatAck => {
                if let Some(heart) = &mut self.heart {
                    heart.answered(now, &mut self.latencies);
                }
                self.settle(now);
            }
            Incoming::Unknown => {}
        }
        Verdict::Ignore
    }

    fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { .. } | Phase::Connecting | Phase::Ended)
    }

    fn connect(&mut self) {
        let resume_url = self
            .session
            .as_ref()
            .filter(|_| self.to_resume_url)
            .and_then(|session| session.resume_url.clone());
        let endpoint = match resume_url {
            Some(url) => Endpoint::Resume(url),
            None => Endpoint::Gateway { ask_again: self.gateway_failed },
        };
        self.phase = Phase::Connecting;
        self.set_state(State::Connecting);
        self.actions.push_back(Action::Connect(endpoint));
    }

    fn hello(&mut self, now: Instant, interval_ms: Option<u64>) {
        if !matches!(self.phase, Phase::AwaitHello { .. }) {
            return;
        }
        let mut heart = Heart::start(now, interval_ms, &mut self.random);
        if !self.reading {
            heart.stop_listening();
        }
        self.heart = Some(heart);
        self.poisoned = false;
        self.early = None;
        match &self.session {
            Some(session) => {
                // Before the first commit nothing of the session is kept but what waits for the ring.
                let seq = self.committed.unwrap_or(self.began_at);
                let session_id = session.id.clone();
                self.replayed = self.accepted;
                self.replaying = true;
                self.phase = Phase::Resuming { until: None };
                self.set_state(State::Resuming);
                self.actions.push_back(Action::Send(Payload::Resume { session_id, seq }));
            }
            None => {
                self.replayed = None;
                self.replaying = false;
                self.phase = Phase::AwaitPermit;
                self.set_state(State::Identifying);
                self.actions.push_back(Action::AskPermit { failures: self.identify_failures });
            }
        }
    }

    fn activate(&mut self, now: Instant) {
        self.phase = Phase::Active { since: now };
        self.resumes_refused = 0;
        self.resume_failing = None;
        self.set_state(State::Connected);
    }

    /// A connection that has lived for a while was well.
    fn settle(&mut self, now: Instant) {
        if let Phase::Active { since } = self.phase
            && now.saturating_duration_since(since) >= self.times.settled
        {
            self.attempts = 0;
            if now.saturating_duration_since(since) >= self.times.lasting {
                self.identify_failures = 0;
            }
        }
    }

    fn beat(&mut self, asked: bool) {
        // What is committed of a session that is gone means nothing on a connection without one.
        let seq = self.session.as_ref().and(self.committed);
        self.actions.push_back(Action::Send(Payload::Heartbeat { seq, asked }));
    }

    fn end(&mut self, ended: Ended) {
        if self.phase == Phase::AwaitPermit {
            self.actions.push_back(Action::CancelPermit);
        }
        self.phase = Phase::Ended;
        self.heart = None;
        self.set_state(State::Stopped);
        self.actions.push_back(Action::Ended(ended));
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.actions.push_back(Action::State(state));
        }
    }
}

#[cfg(test)]
mod tests;

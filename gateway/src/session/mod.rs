//! The life of one shard's session, without any I/O: messages and the passing of time go in,
//! actions come out (contract §3).
//!
//! ```text
//! Waiting ──delay──▶ Connecting ──▶ AwaitHello ──HELLO──▶ AwaitPermit ──▶ Identifying ──READY──▶ Active
//!    ▲                   │              │     └─session─▶ Resuming ───────────RESUMED────────────▶ │
//!    └───────────────────┴── connection lost, op 7, op 9, zombie ◀──────────────┴──────────────────┘
//! ```
//!
//! From each of them an operator can have it *paused*, until it is told to go on or the time for that is over.

mod action;
mod close;
mod connection;
mod events;
mod failures;
mod figures;
mod gap;
mod heart;
mod incoming;
mod outside;
mod recovery;
mod sequence;
mod state;
mod stored;
mod succession;
mod times;

use std::collections::VecDeque;
use std::time::Instant;

pub use action::{Action, Ended, Endpoint, Payload};
pub use close::{ENDING_CLOSE, Fatal, RESUMABLE_CLOSE};
pub use gap::{Gap, GapReason};
pub use heart::{Latencies, USUAL_INTERVAL};
pub use incoming::{Delivery, Event, Incoming, Verdict};
pub use state::{Lost, Reading, State};
pub use stored::{Restored, SessionInfo};
pub use times::Times;

use crate::backoff::Backoff;
use crate::random::Random;
use connection::{Connection, Stage};
use failures::Failures;
use heart::{Beat, Heart};
use sequence::Sequence;

#[derive(Debug)]
enum Phase {
    Waiting {
        until: Instant,
    },
    Connecting,
    AwaitHello {
        until: Instant,
    },
    Open(Connection),
    /// No connection is made before `until`.
    Paused {
        until: Instant,
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
    latencies: Latencies,
    session: Option<SessionInfo>,
    /// Sessions so far; the newest one's number.
    counter: u32,
    sequence: Sequence,
    /// A gap that the next session's first commit has to tell.
    owed: Option<Gap>,
    failures: Failures,
    /// Since when an operator has it without a connection; until events flow again, however often that is said anew.
    paused_since: Option<Instant>,
    state: State,
    reconnects: u64,
    last_close: Option<u16>,
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
        let sequence = Sequence::restored(restored.seq);
        let owed = restored.lost.map(|reason| Gap {
            counter: restored.counter,
            from_seq: sequence.first_missing(),
            to_seq: None,
            reason,
        });
        Self {
            backoff,
            times,
            random,
            phase: Phase::Waiting { until: now },
            latencies: Latencies::default(),
            session: restored.session,
            counter: restored.counter,
            sequence,
            owed,
            failures: Failures::default(),
            paused_since: None,
            state: State::Disconnected,
            reconnects: 0,
            last_close: None,
            actions: VecDeque::new(),
        }
    }

    /// So many runs of the shard before this one failed: an identify that follows counts as one
    /// after a failure, or a shard that fails on its READY would spend the day's budget (G-16).
    pub fn failed_before(&mut self, failures: u32) {
        self.failures.before(failures);
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
    pub fn deadline(&self, reading: Reading) -> Option<Instant> {
        // While the socket is not read, nothing can be late.
        let late = |until: Option<Instant>| until.filter(|_| reading == Reading::Running);
        match &self.phase {
            Phase::Waiting { until } | Phase::Paused { until } => Some(*until),
            Phase::AwaitHello { until } => late(Some(*until)),
            Phase::Open(connection) => {
                let beat = connection.heart.next();
                Some(late(connection.until()).map_or(beat, |until| until.min(beat)))
            }
            Phase::Connecting | Phase::Ended => None,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, reading: Reading) {
        let late = |until: Instant| reading == Reading::Running && now >= until;
        match &self.phase {
            Phase::Waiting { until } if now >= *until => self.connect(),
            Phase::Paused { until } if now >= *until => {
                tracing::warn!("the pause is over: a connection is made again");
                self.connect();
            }
            Phase::AwaitHello { until } if late(*until) => {
                self.drop_connection(now, Lost::NoHello);
            }
            Phase::Open(connection) if connection.until().is_some_and(late) => {
                if matches!(connection.stage, Stage::Resuming { .. }) {
                    // Events flow: it was RESUMED that could not be decoded.
                    self.activate(now);
                } else {
                    self.owe(GapReason::Undecodable);
                    self.drop_connection(now, Lost::NoReady);
                }
            }
            _ => {}
        }
        let Phase::Open(connection) = &mut self.phase else { return };
        match connection.heart.tick(now, reading) {
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
                if let Phase::Open(connection) = &mut self.phase {
                    connection.heart.answered(now, &mut self.latencies);
                }
                self.settle(now);
            }
            Incoming::Unknown => {}
        }
        Verdict::Ignore
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::AwaitHello { .. } | Phase::Open(_))
    }

    fn awaits_permit(&self) -> bool {
        matches!(self.phase, Phase::Open(Connection { stage: Stage::AwaitPermit, .. }))
    }

    fn connect(&mut self) {
        let endpoint = self.failures.endpoint(self.session.as_ref());
        self.phase = Phase::Connecting;
        self.set_state(State::Connecting);
        self.actions.push_back(Action::Connect(endpoint));
    }

    fn hello(&mut self, now: Instant, interval_ms: Option<u64>) {
        if !matches!(self.phase, Phase::AwaitHello { .. }) {
            return;
        }
        let heart = Heart::start(now, interval_ms, &mut self.random);
        match &self.session {
            Some(session) => {
                let (session_id, seq) = (session.id.clone(), self.sequence.resume_at());
                self.phase = Phase::Open(Connection::resuming(heart, &self.sequence));
                self.set_state(State::Resuming);
                self.actions.push_back(Action::Send(Payload::Resume { session_id, seq }));
            }
            None => {
                let failures = self.failures.identifies();
                self.phase = Phase::Open(Connection::identifying(heart));
                self.set_state(State::Identifying);
                self.actions.push_back(Action::AskPermit { failures });
            }
        }
    }

    fn beat(&mut self, asked: bool) {
        // What is committed of a session that is gone means nothing on a connection without one.
        let seq = self.session.as_ref().and_then(|_| self.sequence.committed());
        self.actions.push_back(Action::Send(Payload::Heartbeat { seq, asked }));
    }

    fn end(&mut self, ended: Ended) {
        if self.awaits_permit() {
            self.actions.push_back(Action::CancelPermit);
        }
        self.phase = Phase::Ended;
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

//! What the shell tells of the connection, the ring and the permit.

use std::time::{Duration, Instant};

use mixcord_event::command;

use super::connection::{Connection, Stage};
use super::{Action, ENDING_CLOSE, Ended, Lost, Payload, Phase, RESUMABLE_CLOSE, Session, State};

/// How long Discord keeps a session of which nobody hears.
const PAUSE_MAX: Duration = Duration::from_secs(command::PAUSE_MAX as u64);

impl Session {
    /// The connection is open.
    pub fn connected(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Connecting) {
            self.failures.reached();
            self.phase = Phase::AwaitHello { until: now + self.times.hello };
        }
    }

    /// The connection could not be opened; the server asked for a pause before the next attempt.
    pub fn connect_failed(&mut self, now: Instant, pause: Duration) {
        if !matches!(self.phase, Phase::Connecting) {
            return;
        }
        self.lost(now, Lost::NotConnected);
        if let Phase::Waiting { until } = &mut self.phase {
            // The usual wait comes on top, so that all who were told so do not come back together.
            *until += pause;
        }
    }

    /// The connection ended, with the server's close code if it sent one.
    pub fn closed(&mut self, now: Instant, code: Option<u16>) {
        if self.is_open() {
            self.lost(now, Lost::Closed(code));
        }
    }

    /// The connection's bytes make no sense any more (G-38).
    pub fn corrupt(&mut self, now: Instant) {
        if self.is_open() {
            self.drop_connection(now, Lost::Corrupt);
        }
    }

    /// An operator wants another connection; the session goes on there.
    pub fn reconnect(&mut self, now: Instant) {
        if self.is_open() {
            self.drop_connection(now, Lost::Asked);
        }
    }

    /// An operator wants no connection before `until`. The session can be resumed then (G-22): however often that is
    /// said anew, events flow [`PAUSE_MAX`](mixcord_event::command::PAUSE_MAX) later. False where that is over, and it has to resume first.
    pub fn pause(&mut self, now: Instant, until: Instant) -> bool {
        let since = *self.paused_since.get_or_insert(now);
        let until = until.min(since + PAUSE_MAX);
        if until <= now {
            return false;
        }
        match self.phase {
            Phase::Ended => return true,
            Phase::Connecting => self.actions.push_back(Action::CancelConnect),
            _ => {}
        }
        if self.is_open() {
            self.settle(now);
            if self.awaits_permit() {
                self.actions.push_back(Action::CancelPermit);
            }
            self.actions.push_back(Action::Close(RESUMABLE_CLOSE));
        }
        self.phase = Phase::Paused { until };
        self.set_state(State::Paused);
        true
    }

    /// An operator wants events again.
    pub fn go_on(&mut self) {
        if matches!(self.phase, Phase::Paused { .. }) {
            self.connect();
        }
    }

    /// Something arrived, whatever it was (G-11).
    pub fn heard(&mut self) {
        if let Phase::Open(connection) = &mut self.phase {
            connection.heart.heard();
        }
    }

    /// The socket was not read, because nothing more could be kept, and is read again.
    pub fn read_again(&mut self, now: Instant) {
        let earliest = now + self.times.hello;
        match &mut self.phase {
            Phase::AwaitHello { until } => *until = earliest.max(*until),
            Phase::Open(connection) => connection.read_again(earliest),
            Phase::Waiting { .. } | Phase::Connecting | Phase::Paused { .. } | Phase::Ended => {}
        }
    }

    /// The permit asked for is granted: identify now.
    pub fn permit(&mut self) {
        if let Phase::Open(Connection { stage: stage @ Stage::AwaitPermit, .. }) = &mut self.phase {
            *stage = Stage::Identifying { until: None };
            self.failures.identify();
            self.actions.push_back(Action::Send(Payload::Identify));
        }
    }

    /// Everything up to `seq` of session number `counter` is in the ring for good.
    pub fn committed(&mut self, counter: u32, seq: u64) {
        if counter == self.counter {
            self.sequence.commit(seq);
        }
    }

    /// Ends the session so that Discord keeps it for the next process (G-22).
    pub fn stop(&mut self) {
        self.finish(RESUMABLE_CLOSE);
    }

    /// Ends the session for good: another set of sessions has taken its place (G-22).
    pub fn retire(&mut self) {
        self.finish(ENDING_CLOSE);
    }

    fn finish(&mut self, code: u16) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if self.is_open() {
            self.actions.push_back(Action::Close(code));
        }
        self.end(Ended::Stopped);
    }
}

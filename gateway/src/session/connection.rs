//! What the shell tells of the connection, the ring and the permit.

use std::time::Instant;

use super::{Action, Ended, Lost, Payload, Phase, RESUMABLE_CLOSE, Session};

impl Session {
    /// The connection is open.
    pub fn connected(&mut self, now: Instant) {
        if self.phase == Phase::Connecting {
            self.gateway_failed = false;
            self.phase = Phase::AwaitHello { until: now + self.times.hello };
        }
    }

    /// The connection could not be opened.
    pub fn connect_failed(&mut self, now: Instant) {
        if self.phase == Phase::Connecting {
            self.lost(now, Lost::NotConnected);
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

    /// Something arrived, whatever it was (G-11).
    pub fn heard(&mut self) {
        if let Some(heart) = &mut self.heart {
            heart.heard();
        }
    }

    /// The socket is no longer read, because nothing more can be kept.
    pub fn reading_stopped(&mut self) {
        self.reading = false;
        if let Some(heart) = &mut self.heart {
            heart.stop_listening();
        }
    }

    /// The socket is read again.
    pub fn reading_resumed(&mut self, now: Instant) {
        self.reading = true;
        match &mut self.phase {
            Phase::AwaitHello { until }
            | Phase::Identifying { until: Some(until) }
            | Phase::Resuming { until: Some(until) } => {
                *until = (*until).max(now + self.times.hello);
            }
            _ => {}
        }
        if let Some(heart) = &mut self.heart {
            heart.listen_again();
        }
    }

    /// The permit asked for is granted: identify now.
    pub fn permit(&mut self) {
        if self.phase == Phase::AwaitPermit {
            self.phase = Phase::Identifying { until: None };
            self.identify_failures = self.identify_failures.saturating_add(1);
            self.actions.push_back(Action::Send(Payload::Identify));
        }
    }

    /// Everything up to `seq` of session number `counter` is in the ring for good.
    pub fn committed(&mut self, counter: u32, seq: u64) {
        if counter == self.counter {
            self.committed = Some(seq);
        }
    }

    /// Ends the session so that Discord keeps it for the next process (G-22).
    pub fn stop(&mut self) {
        if self.phase == Phase::Ended {
            return;
        }
        if self.is_open() {
            self.actions.push_back(Action::Close(RESUMABLE_CLOSE));
        }
        self.end(Ended::Stopped);
    }
}

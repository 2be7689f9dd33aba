//! What a session holds: its dispatches, those that are sent, and the connection they are sent on.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;

use super::{Command, Journal, Limits, Packet};

/// Dispatches a connected client may be behind before its lane waits for it.
const WINDOW: usize = 1024;
/// The same in bytes.
const WINDOW_BYTES: usize = 1 << 20;
/// Bytes a session keeps for replay, whatever the number of events.
pub(super) const REPLAY_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct State {
    pub(super) kept: VecDeque<Packet>,
    pub(super) kept_bytes: usize,
    /// Seq of the first packet kept.
    pub(super) first: u64,
    /// Seq of the next packet to send.
    pub(super) next: u64,
    /// Highest seq ever sent, plus one: what is below is in the journal.
    pub(super) journaled: u64,
    pub(super) unsent_bytes: usize,
    /// Bytes of READY and what it brings: all of it is kept until a client has been bound.
    pub(super) start_bytes: usize,
    pub(super) started: bool,
    /// The client is too far behind.
    pub(super) overrun: bool,
    pub(super) link: Option<(u64, mpsc::UnboundedSender<Command>)>,
    pub(super) away_since: Option<Instant>,
    pub(super) over: bool,
    pub(super) superseded: bool,
    /// Where what READY brings ends: until enough has been made ahead, nothing after it is sent.
    pub(super) held_from: Option<u64>,
    /// The next RESUME leaves an event out.
    pub(super) hole: bool,
    pub(super) journal: Journal,
}

impl State {
    /// How many more events may be made, where `held` have not been told yet.
    pub(super) fn room(&self, limits: &Limits, held: usize) -> usize {
        if self.over {
            return usize::MAX;
        }
        if self.link.is_some() {
            if limits.ahead == 0 && self.unsent_bytes > WINDOW_BYTES {
                return 0;
            }
            return WINDOW.max(limits.ahead).saturating_sub(self.unsent() + held);
        }
        if limits.hold && !self.superseded {
            if self.kept_bytes > REPLAY_BYTES {
                return 0;
            }
            return limits.replay.saturating_sub(self.kept.len() + held);
        }
        usize::MAX
    }

    /// The seq the next dispatch will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    pub(super) fn unsent(&self) -> usize {
        usize::try_from(self.end() - self.next).unwrap_or(usize::MAX)
    }

    pub(super) fn drop_first(&mut self) {
        let Some(packet) = self.kept.pop_front() else { return };
        self.kept_bytes -= packet.body.len();
        self.first += 1;
        if self.next < self.first {
            self.next = self.first;
            self.unsent_bytes = self.unsent_bytes.saturating_sub(packet.body.len());
        }
    }
}

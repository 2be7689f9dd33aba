//! What others may know of a session.

use std::time::Duration;

use super::connection::{Connection, Stage};
use super::{Latencies, Phase, Session, State};

impl Session {
    /// How this shard stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The session's id, while there is one.
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.id.as_str())
    }

    /// The session's own URL, if it has one.
    pub fn resume_url(&self) -> Option<&str> {
        self.session.as_ref()?.resume_url.as_deref()
    }

    /// The counter of the newest session.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// The last sequence number handed on.
    pub fn accepted(&self) -> Option<u64> {
        self.sequence.accepted()
    }

    /// The last heartbeats' latencies.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// Connections lost so far.
    pub fn reconnects(&self) -> u64 {
        self.reconnects
    }

    /// The last close code that Discord gave.
    pub fn last_close(&self) -> Option<u16> {
        self.last_close
    }

    /// The heartbeat interval of this connection.
    pub fn heartbeat_interval(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Open(connection) => Some(connection.heart.interval()),
            _ => None,
        }
    }

    /// May users' commands be sent now (G-33)?
    pub fn takes_commands(&self) -> bool {
        matches!(self.phase, Phase::Open(Connection { stage: Stage::Active { .. }, .. }))
    }
}

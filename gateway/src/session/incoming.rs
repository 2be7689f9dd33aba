//! What the socket's reader shows the session, and what it is told to do with it.

use super::{Gap, SessionInfo};

/// One gateway message, as far as the session has to understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// op 0.
    Dispatch {
        /// `s`.
        seq: Option<u64>,
        /// What the session needs to know of the event.
        event: Event<'a>,
    },
    /// op 1: the server wants a heartbeat at once (G-9).
    Heartbeat,
    /// op 7.
    Reconnect,
    /// op 9.
    InvalidSession {
        /// `d`: may the session be resumed?
        resumable: bool,
    },
    /// op 10.
    Hello {
        /// `heartbeat_interval` in milliseconds, when it was a number.
        interval_ms: Option<u64>,
    },
    /// op 11.
    HeartbeatAck,
    /// Any other opcode: ignored, as the contract's §2 asks.
    Unknown,
}

/// A dispatch as the session sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// READY (G-17).
    Ready {
        /// `session_id`.
        session_id: &'a str,
        /// `resume_gateway_url`.
        resume_url: Option<&'a str>,
    },
    /// RESUMED (G-19).
    Resumed,
    /// Everything else.
    Other,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not for the ring.
    Ignore,
    /// Into the ring.
    Deliver(Delivery),
}

/// How a dispatch goes into the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// A gap to write first, in the same commit.
    pub gap: Option<Gap>,
    /// A session that begins with this record.
    pub begins: Option<SessionInfo>,
    /// The record's own number.
    pub seq: u64,
    /// What RESUME carries once the record is committed: no number before it is missing untold.
    pub resume_at: u64,
    /// The session counter of the record.
    pub counter: u32,
}

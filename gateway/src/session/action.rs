//! What the session wants done: by the loop of its shard, in order.

use super::State;
use super::close::Fatal;

/// What the shell has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; answer with `connected` or `connect_failed`.
    Connect(Endpoint),
    /// Send a payload.
    Send(Payload),
    /// Ask for an identify permit; answer with `permit`.
    AskPermit {
        /// How many identifies in a row did not lead to a lasting session.
        failures: u32,
    },
    /// The permit is no longer wanted.
    CancelPermit,
    /// Nor is the connection that is being opened.
    CancelConnect,
    /// Close the connection, with this code when the socket still works.
    Close(u16),
    /// Tell the world.
    State(State),
    /// The session ended for good.
    Ended(Ended),
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The URL of `GET /gateway/bot`.
    Gateway {
        /// The last attempt there failed, so the URL should be asked for again (G-2).
        ask_again: bool,
    },
    /// The session's `resume_gateway_url` (G-18).
    Resume(String),
}

/// A payload of the session's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// op 1 with the last committed sequence number.
    Heartbeat {
        /// `d`.
        seq: Option<u64>,
        /// The server wants it at once (G-9): one too many of these may be left out.
        asked: bool,
    },
    /// op 2.
    Identify,
    /// op 6.
    Resume {
        /// `session_id`.
        session_id: String,
        /// The last committed sequence number.
        seq: u64,
    },
}

/// Why a session ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// No connection can succeed.
    Fatal(Fatal),
}

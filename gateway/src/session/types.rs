//! What goes into the session machine and what comes out of it.

use std::time::Duration;

use super::close::Fatal;

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
    /// The sequence number of the record, and of RESUME once it is committed.
    pub seq: u64,
    /// The session counter of the record.
    pub counter: u32,
}

/// What has to be kept to resume (G-18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// `session_id`.
    pub id: String,
    /// `resume_gateway_url`.
    pub resume_url: Option<String>,
}

/// A session that may be resumed, as a checkpoint keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The session; `None` when there is none to resume.
    pub session: Option<SessionInfo>,
    /// The last sequence number committed; `None` when there never was a session.
    pub seq: Option<u64>,
    /// The counter of the last session.
    pub counter: u32,
    /// Why `session` is missing although there was one: owed to the stream as a gap.
    pub lost: Option<GapReason>,
}

impl Restored {
    /// Of a shard that never had a session.
    pub fn nothing() -> Self {
        Self { session: None, seq: None, counter: 0, lost: None }
    }
}

/// Events that are lost for good (P3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The counter of the session whose events are missing.
    pub counter: u32,
    /// The first sequence number missing.
    pub from_seq: u64,
    /// The last one missing; `None` when nobody can know.
    pub to_seq: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// Discord would not resume: op 9 `false`.
    InvalidSession,
    /// Discord closed with a code that ends the session.
    SessionClosed(u16),
    /// Resuming failed again and again.
    ResumeFailed,
    /// A replay did not start where we stopped (G-24).
    Hole,
    /// A message that could not be decoded was left out.
    Undecodable,
    /// Events came before the READY of their session.
    BeforeReady,
    /// Options changed, so that the stored session could not be used (G-24).
    SettingsChanged,
    /// The session's id was too long to be stored.
    SessionNotKept,
    /// The shards have another count than before, and so other sessions.
    ShardCountChanged,
    /// The stored session was unreadable.
    CheckpointUnreadable,
    /// A record was too large for the ring.
    TooLarge,
    /// Discord began another session without a word.
    Replaced,
}

impl GapReason {
    /// The name in records and figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSession => "invalid_session",
            Self::SessionClosed(_) => "session_closed",
            Self::ResumeFailed => "resume_failed",
            Self::Hole => "hole",
            Self::Undecodable => "undecodable",
            Self::BeforeReady => "before_ready",
            Self::SettingsChanged => "settings_changed",
            Self::SessionNotKept => "session_not_kept",
            Self::ShardCountChanged => "shard_count_changed",
            Self::CheckpointUnreadable => "checkpoint_unreadable",
            Self::TooLarge => "too_large",
            Self::Replaced => "session_replaced",
        }
    }
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
    /// Close the connection, with this code when the socket still works.
    Close(u16),
    /// Tell the world.
    State(State),
    /// The session ended for good.
    Ended(Ended),
}

/// Why a session ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// No connection can succeed.
    Fatal(Fatal),
}

/// The state of a shard, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Waiting to connect.
    Disconnected,
    /// Opening a connection, up to HELLO.
    Connecting,
    /// Waiting for a permit, or for READY.
    Identifying,
    /// Waiting for RESUMED.
    Resuming,
    /// Events flow.
    Connected,
    /// Ended.
    Stopped,
}

impl State {
    /// The name in records and figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Identifying => "identifying",
            Self::Resuming => "resuming",
            Self::Connected => "connected",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// It was never made.
    #[error("no connection could be made")]
    NotConnected,
    /// HELLO did not come in time.
    #[error("HELLO did not come")]
    NoHello,
    /// READY did not come, and may have been a message that could not be decoded.
    #[error("READY did not come, or could not be decoded")]
    NoReady,
    /// No answer to heartbeats (G-10, G-11).
    #[error("the other end no longer answers")]
    Zombie,
    /// op 7.
    #[error("the server asked for a new connection")]
    Reconnect,
    /// op 9.
    #[error("the server called the session invalid")]
    InvalidSession,
    /// A close frame or the end of the stream.
    #[error("the server closed the connection ({})", CloseCode(*.0))]
    Closed(Option<u16>),
    /// The compression stream broke, or a message passed every limit (G-38).
    #[error("the stream could not be decompressed")]
    Corrupt,
    /// The replay was not complete (G-24).
    #[error("the replay had a hole")]
    Hole,
}

struct CloseCode(Option<u16>);

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(code) => write!(f, "close code {code}"),
            None => f.write_str("no close code"),
        }
    }
}

/// The session's own time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long HELLO may take, and READY and RESUMED after a message that could not be decoded.
    pub hello: Duration,
    /// How long RESUME may fail without a close code before the session is given up (G-25).
    pub resume_patience: Duration,
    /// A connection that lived this long was well: the next delay starts small again.
    pub settled: Duration,
    /// A session that lived this long was worth its IDENTIFY: the next one is no failure's.
    pub lasting: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            resume_patience: Duration::from_secs(120),
            settled: Duration::from_secs(10),
            lasting: Duration::from_secs(300),
        }
    }
}

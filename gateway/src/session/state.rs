//! How a shard stands, and why it lost a connection: state records and the log say it.

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
    /// Without a connection for a while, because an operator said so.
    Paused,
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
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// Is the connection's socket read? While its ring is full it is not, and silence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What arrives is read.
    Running,
    /// Nothing is read.
    Stalled,
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
    /// Somebody asked for it on the command line.
    #[error("a new connection was asked for")]
    Asked,
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

//! What is missing from the stream, and why: gap records say it.

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
    /// Another session was begun on purpose, because the state was lost.
    Refill,
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
            Self::Refill => "refill",
        }
    }
}

//! What outlives the process: a session as a checkpoint keeps it.

use super::GapReason;

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

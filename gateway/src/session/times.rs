//! The limits of time that the process sets.

use std::time::Duration;

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

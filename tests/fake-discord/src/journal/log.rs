//! What happened to connections: identifies, resumes, heartbeats, closes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

const KEPT: usize = 100_000;

/// What a line of the log is about.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// With the address as the client wrote it.
    Connect {
        host: String,
        target: String,
    },
    /// A handshake was not accepted.
    Refused {
        status: u16,
    },
    /// `/gateway/bot` was asked for.
    Asked {
        status: u16,
    },
    Identify,
    IdentifyRefused(&'static str),
    Resume {
        seq: u64,
    },
    ResumeRefused {
        seq: u64,
    },
    Heartbeat {
        seq: Option<u64>,
    },
    Request {
        op: u8,
    },
    /// A request over its rate: nothing comes of it.
    Dropped {
        op: u8,
    },
    /// The server closed with this code.
    Closed {
        code: u16,
    },
    /// The server cut the connection or told the client to go.
    Fault(&'static str),
    /// The client closed (None: without a close frame).
    Left {
        code: Option<u16>,
    },
    Expired,
}

#[derive(Debug)]
struct Line {
    at_ms: u64,
    shard: Option<u64>,
    session: Option<u64>,
    what: What,
}

/// A bounded log, the newest lines of it.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    lines: Mutex<VecDeque<Line>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), lines: Mutex::new(VecDeque::new()) }
    }

    /// Milliseconds since the server started.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// `session` is the ordinal of the session, where there is one.
    pub(crate) fn add(&self, shard: Option<u64>, session: Option<u64>, what: What) {
        tracing::debug!(shard, session, ?what);
        let line = Line { at_ms: self.now_ms(), shard, session, what };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn to_json(&self) -> Value {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(Line::to_json).collect()
    }
}

impl Line {
    fn to_json(&self) -> Value {
        let (what, detail) = match &self.what {
            What::Connect { host, target } => {
                ("connect", json!({ "host": host, "target": target }))
            }
            What::Refused { status } => ("refused", json!(status)),
            What::Asked { status } => ("gateway_bot", json!(status)),
            What::Identify => ("identify", Value::Null),
            What::IdentifyRefused(why) => ("identify_refused", json!(why)),
            What::Resume { seq } => ("resume", json!(seq)),
            What::ResumeRefused { seq } => ("resume_refused", json!(seq)),
            What::Heartbeat { seq } => ("heartbeat", json!(seq)),
            What::Request { op } => ("request", json!(op)),
            What::Dropped { op } => ("dropped", json!(op)),
            What::Closed { code } => ("closed", json!(code)),
            What::Fault(fault) => ("fault", json!(fault)),
            What::Left { code } => ("left", json!(code)),
            What::Expired => ("expired", Value::Null),
        };
        json!({
            "at_ms": self.at_ms, "shard": self.shard, "session": self.session,
            "what": what, "detail": detail,
        })
    }
}

//! What was sent, in which order, with a hash of each payload.

mod hash;
mod log;

use std::collections::VecDeque;

use crate::gateway::session::Session;

pub use hash::{hash_json, hash_text};
pub(crate) use log::{Log, What};

/// One dispatch that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) name: &'static str,
    pub(crate) hash: u64,
}

/// The dispatches of one session, each once however often it was replayed.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    max: usize,
    forgotten: u64,
}

impl Journal {
    /// Keeps at most `max` entries, the newest ones.
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), max, forgotten: 0 }
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        if self.entries.len() >= self.max {
            self.forgotten += 1;
            if self.entries.pop_front().is_none() {
                return;
            }
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries that fell out of the journal's limit.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// Appends one entry as a line of JSON.
pub(crate) fn write_line(session: &Session, entry: &Entry, out: &mut Vec<u8>) {
    let line = format!(
        "{{\"shard\":{},\"session\":{},\"session_id\":\"{}\",\"seq\":{},\"kind\":\"{}\",\"hash\":\"{:016x}\"}}\n",
        session.shard, session.ordinal, session.id, entry.seq, entry.name, entry.hash
    );
    out.extend_from_slice(line.as_bytes());
}

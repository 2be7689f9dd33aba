//! What was sent, in which order, with a hash of each payload.

mod hash;
mod log;
mod world;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::value::write_digits;

pub use hash::{hash_json, hash_text};
pub(crate) use log::{Log, What};
pub(crate) use world::{Happened, WorldJournal};

/// One dispatch that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) name: &'static str,
    pub(crate) hash: u64,
}

/// The file all journals are also written to.
#[derive(Debug)]
pub(crate) struct JournalFile(Mutex<BufWriter<File>>);

impl JournalFile {
    /// Appends to the file, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 20, file))))
    }

    fn write(&self, line: &[u8]) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line) {
            tracing::error!(%error, "the journal cannot be written");
        }
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&self) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.flush() {
            tracing::error!(%error, "the journal cannot be written");
        }
    }
}

/// The dispatches of one session, each once however often it was replayed.
#[derive(Debug)]
pub(crate) struct Journal {
    /// What every line of this session begins with.
    head: String,
    entries: VecDeque<Entry>,
    max: usize,
    forgotten: u64,
    file: Option<Arc<JournalFile>>,
    line: Vec<u8>,
}

impl Journal {
    /// Keeps at most `max` entries, the newest ones; the file, if any, gets all.
    pub(crate) fn new(
        (shard, shards): (u64, u64),
        ordinal: u64,
        id: &str,
        max: usize,
        file: Option<Arc<JournalFile>>,
    ) -> Self {
        let head = format!(
            r#"{{"shard":{shard},"shards":{shards},"session":{ordinal},"session_id":"{id}","seq":"#
        );
        Self { head, entries: VecDeque::new(), max, forgotten: 0, file, line: Vec::new() }
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        if let Some(file) = &self.file {
            self.line.clear();
            write_line(&self.head, &entry, &mut self.line);
            file.write(&self.line);
        }
        if self.entries.len() >= self.max {
            self.forgotten += 1;
            if self.entries.pop_front().is_none() {
                return;
            }
        }
        self.entries.push_back(entry);
    }

    /// Appends what is kept as lines of JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for entry in &self.entries {
            write_line(&self.head, entry, out);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries that fell out of the journal's limit.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

fn write_line(head: &str, entry: &Entry, out: &mut Vec<u8>) {
    out.extend_from_slice(head.as_bytes());
    write_digits(entry.seq, out);
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(entry.name.as_bytes());
    let tail = format!("\",\"hash\":\"{:016x}\"}}\n", entry.hash);
    out.extend_from_slice(tail.as_bytes());
}

//! What a decoder keeps beside the document: the error, warnings, scratch.

use std::hash::{BuildHasher, RandomState};

use super::{DecodeErrorKind, Limits};

/// How many names a decoder remembers having warned about.
const SEEN_MAX: usize = 512;

/// Something met for the first time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A key outside the table.
    Key(Box<str>),
    /// A dispatch outside the table.
    Event(Box<str>),
}

/// Decoding cannot go on; the notes say why. A word of nothing, so that results stay in registers.
#[derive(Debug)]
pub(crate) struct Stop;

/// Why decoding stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The buffer is full: a larger one may do.
    Full,
    /// The payload is at fault, `left` bytes before its end.
    Payload { kind: DecodeErrorKind, left: usize },
}

/// What stays from one payload to the next, and what the current one shows.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) limits: Limits,
    /// Whether bytes that were not UTF-8 have been replaced in this document.
    pub(crate) not_utf8: bool,
    pub(crate) fault: Option<Fault>,
    /// Where the fault is, from the innermost step outwards.
    pub(crate) path: Vec<String>,
    /// The name of the event, if it is not in the table.
    pub(crate) name: String,
    /// Text without its escapes.
    pub(crate) scratch: Vec<u8>,
    /// The members of a map that is searched for duplicates.
    pub(crate) entries: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
    hasher: RandomState,
    seen: Vec<u64>,
}

/// A member of a map that is searched for duplicates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Whether a later member replaces it.
    pub(crate) replaced: bool,
}

impl Notes {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            not_utf8: false,
            fault: None,
            path: Vec::new(),
            name: String::new(),
            scratch: Vec::new(),
            entries: Vec::new(),
            warnings: Vec::new(),
            hasher: RandomState::new(),
            seen: Vec::new(),
        }
    }

    /// Forgets what belongs to one payload.
    pub(crate) fn begin(&mut self) {
        self.not_utf8 = false;
        self.fault = None;
        self.path.clear();
    }

    /// Stops at a fault of the payload, `left` bytes before its end.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, kind: DecodeErrorKind, left: usize) -> Stop {
        self.fault = Some(Fault::Payload { kind, left });
        Stop
    }

    /// Stops because the buffer is full.
    #[cold]
    #[inline(never)]
    pub(crate) fn full(&mut self) -> Stop {
        self.fault = Some(Fault::Full);
        Stop
    }

    /// Adds the step that led to a fault, the innermost first.
    #[cold]
    pub(crate) fn step(&mut self, step: impl FnOnce() -> String) {
        if !matches!(self.fault, Some(Fault::Full)) {
            self.path.push(step());
        }
    }

    /// Warns of the event's name, once.
    pub(crate) fn warn_of_event(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.warn_once(name.as_bytes(), || Warning::Event(name.as_str().into()));
        self.name = name;
    }

    /// Remembers a name; the first time it becomes a warning.
    pub(crate) fn warn_once(&mut self, name: &[u8], warning: impl FnOnce() -> Warning) {
        let hash = self.hasher.hash_one(name);
        if self.seen.len() >= SEEN_MAX || self.seen.contains(&hash) {
            return;
        }
        // So what waits for being taken is bounded, too.
        self.seen.push(hash);
        self.warnings.push(warning());
    }
}

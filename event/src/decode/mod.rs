//! Gateway payloads to records: ETF and JSON through one sink, so that they mean the same (P6).

use std::fmt;

mod envelope;
mod error;
mod etf;
mod frame;
mod inflate;
mod json;
mod links;
mod notes;
mod pad;
mod partition;
mod window;

use envelope::Envelope;
pub use error::{DecodeError, DecodeErrorKind};
use etf::{Etf, terms};
pub use frame::{Frame, RecordMeta};
use inflate::Inflate;
use json::Json;
use links::{Encoding, Links, Place};
pub use notes::Warning;
use notes::{Fault, Notes, Stop};
use pad::Pad;
pub use partition::partition_key;
use window::End;

use crate::{
    atom::Ids,
    document::Document,
    format,
    kind::Kind,
    record::{HEAD_MAX, NAME_MAX},
};

/// Buffers up to this size are kept; larger ones go when smaller payloads come again.
const KEEP_BYTES: usize = 1 << 20;

/// What a decoder refuses before it takes memory for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest payload, in bytes.
    pub frame_bytes: usize,
    /// The largest compressed term after inflating, in bytes.
    pub inflated_bytes: usize,
    /// The largest document, in bytes; at most 1 GiB.
    pub document_bytes: usize,
    /// The most elements of one list, or members of one map.
    pub elements: usize,
    /// How deep containers may nest, the payload's own map included; at most [`DEPTH_MAX`].
    ///
    /// [`DEPTH_MAX`]: crate::DEPTH_MAX
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 << 20,
            inflated_bytes: 64 << 20,
            document_bytes: 128 << 20,
            elements: 1 << 20,
            depth: 64,
        }
    }
}

/// Reads the payloads of one connection. Holds the buffers, so that a payload like those before it
/// takes no memory from the heap.
pub struct Decoder {
    /// The room for a head, then the document, then bytes without meaning.
    buffer: Vec<u8>,
    /// Where the document ends in the buffer.
    end: usize,
    notes: Notes,
    links: Box<Links>,
    input_end: End,
    inflate: Inflate,
}

impl fmt::Debug for Decoder {
    /// Says nothing of what events hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.notes.limits).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder with these limits.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            document_bytes: limits.document_bytes.min(1 << 30),
            depth: limits.depth.min(format::DEPTH_MAX),
            ..limits
        };
        Self {
            buffer: Vec::new(),
            end: 0,
            notes: Notes::new(limits),
            links: Links::new(),
            input_end: End::new(),
            inflate: Inflate::default(),
        }
    }

    /// Reads a payload in ETF.
    pub fn etf(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let mut envelope = Envelope::new();
        self.run_etf(payload, |etf, term| {
            envelope = Envelope::new();
            let rest = etf.envelope(&mut envelope, term)?;
            Ok((rest, envelope.end))
        })?;
        self.frame(&envelope)
    }

    /// Reads a payload in JSON.
    pub fn json(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let mut envelope = Envelope::new();
        self.run_json(payload, |json, text| {
            envelope = Envelope::new();
            let rest = json.envelope(&mut envelope, text)?;
            json.end(rest)?;
            Ok(envelope.end)
        })?;
        self.frame(&envelope)
    }

    /// Reads any term, with its leading byte 131, as a document of its own.
    pub fn document_from_etf(&mut self, term: &[u8]) -> Result<Document, DecodeError> {
        self.run_etf(term, |etf, term| {
            let rest = etf.value(term, Place::nowhere(Ids::None))?;
            Ok((rest, etf.position))
        })?;
        Ok(Document::trusted(self.buffer[HEAD_MAX..self.end].to_vec()))
    }

    /// Reads any JSON value as a document of its own.
    pub fn document_from_json(&mut self, json: &[u8]) -> Result<Document, DecodeError> {
        self.run_json(json, |json, text| {
            let rest = json.value(text, Place::nowhere(Ids::None))?;
            json.end(rest)?;
            Ok(json.position)
        })?;
        Ok(Document::trusted(self.buffer[HEAD_MAX..self.end].to_vec()))
    }

    /// What was met for the first time since the last call: keys and events outside the tables.
    /// Both what is waiting and what is remembered are bounded.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.notes.warnings)
    }

    fn run_etf(
        &mut self,
        payload: &[u8],
        mut read: impl for<'i> FnMut(&mut Etf<'_, 'i>, &'i [u8]) -> Result<(&'i [u8], usize), Stop>,
    ) -> Result<(), DecodeError> {
        check_size(payload.len(), &self.notes.limits)?;
        let (term, version) = match payload {
            [terms::VERSION, terms::COMPRESSED, compressed @ ..] => {
                match self.inflate.run(compressed, self.notes.limits.inflated_bytes) {
                    Ok(()) => (self.inflate.output(), 0),
                    Err(kind) => return Err(error(kind, 2)),
                }
            }
            [terms::VERSION, term @ ..] => (term, 1),
            [first, ..] => return Err(error(DecodeErrorKind::Version(*first), 0)),
            [] => return Err(error(DecodeErrorKind::Truncated, 0)),
        };
        self.input_end.copy(term);
        let end = &self.input_end;
        let links = self.links.of(Encoding::Etf);
        let run = run(&mut self.buffer, &mut self.notes, term.len(), version, |pad| {
            let mut etf = Etf::new(pad, HEAD_MAX, links, end);
            let (rest, document_end) = read(&mut etf, term)?;
            Ok((etf.left(rest), document_end))
        });
        self.end = run?;
        Ok(())
    }

    fn run_json(
        &mut self,
        payload: &[u8],
        mut read: impl for<'i> FnMut(&mut Json<'_, 'i>, &'i [u8]) -> Result<usize, Stop>,
    ) -> Result<(), DecodeError> {
        check_size(payload.len(), &self.notes.limits)?;
        self.input_end.copy(payload);
        let end = &self.input_end;
        let links = self.links.of(Encoding::Json);
        let run = run(&mut self.buffer, &mut self.notes, payload.len(), 0, |pad| {
            Ok((0, read(&mut Json::new(pad, HEAD_MAX, links, end), payload)?))
        });
        self.end = run?;
        Ok(())
    }

    fn frame(&mut self, envelope: &Envelope) -> Result<Frame<'_>, DecodeError> {
        let Some(op) = envelope.op else {
            return Err(error(DecodeErrorKind::Envelope("no op"), 0));
        };
        if envelope.kind == Some(Kind::UNKNOWN) {
            let len = self.notes.name.len();
            if len > NAME_MAX {
                return Err(error(DecodeErrorKind::NameTooLong(len), 0));
            }
            if op == 0 {
                self.notes.warn_of_event();
            }
        }
        if self.end == HEAD_MAX {
            self.buffer[HEAD_MAX] = format::NULL;
            self.end += 1;
        }
        Ok(Frame { op, seq: envelope.seq, kind: envelope.kind, decoder: self })
    }
}

/// Room behind the document for stores wider than what they write.
const SLACK: usize = pad::ROOM;

fn check_size(len: usize, limits: &Limits) -> Result<(), DecodeError> {
    let limit = limits.frame_bytes;
    if len > limit {
        return Err(error(DecodeErrorKind::TooLarge { len, limit }, 0));
    }
    Ok(())
}

/// Reads `len` bytes of input into the buffer, which grows until the document fits. `read` gives how
/// much of the input is left, and where the document ends: so does this.
#[inline]
fn run(
    buffer: &mut Vec<u8>,
    notes: &mut Notes,
    len: usize,
    skipped: usize,
    mut read: impl FnMut(Pad<'_>) -> Result<(usize, usize), Stop>,
) -> Result<usize, DecodeError> {
    // Documents are seldom larger than their payload.
    let wanted = HEAD_MAX + SLACK + len;
    let most = HEAD_MAX + SLACK + notes.limits.document_bytes;
    if buffer.len() > KEEP_BYTES && wanted < KEEP_BYTES / 2 {
        *buffer = Vec::new();
    }
    if buffer.len() < wanted {
        buffer.resize(wanted.min(most), 0);
    }
    loop {
        notes.begin();
        match read(Pad { out: buffer, notes }) {
            Ok((0, end)) if end + SLACK <= most => return Ok(end),
            result => {
                let rest = result.as_ref().map_or(0, |(left, _)| *left);
                let fault = if result.is_ok() { None } else { notes.fault.take() };
                let (kind, left) = match fault {
                    Some(Fault::Payload { kind, left }) => (kind, left),
                    Some(Fault::Full) if buffer.len() < most => {
                        buffer.resize((buffer.len() * 2).min(most), 0);
                        continue;
                    }
                    None if rest > 0 => (DecodeErrorKind::Trailing(rest), rest),
                    _ => (DecodeErrorKind::DocumentTooLarge(notes.limits.document_bytes), 0),
                };
                let offset = skipped + len - left.min(len);
                return Err(DecodeError { kind, offset, path: path(notes) });
            }
        }
    }
}

/// The path that the notes gathered from the inside out.
fn path(notes: &mut Notes) -> String {
    let mut path = String::new();
    for step in notes.path.drain(..).rev() {
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(&step);
    }
    path
}

/// An error that needs no path.
fn error(kind: DecodeErrorKind, offset: usize) -> DecodeError {
    DecodeError { kind, offset, path: String::new() }
}

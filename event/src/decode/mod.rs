//! Gateway payloads to records: ETF and JSON through one sink, so that they mean the same (P6).

use std::fmt;

use crate::{
    atom::{Ids, atoms},
    document::Document,
    format::{self, RawKey},
    header::{Flags, HEADER_LEN, Header, Reason, Shard},
    kind::Kind,
    record::{HEAD_MAX, NAME_MAX},
    value::Value,
};

mod envelope;
mod error;
mod etf;
mod inflate;
mod json;
mod notes;
mod pad;
mod terms;

use envelope::Envelope;
pub use error::{DecodeError, DecodeErrorKind};
use etf::Etf;
use inflate::Inflate;
use json::Json;
pub use notes::Warning;
use notes::{Fault, Notes, Stop};
use pad::Pad;

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
    inflate: Inflate,
    /// The name of the last event that was not in the table.
    name: String,
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
            inflate: Inflate::default(),
            name: String::new(),
        }
    }

    /// Reads a payload in ETF.
    pub fn etf(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let mut envelope = Envelope::new();
        self.run_etf(payload, |etf, term| envelope::etf(&mut envelope, etf, term))?;
        self.frame(&envelope)
    }

    /// Reads a payload in JSON.
    pub fn json(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let mut envelope = Envelope::new();
        self.run_json(payload, |json, text| {
            let (rest, end) = envelope::json(&mut envelope, json, text)?;
            json.end(rest)?;
            Ok((&[], end))
        })?;
        self.frame(&envelope)
    }

    /// Reads any term, with its leading byte 131, as a document of its own.
    pub fn document_from_etf(&mut self, term: &[u8]) -> Result<Document, DecodeError> {
        self.run_etf(term, |etf, term| etf.value(term, HEAD_MAX, Ids::None, 0))?;
        Ok(Document::trusted(self.buffer[HEAD_MAX..self.end].to_vec()))
    }

    /// Reads any JSON value as a document of its own.
    pub fn document_from_json(&mut self, json: &[u8]) -> Result<Document, DecodeError> {
        self.run_json(json, |json, text| {
            let (rest, end) = json.value(text, HEAD_MAX, Ids::None, 0)?;
            json.end(rest)?;
            Ok((&[], end))
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
        mut read: impl for<'i> FnMut(&mut Etf<'_>, &'i [u8]) -> Result<(&'i [u8], usize), Stop>,
    ) -> Result<(), DecodeError> {
        let (term, version) = match payload {
            [terms::VERSION, terms::COMPRESSED, compressed @ ..] => {
                check_size(payload.len(), &self.notes.limits)?;
                match self.inflate.run(compressed, self.notes.limits.inflated_bytes) {
                    Ok(()) => (self.inflate.output(), 0),
                    Err(kind) => return Err(error(kind, 2)),
                }
            }
            [terms::VERSION, term @ ..] => (term, 1),
            [first, ..] => return Err(error(DecodeErrorKind::Version(*first), 0)),
            [] => return Err(error(DecodeErrorKind::Truncated, 0)),
        };
        check_size(payload.len(), &self.notes.limits)?;
        let run = run(&mut self.buffer, &mut self.notes, term, version, |pad, term| {
            read(&mut Etf { pad }, term)
        });
        self.end = run?;
        Ok(())
    }

    fn run_json(
        &mut self,
        payload: &[u8],
        mut read: impl for<'i> FnMut(&mut Json<'_>, &'i [u8]) -> Result<(&'i [u8], usize), Stop>,
    ) -> Result<(), DecodeError> {
        check_size(payload.len(), &self.notes.limits)?;
        let run = run(&mut self.buffer, &mut self.notes, payload, 0, |pad, text| {
            read(&mut Json { pad }, text)
        });
        self.end = run?;
        Ok(())
    }

    fn frame(&mut self, envelope: &Envelope) -> Result<Frame<'_>, DecodeError> {
        let Some(op) = envelope.op else {
            return Err(error(DecodeErrorKind::Envelope("no op"), 0));
        };
        if let Some(name) = &envelope.name {
            if name.len() > NAME_MAX {
                return Err(error(DecodeErrorKind::NameTooLong(name.len()), 0));
            }
            self.name.clear();
            self.name.push_str(name);
            if op == 0 {
                let warning = || Warning::Event(name.as_str().into());
                self.notes.warn_once(name.as_bytes(), warning);
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

/// A payload that was read; borrows the decoder's buffers.
#[derive(Debug)]
pub struct Frame<'d> {
    op: u8,
    seq: Option<u64>,
    kind: Option<Kind>,
    decoder: &'d mut Decoder,
}

/// What the gateway knows of a record beside its payload.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RecordMeta {
    /// The shard that received it.
    pub shard: Shard,
    /// The shard's session counter.
    pub session: u32,
    /// When it was received, in microseconds since the Unix epoch.
    pub received_us: u64,
    /// Why it came, where known.
    pub reason: Reason,
    /// Set beside those the decoder sets.
    pub flags: Flags,
}

impl Frame<'_> {
    /// The opcode; 255 stands for larger ones.
    pub const fn op(&self) -> u8 {
        self.op
    }

    /// Discord's sequence number (`s`).
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The kind of a dispatch; `None` when the payload has no name.
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The name of the dispatch (`t`).
    pub fn name(&self) -> Option<&str> {
        self.kind.map(|kind| match kind {
            Kind::UNKNOWN => self.decoder.name.as_str(),
            kind => kind.name(),
        })
    }

    /// The payload's data (`d`); null when there is none.
    pub fn data(&self) -> Value<'_> {
        Value::trusted(self.data_bytes())
    }

    /// The document of [`Frame::data`].
    pub fn data_bytes(&self) -> &[u8] {
        &self.decoder.buffer[HEAD_MAX..self.decoder.end]
    }

    /// Whether bytes that were not UTF-8 were replaced.
    pub const fn not_utf8(&self) -> bool {
        self.decoder.notes.not_utf8
    }

    /// What orders the event: the id of its guild, else of its channel, else of its user, else 0.
    pub fn partition_key(&self) -> u64 {
        partition_key(self.kind.unwrap_or(Kind::UNKNOWN), self.data())
    }

    /// The whole record, ready for the ring: the head is written into the room before the
    /// document, which stays where it is.
    pub fn record(&mut self, meta: &RecordMeta) -> &[u8] {
        let mut flags = meta.flags;
        if self.not_utf8() {
            flags = flags | Flags::NOT_UTF8;
        }
        let header = Header {
            kind: self.kind.unwrap_or(Kind::UNKNOWN),
            flags,
            reason: meta.reason,
            shard: meta.shard,
            session: meta.session,
            seq: self.seq.unwrap_or(0),
            index: 0,
            key: self.partition_key(),
            received_us: meta.received_us,
            ..Header::default()
        };
        let Decoder { buffer, end, name, .. } = &mut *self.decoder;
        let mut start = HEAD_MAX;
        if self.kind == Some(Kind::UNKNOWN) {
            start -= name.len();
            buffer[start..HEAD_MAX].copy_from_slice(name.as_bytes());
        }
        if let Some(fixed) = buffer[..start].last_chunk_mut() {
            header.write(fixed, (HEAD_MAX - start) as u8, (*end - HEAD_MAX) as u32, 0);
        }
        &buffer[start - HEADER_LEN..*end]
    }
}

/// What orders an event of `kind` with `data` against others: events with one key keep their order.
///
/// The id of its guild, else of its channel, else of its user, else 0.
pub fn partition_key(kind: Kind, data: Value<'_>) -> u64 {
    let Some(map) = data.as_map() else { return 0 };
    let own = |key| map.get(key).and_then(Value::as_id);
    match kind {
        Kind::GUILD_CREATE | Kind::GUILD_UPDATE | Kind::GUILD_DELETE => {
            return own(atoms::ID).unwrap_or(0);
        }
        // A private channel is its own place.
        Kind::CHANNEL_CREATE | Kind::CHANNEL_UPDATE | Kind::CHANNEL_DELETE => {
            return own(atoms::GUILD_ID).or_else(|| own(atoms::ID)).unwrap_or(0);
        }
        Kind::USER_UPDATE => return own(atoms::ID).unwrap_or(0),
        _ => {}
    }
    let (mut channel, mut user) = (None, None);
    for (key, value) in map.raw_entries() {
        let RawKey::Atom(key @ (GUILD | CHANNEL | USER_ID | USER)) = key else { continue };
        match (key, Value::from_raw(value)) {
            (GUILD, Value::Id(guild)) => return guild,
            (CHANNEL, value) => channel = value.as_id(),
            (USER_ID, value) => user = value.as_id(),
            (USER, value) if user.is_none() => user = value.get(atoms::ID).and_then(Value::as_id),
            _ => {}
        }
    }
    channel.or(user).unwrap_or(0)
}

const GUILD: u16 = atoms::GUILD_ID.number();
const CHANNEL: u16 = atoms::CHANNEL_ID.number();
const USER_ID: u16 = atoms::USER_ID.number();
const USER: u16 = atoms::USER.number();

fn check_size(len: usize, limits: &Limits) -> Result<(), DecodeError> {
    let limit = limits.frame_bytes;
    if len > limit {
        return Err(error(DecodeErrorKind::TooLarge { len, limit }, 0));
    }
    Ok(())
}

/// Reads `input` into the buffer, which grows until the document fits. Gives where
/// the document ends.
#[inline]
fn run(
    buffer: &mut Vec<u8>,
    notes: &mut Notes,
    input: &[u8],
    skipped: usize,
    mut read: impl for<'i> FnMut(Pad<'_>, &'i [u8]) -> Result<(&'i [u8], usize), Stop>,
) -> Result<usize, DecodeError> {
    // Documents are seldom larger than their payload.
    let wanted = HEAD_MAX + SLACK + input.len();
    let most = HEAD_MAX + SLACK + notes.limits.document_bytes;
    if buffer.len() > KEEP_BYTES && wanted < KEEP_BYTES / 2 {
        *buffer = Vec::new();
    }
    if buffer.len() < wanted {
        buffer.resize(wanted.min(most), 0);
    }
    loop {
        notes.begin();
        match read(Pad { out: buffer, notes }, input) {
            Ok(([], end)) if end + SLACK <= most => return Ok(end),
            result => {
                let rest = result.as_ref().map_or(0, |(rest, _)| rest.len());
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
                let offset = skipped + input.len() - left.min(input.len());
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

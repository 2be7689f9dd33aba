//! Gateway payloads to records: ETF and JSON through one sink, so that they mean the same (P6).

use crate::{
    atom::atoms,
    document::Document,
    format,
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
mod sink;
mod surrogates;

use envelope::Envelope;
pub use error::{DecodeError, DecodeErrorKind};
use etf::Etf;
use inflate::Inflate;
use json::Json;
pub use sink::Warning;
use sink::{Ids, Sink};

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
#[derive(Debug)]
pub struct Decoder {
    sink: Sink,
    inflate: Inflate,
    /// The name of the last event that was not in the table.
    name: String,
}

impl Decoder {
    /// A decoder with these limits.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            document_bytes: limits.document_bytes.min(1 << 30),
            depth: limits.depth.min(format::DEPTH_MAX),
            ..limits
        };
        Self { sink: Sink::new(limits), inflate: Inflate::default(), name: String::new() }
    }

    /// Reads a payload in ETF.
    pub fn etf(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let envelope = self.run_etf(payload, HEAD_MAX, envelope::etf)?;
        self.frame(&envelope)
    }

    /// Reads a payload in JSON.
    pub fn json(&mut self, payload: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let envelope = self.run_json(payload, HEAD_MAX, envelope::json)?;
        self.frame(&envelope)
    }

    /// Reads any term, with its leading byte 131, as a document of its own.
    pub fn document_from_etf(&mut self, term: &[u8]) -> Result<Document, DecodeError> {
        self.run_etf(term, 0, |etf| etf.value(Ids::None, 0))?;
        Ok(Document::trusted(self.sink.out.clone()))
    }

    /// Reads any JSON value as a document of its own.
    pub fn document_from_json(&mut self, json: &[u8]) -> Result<Document, DecodeError> {
        self.run_json(json, 0, |json, text| json.run(text))?;
        Ok(Document::trusted(self.sink.out.clone()))
    }

    /// What was met for the first time since the last call: keys and events outside the tables.
    /// Both what is waiting and what is remembered are bounded.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.sink.warnings)
    }

    fn run_etf<T>(
        &mut self,
        payload: &[u8],
        headroom: usize,
        read: impl FnOnce(&mut Etf<'_, '_>) -> Result<T, DecodeErrorKind>,
    ) -> Result<T, DecodeError> {
        self.begin(payload.len(), headroom)?;
        let term = match payload {
            [etf::VERSION, etf::COMPRESSED, compressed @ ..] => self
                .inflate
                .run(compressed, self.sink.limits.inflated_bytes)
                .map_err(|kind| at(&mut self.sink, kind, 2))?,
            [etf::VERSION, term @ ..] => term,
            [first, ..] => return Err(at(&mut self.sink, DecodeErrorKind::Version(*first), 0)),
            [] => return Err(at(&mut self.sink, DecodeErrorKind::Truncated, 0)),
        };
        let compressed = payload.get(1) == Some(&etf::COMPRESSED);
        let offset = |rest: &[u8]| term.len() - rest.len() + usize::from(!compressed);
        let mut etf = Etf { rest: term, sink: &mut self.sink };
        let result = read(&mut etf);
        let rest = etf.rest;
        match result {
            Ok(_) if !rest.is_empty() => {
                Err(at(&mut self.sink, DecodeErrorKind::Trailing(rest.len()), offset(rest)))
            }
            Ok(value) => Ok(value),
            Err(kind) => Err(at(&mut self.sink, kind, offset(rest))),
        }
    }

    fn run_json<T>(
        &mut self,
        payload: &[u8],
        headroom: usize,
        read: impl Fn(&mut Json<'_>, &str) -> Result<T, serde_json::Error>,
    ) -> Result<T, DecodeError> {
        self.begin(payload.len(), headroom)?;
        let text = String::from_utf8_lossy(payload);
        self.sink.not_utf8 = matches!(text, std::borrow::Cow::Owned(_));
        match self.try_json(&text, &read) {
            Ok(value) => Ok(value),
            Err(error) => {
                // Escapes of half a character are legal JSON, but no text.
                let Some(repaired) = surrogates::repair(&text) else { return Err(error) };
                self.begin(payload.len(), headroom)?;
                self.sink.not_utf8 = true;
                self.try_json(&repaired, &read)
            }
        }
    }

    fn try_json<T>(
        &mut self,
        text: &str,
        read: impl Fn(&mut Json<'_>, &str) -> Result<T, serde_json::Error>,
    ) -> Result<T, DecodeError> {
        let mut fault = None;
        let mut json = Json {
            sink: &mut self.sink,
            fault: &mut fault,
            ids: Ids::None,
            depth: 0,
            input_len: text.len(),
        };
        read(&mut json, text).map_err(|error| {
            let offset = json_offset(text, &error);
            let kind = fault.unwrap_or_else(|| match error.classify() {
                serde_json::error::Category::Eof => DecodeErrorKind::Truncated,
                _ => DecodeErrorKind::Json(error.to_string()),
            });
            at(&mut self.sink, kind, offset)
        })
    }

    fn begin(&mut self, len: usize, headroom: usize) -> Result<(), DecodeError> {
        let limit = self.sink.limits.frame_bytes;
        self.sink.path.clear();
        self.sink.not_utf8 = false;
        self.sink.out.truncate(headroom);
        self.sink.out.resize(headroom, 0);
        if len > limit {
            return Err(at(&mut self.sink, DecodeErrorKind::TooLarge { len, limit }, 0));
        }
        Ok(())
    }

    fn frame(&mut self, envelope: &Envelope) -> Result<Frame<'_>, DecodeError> {
        let fault = |sink: &mut Sink, kind| Err(at(sink, kind, 0));
        let Some(op) = envelope.op else {
            return fault(&mut self.sink, DecodeErrorKind::Envelope("no op"));
        };
        if let Some(name) = &envelope.name {
            if name.len() > NAME_MAX {
                return fault(&mut self.sink, DecodeErrorKind::NameTooLong(name.len()));
            }
            self.name.clear();
            self.name.push_str(name);
            if op == 0 {
                let warning = || Warning::Event(name.as_str().into());
                self.sink.warn_once(name.as_bytes(), warning);
            }
        }
        if self.sink.out.len() == HEAD_MAX {
            self.sink.out.push(format::NULL);
        }
        Ok(Frame { op, seq: envelope.seq, kind: envelope.kind, decoder: self })
    }
}

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
        &self.decoder.sink.out[HEAD_MAX..]
    }

    /// Whether bytes that were not UTF-8 were replaced.
    pub const fn not_utf8(&self) -> bool {
        self.decoder.sink.not_utf8
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
        let Decoder { sink, name, .. } = &mut *self.decoder;
        let name = if self.kind == Some(Kind::UNKNOWN) { name.as_bytes() } else { &[] };
        let fixed = header.to_bytes((sink.out.len() - HEAD_MAX) as u32, 0);
        let name_start = HEAD_MAX - name.len();
        let start = name_start - HEADER_LEN;
        sink.out[start..name_start].copy_from_slice(&fixed);
        sink.out[name_start..HEAD_MAX].copy_from_slice(name);
        &sink.out[start..]
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
    for (key, value) in map {
        match key.atom() {
            Some(atoms::GUILD_ID) if value.as_id().is_some() => {
                return value.as_id().unwrap_or(0);
            }
            Some(atoms::CHANNEL_ID) => channel = value.as_id(),
            Some(atoms::USER_ID) => user = value.as_id(),
            Some(atoms::USER) if user.is_none() => {
                user = value.get(atoms::ID).and_then(Value::as_id);
            }
            _ => {}
        }
    }
    channel.or(user).unwrap_or(0)
}

/// An error of `kind` at `offset`, with the path that the sink gathered.
#[cold]
fn at(sink: &mut Sink, kind: DecodeErrorKind, offset: usize) -> DecodeError {
    let mut path = String::new();
    for step in sink.path.drain(..).rev() {
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(&step);
    }
    DecodeError { kind, offset, path }
}

/// Where serde_json stopped, in bytes.
fn json_offset(text: &str, error: &serde_json::Error) -> usize {
    let line = error.line().saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    (before + error.column()).min(text.len())
}

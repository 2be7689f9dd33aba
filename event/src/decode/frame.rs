//! A payload that was read, and the record made of it.

use super::{Decoder, partition};
use crate::{
    header::{Flags, HEADER_LEN, Header, Reason, Shard},
    kind::Kind,
    record::HEAD_MAX,
    value::Value,
};

/// A payload that was read; borrows the decoder's buffers.
#[derive(Debug)]
pub struct Frame<'d> {
    pub(super) op: u8,
    pub(super) seq: Option<u64>,
    pub(super) kind: Option<Kind>,
    pub(super) decoder: &'d mut Decoder,
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
            Kind::UNKNOWN => self.decoder.notes.name.as_str(),
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
        partition::of_document(self.kind.unwrap_or(Kind::UNKNOWN), self.data_bytes())
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
        let Decoder { buffer, end, notes, .. } = &mut *self.decoder;
        let name = self.kind.map_or("", |kind| kind.carried(&notes.name)).as_bytes();
        let start = HEAD_MAX - name.len();
        buffer[start..HEAD_MAX].copy_from_slice(name);
        if let Some(fixed) = buffer[..start].last_chunk_mut() {
            header.write(fixed, (HEAD_MAX - start) as u8, (*end - HEAD_MAX) as u32, 0);
        }
        &buffer[start - HEADER_LEN..*end]
    }
}

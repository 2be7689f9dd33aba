//! From records to messages.

use bytes::Bytes;
use mixcord_ring::Entry;
use zstd_safe::CCtx;

use super::body::{self, About, ROW_HEAD};
use super::{BODY_MAX, Head, RECORDS_MAX};
use crate::sender::Start;

/// Packs are a sixth larger than by level 1, with which the sender needs a quarter more time in all.
const LEVEL: i32 = -1;
/// What is shorter is not worth the compressor's head.
const COMPRESSED_MIN: usize = 200;

/// Messages are never limited to less: their parts are counted in 16 bits. A broker that takes no such message is of
/// no use.
pub const MESSAGE_MIN: usize = 4 << 10;

/// How large packs and messages become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Records of a pack, 1 to [`RECORDS_MAX`].
    pub records: usize,
    /// Bytes of records in a pack, before compression. One record is taken however long it is.
    pub pack: usize,
    /// Bytes of a message: the broker takes no longer one.
    pub message: usize,
}

/// Messages of one pack, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// Where the log stands once they are all there.
    pub end: u64,
    /// How many records.
    pub count: u32,
    /// The messages; more than one for a body that is longer than a message.
    pub messages: Vec<Bytes>,
}

/// Makes packs; keeps its memory.
pub struct Packer {
    sizes: Sizes,
    context: CCtx<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl Packer {
    /// Packs of these sizes.
    #[must_use]
    pub fn new(sizes: Sizes) -> Self {
        let sizes = Sizes { records: sizes.records.clamp(1, RECORDS_MAX), ..sizes };
        let mut this = Self { sizes, context: CCtx::create(), raw: Vec::new(), packed: Vec::new() };
        this.limit(sizes.message);
        this
    }

    /// Messages are no longer than this from now on, or than [`MESSAGE_MIN`]: the broker has another limit.
    pub fn limit(&mut self, message: usize) {
        self.sizes.message = message.max(MESSAGE_MIN);
    }

    /// Packs as many of `entries` as belong into one pack, those of consecutive positions from the start on. None at
    /// all make a pack that only says how the shard stands.
    pub fn pack<'e>(
        &mut self,
        start: &Start,
        entries: impl IntoIterator<Item = Entry<'e>>,
        about: &About<'_>,
    ) -> Packed {
        let Start { log, generation, kept, first } = *start;
        self.raw.clear();
        about.write_sections(&mut self.raw);
        let rows = body::begin_rows(&mut self.raw);
        let mut count = 0;
        for entry in entries {
            let len = ROW_HEAD + entry.payload.len();
            let full = self.raw.len() - rows + len > self.sizes.pack;
            if entry.position != first + u64::from(count) || count as usize == self.sizes.records {
                break;
            }
            if count > 0 && full {
                break;
            }
            // What no pack can hold is told as lost in its place.
            let lost = entry.lost || self.raw.len() + len > BODY_MAX;
            body::push_row(&mut self.raw, &entry, lost);
            count += 1;
        }
        body::end_rows(&mut self.raw, rows);
        let head = Head {
            log,
            first,
            generation,
            kept,
            count,
            part: 0,
            parts: 1,
            compressed: self.compress(),
            body_len: self.raw.len() as u32,
            sum: 0,
        };
        Packed { end: first + u64::from(count), count, messages: self.messages(head) }
    }

    /// Whether the body is packed now; else it stays as it is.
    fn compress(&mut self) -> bool {
        if self.raw.len() < COMPRESSED_MIN {
            return false;
        }
        self.packed.clear();
        self.packed.reserve(zstd_safe::compress_bound(self.raw.len()));
        let done = self.context.compress(&mut self.packed, &self.raw, LEVEL);
        done.is_ok() && self.packed.len() < self.raw.len()
    }

    fn messages(&self, head: Head) -> Vec<Bytes> {
        let body = if head.compressed { &self.packed } else { &self.raw };
        let room = self.sizes.message - Head::LEN;
        let parts = body.len().div_ceil(room).max(1) as u16;
        let sum = if parts > 1 { super::sum(body) } else { 0 };
        let chunks = body.chunks(room);
        chunks
            .zip(0..parts)
            .map(|(chunk, part)| {
                let mut message = Vec::with_capacity(Head::LEN + chunk.len());
                Head { part, parts, sum, ..head }.write(&mut message);
                message.extend_from_slice(chunk);
                message.into()
            })
            .collect()
    }
}

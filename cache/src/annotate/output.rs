//! What is delivered for one record.

use mixcord_event::{Flags, Kind, Reason};

/// How much of a record's outputs is wanted.
///
/// One READY may find thousands of guilds gone, more than a ring holds; a guild that goes or a role that is
/// deleted may have a million members. The record is then given again, with `from` raised by the outputs it
/// had, until it says that nothing is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The index of the first output; those before were delivered.
    pub from: u16,
    /// Derived records after which to stop, one at least.
    pub records: usize,
    /// Their bytes after which to stop.
    pub bytes: usize,
    /// Bytes of changes after which to stop, those of the batch's earlier records included.
    pub changes: usize,
}

impl Slice {
    /// Everything.
    pub const WHOLE: Self =
        Self { from: 0, records: usize::MAX, bytes: usize::MAX, changes: usize::MAX };
}

/// The `data` of an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// The input's payload as it is.
    Payload,
    /// Another document.
    Document(Vec<u8>),
}

impl Part {
    /// Its bytes, where `payload` are the input's.
    #[must_use]
    pub fn bytes<'a>(&'a self, payload: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Payload => payload,
            Self::Document(document) => document,
        }
    }
}

/// One record to deliver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// What happened.
    pub kind: Kind,
    /// Why.
    pub reason: Reason,
    /// Remarks.
    pub flags: Flags,
    /// Partition key.
    pub key: u64,
    /// The entity after the event, or the payload.
    pub data: Part,
    /// The entity before the event.
    pub old: Option<Vec<u8>>,
}

/// The records for one input, in the order of their index; keeps its buffers from one input to the
/// next.
#[derive(Default, Debug)]
pub struct Outputs {
    items: Vec<Output>,
    spare: Vec<Vec<u8>>,
}

/// What a record takes in a ring beside its documents, at most.
const OVERHEAD: usize = 512;

/// Buffers kept, and the size up to which one is.
const SPARE_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 256 << 10;

impl Outputs {
    /// The records.
    #[must_use]
    pub fn items(&self) -> &[Output] {
        &self.items
    }

    /// Whether the derived records, or with `changed` bytes the changes, are as many as a slice may
    /// have.
    pub(super) fn exceeds(&self, slice: Slice, changed: usize) -> bool {
        let size = |output: &Output| {
            let data = if let Part::Document(data) = &output.data { data.len() } else { 0 };
            data + output.old.as_ref().map_or(0, Vec::len) + OVERHEAD
        };
        let bytes = || self.items.iter().map(size).sum::<usize>();
        self.items.len() >= slice.records.max(1)
            || (!self.items.is_empty() && (changed >= slice.changes || bytes() >= slice.bytes))
    }

    /// Forgets the records.
    pub fn clear(&mut self) {
        while let Some(output) = self.items.pop() {
            if let Part::Document(document) = output.data {
                self.recycle(document);
            }
            if let Some(old) = output.old {
                self.recycle(old);
            }
        }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.items.push(output);
    }

    pub(super) fn insert_main(&mut self, output: Output) {
        self.items.insert(0, output);
    }

    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

//! Records copied out: private, validated, 64-byte aligned.

use std::io;

use super::descriptor::Descriptor;
use super::{Core, Position};

/// How much to take at a time. At least one record is given if there is one, however long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most records.
    pub records: usize,
    /// The most payload bytes, each record rounded up to 64.
    pub bytes: usize,
}

impl Default for Limits {
    /// 64 records, 256 KiB: what fits a core's second-level cache.
    fn default() -> Self {
        Self { records: 64, bytes: 256 << 10 }
    }
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number.
    pub position: Position,
    /// Its partition key.
    pub key: u64,
    /// As its producer gave it.
    pub tag: u64,
    /// As its producer gave it.
    pub source: u64,
    /// Its finer key, 0 where that is `key`.
    pub order: u64,
    /// As its producer gave it, 0 for nothing; 0 too for a record that lay aside or came from elsewhere.
    pub seal: u32,
    /// Its bytes; the first is 64-byte aligned.
    pub payload: &'a [u8],
    /// Whether its bytes are gone: they were in a file of their own, and somebody removed or cut it.
    /// [`payload`](Self::payload) is empty then. The record stands in its place all the same, to be told as
    /// a loss and acknowledged like any other.
    pub lost: bool,
}

/// Memory for the records of a batch, used again and again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    heads: Vec<Head>,
    bytes: Aligned,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    position: Position,
    key: u64,
    tag: u64,
    source: u64,
    order: u64,
    seal: u32,
    at: usize,
    /// Bytes of the payload; `None` for one that is gone.
    length: Option<u32>,
}

impl Descriptor {
    /// Whether the payload is there; asked before memory is taken for it. What is no file always is; an
    /// error when it cannot be told now.
    #[inline]
    pub(crate) fn is_there(&self, core: &Core) -> io::Result<bool> {
        if !self.is_blob() {
            return Ok(true);
        }
        core.environment.has_blob(self.position, self.length.into())
    }

    /// Copies the payload out, from the ring or from its file; `into` is as long as it is.
    #[inline]
    pub(crate) fn copy(&self, core: &Core, into: &mut [u8]) -> io::Result<()> {
        if self.is_blob() {
            return core.environment.read_blob(self.position, into);
        }
        core.memory.read(core.layout.payload_at(self.offset), into);
        Ok(())
    }
}

impl Buffers {
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.used = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(crate) fn bytes_used(&self) -> usize {
        self.used
    }

    /// Appends the record of a descriptor that was checked, without its payload when that is gone; an error
    /// only when its file cannot be read now.
    #[inline]
    pub(crate) fn push(&mut self, core: &Core, entry: &Descriptor) -> io::Result<()> {
        if entry.is_blob() {
            return self.push_blob(core, entry);
        }
        // All of its lines, padding too: whole lines are copied best.
        let into = self.bytes.room(self.used, entry.lines());
        core.memory.read(core.layout.payload_at(entry.offset), into);
        self.note(entry, Some(entry.length));
        self.used += entry.lines();
        Ok(())
    }

    #[cold]
    fn push_blob(&mut self, core: &Core, entry: &Descriptor) -> io::Result<()> {
        if !entry.is_there(core)? {
            self.note(entry, None);
            return Ok(());
        }
        let into = self.bytes.room(self.used, entry.lines());
        entry.copy(core, &mut into[..entry.length as usize])?;
        self.note(entry, Some(entry.length));
        self.used += entry.lines();
        Ok(())
    }

    /// Appends a record whose payload comes from elsewhere.
    pub(crate) fn push_bytes(&mut self, entry: &Descriptor, payload: &[u8]) {
        let into = self.bytes.room(self.used, entry.lines());
        into[..payload.len()].copy_from_slice(payload);
        self.note(entry, Some(entry.length));
        self.used += entry.lines();
    }

    /// A record of which nothing is known but its place.
    pub(crate) const fn nothing(position: Position) -> Entry<'static> {
        Entry { position, key: 0, tag: 0, source: 0, order: 0, seal: 0, payload: &[], lost: true }
    }

    /// Its payload, if it has one, stands where the next one goes.
    #[inline]
    fn note(&mut self, entry: &Descriptor, length: Option<u32>) {
        self.heads.push(Head {
            position: entry.position,
            key: entry.key,
            tag: entry.tag,
            source: entry.source,
            order: entry.order,
            seal: entry.seal(),
            at: self.used,
            length,
        });
    }

    /// Drops the first `count` records.
    pub(crate) fn drop_first(&mut self, count: usize) {
        self.heads.drain(..count);
    }

    /// Drops the last record.
    pub(crate) fn drop_last(&mut self) {
        if let Some(last) = self.heads.pop() {
            self.used = last.at;
        }
    }

    /// Whether a thousand of them are no matter.
    pub(crate) fn is_short(&self) -> bool {
        self.bytes.capacity() <= 16 << 10
    }

    /// Whether the memory should be kept for the next batch rather than given back: what a batch of 3 MiB
    /// may have grown to.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.bytes.capacity() <= 8 << 20
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.heads.get(index).map(|head| self.entry(head))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + '_ {
        self.heads.iter().map(|head| self.entry(head))
    }

    #[inline]
    fn entry(&self, head: &Head) -> Entry<'_> {
        Entry {
            position: head.position,
            key: head.key,
            tag: head.tag,
            source: head.source,
            order: head.order,
            seal: head.seal,
            payload: &self.bytes.all()[head.at..head.at + head.length.unwrap_or(0) as usize],
            lost: head.length.is_none(),
        }
    }
}

/// Bytes at 64-byte alignment that are grown, never shrunk, and zeroed once.
#[derive(Debug, Default)]
struct Aligned(Vec<Line>);

#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u8; 64]);

impl Aligned {
    fn capacity(&self) -> usize {
        self.0.len() * 64
    }

    /// `bytes` bytes from `at` on, both whole lines.
    #[inline]
    fn room(&mut self, at: usize, bytes: usize) -> &mut [u8] {
        let lines = (at + bytes) / 64;
        if lines > self.0.len() {
            self.grow(lines);
        }
        let (start, length) = (self.0.as_mut_ptr().cast::<u8>(), self.0.len() * 64);
        // SAFETY: the lines are contiguous bytes without padding, borrowed as long as `self`.
        #[allow(unsafe_code)]
        let all = unsafe { std::slice::from_raw_parts_mut(start, length) };
        &mut all[at..at + bytes]
    }

    #[cold]
    fn grow(&mut self, lines: usize) {
        self.0.resize(lines.max(self.0.len() * 2), Line([0; 64]));
    }

    #[inline]
    fn all(&self) -> &[u8] {
        let (start, length) = (self.0.as_ptr().cast::<u8>(), self.0.len() * 64);
        // SAFETY: the lines are contiguous initialised bytes without padding.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(start, length)
        }
    }
}

//! Writing a recording.

use std::io::{self, Write};

use mixcord_blocks::BlockWriter;
use mixcord_ring::{Meta, Position};

use crate::frame::{self, FORMAT, Head, RingOf, record_head};

/// Writes a recording into a file, or whatever takes bytes.
#[derive(Debug)]
pub struct Writer<W: Write> {
    blocks: BlockWriter<W>,
    records: u64,
    lost: u64,
}

impl<W: Write> Writer<W> {
    /// Begins one, at this time in microseconds since 1970.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(sink: W, started_us: u64, redacted: bool) -> io::Result<Self> {
        let mut this = Self { blocks: BlockWriter::new(sink, FORMAT)?, records: 0, lost: 0 };
        this.frame(frame::HEAD, &Head::new(started_us, redacted).encode(), &[])?;
        Ok(this)
    }

    /// A ring, whose records follow.
    ///
    /// # Errors
    /// The sink's.
    pub fn ring(&mut self, ring: &RingOf) -> io::Result<()> {
        self.frame(frame::RING, &ring.encode(), &[])
    }

    /// A record of the ring with this number.
    ///
    /// # Errors
    /// The sink's.
    pub fn record(
        &mut self,
        ring: u16,
        position: Position,
        meta: &Meta,
        payload: &[u8],
    ) -> io::Result<()> {
        self.records += 1;
        self.frame(frame::RECORD, &record_head(ring, position, meta), payload)
    }

    /// So many records of the ring are missing here.
    ///
    /// # Errors
    /// The sink's.
    pub fn lost(&mut self, ring: u16, count: u64) -> io::Result<()> {
        self.lost = self.lost.saturating_add(count);
        let content = [&ring.to_le_bytes()[..], &count.to_le_bytes()].concat();
        self.frame(frame::LOST, &content, &[])
    }

    /// Records so far, and those that are missing.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.records, self.lost)
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.blocks.written()
    }

    /// Gives everything to the sink: what comes is in a block of its own.
    ///
    /// # Errors
    /// The sink's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush()
    }

    /// Ends it; gives the sink back, and the bytes written.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        let content = [self.records.to_le_bytes(), self.lost.to_le_bytes()].concat();
        self.frame(frame::END, &content, &[])?;
        self.blocks.flush()?;
        let written = self.blocks.written();
        Ok((self.blocks.into_sink(), written))
    }

    fn frame(&mut self, kind: u8, content: &[u8], more: &[u8]) -> io::Result<()> {
        self.blocks.frame(kind, &[content, more])
    }
}

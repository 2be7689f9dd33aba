//! Blocks: what the frames lie in, compressed and checked.

use std::io::{self, Read, Write};

use crate::ReadError;

/// The most that a block holds.
pub(crate) const BLOCK_MAX: usize = 1 << 20;
/// A block that has so much is written.
const ENOUGH: usize = 256 << 10;
const MAGIC: &[u8; 8] = b"mixrec\r\n";
const VERSION: u32 = 1;
const HEAD: usize = 16;
const LEVEL: i32 = 3;

/// Writes blocks.
#[derive(Debug)]
pub(crate) struct BlockWriter<W> {
    sink: W,
    content: Vec<u8>,
    packed: Vec<u8>,
    /// Bytes written so far.
    pub(crate) written: u64,
}

impl<W: Write> BlockWriter<W> {
    pub(crate) fn new(mut sink: W) -> io::Result<Self> {
        sink.write_all(MAGIC)?;
        sink.write_all(&VERSION.to_le_bytes())?;
        let packed = vec![0; zstd_safe::compress_bound(BLOCK_MAX)];
        let written = (MAGIC.len() + 4) as u64;
        Ok(Self { sink, content: Vec::with_capacity(BLOCK_MAX), packed, written })
    }

    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_MAX - self.content.len()));
            self.content.extend_from_slice(now);
            bytes = later;
            if self.content.len() >= ENOUGH {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Ends the block, if there is one, so that all that was put is in the file.
    pub(crate) fn end_block(&mut self) -> io::Result<()> {
        if self.content.is_empty() {
            return Ok(());
        }
        let packed = zstd_safe::compress(self.packed.as_mut_slice(), &self.content, LEVEL)
            .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
        let packed = &self.packed[..packed];
        let mut head = [0; HEAD];
        let words = [packed.len() as u32, self.content.len() as u32, crc32fast::hash(packed)];
        for (place, word) in head.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let check = crc32fast::hash(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&check.to_le_bytes());
        self.sink.write_all(&head)?;
        self.sink.write_all(packed)?;
        self.written += (HEAD + packed.len()) as u64;
        self.content.clear();
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.end_block()?;
        self.sink.flush()
    }

    pub(crate) fn into_sink(self) -> W {
        self.sink
    }
}

/// Reads blocks.
#[derive(Debug)]
pub(crate) struct BlockReader<R> {
    source: R,
    content: Vec<u8>,
    /// How much of it was given.
    given: usize,
    packed: Vec<u8>,
    block: u64,
}

impl<R: Read> BlockReader<R> {
    pub(crate) fn new(mut source: R) -> Result<Self, ReadError> {
        let mut start = [0; MAGIC.len() + 4];
        if fill(&mut source, &mut start)? < start.len() || !start.starts_with(MAGIC) {
            return Err(ReadError::NotOne);
        }
        let found = start.last_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        if found != VERSION {
            return Err(ReadError::Version { found, known: VERSION });
        }
        Ok(Self { source, content: Vec::new(), given: 0, packed: Vec::new(), block: 0 })
    }

    /// Some of what is left, at most `most` bytes; nothing at the end of the file.
    pub(crate) fn some(&mut self, most: usize) -> Result<&[u8], ReadError> {
        if self.given == self.content.len() && !self.next_block()? {
            return Ok(&[]);
        }
        let from = self.given;
        self.given += most.min(self.content.len() - from);
        Ok(&self.content[from..self.given])
    }

    pub(crate) fn damaged(&self, what: &'static str) -> ReadError {
        ReadError::Damaged { block: self.block.saturating_sub(1), what }
    }

    fn next_block(&mut self) -> Result<bool, ReadError> {
        let mut head = [0; HEAD];
        match fill(&mut self.source, &mut head)? {
            0 => return Ok(false),
            HEAD => {}
            _ => return Err(ReadError::Cut),
        }
        self.block += 1;
        let word = |index: usize| {
            let bytes = head[index * 4..].first_chunk().copied().unwrap_or_default();
            u32::from_le_bytes(bytes)
        };
        if crc32fast::hash(&head[..HEAD - 4]) != word(3) {
            return Err(self.damaged("its head"));
        }
        let (packed, length) = (word(0) as usize, word(1) as usize);
        if length == 0 || length > BLOCK_MAX || packed > zstd_safe::compress_bound(BLOCK_MAX) {
            return Err(self.damaged("its lengths"));
        }
        self.packed.resize(packed, 0);
        if fill(&mut self.source, &mut self.packed)? < packed {
            return Err(ReadError::Cut);
        }
        if crc32fast::hash(&self.packed) != word(2) {
            return Err(self.damaged("its checksum"));
        }
        self.content.resize(length, 0);
        self.given = 0;
        match zstd_safe::decompress(self.content.as_mut_slice(), &self.packed) {
            Ok(unpacked) if unpacked == length => Ok(true),
            _ => {
                self.content.clear();
                Err(self.damaged("what is packed in it"))
            }
        }
    }
}

/// Reads until `into` is full, or the end; how many bytes.
fn fill(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

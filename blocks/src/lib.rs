//! Frames in compressed blocks with checksums: what Mixcord's files and streams are made of.
//!
//! Eight bytes say what it is, four which version of that. Then come blocks: packed and unpacked length, the CRC-32 of
//! the packed bytes and that of these three words, each 4 bytes, little-endian; then the packed bytes (zstd). What is
//! unpacked is a row of frames, which may go from one block into the next: kind (1 byte), length (4), content. Where a
//! writer was killed or a byte was changed, everything before that block is whole.

use std::io::{self, Read, Write};

/// The most that a block holds.
const BLOCK_MAX: usize = 1 << 20;
/// A block that has so much is written.
const ENOUGH: usize = 256 << 10;
const HEAD: usize = 16;
const LEVEL: i32 = 3;

/// What a file or stream calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Its first bytes.
    pub magic: [u8; 8],
    /// What its frames mean.
    pub version: u32,
}

/// Why blocks cannot be read on. What was read before is as it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// They are of something else.
    #[error("it does not begin as one")]
    NotOne,
    /// A later release wrote them.
    #[error("it has format {found}, this build reads {known}")]
    Version {
        /// Its format.
        found: u32,
        /// The one that is read here.
        known: u32,
    },
    /// Bytes are not what was written.
    #[error("it is damaged in block {block}: {what}")]
    Damaged {
        /// Counted from 0.
        block: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// They end too early.
    #[error("it was cut off")]
    Cut,
    /// The system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes frames.
#[derive(Debug)]
pub struct BlockWriter<W> {
    sink: W,
    content: Vec<u8>,
    packed: Vec<u8>,
    written: u64,
}

impl<W: Write> BlockWriter<W> {
    /// Begins.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(mut sink: W, format: Format) -> io::Result<Self> {
        sink.write_all(&format.magic)?;
        sink.write_all(&format.version.to_le_bytes())?;
        let packed = vec![0; zstd_safe::compress_bound(BLOCK_MAX)];
        let written = (format.magic.len() + 4) as u64;
        Ok(Self { sink, content: Vec::with_capacity(BLOCK_MAX), packed, written })
    }

    /// Bytes given to the sink so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Writes a frame, the concatenation of `parts`, into the block that is open.
    ///
    /// # Errors
    /// The sink's.
    pub fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).map_err(io::Error::other)?;
        self.put(&[kind])?;
        self.put(&length.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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

    fn end_block(&mut self) -> io::Result<()> {
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

    /// Gives everything to the sink: what comes is in a block of its own.
    ///
    /// # Errors
    /// The sink's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.end_block()?;
        self.sink.flush()
    }

    /// The sink; what is not flushed is lost.
    pub fn into_sink(self) -> W {
        self.sink
    }
}

/// Reads frames, whatever the bytes are.
#[derive(Debug)]
pub struct BlockReader<R> {
    source: R,
    content: Vec<u8>,
    /// How much of it was given.
    given: usize,
    packed: Vec<u8>,
    block: u64,
}

impl<R: Read> BlockReader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// It is something else, or of another version.
    pub fn new(mut source: R, format: Format) -> Result<Self, BlockError> {
        let mut start = [0; 12];
        if fill(&mut source, &mut start)? < start.len() || !start.starts_with(&format.magic) {
            return Err(BlockError::NotOne);
        }
        let found = start.last_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let known = format.version;
        if found != known {
            return Err(BlockError::Version { found, known });
        }
        Ok(Self { source, content: Vec::new(), given: 0, packed: Vec::new(), block: 0 })
    }

    /// Reads a frame of at most `longest` bytes into `content`; its kind, or `None` at the end.
    ///
    /// # Errors
    /// Damage, or the end within a frame.
    pub fn frame(&mut self, content: &mut Vec<u8>, longest: u64) -> Result<Option<u8>, BlockError> {
        let mut head = [0; 5];
        let mut filled = 0;
        while filled < head.len() {
            let some = self.some(head.len() - filled)?;
            if some.is_empty() {
                return if filled == 0 { Ok(None) } else { Err(BlockError::Cut) };
            }
            head[filled..filled + some.len()].copy_from_slice(some);
            filled += some.len();
        }
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length as u64 > longest {
            return Err(self.damaged("a length in it"));
        }
        // Memory is taken as the bytes come, not as the length says.
        content.clear();
        while content.len() < length {
            let some = self.some(length - content.len())?;
            if some.is_empty() {
                return Err(BlockError::Cut);
            }
            content.extend_from_slice(some);
        }
        Ok(Some(kind))
    }

    /// Some of what is left, at most `most` bytes; nothing at the end of the file.
    fn some(&mut self, most: usize) -> Result<&[u8], BlockError> {
        if self.given == self.content.len() && !self.next_block()? {
            return Ok(&[]);
        }
        let from = self.given;
        self.given += most.min(self.content.len() - from);
        Ok(&self.content[from..self.given])
    }

    /// What is wrong with the block that was read last.
    pub fn damaged(&self, what: &'static str) -> BlockError {
        BlockError::Damaged { block: self.block.saturating_sub(1), what }
    }

    fn next_block(&mut self) -> Result<bool, BlockError> {
        let mut head = [0; HEAD];
        match fill(&mut self.source, &mut head)? {
            0 => return Ok(false),
            HEAD => {}
            _ => return Err(BlockError::Cut),
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
            return Err(BlockError::Cut);
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

//! Reading a recording.

use std::io::Read;

use mixcord_blocks::BlockReader;
use mixcord_ring::RECORD_MAX;

use crate::ReadError;
use crate::frame::{self, FORMAT, Head, Item};

/// The longest frame: the longest record, and what stands before it.
const FRAME_MAX: u64 = RECORD_MAX + 1024;

/// Reads a recording, whatever its bytes are.
#[derive(Debug)]
pub struct Reader<R: Read> {
    blocks: BlockReader<R>,
    head: Head,
    content: Vec<u8>,
    ended: bool,
    unknown: u64,
}

impl<R: Read> Reader<R> {
    /// Reads how it was made.
    ///
    /// # Errors
    /// It is no recording, or one of a later format.
    pub fn open(source: R) -> Result<Self, ReadError> {
        let blocks = BlockReader::new(source, FORMAT)?;
        let (head, content) = (Head::default(), Vec::new());
        let mut this = Self { blocks, head, content, ended: false, unknown: 0 };
        match this.frame()? {
            Some(frame::HEAD) => this.head = Head::decode(&this.content),
            Some(_) => return Err(this.blocks.damaged("it does not begin with a head").into()),
            None => return Err(ReadError::Cut),
        }
        Ok(this)
    }

    /// How it was made.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// How many pieces were passed over so far whose kind this build does not know: a later release wrote them, and
    /// what they say is missing in what is read.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The next piece; `None` behind the end.
    ///
    /// # Errors
    /// It is damaged from here on, or was cut off.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let kind = loop {
            let kind = self.frame()?.ok_or(ReadError::Cut)?;
            if matches!(kind, frame::RING | frame::RECORD | frame::LOST | frame::END) {
                break kind;
            }
            self.unknown += 1;
        };
        self.ended = kind == frame::END;
        match frame::decode(kind, &self.content).flatten() {
            Some(item) => Ok(Some(item)),
            None => Err(self.blocks.damaged("a frame in it").into()),
        }
    }

    /// Reads a frame into `content`; its kind, or `None` at the end of the file.
    fn frame(&mut self) -> Result<Option<u8>, ReadError> {
        Ok(self.blocks.frame(&mut self.content, FRAME_MAX)?)
    }
}

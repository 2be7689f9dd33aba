//! Reading a recording.

use std::io::Read;

use mixcord_ring::RECORD_MAX;

use crate::ReadError;
use crate::block::BlockReader;
use crate::frame::{self, Head, Item};

/// The longest frame: the longest record, and what stands before it.
const FRAME_MAX: u64 = RECORD_MAX + 1024;

/// Reads a recording, whatever its bytes are.
#[derive(Debug)]
pub struct Reader<R: Read> {
    blocks: BlockReader<R>,
    head: Head,
    content: Vec<u8>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads how it was made.
    ///
    /// # Errors
    /// It is no recording, or one of a later format.
    pub fn open(source: R) -> Result<Self, ReadError> {
        let blocks = BlockReader::new(source)?;
        let mut this = Self { blocks, head: Head::default(), content: Vec::new(), ended: false };
        match this.frame()? {
            Some(frame::HEAD) => this.head = Head::decode(&this.content),
            Some(_) => return Err(this.blocks.damaged("it does not begin with a head")),
            None => return Err(ReadError::Cut),
        }
        Ok(this)
    }

    /// How it was made.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
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
        };
        self.ended = kind == frame::END;
        match frame::decode(kind, &self.content).flatten() {
            Some(item) => Ok(Some(item)),
            None => Err(self.blocks.damaged("a frame in it")),
        }
    }

    /// Reads a frame into `content`; its kind, or `None` at the end of the file.
    fn frame(&mut self) -> Result<Option<u8>, ReadError> {
        let mut head = [0; 5];
        let mut filled = 0;
        while filled < head.len() {
            let some = self.blocks.some(head.len() - filled)?;
            if some.is_empty() {
                return if filled == 0 { Ok(None) } else { Err(ReadError::Cut) };
            }
            head[filled..filled + some.len()].copy_from_slice(some);
            filled += some.len();
        }
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length as u64 > FRAME_MAX {
            return Err(self.blocks.damaged("a length in it"));
        }
        // Memory is taken as the bytes come, not as the length says.
        self.content.clear();
        while self.content.len() < length {
            let some = self.blocks.some(length - self.content.len())?;
            if some.is_empty() {
                return Err(ReadError::Cut);
            }
            self.content.extend_from_slice(some);
        }
        Ok(Some(kind))
    }
}

//! From messages to packs.

use zstd_safe::DCtx;

use super::body::Body;
use super::{BODY_MAX, Head, PackError};

/// The most that parts of one body may be together: zstd makes what cannot be compressed a little longer.
const PARTS_MAX: usize = BODY_MAX + (BODY_MAX >> 7);

/// Puts packs together again; keeps its memory.
pub struct Assembler {
    context: DCtx<'static>,
    /// The parts so far, and of which pack they are.
    parts: Option<Head>,
    gathered: Vec<u8>,
    raw: Vec<u8>,
}

impl std::fmt::Debug for Assembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Default for Assembler {
    fn default() -> Self {
        Self { context: DCtx::create(), parts: None, gathered: Vec::new(), raw: Vec::new() }
    }
}

/// A pack.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// Of its last part.
    pub head: Head,
    /// What it says.
    pub body: Body<'a>,
}

impl Assembler {
    /// Takes the next message of a lane; gives a pack where that was its last.
    ///
    /// # Errors
    /// What is wrong with it. What was gathered is forgotten then.
    pub fn push(&mut self, head: Head, body: &[u8]) -> Result<Option<Whole<'_>>, PackError> {
        if head.parts == 1 {
            self.parts = None;
            return self.open(head, body).map(Some);
        }
        let follows = self.parts.is_some_and(|before| {
            before.part + 1 == head.part && Head { part: head.part, ..before } == head
        });
        if head.part == 0 {
            self.gathered.clear();
        } else if !follows {
            self.parts = None;
            return Err(PackError::Part { part: head.part, parts: head.parts });
        }
        if self.gathered.len() + body.len() > PARTS_MAX {
            self.forget();
            return Err(PackError::Numbers);
        }
        self.gathered.extend_from_slice(body);
        self.parts = Some(head);
        if head.part + 1 < head.parts {
            return Ok(None);
        }
        self.parts = None;
        let gathered = std::mem::take(&mut self.gathered);
        // Two senders may pack the same records, each with something else beside them.
        if super::sum(&gathered) != head.sum {
            return Err(PackError::Part { part: head.part, parts: head.parts });
        }
        self.open(head, &gathered).map(Some)
    }

    /// Whether the next message may be the next part of a pack.
    pub(crate) const fn is_gathering(&self) -> bool {
        self.parts.is_some()
    }

    /// Forgets parts of a pack that is not whole.
    pub fn forget(&mut self) {
        self.parts = None;
        self.gathered = Vec::new();
    }

    fn open(&mut self, head: Head, body: &[u8]) -> Result<Whole<'_>, PackError> {
        let len = head.body_len as usize;
        self.raw.clear();
        if head.compressed {
            self.raw.reserve(len);
            let why = |code| PackError::Zstd { why: zstd_safe::get_error_name(code) };
            self.context.decompress(&mut self.raw, body).map_err(why)?;
        } else {
            self.raw.extend_from_slice(body);
        }
        if self.raw.len() != len {
            return Err(PackError::Numbers);
        }
        let body = Body::read(&self.raw);
        body.rows().check(head.count)?;
        Ok(Whole { head, body })
    }
}

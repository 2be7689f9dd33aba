//! The three ways a connection is compressed (contract §9), each with one context per connection.

mod streams;

use std::str::FromStr;

use flate2::Decompress;
use zstd_safe::DCtx;

use streams::{unzlib, unzstd, zstd_context};

/// A transport compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `zstd-stream` (G-36).
    Zstd,
    /// `zlib-stream` (G-35).
    Zlib,
    /// None.
    None,
}

impl Compression {
    /// The value of the `compress` parameter of the URL.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd-stream"),
            Self::Zlib => Some("zlib-stream"),
            Self::None => None,
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zstd-stream" => Ok(Self::Zstd),
            "zlib-stream" => Ok(Self::Zlib),
            "none" => Ok(Self::None),
            _ => Err("expected zstd-stream, zlib-stream or none".into()),
        }
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// A message passes the limit (G-38).
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are no such stream.
    #[error("not a valid {format} stream: {why}")]
    Corrupt {
        /// Which format.
        format: &'static str,
        /// What the decompressor says.
        why: String,
    },
}

/// Every flush of a zlib stream ends so (G-35).
const ZLIB_SUFFIX: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// A zlib message may look whole this often before it is.
const PIECES_MAX: usize = 64;
/// A buffer larger than this is not kept for the next message.
const KEEP: usize = 1 << 20;

/// Undoes the compression of one connection.
///
/// A zlib message has no length: it is taken to end where a websocket message ends with the suffix
/// of a flush. The same four bytes may stand within a message, and a server may flush in the middle
/// of one; so whoever reads messages says whether they are whole, and what was cut short is given
/// again with what follows it ([`Self::keep`]).
pub struct Inflater {
    context: Context,
    /// Pieces of one message that has not ended, or the last message.
    output: Vec<u8>,
    /// Where in the output its newest piece begins.
    newest: usize,
    pieces: usize,
    /// The newest piece has not ended.
    open: bool,
    /// The next piece belongs to the same message.
    kept: bool,
    /// The last compressed bytes: the suffix may come in several websocket messages, too.
    tail: [u8; ZLIB_SUFFIX.len()],
    limit: usize,
}

enum Context {
    Zstd(Box<DCtx<'static>>),
    Zlib(Box<Decompress>),
    None,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Inflater {
    /// For connections with `compression` whose messages are at most `limit` bytes long.
    pub fn new(compression: Compression, limit: usize) -> Self {
        let context = match compression {
            Compression::Zstd => Context::Zstd(Box::new(zstd_context())),
            Compression::Zlib => Context::Zlib(Box::new(Decompress::new(true))),
            Compression::None => Context::None,
        };
        Self {
            context,
            output: Vec::new(),
            newest: 0,
            pieces: 0,
            open: false,
            kept: false,
            tail: [0; 4],
            limit,
        }
    }

    /// Takes a buffer for what comes. Between two messages an inflater has none of its own.
    pub fn lend(&mut self, buffer: &mut Vec<u8>) {
        if self.is_between_messages() {
            std::mem::swap(&mut self.output, buffer);
        }
    }

    /// Gives the buffer back, unless it holds the beginning of a message.
    pub fn give_back(&mut self, buffer: &mut Vec<u8>) {
        if self.is_between_messages() {
            self.forget();
            let output = std::mem::take(&mut self.output);
            if buffer.capacity() == 0 {
                *buffer = output;
            }
        }
    }

    fn is_between_messages(&self) -> bool {
        !self.open && !self.kept
    }

    /// Forgets the stream; a new connection begins.
    pub fn reset(&mut self) {
        match &mut self.context {
            Context::Zstd(context) => **context = zstd_context(),
            Context::Zlib(context) => context.reset(true),
            Context::None => {}
        }
        self.tail = [0; 4];
        self.forget();
        self.output = Vec::new();
    }

    /// Takes one websocket message. Is there something to read ([`Self::newest`])?
    ///
    /// # Errors
    /// The stream is broken or the message too large: the connection cannot be read any further.
    pub fn push(&mut self, input: &[u8]) -> Result<bool, InflateError> {
        if input.len() > self.limit {
            return Err(InflateError::TooLarge { limit: self.limit });
        }
        if !self.open {
            if self.kept {
                self.newest = self.output.len();
            } else {
                self.forget();
            }
            self.pieces += 1;
            self.kept = false;
        }
        match &mut self.context {
            Context::None => Ok(true),
            Context::Zstd(context) => {
                unzstd(context, input, &mut self.output, self.limit)?;
                Ok(true)
            }
            Context::Zlib(context) => {
                unzlib(context, input, &mut self.output, self.limit)?;
                let [a, b, c, d] = self.tail;
                self.tail = match input {
                    [.., w, x, y, z] => [*w, *x, *y, *z],
                    [x, y, z] => [d, *x, *y, *z],
                    [y, z] => [c, d, *y, *z],
                    [z] => [b, c, d, *z],
                    [] => [a, b, c, d],
                };
                self.open = self.tail != ZLIB_SUFFIX;
                Ok(!self.open)
            }
        }
    }

    /// What has just become whole, by itself: almost always a message.
    pub fn newest<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self.context {
            Context::None => input,
            _ => self.output.get(self.newest..).unwrap_or_default(),
        }
    }

    /// The same with what was kept before it; `None` when nothing was.
    pub fn with_kept(&self) -> Option<&[u8]> {
        (self.newest > 0).then_some(&self.output[..])
    }

    /// The message is cut short: keeps it until more comes. False when that cannot help.
    pub fn keep(&mut self) -> bool {
        self.kept = matches!(self.context, Context::Zlib(_)) && self.pieces < PIECES_MAX;
        self.kept
    }

    /// Keeps only the newest piece until more comes: what was before it was no message.
    pub fn keep_newest(&mut self) {
        self.output.drain(..self.newest);
        self.newest = 0;
        self.pieces = 1;
        self.kept = true;
    }

    fn forget(&mut self) {
        self.output.clear();
        self.output.shrink_to(KEEP);
        self.newest = 0;
        self.pieces = 0;
        self.open = false;
        self.kept = false;
    }
}

#[cfg(test)]
mod tests;

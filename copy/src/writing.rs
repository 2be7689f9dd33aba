//! From a state into a stream.

use std::io::{self, Write};
use std::path::Path;

use mixcord_blocks::BlockWriter;
use mixcord_state::{Key, Poured, Sink, State};

use crate::WriteError;
use crate::frame::{ANEW, END, FORMAT, GONE, HEAD, VALUE, head, key, words};

/// So many values are written between two looks at the clock of whoever shows progress.
const TELL_EVERY: u64 = 1024;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Values so far, those that changed again among them.
    pub values: u64,
    /// Values to come in all, about: more where the cache goes on; 0 where nobody knows.
    pub expected: u64,
    /// Bytes written or read so far; packed where they are written.
    pub bytes: u64,
}

/// A copy that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Values, those that changed again among them.
    pub values: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The output ring whose positions count.
    pub ring: u64,
    /// Everything below this position of that ring is in the copy, and nothing from there on.
    pub position: u64,
}

/// Copies the state in `dir`, all of it as of one moment, into `sink`, while its cache goes on. `show` is told how far it
/// is.
///
/// # Errors
/// [`WriteError`]: what was written is of no use.
pub fn write<W: Write>(
    dir: &Path,
    sink: W,
    show: &mut dyn FnMut(Progress),
) -> Result<(W, Copied), WriteError> {
    let state = State::open(dir)?;
    let expected = state.values();
    let mut blocks = BlockWriter::new(sink, FORMAT)?;
    blocks.frame(HEAD, &[&head(expected)])?;
    let mut copy = Copy { blocks, values: 0, gone: 0, since: 0, expected, show };
    let Poured { batch, ring, position, .. } = state.pour(&mut copy)?;
    let Copy { mut blocks, values, gone, since, .. } = copy;
    blocks.frame(END, &[&words(&[since, gone, batch, ring, position])])?;
    blocks.flush()?;
    let bytes = blocks.written();
    Ok((blocks.into_sink(), Copied { values, bytes, ring, position }))
}

struct Copy<'s, W> {
    blocks: BlockWriter<W>,
    values: u64,
    /// Said since it last began anew.
    since: u64,
    gone: u64,
    expected: u64,
    show: &'s mut dyn FnMut(Progress),
}

impl<W: Write> Sink for Copy<'_, W> {
    fn put(&mut self, of: Key, value: &[u8]) -> io::Result<()> {
        self.values += 1;
        self.since += 1;
        if self.values.is_multiple_of(TELL_EVERY) {
            let (values, expected, bytes) = (self.values, self.expected, self.blocks.written());
            (self.show)(Progress { values, expected, bytes });
        }
        self.blocks.frame(VALUE, &[&key(of), value])
    }

    fn gone(&mut self, of: Key) -> io::Result<()> {
        self.gone += 1;
        self.blocks.frame(GONE, &[&key(of)])
    }

    fn anew(&mut self) -> io::Result<()> {
        (self.since, self.gone) = (0, 0);
        self.blocks.frame(ANEW, &[])
    }
}

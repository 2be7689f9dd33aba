//! From a stream into a store.

use std::io::Read;

use mixcord_blocks::{BlockError, BlockReader};
use mixcord_state::Writer;

use crate::frame::{
    ANEW, END, FORMAT, FRAME_MAX, GONE, HEAD, VALUE, check_head, numbers, split_key,
};
use crate::{LoadError, Progress};

/// Changes of one batch of the store at most: a small one takes fewer.
const BATCH: u64 = 1024;
/// And their bytes.
const BATCH_BYTES: u64 = 8 << 20;

/// A state that was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Values read, those that changed again among them.
    pub values: u64,
    /// The output ring of the donor.
    pub ring: u64,
    /// The position in it that the state belongs to.
    pub position: u64,
}

/// Puts a copy into the store that `begin` makes, which must be empty; it is asked for another where the copy begins
/// anew. `show` is told how far it is.
///
/// # Errors
/// [`LoadError`], or that of `begin`: whatever that made is to be thrown away.
pub fn load<E: From<LoadError>>(
    source: impl Read,
    mut begin: impl FnMut() -> Result<Writer, E>,
    show: &mut dyn FnMut(Progress),
) -> Result<(Writer, Loaded), E> {
    let mut reading = Reading::begin(source)?;
    let mut writer = begin()?;
    while let Some(word) = reading.next(&mut writer)? {
        match word {
            Word::Said => {}
            Word::Anew => {
                // The room of what is thrown away is there for what comes.
                drop(writer);
                writer = begin()?;
            }
        }
        let changes_max = BATCH.min(writer.changes_max());
        if writer.changes() >= changes_max || writer.changed_bytes() >= BATCH_BYTES {
            writer.commit((0, 0)).map_err(LoadError::from)?;
            show(reading.progress);
        }
    }
    let loaded = reading.end()?;
    writer.learn_shapes().map_err(LoadError::from)?;
    writer.commit((loaded.ring, loaded.position)).map_err(LoadError::from)?;
    // The store that was copied may be of an older version than this one.
    writer.join_channels().map_err(LoadError::from)?;
    Ok((writer, loaded))
}

enum Word {
    /// Of a key; it is done.
    Said,
    /// All is over.
    Anew,
}

struct Reading<R> {
    blocks: BlockReader<R>,
    content: Vec<u8>,
    progress: Progress,
    /// Values and deletions since it last began anew.
    since: [u64; 2],
}

impl<R: Read> Reading<R> {
    fn begin(source: R) -> Result<Self, LoadError> {
        let mut blocks = BlockReader::new(source, FORMAT)?;
        let mut content = Vec::new();
        if blocks.frame(&mut content, FRAME_MAX)? != Some(HEAD) {
            return Err(LoadError::Wrong("it does not begin with a head"));
        }
        let progress = Progress { expected: check_head(&content)?, ..Progress::default() };
        Ok(Self { blocks, content, progress, since: [0; 2] })
    }

    /// Does what the next frame says; `None` at the end, whose content is kept.
    fn next(&mut self, writer: &mut Writer) -> Result<Option<Word>, LoadError> {
        let kind = self.blocks.frame(&mut self.content, FRAME_MAX)?.ok_or(BlockError::Cut)?;
        self.progress.bytes += self.content.len() as u64;
        match kind {
            VALUE => {
                let (key, value) = split_key(&self.content)?;
                writer.put_stored(key, value)?;
                self.progress.values += 1;
                self.since[0] += 1;
            }
            GONE => {
                let (key, rest) = split_key(&self.content)?;
                if !rest.is_empty() {
                    return Err(LoadError::Wrong("a frame is too long"));
                }
                writer.delete(key)?;
                self.since[1] += 1;
            }
            ANEW => {
                self.since = [0; 2];
                return Ok(Some(Word::Anew));
            }
            END => return Ok(None),
            _ => return Err(LoadError::Wrong("a frame is of no known kind")),
        }
        Ok(Some(Word::Said))
    }

    /// Behind the last frame.
    fn end(mut self) -> Result<Loaded, LoadError> {
        let [values, gone, _, ring, position] = numbers(&self.content);
        if self.content.len() != 40 || [values, gone] != self.since {
            return Err(LoadError::Wrong("its end speaks of another number of values"));
        }
        if self.blocks.frame(&mut self.content, FRAME_MAX)?.is_some() {
            return Err(LoadError::Wrong("something follows its end"));
        }
        Ok(Loaded { values: self.progress.values, ring, position })
    }
}

//! A copy of a table in another file, and a writer that goes over into one: what a table has grown to, it
//! gives back no other way, since readers may look at any of it.

use std::fs;
use std::path::Path;

use mixcord_memory::{__kill as kill, Ordering};

use crate::commit::VALUES_PER_BUCKET;
use crate::copying::Copying;
use crate::error::{CommitError, CopyError};
use crate::file::{Draft, FileWriter};
use crate::layout::{AT_MOVED, BUCKET, CHUNK, UNIT};
use crate::reader::Reader;
use crate::sizes::CLASSES;
use crate::writer::{Limits, Note, Writer};

/// Buckets of one step of a copy that nobody waits for.
const STEP_BUCKETS: u64 = 4096;
/// Begins anew because the journal was overrun.
const STARTS: u32 = 20;
/// Steps of a copy before it is given up; each after the walk is a fraction of the one before.
const STEPS: u64 = 1 << 32;

/// A table on its way into another file.
#[derive(Debug)]
pub(crate) struct Moving {
    draft: Draft,
    source: Reader,
    copying: Copying,
}

impl Reader {
    /// Copies the whole table, as one batch left it, into a new file at `path`, while its writer goes on.
    /// Gives the batch, and what its writer noted with it.
    ///
    /// # Errors
    /// [`CopyError`]; nothing is left of the copy then.
    pub fn copy_to(&self, path: &Path, limits: Limits) -> Result<(u64, Note), CopyError> {
        for _ in 0..STARTS {
            let mut draft = FileWriter::draft(path, self.fixed.format, limits, Some(self.fixed))?;
            match self.copy_into(&mut draft) {
                Err(CopyError::Overrun) => {}
                Err(error) => return Err(error),
                Ok(copied) => {
                    place(&draft, path)?;
                    draft.keep();
                    return Ok(copied);
                }
            }
        }
        Err(CopyError::Overrun)
    }

    fn copy_into(&self, draft: &mut Draft) -> Result<(u64, Note), CopyError> {
        let mut copying = Copying::begin(self)?;
        for _ in 0..STEPS {
            if let Some(point) = copying.step(self, &mut draft.writer, STEP_BUCKETS)? {
                draft.writer.commit(point.note)?;
                return Ok((point.batch, point.note));
            }
        }
        Err(CopyError::Overrun)
    }
}

impl FileWriter {
    /// Copies up to `buckets` buckets of this table into a new file, to be called between batches; true
    /// once the new file is in the place of this one and this writer has gone over into it. It is as large
    /// as what it holds, has another id, and counts its own batches; the note is the same. Readers of the
    /// old file are told [`ReadError::Moved`](crate::ReadError::Moved).
    ///
    /// While a batch is open, and has changes, the last step waits.
    ///
    /// # Errors
    /// [`CopyError`]: this table is as it was, and the next call begins anew.
    pub fn shrink(&mut self, buckets: u64) -> Result<bool, CopyError> {
        let mut moving = match self.moving.take() {
            Some(moving) => moving,
            None => Box::new(self.begin_to_move()?),
        };
        let Moving { draft, source, copying } = &mut *moving;
        let point = copying.step(source, &mut draft.writer, buckets)?;
        if let Some(point) = &point {
            draft.writer.commit(point.note)?;
        }
        if point.is_none() || self.writer.changes() > 0 {
            self.moving = Some(moving);
            return Ok(false);
        }
        self.go_over(moving.draft)?;
        Ok(true)
    }

    /// Whether it is on its way.
    #[must_use]
    pub const fn is_shrinking(&self) -> bool {
        self.moving.is_some()
    }

    /// Bytes that the file has more than one made by [`FileWriter::shrink`] would have, about.
    #[must_use]
    pub fn spare_bytes(&self) -> u64 {
        let Writer { fixed, limits, heap, values, .. } = &self.writer;
        let buckets = (values / VALUES_PER_BUCKET * BUCKET).next_multiple_of(CHUNK);
        let whole = (fixed.first_chunk() + CLASSES.len() as u64) * CHUNK;
        let step = limits.step_bytes.next_multiple_of(CHUNK).max(CHUNK);
        let needed = (whole + buckets + heap.used_units() * UNIT).next_multiple_of(step);
        self.writer.space.allocated().saturating_sub(needed + limits.ahead_bytes())
    }

    fn begin_to_move(&self) -> Result<Moving, CopyError> {
        let (path, format) = (&self.path, self.writer.fixed.format);
        let source = self.reader().map_err(|error| {
            let source = std::io::Error::other(error);
            CommitError::NoSpace { bytes: 0, source }
        })?;
        let draft = Self::draft(path, format, self.writer.limits, Some(self.writer.fixed))?;
        let copying = Copying::begin(&source)?;
        Ok(Moving { draft, source, copying })
    }

    /// The new file holds the last batch of this one.
    fn go_over(&mut self, draft: Draft) -> Result<(), CopyError> {
        // Before the new file is in place, or a writer killed in between would leave readers behind that
        // never hear of it. Until it is, whoever opens the table again opens this one, and waits.
        let memory = self.writer.space.memory();
        memory.store(AT_MOVED, draft.writer.id(), Ordering::Release);
        if let Err(error) = place(&draft, &self.path) {
            self.writer.space.memory().store(AT_MOVED, 0, Ordering::Release);
            return Err(error.into());
        }
        kill::point();
        let path = std::mem::take(&mut self.path);
        *self = Self { path, ..draft.keep() };
        Ok(())
    }
}

fn place(draft: &Draft, path: &Path) -> Result<(), CommitError> {
    let renamed = fs::rename(&draft.path, path);
    renamed.map_err(|source| CommitError::NoSpace { bytes: 0, source })
}

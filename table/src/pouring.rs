//! A table poured into something else than a table, while its writer goes on.

use std::io;
use std::time::Duration;

use crate::copying::{Copying, Target};
use crate::error::{CopyError, ReadError};
use crate::key::{Key, TableId};
use crate::reader::Reader;
use crate::writer::Note;

/// Buckets between two looks at the journal: a sink that is slow must not make it overrun.
const STEP_BUCKETS: u64 = 256;
/// Keys that are remembered to have changed.
const CHANGED_MAX: usize = 1 << 16;
/// Begins anew because the journal was overrun.
const STARTS: u32 = 20;
/// Rounds behind the walk before it is given up: each is a fraction of the one before, unless the sink is slower
/// than the writer, or the writer was killed in the middle of a batch.
const ROUNDS: u32 = 2_000;
/// After these it sleeps between two of them: the writer may only wait for its turn.
const QUICK: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// A writer that does nothing in the middle of a batch for so long was stopped or killed in it.
const LIFE: Duration = Duration::from_millis(100);

/// Is given a table, value by value: of each key the last word is right.
pub trait Sink {
    /// A key has this value.
    ///
    /// # Errors
    /// It takes no more.
    fn put(&mut self, table: TableId, key: Key, value: &[u8]) -> io::Result<()>;

    /// A key has none.
    ///
    /// # Errors
    /// It takes no more.
    fn gone(&mut self, table: TableId, key: Key) -> io::Result<()>;

    /// Forget everything: it begins anew.
    ///
    /// # Errors
    /// It cannot.
    fn anew(&mut self) -> io::Result<()>;
}

/// Leaves out the order of keys, which whoever puts them makes anew.
struct Unlisted<'s>(&'s mut dyn Sink);

impl Target for Unlisted<'_> {
    fn put(&mut self, table: TableId, key: Key, value: &[u8]) -> Result<(), CopyError> {
        if table.is_list() {
            return Ok(());
        }
        self.0.put(table, key, value).map_err(CopyError::Sink)
    }

    fn delete(&mut self, table: TableId, key: Key) -> Result<(), CopyError> {
        if table.is_list() {
            return Ok(());
        }
        self.0.gone(table, key).map_err(CopyError::Sink)
    }
}

impl Reader {
    /// Gives `sink` the whole table, as one batch left it, while its writer goes on; in bounded memory. Gives the
    /// batch, and what its writer noted with it.
    ///
    /// Ends under constant writes, as long as the sink is faster than the writer.
    ///
    /// # Errors
    /// [`CopyError`]: what the sink was given is of no use then. [`CopyError::TooSlow`] comes after one copy, and not
    /// after many.
    pub fn pour(&self, sink: &mut dyn Sink) -> Result<(u64, Note), CopyError> {
        for start in 0..STARTS {
            if start > 0 {
                sink.anew().map_err(CopyError::Sink)?;
            }
            match self.try_pour(&mut Unlisted(sink)) {
                Err(CopyError::Overrun) => {}
                other => return other,
            }
        }
        Err(CopyError::Overrun)
    }

    fn try_pour(&self, target: &mut Unlisted<'_>) -> Result<(u64, Note), CopyError> {
        let mut copying = Copying::begin_bounded(self, CHANGED_MAX)?;
        let mut rounds = 0;
        while rounds < ROUNDS {
            if let Some(point) = copying.step(self, target, STEP_BUCKETS)? {
                return Ok((point.batch, point.note));
            }
            rounds += u32::from(copying.has_walked(self)?);
            if rounds > QUICK {
                std::thread::sleep(PAUSE);
            }
        }
        let before = self.batches();
        std::thread::sleep(LIFE);
        let after = self.batches();
        let stands_still = before == after && !after.is_settled();
        Err(if stands_still { ReadError::Unsettled.into() } else { CopyError::TooSlow })
    }
}

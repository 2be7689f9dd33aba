//! The whole state of one moment, given to whoever copies it elsewhere.

use std::io;

use mixcord_table::{CopyError, Key as TableKey, ReadError, TableId};

use crate::error::OpenError;
use crate::{Key, State, StoreError, Table};

/// How often a store that went over into another file is opened again.
const TRIES: u32 = 20;

/// Is given the state, value by value: of each key the last word is right.
pub trait Sink {
    /// A key has this value.
    ///
    /// # Errors
    /// It takes no more.
    fn put(&mut self, key: Key, value: &[u8]) -> io::Result<()>;

    /// A key has none.
    ///
    /// # Errors
    /// It takes no more.
    fn gone(&mut self, key: Key) -> io::Result<()>;

    /// Forget everything: it begins anew.
    ///
    /// # Errors
    /// It cannot.
    fn anew(&mut self) -> io::Result<()>;
}

/// Which moment was poured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Poured {
    /// The batch.
    pub batch: u64,
    /// The output ring whose positions count.
    pub ring: u64,
    /// Everything below this position of that ring is in it, and nothing from there on.
    pub position: u64,
}

/// The state could not be poured: what the sink was given is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PourError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It lies in another file by now, which cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The sink takes no more.
    #[error("writing the copy: {0}")]
    Sink(#[source] io::Error),
    /// The sink is slower than the cache.
    #[error("the state changes faster than the copy can be written: write it to something faster")]
    TooSlow,
}

impl State {
    /// Gives `sink` everything, as one batch of the cache left it, while the cache goes on at its own pace; in bounded
    /// memory.
    ///
    /// # Errors
    /// [`PourError`]: what the sink was given is of no use then.
    pub fn pour(&self, sink: &mut dyn Sink) -> Result<Poured, PourError> {
        let mut opened;
        let mut state = self;
        for _ in 0..TRIES {
            match state.source.reader.pour(&mut Tables(sink)) {
                Ok((batch, [ring, position])) => return Ok(Poured { batch, ring, position }),
                Err(CopyError::Sink(error)) => return Err(PourError::Sink(error)),
                Err(CopyError::Overrun | CopyError::TooSlow) => return Err(PourError::TooSlow),
                Err(CopyError::Read(ReadError::Moved)) => {
                    opened = Self::open(self.dir())?;
                    state = &opened;
                    sink.anew().map_err(PourError::Sink)?;
                }
                Err(CopyError::Read(error)) => return Err(StoreError::from(error).into()),
                // It writes nothing of its own.
                Err(error) => return Err(PourError::Sink(io::Error::other(error))),
            }
        }
        Err(PourError::TooSlow)
    }

    /// Values of all tables, about: what [`State::pour`] will give.
    #[must_use]
    pub fn values(&self) -> u64 {
        Table::ALL.iter().map(|table| self.source.reader.totals_of(table.id()).values).sum()
    }
}

/// Knows the tables by their names.
struct Tables<'s>(&'s mut dyn Sink);

impl Tables<'_> {
    fn key(table: TableId, key: TableKey) -> io::Result<Key> {
        let known = Table::ALL.get(usize::from(table.number())).filter(|known| known.id() == table);
        let known = known.and_then(|known| known.checked_key(key.owner, key.id));
        known.ok_or_else(|| io::Error::other(format!("{table:?} is none of this release's tables")))
    }
}

impl mixcord_table::Sink for Tables<'_> {
    fn put(&mut self, table: TableId, key: TableKey, value: &[u8]) -> io::Result<()> {
        self.0.put(Self::key(table, key)?, value)
    }

    fn gone(&mut self, table: TableId, key: TableKey) -> io::Result<()> {
        self.0.gone(Self::key(table, key)?)
    }

    fn anew(&mut self) -> io::Result<()> {
        self.0.anew()
    }
}

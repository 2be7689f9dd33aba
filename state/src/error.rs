//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Key, Table};

/// The environment could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store in the directory (yet).
    #[error("there is no store in {}; is mixcord-cache of this instance running?", dir.display())]
    NotFound {
        /// The directory.
        dir: PathBuf,
    },
    /// Others than this user could have written it.
    #[error(
        "the state directory {} is not a directory of this user with mode 0700: it is not read",
        dir.display()
    )]
    NotOurs {
        /// The directory.
        dir: PathBuf,
    },
    /// An older version wrote it, or the system was started anew since, so that pages may be missing.
    #[error(
        "the store in {} was written by an older version of mixcord-cache or before the system was \
         started: start mixcord-cache, which makes it anew",
        dir.display()
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
    },
    /// It holds what this release does not know.
    #[error(
        "the store in {} was written by {by}, which is newer than this program: update it (rebuild it with \
         the mixcord of that version)",
        dir.display()
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Which program wrote it.
        by: String,
    },
    /// The store is open in this process already.
    #[error("the store in {} is open in this process already", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("cannot open the store in {}: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// LMDB refused.
    #[error("cannot open the store in {}: {source}", dir.display())]
    Lmdb {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: heed::Error,
    },
}

impl OpenError {
    /// Whether what lies there is no store any more, which no other try will change.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use heed::MdbError::{Corrupted, Invalid, PageNotFound, VersionMismatch};
        let Self::Lmdb { source: heed::Error::Mdb(error), .. } = self else { return false };
        matches!(error, Invalid | Corrupted | PageNotFound | VersionMismatch)
    }

    pub(crate) fn new(dir: &Path, error: heed::Error) -> Self {
        let dir = dir.to_owned();
        match error {
            heed::Error::Io(source) if source.kind() == io::ErrorKind::NotFound => {
                Self::NotFound { dir }
            }
            heed::Error::Io(source) => Self::Io { dir, source },
            heed::Error::EnvAlreadyOpened => Self::Busy { dir },
            source => Self::Lmdb { dir, source },
        }
    }
}

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No free page is left in the space allocated to it.
    #[error("the store is full")]
    Full,
    /// No place is left for one more read transaction.
    #[error("too many queries are open at once: there is room for 1,024 on this machine")]
    Readers,
    /// An entry is not what this version writes.
    #[error("the store's table {} holds a damaged entry {key:?}; remove the state directory", .table.name())]
    Damaged {
        /// The table.
        table: Table,
        /// The entry's key.
        key: Key,
    },
    /// LMDB failed.
    #[error("the store failed: {0}")]
    Lmdb(heed::Error),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => Self::Full,
            heed::Error::Mdb(heed::MdbError::ReadersFull) => Self::Readers,
            other => Self::Lmdb(other),
        }
    }
}

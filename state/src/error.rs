//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use mixcord_table::{CommitError, CopyError, Damage, ReadError};

use crate::Key;

/// The store could not be opened.
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
        "the state directory {} is not a directory of this user with mode 0700, or a file in it is not \
         this user's with mode 0600: it is not read",
        dir.display()
    )]
    NotOurs {
        /// The directory.
        dir: PathBuf,
    },
    /// An older version wrote it, or it is of before the system was started.
    #[error(
        "the store in {} was written by an older version of mixcord-cache or before the system was \
         started: start mixcord-cache, which takes it over or makes it anew",
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
    /// Its bytes cannot be.
    #[error("the store in {} is damaged ({source}): restart mixcord-cache, which makes it anew", dir.display())]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// What cannot be.
        source: Damage,
    },
    /// Another process writes it.
    #[error("another mixcord-cache uses the state directory {}", dir.display())]
    Locked {
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
}

impl OpenError {
    /// Whether what lies there is no store any more, which no other try will change.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Foreign { .. } | Self::NotFound { .. })
    }

    pub(crate) fn of_store(dir: &Path, error: StoreError) -> Self {
        let dir = dir.to_owned();
        match error {
            StoreError::Table(source) => Self::Damaged { dir, source },
            StoreError::Damaged { key } => Self::Damaged {
                dir,
                source: Damage { what: "an entry of the store", at: key.id() },
            },
            other => Self::Io { dir, source: io::Error::other(other) },
        }
    }

    pub(crate) fn of_table(dir: &Path, error: mixcord_table::OpenError) -> Self {
        use mixcord_table::OpenError as Table;
        let dir = dir.to_owned();
        match error {
            Table::Foreign | Table::OtherFormat { .. } => Self::Foreign { dir },
            Table::Damaged(source) => Self::Damaged { dir, source },
            Table::Locked => Self::Locked { dir },
            Table::NotOurs => Self::NotOurs { dir },
            Table::Io(source) if source.kind() == io::ErrorKind::NotFound => Self::NotFound { dir },
            Table::Io(source) => Self::Io { dir, source },
            other => Self::Io { dir, source: io::Error::other(other) },
        }
    }
}

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It takes all it may take.
    #[error("the store is full: it takes its {bytes_max} bytes")]
    Full {
        /// The most it may take, bytes.
        bytes_max: u64,
    },
    /// The system has no room for it to grow.
    #[error(
        "the store needs {bytes} more bytes: {source}: free memory, or give --state a directory elsewhere"
    )]
    NoSpace {
        /// Bytes it was to grow by.
        bytes: u64,
        /// Why not.
        source: io::Error,
    },
    /// More changes at once than the store takes.
    #[error(
        "{changes} changes or more at once, and the store takes {changes_max}: raise --state-max"
    )]
    TooMany {
        /// Changes, as far as they were looked at.
        changes: u64,
        /// The most there may be.
        changes_max: u64,
    },
    /// An entry is not what this version writes.
    #[error("the store holds a damaged entry: {key:?}")]
    Damaged {
        /// Its key.
        key: Key,
    },
    /// An entry is in a form that this version does not know.
    #[error(
        "the store holds an entry in a form ({form:#04x}) that this program does not know: {key:?}. A newer \
         mixcord-cache wrote it: update this program (rebuild it with the mixcord of that version)"
    )]
    UnknownForm {
        /// Its key.
        key: Key,
        /// Its first byte.
        form: u8,
    },
    /// The table's bytes cannot be.
    #[error(transparent)]
    Table(#[from] Damage),
    /// A value changed at each of many looks, or its writer died while it changed it.
    #[error(
        "the store changes all the time, or its writer was killed: ask again once mixcord-cache is back"
    )]
    Unsettled,
    /// It was given a smaller file.
    #[error("the store lies in another file by now: open it again")]
    Moved,
    /// What is asked for is more than is given at once.
    #[error("what is asked for takes more than {bytes_max} bytes: read it page by page")]
    TooLarge {
        /// The most it may take, bytes.
        bytes_max: u64,
    },
    /// A value too long for the store.
    #[error("a value of {bytes} bytes is too long for the store")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
}

impl StoreError {
    /// Whether the store's bytes cannot be, so that its writer is to make it anew. To the writer an unknown form is
    /// damage too: a release that adds one gives the store another version, which this one does not open.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::UnknownForm { .. } | Self::Table(_))
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damage) => Self::Table(damage),
            ReadError::TooLarge { bytes_max } => Self::TooLarge { bytes_max },
            ReadError::Moved => Self::Moved,
            _ => Self::Unsettled,
        }
    }
}

impl From<CopyError> for StoreError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) => error.into(),
            CopyError::Write(error) => error.into(),
            CopyError::Sink(source) => Self::NoSpace { bytes: 0, source },
            // It changes faster than it can be copied.
            _ => Self::Unsettled,
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full { bytes_max } => Self::Full { bytes_max },
            CommitError::NoSpace { bytes, source } => Self::NoSpace { bytes, source },
            CommitError::TooMany { changes, changes_max } => Self::TooMany { changes, changes_max },
            CommitError::TooLong { bytes } => Self::TooLong { bytes },
            CommitError::Damaged(damage) => Self::Table(damage),
            other => Self::NoSpace { bytes: 0, source: io::Error::other(other) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_not_said_to_change_all_the_time() {
        let error = StoreError::from(ReadError::TooLarge { bytes_max: 5 });
        assert!(matches!(error, StoreError::TooLarge { bytes_max: 5 }), "{error}");
    }
}

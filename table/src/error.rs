//! What can go wrong.

use std::io;

/// Bytes of a table that cannot be: it is to be made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the table is damaged: {what} at byte {at}")]
pub struct Damage {
    /// What cannot be.
    pub what: &'static str,
    /// Where in the file, bytes.
    pub at: u64,
}

/// A value could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The table's bytes cannot be.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// It changed at each of many looks, or its writer died while it changed it.
    #[error(
        "the value changes all the time, or its writer was killed at it: try again once the writer is back"
    )]
    Unsettled,
    /// Its writer went over into another file in the same place.
    #[error("the table lies in another file by now: open it again")]
    Moved,
    /// What is wanted of one moment is more than it may be.
    #[error("more than {bytes_max} bytes: ask for less at once")]
    TooLarge {
        /// The most it may be, bytes.
        bytes_max: u64,
    },
}

/// A change cannot be made, or the open batch not be committed: it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The table is as large as it may get.
    #[error("the table is full: it takes its {bytes_max} bytes")]
    Full {
        /// The most it may take, bytes.
        bytes_max: u64,
    },
    /// There is no room for the table to grow.
    #[error("no room for {bytes} more bytes of the table: {source}")]
    NoSpace {
        /// Bytes to allocate.
        bytes: u64,
        /// Why.
        source: io::Error,
    },
    /// More changes than the redo ring holds.
    #[error(
        "the open batch has {changes} changes or more, and only {changes_max} are sure to fit: commit it first"
    )]
    TooMany {
        /// Changes of the batch, with this one.
        changes: u64,
        /// [`Writer::changes_max`](crate::Writer::changes_max).
        changes_max: u64,
    },
    /// A value is too long.
    #[error("a value of {bytes} bytes: {bytes_max} is the most", bytes_max = crate::VALUE_MAX)]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// The table's bytes cannot be.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// A table cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The bytes are no table, or of another layout.
    #[error("no table of layout {version}", version = crate::LAYOUT_VERSION)]
    Foreign,
    /// It was written in another format of its user's.
    #[error("the table holds format {found:#x}, not {expected:#x}")]
    OtherFormat {
        /// Its format.
        found: u64,
        /// The one asked for.
        expected: u64,
    },
    /// Its bytes cannot be.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Another process writes it.
    #[error("another process writes the table")]
    Locked,
    /// The file belongs to another user, or others may open it.
    #[error("the table's file must be a regular file of this user with mode 0600")]
    NotOurs,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A table could not be copied; nothing of a copy is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The copy could not be written.
    #[error(transparent)]
    Write(#[from] CommitError),
    /// What it was poured into takes no more.
    #[error("writing the copy: {0}")]
    Sink(#[source] io::Error),
    /// More changed, again and again, than the journal holds, before one round was done.
    #[error("the table changes faster than it can be copied")]
    Overrun,
    /// All was copied once, and then always a little of it changed again.
    #[error("the table changes as fast as what changes can be copied")]
    TooSlow,
}

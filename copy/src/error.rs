//! Why there is no copy, or no state from one.

use std::io;

use mixcord_blocks::BlockError;
use mixcord_state::{OpenError, PourError, StoreError};

/// The state could not be copied: what was written is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no state, or none that this release reads.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It could not be poured.
    #[error(transparent)]
    Pour(#[from] PourError),
    /// The sink takes no more.
    #[error("writing the copy: {0}")]
    Io(#[from] io::Error),
}

/// A copy could not be loaded: the store has nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is none, damaged, or cut off.
    #[error("this is no whole copy of a state: {0}")]
    Bytes(#[from] BlockError),
    /// It says what cannot be.
    #[error("this is no whole copy of a state: {0}")]
    Wrong(&'static str),
    /// Another release wrote it.
    #[error(
        "the copy was written by {by}, with {what} {found}, and this build reads {known}: copy and load with the same \
         release"
    )]
    Other {
        /// Which program wrote it.
        by: String,
        /// What differs.
        what: &'static str,
        /// As it is in the copy.
        found: u64,
        /// And here.
        known: u64,
    },
    /// It is larger than the store may become.
    #[error("the copied state takes more than {bytes_max} bytes: raise --state-max")]
    TooLarge {
        /// The most the store may take, bytes.
        bytes_max: u64,
    },
    /// The store does not take it.
    #[error("the copied state cannot be kept: {0}")]
    Store(#[source] StoreError),
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full { bytes_max } => Self::TooLarge { bytes_max },
            error => Self::Store(error),
        }
    }
}

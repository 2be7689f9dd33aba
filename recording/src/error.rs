use std::io;

use mixcord_blocks::BlockError;
use mixcord_ring::{
    AttachError, BellError, CreateError, JoinError, RemoveError, StageError, TakeError,
};

/// Why a file cannot be read on. What was read before is as it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is none.
    #[error("this is no recording: it does not begin as one")]
    NotOne,
    /// A later release wrote it.
    #[error("the recording has format {found}, this build reads {known}: update this one")]
    Version {
        /// Its format.
        found: u32,
        /// The one that is read here.
        known: u32,
    },
    /// Bytes are not what was written.
    #[error("the recording is damaged in block {block}: {what}; what was before is whole")]
    Damaged {
        /// Counted from 0.
        block: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends too early: whoever recorded it was killed, or the copy is not whole.
    #[error("the recording was cut off: what was before is whole")]
    Cut,
    /// The system.
    #[error("reading the recording: {0}")]
    Io(#[from] io::Error),
}

impl From<BlockError> for ReadError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::NotOne => Self::NotOne,
            BlockError::Version { found, known } => Self::Version { found, known },
            BlockError::Damaged { block, what } => Self::Damaged { block, what },
            BlockError::Io(error) => Self::Io(error),
            // Whatever else there may be one day, what comes is missing.
            _ => Self::Cut,
        }
    }
}

/// Why recording ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be written.
    #[error("writing the recording: {0}")]
    Io(#[from] io::Error),
    /// /dev/shm cannot be listed.
    #[error("looking for rings: {0}")]
    Look(#[source] io::Error),
    /// There is no doorbell.
    #[error(transparent)]
    Bell(#[from] BellError),
    /// A ring cannot be attached.
    #[error("ring {ring}: {source}")]
    Attach {
        /// The ring.
        ring: String,
        /// What the rings say.
        source: AttachError,
    },
    /// All places of observers are taken.
    #[error("ring {ring} cannot be looked at: {source}")]
    Observe {
        /// The ring.
        ring: String,
        /// What the rings say.
        source: JoinError,
    },
    /// A record is damaged.
    #[error("ring {ring}: {source}")]
    Take {
        /// The ring.
        ring: String,
        /// What the rings say.
        source: TakeError,
    },
}

/// Why replaying ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no doorbell.
    #[error(transparent)]
    Bell(#[from] BellError),
    /// The instance has such a ring already.
    #[error(
        "the instance has ring {ring} already: replay into an instance of its own (--instance), or remove this one first \
         (mixcord rm)"
    )]
    Exists {
        /// The ring.
        ring: String,
    },
    /// The rings of the recording together are larger than a replay makes them.
    #[error(
        "ring {ring}: the rings of the recording take {bytes} bytes of /dev/shm up to this one, the most is {most}: \
         the file is not what mixcord record wrote, or its gateway had larger rings than are replayed"
    )]
    TooLarge {
        /// The ring.
        ring: String,
        /// What all take up to this one.
        bytes: u64,
        /// The most.
        most: u64,
    },
    /// A ring cannot be made.
    #[error("ring {ring}: {source}")]
    Create {
        /// The ring.
        ring: String,
        /// What the rings say.
        source: CreateError,
    },
    /// A ring cannot be taken away, whose place another took while it was recorded.
    #[error("ring {ring} cannot be replaced, as it was in the recording: {source}")]
    Replace {
        /// The ring.
        ring: String,
        /// What the rings say.
        source: RemoveError,
    },
    /// A record cannot be written.
    #[error("ring {ring}, record {position}: {source}")]
    Stage {
        /// The ring.
        ring: String,
        /// The record's position when it was recorded.
        position: u64,
        /// What the rings say.
        source: StageError,
    },
}

//! Why the cache stops.

use std::io::ErrorKind;

use mixcord_ring::{AttachError, BellError, CreateError, HeaderError, NameError, StageError};
use mixcord_state::StoreError;

use crate::store::DiskError;

/// Why the cache stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The instance cannot be called so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No doorbell.
    #[error("cannot wait for the rings: {0}")]
    Bell(#[from] BellError),
    /// The output ring cannot be made or had.
    #[error("cannot have the output ring: {0}")]
    Output(#[source] CreateError),
    /// Another cache of this instance runs.
    #[error("another mixcord-cache of this instance is running")]
    Running,
    /// The store cannot be had.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not even a gap could be written into the output ring.
    #[error("cannot write into the output ring: {0}")]
    Stage(StageError),
    /// The rings cannot be listed.
    #[error("cannot list the rings: {0}")]
    List(std::io::Error),
}

impl EngineError {
    /// Whether starting again without changing anything is of no use.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Name(_) | Self::Running | Self::Bell(BellError::NoSpace(_)) => true,
            Self::Output(error) => match error {
                CreateError::NoSpace { .. } | CreateError::Geometry(_) | CreateError::Name(_) => {
                    true
                }
                // Of another layout or another user. A ring that is damaged is tried again, for the gateway
                // beside us goes on meanwhile.
                CreateError::Attach(error) => matches!(
                    error,
                    AttachError::Header { why: HeaderError::Version { .. }, .. }
                        | AttachError::NotAFile { .. }
                        | AttachError::NotOurs { .. }
                        | AttachError::TooOpen { .. }
                ),
                _ => false,
            },
            Self::Disk(error) => match error {
                DiskError::Locked { .. }
                | DiskError::NotOurs { .. }
                | DiskError::Newer { .. }
                | DiskError::Copy { .. }
                | DiskError::Store(StoreError::NoSpace { .. }) => true,
                DiskError::Io { source, .. } => matches!(
                    source.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::NotADirectory
                        | ErrorKind::AlreadyExists
                        | ErrorKind::PermissionDenied
                        | ErrorKind::ReadOnlyFilesystem
                ),
                DiskError::Open(_) | DiskError::Store(_) => false,
            },
            _ => false,
        }
    }

    pub(super) fn output(error: CreateError) -> Self {
        match error {
            CreateError::Attach(AttachError::Locked { .. }) => Self::Running,
            other => Self::Output(other),
        }
    }
}

use std::fmt;

use mixcord_ring as ring;
use mixcord_state::{OpenError, StoreError};

/// Why the state cannot be asked. Each says what, where and what to do about it.
///
/// Its `Debug` is its message, so that a `main` that returns it tells its user something useful.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no state yet: the cache has never run. It may be asked again.
    #[error(
        "instance \"{instance}\" has no state yet: start mixcord-cache with --instance {instance} \
         (`mixcord ls` shows which instances there are)"
    )]
    NotYet {
        /// The instance.
        instance: String,
    },
    /// The cache keeps no state.
    #[error(
        "instance \"{instance}\" keeps no state: its mixcord-cache was started with --store none"
    )]
    Off {
        /// The instance.
        instance: String,
    },
    /// The output ring is there, but cannot be used.
    #[error("the output ring of instance \"{instance}\" cannot be used: {source}")]
    Ring {
        /// The instance.
        instance: String,
        /// What the rings say.
        source: ring::AttachError,
    },
    /// The store is there, but cannot be opened.
    #[error("the state of instance \"{instance}\" cannot be read: {source}")]
    Open {
        /// The instance.
        instance: String,
        /// What the store says.
        source: OpenError,
    },
    /// Only a cache's store can answer this.
    #[cfg(feature = "testing")]
    #[error("a state that a test made has no store: neither statistics nor a directory")]
    Made,
    /// The store cannot answer.
    #[error("the state of instance \"{instance}\" cannot be read: {source}")]
    Store {
        /// The instance.
        instance: String,
        /// What the store says.
        source: StoreError,
    },
}

impl Error {
    /// Is there no state yet, so that it may be asked again in a while?
    #[must_use]
    pub const fn is_not_yet(&self) -> bool {
        matches!(self, Self::NotYet { .. })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

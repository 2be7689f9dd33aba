use std::io;
use std::path::PathBuf;

use mixcord_ring::{AttachError, GroupError, RemoveError};

use crate::Error as ConsumerError;

/// Why an operation on an instance failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The instance name cannot be one.
    #[error(transparent)]
    Instance(#[from] ConsumerError),
    /// The instance has no output ring.
    #[error(
        "instance \"{instance}\" has no output ring yet: start mixcord-cache with --instance {instance}"
    )]
    NoOutput {
        /// The instance.
        instance: String,
    },
    /// A ring cannot be used.
    #[error("ring \"{ring}\" of instance \"{instance}\" cannot be used: {source}")]
    Attach {
        /// The instance.
        instance: String,
        /// The ring.
        ring: String,
        /// What the rings say.
        source: AttachError,
    },
    /// A group cannot be created or removed; the source names it.
    #[error("instance \"{instance}\": {source}")]
    Group {
        /// The instance.
        instance: String,
        /// The group.
        group: String,
        /// What the rings say.
        source: GroupError,
    },
    /// The group's events are taken in batches.
    #[error(
        "instance \"{instance}\": the members of group \"{group}\" take events in batches, of which none can be left \
         out alone: move it with `mixcord groups reset {group} --to POSITION`"
    )]
    Batches {
        /// The instance.
        instance: String,
        /// The group.
        group: String,
    },
    /// Somebody uses the instance, or it cannot be removed.
    #[error("instance \"{instance}\" is not removed: {source}")]
    Remove {
        /// The instance.
        instance: String,
        /// What the rings say.
        source: RemoveError,
    },
    /// Somebody uses the ring, or it cannot be removed.
    #[error(
        "ring \"{ring}\" of instance \"{instance}\" is not removed: {}",
        not_removed(source, instance)
    )]
    RemoveRing {
        /// The instance.
        instance: String,
        /// The ring.
        ring: String,
        /// What the rings say.
        source: RemoveError,
    },
    /// The instance has no such ring.
    #[error(
        "instance \"{instance}\" has no ring \"{ring}\"; {}",
        if rings.is_empty() { "it has none".to_owned() } else { format!("it has {}", rings.join(", ")) }
    )]
    NoRing {
        /// The instance.
        instance: String,
        /// What was asked for.
        ring: String,
        /// Those there are.
        rings: Vec<String>,
    },
    /// The system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Which processes to stop, where some use the ring.
fn not_removed(source: &RemoveError, instance: &str) -> String {
    match source {
        RemoveError::InUse { .. } => format!(
            "it is in use: stop the process that writes it and those that read it first (`mixcord ls --instance \
             {instance}` shows them)"
        ),
        other => other.to_string(),
    }
}

impl Error {
    /// Is it because members of the group live?
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::Group { source: GroupError::InUse { .. }, .. })
    }

    /// Is it about what was asked for, so that trying again the same way is no use?
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Instance(_) => true,
            Self::Group { source, .. } => matches!(source, GroupError::Name { .. }),
            Self::RemoveRing { source, .. } => matches!(source, RemoveError::Name(_)),
            _ => false,
        }
    }
}

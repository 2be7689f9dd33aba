use std::fmt;
use std::time::Duration;

use mixcord_event::record::RecordError;
use mixcord_ring as ring;

/// Why a consumer cannot start or go on. Each says what, where and what to do about it.
///
/// Its `Debug` is its message, so that a `main` that returns it tells its user something useful.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The instance name cannot be one.
    #[error(
        "\"{instance}\" is not an instance name: use 1 to 32 of a-z, 0-9, - and _, with a letter or digit first"
    )]
    Instance {
        /// The name that was asked for.
        instance: String,
    },
    /// Neither a group nor an observer was asked for.
    #[error(
        "no group: name one with `.group(\"my-bot\")` (its members share the work), or call `.observer()` to look on"
    )]
    NoGroup,
    /// Options that exclude each other.
    #[error("{0}")]
    Options(&'static str),
    /// The output ring did not appear in time.
    #[error(
        "instance \"{instance}\" has no output ring after {waited:?}: start mixcord-cache with --instance {instance} \
         (`mixcord ls` shows which instances there are)"
    )]
    Timeout {
        /// The instance that was waited for.
        instance: String,
        /// How long.
        waited: Duration,
    },
    /// Neither `out` nor a stage's name.
    #[error(
        "\"{source_name}\" is no source: use \"out\", what the cache publishes, or the name of a stage, 1 to 32 of \
         a-z, 0-9, - and _, with a letter or digit first"
    )]
    Source {
        /// What was asked for.
        source_name: String,
    },
    /// The stage whose events are asked for did not appear in time.
    #[error(
        "instance \"{instance}\" has no stage \"{stage}\" after {waited:?}: start it, or read \"out\" \
         (`mixcord ls` shows which there are)"
    )]
    NoStage {
        /// The instance.
        instance: String,
        /// The stage that was waited for.
        stage: String,
        /// How long.
        waited: Duration,
    },
    /// The name of a stage cannot be one, or is that of its source.
    #[error(
        "\"{stage}\" is no name for this stage: use 1 to 32 of a-z, 0-9, - and _, with a letter or digit first, not \
         \"out\", and not the name of its source"
    )]
    StageName {
        /// The name.
        stage: String,
    },
    /// Stages would read each other, and events would go round for ever.
    #[error(
        "stage \"{stage}\" cannot read stage \"{reads}\": that one reads it, by itself or through others: give one of them \
         another source"
    )]
    StageCircle {
        /// The stage.
        stage: String,
        /// The one that it was to read.
        reads: String,
    },
    /// Another process is this stage.
    #[error("stage \"{stage}\" of instance \"{instance}\" runs already: a stage is one process")]
    StageRuns {
        /// The instance.
        instance: String,
        /// The stage.
        stage: String,
    },
    /// The ring of a stage cannot be made or used.
    #[error("the ring of stage \"{stage}\": {source}")]
    StageRing {
        /// The stage.
        stage: String,
        /// What the rings say.
        source: Box<ring::CreateError>,
    },
    /// The function of a stage failed, and the stage was to stop then.
    #[error(
        "stage \"{stage}\" stops: its function failed with {kind} at position {position} of its source: {reason}; \
         started again, it begins there"
    )]
    Stage {
        /// The stage.
        stage: String,
        /// Discord's name for the event.
        kind: String,
        /// Where it stands in the stage's source.
        position: u64,
        /// What the function said.
        reason: String,
    },
    /// This process gets no doorbell to be woken with.
    #[error("no doorbell in instance \"{instance}\": {source}")]
    Bell {
        /// The instance.
        instance: String,
        /// What the rings say.
        source: ring::BellError,
    },
    /// The output ring is there, but cannot be used.
    #[error("the output ring of instance \"{instance}\" cannot be used: {source}{}", advice(.instance, .source))]
    Attach {
        /// The instance.
        instance: String,
        /// What the rings say.
        source: ring::AttachError,
    },
    /// The group cannot be joined.
    #[error("group \"{group}\" of instance \"{instance}\" cannot be joined: {source}")]
    Join {
        /// The instance.
        instance: String,
        /// The group.
        group: String,
        /// What the rings say.
        source: ring::JoinError,
    },
    /// Records cannot be taken any more.
    #[error("group \"{group}\" of instance \"{instance}\" cannot go on: {source}")]
    Take {
        /// The instance.
        instance: String,
        /// The group.
        group: String,
        /// What the rings say.
        source: ring::TakeError,
    },
    /// A record of the output ring is damaged. It stays unacknowledged.
    #[error(
        "record {position} in the output ring of instance \"{instance}\" is damaged ({source}): stop all of the \
         instance, then `mixcord rm --instance {instance}`; the sessions are lost with it"
    )]
    Record {
        /// The instance.
        instance: String,
        /// Its position in the output ring.
        position: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A record of the output ring is whole, but written by a newer release than this program was built
    /// with. It stays unacknowledged, and waits for the program that can read it.
    #[error(
        "record {position} in the output ring of instance \"{instance}\" is from {writer}, which is newer than \
         this program ({source}): rebuild this program with mixcord {} or newer; it has {}",
        version_of(.writer),
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The instance.
        instance: String,
        /// Its position in the output ring.
        position: u64,
        /// Which program writes the ring.
        writer: String,
        /// What cannot be read.
        source: RecordError,
    },
    /// The state cannot be asked.
    #[error(transparent)]
    State(#[from] crate::state::Error),
    /// The system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a person of Mixcord's does about a ring that is damaged, or of another layout.
fn advice(instance: &str, source: &ring::AttachError) -> String {
    match source {
        ring::AttachError::Header { why: ring::HeaderError::Version { .. }, .. } => {
            " (UPGRADING.md says how; `mixcord tail --group … --from earliest` reads it to the end)"
                .to_owned()
        }
        ring::AttachError::Header { .. } | ring::AttachError::Tail { .. } => {
            format!(
                " (`mixcord rm --instance {instance}` removes all of the instance, its sessions too)"
            )
        }
        _ => String::new(),
    }
}

/// The version in `mixcord-cache 1.2.3`.
fn version_of(writer: &str) -> &str {
    writer.split_once(' ').map_or("of its version", |(_, version)| version)
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Is it about what was asked for, so that trying again the same way is no use?
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Instance { .. }
            | Self::NoGroup
            | Self::Options(_)
            | Self::Source { .. }
            | Self::StageName { .. }
            | Self::StageCircle { .. }
            | Self::Newer { .. } => true,
            Self::StageRing { source, .. } => {
                matches!(
                    **source,
                    ring::CreateError::Geometry(_) | ring::CreateError::NoSpace { .. }
                )
            }
            // Rings of another layout stay so until somebody drains them.
            Self::Attach { source, .. } => matches!(
                source,
                ring::AttachError::Header { why: ring::HeaderError::Version { .. }, .. }
                    | ring::AttachError::NotOurs { .. }
            ),
            Self::Join { source, .. } => {
                matches!(
                    source,
                    ring::JoinError::Group(
                        ring::GroupError::Name { .. } | ring::GroupError::Mode { .. }
                    )
                )
            }
            _ => false,
        }
    }
}

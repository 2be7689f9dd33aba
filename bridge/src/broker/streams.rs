//! Streams: made, checked, and never changed behind anybody's back.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{GetStreamErrorKind, PublishError};
use async_nats::jetstream::stream::{
    self, Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType,
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use mixcord_bridge::names::{self, Lane};

use super::Broker;
use crate::failure::Failure;

/// A stream.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) stream: stream::Stream,
    pub(crate) name: String,
    /// When it was made, in seconds since 1970: one of the same name made later has other messages.
    pub(crate) created: i64,
    /// The subjects of its lanes, without the lane.
    pub(crate) prefix: String,
}

/// Why the broker did not do it. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// It did not answer, or not with what was asked for.
    #[error("the broker does not answer: {0}")]
    Broker(String),
    /// There is no such stream.
    #[error("the stream is gone")]
    Gone,
    /// Another sender may write it.
    #[error(
        "the stream's lease is not renewed, or that of its sender before has yet to lapse, within 12 s"
    )]
    Unclaimed,
    /// A later release wrote into it.
    #[error("{0}")]
    Later(String),
    /// It is there, and of no use.
    #[error("{0}")]
    Unfit(String),
}

impl Problem {
    pub(crate) fn broker(error: impl std::error::Error) -> Self {
        Self::Broker(error.to_string())
    }

    /// A message was refused, or nobody knows.
    pub(crate) fn refused(error: &PublishError) -> Self {
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        Self::Broker(if source.contains("maximum bytes") {
            "the stream is full: a receiver does not go on, or --stream-bytes is too little for what they lag; \
             `mixcord-bridge status` says which"
                .to_owned()
        } else if source.is_empty() {
            error.to_string()
        } else {
            format!("{error}: {source}")
        })
    }
}

/// Whether it is the same one, not one that was made anew.
impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.created) == (&other.name, other.created)
    }
}

impl Log {
    fn new(stream: stream::Stream) -> Option<Self> {
        let info = stream.cached_info();
        let prefix = info.config.subjects.first()?.strip_suffix('*')?.to_owned();
        let created = info.created.unix_timestamp();
        Some(Self { name: info.config.name.clone(), created, prefix, stream })
    }

    /// The subject of a lane.
    pub(crate) fn subject(&self, lane: Lane) -> String {
        format!("{}{lane}", self.prefix)
    }

    /// How it stands now.
    pub(crate) async fn info(&self) -> Result<stream::Info, Problem> {
        let info = self.stream.get_info().await.map_err(|error| {
            if is_not_found(&error) { Problem::Gone } else { Problem::broker(error) }
        })?;
        if info.created.unix_timestamp() == self.created { Ok(info) } else { Err(Problem::Gone) }
    }

    /// A message, asked of the leader: followers may be behind.
    pub(crate) async fn message(&self, sequence: u64) -> Result<Option<Bytes>, Problem> {
        match self.stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Problem::broker(error)),
        }
    }

    /// The last message of a lane, asked of the leader.
    pub(crate) async fn last(&self, lane: Lane) -> Result<Option<(u64, Bytes)>, Problem> {
        match self.stream.get_last_raw_message_by_subject(&self.subject(lane)).await {
            Ok(message) => Ok(Some((message.sequence, message.payload))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Problem::broker(error)),
        }
    }

    /// The lanes that have messages.
    pub(crate) async fn lanes(&self) -> Result<Vec<Lane>, Problem> {
        let filter = format!("{}*", self.prefix);
        let subjects = self.stream.info_with_subjects(filter).await.map_err(Problem::broker)?;
        let subjects: Vec<(String, usize)> =
            subjects.try_collect().await.map_err(Problem::broker)?;
        Ok(subjects.iter().filter_map(|(subject, _)| names::lane_of(subject)).collect())
    }

    /// Removes every message with a lower sequence number.
    pub(crate) async fn trim(&self, below: u64) -> Result<(), Problem> {
        self.stream.purge().sequence(below).await.map(drop).map_err(Problem::broker)
    }
}

/// Whether the server says that there is no such stream.
fn is_not_found(error: &(dyn std::error::Error + 'static)) -> bool {
    let cause =
        error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    cause.is_some_and(|cause| cause.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// How a sender wants its streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) bytes: u64,
    pub(crate) replicas: u8,
}

/// The stream of a block of lanes, by the first of them; made unless it is there.
pub(crate) async fn create(
    broker: &Broker,
    (instance, name, first): (&str, &str, Lane),
    wanted: Wanted,
) -> Result<Log, Problem> {
    let config = Config {
        name: names::stream(instance, name, first),
        subjects: vec![format!("{}*", names::subject_prefix(instance, name, first))],
        description: Some(format!("shard rings of Mixcord instance {instance}")),
        retention: RetentionPolicy::Limits,
        // Full is told to the sender, which waits; nothing is lost to make room.
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(wanted.bytes).unwrap_or(i64::MAX),
        storage: StorageType::File,
        num_replicas: wanted.replicas.into(),
        ..Config::default()
    };
    if let Some(found) = find(broker, &config.name).await? {
        check(&config, &found.stream.cached_info().config)?;
        return Ok(found);
    }
    let made = broker.jetstream.create_stream(&config).await.map_err(Problem::broker)?;
    tracing::info!(stream = config.name, "made");
    Log::new(made).ok_or(Problem::Gone)
}

/// A stream that is there.
pub(crate) async fn find(broker: &Broker, name: &str) -> Result<Option<Log>, Problem> {
    match broker.jetstream.get_stream(name).await {
        Ok(stream) => Ok(Log::new(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(Problem::broker(error)),
        },
    }
}

/// Refuses a stream that would lose messages; a size that is another one is told.
fn check(wanted: &Config, found: &Config) -> Result<(), Problem> {
    let unfit = |what: &str| {
        Err(Problem::Unfit(format!(
            "stream {} is there with other settings: {what}. It is left as it is: change it, or remove it when \
             every receiver has read it",
            wanted.name
        )))
    };
    if found.subjects != wanted.subjects {
        return unfit("other subjects");
    }
    if found.retention != RetentionPolicy::Limits {
        return unfit("its retention is not limits");
    }
    if found.discard != DiscardPolicy::New {
        return unfit("it discards old messages when it is full (discard must be new)");
    }
    if !found.max_age.is_zero() {
        return unfit("it forgets messages by age (max_age must be 0)");
    }
    if found.max_messages > 0 || found.max_messages_per_subject > 0 {
        return unfit("it has a limit of messages");
    }
    if found.deny_purge {
        return unfit("it cannot be trimmed (deny_purge)");
    }
    if (found.max_bytes, found.num_replicas) != (wanted.max_bytes, wanted.num_replicas) {
        tracing::warn!(
            stream = wanted.name,
            bytes = found.max_bytes,
            replicas = found.num_replicas,
            "--stream-bytes and --replicas are not in force: the stream is there with others; `nats stream edit` \
             changes them"
        );
    }
    Ok(())
}

/// All streams of an instance.
pub(crate) async fn streams(broker: &Broker, instance: &str) -> Result<Vec<String>, Problem> {
    let names: Vec<String> =
        broker.jetstream.stream_names().try_collect().await.map_err(Problem::broker)?;
    let prefix = names::stream_prefix(instance);
    Ok(names.into_iter().filter(|name| name.starts_with(&prefix)).collect())
}

/// Ends the process where trying again is of no use.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Unfit(why) => Self::Configuration(why),
            other => Self::Trouble(other.to_string()),
        }
    }
}

//! Buckets: floors, which receivers tell, and leases, which senders take.

use std::collections::BTreeMap;

use async_nats::jetstream::context::KeyValueErrorKind;
use async_nats::jetstream::kv;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, StorageType};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use mixcord_bridge::lease::Entry;

use super::{Broker, Problem};

/// What is told is never longer: 1,024 shards fit.
const VALUE_MAX: i32 = 256 << 10;

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) store: kv::Store,
    /// When it was made, in seconds since 1970.
    pub(crate) created: u64,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: String,
    /// The number of the change.
    pub(crate) revision: u64,
    /// When it was put, by the server's clock, in seconds since 1970.
    pub(crate) put_s: i64,
    /// The same in milliseconds.
    pub(crate) put_ms: u64,
    pub(crate) value: Bytes,
}

impl Bucket {
    fn new(store: kv::Store) -> Self {
        let created = store.stream.cached_info().created.unix_timestamp();
        Self { store, created: u64::try_from(created).unwrap_or(0) }
    }

    /// All that it holds, asked of the leader: followers may be behind.
    pub(crate) async fn all(&self) -> Result<Vec<Held>, Problem> {
        let prefix = &self.store.prefix;
        let subjects = self.store.stream.info_with_subjects(format!("{prefix}>")).await;
        let subjects: Vec<(String, usize)> =
            subjects.map_err(Problem::broker)?.try_collect().await.map_err(Problem::broker)?;
        let mut all = Vec::with_capacity(subjects.len());
        for key in subjects.iter().filter_map(|(subject, _)| subject.strip_prefix(prefix)) {
            all.extend(self.get(key).await?);
        }
        Ok(all)
    }

    /// What a key holds, asked of the leader; `None` where there is nothing, or it was deleted.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Held>, Problem> {
        let subject = format!("{}{key}", self.store.prefix);
        let message = match self.store.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(None);
            }
            Err(error) => return Err(Problem::broker(error)),
        };
        // A deletion is a message with a header.
        if message.headers.get("KV-Operation").is_some() {
            return Ok(None);
        }
        Ok(Some(Held {
            key: key.to_owned(),
            revision: message.sequence,
            put_s: message.time.unix_timestamp(),
            put_ms: u64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            value: message.payload,
        }))
    }

    /// Puts a value, whatever there is.
    pub(crate) async fn put(&self, key: &str, value: Bytes) -> Result<(), Problem> {
        self.store.put(key, value).await.map(drop).map_err(Problem::broker)
    }

    /// Puts a value where the key's number is still `expected`, 0 for none; gives its own number, or `None` where it
    /// was another one.
    pub(crate) async fn replace(
        &self,
        key: &str,
        expected: u64,
        value: Bytes,
    ) -> Result<Option<u64>, Problem> {
        match self.store.update(key, value, expected).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(Problem::broker(error)),
        }
    }
}

/// A bucket; `None` until somebody has made it.
pub(crate) async fn bucket(broker: &Broker, name: String) -> Result<Option<Bucket>, Problem> {
    match broker.jetstream.get_key_value(name).await {
        Ok(store) => Ok(Some(Bucket::new(store))),
        Err(error) if error.kind() == KeyValueErrorKind::GetBucket => Ok(None),
        Err(error) => Err(Problem::broker(error)),
    }
}

/// The same, made unless it is there, on so many servers.
pub(crate) async fn create_bucket(
    broker: &Broker,
    name: String,
    description: &str,
    replicas: u8,
) -> Result<Bucket, Problem> {
    if let Some(found) = bucket(broker, name.clone()).await? {
        return Ok(found);
    }
    let config = kv::Config {
        bucket: name,
        description: description.to_owned(),
        history: 1,
        max_value_size: VALUE_MAX,
        storage: StorageType::File,
        num_replicas: replicas.into(),
        ..kv::Config::default()
    };
    broker.jetstream.create_key_value(config).await.map(Bucket::new).map_err(Problem::broker)
}

/// What senders claim, by stream.
pub(crate) async fn claims(bucket: &Bucket) -> Result<BTreeMap<String, Entry>, Problem> {
    let entry = |Held { key, revision, value, .. }| {
        // What a later release wrote, or nobody, is a claim like any other: it holds while it is renewed.
        let claim = serde_json::from_slice(&value).unwrap_or_default();
        (key, Entry { revision, claim })
    };
    Ok(bucket.all().await?.into_iter().map(entry).collect())
}

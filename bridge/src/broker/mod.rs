//! The NATS cluster: a connection that comes back, and what of JetStream the bridge asks.

mod buckets;
mod connect;
mod streams;

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{Context, PublishAckFuture};
use bytes::Bytes;
use mixcord_bridge::pack::MESSAGE_MIN;
use tokio::sync::watch;

pub(crate) use buckets::{Bucket, bucket, claims, create_bucket};
pub(crate) use connect::connect;
pub(crate) use streams::{Log, Problem, Wanted, create, find, streams};

/// How long an answer may take. An election answers nothing at all: what was asked is asked again.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long to wait before something is tried again.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);

/// How often it is said again that something does not go on.
pub(crate) const REMIND: Duration = Duration::from_secs(15);

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) jetstream: Context,
    /// Counts the connections there were.
    pub(crate) connections: watch::Receiver<u64>,
}

/// Room in a message for its subject and headers.
const HEADERS: usize = 1 << 10;
/// A server that takes only shorter messages is of no use.
const PAYLOAD_MIN: usize = MESSAGE_MIN + HEADERS;
/// Longer messages are not sent, whatever the server takes: parts of a pack are as good, and hold up nobody.
const MESSAGE_MAX: usize = 1 << 20;

impl Broker {
    /// Says to whom we are connected.
    pub(crate) fn announce(&self) {
        let info = self.jetstream.client().server_info();
        tracing::info!(server = info.server_name, version = info.version, "connected");
    }

    /// The longest message that is sent. A server may come back with another limit.
    pub(crate) fn message_max(&self) -> usize {
        self.payload_max().min(MESSAGE_MAX).saturating_sub(HEADERS)
    }

    /// The longest message that the server takes, and gives.
    pub(crate) fn payload_max(&self) -> usize {
        self.jetstream.client().server_info().max_payload
    }

    /// Sends a message that expects the log to end with this sequence number. The answer comes with what is given.
    pub(crate) async fn append(
        &self,
        subject: &str,
        expected: u64,
        message: Bytes,
    ) -> Option<PublishAckFuture> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Sequence", expected.to_string().as_str());
        let sending = self.jetstream.publish_with_headers(subject.to_owned(), headers, message);
        tokio::time::timeout(PATIENCE, sending).await.ok()?.ok()
    }
}

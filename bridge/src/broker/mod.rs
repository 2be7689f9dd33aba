//! The NATS cluster: a connection that comes back, and what of JetStream the bridge asks.

mod connect;
mod streams;

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{Context, PublishAckFuture};
use bytes::Bytes;
use tokio::sync::watch;

pub(crate) use connect::connect;
pub(crate) use streams::{Log, Problem, Wanted, bucket, create, create_bucket, find, streams};

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
    /// The longest message.
    pub(crate) message_max: usize,
}

impl Broker {
    /// Says to whom we are connected.
    pub(crate) fn announce(&self) {
        let info = self.jetstream.client().server_info();
        tracing::info!(server = info.server_name, version = info.version, "connected");
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

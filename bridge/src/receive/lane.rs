//! One lane: the machine of [`mixcord_bridge::receiver`], between the broker and a ring.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;
use mixcord_bridge::names::Lane;
use mixcord_bridge::receiver::{Begin, Receiver, Step};
use tokio::sync::watch;

use super::Setting;
use super::mirror::{Mirror, MirrorError};
use crate::broker::{self, Log, PAUSE, Problem};
use crate::failure::Failure;
use crate::trouble::Trouble;

/// A lane that is silent for longer than idle ones are is begun anew: perhaps the broker gives nothing though there
/// is something.
const SILENCE: Duration = Duration::from_secs(12);
/// How long a ring that cannot be written is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// Bytes that wait in this process.
const BYTES_WAITING: i64 = 4 << 20;

/// Receives one lane.
pub(super) struct LaneTask {
    setting: Arc<Setting>,
    lane: Lane,
    log: Log,
    connections: watch::Receiver<u64>,
    trouble: Trouble,
}

/// Why reading ended.
enum Ended {
    /// It begins again.
    Anew,
    /// The broker did not do something.
    Broker(Problem),
    /// The mirror cannot be written.
    Mirror(MirrorError),
    /// A later release wrote a pack.
    Later(String),
}

impl From<Problem> for Ended {
    fn from(problem: Problem) -> Self {
        Self::Broker(problem)
    }
}

impl LaneTask {
    pub(super) fn new(setting: Arc<Setting>, lane: Lane, log: Log) -> Self {
        let connections = setting.broker.connections.clone();
        Self { setting, lane, log, connections, trouble: Trouble::default() }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        tokio::select! {
            result = self.work() => result,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    }

    async fn work(&mut self) -> Result<(), Failure> {
        let Lane { shard, count } = self.lane;
        loop {
            let (mut mirror, place) = match Mirror::open(Arc::clone(&self.setting), self.lane) {
                Ok(opened) => opened,
                Err(error @ MirrorError::Foreign { .. }) => {
                    return Err(Failure::Configuration(error.to_string()));
                }
                Err(error) => {
                    tracing::error!(shard, count, "the shard is not received: {error}");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let mut receiver = Receiver::new(place);
            loop {
                match self.read(&mut receiver, &mut mirror).await {
                    Ended::Anew => {}
                    Ended::Broker(Problem::Gone) => self.find_again().await,
                    Ended::Broker(problem) => self.stuck(&problem.to_string()).await,
                    Ended::Later(why) => {
                        tracing::error!(
                            shard,
                            count,
                            "the shard stands still, and loses nothing while the log has room: {why}"
                        );
                        tokio::time::sleep(RETRY).await;
                    }
                    Ended::Mirror(error) => {
                        tracing::error!(shard, count, "the shard is not received: {error}");
                        tokio::time::sleep(RETRY).await;
                        break;
                    }
                }
            }
        }
    }

    /// Reads from the mirror's place on, until something is wrong.
    async fn read(&mut self, receiver: &mut Receiver, mirror: &mut Mirror) -> Ended {
        match self.try_read(receiver, mirror).await {
            Ok(()) => Ended::Anew,
            Err(ended) => ended,
        }
    }

    async fn try_read(
        &mut self,
        receiver: &mut Receiver,
        mirror: &mut Mirror,
    ) -> Result<(), Ended> {
        self.connections.mark_unchanged();
        self.log.info().await?;
        let mark = receiver.place().mark.sequence;
        // Before anything is read, so that it is not trimmed meanwhile.
        let reporter = Arc::clone(&self.setting.reporter);
        reporter.stored(reporter.reached(&self.log, self.lane, mark)).await;
        let found = if mark > 0 { self.log.message(mark).await? } else { None };
        let deliver_policy = match receiver.begin(found.as_deref()) {
            Begin::Behind(sequence) => {
                DeliverPolicy::ByStartSequence { start_sequence: sequence + 1 }
            }
            Begin::AtFirst => DeliverPolicy::All,
        };
        let config = pull::OrderedConfig {
            filter_subject: self.log.subject(self.lane),
            deliver_policy,
            max_bytes: BYTES_WAITING,
            ..pull::OrderedConfig::default()
        };
        let consumer = self.log.stream.create_consumer(config).await.map_err(Problem::broker)?;
        let mut messages = consumer.messages().await.map_err(Problem::broker)?;
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, messages.next()) => message,
                _ = self.connections.changed() => return Ok(()),
            };
            let Ok(Some(message)) = message else { return Ok(()) };
            let message = message.map_err(Problem::broker)?;
            let sequence = match message.info() {
                Ok(info) => info.stream_sequence,
                Err(error) => return Err(Problem::Broker(error.to_string()).into()),
            };
            let place = match receiver.message(sequence, &message.payload) {
                Ok(Step::Again) => return Ok(()),
                Ok(Step::Pass) => None,
                Ok(Step::Take(take)) => Some(mirror.take(&take).await.map_err(Ended::Mirror)?),
                Err(error) if error.is_of_another_release() => {
                    return Err(Ended::Later(error.to_string()));
                }
                Err(error) => {
                    let Lane { shard, count } = self.lane;
                    tracing::error!(shard, count, sequence, "a message is passed over: {error}");
                    None
                }
            };
            if let Some(place) = place {
                receiver.settle(place);
                self.goes_on();
            }
            reporter.reached(&self.log, self.lane, receiver.place().mark.sequence);
        }
    }

    /// The stream was removed: perhaps one of the same name is there by now.
    async fn find_again(&mut self) {
        match broker::find(&self.setting.broker, &self.log.name).await {
            Ok(Some(log)) => self.log = log,
            Ok(None) => self.stuck("the stream is gone").await,
            Err(problem) => self.stuck(&problem.to_string()).await,
        }
    }

    /// Waits a little, and says so once it lasts.
    async fn stuck(&mut self, why: &str) {
        let Lane { shard, count } = self.lane;
        if let Some(lasts) = self.trouble.lasts() {
            let seconds = lasts.as_secs();
            tracing::warn!(shard, count, seconds, "nothing is received for now: {why}");
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn goes_on(&mut self) {
        let Lane { shard, count } = self.lane;
        if let Some(lasted) = self.trouble.ends() {
            tracing::info!(shard, count, seconds = lasted.as_secs(), "it is received again");
        }
    }
}

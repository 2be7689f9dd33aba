//! One lane: the machine of [`mixcord_bridge::receiver`], between the broker and a ring.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;
use mixcord_bridge::choice::{self, Candidate};
use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::{Head, Predecessor};
use mixcord_bridge::place::Place;
use mixcord_bridge::receiver::{Begin, Receiver, Step};
use mixcord_bridge::takeover::Takeover;
use tokio::sync::watch;
use tokio::time::Instant;

use super::mirror::{Mirror, MirrorError};
use super::{Setting, origin};
use crate::broker::{Log, PAUSE, Problem};
use crate::failure::Failure;
use crate::notice::Lag;
use crate::trouble::Trouble;

/// A lane that is silent for longer than idle ones are is begun anew: perhaps the broker gives nothing though there
/// is something.
const SILENCE: Duration = Duration::from_secs(12);
/// A lane that is silent for so long, and stands in other streams too, may go on there.
const ELSEWHERE: Duration = Duration::from_secs(2);
/// How long a ring that cannot be written is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// Bytes that wait in this process, unless a single message may be longer: the server gives none that is.
const BYTES_WAITING: usize = 4 << 20;
/// What the server counts beside a message's bytes: its subjects and headers.
const BYTES_BESIDE: usize = 64 << 10;

/// Receives one lane.
pub(super) struct LaneTask {
    pub(super) setting: Arc<Setting>,
    pub(super) lane: Lane,
    /// The streams that have messages of it.
    logs: watch::Receiver<Vec<Log>>,
    connections: watch::Receiver<u64>,
    /// Looks at what a gateway of this machine wants to take over.
    looks: watch::Receiver<u64>,
    /// How far the lane's take-over is.
    pub(super) takeover: Option<Takeover>,
    trouble: Trouble,
}

/// Why reading ended.
enum Ended {
    /// A gateway of this machine goes on from there, by a fence of this generation.
    Taken(Predecessor, u64),
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
    pub(super) fn new(setting: Arc<Setting>, lane: Lane, logs: watch::Receiver<Vec<Log>>) -> Self {
        let (connections, looks) = (setting.broker.connections.clone(), setting.taker.looks());
        let trouble = Trouble::default();
        Self { setting, lane, logs, connections, looks, takeover: None, trouble }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let over = over(self.logs.clone());
        tokio::select! {
            result = self.work() => return result,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = over => {}
        }
        let Lane { shard, count } = self.lane;
        tracing::info!(shard, count, "no stream has the shard any more: it is let go");
        self.setting.notice.lane(self.lane, Lag::default());
        Ok(())
    }

    async fn work(&mut self) -> Result<(), Failure> {
        let Lane { shard, count } = self.lane;
        let mut doubted = false;
        loop {
            let (mut mirror, place) = match Mirror::open(Arc::clone(&self.setting), self.lane) {
                Ok(opened) => opened,
                Err(error @ MirrorError::Foreign { ring, .. }) => {
                    // What this machine's gateway writes comes back with the rest, where it is a standby's partner.
                    match self.is_sent_from(ring).await {
                        Ok(true) => {
                            self.let_go();
                            return Ok(());
                        }
                        // Perhaps its bridge has sent nothing yet.
                        Ok(false) if !std::mem::replace(&mut doubted, true) => {
                            tokio::time::sleep(RETRY).await;
                            continue;
                        }
                        Ok(false) => {}
                        Err(problem) => {
                            self.stuck(&problem.to_string()).await;
                            continue;
                        }
                    }
                    return Err(Failure::Configuration(error.to_string()));
                }
                Err(MirrorError::Taken) => {
                    self.let_go();
                    return Ok(());
                }
                Err(error) => {
                    tracing::error!(shard, count, "the shard is not received: {error}");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            let mut receiver = match self.begin(&mut mirror, place).await {
                Ok(receiver) => receiver,
                Err(why) => {
                    self.stuck(&why).await;
                    continue;
                }
            };
            loop {
                let ended = self.read(&mut receiver, &mut mirror).await;
                self.setting.notice.again();
                match ended {
                    Ended::Anew => {}
                    Ended::Taken(end, generation) => match mirror.hand_over(end, generation) {
                        Ok(ring) => {
                            self.setting.taker.hand(self.lane, ring);
                            tracing::info!(
                                shard,
                                count,
                                log = format!("{:016x}", end.log),
                                position = end.position,
                                generation,
                                "a gateway of this machine takes the shard over"
                            );
                            self.let_go();
                            return Ok(());
                        }
                        Err(error) => {
                            tracing::error!(shard, count, "the shard is not received: {error}");
                            tokio::time::sleep(RETRY).await;
                            break;
                        }
                    },
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

    /// Whether a stream ends with what that ring has.
    async fn is_sent_from(&self, ring: u64) -> Result<bool, Problem> {
        let logs = self.logs.borrow().clone();
        for log in &logs {
            let last = log.last(self.lane).await?;
            let head = last.and_then(|(_, message)| Some(Head::read(&message).ok()?.0));
            if head.is_some_and(|head| head.log == ring) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The ring is a gateway's.
    fn let_go(&self) {
        let logs = self.logs.borrow().clone();
        self.setting.reporter.needs_nothing(&logs, self.lane);
        self.setting.notice.lane(self.lane, Lag::default());
        self.setting.taker.done(self.lane);
    }

    /// Goes on where the mirror is, or where the state ends that was copied.
    async fn begin(&mut self, mirror: &mut Mirror, place: Place) -> Result<Receiver, String> {
        let place = match self.setting.copied.of_lane(self.lane) {
            Some(origin) if place.log == 0 => {
                let logs = self.logs.borrow().clone();
                let generation =
                    origin::generation(&self.setting, &logs, self.lane, origin.ring).await;
                let generation = generation.map_err(|problem| problem.to_string())?.unwrap_or(0);
                let place = Place { log: origin.ring, next: origin.position, generation, ..place };
                mirror.begin(place).map_err(|error| error.to_string())?;
                place
            }
            _ => place,
        };
        self.setting.copied.forget(self.lane);
        Ok(Receiver::new(place))
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
        let logs = self.logs.borrow_and_update().clone();
        let Some(log) = self.choose(&logs, receiver.place()).await? else {
            return Err(Problem::Gone.into());
        };
        log.info().await?;
        let mark = receiver.place().mark.sequence;
        // Before anything is read, so that it is not trimmed meanwhile.
        let reporter = Arc::clone(&self.setting.reporter);
        reporter.stored(reporter.reached(log, self.lane, mark)).await;
        let found = if mark > 0 { log.message(mark).await? } else { None };
        let deliver_policy = match receiver.begin(found.as_deref()) {
            Begin::Behind(sequence) => {
                DeliverPolicy::ByStartSequence { start_sequence: sequence + 1 }
            }
            Begin::AtFirst => DeliverPolicy::All,
        };
        let waiting = BYTES_WAITING.max(self.setting.broker.payload_max() + BYTES_BESIDE);
        let config = pull::OrderedConfig {
            filter_subject: log.subject(self.lane),
            deliver_policy,
            max_bytes: i64::try_from(waiting).unwrap_or(i64::MAX),
            ..pull::OrderedConfig::default()
        };
        let consumer = log.stream.create_consumer(config).await.map_err(Problem::broker)?;
        let mut messages = consumer.messages().await.map_err(Problem::broker)?;
        let patience = if logs.len() > 1 { ELSEWHERE } else { SILENCE };
        let (mut heard, mut silent) = (Instant::now(), Duration::ZERO);
        loop {
            if let Some((end, generation)) = self.take_over(&receiver.place(), log, &logs).await? {
                return Err(Ended::Taken(end, generation));
            }
            let patient = tokio::time::timeout_at(heard + silent + patience, messages.next());
            let message = tokio::select! {
                message = patient => message,
                _ = self.connections.changed() => return Ok(()),
                Ok(()) = self.logs.changed() => return Ok(()),
                Ok(()) = self.looks.changed() => continue,
            };
            let Ok(message) = message else {
                silent += patience;
                let chosen = self.choose(&logs, receiver.place()).await?;
                if silent >= SILENCE || chosen != Some(log) {
                    return Ok(());
                }
                continue;
            };
            (heard, silent) = (Instant::now(), Duration::ZERO);
            let Some(message) = message else { return Ok(()) };
            let message = message.map_err(Problem::broker)?;
            let sequence = match message.info() {
                Ok(info) => {
                    // What waits behind it is no older than it is.
                    let published_ms = info.published.unix_timestamp_nanos() / 1_000_000;
                    let since_ms = u64::try_from(published_ms).unwrap_or(0);
                    self.setting.notice.lane(self.lane, Lag { behind: info.pending, since_ms });
                    info.stream_sequence
                }
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
            reporter.reached(log, self.lane, receiver.place().mark.sequence);
        }
    }

    /// The stream to read from.
    async fn choose<'a>(&self, logs: &'a [Log], place: Place) -> Result<Option<&'a Log>, Problem> {
        if let [log] = logs {
            return Ok(Some(log));
        }
        let mut candidates = Vec::with_capacity(logs.len());
        for log in logs {
            let last = log.last(self.lane).await?;
            candidates.push(last.map(|(sequence, message)| Candidate::new(sequence, &message)));
        }
        Ok(choice::choose(&place, &candidates).and_then(|index| logs.get(index)))
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

/// Waits until nothing comes any more: no stream has the lane, since its ring is gone where it was written, or its shard
/// count was left there. Should it be there again the mirror goes on where it is.
async fn over(mut logs: watch::Receiver<Vec<Log>>) {
    loop {
        if logs.borrow_and_update().is_empty() {
            return;
        }
        if logs.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

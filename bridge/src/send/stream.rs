//! One stream: the machine of [`mixcord_bridge::sender`], between rings and the broker.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use mixcord_bridge::floors::{self, End, Trim};
use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::{About, Head, Packer, RECORDS_MAX, Sizes};
use mixcord_bridge::sender::{Answer, Fault, Found, LaneIndex, Outcome, Sender};
use mixcord_ring::{AsyncBell, Namespace, arm_all};
use tokio::sync::watch;

use super::board::Board;
use super::feed::Feed;
use crate::broker::{self, Broker, Log, PAUSE, Problem, Wanted};
use crate::failure::Failure;
use crate::options::SendOptions;
use crate::trouble::Trouble;

/// The longest sleep on the bell.
const NAP: Duration = Duration::from_millis(100);
/// How often idle lanes, and what can be trimmed, are looked at.
const TEND: Duration = Duration::from_millis(250);
/// How long a ring that cannot be read is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// Where nobody receives, the log is trimmed in steps of this share.
const STEP: u64 = 16;

/// What all streams have in common.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) instance: String,
    pub(super) bot: String,
    pub(super) options: SendOptions,
    pub(super) namespace: Namespace,
    pub(super) bell: AsyncBell,
    pub(super) broker: Broker,
    pub(super) board: Board,
}

type Flight = BoxFuture<'static, Result<PublishAck, PublishError>>;

/// Sends the lanes of one block.
pub(super) struct StreamTask {
    setting: Arc<Setting>,
    block: u16,
    /// The lanes whose rings are there.
    listed: watch::Receiver<Vec<Lane>>,
    log: Option<Log>,
    sender: Sender,
    packer: Packer,
    lanes: Vec<LaneTask>,
    /// Lanes of the stream that are not sent here: what receivers have not read of them stays.
    others: Vec<End>,
    flights: FuturesOrdered<Flight>,
    trimmed: u64,
    tended: Instant,
    trouble: Trouble,
}

#[derive(Debug)]
struct LaneTask {
    lane: Lane,
    subject: String,
    /// `None` while there is no ring.
    feed: Option<Feed>,
    /// When it could not be read.
    refused: Option<Instant>,
    fault: Option<Fault>,
}

impl LaneTask {
    const fn new(lane: Lane) -> Self {
        Self { lane, subject: String::new(), feed: None, refused: None, fault: None }
    }

    /// Whether its last message is still needed: more follows it, or it proves that the ring is a copy.
    const fn sends(&self) -> bool {
        self.feed.is_some() && !matches!(self.fault, Some(Fault::Superseded { .. }))
    }
}

impl StreamTask {
    pub(super) fn new(
        setting: Arc<Setting>,
        block: u16,
        listed: watch::Receiver<Vec<Lane>>,
    ) -> Self {
        let sizes = Sizes {
            records: RECORDS_MAX,
            pack: usize::try_from(setting.options.pack_bytes).unwrap_or(usize::MAX),
            message: setting.broker.message_max,
        };
        Self {
            setting,
            block,
            listed,
            log: None,
            sender: Sender::default(),
            packer: Packer::new(sizes),
            lanes: Vec::new(),
            others: Vec::new(),
            flights: FuturesOrdered::new(),
            trimmed: 0,
            tended: Instant::now(),
            trouble: Trouble::default(),
        }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        tokio::select! {
            result = self.work() => return result,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // What is under way may still be acknowledged, so that it is not sent again.
        let _ = tokio::time::timeout(PAUSE, self.finish()).await;
        Ok(())
    }

    async fn work(&mut self) -> Result<(), Failure> {
        self.open_rings();
        loop {
            if self.log.is_none() || self.sender.must_look() {
                self.flights = FuturesOrdered::new();
                match self.look().await {
                    Ok(()) => {}
                    Err(Problem::Unfit(why)) => return Err(Failure::Configuration(why)),
                    Err(problem) => self.stuck(&problem).await,
                }
                continue;
            }
            if self.tended.elapsed() >= TEND {
                self.tended = Instant::now();
                self.open_rings();
                if let Err(problem) = self.tend().await {
                    tracing::debug!("stream of block {}: {problem}", self.block);
                }
            }
            let ticket = self.setting.bell.ticket();
            self.fill().await;
            if self.sender.must_look() || self.arm() {
                continue;
            }
            tokio::select! {
                Some(answer) = self.flights.next() => self.answered(answer).await,
                () = self.setting.bell.notified_within(ticket, NAP) => {}
            }
            while let Some(Some(answer)) = self.flights.next().now_or_never() {
                self.answered(answer).await;
            }
        }
    }

    /// Waits for what is under way.
    async fn finish(&mut self) {
        while let Some(answer) = self.flights.next().await {
            self.answered(answer).await;
            if self.sender.must_look() {
                return;
            }
        }
    }

    /// Joins rings that are new, and lets go of those that are gone.
    fn open_rings(&mut self) {
        if self.listed.has_changed().unwrap_or(false) || self.lanes.is_empty() {
            for lane in self.listed.borrow_and_update().clone() {
                if !self.lanes.iter().any(|known| known.lane == lane) {
                    self.lanes.push(LaneTask::new(lane));
                    self.sender.add(0, 0, 0);
                }
            }
        }
        let listed = self.listed.borrow().clone();
        for index in 0..self.lanes.len() {
            let known = &mut self.lanes[index];
            if known.feed.as_mut().is_some_and(Feed::is_over) {
                known.feed = None;
                known.fault = None;
            }
            let rests = known.refused.is_some_and(|at| at.elapsed() < RETRY);
            if known.feed.is_none() && listed.contains(&known.lane) && !rests {
                known.feed =
                    Feed::join(&self.setting.namespace, known.lane, self.setting.bell.bell());
                match &known.feed {
                    Some(feed) => self.sender.replace(index, feed.id(), feed.floor(), now_s()),
                    None => known.refused = Some(Instant::now()),
                }
            }
        }
    }

    /// Reads what the log ends with.
    async fn look(&mut self) -> Result<(), Problem> {
        let setting = &self.setting;
        if self.log.is_none() {
            let name = (&*setting.bot, &*setting.options.stream, self.block);
            let wanted =
                Wanted { bytes: setting.options.stream_bytes, replicas: setting.options.replicas };
            let log = broker::create(&setting.broker, name, wanted).await?;
            for known in &mut self.lanes {
                known.subject = log.subject(known.lane);
            }
            self.trimmed = 0;
            self.log = Some(log);
        }
        let Some(log) = &self.log else { return Ok(()) };
        let info = match log.info().await {
            Err(Problem::Gone) => {
                tracing::warn!(stream = log.name, "the stream is gone: it is made anew");
                self.log = None;
                return Ok(());
            }
            info => info?,
        };
        let mut found = Vec::new();
        for known in &mut self.lanes {
            known.subject = log.subject(known.lane);
            let last = match log.last(known.lane).await? {
                Some((sequence, message)) => match Head::read(&message) {
                    Ok((head, _)) => Some((sequence, Some(head))),
                    Err(error) if error.is_of_another_release() => {
                        return Err(Problem::Later(format!("{}: {error}", log.name)));
                    }
                    Err(error) => {
                        let Lane { shard, count } = known.lane;
                        tracing::warn!(
                            stream = log.name,
                            shard,
                            count,
                            sequence,
                            "the last message of the shard is no bridge's, and is passed over: {error}"
                        );
                        Some((sequence, None))
                    }
                },
                None => None,
            };
            let tail = known.feed.as_ref().map_or(u64::MAX, |feed| feed.ring.tail());
            found.push(Found { last, tail });
        }
        self.others.clear();
        for lane in log.lanes().await? {
            if self.lanes.iter().all(|known| known.lane != lane)
                && let Some((last, _)) = log.last(lane).await?
            {
                self.others.push(End { lane, last, sends: false });
            }
        }
        self.sender.looked(info.state.last_sequence, &found);
        for (index, known) in self.lanes.iter_mut().enumerate() {
            let fault = self.sender.fault(index);
            if let Some(fault) = fault.filter(|fault| known.fault != Some(*fault)) {
                let Lane { shard, count } = known.lane;
                tracing::error!(shard, count, "the shard is not sent: {fault}");
            }
            known.fault = fault;
        }
        Ok(())
    }

    /// Sends what waits, as far as the window has room.
    async fn fill(&mut self) {
        let window = usize::from(self.setting.options.window);
        loop {
            let mut sent = false;
            for index in 0..self.lanes.len() {
                if self.sender.in_flight() >= window || self.sender.must_look() {
                    return;
                }
                sent |= self.send(index, false).await;
            }
            if !sent {
                return;
            }
        }
    }

    /// Sends the lane's next pack; false where there is nothing to send.
    async fn send(&mut self, index: LaneIndex, idle: bool) -> bool {
        let known = &mut self.lanes[index];
        let Some(feed) = &mut known.feed else { return false };
        if self.sender.start(index).is_none() {
            return false;
        }
        match feed.fill() {
            Ok(Some(first)) => self.sender.skip_to(index, first),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(ring = feed.ring.name(), "the ring is not sent: {error}");
                (known.feed, known.refused) = (None, Some(Instant::now()));
                return false;
            }
        }
        let Some(start) = self.sender.start(index) else { return false };
        if feed.has_from(start.first) == idle {
            return false;
        }
        let checkpoint = feed.status(idle).map(<[u8]>::to_vec);
        if idle && checkpoint.is_none() {
            return false;
        }
        let about = About { checkpoint: checkpoint.as_deref(), predecessor: None };
        let packed = self.packer.pack(&start, feed.entries(start.first), &about);
        let expected = self.sender.sent(index, &packed);
        for (expected, message) in (expected..).zip(packed.messages) {
            let Some(answer) = self.setting.broker.append(&known.subject, expected, message).await
            else {
                self.sender.forget();
                return false;
            };
            self.flights.push_back(Box::pin(answer.into_future()));
        }
        true
    }

    /// The answer to the oldest message under way.
    async fn answered(&mut self, answer: Result<PublishAck, PublishError>) {
        let outcome = self.sender.answered(match &answer {
            Ok(ack) => Answer::Stored(ack.sequence),
            Err(_) => Answer::Missing,
        });
        match outcome {
            Outcome::Kept { lane, through } => {
                if let Some(feed) = &mut self.lanes[lane].feed {
                    feed.release(through);
                }
                self.goes_on();
            }
            Outcome::Part => {}
            Outcome::Look => {
                if let Err(error) = answer {
                    self.stuck(&Problem::Broker(said(&error))).await;
                }
            }
        }
    }

    /// Idle lanes say how they stand, and the log is trimmed.
    async fn tend(&mut self) -> Result<(), Problem> {
        for index in 0..self.lanes.len() {
            if !self.sender.must_look() {
                self.send(index, true).await;
            }
        }
        let Some(log) = self.log.as_ref().filter(|_| !self.sender.must_look()) else {
            return Ok(());
        };
        let ends: Vec<End> = self
            .lanes
            .iter()
            .enumerate()
            .map(|(index, known)| End {
                lane: known.lane,
                last: self.sender.sequence(index),
                sends: known.sends(),
            })
            .chain(self.others.iter().copied())
            .collect();
        let below = match self.setting.board.trim(&log.name, log.created, &ends) {
            None => return Ok(()),
            Some(Trim::Below(below)) => below,
            Some(Trim::Unclaimed) => {
                let state = log.info().await?.state;
                if state.bytes <= self.setting.options.retain {
                    return Ok(());
                }
                let step = (state.last_sequence - state.first_sequence) / STEP + 1;
                floors::place(&ends).min(state.first_sequence + step)
            }
        };
        if below > self.trimmed {
            log.trim(below).await?;
            self.trimmed = below;
        }
        Ok(())
    }

    /// Has the bell rung at the next record; whether there is one to send already. A ring of which something is in
    /// hand is not looked at before that is done.
    fn arm(&mut self) -> bool {
        let wants = |known: &mut LaneTask| known.feed.as_ref().is_some_and(Feed::wants);
        if !self.lanes.iter_mut().any(wants) {
            return false;
        }
        arm_all(|arm| {
            let feeds = self.lanes.iter_mut().filter_map(|known| known.feed.as_mut());
            feeds.filter(|feed| feed.wants()).for_each(|feed| arm(feed.sleeping()));
        });
        let room = self.sender.in_flight() < usize::from(self.setting.options.window);
        let sends = |known: &mut LaneTask| {
            known.fault.is_none() && known.feed.as_mut().is_some_and(Feed::has_work)
        };
        room && self.lanes.iter_mut().any(sends)
    }

    /// Waits a little, and says so once it lasts.
    async fn stuck(&mut self, problem: &Problem) {
        if let Some(lasts) = self.trouble.lasts() {
            tracing::warn!(
                block = self.block,
                seconds = lasts.as_secs(),
                "nothing is sent for now; nothing is lost while the rings have room, then the sockets wait: {problem}"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn goes_on(&mut self) {
        if let Some(lasted) = self.trouble.ends() {
            tracing::info!(block = self.block, seconds = lasted.as_secs(), "it goes on");
        }
    }
}

/// What a refusal means.
fn said(error: &PublishError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if source.contains("maximum bytes") {
        return "the stream is full: a receiver does not go on, or --stream-bytes is too little for what they lag; \
                `mixcord-bridge status` says which"
            .to_owned();
    }
    if source.is_empty() { error.to_string() } else { format!("{error}: {source}") }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

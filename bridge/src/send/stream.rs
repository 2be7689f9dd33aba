//! One stream: the machine of [`mixcord_bridge::sender`], between rings and the broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use mixcord_bridge::floors::{self, End, Trim};
use mixcord_bridge::names::{self, Lane};
use mixcord_bridge::pack::{About, Packer, RECORDS_MAX, Sizes};
use mixcord_bridge::sender::{Answer, LaneIndex, Outcome, Sender};
use mixcord_ring::arm_all;
use tokio::sync::watch;

use super::feed::Feed;
use super::lane::SentLane;
use super::setting::Setting;
use crate::broker::{Log, PAUSE, Problem};
use crate::failure::Failure;
use crate::trouble::Trouble;

/// The longest sleep on the bell.
const NAP: Duration = Duration::from_millis(100);
/// How often idle lanes, and what can be trimmed, are looked at.
const TEND: Duration = Duration::from_millis(250);
/// How often it is asked how full the stream is.
const FILL: Duration = Duration::from_secs(5);
/// Bytes under way, beyond which the further parts of a pack wait: all of them would take longer than is waited for
/// an answer, again and again.
const BYTES_UNDER_WAY: usize = 4 << 20;
/// Where nobody receives, the log is trimmed in steps of this share.
const STEP: u64 = 16;

/// The answer to a message, with its bytes.
type Answered = (usize, Result<PublishAck, PublishError>);

/// A message that waits for those before it.
struct Waiting {
    lane: LaneIndex,
    expected: u64,
    message: Bytes,
}

/// Sends the lanes of one block.
pub(super) struct StreamTask {
    pub(super) setting: Arc<Setting>,
    /// The stream's name: what is claimed.
    name: String,
    /// The lane that names it.
    pub(super) first: Lane,
    /// The lanes whose rings are there.
    listed: watch::Receiver<Vec<Lane>>,
    pub(super) log: Option<Log>,
    pub(super) sender: Sender,
    packer: Packer,
    pub(super) lanes: Vec<SentLane>,
    /// Lanes of the stream that are not sent here: what receivers have not read of them stays.
    pub(super) others: Vec<End>,
    /// What is packed and not under way yet.
    outbox: VecDeque<Waiting>,
    flights: FuturesOrdered<BoxFuture<'static, Answered>>,
    bytes_under_way: usize,
    pub(super) trimmed: u64,
    tended: Instant,
    /// When it was asked last how full the stream is.
    filled: Option<Instant>,
    trouble: Trouble,
}

impl StreamTask {
    pub(super) fn new(
        setting: Arc<Setting>,
        first: Lane,
        listed: watch::Receiver<Vec<Lane>>,
    ) -> Self {
        let sizes = Sizes {
            records: RECORDS_MAX,
            pack: usize::try_from(setting.options.pack_bytes).unwrap_or(usize::MAX),
            message: setting.broker.message_max(),
        };
        let name = names::stream(&setting.bot, &setting.options.stream, first);
        Self {
            setting,
            name,
            first,
            listed,
            log: None,
            sender: Sender::default(),
            packer: Packer::new(sizes),
            lanes: Vec::new(),
            others: Vec::new(),
            outbox: VecDeque::new(),
            flights: FuturesOrdered::new(),
            bytes_under_way: 0,
            trimmed: 0,
            tended: Instant::now(),
            filled: None,
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
            if self.tended.elapsed() >= TEND {
                self.tended = Instant::now();
                self.open_rings();
                self.tell();
                if let Err(problem) = self.tend().await {
                    tracing::debug!("stream {}: {problem}", self.name);
                }
            }
            if !self.setting.leases.wants(&self.name) {
                // No gateway of this machine writes a ring of it.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if !self.setting.leases.holds(&self.name) {
                self.without_lease().await;
                continue;
            }
            if self.log.is_none() || self.sender.must_look() {
                self.forget_flights();
                match self.look().await {
                    Ok(()) => {}
                    Err(Problem::Unfit(why)) => return Err(Failure::Configuration(why)),
                    Err(problem) => self.stuck(&problem).await,
                }
                continue;
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

    /// Another process may write the stream now: nothing is sent. What is under way is refused if one did.
    async fn without_lease(&mut self) {
        self.stuck(&Problem::Unclaimed).await;
        while let Some(Some(answer)) = self.flights.next().now_or_never() {
            self.answered(answer).await;
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

    /// Joins rings that are new, lets go of those that are gone, and begins those that are claimed.
    fn open_rings(&mut self) {
        if self.listed.has_changed().unwrap_or(false) || self.lanes.is_empty() {
            for lane in self.listed.borrow_and_update().clone() {
                if !self.lanes.iter().any(|known| known.lane == lane) {
                    self.lanes.push(SentLane::new(lane));
                    self.sender.add(0, 0, 0);
                }
            }
        }
        let listed = self.listed.borrow().clone();
        for (index, known) in self.lanes.iter_mut().enumerate() {
            let all_kept = !self.sender.must_look() && !self.sender.is_under_way(index);
            known.open_ring(&self.setting, listed.contains(&known.lane), all_kept);
        }
        let sources = self.lanes.iter().filter_map(SentLane::source).collect();
        let claimed = self.setting.leases.want(&self.name, sources);
        for (index, known) in self.lanes.iter_mut().enumerate() {
            let since = claimed.get(&known.lane).copied().filter(|_| known.feed.is_some());
            if let (Some(since), Some(feed)) = (since, &known.feed)
                && known.since != Some(since)
            {
                self.sender.replace(index, feed.id(), feed.floor(), since);
                (known.fault, known.is_looked_at) = (None, false);
            }
            known.since = since;
        }
    }

    /// Nothing of what was under way is waited for any more.
    fn forget_flights(&mut self) {
        self.outbox.clear();
        self.flights = FuturesOrdered::new();
        self.bytes_under_way = 0;
        self.packer.limit(self.setting.broker.message_max());
    }

    /// Sends what waits, as far as the window has room.
    async fn fill(&mut self) {
        let window = usize::from(self.setting.options.window);
        loop {
            self.publish().await;
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

    /// Sends what is packed.
    async fn publish(&mut self) {
        while self.bytes_under_way < BYTES_UNDER_WAY {
            let Some(Waiting { lane, expected, message }) = self.outbox.pop_front() else { return };
            let (subject, bytes) = (&self.lanes[lane].subject, message.len());
            let Some(answer) = self.setting.broker.append(subject, expected, message).await else {
                self.sender.forget();
                self.setting.notice.again();
                let why = "it takes no message of this length, or none for now";
                return self.stuck(&Problem::Broker(why.to_owned())).await;
            };
            self.bytes_under_way += bytes;
            let answer = answer.into_future().map(move |answer| (bytes, answer));
            self.flights.push_back(Box::pin(answer));
        }
    }

    /// Sends the lane's next pack; false where there is nothing to send.
    async fn send(&mut self, index: LaneIndex, idle: bool) -> bool {
        // Sequence numbers are given away in order.
        if !self.outbox.is_empty() {
            return false;
        }
        let known = &mut self.lanes[index];
        let Some(feed) = known.sending() else { return false };
        if self.sender.start(index).is_none() {
            return false;
        }
        match feed.fill() {
            Ok(Some(first)) => self.sender.skip_to(index, first),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(ring = feed.ring.name(), "the ring is not sent: {error}");
                known.refuse();
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
        let predecessor = feed.predecessor(start.first);
        let about = About { checkpoint: checkpoint.as_deref(), predecessor };
        let packed = self.packer.pack(&start, feed.entries(start.first), &about);
        let expected = self.sender.sent(index, &packed);
        let messages = (expected..).zip(packed.messages);
        let waiting =
            messages.map(|(expected, message)| Waiting { lane: index, expected, message });
        self.outbox.extend(waiting);
        self.publish().await;
        true
    }

    /// The answer to the oldest message under way.
    async fn answered(&mut self, (bytes, answer): Answered) {
        self.bytes_under_way = self.bytes_under_way.saturating_sub(bytes);
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
                self.setting.notice.again();
                if let Err(error) = answer {
                    self.stuck(&Problem::refused(&error)).await;
                }
            }
        }
    }

    /// Says how far it is.
    fn tell(&self) {
        let notice = &self.setting.notice;
        notice.under_way(&self.name, self.sender.in_flight());
        for known in &self.lanes {
            let lag = known.feed.as_ref().map(|feed| feed.lag()).unwrap_or_default();
            notice.lane(known.lane, lag);
        }
        self.stand();
    }

    /// Says to the gateways here whether they may run their shards.
    pub(super) fn stand(&self) {
        for (index, known) in self.lanes.iter().enumerate() {
            self.setting.standing.set(known.lane, known.state(self.sender.has_begun(index)));
        }
    }

    /// Idle lanes say how they stand, and the log is trimmed.
    async fn tend(&mut self) -> Result<(), Problem> {
        if !self.setting.leases.holds(&self.name) {
            return Ok(());
        }
        for index in 0..self.lanes.len() {
            if !self.sender.must_look() {
                self.send(index, true).await;
            }
        }
        let Some(log) = self.log.as_ref().filter(|_| !self.sender.must_look()) else {
            return Ok(());
        };
        if self.filled.is_none_or(|at| at.elapsed() >= FILL) {
            self.filled = Some(Instant::now());
            let info = log.info().await?;
            self.setting.notice.stream(&self.name, info.state.bytes, info.config.max_bytes);
        }
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
        let wants = |known: &mut SentLane| known.feed.as_ref().is_some_and(|feed| feed.wants());
        if !self.lanes.iter_mut().any(wants) {
            return false;
        }
        arm_all(|arm| {
            let feeds = self.lanes.iter_mut().filter_map(|known| known.feed.as_deref_mut());
            feeds.filter(|feed| feed.wants()).for_each(|feed| arm(feed.sleeping()));
        });
        let room = self.outbox.is_empty()
            && self.sender.in_flight() < usize::from(self.setting.options.window);
        let sends = |known: &mut SentLane| known.sending().is_some_and(Feed::has_work);
        room && self.lanes.iter_mut().any(sends)
    }

    /// Waits a little, and says so once it lasts.
    async fn stuck(&mut self, problem: &Problem) {
        if let Some(lasts) = self.trouble.lasts() {
            tracing::warn!(
                stream = self.name,
                seconds = lasts.as_secs(),
                "nothing is sent for now; nothing is lost while the rings have room, then the sockets wait: {problem}"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn goes_on(&mut self) {
        if let Some(lasted) = self.trouble.ends() {
            tracing::info!(stream = self.name, seconds = lasted.as_secs(), "it goes on");
        }
    }
}

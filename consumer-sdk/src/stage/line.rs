//! A stage at work: records in, what the function says of them out, one commit for both.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord_event::{Kind, Reason, Shard, topology};
use mixcord_ring::{
    AsyncBell, AttachError, Claim, CreateError, Geometry, Limits, Namespace, Pacer, Position,
    Producer, Pulse, Records, Ring, TakeError,
};

use super::OnFailure;
use super::emit::Emits;
use super::input::{Input, has_group, is_circle, shards};
use super::outlet::{Outlet, Output, Place};
use super::progress::Progress;
use crate::Error;
use crate::consumer::{replacement, take_error};
use crate::doorbell::Doorbell;
use crate::options::Options;
use crate::received::{Context, Event, Lookout};
use crate::standby::Watching;

/// Records taken at once: what a restart works out again at most.
const BATCH: Limits = Limits { records: 256, bytes: 1 << 20 };
/// How often it is said that the ring is full, or that the system refuses a file.
const REMIND: Duration = Duration::from_secs(10);
/// The longest sleep while the ring is full, or the system refuses a file.
const FULL_LOOK: Duration = Duration::from_millis(50);
/// The same when there seems to be room for what did not fit.
const FULL_PAUSE: Duration = Duration::from_millis(2);

/// A stage that runs.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) options: Options,
    pub(super) on_failure: OnFailure,
    namespace: Namespace,
    doorbell: Arc<Doorbell>,
    async_bell: AsyncBell,
    pub(super) context: Arc<Context>,
    watching: Arc<Watching>,
    input: Input,
    pub(super) outlet: Outlet,
    pub(super) progress: Progress,
    /// Where it begins: committed with the loss that is told before it.
    begins: Progress,
    /// What the source's group holds, until it is committed.
    pub(super) claim: Option<Claim>,
    /// Records before this one are done one by one, for a process died of one of them, or of nothing.
    pub(super) careful_until: Position,
    pacer: Pacer,
    pulse: Pulse,
    reminded: Option<Instant>,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Stopped,
}

impl Line {
    /// Takes the stage's ring and its place in the source, and makes them agree.
    pub(super) fn open(
        name: String,
        options: Options,
        on_failure: OnFailure,
        namespace: &Namespace,
        source: Ring,
        geometry: Geometry,
    ) -> Result<Self, Error> {
        if is_circle(namespace, &name, &source) {
            return Err(Error::StageCircle { stage: name, reads: options.source });
        }
        let bell = namespace
            .bell()
            .map_err(|source| Error::Bell { instance: options.instance.clone(), source })?;
        let refused = |source: CreateError| match source {
            CreateError::Attach(AttachError::Locked { .. }) => {
                Error::StageRuns { instance: options.instance.clone(), stage: name.clone() }
            }
            source => Error::StageRing { stage: name.clone(), source: Box::new(source) },
        };
        let ring_name = topology::stage_ring(&name);
        let (producer, _) = Producer::create_or_fit(namespace, &ring_name, geometry, &[], &bell)
            .map_err(refused)?;
        let mut known = producer.checkpoint().and_then(|bytes| Progress::read(&bytes));
        let mut outlet = Outlet { producer };
        if known.is_none() && !has_group(&source, &options) {
            // Before the group is made: a group beside a ring that does not say it is that of a ring that is gone.
            outlet.commit(Progress::FIRST);
            known = Some(Progress::FIRST);
        }
        let input = Input::join(&options, source, known, &bell)?;
        let async_bell = AsyncBell::new(bell.clone())
            .map_err(|source| Error::Io { doing: "starting the waiting thread", source })?;
        let doorbell = Arc::new(Doorbell::new(bell));
        options.stop.register(&doorbell);
        let state = options.state()?;
        let watching = Watching::new(namespace, &state);
        watching.follow(&input.ring);
        let lookout = Arc::clone(&watching) as Arc<dyn Lookout>;
        let context = Arc::new(Context { state, lookout });
        let before = known.unwrap_or_default();
        let careful_until = if before.running { input.position + BATCH.records as u64 } else { 0 };
        let begun = if before.position == input.position { before.begun } else { 0 };
        let (source, position) = (input.ring.id().0, input.position);
        let begins = Progress { source, position, running: true, begun, ..before };
        // Until a loss is told the ring says how far the stage was: whoever is ended before finds it again.
        let is_lost = input.loss.is_some();
        let progress = if is_lost { Progress { running: true, ..before } } else { begins };
        let pacer = Pacer::new(options.pace());
        Ok(Self {
            name,
            options,
            on_failure,
            namespace: namespace.clone(),
            doorbell,
            async_bell,
            context,
            watching,
            input,
            outlet,
            progress,
            begins,
            claim: None,
            careful_until,
            pacer,
            pulse: Pulse::new(),
            reminded: None,
        })
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(super) fn source(&self) -> &Ring {
        &self.input.ring
    }

    /// Until it is stopped.
    pub(super) async fn run<F, Fut>(mut self, function: &F) -> Result<(), Error>
    where
        F: Fn(Event) -> Fut,
        Fut: Future,
        Fut::Output: Emits,
    {
        let result = self.work(function).await;
        // What is done is committed, whatever ended it.
        self.progress.running = false;
        self.commit();
        result
    }

    async fn work<F, Fut>(&mut self, function: &F) -> Result<(), Error>
    where
        F: Fn(Event) -> Fut,
        Fut: Future,
        Fut::Output: Emits,
    {
        let loss = self.input.loss.take();
        let mut flow = self.begin(loss, self.begins).await;
        while flow == Flow::On && !self.options.stop.is_stopped() {
            flow = match self.input.member.take(BATCH) {
                Ok(Some(batch)) => {
                    let (records, claim) = batch.split();
                    self.pacer.took(records.len() as u64);
                    self.claim = Some(claim);
                    let flow = self.batch(function, &Arc::new(records)).await;
                    self.commit();
                    self.claim = None;
                    flow?
                }
                Ok(None) => self.rest().await?,
                Err(TakeError::Evicted { lost, .. }) => self.evicted(lost.end).await,
                Err(source) => return Err(take_error(&self.options, source)),
            };
        }
        Ok(())
    }

    /// Does what was taken.
    async fn batch<F, Fut>(&mut self, function: &F, records: &Arc<Records>) -> Result<Flow, Error>
    where
        F: Fn(Event) -> Fut,
        Fut: Future,
        Fut::Output: Emits,
    {
        for index in 0..records.len() {
            let Some(entry) = records.get(index) else { break };
            // Of what is committed the group may not know yet.
            if entry.position < self.progress.position {
                continue;
            }
            if self.options.stop.is_stopped()
                || self.record(function, records, index).await? == Flow::Stopped
            {
                return Ok(Flow::Stopped);
            }
            self.progress.position = entry.position + 1;
            self.progress.begun = 0;
            if entry.position < self.careful_until {
                self.commit();
            }
        }
        Ok(Flow::On)
    }

    /// The one moment: publishes what is staged with how far the source is done, and lets the source go on.
    pub(super) fn commit(&mut self) {
        commit(&mut self.outlet, self.claim.as_mut(), self.progress);
    }

    /// Sleeps until something may have changed; `bytes` is what there is no room for.
    pub(super) async fn wait_for_room(&mut self, bytes: Option<usize>) -> Flow {
        let ticket = self.async_bell.ticket();
        self.doorbell.arm();
        if self.options.stop.is_stopped() {
            return Flow::Stopped;
        }
        let out = &mut self.outlet.producer;
        let fits = bytes.is_some_and(|bytes| out.arm_space(bytes) && out.has_space(bytes));
        let pause = if fits { FULL_PAUSE } else { FULL_LOOK };
        self.async_bell.notified_within(ticket, pause).await;
        Flow::On
    }

    /// Lets some time pass.
    pub(super) async fn pause(&mut self, time: Duration) -> Flow {
        let Some(end) = Instant::now().checked_add(time) else { return Flow::On };
        loop {
            let ticket = self.async_bell.ticket();
            self.doorbell.arm();
            if self.options.stop.is_stopped() {
                return Flow::Stopped;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Flow::On;
            }
            self.async_bell.notified_within(ticket, left).await;
        }
    }

    /// Says why it stands still, now and then.
    pub(super) fn remind(&mut self, refused: Option<&str>) {
        if self.reminded.is_some_and(|at| at.elapsed() < REMIND) {
            return;
        }
        self.reminded = Some(Instant::now());
        let stage = self.name.as_str();
        match (refused, mixcord_holdup::of(&self.outlet.producer.ring())) {
            (Some(why), _) => tracing::error!(stage, "standing still until there is room: {why}"),
            (None, Some(holdup)) => tracing::warn!(stage, "the stage's ring is full: {holdup}"),
            // Whoever held it has gone on since.
            (None, None) => {}
        }
    }

    /// There is nothing to do: sleeps until there is, and follows the source where it was replaced.
    async fn rest(&mut self) -> Result<Flow, Error> {
        let ticket = self.async_bell.ticket();
        if self.input.ring.producer_waits() {
            self.pacer.hurry();
        }
        if let Some(nap) = self.pacer.rest() {
            self.async_bell.notified_within(ticket, nap).await;
            return Ok(Flow::On);
        }
        self.doorbell.arm();
        self.input.member.arm();
        if self.options.stop.is_stopped() || self.input.member.has_work() {
            return Ok(Flow::On);
        }
        if self.pulse.is_gone(&self.input.ring)
            && let Some(new) = replacement(&self.namespace, &self.input.ring)
        {
            return self.change_over(new).await;
        }
        self.async_bell.notified_within(ticket, self.input.member.tick()).await;
        Ok(Flow::On)
    }

    async fn change_over(&mut self, new: Ring) -> Result<Flow, Error> {
        tracing::warn!(stage = self.name, source = new.name(), "the stage's source was replaced");
        let known = Some(self.progress);
        let input = Input::join(&self.options, new, known, &self.doorbell.bell)?;
        self.watching.follow(&input.ring);
        let (source, position) = (input.ring.id().0, input.position);
        let loss = input.loss;
        self.input = input;
        Ok(self.begin(loss, Progress { source, position, ..self.progress }).await)
    }

    /// The source's group was let go: what it had before it until `end` is gone.
    async fn evicted(&mut self, end: Position) -> Flow {
        if end <= self.progress.position {
            return Flow::On;
        }
        let progress = Progress { position: end, begun: 0, ..self.progress };
        self.begin(Some(Reason::RecordsLost), progress).await
    }

    /// Tells a loss, and goes on from there in the same moment.
    async fn begin(&mut self, loss: Option<Reason>, progress: Progress) -> Flow {
        if let Some(reason) = loss {
            tracing::error!(stage = self.name, reason = reason.as_str(), "events are lost");
            let tag = Kind::GAP.number().into();
            let at = Place { position: progress.position, key: 0, order: 0, tag };
            if self.tell(reason, &shards(&self.namespace), at).await == Flow::Stopped {
                return Flow::Stopped;
            }
        }
        self.progress = progress;
        self.commit();
        Flow::On
    }

    /// Stages a gap for each of these shards.
    pub(super) async fn tell(&mut self, reason: Reason, shards: &[Shard], at: Place) -> Flow {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let received_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let most = (self.outlet.producer.geometry().slots / 4).max(1) as usize;
        for shards in shards.chunks(most) {
            let gaps = shards.iter().map(|&shard| Output::Gap { shard, reason, received_us });
            let gaps: Vec<_> = gaps.collect();
            match self.publish(&gaps, at).await {
                Ok(Flow::On) => {}
                Ok(Flow::Stopped) => return Flow::Stopped,
                Err(error) => tracing::error!(stage = self.name, "a gap cannot be told: {error}"),
            }
        }
        Flow::On
    }
}

/// What is staged becomes visible, with how far the source is done; then the source may go on.
pub(super) fn commit(outlet: &mut Outlet, claim: Option<&mut Claim>, progress: Progress) {
    outlet.commit(progress);
    if let (Some(claim), Some(done)) = (claim, progress.position.checked_sub(1)) {
        claim.ack_through(done);
    }
}

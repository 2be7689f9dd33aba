//! The loop of one shard: carries messages, time and permits to the session machine, and does what
//! the machine says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mixcord_event::send::PresenceUpdate;
use mixcord_event::status::ShardStatus;
use mixcord_event::{Decoder, Encoding, Limits, Shard};
use mixcord_ring::{AsyncBell, Producer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::output::{Output, OutputError};
use super::reading::Complaint;
use super::records::Records;
use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Settings};
use crate::commands::{Ask, Desk};
use crate::config::Token;
use crate::gateway::Gateway;
use crate::identify::Gate;
use crate::limiter::Limiter;
use crate::random::Random;
use crate::session::{Action, Ended, Endpoint, Restored, Session, Times};
use crate::wire::{Compression, Inflater, Socket, Tls, connect, gateway_url};

/// How long closing may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a full ring is complained about.
const STALL_WARNING: Duration = Duration::from_secs(15);

/// What all shards of the process share.
#[derive(Debug)]
pub struct Context {
    /// Where to connect.
    pub gateway: Gateway,
    /// The token, for IDENTIFY and RESUME.
    pub token: Token,
    /// Permits.
    pub gate: Gate,
    /// Requests of consumers.
    pub desk: Arc<Desk>,
    /// Roots.
    pub tls: Tls,
    /// Intents' bits.
    pub intents: u64,
    /// What Discord sends.
    pub encoding: Encoding,
    /// How it is compressed.
    pub compression: Compression,
    /// The largest message in bytes.
    pub message_max: usize,
    /// Kept per shard while its ring is full, in bytes.
    pub buffer: usize,
    /// The presence in IDENTIFY.
    pub presence: Option<PresenceUpdate>,
    /// `large_threshold` in IDENTIFY.
    pub large_threshold: Option<u8>,
    /// Delays between connections.
    pub backoff: Backoff,
    /// Limits of the session.
    pub times: Times,
}

/// What one run of a shard begins with.
pub struct Start {
    /// The shard.
    pub shard: Shard,
    /// Its ring.
    pub producer: Producer,
    /// Rings when there is space again.
    pub bell: AsyncBell,
    /// Says when to stop.
    pub stop: watch::Receiver<bool>,
    /// Runs that failed in a row before this one.
    pub failures: u32,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("shard", &self.shard).finish_non_exhaustive()
    }
}

/// Why a run of a shard ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The ring cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The ring cannot be opened again.
    #[error("{0}")]
    Ring(String),
    /// No permit can be had.
    #[error("the common identify queue cannot be used: {0}")]
    Permit(std::io::Error),
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Runner {
    pub(super) context: Arc<Context>,
    pub(super) shard: Shard,
    pub(super) session: Session,
    pub(super) output: Output,
    pub(super) decoder: Decoder,
    pub(super) inflater: Inflater,
    pub(super) limiter: Limiter,
    pub(super) bell: AsyncBell,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) socket: Option<Socket>,
    /// Wanted as soon as there is room for what it brings.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) connecting: Option<Task<Option<Box<Socket>>>>,
    pub(super) permit: Option<Task<std::io::Result<()>>>,
    pub(super) closing: Option<JoinHandle<()>>,
    stalled: Option<Stall>,
    pub(super) outgoing: Vec<u8>,
    pub(super) complaint: Complaint,
}

/// The socket is not read.
#[derive(Clone, Copy)]
struct Stall {
    since: Instant,
    /// When that was last complained about.
    warned: Instant,
}

/// What woke the loop.
enum Wake {
    Stop,
    Deadline,
    Connected(Option<Box<Socket>>),
    Permit(std::io::Result<()>),
    Space,
    Ask(Ask),
    Message(Option<Result<Message, WsError>>),
}

/// Runs one shard until it is told to stop or no connection can succeed.
///
/// # Errors
/// When the ring or the identify queue fails; a new run may have more luck.
pub async fn run(context: Arc<Context>, start: Start) -> Result<Ended, ShardError> {
    let Start { shard, producer, bell, stop, failures } = start;
    let settings = Settings::new(
        shard.id,
        shard.count,
        context.intents,
        context.encoding,
        context.token.fingerprint(),
    );
    let (checkpoint, restored) = restore(&producer, &settings);
    if restored.session.is_some() {
        context.gate.unexpect(shard.id);
    }
    let now = Instant::now();
    let mut session =
        Session::new(now, restored, context.backoff, context.times, Random::unseeded());
    session.failed_before(failures);
    let limits = Limits { frame_bytes: context.message_max, ..Limits::default() };
    let output = Output::new(producer, Records::new(shard), settings, checkpoint, context.buffer);
    let runner = Runner {
        shard,
        session,
        output,
        decoder: Decoder::new(limits),
        inflater: Inflater::new(context.compression, context.message_max),
        limiter: Limiter::new(Duration::from_secs(41)),
        bell,
        stop,
        asks: context.desk.open(shard.id),
        socket: None,
        endpoint: None,
        connecting: None,
        permit: None,
        closing: None,
        stalled: None,
        outgoing: Vec::new(),
        complaint: Complaint::default(),
        context,
    };
    runner.run().await
}

/// What the ring remembers.
fn restore(producer: &Producer, settings: &Settings) -> (Checkpoint, Restored) {
    let Some(bytes) = producer.checkpoint() else {
        return (Checkpoint::default(), Restored::nothing());
    };
    match Checkpoint::decode(&bytes) {
        Some(mut checkpoint) => {
            let restored = checkpoint.restore(settings);
            let (session, seq) = (checkpoint.status.session, checkpoint.status.seq);
            checkpoint.status = ShardStatus { session, seq, ..ShardStatus::default() };
            (checkpoint, restored)
        }
        None => {
            tracing::error!("the ring's checkpoint cannot be read: a new session begins");
            (Checkpoint::default(), Checkpoint::unreadable(super::now_us() / 1_000_000))
        }
    }
}

impl Runner {
    async fn run(mut self) -> Result<Ended, ShardError> {
        loop {
            if let Some(ended) = self.act().await? {
                return Ok(ended);
            }
            self.begin_connecting();
            self.watch_reading()?;
            match self.wake().await {
                Wake::Stop => self.session.stop(),
                Wake::Deadline => self.session.tick(Instant::now()),
                Wake::Connected(socket) => self.connected(socket),
                Wake::Permit(granted) => {
                    self.permit = None;
                    granted.map_err(ShardError::Permit)?;
                    self.session.permit();
                }
                Wake::Space => {
                    self.output.drain()?;
                    self.commit()?;
                }
                Wake::Ask(ask) => self.answer(ask).await,
                Wake::Message(first) => self.burst(first)?,
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.session.deadline();
        let readable = self.output.has_room();
        let stalled = self.stalled.is_some();
        let Self { stop, connecting, permit, output, bell, socket, asks, .. } = self;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Wake::Stop,
            () = until(deadline) => Wake::Deadline,
            socket = finished(connecting) => Wake::Connected(socket),
            granted = finished(permit) => Wake::Permit(granted),
            Some(ask) = asks.recv() => Wake::Ask(ask),
            () = output.space(bell), if output.is_waiting() => Wake::Space,
            message = next(socket), if readable => Wake::Message(message),
            () = tokio::time::sleep(STALL_WARNING), if stalled => Wake::Deadline,
        }
    }

    /// Does what the machine asked for.
    async fn act(&mut self) -> Result<Option<Ended>, ShardError> {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Connect(endpoint) => self.endpoint = Some(endpoint),
                Action::Send(payload) => self.send(payload).await,
                Action::AskPermit { failures } => {
                    let (context, shard) = (self.context.clone(), self.shard.id);
                    self.permit =
                        Some(Box::pin(async move { context.gate.permit(shard, failures).await }));
                }
                Action::CancelPermit => self.permit = None,
                Action::Close(code) => self.close(code),
                Action::State(state) => {
                    let counter = self.session.counter();
                    let latency = self.session.latencies().last();
                    self.fill_status();
                    self.output.state(state, counter, self.session.session_id(), latency)?;
                    self.commit()?;
                }
                Action::Ended(ended) => {
                    self.connecting = None;
                    if let Some(closing) = self.closing.take() {
                        let _ = tokio::time::timeout(CLOSE_TIMEOUT * 2, closing).await;
                    }
                    return Ok(Some(ended));
                }
            }
        }
        Ok(None)
    }

    fn begin_connecting(&mut self) {
        if !self.output.has_room() {
            return;
        }
        let Some(endpoint) = self.endpoint.take() else { return };
        self.inflater.reset();
        let context = self.context.clone();
        let shard = self.shard.id;
        self.connecting = Some(Box::pin(async move {
            let base = match endpoint {
                Endpoint::Resume(url) => url,
                Endpoint::Gateway { ask_again } => {
                    context.gateway.url(ask_again, &context.gate).await?
                }
            };
            let url = gateway_url(&base, context.encoding, context.compression);
            let encrypted = context.gateway.is_encrypted();
            match connect(url, context.tls.clone(), context.message_max, encrypted).await {
                Ok(socket) => Some(Box::new(socket)),
                Err(error) => {
                    tracing::warn!(shard, %error, "no connection");
                    None
                }
            }
        }));
    }

    fn connected(&mut self, socket: Option<Box<Socket>>) {
        self.connecting = None;
        let now = Instant::now();
        match socket {
            Some(socket) => {
                self.socket = Some(*socket);
                self.session.connected(now);
            }
            None => self.session.connect_failed(now),
        }
    }

    /// Notices when the socket stops being read and when it is read again.
    fn watch_reading(&mut self) -> Result<(), ShardError> {
        let (now, shard) = (Instant::now(), self.shard.id);
        match (self.output.has_room(), self.stalled) {
            (false, None) => {
                self.stalled = Some(Stall { since: now, warned: now });
                self.output.stalled(now);
                self.session.reading_stopped();
                tracing::debug!(shard, "the ring is full: the socket is not read");
                self.commit()
            }
            (false, Some(Stall { since, warned })) => {
                if now.saturating_duration_since(warned) >= STALL_WARNING {
                    self.stalled = Some(Stall { since, warned: now });
                    tracing::warn!(
                        shard,
                        stalled_s = now.saturating_duration_since(since).as_secs(),
                        "the ring is full and the socket not read: Discord drops the session when its \
                         replay buffer overflows; look for the slowest group with `mixcord ls`"
                    );
                }
                Ok(())
            }
            (true, Some(_)) => {
                self.stalled = None;
                let stalled_ms = self.output.moving(now).as_millis();
                self.session.reading_resumed(now);
                tracing::debug!(shard, stalled_ms, "the socket is read again");
                self.commit()
            }
            (true, None) => Ok(()),
        }
    }

    pub(super) fn commit(&mut self) -> Result<(), ShardError> {
        self.fill_status();
        if let Some((counter, seq)) = self.output.commit()? {
            self.session.committed(counter, seq);
        }
        for warning in self.decoder.take_warnings() {
            tracing::warn!(
                shard = self.shard.id,
                ?warning,
                "new to this version, passed on as it is"
            );
        }
        Ok(())
    }

    fn fill_status(&mut self) {
        let status = self.output.status();
        status.reconnects = self.session.reconnects();
        status.latencies_us.clear();
        status.latencies_us.extend(
            self.session
                .latencies()
                .as_slice()
                .iter()
                .map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        );
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn finished<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn next(socket: &mut Option<Socket>) -> Option<Result<Message, WsError>> {
    match socket {
        Some(socket) => socket.next().await,
        None => std::future::pending().await,
    }
}

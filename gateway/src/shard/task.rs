//! The loop of one shard: carries messages, time and permits to the session machine, and does what
//! the machine says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use mixcord_event::command::{Command, Refusal, Reply};
use mixcord_event::send::{EncodeError, Identify, PresenceUpdate, Resume};
use mixcord_event::status::ShardStatus;
use mixcord_event::{Decoder, Encoding, Kind, Limits, Outgoing, RecordMeta, Shard, atoms};
use mixcord_ring::{AsyncBell, Meta, Producer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::output::{Entry, Output, OutputError};
use super::records::Records;
use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Settings};
use crate::commands::{Ask, Desk};
use crate::config::Token;
use crate::gateway::Gateway;
use crate::identify::Gate;
use crate::limiter::Limiter;
use crate::random::Random;
use crate::session::{
    Action, Ended, Endpoint, Event, Incoming, Payload, Restored, Session, Times, Verdict,
};
use crate::wire::{Compression, Inflater, Socket, Tls, connect, gateway_url};

/// One read of the socket takes at most this much before it commits: heartbeats are looked at in
/// between.
const BURST_BYTES: usize = 512 << 10;
/// A message of ours that is not taken within this time never will be.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
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

struct Runner {
    context: Arc<Context>,
    shard: Shard,
    session: Session,
    output: Output,
    decoder: Decoder,
    inflater: Inflater,
    limiter: Limiter,
    bell: AsyncBell,
    stop: watch::Receiver<bool>,
    asks: mpsc::Receiver<Ask>,
    socket: Option<Socket>,
    /// Wanted as soon as there is room for what it brings.
    endpoint: Option<Endpoint>,
    connecting: Option<Task<Option<Box<Socket>>>>,
    permit: Option<Task<std::io::Result<()>>>,
    closing: Option<JoinHandle<()>>,
    stalled: Option<Instant>,
    outgoing: Vec<u8>,
    /// A message could not be decoded, said at most once a minute.
    complained: Option<Instant>,
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
    let Start { shard, producer, bell, stop } = start;
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
    let session = Session::new(now, restored, context.backoff, context.times, Random::unseeded());
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
        complained: None,
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
            self.watch_reading();
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
    fn watch_reading(&mut self) {
        let now = Instant::now();
        match (self.output.has_room(), self.stalled) {
            (false, None) => {
                self.stalled = Some(now);
                self.output.stalled(now);
                self.session.reading_stopped();
                tracing::debug!(shard = self.shard.id, "the ring is full: the socket is not read");
            }
            (false, Some(since)) if now.saturating_duration_since(since) >= STALL_WARNING => {
                self.stalled = Some(now);
                tracing::warn!(
                    shard = self.shard.id,
                    "the ring is full and the socket not read: Discord drops the session when its \
                     replay buffer overflows; look for the slowest group with `mixcord ls`"
                );
            }
            (true, Some(_)) => {
                self.stalled = None;
                let stalled = self.output.moving(now);
                self.session.reading_resumed(now);
                tracing::debug!(
                    shard = self.shard.id,
                    stalled_ms = stalled.as_millis(),
                    "the socket is read again"
                );
            }
            _ => {}
        }
    }

    /// Takes everything that has already arrived, and commits it at once.
    fn burst(&mut self, first: Option<Result<Message, WsError>>) -> Result<(), ShardError> {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            bytes += self.message(message)?;
            let Some(socket) = &mut self.socket else { break };
            if self.session.has_actions() || bytes >= BURST_BYTES || !self.output.has_room() {
                break;
            }
            next = socket.next().now_or_never();
        }
        self.commit()
    }

    fn message(&mut self, message: Option<Result<Message, WsError>>) -> Result<usize, ShardError> {
        let now = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) => {
                self.payload(now, text.as_bytes())?;
                return Ok(text.len());
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.payload(now, &bytes)?;
                return Ok(bytes.len());
            }
            Some(Ok(Message::Close(frame))) => {
                self.socket = None;
                self.session.closed(now, frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => self.session.heard(),
            Some(Err(WsError::Capacity(error))) => {
                tracing::warn!(shard = self.shard.id, %error, "message too large");
                self.session.corrupt(now);
            }
            Some(Err(error)) => {
                tracing::debug!(shard = self.shard.id, %error, "the connection broke");
                self.socket = None;
                self.session.closed(now, None);
            }
            None => {
                self.socket = None;
                self.session.closed(now, None);
            }
        }
        Ok(0)
    }

    fn payload(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ShardError> {
        let payload = match self.inflater.push(bytes) {
            Ok(Some(payload)) => payload,
            Ok(None) => {
                self.session.heard();
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(shard = self.shard.id, %error, "broken stream");
                self.session.corrupt(now);
                return Ok(());
            }
        };
        let decoded = match self.context.encoding {
            Encoding::Etf => self.decoder.etf(payload),
            Encoding::Json => self.decoder.json(payload),
        };
        let mut frame = match decoded {
            Ok(frame) => frame,
            Err(error) => {
                self.output.status().undecodable += 1;
                self.session.poisoned();
                if self.complained.is_none_or(|at| now - at >= Duration::from_secs(60)) {
                    self.complained = Some(now);
                    tracing::warn!(shard = self.shard.id, %error, "a message could not be decoded and is left out");
                }
                return Ok(());
            }
        };
        let data = frame.data();
        let incoming = match frame.op() {
            0 => Incoming::Dispatch {
                seq: frame.seq(),
                event: match frame.kind() {
                    Some(Kind::READY) => Event::Ready {
                        session_id: data
                            .get(atoms::SESSION_ID)
                            .and_then(|id| id.as_str())
                            .unwrap_or_default(),
                        resume_url: data
                            .get(atoms::RESUME_GATEWAY_URL)
                            .and_then(|url| url.as_str()),
                    },
                    Some(Kind::RESUMED) => Event::Resumed,
                    _ => Event::Other,
                },
            },
            1 => Incoming::Heartbeat,
            7 => Incoming::Reconnect,
            9 => Incoming::InvalidSession { resumable: data.as_bool().unwrap_or(false) },
            10 => {
                let interval = data.get_str("heartbeat_interval");
                Incoming::Hello { interval_ms: interval.and_then(|interval| interval.as_u64()) }
            }
            11 => Incoming::HeartbeatAck,
            _ => Incoming::Unknown,
        };
        let answered = incoming == Incoming::HeartbeatAck;
        let Verdict::Deliver(delivery) = self.session.message(now, incoming) else {
            if answered {
                self.output.touch();
            }
            return Ok(());
        };
        let meta = Meta {
            key: frame.partition_key(),
            tag: u64::from(frame.kind().unwrap_or(Kind::UNKNOWN).number()),
            source: delivery.seq,
        };
        let record = frame.record(&RecordMeta {
            shard: self.shard,
            session: delivery.counter,
            received_us: super::now_us(),
            ..RecordMeta::default()
        });
        let entry = Entry { meta, bytes: record, counter: delivery.counter, seq: delivery.seq };
        match (delivery.gap, delivery.begins) {
            (Some(gap), begins) => self.output.gap_and_event(&gap, entry, begins)?,
            (None, Some(session)) => self.output.begin(entry, session)?,
            (None, None) => self.output.event(entry)?,
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ShardError> {
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

    async fn send(&mut self, payload: Payload) {
        let token = || self.context.token.reveal().to_owned();
        let outgoing = match payload {
            Payload::Heartbeat { seq } => Outgoing::Heartbeat { seq },
            Payload::Identify => Outgoing::Identify(Identify {
                token: token(),
                intents: self.context.intents,
                shard: self.shard,
                large_threshold: self.context.large_threshold,
                presence: self.context.presence.clone(),
            }),
            Payload::Resume { session_id, seq } => {
                Outgoing::Resume(Resume { token: token(), session_id, seq })
            }
        };
        if outgoing.op() != 1 {
            let interval = self.session.heartbeat_interval().unwrap_or(Duration::from_secs(41));
            self.limiter = Limiter::new(interval);
        }
        self.limiter.note(Instant::now());
        if let Err(error) = self.transmit(&outgoing).await {
            tracing::error!(shard = self.shard.id, op = outgoing.op(), %error, "not sent");
        }
    }

    /// Carries out a consumer's command, or says why not (G-28 to G-33).
    async fn answer(&mut self, ask: Ask) {
        let Ask { command, reply } = ask;
        let answer = match self.carry_out(command).await {
            Ok(()) => Reply::Accepted,
            Err(refusal) => Reply::Refused(refusal),
        };
        // Whoever asked may be gone.
        let _ = reply.send(answer);
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), Refusal> {
        let absent = Refusal::NotConnected { shard: self.shard.id };
        if !self.session.takes_commands() || self.socket.is_none() {
            return Err(absent);
        }
        let presence = matches!(command, Command::Presence(_));
        let outgoing = command.into_outgoing();
        self.outgoing.clear();
        outgoing
            .encode(self.context.encoding, &mut self.outgoing)
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        self.limiter.take(Instant::now(), presence).map_err(|wait| Refusal::RateLimited {
            retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1),
        })?;
        match self.transmit(&outgoing).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(absent),
            Err(error) => Err(Refusal::Invalid(error.to_string())),
        }
    }

    /// Sends; false when there is no connection any more.
    async fn transmit(&mut self, outgoing: &Outgoing) -> Result<bool, EncodeError> {
        let Some(socket) = &mut self.socket else { return Ok(false) };
        self.outgoing.clear();
        outgoing.encode(self.context.encoding, &mut self.outgoing)?;
        let message = match self.context.encoding {
            Encoding::Etf => Message::binary(self.outgoing.clone()),
            // The encoder writes JSON with serde_json: UTF-8.
            Encoding::Json => Message::text(String::from_utf8_lossy(&self.outgoing).into_owned()),
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!(
                shard = self.shard.id,
                op = outgoing.op(),
                "the connection takes nothing"
            );
            self.socket = None;
            self.session.closed(Instant::now(), None);
            return Ok(false);
        }
        Ok(true)
    }

    /// Says goodbye in the background, so that nothing waits for a server that does not answer.
    fn close(&mut self, code: u16) {
        let Some(mut socket) = self.socket.take() else { return };
        self.closing = Some(tokio::spawn(async move {
            let frame = CloseFrame { code: code.into(), reason: "".into() };
            let goodbye = async {
                socket.close(Some(frame)).await?;
                // Unread bytes would turn the end into a reset, and the server might not see the
                // close code.
                while let Some(Ok(_)) = socket.next().await {}
                Ok::<_, WsError>(())
            };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
        }));
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

//! A session that is begun beside the one that runs, up to its READY.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use mixcord_event::send::PresenceUpdate;
use mixcord_event::{Encoding, Kind, Outgoing, Shard};
use tokio_tungstenite::tungstenite::Message;

use super::context::Context;
use super::frame::{decode, is_cut_short};
use super::reading::incoming;
use crate::identify::Permit;
use crate::limiter::Limiter;
use crate::random::Random;
use crate::session::{Action, Lost, Payload, Reading, Restored, Session, State, USUAL_INTERVAL};
use crate::wire::{Inflater, Socket};

/// A message of ours that is not taken within this time never will be.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that has not identified waits for its permit: others may have come between.
const PERMIT_PATIENCE: Duration = Duration::from_secs(30);

/// A session of which everything up to READY has come.
pub(super) struct Successor {
    pub(super) session: Session,
    pub(super) socket: Socket,
    pub(super) inflater: Inflater,
    pub(super) limiter: Limiter,
    /// What its IDENTIFY says that the bot shows.
    pub(super) presence: Option<PresenceUpdate>,
    /// READY, decompressed.
    pub(super) ready: Vec<u8>,
    /// IDENTIFYs it took.
    pub(super) identifies: u64,
}

/// Begins a session of `shard` out of identifies that are to spare, one shard's at a time, and tries until it has
/// one. Dropping the future ends what was begun.
pub(super) async fn begin(
    context: Arc<Context>,
    shard: Shard,
    presence: Option<PresenceUpdate>,
) -> Successor {
    let mut random = Random::unseeded();
    let (mut failures, mut identifies) = (0, 0);
    loop {
        match try_once(&context, shard, presence.clone(), failures, &mut identifies).await {
            Ok(successor) => return Successor { identifies, presence, ..successor },
            Err(error) => {
                failures += 1;
                let delay = context.backoff.delay(failures, &mut random);
                tracing::warn!(%error, delay_ms = delay.as_millis(), "no new session: the old one goes on");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// Why there is none yet.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("the common identify queue cannot be used: {0}")]
    Permit(#[from] io::Error),
    #[error("others identify first")]
    Others,
}

/// Has its turn until it ends, however it does.
async fn try_once(
    context: &Context,
    shard: Shard,
    presence: Option<PresenceUpdate>,
    failures: u32,
    identifies: &mut u64,
) -> Result<Successor, Failed> {
    let _turn = match &context.refills {
        Some(turns) => turns.acquire().await.map_err(io::Error::other)?,
        None => return std::future::pending().await,
    };
    // What all shards need when they lose their sessions together.
    let keep = u64::from(shard.count);
    // Only an IDENTIFY that came to nothing is one that failed.
    let in_vain = u32::try_from(*identifies).unwrap_or(u32::MAX);
    context.gate.spare_turn(shard.id, in_vain, keep).await?;
    let base = context.gateway.url(failures > 0, &context.gate).await;
    context.until_it_may_run().await;
    let permit = context.gate.spare_permit(shard.id, in_vain, keep);
    let permit = async move {
        let patient = tokio::time::timeout(PERMIT_PATIENCE, permit).await;
        Ok(patient.map_err(|_| Failed::Others)??)
    };
    Attempt::new(context, shard, presence).run(&base, permit, identifies).await
}

/// One connection of it.
struct Attempt<'c> {
    context: &'c Context,
    shard: Shard,
    presence: Option<PresenceUpdate>,
    /// The session has HELLO, and may begin once it has a permit.
    asks: bool,
    permit: Option<Permit>,
    session: Session,
    inflater: Inflater,
    limiter: Limiter,
}

impl<'c> Attempt<'c> {
    fn new(context: &'c Context, shard: Shard, presence: Option<PresenceUpdate>) -> Self {
        let (backoff, times) = (context.backoff, context.times);
        let now = Instant::now();
        let mut session =
            Session::new(now, Restored::nothing(), backoff, times, Random::unseeded());
        // It connects at its first tick.
        session.tick(now, Reading::Running);
        Self {
            context,
            shard,
            presence,
            asks: false,
            permit: None,
            session,
            inflater: Inflater::new(context.compression, context.message_max),
            limiter: Limiter::new(USUAL_INTERVAL),
        }
    }

    /// Asks for the permit once the server has said HELLO: it is held for no longer than IDENTIFY takes.
    async fn run(
        mut self,
        base: &str,
        permit: impl Future<Output = Result<Permit, Failed>>,
        identifies: &mut u64,
    ) -> Result<Successor, Failed> {
        tokio::pin!(permit);
        let mut socket = *self.context.open(base).await.map_err(|_| Lost::NotConnected)?;
        self.session.connected(Instant::now());
        loop {
            self.act(&mut socket, identifies).await?;
            let deadline = self.session.deadline(Reading::Running);
            let tick = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                granted = &mut permit, if self.asks => {
                    self.asks = false;
                    self.permit = Some(granted?);
                    self.session.permit();
                    continue;
                }
                () = tick => {
                    self.session.tick(Instant::now(), Reading::Running);
                    continue;
                }
                message = socket.next() => message,
            };
            let ready = match message {
                Some(Ok(Message::Text(text))) => self.payload(text.as_bytes())?,
                Some(Ok(Message::Binary(bytes))) => self.payload(&bytes)?,
                Some(Ok(Message::Close(frame))) => {
                    return Err(Lost::Closed(frame.map(|frame| frame.code.into())).into());
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Err(Lost::Closed(None).into()),
            };
            if let Some(ready) = ready {
                let Self { session, inflater, limiter, .. } = self;
                let (presence, identifies) = (None, 0);
                return Ok(Successor {
                    session,
                    socket,
                    inflater,
                    limiter,
                    presence,
                    ready,
                    identifies,
                });
            }
        }
    }

    /// Does what the session asked for.
    async fn act(&mut self, socket: &mut Socket, identifies: &mut u64) -> Result<(), Lost> {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Send(payload) => self.send(socket, payload, identifies).await?,
                Action::AskPermit { .. } => self.asks = true,
                Action::State(State::Disconnected) => return Err(Lost::NoReady),
                Action::Ended(_) => return Err(Lost::NotConnected),
                Action::Connect(_)
                | Action::CancelConnect
                | Action::CancelPermit
                | Action::Close(_)
                | Action::State(_) => {}
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        socket: &mut Socket,
        payload: Payload,
        identifies: &mut u64,
    ) -> Result<(), Lost> {
        let outgoing = match payload {
            Payload::Heartbeat { seq, .. } => Outgoing::Heartbeat { seq },
            Payload::Identify if self.permit.as_ref().is_some_and(|permit| !permit.is_valid()) => {
                return Err(Lost::NotConnected);
            }
            Payload::Identify if !self.context.may_run() => return Err(Lost::NotConnected),
            Payload::Identify => {
                Outgoing::Identify(self.context.identify(self.shard, self.presence.take()))
            }
            // It has nothing to resume.
            Payload::Resume { .. } => return Err(Lost::InvalidSession),
        };
        if let Some(interval) = self.session.heartbeat_interval() {
            self.limiter.beats_every(interval);
        }
        self.limiter.note(Instant::now());
        let mut bytes = Vec::new();
        outgoing.encode(self.context.encoding, &mut bytes).map_err(|_| Lost::NotConnected)?;
        let message = match self.context.encoding {
            Encoding::Etf => Message::binary(bytes),
            // The encoder writes JSON with serde_json: UTF-8.
            Encoding::Json => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(Lost::Closed(None));
        }
        if let Some(permit) = self.permit.take_if(|_| matches!(outgoing, Outgoing::Identify(_))) {
            *identifies += 1;
            // The bucket stays ours until the book knows.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = permit.used() {
                    tracing::warn!(%error, "the common identify queue cannot be written");
                }
            });
        }
        Ok(())
    }

    /// Shows a message to the session; READY is given back instead.
    fn payload(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Lost> {
        match self.inflater.push(bytes) {
            Ok(true) => {}
            Ok(false) => {
                self.session.heard();
                return Ok(None);
            }
            Err(error) => {
                tracing::warn!(%error, "broken stream");
                return Err(Lost::Corrupt);
            }
        }
        let mut workbench = self.context.workbenches.take();
        let read = self.read(bytes, &mut workbench.decoder);
        self.context.workbenches.give_back(workbench);
        read
    }

    fn read(
        &mut self,
        bytes: &[u8],
        decoder: &mut mixcord_event::Decoder,
    ) -> Result<Option<Vec<u8>>, Lost> {
        let encoding = self.context.encoding;
        let now = Instant::now();
        // What looks whole may be the last part of a message (G-35).
        let candidates = [Some(self.inflater.newest(bytes)), self.inflater.with_kept()];
        let mut is_cut = false;
        for candidate in candidates.into_iter().flatten() {
            match decode(encoding, decoder, candidate) {
                Ok(frame) if frame.op() == 0 && frame.kind() == Some(Kind::READY) => {
                    return Ok(Some(candidate.to_vec()));
                }
                Ok(frame) => {
                    self.session.message(now, incoming(&frame));
                    return Ok(None);
                }
                Err(error) => is_cut = is_cut_short(&error),
            }
        }
        if is_cut && self.inflater.keep() {
            self.session.heard();
            return Ok(None);
        }
        Err(Lost::Corrupt)
    }
}

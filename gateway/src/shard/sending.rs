//! From the session machine and from consumers to the socket.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use mixcord_event::command::{Command, PAUSE_MAX, Refusal, Reply};
use mixcord_event::presence::SetPresence;
use mixcord_event::send::{EncodeError, Resume};
use mixcord_event::{Encoding, Outgoing};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::task::{CLOSE_TIMEOUT, Runner};
use crate::commands::Ask;
use crate::session::{Incoming, Payload};
use crate::wire::Socket;

/// A message of ours that is not taken within this time never will be.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// When to ask again whether all that was received is in the ring.
const PAUSE_AGAIN_MS: u64 = 200;
/// When it makes sense to ask for another pause of a shard that has to resume first.
const RESUME_FIRST_MS: u64 = 1_000;

impl Runner {
    pub(super) async fn send(&mut self, payload: Payload) {
        if matches!(payload, Payload::Heartbeat { asked: true, .. })
            && !self.limiter.may_answer(Instant::now())
        {
            tracing::debug!("asked for too many heartbeats");
            return;
        }
        let outgoing = match payload {
            Payload::Heartbeat { seq, .. } => {
                let seq = seq.and_then(|seq| match self.context.tenure {
                    Some(_) => self.output.sent_on(self.session.counter()),
                    None => Some(seq),
                });
                Outgoing::Heartbeat { seq }
            }
            Payload::Identify => {
                let presence = self.output.presence(self.context.presence.as_ref());
                Outgoing::Identify(self.context.identify(self.shard, presence))
            }
            Payload::Resume { session_id, seq } => {
                let token = self.context.token.reveal().to_owned();
                Outgoing::Resume(Resume { token, session_id, seq })
            }
        };
        let begins = matches!(outgoing, Outgoing::Identify(_) | Outgoing::Resume(_));
        if begins && !self.context.may_run() {
            tracing::info!(op = outgoing.op(), "not sent: another machine may run the shard");
            self.permitted = None;
            return self.session.reconnect(Instant::now());
        }
        if matches!(outgoing, Outgoing::Identify(_))
            && self.permitted.as_ref().is_some_and(|permit| !permit.is_valid())
        {
            tracing::warn!("the permit to identify is over: another one is asked for");
            self.permitted = None;
            return self.session.reconnect(Instant::now());
        }
        if let Some(interval) = self.session.heartbeat_interval() {
            self.limiter.beats_every(interval);
        }
        self.limiter.note(Instant::now());
        if let Err(error) = self.encode(&outgoing) {
            tracing::error!(op = outgoing.op(), %error, "not sent");
            if matches!(outgoing, Outgoing::Resume(_)) {
                // A session that cannot be asked for is none, and no answer will come.
                let lost = Incoming::InvalidSession { resumable: false };
                self.session.message(Instant::now(), lost);
            }
            return;
        }
        self.transmit(outgoing.op()).await;
        match outgoing {
            Outgoing::Identify(_) => self.output.count(|figures| figures.identifies += 1),
            Outgoing::Resume(_) => self.output.count(|figures| figures.resumes += 1),
            _ => {}
        }
        if let Some(permit) = self.permitted.take_if(|_| matches!(outgoing, Outgoing::Identify(_)))
        {
            // The bucket stays ours until the book knows.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = permit.used() {
                    tracing::warn!(%error, "the common identify queue cannot be written");
                }
            });
        }
    }

    /// Carries out a consumer's command, or says why not (G-28 to G-33).
    pub(super) async fn answer(&mut self, ask: Ask) {
        let Ask { command, reply } = ask;
        let answer = match self.carry_out(command).await {
            Ok(()) => Reply::Accepted,
            Err(refusal) => Reply::Refused(refusal),
        };
        // Whoever asked may be gone.
        let _ = reply.send(answer);
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), Refusal> {
        if let Command::Pause { seconds } = command {
            return self.pause(Duration::from_secs(seconds.into()));
        }
        let absent = Refusal::NotConnected { shard: self.shard.id };
        let takes_commands = self.session.takes_commands() && self.socket.is_some();
        if let Command::Presence(presence) = &command
            && self.context.standing.is_beside()
            && !takes_commands
        {
            // It is to begin with what the other set shows by then.
            let instead_of = self.context.presence.clone();
            self.output.show(SetPresence { presence: presence.clone(), instead_of });
            self.owes_presence = true;
            return Ok(());
        }
        if !takes_commands {
            return Err(absent);
        }
        let presence = matches!(command, Command::Presence(_));
        let Some(outgoing) = command.into_outgoing() else {
            self.session.reconnect(Instant::now());
            return Ok(());
        };
        self.encode(&outgoing).map_err(|error| Refusal::Invalid(error.to_string()))?;
        self.limiter.take(Instant::now(), presence).map_err(|wait| Refusal::RateLimited {
            retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1),
        })?;
        if !self.transmit(outgoing.op()).await {
            return Err(absent);
        }
        if let Outgoing::PresenceUpdate(presence) = outgoing {
            // A session that Discord does not resume would begin with that of the options.
            let instead_of = self.context.presence.clone();
            self.owes_presence = false;
            self.output.show(SetPresence { presence, instead_of });
        }
        Ok(())
    }

    /// Gives the connection up for so long, or goes on at once.
    fn pause(&mut self, pause: Duration) -> Result<(), Refusal> {
        if pause.is_zero() {
            self.session.go_on();
            return Ok(());
        }
        let now = Instant::now();
        if !self.session.pause(now, now + pause) {
            let (id, most) = (self.shard.id, PAUSE_MAX);
            let why = format!(
                "shard {id} was paused for {most} s, as long as Discord keeps a session: it has to resume first"
            );
            return Err(Refusal::Other { why, retry_after_ms: Some(RESUME_FIRST_MS) });
        }
        // Its state has yet to be written where it had a connection until now.
        if self.session.has_actions() || self.output.is_waiting() {
            let why = format!("shard {} has something to write to its ring yet", self.shard.id);
            let retry_after_ms = Some(PAUSE_AGAIN_MS);
            return Err(Refusal::Other { why, retry_after_ms });
        }
        Ok(())
    }

    /// Shows what a command set while this session was begun, once it takes commands.
    pub(super) async fn show_owed(&mut self) {
        if !self.owes_presence || !self.session.takes_commands() {
            return;
        }
        self.owes_presence = false;
        let Some(presence) = self.output.presence(self.context.presence.as_ref()) else { return };
        let outgoing = Outgoing::PresenceUpdate(presence);
        let is_allowed = self.limiter.take(Instant::now(), true).is_ok();
        if self.encode(&outgoing).is_ok() {
            self.owes_presence = !is_allowed || !self.transmit(outgoing.op()).await;
        }
    }

    fn encode(&mut self, outgoing: &Outgoing) -> Result<(), EncodeError> {
        self.outgoing.clear();
        outgoing.encode(self.context.encoding, &mut self.outgoing)
    }

    /// Sends what was encoded; false when there is no connection any more.
    async fn transmit(&mut self, op: u8) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let message = match self.context.encoding {
            Encoding::Etf => Message::binary(self.outgoing.clone()),
            // The encoder writes JSON with serde_json: UTF-8.
            Encoding::Json => Message::text(String::from_utf8_lossy(&self.outgoing).into_owned()),
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!(op, "the connection takes nothing");
            self.socket = None;
            self.session.closed(Instant::now(), None);
            return false;
        }
        true
    }

    /// Says goodbye beside everything else, so that nothing waits for a server that does not answer.
    pub(super) fn close(&mut self, code: u16) {
        if let Some(socket) = self.socket.take() {
            self.say_goodbye(socket, code);
        }
    }

    /// The same to a connection that is not ours any more.
    pub(super) fn say_goodbye(&mut self, mut socket: Socket, code: u16) {
        self.closing = Some(Box::pin(async move {
            let frame = CloseFrame { code: code.into(), reason: "".into() };
            let goodbye = async {
                socket.close(frame).await?;
                // Unread bytes would turn the end into a reset, and the server might not see the
                // close code.
                while let Some(Ok(_)) = socket.next().await {}
                Ok::<_, WsError>(())
            };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
        }));
    }
}

//! One websocket connection, from its handshake to its end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::close::Close;
use super::hub::Hub;
use super::identify::Outcome;
use super::outbound::Outbound;
use super::session::{Packet, Session};
use crate::journal::What;
use crate::value::{Val, obj};
use crate::wire::compress::{CompressError, Transport};
use crate::wire::etf_read;
use crate::wire::message::Encoding;
use crate::wire::websocket::{self, FrameError, Opcode};

/// Bytes gathered before they are written.
const OUT: usize = 64 * 1024;
/// G-30.
const SEND_MAX: usize = 4096;
/// Presence updates a connection may make in 20 seconds (G-29).
const PRESENCES_MAX: usize = 5;
/// How long the server waits for a client's answer to its close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What the address of the websocket asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) encoding: Encoding,
    pub(crate) transport: Transport,
    pub(crate) version_ok: bool,
}

/// What the rest of the server may ask of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// End the TCP connection without a close frame.
    Cut,
    Reconnect,
    InvalidSession(bool),
    Close(Close),
    /// Ask for a heartbeat (op 1).
    AskHeartbeat,
    /// Stop reading and writing for a while.
    Stall(Duration),
    /// Leave this many heartbeats unanswered.
    MissAcks(u32),
    /// Send the next dispatch twice.
    Duplicate,
}

/// How a connection ends.
enum End {
    /// The client closed, with this code, or dropped the connection.
    Client(Option<u16>),
    Server(Close),
    Cut,
}

/// A stream that cannot be compressed any further is cut.
fn broken(_: CompressError) -> End {
    End::Cut
}

struct Connection {
    hub: Arc<Hub>,
    stream: TcpStream,
    out: Outbound,
    link: u64,
    commands: mpsc::UnboundedSender<Command>,
    session: Option<Arc<Session>>,
    input: Vec<u8>,
    fragments: Option<(Opcode, Vec<u8>)>,
    packets: Vec<Packet>,
    sends: VecDeque<Instant>,
    presences: VecDeque<Instant>,
    last_beat: Instant,
    missed_acks: u32,
    duplicate: bool,
}

/// Serves a connection whose handshake is done. `input` is what came after the handshake.
pub(crate) async fn serve(hub: Arc<Hub>, stream: TcpStream, wish: Wish, input: Vec<u8>) {
    let config = &hub.config;
    let Ok(out) =
        Outbound::new(wish.encoding, wish.transport, config.zstd_whole_frames, config.split)
    else {
        return;
    };
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut connection = Connection {
        link: hub.link(),
        stream,
        out,
        commands: sender,
        session: None,
        input,
        fragments: None,
        packets: Vec::new(),
        sends: VecDeque::new(),
        presences: VecDeque::new(),
        last_beat: Instant::now(),
        missed_acks: 0,
        duplicate: false,
        hub,
    };
    connection.hub.log.add(None, None, What::Connect);
    let end = if wish.version_ok {
        connection.run(receiver).await
    } else {
        End::Server(Close::InvalidVersion)
    };
    connection.finish(end).await;
}

impl Connection {
    async fn run(&mut self, mut receiver: mpsc::UnboundedReceiver<Command>) -> End {
        let interval = self.hub.config.heartbeat_ms;
        let hello = obj! {
            "_trace" => vec![r#"["gateway-prd-fake-1",{"micros":0}]"#],
            "heartbeat_interval" => interval as i64,
        };
        if self.out.control(10, &Val::Obj(hello)).is_err() {
            return End::Cut;
        }
        // A client may be late by a beat; then it is gone. Very short intervals are for tests,
        // whose machines may be busy.
        let usual = (interval * 5 / 2).max(interval + 15_000);
        let patience = Duration::from_millis(self.hub.config.patience_ms.unwrap_or(usual));
        loop {
            if let Err(end) = self.read_messages() {
                return end;
            }
            if let Err(end) = self.fill() {
                return end;
            }
            let mut interest = Interest::READABLE;
            if !self.out.bytes.is_empty() {
                interest |= Interest::WRITABLE;
            }
            let session = self.session.clone();
            let ready = async {
                match &session {
                    Some(session) => session.ready.notified().await,
                    None => std::future::pending().await,
                }
            };
            let idle = self.out.bytes.is_empty();
            tokio::select! {
                readiness = self.stream.ready(interest) => {
                    let Ok(readiness) = readiness else { return End::Client(None) };
                    if readiness.is_readable() && self.read().is_err() {
                        return End::Client(None);
                    }
                    if readiness.is_writable() && self.write().is_err() {
                        return End::Client(None);
                    }
                }
                () = ready, if idle => {}
                command = receiver.recv() => {
                    let Some(command) = command else { return End::Cut };
                    if let Err(end) = self.obey(command).await {
                        return end;
                    }
                }
                () = tokio::time::sleep_until((self.last_beat + patience).into()) => {
                    return End::Server(Close::SessionTimedOut);
                }
            }
        }
    }

    /// Reads what is there. An error means that the connection is gone.
    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.input.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        match self.stream.try_write(&self.out.bytes) {
            Ok(count) => {
                self.out.bytes.drain(..count);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes dispatches from the session until a buffer's worth waits to be written.
    fn fill(&mut self) -> Result<(), End> {
        let Some(session) = self.session.clone() else { return Ok(()) };
        if self.out.bytes.len() >= OUT {
            return Ok(());
        }
        let mut packets = std::mem::take(&mut self.packets);
        let first = session.take(self.link, OUT - self.out.bytes.len(), &mut packets);
        for (seq, packet) in (first..).zip(&packets) {
            self.out.dispatch(packet.name, seq, &packet.body).map_err(broken)?;
            if std::mem::take(&mut self.duplicate) {
                self.out.repeat().map_err(broken)?;
            }
        }
        if !packets.is_empty() {
            for feed in self.hub.feeds_of(session.shard, session.shards) {
                feed.wake.notify_one();
            }
        }
        packets.clear();
        self.packets = packets;
        Ok(())
    }

    /// Handles every whole message that has been read.
    fn read_messages(&mut self) -> Result<(), End> {
        loop {
            let frame = match websocket::read_frame(&mut self.input) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(FrameError::TooLarge) => return Err(End::Server(Close::DecodeError)),
                Err(_) => return Err(End::Server(Close::Other(1002))),
            };
            match frame.opcode {
                Opcode::Ping => {
                    websocket::write_frame(Opcode::Pong, &frame.payload, &mut self.out.bytes);
                }
                Opcode::Pong => {}
                Opcode::Close => {
                    let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Err(End::Client(Some(code.unwrap_or(1005))));
                }
                opcode => {
                    let (first, mut bytes) = match (self.fragments.take(), opcode) {
                        (Some(begun), Opcode::Continuation) => begun,
                        (None, Opcode::Text | Opcode::Binary) => (opcode, Vec::new()),
                        _ => return Err(End::Server(Close::Other(1002))),
                    };
                    bytes.extend_from_slice(&frame.payload);
                    if bytes.len() > SEND_MAX {
                        return Err(End::Server(Close::DecodeError));
                    }
                    if frame.last {
                        self.on_message(&bytes)?;
                    } else {
                        self.fragments = Some((first, bytes));
                    }
                }
            }
        }
    }

    fn on_message(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.count_send()?;
        let message = match self.out.encoding() {
            Encoding::Json => serde_json::from_slice(bytes).ok(),
            Encoding::Etf(_) => etf_read::read_term(bytes).ok(),
        };
        let message: Value = message.ok_or(End::Server(Close::DecodeError))?;
        let op = message.get("op").and_then(Value::as_u64);
        let op = op.ok_or(End::Server(Close::DecodeError))?;
        let data = message.get("d").unwrap_or(&Value::Null);
        match op {
            1 => self.on_heartbeat(data),
            2 | 6 if self.session.is_some() => Err(End::Server(Close::AlreadyAuthenticated)),
            2 => self.on_identify(data),
            6 => {
                let outcome = self.hub.resume(data, self.out.encoding());
                self.enter(outcome)
            }
            3 | 4 | 8 | 31 | 43 => {
                let Some(session) = self.session.clone() else {
                    return Err(End::Server(Close::NotAuthenticated));
                };
                let dropped = op == 3 && !self.may_set_presence();
                let op_code = op as u8;
                let what = if dropped {
                    What::Dropped { op: op_code }
                } else {
                    What::Request { op: op_code }
                };
                self.hub.log.add(Some(session.shard), Some(session.ordinal), what);
                if dropped {
                    return Ok(());
                }
                self.hub.request(&session, op, data).map_err(End::Server)
            }
            _ => Err(End::Server(Close::UnknownOpcode)),
        }
    }

    /// G-29.
    fn may_set_presence(&mut self) -> bool {
        let now = Instant::now();
        while self.presences.front().is_some_and(|at| now.duration_since(*at).as_secs() >= 20) {
            self.presences.pop_front();
        }
        self.presences.push_back(now);
        self.presences.truncate(PRESENCES_MAX + 1);
        self.presences.len() <= PRESENCES_MAX
    }

    /// G-28: everything a client sends counts.
    fn count_send(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while self.sends.front().is_some_and(|at| now.duration_since(*at).as_secs() >= 60) {
            self.sends.pop_front();
        }
        self.sends.push_back(now);
        if self.sends.len() > self.hub.config.sends_per_minute {
            return Err(End::Server(Close::RateLimited));
        }
        Ok(())
    }

    fn on_heartbeat(&mut self, data: &Value) -> Result<(), End> {
        let seq = data.as_u64();
        if seq.is_none() && !data.is_null() {
            return Err(End::Server(Close::DecodeError));
        }
        self.last_beat = Instant::now();
        if let Some(session) = &self.session {
            self.hub.log.add(Some(session.shard), Some(session.ordinal), What::Heartbeat { seq });
            if let Some(seq) = seq {
                session.acknowledged(seq);
            }
        }
        if self.missed_acks > 0 {
            self.missed_acks -= 1;
            return Ok(());
        }
        self.out.control(11, &Val::Null).map_err(broken)
    }

    fn on_identify(&mut self, data: &Value) -> Result<(), End> {
        let outcome = self.hub.identify(data, self.out.encoding());
        if data.get("compress") == Some(&Value::Bool(true)) {
            self.out.compress_payloads();
        }
        if let Outcome::Ready(session) = &outcome {
            self.hub.log.add(Some(session.shard), Some(session.ordinal), What::Identify);
        }
        self.enter(outcome)
    }

    fn enter(&mut self, outcome: Outcome) -> Result<(), End> {
        match outcome {
            Outcome::Ready(session) => {
                session.attach(self.link, self.commands.clone());
                self.session = Some(session);
                Ok(())
            }
            Outcome::Invalid => self.out.control(9, &Val::Bool(false)).map_err(broken),
            Outcome::Close(close) => Err(End::Server(close)),
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), End> {
        let fault = match command {
            Command::Cut => "cut",
            Command::Reconnect => "op7",
            Command::InvalidSession(true) => "op9 true",
            Command::InvalidSession(false) => "op9 false",
            Command::Close(_) => "close",
            Command::AskHeartbeat => "op1",
            Command::Stall(_) => "stall",
            Command::MissAcks(_) => "missed acks",
            Command::Duplicate => "duplicate",
        };
        let session = self.session.clone();
        let shard = session.as_ref().map(|session| session.shard);
        let ordinal = session.as_ref().map(|session| session.ordinal);
        self.hub.log.add(shard, ordinal, What::Fault(fault));
        match command {
            Command::Cut => Err(End::Cut),
            Command::Reconnect => self.out.control(7, &Val::Null).map_err(broken),
            Command::InvalidSession(resumable) => {
                self.out.control(9, &Val::Bool(resumable)).map_err(broken)?;
                if let Some(session) = self.session.take() {
                    session.detach(self.link);
                    if !resumable {
                        self.hub.end_session(&session);
                    }
                }
                Ok(())
            }
            Command::Close(close) => Err(End::Server(close)),
            Command::AskHeartbeat => self.out.control(1, &Val::Null).map_err(broken),
            Command::Stall(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Command::MissAcks(count) => {
                self.missed_acks = count;
                Ok(())
            }
            Command::Duplicate => {
                self.duplicate = true;
                Ok(())
            }
        }
    }

    /// Lets go of the session and closes.
    async fn finish(mut self, end: End) {
        let session = self.session.take();
        let shard = session.as_ref().map(|session| session.shard);
        let ordinal = session.as_ref().map(|session| session.ordinal);
        let what = match &end {
            End::Client(code) => What::Left { code: *code },
            End::Server(close) => What::Closed { code: close.code() },
            End::Cut => What::Closed { code: 0 },
        };
        self.hub.log.add(shard, ordinal, what);
        let over = match &end {
            // G-22: a client that says 1000 or 1001 ends its session.
            End::Client(code) => matches!(code, Some(1000 | 1001)),
            End::Server(close) => close.ends_session(),
            End::Cut => false,
        };
        if let Some(session) = session {
            session.detach(self.link);
            if over {
                self.hub.end_session(&session);
            }
            for feed in self.hub.feeds_of(session.shard, session.shards) {
                feed.wake.notify_one();
            }
        }
        match end {
            End::Cut => {
                // A reset, not an orderly end: what is on its way is lost.
                let _ = self.stream.set_zero_linger();
            }
            End::Client(Some(code)) => {
                // An answer needs the code back; 1005 says that there was none.
                let code = if code == 1005 { 1000 } else { code };
                websocket::write_close(code, "", &mut self.out.bytes);
                self.drain(false).await;
            }
            End::Client(None) => {}
            End::Server(close) => {
                websocket::write_close(close.code(), close.reason(), &mut self.out.bytes);
                self.drain(true).await;
            }
        }
    }

    /// Writes what is left; then, if `wait`, reads on until the client has gone.
    async fn drain(&mut self, wait: bool) {
        let work = async {
            while !self.out.bytes.is_empty() {
                if self.stream.writable().await.is_err() || self.write().is_err() {
                    return;
                }
            }
            if !wait {
                return;
            }
            loop {
                self.input.clear();
                if self.stream.readable().await.is_err() || self.read().is_err() {
                    return;
                }
                // The client's own close frame is all that matters now.
                if self.input.first().is_some_and(|first| first & 0x0f == Opcode::Close as u8) {
                    return;
                }
            }
        };
        // A client that does not answer is left alone.
        let _ = tokio::time::timeout(CLOSE_WAIT, work).await;
    }
}

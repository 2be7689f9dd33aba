//! One websocket connection, from its handshake to its end.

mod ending;
mod inbound;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::hub::Hub;
use super::outbound::Outbound;
use super::session::{Packet, Session};
use crate::journal::What;
use crate::value::{Val, obj};
use crate::wire::message::Encoding;
use crate::wire::websocket::{self, Opcode};
use mixcord_wire::Close;
use mixcord_wire::compress::{CompressError, Transport};

/// Bytes gathered before they are written.
const OUT: usize = 64 * 1024;

/// What the address of the websocket asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) encoding: Encoding,
    pub(crate) transport: Transport,
    pub(crate) version_ok: bool,
    /// The host and the path with its parameters, for the log.
    pub(crate) host: String,
    pub(crate) target: String,
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
    /// The answer to the client's last ping, until there is room for it.
    pong: Option<Vec<u8>>,
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
        pong: None,
        hub,
    };
    connection.hub.log.add(None, None, What::Connect { host: wish.host, target: wish.target });
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
        if self.out.bytes.len() >= OUT {
            return Ok(());
        }
        if let Some(payload) = self.pong.take() {
            websocket::write_frame(Opcode::Pong, &payload, &mut self.out.bytes);
        }
        let Some(session) = self.session.clone() else { return Ok(()) };
        let mut packets = std::mem::take(&mut self.packets);
        let taken = session.take(self.link, OUT - self.out.bytes.len(), &mut packets);
        for (seq, packet) in (taken.first..).zip(&packets) {
            self.out.dispatch(packet.name, seq, &packet.body).map_err(broken)?;
            if std::mem::take(&mut self.duplicate) {
                self.out.repeat().map_err(broken)?;
            }
        }
        if taken.was_full {
            for feed in self.hub.feeds_of(session.shard, session.shards) {
                feed.wake.notify_one();
            }
        }
        packets.clear();
        self.packets = packets;
        Ok(())
    }
}

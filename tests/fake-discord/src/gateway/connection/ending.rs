//! Faults a connection is told to have, and how it ends.

use std::time::{Duration, Instant};

use super::{Command, Connection, End, broken};
use crate::journal::What;
use crate::value::Val;
use crate::wire::websocket::{self, Opcode};

/// How long the server waits for a client's answer to its close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) async fn obey(&mut self, command: Command) -> Result<(), End> {
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
                // What the client sent meanwhile has not been read: that is no fault of its.
                self.last_beat = Instant::now();
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
    pub(super) async fn finish(mut self, end: End) {
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

//! What a client sends: frames put together to messages, counted, and handled by opcode.

use std::time::Instant;

use serde_json::Value;

use super::{Connection, End, broken};
use crate::gateway::identify::Outcome;
use crate::journal::What;
use crate::value::Val;
use crate::wire::message::Encoding;
use crate::wire::websocket::{self, FrameError, Opcode};
use mixcord_wire::Close;

/// G-30.
const SEND_MAX: usize = 4096;
/// Presence updates a connection may make in 20 seconds (G-29).
const PRESENCES_MAX: usize = 5;

impl Connection {
    /// Handles every whole message that has been read.
    pub(super) fn read_messages(&mut self) -> Result<(), End> {
        loop {
            let frame = match websocket::read_frame(&mut self.input) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(FrameError::TooLarge) => return Err(End::Server(Close::DecodeError)),
                Err(_) => return Err(End::Server(Close::Other(1002))),
            };
            match frame.opcode {
                Opcode::Ping => {
                    // Only the last one counts: a client that does not read may ping for ever.
                    self.pong = Some(frame.payload);
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
            Encoding::Etf(_) => mixcord_wire::read_term(bytes).ok(),
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
                // Its lanes may have waited for it.
                for feed in self.hub.feeds_of(session.shard, session.shards) {
                    feed.wake.notify_one();
                }
                self.session = Some(session);
                Ok(())
            }
            Outcome::Invalid => self.out.control(9, &Val::Bool(false)).map_err(broken),
            Outcome::Close(close) => Err(End::Server(close)),
        }
    }
}

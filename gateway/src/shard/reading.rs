//! From the socket to the session machine and the ring.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use mixcord_event::{
    DecodeError, DecodeErrorKind, Decoder, Encoding, Flags, Frame, Kind, RecordMeta, Value, atoms,
};
use mixcord_ring::Meta;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::burst::{Feed, take_burst};
use super::context::ShardError;
use super::news;
use super::now_us;
use super::output::{Entry, Output};
use super::task::Runner;
use crate::session::{Event, Incoming, Session, Verdict};

/// A message, an error or the end.
type Received = Option<Result<Message, WsError>>;

/// A shard while it reads.
struct Reading<'r> {
    runner: &'r mut Runner,
    decoder: &'r mut Decoder,
}

impl Feed for Reading<'_> {
    type Received = Received;

    fn handle(&mut self, received: Received) -> Result<usize, ShardError> {
        self.runner.message(received, self.decoder)
    }

    fn ready(&mut self) -> Option<Received> {
        // What the session wants done comes first.
        if self.runner.session.has_actions() || !self.runner.output.has_room() {
            return None;
        }
        self.runner.socket.as_mut()?.next().now_or_never()
    }
}

impl Runner {
    /// Takes everything that has already arrived, and commits it at once.
    pub(super) fn burst(&mut self, first: Received) -> Result<(), ShardError> {
        let context = self.context.clone();
        let mut workbench = context.workbenches.take();
        self.inflater.lend(&mut workbench.inflated);
        let mut reading = Reading { runner: self, decoder: &mut workbench.decoder };
        let read = take_burst(&mut reading, first);
        context.rhythm.took(*read.as_ref().unwrap_or(&0));
        self.inflater.give_back(&mut workbench.inflated);
        news::tell(&context.workbenches.unheard_of(workbench.decoder.take_warnings()));
        context.workbenches.give_back(workbench);
        read?;
        self.commit()
    }

    fn message(&mut self, message: Received, decoder: &mut Decoder) -> Result<usize, ShardError> {
        let now = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) => {
                self.payload(now, text.as_bytes(), decoder)?;
                return Ok(text.len());
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.payload(now, &bytes, decoder)?;
                return Ok(bytes.len());
            }
            Some(Ok(Message::Close(frame))) => {
                self.socket = None;
                if let Some(frame) = &frame {
                    self.tell_reason(frame);
                }
                self.session.closed(now, frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => self.session.heard(),
            // What breaks the rules of websockets would come again and again in a replay: unlike
            // a lost connection it counts against resuming.
            Some(Err(error @ (WsError::Capacity(_) | WsError::Utf8(_) | WsError::Protocol(_))))
                if !is_cut(&error) =>
            {
                tracing::warn!(%error, "not a sound websocket message");
                self.session.corrupt(now);
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the connection broke");
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

    /// What the server says to a close code is often all that explains it.
    fn tell_reason(&self, frame: &CloseFrame) {
        if let Some(reason) = told(&frame.reason, self.context.token.reveal()) {
            tracing::warn!(code = u16::from(frame.code), reason, "the server says why it closes");
        }
    }

    fn payload(
        &mut self,
        now: Instant,
        bytes: &[u8],
        decoder: &mut Decoder,
    ) -> Result<(), ShardError> {
        match self.inflater.push(bytes) {
            Ok(true) => {}
            Ok(false) => {
                self.session.heard();
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(%error, "broken stream");
                self.session.corrupt(now);
                return Ok(());
            }
        }
        let encoding = self.context.encoding;
        let flags = flags(self.context.intents);
        let origin = RecordMeta { shard: self.shard, flags, ..RecordMeta::default() };
        let alone = match decode(encoding, decoder, self.inflater.newest(bytes)) {
            Ok(frame) => {
                // What was kept was no first part of this: the rest of a message is none by itself.
                if let Some(kept) = self.inflater.with_kept() {
                    let error = cut_short(kept.len());
                    self.complaint.undecodable(now, &error, &mut self.output);
                    self.session.poisoned(now);
                }
                return take(frame, now, origin, &mut self.session, &mut self.output);
            }
            Err(error) => error,
        };
        let whole = match self.inflater.with_kept() {
            None => None,
            Some(whole) => match decode(encoding, decoder, whole) {
                Ok(frame) => {
                    return take(frame, now, origin, &mut self.session, &mut self.output);
                }
                Err(error) => Some(error),
            },
        };
        self.session.heard();
        let error = whole.as_ref().unwrap_or(&alone);
        // G-35: what looks whole may be the first part of a message.
        if is_cut_short(error) && self.inflater.keep() {
            return Ok(());
        }
        self.complaint.undecodable(now, error, &mut self.output);
        self.session.poisoned(now);
        if whole.is_some() && is_cut_short(&alone) {
            self.inflater.keep_newest();
        }
        Ok(())
    }
}

fn decode<'d>(
    encoding: Encoding,
    decoder: &'d mut Decoder,
    payload: &[u8],
) -> Result<Frame<'d>, DecodeError> {
    match encoding {
        Encoding::Etf => decoder.etf(payload),
        Encoding::Json => decoder.json(payload),
    }
}

fn is_cut_short(error: &DecodeError) -> bool {
    error.kind == DecodeErrorKind::Truncated
}

/// Of a message whose end never came.
fn cut_short(offset: usize) -> DecodeError {
    DecodeError { kind: DecodeErrorKind::Truncated, offset, path: String::new() }
}

/// More of a close frame's reason is not logged; websockets allow 123 bytes.
const REASON_MAX: usize = 128;

/// A close frame's reason as it may be logged: bounded, on one line, and without the token (P9).
fn told(reason: &str, token: &str) -> Option<String> {
    if reason.is_empty() {
        return None;
    }
    if reason.contains(token) {
        return Some("(repeats the token)".to_owned());
    }
    let short: String = reason.chars().take(REASON_MAX).collect();
    Some(short.escape_debug().to_string())
}

/// TCP ended without a close frame.
fn is_cut(error: &WsError) -> bool {
    matches!(error, WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake))
}

/// A message that could not be decoded is told at most once in this time.
const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

/// Tells of messages that cannot be decoded, without flooding the log.
#[derive(Debug, Default)]
pub(super) struct Complaint(Option<Instant>);

impl Complaint {
    fn undecodable(&mut self, now: Instant, error: &DecodeError, output: &mut Output) {
        output.status().undecodable += 1;
        if self.0.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_EVERY) {
            self.0 = Some(now);
            tracing::warn!(%error, "a message could not be decoded and is left out");
        }
    }
}

/// Shows a message to the session, and writes what it wants kept.
fn take(
    mut frame: Frame<'_>,
    now: Instant,
    origin: RecordMeta,
    session: &mut Session,
    output: &mut Output,
) -> Result<(), ShardError> {
    let incoming = incoming(&frame);
    let answered = incoming == Incoming::HeartbeatAck;
    let Verdict::Deliver(delivery) = session.message(now, incoming) else {
        if answered {
            output.touch();
        }
        return Ok(());
    };
    let meta = Meta {
        key: frame.partition_key(),
        tag: u64::from(frame.kind().unwrap_or(Kind::UNKNOWN).number()),
        source: delivery.seq,
        ..Meta::default()
    };
    let record =
        frame.record(&RecordMeta { session: delivery.counter, received_us: now_us(), ..origin });
    let entry =
        Entry { meta, bytes: record, counter: delivery.counter, resume_at: delivery.resume_at };
    match (delivery.gap, delivery.begins) {
        (Some(gap), begins) => output.gap_and_event(&gap, entry, begins)?,
        (None, Some(session)) => output.begin(entry, session)?,
        (None, None) => output.event(entry)?,
    }
    Ok(())
}

/// What the session's intents say about its records.
const fn flags(intents: u64) -> Flags {
    const GUILD_MEMBERS: u64 = 1 << 1;
    if intents & GUILD_MEMBERS == 0 { Flags::NONE } else { Flags::MEMBER_EVENTS }
}

/// What the session has to know of a message.
fn incoming<'f>(frame: &'f Frame<'_>) -> Incoming<'f> {
    let data = frame.data();
    match frame.op() {
        0 => {
            let text = |key| data.get(key).and_then(|value: Value<'f>| value.as_str());
            let event = match frame.kind() {
                Some(Kind::READY) => Event::Ready {
                    session_id: text(atoms::SESSION_ID).unwrap_or_default(),
                    resume_url: text(atoms::RESUME_GATEWAY_URL),
                },
                Some(Kind::RESUMED) => Event::Resumed,
                _ => Event::Other,
            };
            Incoming::Dispatch { seq: frame.seq(), event }
        }
        1 => Incoming::Heartbeat,
        7 => Incoming::Reconnect,
        9 => Incoming::InvalidSession { resumable: data.as_bool().unwrap_or(false) },
        10 => {
            let interval = data.get_str("heartbeat_interval");
            Incoming::Hello { interval_ms: interval.and_then(|interval| interval.as_u64()) }
        }
        11 => Incoming::HeartbeatAck,
        _ => Incoming::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_a_close_reason_is_logged_bounded_escaped_and_without_the_token() {
        assert_eq!(told("", "secret"), None);
        assert_eq!(told("User-Agent missing", "secret").as_deref(), Some("User-Agent missing"));
        let escaped = told("\u{1b}[2J\nfaked line \u{202e}", "secret").expect("a reason");
        assert!(escaped.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{escaped}");
        assert_eq!(told(&"x".repeat(5_000), "secret").map(|told| told.len()), Some(REASON_MAX));
        assert!(!told("token secret is wrong", "secret").expect("a reason").contains("secret"));
    }
}

//! From the socket to the session machine and the ring.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use mixcord_event::{DecodeError, Decoder, Flags, Frame, Kind, RecordMeta, Value, atoms};
use mixcord_ring::Meta;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::burst::{Feed, take_burst};
use super::context::ShardError;
use super::former::{Awaited, is_formers};
use super::frame::{Found, find};
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
        let began = Instant::now();
        let context = self.context.clone();
        context.rhythm.wake_late(began);
        let mut workbench = context.workbenches.take();
        self.inflater.lend(&mut workbench.inflated);
        let mut reading = Reading { runner: self, decoder: &mut workbench.decoder };
        let read = take_burst(&mut reading, first);
        context.rhythm.took(*read.as_ref().unwrap_or(&0));
        self.inflater.give_back(&mut workbench.inflated);
        news::tell(&context.workbenches.unheard_of(workbench.decoder.take_warnings()));
        context.workbenches.give_back(workbench);
        read?;
        if let Some(wakes) = self.commit_quietly()? {
            context.rhythm.wake(wakes, Instant::now());
        }
        self.output.paused(began.elapsed(), context.rhythm.take_late());
        Ok(())
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

    /// What all records of the shard have in common.
    pub(super) fn origin(&self) -> RecordMeta {
        let flags = flags(self.context.intents);
        RecordMeta { shard: self.shard, flags, ..RecordMeta::default() }
    }

    fn payload(
        &mut self,
        now: Instant,
        bytes: &[u8],
        decoder: &mut Decoder,
    ) -> Result<(), ShardError> {
        let origin = self.origin();
        let Self { context, inflater, session, output, awaited, complaint, .. } = self;
        let found = find(inflater, bytes, context.encoding, decoder, |frame, kept| {
            if let Some(error) = kept {
                complaint.undecodable(now, &error, output);
                session.poisoned(now);
            }
            take(frame, now, origin, session, output, awaited)
        });
        match found {
            Ok(Found::Message(taken)) => return taken,
            Ok(Found::Part) => session.heard(),
            Ok(Found::Undecodable(error)) => {
                complaint.undecodable(now, &error, output);
                session.poisoned(now);
            }
            Err(error) => {
                tracing::warn!(%error, "broken stream");
                session.corrupt(now);
            }
        }
        Ok(())
    }
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
    pub(super) fn undecodable(&mut self, now: Instant, error: &DecodeError, output: &mut Output) {
        output.status().undecodable += 1;
        if self.0.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_EVERY) {
            self.0 = Some(now);
            tracing::warn!(%error, "a message could not be decoded and is left out");
        }
    }
}

/// Shows a message to the session, and writes what it wants kept, but for events of guilds that are the session's before
/// this one to bring.
pub(super) fn take(
    mut frame: Frame<'_>,
    now: Instant,
    origin: RecordMeta,
    session: &mut Session,
    output: &mut Output,
    awaited: &mut Awaited,
) -> Result<(), ShardError> {
    let incoming = incoming(&frame);
    let answered = incoming == Incoming::HeartbeatAck;
    let Verdict::Deliver(delivery) = session.message(now, incoming) else {
        if answered {
            output.touch();
        }
        return Ok(());
    };
    let key = frame.partition_key();
    if is_formers(awaited, frame.kind(), key) && delivery.gap.is_none() {
        output.pass_over(delivery.counter, delivery.resume_at);
        return Ok(());
    }
    let meta = Meta {
        key,
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
pub(super) fn incoming<'f>(frame: &'f Frame<'_>) -> Incoming<'f> {
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

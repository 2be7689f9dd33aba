//! From the socket to the session machine and the ring.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use mixcord_event::{
    DecodeError, DecodeErrorKind, Encoding, Frame, Kind, RecordMeta, Shard, Value, atoms,
};
use mixcord_ring::Meta;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::context::ShardError;
use super::now_us;
use super::output::{Entry, Output};
use super::task::Runner;
use crate::session::{Event, Incoming, Session, Verdict};

/// One read of the socket takes at most this much before it commits: heartbeats are looked at in
/// between.
const BURST_BYTES: usize = 512 << 10;

impl Runner {
    /// Takes everything that has already arrived, and commits it at once.
    pub(super) fn burst(
        &mut self,
        first: Option<Result<Message, WsError>>,
    ) -> Result<(), ShardError> {
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

    fn payload(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ShardError> {
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
        let mut errors = Vec::new();
        for candidate in self.inflater.candidates(bytes) {
            let decoded = match self.context.encoding {
                Encoding::Etf => self.decoder.etf(candidate),
                Encoding::Json => self.decoder.json(candidate),
            };
            match decoded {
                Err(error) => errors.push(error),
                Ok(frame) => {
                    if let Some(error) = errors.first() {
                        self.complaint.undecodable(now, error, &mut self.output);
                        self.session.poisoned(now);
                    }
                    return take(frame, now, self.shard, &mut self.session, &mut self.output);
                }
            }
        }
        self.session.heard();
        let cut_short = |error: &DecodeError| error.kind == DecodeErrorKind::Truncated;
        // G-35: what looks whole may be the first part of a message.
        if errors.first().is_some_and(cut_short) && self.inflater.keep() {
            return Ok(());
        }
        if let Some(error) = errors.first() {
            self.complaint.undecodable(now, error, &mut self.output);
            self.session.poisoned(now);
        }
        if errors.len() > 1 && errors.last().is_some_and(cut_short) {
            self.inflater.keep_newest();
        }
        Ok(())
    }
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
    shard: Shard,
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
    };
    let record = frame.record(&RecordMeta {
        shard,
        session: delivery.counter,
        received_us: now_us(),
        ..RecordMeta::default()
    });
    let entry =
        Entry { meta, bytes: record, counter: delivery.counter, resume_at: delivery.resume_at };
    match (delivery.gap, delivery.begins) {
        (Some(gap), begins) => output.gap_and_event(&gap, entry, begins)?,
        (None, Some(session)) => output.begin(entry, session)?,
        (None, None) => output.event(entry)?,
    }
    Ok(())
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

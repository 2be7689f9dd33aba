//! From the socket to the session machine and the ring.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use mixcord_event::{Encoding, Kind, RecordMeta, atoms};
use mixcord_ring::Meta;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::now_us;
use super::output::Entry;
use super::task::{Runner, ShardError};
use crate::session::{Event, Incoming, Verdict};

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
            received_us: now_us(),
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
}

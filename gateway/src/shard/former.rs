//! The connection of a session whose place another one has taken: what it brings of guilds that have not come on the
//! new one yet.
//!
//! Discord sends a guild's events to a session from its GUILD_CREATE on, and a shard's guilds come for seconds or minutes
//! after READY. Until a guild has come, its events are those of the old session; from then on those of the new one.
//! What both bring is written once. Only at the moment of that change may an event be missing or come twice, for the
//! two connections have no common clock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use mixcord_event::{Decoder, Encoding, Frame, Kind, Outgoing, RecordMeta, Value, atoms};
use mixcord_ring::Meta;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::burst::{Feed, take_burst};
use super::context::ShardError;
use super::frame::{Found, find, message};
use super::now_us;
use super::output::Output;
use super::task::{CLOSE_TIMEOUT, Runner};
use crate::limiter::Limiter;
use crate::session::{ENDING_CLOSE, State};
use crate::wire::{Inflater, Socket};

/// For how long it is read. A guild that has not come by then is away, as a rule, and brings nothing.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The guilds of READY that have not come yet.
pub(super) type Awaited = HashSet<u64>;

/// What is read yet of the session before.
pub(super) struct Former {
    pub(super) socket: Socket,
    inflater: Inflater,
    limiter: Limiter,
    /// Its number, the last of its events that was written when the other took its place, and the last it brought.
    counter: u32,
    accepted: u64,
    seq: u64,
    interval: Duration,
    next_beat: Instant,
    /// How much longer it is read, from when that was looked at.
    left: Duration,
    looked: Instant,
    /// While the ring is full nothing is read, and no time passes.
    is_read: bool,
}

impl Former {
    /// The connection of the session with this number, of which all up to `accepted` is written. It beats at once, as
    /// nobody knows here when it did last.
    pub(super) fn new(
        socket: Socket,
        inflater: Inflater,
        limiter: Limiter,
        interval: Duration,
        (counter, accepted): (u32, u64),
    ) -> Self {
        let now = Instant::now();
        Self {
            socket,
            inflater,
            limiter,
            counter,
            accepted,
            seq: accepted,
            interval,
            next_beat: now,
            left: LONGEST,
            looked: now,
            is_read: true,
        }
    }

    /// Passes its time; whether it is over.
    fn is_late(&mut self, now: Instant, is_read: bool) -> bool {
        if std::mem::replace(&mut self.is_read, is_read) {
            self.left = self.left.saturating_sub(now.saturating_duration_since(self.looked));
        }
        self.looked = now;
        self.left.is_zero()
    }

    /// When there is something to do for it, whatever it brings.
    pub(super) fn deadline(&self) -> Instant {
        let end = self.is_read.then(|| self.looked + self.left);
        end.map_or(self.next_beat, |end| end.min(self.next_beat))
    }

    /// Sends a heartbeat; false where the connection takes none.
    async fn beat(&mut self, encoding: Encoding) -> bool {
        let now = Instant::now();
        self.next_beat = now + self.interval;
        self.limiter.note(now);
        let beat = Outgoing::Heartbeat { seq: Some(self.seq) };
        let Ok(message) = message(&beat, encoding) else { return false };
        let sent = tokio::time::timeout(CLOSE_TIMEOUT, self.socket.send(message)).await;
        matches!(sent, Ok(Ok(())))
    }
}

/// The guilds that READY names.
pub(super) fn guilds_of(ready: &Frame<'_>) -> Awaited {
    let guilds = ready.data().get(atoms::GUILDS).and_then(Value::as_list);
    let guilds = guilds.into_iter().flat_map(|guilds| guilds.iter().filter_map(Value::as_map));
    guilds.filter_map(|guild| guild.get(atoms::ID)?.as_id()).collect()
}

/// Whether an event of the new session is the old one's to bring. Notes guilds that have come.
pub(super) fn is_formers(awaited: &mut Awaited, kind: Option<Kind>, guild: u64) -> bool {
    match kind {
        _ if awaited.is_empty() => false,
        // Another session: nothing of this one counts any more.
        Some(Kind::READY) => {
            awaited.clear();
            false
        }
        // One that is away, or has gone, brings no events.
        Some(Kind::GUILD_CREATE | Kind::GUILD_DELETE) => {
            awaited.remove(&guild);
            false
        }
        Some(kind) if is_answer(kind) => false,
        _ => awaited.contains(&guild),
    }
}

/// Comes where it was asked for, and nowhere else.
fn is_answer(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::GUILD_MEMBERS_CHUNK
            | Kind::SOUNDBOARD_SOUNDS
            | Kind::CHANNEL_INFO
            | Kind::RATE_LIMITED
            | Kind::VOICE_SERVER_UPDATE
    )
}

/// The former connection while it is read.
struct Reading<'r> {
    runner: &'r mut Runner,
    decoder: &'r mut Decoder,
}

impl Feed for Reading<'_> {
    type Received = Option<Result<Message, WsError>>;

    fn handle(&mut self, received: Self::Received) -> Result<usize, ShardError> {
        let bytes: &[u8] = match &received {
            Some(Ok(Message::Text(text))) => text.as_bytes(),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(0),
            Some(Ok(Message::Close(_)) | Err(_)) | None => {
                self.runner.leave_former();
                return Ok(0);
            }
        };
        if !self.runner.of_former(bytes, self.decoder)? {
            self.runner.leave_former();
        }
        Ok(bytes.len())
    }

    fn ready(&mut self) -> Option<Self::Received> {
        if !self.runner.output.has_room() {
            return None;
        }
        self.runner.former.as_mut()?.socket.next().now_or_never()
    }
}

impl Runner {
    /// Takes what the old connection brought.
    pub(super) fn former(
        &mut self,
        first: Option<Result<Message, WsError>>,
    ) -> Result<(), ShardError> {
        let context = self.context.clone();
        let mut workbench = context.workbenches.take();
        let mut reading = Reading { runner: self, decoder: &mut workbench.decoder };
        let read = take_burst(&mut reading, first);
        context.rhythm.took(*read.as_ref().unwrap_or(&0));
        context.workbenches.give_back(workbench);
        read?;
        self.commit()
    }

    /// The same, if it has brought something: what it has of a guild comes before the guild does on the new one.
    pub(super) fn former_first(&mut self) -> Result<(), ShardError> {
        let former = self.former.as_mut().filter(|_| self.output.has_room());
        match former.and_then(|former| former.socket.next().now_or_never()) {
            Some(first) => self.former(first),
            None => Ok(()),
        }
    }

    /// Whether more may come.
    fn of_former(&mut self, bytes: &[u8], decoder: &mut Decoder) -> Result<bool, ShardError> {
        let origin = self.origin();
        let Self { former, context, awaited, output, complaint, .. } = self;
        let Some(former) = former else { return Ok(false) };
        let (origin, accepted) =
            (RecordMeta { session: former.counter, ..origin }, former.accepted);
        let encoding = context.encoding;
        let found = find(&mut former.inflater, bytes, encoding, decoder, |frame, kept| {
            if let Some(error) = kept {
                complaint.undecodable(Instant::now(), &error, output);
            }
            let (op, seq) = (frame.op(), frame.seq());
            let written = write(frame, origin, awaited, accepted, output);
            written.map(|goes_on| (op, seq, goes_on))
        });
        match found {
            Ok(Found::Message(written)) => {
                let (op, seq, goes_on) = written?;
                former.seq = seq.unwrap_or(former.seq);
                let now = Instant::now();
                if op == 1 && former.limiter.may_answer(now) {
                    former.next_beat = now;
                }
                Ok(goes_on)
            }
            Ok(Found::Part) => Ok(true),
            // As in any session the others go on.
            Ok(Found::Undecodable(error)) => {
                complaint.undecodable(Instant::now(), &error, output);
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(%error, "broken stream of the old connection");
                Ok(false)
            }
        }
    }

    /// Keeps it alive until all guilds have come, or no others will.
    pub(super) async fn watch_former(&mut self) {
        let (now, has_room) = (Instant::now(), self.output.has_room());
        let is_over = self.awaited.is_empty() || self.session.state() == State::Paused;
        let Some(former) = &mut self.former else { return };
        let is_over = former.is_late(now, has_room) || is_over;
        if is_over || (now >= former.next_beat && !former.beat(self.context.encoding).await) {
            self.leave_former();
        }
    }

    /// From now on everything is the new session's.
    pub(super) fn leave_former(&mut self) {
        let Some(former) = self.former.take() else { return };
        if !self.awaited.is_empty() {
            tracing::warn!(
                guilds = self.awaited.len(),
                "the old connection is left before these came: what happens in them until they do is lost"
            );
            self.awaited.clear();
        }
        self.say_goodbye(former.socket, ENDING_CLOSE);
    }
}

/// Writes an event of the old session if it is its to bring; false when the connection is of no use any more.
fn write(
    mut frame: Frame<'_>,
    origin: RecordMeta,
    awaited: &Awaited,
    accepted: u64,
    output: &mut Output,
) -> Result<bool, ShardError> {
    match frame.op() {
        0 => {}
        7 | 9 => return Ok(false),
        _ => return Ok(true),
    }
    let (kind, key, seq) = (frame.kind(), frame.partition_key(), frame.seq().unwrap_or(0));
    let is_own = match kind {
        Some(Kind::READY | Kind::RESUMED | Kind::GUILD_CREATE | Kind::GUILD_DELETE) => false,
        Some(kind) if is_answer(kind) => kind != Kind::VOICE_SERVER_UPDATE,
        _ => awaited.contains(&key),
    };
    if !is_own || seq <= accepted {
        return Ok(true);
    }
    let tag = u64::from(kind.unwrap_or(Kind::UNKNOWN).number());
    let meta = Meta { key, tag, source: seq, ..Meta::default() };
    let record = frame.record(&RecordMeta { received_us: now_us(), ..origin });
    output.beside(meta, record)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guild_is_the_new_sessions_from_its_create_on() {
        let mut awaited = Awaited::from([1, 2]);
        let mut is = |kind, guild| is_formers(&mut awaited, Some(kind), guild);
        assert!(is(Kind::MESSAGE_CREATE, 1) && is(Kind::TYPING_START, 2));
        assert!(!is(Kind::MESSAGE_CREATE, 3), "one that READY did not name");
        assert!(!is(Kind::GUILD_MEMBERS_CHUNK, 1), "it was asked for there");
        assert!(!is(Kind::GUILD_CREATE, 1));
        assert!(!is(Kind::MESSAGE_CREATE, 1));
        assert!(is(Kind::MESSAGE_CREATE, 2));
        assert!(!is(Kind::GUILD_DELETE, 2));
        assert!(!is(Kind::MESSAGE_CREATE, 2));
        let mut awaited = Awaited::from([1]);
        assert!(!is_formers(&mut awaited, Some(Kind::READY), 0));
        assert!(!is_formers(&mut awaited, None, 1), "of another session all is new");
    }
}

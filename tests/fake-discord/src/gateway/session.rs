//! A session: the numbered dispatches of one IDENTIFY, sent and kept for replay.

mod lag;
mod state;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use self::lag::Lag;
use self::state::{REPLAY_BYTES, State};
use super::connection::Command;
use crate::journal::{Entry, Journal, JournalFile};
use crate::wire::message::Encoding;
use crate::world::guild::Viewer;

/// Bytes a client may be behind, not counting READY's own, before its session ends. The lane waits
/// long before: only answers and what others post come without being waited for.
const BEHIND_BYTES: usize = 64 << 20;

/// One dispatch, numbered and encoded, but for its envelope.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) name: &'static str,
    pub(crate) body: Arc<[u8]>,
    pub(crate) hash: u64,
}

/// A session, from IDENTIFY to its end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// 1 for the first session of this server.
    pub(crate) ordinal: u64,
    pub(crate) shard: u64,
    pub(crate) shards: u64,
    pub(crate) viewer: Viewer,
    pub(crate) encoding: Encoding,
    /// Rung when there is something to send.
    pub(crate) ready: Notify,
    limits: Limits,
    state: Mutex<State>,
    lag: Lag,
    /// Something was pushed since it was woken last.
    stirred: AtomicBool,
}

/// How much a session keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Dispatches kept for replay.
    pub(crate) replay: usize,
    /// While its client is away the session's lane waits rather than lose anything.
    pub(crate) hold: bool,
    /// How long a session outlives its connection.
    pub(crate) ttl: Duration,
    /// Drop what a heartbeat acknowledged.
    pub(crate) forget_acked: bool,
    /// Seq of the first dispatch.
    pub(crate) first_seq: u64,
    pub(crate) journal_max: usize,
    /// Dispatches made and encoded before the first live one is sent.
    pub(crate) ahead: usize,
}

impl Limits {
    /// About what `ahead` events take.
    fn ahead_bytes(&self) -> usize {
        self.ahead.saturating_mul(4096)
    }
}

/// Why a RESUME is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Op 9 false.
    Gone,
    /// The client names a seq the session never reached: 4007.
    Seq,
}

/// What was taken to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The seq of the first packet.
    pub(crate) first: u64,
    /// Its lanes had no room before, and wait.
    pub(crate) was_full: bool,
}

/// A session as `/fake/status` shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The last seq given out, sent or not.
    pub(crate) last_seq: u64,
    pub(crate) sent_seq: u64,
    /// Dispatches that it is told later, and that have no seq yet.
    pub(crate) held: usize,
    pub(crate) connected: bool,
    pub(crate) over: bool,
    /// Away, and a later session has its shard.
    pub(crate) replaced: bool,
}

impl Session {
    pub(crate) fn new(
        id: String,
        ordinal: u64,
        (shard, shards): (u64, u64),
        viewer: Viewer,
        encoding: Encoding,
        limits: Limits,
        file: Option<Arc<JournalFile>>,
    ) -> Self {
        let first_seq = limits.first_seq;
        let journal = Journal::new((shard, shards), ordinal, &id, limits.journal_max, file);
        Self {
            id,
            ordinal,
            shard,
            shards,
            viewer,
            encoding,
            ready: Notify::new(),
            lag: Lag::default(),
            stirred: AtomicBool::new(false),
            limits,
            state: Mutex::new(State {
                kept: VecDeque::new(),
                kept_bytes: 0,
                first: first_seq,
                next: first_seq,
                journaled: first_seq,
                unsent_bytes: 0,
                start_bytes: 0,
                started: false,
                overrun: false,
                link: None,
                away_since: Some(Instant::now()),
                over: false,
                superseded: false,
                held_from: None,
                hole: false,
                journal,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event of this guild (none: a direct message and the like) is for this shard.
    pub(crate) fn covers(&self, guild: Option<u64>) -> bool {
        guild.map_or(0, |id| (id >> 22) % self.shards) == self.shard
    }

    /// Gives the packet the next seq.
    pub(crate) fn push(&self, packet: Packet) {
        let mut state = self.state();
        if state.over || state.overrun {
            return;
        }
        state.kept_bytes += packet.body.len();
        state.unsent_bytes += packet.body.len();
        state.kept.push_back(packet);
        self.stirred.store(true, Ordering::Release);
        if !state.started {
            state.start_bytes = state.kept_bytes;
            return;
        }
        if state.unsent_bytes > state.start_bytes + BEHIND_BYTES + self.limits.ahead_bytes() {
            state.overrun = true;
            if let Some((_, commands)) = &state.link {
                // The connection may have ended by itself.
                let _ = commands.send(Command::Cut);
            }
            return;
        }
        if state.link.is_none() && (!self.limits.hold || state.superseded) {
            // Nobody listens: what the replay buffer cannot hold is lost, as Discord loses it.
            while state.kept.len() > self.limits.replay || state.kept_bytes > REPLAY_BYTES {
                state.drop_first();
            }
        }
    }

    /// READY and what belongs to it are there: what follows is held back until enough is made.
    pub(crate) fn hold_back(&self) {
        let mut state = self.state();
        state.held_from = (self.limits.ahead > 0).then(|| state.end());
    }

    /// Nothing more will be made: what was held back may go.
    pub(crate) fn release(&self) {
        self.state().held_from = None;
        self.ready.notify_one();
    }

    /// Has the connection look for what was pushed, if anything was.
    pub(crate) fn wake(&self) {
        if self.stirred.load(Ordering::Acquire) && self.stirred.swap(false, Ordering::AcqRel) {
            self.ready.notify_one();
        }
    }

    /// How many more events the lane may make for this session now.
    pub(crate) fn room(&self) -> usize {
        self.state().room(&self.limits, self.lag.count())
    }

    /// Takes the next packets to send. At most `bytes` bytes and some.
    pub(crate) fn take(&self, link: u64, bytes: usize, out: &mut Vec<Packet>) -> Taken {
        let mut state = self.state();
        let first = state.next;
        if state.link.as_ref().is_none_or(|held| held.0 != link) {
            return Taken { first, was_full: false };
        }
        let was_full = state.room(&self.limits, self.lag.count()) == 0;
        if state.held_from.is_some_and(|from| state.end() - from >= self.limits.ahead as u64) {
            state.held_from = None;
        }
        let held_from = state.held_from.unwrap_or(u64::MAX);
        let mut taken = 0;
        while taken < bytes && state.next < held_from {
            let at = usize::try_from(state.next - state.first).unwrap_or(usize::MAX);
            let Some(packet) = state.kept.get(at).cloned() else { break };
            taken += packet.body.len() + 64;
            state.unsent_bytes = state.unsent_bytes.saturating_sub(packet.body.len());
            if state.next >= state.journaled {
                let entry = Entry { seq: state.next, name: packet.name, hash: packet.hash };
                state.journal.add(entry);
                state.journaled = state.next + 1;
            }
            state.next += 1;
            out.push(packet);
        }
        while state.first < state.next
            && (state.kept.len() > self.limits.replay || state.kept_bytes > REPLAY_BYTES)
        {
            state.drop_first();
        }
        Taken { first, was_full }
    }

    /// A client's heartbeat named this seq.
    pub(crate) fn acknowledged(&self, seq: u64) {
        if !self.limits.forget_acked {
            return;
        }
        let mut state = self.state();
        while state.first <= seq && state.first < state.next {
            state.drop_first();
        }
    }

    /// Binds the session to a connection. A connection it still had is told to go.
    pub(crate) fn attach(&self, link: u64, commands: mpsc::UnboundedSender<Command>) {
        let mut state = self.state();
        state.started = true;
        if let Some((_, former)) = state.link.replace((link, commands)) {
            // The former connection may have ended by itself.
            let _ = former.send(Command::Cut);
        }
        state.away_since = None;
    }

    /// Checks a RESUME at `seq` and winds back to it. A connection that the session still had is told to go: it would take
    /// what is for the one that resumes.
    pub(crate) fn rewind(&self, seq: u64, encoding: Encoding) -> Result<(), Refusal> {
        let mut state = self.state();
        let end = state.end();
        if state.over || encoding != self.encoding {
            return Err(Refusal::Gone);
        }
        let next = seq.checked_add(1).filter(|next| *next <= end).ok_or(Refusal::Seq)?;
        if next < state.first {
            return Err(Refusal::Gone);
        }
        if let Some((_, former)) = state.link.take() {
            // It may have ended by itself.
            let _ = former.send(Command::Cut);
            state.away_since = Some(Instant::now());
        }
        state.next = next;
        if std::mem::take(&mut state.hole) && state.next < end {
            state.next += 1;
        }
        let at = usize::try_from(state.next - state.first).unwrap_or(0);
        state.unsent_bytes = state.kept.range(at..).map(|packet| packet.body.len()).sum();
        Ok(())
    }

    /// Makes the next RESUME leave an event out.
    pub(crate) fn make_hole(&self) {
        self.state().hole = true;
    }

    /// The connection is gone; the session waits for a RESUME.
    pub(crate) fn detach(&self, link: u64) {
        let mut state = self.state();
        if state.link.as_ref().is_some_and(|held| held.0 == link) {
            state.link = None;
            state.away_since = Some(Instant::now());
        }
    }

    /// Sends a command to the session's connection. False: it has none.
    pub(crate) fn command(&self, command: Command) -> bool {
        match &self.state().link {
            Some((_, commands)) => commands.send(command).is_ok(),
            None => false,
        }
    }

    /// No RESUME will be accepted any more, and nothing is kept.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.over = true;
        state.kept = VecDeque::new();
        state.first = state.next;
        state.kept_bytes = 0;
        state.unsent_bytes = 0;
        drop(state);
        self.lag.clear();
    }

    /// A later session has the same shard: should this one's client stay away, nobody waits for it.
    pub(crate) fn supersede(&self) {
        self.state().superseded = true;
    }

    /// Whether the client has been away longer than a session lives, or is too far behind.
    pub(crate) fn expired(&self, now: Instant) -> bool {
        let state = self.state();
        let away = |since| now.duration_since(since) > self.limits.ttl;
        !state.over && (state.overrun || state.away_since.is_some_and(away))
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            last_seq: state.end().saturating_sub(1),
            sent_seq: state.journaled.saturating_sub(1),
            held: self.lag.count(),
            connected: state.link.is_some(),
            over: state.over,
            replaced: state.superseded && state.link.is_none(),
        }
    }

    /// Calls `with` with the journal.
    pub(crate) fn with_journal<T>(&self, with: impl FnOnce(&Journal) -> T) -> T {
        with(&self.state().journal)
    }
}

#[cfg(test)]
mod tests;

//! From decoded events to the shard's ring: staged in order, committed in batches, kept in a bounded
//! buffer while the ring is full.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mixcord_event::figures::ShardFigures;
use mixcord_event::pauses::PAUSE_MIN;
use mixcord_event::presence::SetPresence;
use mixcord_event::send::PresenceUpdate;
use mixcord_event::status::ShardStatus;
use mixcord_event::{Record, Seal, topology};
use mixcord_ring::{AsyncBell, CheckpointError, Meta, Position, Producer, StageError, Wakes};

use super::records::Records;
use super::sent_on::SentOn;
use super::stall::{Stall, Turn};
use super::standing::Phase;
use crate::checkpoint::{Checkpoint, Settings};
use crate::session::{Gap, Reading, SessionInfo, State};

/// How often to look when what has to go together does not fit together.
const SQUEEZED_PAUSE: Duration = Duration::from_millis(5);

/// The queue for the ring is given back once it is empty, if it was made for more records than these.
const PENDING_KEPT: usize = 16;
/// What one record costs beside its bytes.
const RECORD_COST: usize = 96;

/// What a record means for the checkpoint of the commit that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Note {
    /// Nothing.
    None,
    /// An event: what RESUME carries from here on.
    Seq { counter: u32, resume_at: u64 },
    /// READY: another session.
    Begins { counter: u32, resume_at: u64, session: SessionInfo },
}

/// A record that waits for the ring.
#[derive(Debug)]
struct Pending {
    meta: Meta,
    bytes: Vec<u8>,
    note: Note,
    /// The record behind this one belongs into the same commit.
    with_next: bool,
}

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// For the ring's descriptor.
    pub(super) meta: Meta,
    /// The whole record.
    pub(super) bytes: &'a [u8],
    /// The session it belongs to.
    pub(super) counter: u32,
    /// What RESUME carries once it is committed.
    pub(super) resume_at: u64,
}

/// What is in the ring for good.
#[derive(Debug)]
pub(super) struct Committed {
    /// A session's counter, and the sequence number that RESUME carries.
    pub(super) seq: Option<(u32, u64)>,
    pub(super) wakes: Option<Wakes>,
}

/// Why a ring can no longer be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Staging failed.
    #[error("the ring refused a record: {0}")]
    Stage(StageError),
    /// The checkpoint was refused.
    #[error("the ring refused the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// The writing end of one shard.
pub(super) struct Output {
    producer: Producer,
    records: Records,
    settings: Settings,
    /// As it will be with the next commit.
    checkpoint: Checkpoint,
    /// Is there anything to commit?
    staged: bool,
    /// The position of the record staged last.
    staged_at: Position,
    /// The session that begins next does because the state was lost.
    refills: bool,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    limit: usize,
    /// Where another machine may take the shard over.
    sent_on: Option<SentOn>,
    stall: Stall,
    /// Staging failed although there seemed to be space: two records that go together need more
    /// than either alone.
    squeezed: bool,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("pending", &self.pending.len())
            .field("pending_bytes", &self.pending_bytes)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Goes on where `checkpoint` ends; keeps up to `limit` bytes while the ring is full.
    pub(super) fn new(
        producer: Producer,
        records: Records,
        settings: Settings,
        checkpoint: Checkpoint,
        limit: usize,
    ) -> Self {
        Self {
            producer,
            records,
            settings,
            checkpoint,
            staged: false,
            staged_at: 0,
            refills: false,
            pending: VecDeque::new(),
            pending_bytes: 0,
            limit,
            sent_on: None,
            stall: Stall::default(),
            squeezed: false,
        }
    }

    /// From now on [`Self::sent_on`] says how far the bridge is.
    pub(super) fn watch_bridge(&mut self) {
        let mut sent_on = SentOn::default();
        let status = &self.checkpoint.status;
        if let Some(seq) = status.seq {
            sent_on.committed(self.producer.tail(), status.session, seq);
        }
        self.sent_on = Some(sent_on);
    }

    /// Discord's number in the session of that counter up to which the bridge has sent everything.
    pub(super) fn sent_on(&mut self, counter: u32) -> Option<u64> {
        let sent_on = self.sent_on.as_mut()?;
        let groups = self.producer.ring().groups();
        let bridge = groups.iter().find(|group| group.name == topology::BRIDGE_GROUP)?;
        sent_on.number(bridge.floor, counter)
    }

    /// May more be read from the socket?
    pub(super) fn has_room(&self) -> bool {
        self.pending_bytes < self.limit
    }

    /// Is something waiting for the ring?
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes an event.
    pub(super) fn event(&mut self, entry: Entry<'_>) -> Result<(), OutputError> {
        let note = Note::Seq { counter: entry.counter, resume_at: entry.resume_at };
        self.write(entry.meta, entry.bytes, note)
    }

    /// Writes a gap with the event behind it, in one commit.
    pub(super) fn gap_and_event(
        &mut self,
        gap: &Gap,
        entry: Entry<'_>,
        begins: Option<SessionInfo>,
    ) -> Result<(), OutputError> {
        self.count_gap(gap);
        tracing::warn!(
            reason = gap.reason.as_str(),
            session = gap.counter,
            from_seq = gap.from_seq,
            to_seq = ?gap.to_seq,
            "events are lost: gap record written"
        );
        let (meta, bytes) = self.records.gap(gap, entry.counter);
        self.wait_for_ring(meta, bytes, Note::None, true);
        let note = match begins {
            Some(session) => {
                Note::Begins { counter: entry.counter, resume_at: entry.resume_at, session }
            }
            None => Note::Seq { counter: entry.counter, resume_at: entry.resume_at },
        };
        self.wait_for_ring(entry.meta, entry.bytes.to_vec(), note, false);
        self.drain()
    }

    /// Writes an event of a session before the one that RESUME would go on with.
    pub(super) fn beside(&mut self, meta: Meta, bytes: &[u8]) -> Result<(), OutputError> {
        self.write(meta, bytes, Note::None)
    }

    /// An event is not to be written. What RESUME carries moves over it, with what is before it.
    pub(super) fn pass_over(&mut self, counter: u32, resume_at: u64) {
        let over = Note::Seq { counter, resume_at };
        match self.pending.back_mut().map(|last| &mut last.note) {
            None => self.note(over),
            Some(Note::Begins { resume_at: until, .. }) => *until = resume_at,
            Some(note) => *note = over,
        }
    }

    /// Writes the READY of a session that follows no other.
    pub(super) fn begin(
        &mut self,
        entry: Entry<'_>,
        session: SessionInfo,
    ) -> Result<(), OutputError> {
        let note = Note::Begins { counter: entry.counter, resume_at: entry.resume_at, session };
        self.write(entry.meta, entry.bytes, note)
    }

    /// Writes a shard's state, with that of a change of the shard count where one is told. While the ring is full only the newest of a row is kept.
    pub(super) fn state(
        &mut self,
        state: State,
        counter: u32,
        session_id: Option<&str>,
        latency: Option<Duration>,
        phase: Option<Phase>,
    ) -> Result<(), OutputError> {
        state.as_str().clone_into(&mut self.checkpoint.status.state);
        let (meta, bytes) = self.records.state(state, counter, session_id, latency, phase);
        if let Some(last) = self.pending.back_mut()
            && self.records.is_state(&last.meta)
        {
            self.pending_bytes = self.pending_bytes - last.bytes.len() + bytes.len();
            last.bytes = bytes;
            return Ok(());
        }
        self.write(meta, &bytes, Note::None)
    }

    /// The session is closed for good: whoever reads the ring knows that it goes on with none.
    pub(super) fn end_session(&mut self) {
        self.checkpoint.end_session();
        // Also where the ring has no room for another record.
        self.touch();
    }

    /// Stages what waits, as far as the ring has space.
    pub(super) fn drain(&mut self) -> Result<(), OutputError> {
        self.squeezed = false;
        while let Some(first) = self.pending.front() {
            if first.with_next {
                // Both or neither: what is staged already is committed first, so that only these
                // two are taken back when the second does not fit.
                self.commit()?;
            }
            let mut staged = 0;
            while let Some(next) = self.pending.get(staged) {
                match stage(&mut self.producer, &next.meta, &next.bytes) {
                    Ok(position) => {
                        self.staged_at = position;
                        staged += 1;
                        if !next.with_next {
                            break;
                        }
                    }
                    Err(StageError::Full) => {
                        if staged > 0 {
                            self.producer.discard_staged();
                        }
                        self.squeezed = staged > 0;
                        return Ok(());
                    }
                    Err(StageError::TooLarge { bytes, limit }) => {
                        self.replace_too_large(staged, bytes, limit);
                    }
                    Err(error) => return Err(OutputError::Stage(error)),
                }
            }
            for _ in 0..staged {
                let Some(done) = self.pending.pop_front() else { break };
                self.pending_bytes -= done.bytes.len() + RECORD_COST;
                self.note(done.note);
            }
        }
        if self.pending.capacity() > PENDING_KEPT {
            self.pending = VecDeque::new();
        }
        Ok(())
    }

    /// Commits what is staged, and gives what of it is in the ring for good. Whoever sleeps on the ring is woken when that
    /// is dropped.
    pub(super) fn commit(&mut self) -> Result<Committed, OutputError> {
        let mut wakes = None;
        if self.staged {
            self.producer.set_checkpoint(&self.checkpoint.encode())?;
            wakes = self.producer.publish_quietly();
            let tail = self.producer.tail();
            self.staged = false;
            let status = &self.checkpoint.status;
            if let (Some(sent_on), Some(seq)) = (&mut self.sent_on, status.seq) {
                sent_on.committed(tail, status.session, seq);
            }
        }
        let status = &self.checkpoint.status;
        Ok(Committed { seq: status.seq.map(|seq| (status.session, seq)), wakes })
    }

    /// Waits until the first waiting record may fit. May be dropped at any time.
    pub(super) async fn space(&mut self, bell: &AsyncBell) {
        if self.squeezed {
            tokio::time::sleep(SQUEEZED_PAUSE).await;
        }
        let pair = self.pending.front().is_some_and(|first| first.with_next);
        let next = self.pending.iter().take(1 + usize::from(pair));
        self.producer.space(next.map(|next| next.bytes.len()).max().unwrap_or(0), bell).await;
    }

    /// Is the socket read?
    pub(super) fn reading(&self) -> Reading {
        self.stall.reading()
    }

    /// Notices when the socket stops being read and when it is read again. Either is worth a commit, so
    /// that others see it while it lasts.
    pub(super) fn watch_room(&mut self, now: Instant) -> Option<Turn> {
        let has_room = self.has_room();
        let holder = || mixcord_holdup::of(&self.producer.ring());
        let turn = self.stall.look(now, has_room, &mut self.checkpoint.status, holder);
        self.staged |= turn.is_some();
        turn
    }

    /// What the next commit says of the shard.
    pub(super) fn status(&mut self) -> &mut ShardStatus {
        &mut self.checkpoint.status
    }

    /// What was counted.
    pub(super) fn figures(&self) -> &ShardFigures {
        self.checkpoint.figures()
    }

    /// Changes what the next commit says was counted.
    pub(super) fn count(&mut self, change: impl FnOnce(&mut ShardFigures)) {
        self.checkpoint.count(change);
    }

    /// Counts how long it took to read and publish messages, and how late that was begun, if either was a pause. The
    /// next commit says so.
    pub(super) fn paused(&mut self, work: Duration, late: Duration) {
        if work.max(late) > PAUSE_MIN {
            self.count(|figures| {
                figures.pauses.work.count(work, super::now_us);
                figures.pauses.late.count(late, super::now_us);
            });
        }
    }

    /// Does a reader ask for what was said before this session began?
    pub(super) fn is_asked_anew(&self) -> bool {
        self.producer.asked_anew() > self.figures().began_at
    }

    /// The session whose READY comes next begins because the state was lost.
    pub(super) fn refills_next(&mut self) {
        self.refills = true;
    }

    /// A command told the bot to show this.
    pub(super) fn show(&mut self, presence: SetPresence) {
        self.checkpoint.show(Some(presence));
        self.touch();
    }

    /// What the next IDENTIFY has to say, where the options say `configured`.
    pub(super) fn presence(&self, configured: Option<&PresenceUpdate>) -> Option<PresenceUpdate> {
        self.checkpoint.presence(configured)
    }

    /// The next commit is worth making for the status alone.
    pub(super) fn touch(&mut self) {
        self.staged = true;
    }

    fn write(&mut self, meta: Meta, bytes: &[u8], note: Note) -> Result<(), OutputError> {
        if self.pending.is_empty() {
            match stage(&mut self.producer, &meta, bytes) {
                Ok(position) => {
                    self.staged_at = position;
                    self.note(note);
                    return Ok(());
                }
                Err(StageError::Full | StageError::TooLarge { .. }) => {}
                Err(error) => return Err(OutputError::Stage(error)),
            }
        }
        self.wait_for_ring(meta, bytes.to_vec(), note, false);
        self.drain()
    }

    fn wait_for_ring(&mut self, meta: Meta, bytes: Vec<u8>, note: Note, with_next: bool) {
        self.pending_bytes += bytes.len() + RECORD_COST;
        self.pending.push_back(Pending { meta, bytes, note, with_next });
    }

    /// A record that can never fit becomes a gap of its own length (P3).
    fn replace_too_large(&mut self, index: usize, bytes: u64, limit: u64) {
        let Some(pending) = self.pending.get_mut(index) else { return };
        // Of an event of the session before it is that one's.
        let counter = Record::parse_head(&pending.bytes)
            .map_or(self.checkpoint.status.session, |record| record.header().session);
        let seq = pending.meta.source;
        tracing::error!(
            seq,
            bytes,
            limit,
            "a record is too large for the ring: gap record instead; raise --ring-bytes for a new ring"
        );
        let gap = Gap {
            counter,
            from_seq: seq,
            to_seq: Some(seq),
            reason: crate::session::GapReason::TooLarge,
        };
        let (meta, bytes) = self.records.gap(&gap, counter);
        self.pending_bytes = self.pending_bytes - pending.bytes.len() + bytes.len();
        pending.meta = meta;
        pending.bytes = bytes;
        self.count_gap(&gap);
    }

    fn count_gap(&mut self, gap: &Gap) {
        self.checkpoint.status.gaps += 1;
        self.checkpoint.count(|figures| figures.gap(gap.reason.as_str()));
    }

    fn note(&mut self, note: Note) {
        self.staged = true;
        match note {
            Note::None => {}
            Note::Seq { counter, resume_at } => {
                self.checkpoint.status.session = counter;
                self.checkpoint.status.seq = Some(resume_at);
            }
            Note::Begins { counter, resume_at, session } => {
                self.checkpoint.begin(counter, &session, &self.settings);
                let (began_at, refills) = (self.staged_at, std::mem::take(&mut self.refills));
                self.checkpoint.count(|figures| {
                    figures.session_since_us = super::now_us();
                    figures.began_at = began_at;
                    if refills {
                        figures.refills += 1;
                        figures.refilled_us = figures.session_since_us;
                    }
                });
                self.checkpoint.status.seq = Some(resume_at);
            }
        }
    }
}

/// Stages a record that was made here: nobody has to check it again.
fn stage(producer: &mut Producer, meta: &Meta, record: &[u8]) -> Result<Position, StageError> {
    producer.stage_sealed(meta, Seal::of(record).bits(), &[record])
}

#[cfg(test)]
mod tests;

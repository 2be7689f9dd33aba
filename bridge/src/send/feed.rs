//! The ring of one lane, as the sender reads it.

use std::path::Path;
use std::time::{Duration, Instant};

use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::Predecessor;
use mixcord_event::reshard::{BOARD_BYTES_MAX, ReshardFigures};
use mixcord_event::takeover::{Taken, is_mirror};
use mixcord_event::{Record, status, topology};
use mixcord_process::folder;
use mixcord_ring::{
    Batch, Bell, Entry, GroupSpec, Limits, Member, Namespace, Ring, Sleeping, Start, TakeError,
};

use crate::notice::Lag;

/// What is taken at once. Packs are under way within it only.
const LIMITS: Limits = Limits { records: 4096, bytes: 2 << 20 };
/// How often a lane with records says how its shard stands.
const STATUS: Duration = Duration::from_millis(500);
/// How often one without does, changed or not: so receivers know that the lane is not broken, and the log can be
/// trimmed behind its last message.
const IDLE: Duration = Duration::from_secs(4);

/// How a checkpoint of a gateway begins: its layout, then the section that begins with the session's counter.
const SESSION_HEAD: usize = 1 + 6 + 4;

/// A ring and what was taken of it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) ring: Ring,
    /// Where a change of the shard count is told.
    reshard_board: String,
    member: Member,
    /// What the ring goes on from, where it was taken over.
    taken: Option<Taken>,
    batch: Option<Batch>,
    /// The checkpoint that was sent last, and when.
    status: (Vec<u8>, Option<Instant>),
}

/// What there is of a lane's ring.
#[derive(Debug)]
pub(super) enum Joined {
    /// It is sent.
    Feed(Box<Feed>),
    /// mixcord-bridge receive writes it, or nobody has yet.
    NotYet,
    /// It cannot be read for now.
    Refused,
}

impl Feed {
    /// Joins the ring of a lane, if it is one of this machine's gateway, and not the one that was left.
    pub(super) fn join(
        namespace: &Namespace,
        lane: Lane,
        bell: &Bell,
        left: Option<u64>,
    ) -> Joined {
        let name = topology::shard_ring(lane.shard, lane.count);
        let instance = topology::parse_namespace(namespace.prefix()).unwrap_or_default();
        let reshard_board = topology::reshard_board(instance);
        let joined = Ring::attach(namespace, &name).map_err(|error| error.to_string());
        let joined = joined.and_then(|ring| {
            let checkpoint = ring.checkpoint();
            // A ring without a word becomes a mirror, perhaps.
            let is_new = checkpoint.is_none() && ring.tail() == 0;
            let checkpoint = checkpoint.unwrap_or_default();
            if is_new || is_mirror(&checkpoint) {
                return Ok(None);
            }
            if left == Some(ring.id().0) && is_left(&ring, &reshard_board) {
                return Ok(None);
            }
            let taken = Taken::decode(&checkpoint);
            // What was received is not sent again.
            let start = taken.map_or(Start::Earliest, |taken| Start::At(taken.from));
            let group = GroupSpec::durable(topology::BRIDGE_GROUP).follow().from(start);
            let member = ring.join(&group, bell).map_err(|error| error.to_string())?;
            let status = (Vec::new(), None);
            Ok(Some(Self { ring, reshard_board, member, taken, batch: None, status }))
        });
        match joined {
            Ok(Some(feed)) => Joined::Feed(Box::new(feed)),
            Ok(None) => Joined::NotYet,
            Err(error) => {
                tracing::error!(ring = name, "the ring is not sent: {error}");
                Joined::Refused
            }
        }
    }

    /// The ring was removed, or made anew, and everything of it was taken.
    pub(super) fn is_over(&mut self) -> bool {
        !self.ring.is_current() && self.batch.is_none() && !self.member.has_work()
    }

    /// Its shard count was left for good, and everything of it was packed, with how the shard stands.
    pub(super) fn is_left(&mut self) -> bool {
        is_left(&self.ring, &self.reshard_board)
            && self.batch.is_none()
            && !self.member.has_work()
            && self.checkpoint().is_some_and(|checkpoint| checkpoint == self.status.0)
    }

    /// How the shard stands. Of a ring that was left it is said that it is closed, whoever was killed before he said so:
    /// machines that receive it wait for that.
    fn checkpoint(&self) -> Option<Vec<u8>> {
        let checkpoint = self.ring.checkpoint()?;
        let is_left = is_left(&self.ring, &self.reshard_board);
        Some(if is_left { status::closed(&checkpoint) } else { checkpoint })
    }

    /// Perhaps the log does not have what was sent of it.
    pub(super) fn say_again(&mut self) {
        self.status = (Vec::new(), None);
    }

    pub(super) fn id(&self) -> u64 {
        self.ring.id().0
    }

    /// Everything before it was acknowledged, or was received.
    pub(super) fn floor(&self) -> u64 {
        self.member.floor().max(self.from())
    }

    fn from(&self) -> u64 {
        self.taken.map_or(0, |taken| taken.from)
    }

    /// The ring was taken over: whoever runs the shard waits until the log says so.
    pub(super) const fn is_taken(&self) -> bool {
        self.taken.is_some()
    }

    /// The log before this one, for the pack that begins it.
    pub(super) fn predecessor(&self, first: u64) -> Option<Predecessor> {
        let taken = self.taken.filter(|taken| taken.from == first)?;
        Some(Predecessor { log: taken.log, position: taken.position })
    }

    /// Nothing is in hand.
    pub(super) const fn wants(&self) -> bool {
        self.batch.is_none()
    }

    pub(super) fn has_work(&mut self) -> bool {
        self.batch.is_none() && self.member.has_work()
    }

    pub(super) fn sleeping(&mut self) -> Sleeping<'_> {
        Sleeping::from(&mut self.member)
    }

    /// Takes what waits, unless something is in hand. Gives the first position in hand.
    ///
    /// # Errors
    /// The ring cannot be read any more.
    pub(super) fn fill(&mut self) -> Result<Option<u64>, TakeError> {
        while self.batch.is_none() {
            match self.member.take(LIMITS) {
                Ok(Some(batch)) => {
                    let last = batch.get(batch.len() - 1).map_or(0, |last| last.position);
                    if last < self.from() {
                        // A group that was made while the ring was a mirror.
                        batch.ack();
                    } else {
                        self.batch = Some(batch);
                    }
                }
                Ok(None) => return Ok(None),
                Err(error @ TakeError::Evicted { .. }) => {
                    tracing::error!(ring = self.ring.name(), "{error}");
                }
                Err(error) => return Err(error),
            }
        }
        let first = self.batch.as_ref().and_then(Batch::first).map(|entry| entry.position);
        Ok(first.map(|first| first.max(self.from())))
    }

    /// The records in hand from `position` on.
    pub(super) fn entries(&self, position: u64) -> impl Iterator<Item = Entry<'_>> + '_ {
        let batch = self.batch.iter();
        batch.flat_map(move |batch| {
            let first = batch.first().map_or(position, |first| first.position);
            let skip = position.saturating_sub(first) as usize;
            (skip..batch.len()).filter_map(move |index| batch.get(index))
        })
    }

    /// How far what the log has is behind the ring.
    pub(super) fn lag(&self) -> Lag {
        let (tail, floor) = (self.ring.tail(), self.floor());
        let oldest = self.entries(floor).next();
        let oldest = oldest.and_then(|entry| Record::parse_head(entry.payload).ok());
        let since_ms = oldest.map_or(0, |record| record.header().received_us / 1_000);
        Lag { behind: tail.saturating_sub(floor), since_ms }
    }

    /// Whether there are such.
    pub(super) fn has_from(&self, position: u64) -> bool {
        self.entries(position).next().is_some()
    }

    /// The log has everything before `through`.
    pub(super) fn release(&mut self, through: u64) {
        let Some(batch) = &mut self.batch else { return };
        let last = batch.get(batch.len() - 1).map_or(0, |last| last.position);
        if through > last {
            if let Some(batch) = self.batch.take() {
                batch.ack();
            }
        } else if let Some(before) = through.checked_sub(1) {
            batch.ack_through(before);
        }
    }

    /// How the shard stands, if it is time to say so beside records, or without any.
    pub(super) fn status(&mut self, idle: bool) -> Option<&[u8]> {
        let age = self.status.1.map_or(Duration::MAX, |at| at.elapsed());
        // Who takes the shard over goes on with no other session than that of the last records.
        let same = self.status.0.first_chunk::<SESSION_HEAD>();
        let begins = same.is_some_and(|head| !self.ring.checkpoint_begins_with(head));
        if age < STATUS && !begins {
            return None;
        }
        let checkpoint = self.checkpoint()?;
        // Without records it is a message of its own: for news, or to be heard at all.
        if idle && !begins && age < IDLE && (checkpoint == self.status.0 || age < 2 * STATUS) {
            return None;
        }
        self.status = (checkpoint, Some(Instant::now()));
        Some(&self.status.0)
    }
}

/// Whether the ring is of a shard count that was changed to another one, and nobody writes it: the cache removes it once
/// nobody has it open.
fn is_left(ring: &Ring, reshard_board: &str) -> bool {
    if ring.producer_alive() {
        return false;
    }
    let board = folder::read(Path::new(reshard_board), BOARD_BYTES_MAX);
    let left = board.ok().and_then(|bytes| ReshardFigures::decode(&bytes)?.0.left());
    left.is_some_and(|left| topology::parse_shard_ring(ring.name()).is_some_and(|it| it.1 == left))
}

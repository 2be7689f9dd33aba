//! One partition at work: which of its records is out with a handler, and what became of it.
//!
//! A consumer takes a batch of a partition and holds the partition until the batch is done. One
//! event of it is out at a time, which keeps the order of a guild. What happens to that event is
//! told by its clones: one acknowledges it, or all are dropped without (the handler failed or
//! panicked), and then it is given again after a pause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_event::record::Record;
use mixcord_ring::{Batch, Bell, Claim, Entry, Records};

use crate::filter::Filter;
use crate::received::{Event, Holder};

/// Wakes the consumer of this process that waits for records or for its handlers.
pub(crate) struct Doorbell {
    pub(crate) bell: Bell,
    waiting: AtomicBool,
}

impl Doorbell {
    pub(crate) fn new(bell: Bell) -> Self {
        Self { bell, waiting: AtomicBool::new(false) }
    }

    /// The consumer is about to wait; it looks once more after this call. Pairs with [`Self::ring`]:
    /// of the two orders of these operations one sees the change, the other sees the flag.
    pub(crate) fn arm(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }

    /// Something changed for the consumer. Costs no system call when it is not waiting.
    pub(crate) fn ring(&self) {
        if self.waiting.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }
}

/// How the events of a group are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// After the handler: given again when it fails.
    #[default]
    AtLeastOnce,
    /// Before the handler: never given twice.
    AtMostOnce,
}

/// How a group's events are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) mode: Mode,
    /// The pause before a failed event is given again doubles from the first to the second.
    pub(crate) retry: (Duration, Duration),
}

/// A batch of one partition, shared by the consumer and the events that are out.
pub(crate) struct Held {
    records: Records,
    mode: Mode,
    /// Whom to wake when the event that is out is settled; nobody, where the one who gave it out
    /// also settles it.
    doorbell: Option<Arc<Doorbell>>,
    desk: Mutex<Desk>,
}

/// What is out of a batch.
struct Desk {
    /// The hold on the partition; `None` once it is let go.
    claim: Option<Claim>,
    /// The record whose event is, or was last, out.
    index: u32,
    /// Live clones of that event.
    holders: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing was given yet.
    Idle,
    /// The event is out.
    Out,
    /// It is acknowledged.
    Settled,
    /// Its last clone was dropped without an acknowledgement.
    Abandoned,
}

impl Held {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of record `index`, which is one of the batch.
    pub(crate) fn payload(&self, index: u32) -> &[u8] {
        self.records.get(index as usize).map_or(&[], |entry| entry.payload)
    }

    fn position(&self, index: u32) -> Option<u64> {
        self.records.get(index as usize).map(|entry| entry.position)
    }

    /// Hands record `index` out: one holder.
    fn give(&self, index: u32) {
        let position = self.position(index);
        let mut desk = self.desk();
        if self.mode == Mode::AtMostOnce
            && let (Some(claim), Some(position)) = (&mut desk.claim, position)
        {
            claim.ack_through(position);
        }
        desk.index = index;
        desk.holders = 1;
        desk.standing = Standing::Out;
    }

    /// The event of record `index` was cloned.
    pub(crate) fn join(&self, index: u32) {
        let mut desk = self.desk();
        if desk.index == index && desk.standing == Standing::Out {
            desk.holders += 1;
        }
    }

    /// A clone of the event of record `index` was dropped.
    pub(crate) fn leave(&self, index: u32) {
        let mut desk = self.desk();
        if desk.index != index || desk.standing != Standing::Out {
            return;
        }
        desk.holders -= 1;
        if desk.holders == 0 {
            desk.standing = match self.mode {
                Mode::AtLeastOnce => Standing::Abandoned,
                Mode::AtMostOnce => Standing::Settled,
            };
            drop(desk);
            self.wake();
        }
    }

    /// The event of record `index` failed, whoever still has clones of it. An acknowledgement that
    /// came before counts.
    pub(crate) fn fail(&self, index: u32) {
        let mut desk = self.desk();
        if desk.index == index && desk.standing == Standing::Out {
            desk.standing = match self.mode {
                Mode::AtLeastOnce => Standing::Abandoned,
                Mode::AtMostOnce => Standing::Settled,
            };
            drop(desk);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.ring();
        }
    }

    /// The event of record `index` is handled. Only the first call for an event that is out counts.
    pub(crate) fn ack(&self, index: u32) {
        let position = self.position(index);
        let mut desk = self.desk();
        if desk.index != index || desk.standing != Standing::Out {
            return;
        }
        if self.mode == Mode::AtLeastOnce
            && let (Some(claim), Some(position)) = (&mut desk.claim, position)
        {
            claim.ack_through(position);
        }
        desk.standing = Standing::Settled;
        drop(desk);
        self.wake();
    }

    /// Lets the partition go; `all` when every record is settled or not wanted.
    fn release(&self, all: bool) {
        let claim = self.desk().claim.take();
        if let (Some(claim), true) = (claim, all) {
            claim.ack();
        }
    }
}

/// A damaged record, found when its turn came.
pub(crate) struct Damaged {
    pub(crate) position: u64,
    pub(crate) source: mixcord_event::record::RecordError,
}

/// What a lane has to offer.
pub(crate) enum Turn {
    /// The next event of the partition.
    Event(Event),
    /// Its event is still out with a handler.
    Out,
    /// Its event failed, and is given again then.
    Paused(Instant),
    /// Nothing is left; the partition is let go.
    Done,
}

/// A partition this consumer holds, and how far it is.
pub(crate) struct Lane {
    held: Arc<Held>,
    retry: (Duration, Duration),
    next: u32,
    /// How often the event of `next` was given.
    attempts: u32,
    given: bool,
    /// The record that was last seen to be wanted.
    looked_at: Option<u32>,
    retry_at: Option<Instant>,
}

impl Lane {
    pub(crate) fn new(batch: Batch, terms: Terms, doorbell: Option<Arc<Doorbell>>) -> Self {
        let (records, claim) = batch.split();
        let desk = Desk { claim: Some(claim), index: 0, holders: 0, standing: Standing::Idle };
        let Terms { mode, retry } = terms;
        let held = Arc::new(Held { records, mode, doorbell, desk: Mutex::new(desk) });
        Self { held, retry, next: 0, attempts: 0, given: false, looked_at: None, retry_at: None }
    }

    /// Where the next wanted record stands in the ring, without giving it; `None` when the lane has
    /// none to give now, and a turn says why.
    pub(crate) fn head(&mut self, filter: &Filter) -> Result<Option<u64>, Damaged> {
        if self.unsettled().is_some() {
            return Ok(None);
        }
        while let Some(entry) = self.held.records.get(self.next as usize) {
            // A record is looked at once, however often its lane is asked.
            if self.looked_at != Some(self.next) {
                match wanted(&entry, filter) {
                    Ok(Some(_)) => self.looked_at = Some(self.next),
                    Ok(None) => {
                        self.next += 1;
                        continue;
                    }
                    Err(source) => return Err(Damaged { position: entry.position, source }),
                }
            }
            return Ok(Some(entry.position));
        }
        Ok(None)
    }

    /// Why the lane cannot go on: its event is out, or rests after a failure.
    fn unsettled(&mut self) -> Option<Turn> {
        if self.given {
            let standing = self.held.desk().standing;
            match standing {
                Standing::Out => return Some(Turn::Out),
                Standing::Settled => {
                    self.next += 1;
                    self.attempts = 0;
                }
                Standing::Idle | Standing::Abandoned => {
                    self.retry_at = Some(Instant::now() + self.pause());
                }
            }
            self.given = false;
        }
        let at = self.retry_at?;
        if Instant::now() < at {
            return Some(Turn::Paused(at));
        }
        self.retry_at = None;
        None
    }

    /// Hands out the next event, or says why there is none.
    pub(crate) fn turn(&mut self, filter: &Filter) -> Result<Turn, Damaged> {
        if let Some(unsettled) = self.unsettled() {
            return Ok(unsettled);
        }
        while let Some(entry) = self.held.records.get(self.next as usize) {
            match wanted(&entry, filter) {
                Ok(Some(record)) => {
                    self.attempts += 1;
                    self.given = true;
                    self.held.give(self.next);
                    let holder = Holder::Held(Arc::clone(&self.held), self.next);
                    return Ok(Turn::Event(Event::new(
                        &record,
                        entry.payload,
                        holder,
                        self.attempts,
                    )));
                }
                Ok(None) => self.next += 1,
                Err(source) => return Err(Damaged { position: entry.position, source }),
            }
        }
        self.held.release(true);
        Ok(Turn::Done)
    }

    /// How long the event that failed rests.
    fn pause(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(30);
        self.retry.0.saturating_mul(1 << doublings).min(self.retry.1)
    }

    /// When the pause after a failure is over.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

impl Drop for Lane {
    /// Lets the partition go at once, even while clones of its events live on: what is not
    /// acknowledged is given again, elsewhere or here.
    fn drop(&mut self) {
        self.held.release(false);
    }
}

/// The record of an entry, when it is wanted.
pub(crate) fn wanted<'a>(
    entry: &Entry<'a>,
    filter: &Filter,
) -> Result<Option<Record<'a>>, mixcord_event::record::RecordError> {
    if !filter.admits_tag(entry.tag) {
        return Ok(None);
    }
    let record = Record::parse(entry.payload)?;
    Ok(filter.admits(record.kind(), record.kind_name()).then_some(record))
}

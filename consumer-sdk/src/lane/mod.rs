//! One partition at work: which of its records is out with a handler, and what became of it.
//!
//! A consumer takes a batch of a partition and holds the partition until the batch is done. One
//! event of it is out at a time, which keeps the order of a guild. What happens to that event is
//! told by its clones: one acknowledges it, or all are dropped without (the handler failed or
//! panicked), and then it is given again after a pause.

mod desk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::record::Record;
use mixcord_ring::{Batch, Entry};

use self::desk::Standing;
pub(crate) use self::desk::{Giving, Held};
use crate::State;
use crate::doorbell::Doorbell;
use crate::filter::Filter;
use crate::received::{Event, Holder};

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
    pub(crate) fn new(
        batch: Batch,
        terms: Terms,
        state: &State,
        doorbell: Option<Arc<Doorbell>>,
    ) -> Self {
        let Terms { mode, retry } = terms;
        let held = Arc::new(Held::new(batch, mode, state, doorbell));
        Self { held, retry, next: 0, attempts: 0, given: false, looked_at: None, retry_at: None }
    }

    /// Where the next wanted record stands in the ring, without giving it; `None` when the lane has
    /// none to give now, and a turn says why.
    pub(crate) fn head(&mut self, filter: &Filter) -> Result<Option<u64>, Damaged> {
        if self.unsettled().is_some() {
            return Ok(None);
        }
        while let Some(entry) = self.held.records().get(self.next as usize) {
            // A record is looked at once, however often its lane is asked.
            if self.looked_at != Some(self.next) {
                match wanted(&entry, filter) {
                    Ok(Wanted::Record(_) | Wanted::Gone) => self.looked_at = Some(self.next),
                    Ok(Wanted::No) => {
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
            match self.held.standing() {
                Standing::Out => return Some(Turn::Out),
                Standing::Settled => {
                    self.next += 1;
                    self.attempts = 0;
                }
                Standing::Idle | Standing::Abandoned => {
                    self.retry_at = Some(Instant::now() + pause(self.retry, self.attempts));
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
        while let Some(entry) = self.held.records().get(self.next as usize) {
            match wanted(&entry, filter) {
                Ok(Wanted::Record(record)) => {
                    self.attempts += 1;
                    self.given = true;
                    let giving = self.held.give(self.next);
                    let holder = Holder::Held(Arc::clone(&self.held), giving);
                    return Ok(Turn::Event(Event::new(
                        &record,
                        entry.payload,
                        holder,
                        self.attempts,
                    )));
                }
                Ok(Wanted::Gone) => {
                    self.attempts += 1;
                    self.given = true;
                    let held = Some((Arc::clone(&self.held), self.held.give(self.next)));
                    let (ring, state) = (self.held.ring(), self.held.state());
                    let (position, attempts) = (entry.position, self.attempts);
                    tracing::error!(position, "the file of a large record is gone: it is lost");
                    if let Some(event) = Event::gone(&entry, ring, state, held, attempts) {
                        return Ok(Turn::Event(event));
                    }
                    (self.next, self.given) = (self.next + 1, false);
                }
                Ok(Wanted::No) => self.next += 1,
                Err(source) => return Err(Damaged { position: entry.position, source }),
            }
        }
        self.held.release(true);
        Ok(Turn::Done)
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

/// How long an event rests whose attempts so far have failed: the first pause, doubled after each
/// further one, and never more than the longest.
fn pause((first, longest): (Duration, Duration), attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(30);
    first.saturating_mul(1 << doublings).min(longest)
}

/// What a consumer wants of an entry.
pub(crate) enum Wanted<'a> {
    Record(Record<'a>),
    /// To be told that its bytes are gone, whatever the filter.
    Gone,
    No,
}

/// The record of an entry, when it is wanted.
pub(crate) fn wanted<'a>(
    entry: &Entry<'a>,
    filter: &Filter,
) -> Result<Wanted<'a>, mixcord_event::record::RecordError> {
    if entry.lost {
        return Ok(Wanted::Gone);
    }
    if !filter.admits_tag(entry.tag) {
        return Ok(Wanted::No);
    }
    let record = Record::parse(entry.payload)?;
    let admitted = filter.admits(record.kind(), record.kind_name());
    Ok(if admitted { Wanted::Record(record) } else { Wanted::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_with_each_failure_up_to_the_longest() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(30));
        let pauses: Vec<_> =
            (1..=12).map(|attempts| pause((first, longest), attempts).as_millis()).collect();
        let doubled = [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
        assert_eq!(pauses[..10], doubled);
        assert_eq!(pauses[10..], [30_000, 30_000]);
        assert_eq!(pause((first, longest), u32::MAX), longest);
        assert_eq!(pause((longest, first), 1), first);
    }
}

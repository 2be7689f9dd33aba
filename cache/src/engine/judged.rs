//! Records while two sets of sessions run side by side: delivered, kept, or passed over.

use mixcord_event::{Map, Reason, Record};
use mixcord_ring::Entry;
use mixcord_state::StoreError;

use super::ahead::Waiting;
use super::beside::named;
use super::pass::{End, Pass};
use super::work::{Done, Place};
use crate::annotate::Names;
use crate::overlap::Verdict;

impl Pass<'_> {
    /// One record, where another may be its copy.
    pub(super) fn judged(
        &mut self,
        at: Place,
        waiting: &Waiting<'_>,
        from: u16,
    ) -> Result<Done, StoreError> {
        let read = waiting.record.as_ref().map(|record| (record, waiting.names));
        let judged = match (&self.beside, &waiting.record) {
            (Some(beside), Ok(record)) => beside.fact(at, record).map(|fact| (record, fact)),
            _ => None,
        };
        let (Some(beside), Some((record, fact))) = (&mut self.beside, judged) else {
            return self.work.record(at, waiting.entry, read, from, &|_| false);
        };
        let bytes = waiting.entry.payload;
        // What is delivered in part was judged before.
        let verdict =
            if from > 0 { Verdict::Deliver } else { beside.overlap.judge(&fact, bytes.len()) };
        match verdict {
            Verdict::Stop => {
                beside.overlap.stopped(&fact);
                return Ok(Done::Stopped);
            }
            Verdict::Keep => beside.overlap.kept(&fact, named(at, record, bytes)),
            Verdict::Pass => beside.overlap.passed(&fact),
            Verdict::Deliver => {
                let (overlap, side, at_us) = (&beside.overlap, fact.side, fact.at_us);
                let others = |guild| overlap.is_others(side, guild, at_us);
                let done = self.work.record(at, waiting.entry, read, from, &others)?;
                if done != Done::Staged {
                    return Ok(done);
                }
                beside.overlap.delivered(&fact);
            }
        }
        Ok(Done::Staged)
    }

    /// Delivers what is due before any other record; whether that is all of it.
    pub(super) fn due(&mut self) -> Result<bool, StoreError> {
        loop {
            let Some(beside) = &mut self.beside else { return Ok(true) };
            let Some(due) = beside.overlap.due() else { return Ok(true) };
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            let (id, shard, part, is_shown) = (due.id, due.shard, due.part, due.is_shown);
            let bytes = due.bytes.to_vec();
            let done = match Record::parse(&bytes) {
                Ok(record) => {
                    let header = record.header();
                    let shard = (header.shard.count, header.shard.id);
                    let at =
                        Place { shard, ring: header.origin.ring, position: header.origin.position };
                    let place = Some((shard, at.position));
                    *self.begun = place;
                    if place == self.too_much {
                        self.work.tell(at, part, Reason::Undeliverable)
                    } else {
                        self.stage_due(at, &record, &bytes, part, is_shown)?
                    }
                }
                Err(error) => {
                    tracing::error!("a record that waited for its copy cannot be read: {error}");
                    // Where it was first is in what cannot be read: the gap has its own place.
                    let (ring, position) = (self.work.out.id().0, self.work.out.staged_tail());
                    self.work.tell(Place { shard, ring, position }, 0, Reason::Undecodable)
                }
            };
            let Some(beside) = &mut self.beside else { return Ok(true) };
            match done {
                Done::Staged => beside.overlap.released(id),
                Done::Part(index) => {
                    beside.overlap.partly(id, index);
                    return Ok(false);
                }
                Done::Waits(need) => {
                    self.end = End::Waits(need);
                    return Ok(false);
                }
                Done::Torn(need) => {
                    (self.end, self.torn) = (End::Waits(need), true);
                    return Ok(false);
                }
                Done::Stopped | Done::Newer(_) => return Ok(false),
            }
        }
    }

    fn stage_due(
        &mut self,
        at: Place,
        record: &Record<'_>,
        payload: &[u8],
        part: u16,
        is_shown: bool,
    ) -> Result<Done, StoreError> {
        if is_shown {
            return Ok(self.work.show(at, record));
        }
        let names = Names::of(record.data().as_map().unwrap_or(Map::EMPTY));
        let (position, source) = (at.position, record.header().seq);
        let entry = Entry {
            position,
            key: record.header().key,
            tag: 0,
            source,
            order: 0,
            seal: 0,
            payload,
            lost: false,
        };
        self.work.record(at, entry, Ok((record, names)), part, &|_| false)
    }
}

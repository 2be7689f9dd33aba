//! Looking on: every record in order, held by nobody.

use std::sync::Arc;

use mixcord_ring::Start;

use super::source::{Source, replacement, take_error};
use super::wanted::{Damaged, Wanted, wanted};
use super::{BATCH, Consumer, Poll};
use crate::Error;
use crate::received::{Event, Holder};

impl Consumer {
    pub(super) fn poll_observer(&mut self) -> Result<Poll, Error> {
        loop {
            let Source::Observer { observer, ring, seen, next } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            while let Some(entry) = seen.get(*next as usize) {
                let index = *next;
                *next += 1;
                match wanted(&entry, &self.options.filter) {
                    Ok(Wanted::Record(record)) => {
                        let (seen, context) = (Arc::clone(seen), Arc::clone(&self.context));
                        let holder = Holder::Seen(seen, index, context);
                        return Ok(Poll::Event(Event::new(&record, entry.payload, holder, 1)));
                    }
                    Ok(Wanted::Gone) => {
                        let gone = Event::gone(&entry, ring.id(), &self.context, |_| None);
                        if let Some(event) = gone {
                            return Ok(Poll::Event(event));
                        }
                    }
                    Ok(Wanted::No) => {}
                    Err(source) => {
                        let damaged = Damaged { position: entry.position, source };
                        return Err(self.damaged(&damaged));
                    }
                }
            }
            // A buffer that no event shares any more is used again.
            if Arc::get_mut(seen).is_none() {
                *seen = Arc::default();
            }
            let Some(seen) = Arc::get_mut(seen) else { return Ok(Poll::Wait) };
            *next = 0;
            let something =
                observer.read(BATCH, seen).map_err(|source| take_error(&self.options, source))?;
            let lost = seen.lost();
            self.pacer.took(seen.len() as u64);
            if something {
                if lost > 0
                    && let Some(event) = Event::lost_records(lost, &self.context)
                {
                    return Ok(Poll::Event(event));
                }
                continue;
            }
            if self.pulse.is_gone(ring)
                && let Some(new) = replacement(&self.namespace, ring)
                && let Some(doorbell) = &self.doorbell
            {
                tracing::warn!(instance = self.options.instance, "the output ring was replaced");
                // Not from the earliest: what went before it was there is lost, and is told. The same ring in
                // other sizes goes on where it stood.
                let from = if new.id() == ring.id() { observer.position() } else { 0 };
                let (options, counters, start) = (&self.options, &self.counters, Start::At(from));
                self.source =
                    Source::join(options, &new, start, counters, doorbell, &self.context)?;
                self.watching.follow(&new);
                continue;
            }
            return Ok(Poll::Wait);
        }
    }
}

//! Records of the output ring, read again from any position that is still there.

use std::sync::Arc;

use mixcord_event::{Record, Seal};
use mixcord_ring::{Limits, Observed, Ring};

use crate::consumer::Damaged;
use crate::operator::writer;
use crate::received::{Context, Event, Holder};
use crate::{Consumer, Error};

/// How much is copied out of the ring at a time.
const BATCH: Limits = Limits { records: 64, bytes: 1 << 20 };

/// The records that the output ring still holds, by position: for whoever keeps positions of its own rather than
/// a group, and for a second look. It holds nobody up.
///
/// It is of one ring: [`is_current`](Self::is_current) says whether that is still the one which consumers read.
#[derive(Clone)]
pub struct Past {
    ring: Ring,
    context: Arc<Context>,
    instance: String,
}

/// What was read at a time.
#[derive(Debug, Default)]
pub struct Reading {
    /// The events, in order. In the place of a record whose file is gone there is one that says so
    /// ([`Event::lost`]), alone.
    pub events: Vec<Event>,
    /// How many records were gone before the first of them.
    pub lost: u64,
    /// Where to read on.
    pub next: u64,
}

impl Consumer {
    /// What the ring that it reads still holds; `None` when it was stopped before there was a ring.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        let ring = self.ring()?.clone();
        let (context, instance) = (Arc::clone(self.context()), self.instance().to_owned());
        Some(Past { ring, context, instance })
    }
}

impl Past {
    /// The id of the ring.
    #[must_use]
    pub fn ring(&self) -> u64 {
        self.ring.id().0
    }

    /// The oldest position that is still there.
    #[must_use]
    pub fn earliest(&self) -> u64 {
        self.ring.earliest()
    }

    /// The position that the next record will have.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.ring.tail()
    }

    /// Whether consumers still read this ring.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.ring.is_current()
    }

    /// Some events from `position` on, without waiting for any: none where nothing newer was published.
    ///
    /// # Errors
    /// When the ring, or a record, is damaged or of another release.
    pub fn read(&self, position: u64) -> Result<Reading, Error> {
        let mut seen = Observed::default();
        self.ring.glance(position, BATCH, &mut seen).map_err(|source| Error::Take {
            instance: self.instance.clone(),
            group: "(past)".to_owned(),
            source,
        })?;
        let (lost, seen) = (seen.lost(), Arc::new(seen));
        let mut reading = Reading { events: Vec::new(), lost, next: position + lost };
        for (index, entry) in seen.entries().enumerate() {
            // What can be read comes first: of a loss, or damage, its position says where to read on.
            let is_first = reading.events.is_empty();
            if entry.lost {
                if is_first {
                    reading.next = entry.position + 1;
                    reading.events.extend(Event::gone(
                        &entry,
                        self.ring.id(),
                        &self.context,
                        |_| None,
                    ));
                }
                break;
            }
            let record = match Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal)) {
                Ok(record) => record,
                Err(source) if is_first => {
                    let damaged = Damaged { position: entry.position, source };
                    return Err(damaged.error(&self.instance, || writer(&self.ring)));
                }
                Err(_) => break,
            };
            reading.next = entry.position + 1;
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let holder = Holder::Seen(Arc::clone(&seen), index, Arc::clone(&self.context));
            reading.events.push(Event::new(&record, entry.payload, holder, 1));
        }
        Ok(reading)
    }
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").field("ring", &self.ring.name()).finish_non_exhaustive()
    }
}

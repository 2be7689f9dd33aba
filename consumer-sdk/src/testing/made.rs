//! Events made by hand.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mixcord_event::record::{self, Record};
use mixcord_event::{Document, Flags, Header, Kind, Origin, Reason, Shard};

use super::Testbed;
use crate::Event;
use crate::group::How;
use crate::received::{Context, Holder};

/// What a handler said of an event that was made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// [`Event::ack`].
    Acked,
    /// [`Event::nak`].
    Nak {
        /// When it is to be given again.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// [`Event::term`], or a [`Router`](crate::Router) could not make what its handler asks for.
    Term {
        /// Why.
        reason: String,
    },
}

impl Settled {
    /// The first word that was said of an event; `None` while there is none, and for events that were not
    /// [made](Made::make) but given by a consumer.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        event.given()?.settled().clone()
    }
}

/// An event about to be made: [`Testbed::event`].
#[must_use = "`make` gives the event, `publish` gives it to the bed's consumers"]
#[derive(Clone)]
pub struct Made<'a> {
    bed: &'a Testbed,
    header: Header,
    name: String,
    data: Document,
    old: Option<Document>,
    attempt: u32,
}

impl<'a> Made<'a> {
    pub(super) fn new(bed: &'a Testbed, name: &str, data: Document) -> Self {
        let kind = Kind::from_name(name.as_bytes()).unwrap_or(Kind::UNKNOWN);
        let seq = bed.next_seq();
        let header = Header {
            kind,
            shard: Shard { id: 0, count: 1 },
            session: 1,
            seq,
            key: mixcord_event::partition_key(kind, data.value()),
            origin: Origin { ring: bed.ring_id(), position: seq },
            received_us: now_us(),
            ..Header::default()
        };
        Self { bed, header, name: name.to_owned(), data, old: None, attempt: 1 }
    }

    /// The entity before it, as JSON.
    ///
    /// # Panics
    /// When it is no JSON.
    pub fn old(mut self, json: impl fmt::Display) -> Self {
        self.old = Some(document(&json));
        self
    }

    /// Why it came.
    pub const fn reason(mut self, reason: Reason) -> Self {
        self.header.reason = reason;
        self
    }

    /// Remarks on it.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.header.flags = flags;
        self
    }

    /// Derived from another event, as the so many-th.
    pub const fn index(mut self, index: u16) -> Self {
        self.header.index = index;
        self
    }

    /// The shard it came through, and of how many.
    pub const fn shard(mut self, id: u16, count: u16) -> Self {
        self.header.shard = Shard { id, count };
        self
    }

    /// Received so long ago.
    pub fn age(mut self, age: Duration) -> Self {
        let age_us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        self.header.received_us = now_us().saturating_sub(age_us).max(1);
        self
    }

    /// Given so often, this time included; of one that is published the ring counts.
    pub const fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Its guild's place in the order of events, where its data says none.
    pub const fn key(mut self, key: u64) -> Self {
        self.header.key = key;
        self
    }

    /// The event itself. What is said of it is seen by [`Settled::of`].
    #[must_use]
    pub fn make(self) -> Event {
        let (record, attempt, context) = (self.record(), self.attempt, self.bed.context());
        let given = Given { record, context, settled: Mutex::new(None) };
        Event::made(&Arc::new(given), attempt)
    }

    /// Publishes it in the bed's ring, for its consumers, observers and whoever waits.
    ///
    /// # Panics
    /// When the ring is full of what a group of the bed has not handled.
    pub fn publish(self) {
        self.bed.publish(&self.header, &self.record());
    }

    fn record(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let old = self.old.as_ref().map(Document::as_bytes);
        record::encode(&self.header, Some(&self.name), self.data.as_bytes(), old, &mut bytes);
        bytes
    }
}

impl fmt::Debug for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made")
            .field("name", &self.name)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// The record of an event that no ring holds, and what was said of it.
pub(crate) struct Given {
    pub(crate) record: Vec<u8>,
    pub(crate) context: Arc<Context>,
    settled: Mutex<Option<Settled>>,
}

impl Given {
    /// Only the first word counts.
    pub(crate) fn settle(&self, how: How<'_>) {
        let said = match how {
            How::Ack => Settled::Acked,
            How::Retry(after, reason) => Settled::Nak { after, reason: reason.to_owned() },
            How::GiveUp(reason) => Settled::Term { reason: reason.to_owned() },
            How::Fail(_) | How::Leave => return,
        };
        self.settled().get_or_insert(said);
    }

    fn settled(&self) -> MutexGuard<'_, Option<Settled>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    fn made(given: &Arc<Given>, attempt: u32) -> Self {
        let record = Record::parse(&given.record).expect("a record that was just written");
        Self::new(&record, &given.record, Holder::Made(Arc::clone(given)), attempt)
    }
}

/// JSON as a document.
pub(super) fn document(json: &impl fmt::Display) -> Document {
    let text = json.to_string();
    match Document::from_json(&text) {
        Ok(document) => document,
        Err(error) => panic!("{error}, in this JSON of a test: {text}"),
    }
}

fn now_us() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

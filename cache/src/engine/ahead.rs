//! Looking ahead in the records that wait: what they will want of the store is sent for while others are done.

use mixcord_event::Record;
use mixcord_ring::Entry;
use mixcord_state::{Key, compose};

use crate::annotate::Wants;
use crate::store::{Notes, OpenBatch};

// An event takes microseconds, and a line comes in a tenth of one: one record is time enough for each step, and
// what comes too early is gone again.
/// Records before its turn at which a record is looked at, and its keys' places are sent for;
const FAR: usize = 5;
/// at which the values there are;
const NEAR: usize = 3;
/// at which a message is looked for in its channel's history, and its place is sent for;
const FOUND: usize = 2;
/// at which the message is.
const CLOSE: usize = 1;

/// The records that wait in a ring, as far as they are looked at before their turn.
pub(super) struct Ahead<I> {
    records: I,
    /// What the last `FAR` of those looked at want.
    wants: [Wants; FAR],
    /// The messages of those whose histories were looked at.
    messages: [Option<Key>; FAR],
    /// How many were looked at.
    seen: usize,
    /// How many had their turn.
    done: usize,
}

impl<'a, I: Iterator<Item = Entry<'a>>> Ahead<I> {
    pub(super) fn new(records: I) -> Self {
        let (wants, messages) = ([Wants::default(); FAR], [None; FAR]);
        Self { records, wants, messages, seen: 0, done: 0 }
    }

    /// The next record has its turn.
    pub(super) fn step(&mut self, store: &OpenBatch<'_>, notes: &Notes) {
        while self.seen < self.done + FAR {
            let Some(entry) = self.records.next() else { break };
            let record = Record::parse_head(entry.payload);
            let wants = record.as_ref().map_or_else(|_| Wants::default(), Wants::of);
            let keys = wants.values.into_iter().chain([wants.absent]);
            keys.flatten().for_each(|key| store.expect(key));
            wants.subjects.into_iter().flatten().for_each(|subject| notes.expect(subject));
            self.wants[self.seen % FAR] = wants;
            self.seen += 1;
        }
        if let Some(place) = self.place(NEAR) {
            self.wants[place].values.into_iter().flatten().for_each(|key| store.expect_value(key));
        }
        if let Some(place) = self.place(FOUND) {
            let message = message(store, &self.wants[place]);
            message.into_iter().for_each(|key| store.expect(key));
            self.messages[place] = message;
        }
        if let Some(key) = self.place(CLOSE).and_then(|place| self.messages[place]) {
            store.expect_value(key);
        }
        self.done += 1;
    }

    /// Where it is noted what the record so many before its turn wants, if there is one.
    fn place(&self, before: usize) -> Option<usize> {
        let number = self.done + before;
        (number < self.seen).then_some(number % FAR)
    }
}

/// Where the message lies that a record wants.
fn message(store: &OpenBatch<'_>, wants: &Wants) -> Option<Key> {
    let (id, channel) = (wants.message?, wants.values[0]?);
    let facts = compose::channel_facts(store, channel.owner(), channel.id()).ok()??;
    Some(facts.message(id)?.key())
}

//! Looking ahead in the records that wait: they are checked some records before their turn, and what they will want
//! of the store is sent for while others are done.

use mixcord_event::{Map, Record, RecordError, Seal};
use mixcord_ring::Entry;
use mixcord_state::{Key, compose};

use super::input::Lent;
use crate::annotate::{Names, Wants};
use crate::store::{Notes, OpenBatch, Store};

// An event takes microseconds, and a line comes in a tenth of one: one record is time enough for each step, and
// what comes too early is gone again.
/// Records before its turn at which a record is looked at, and its keys' places are sent for;
const FAR: usize = 5;
/// at which the values there are;
const NEAR: usize = 3;
/// at which a message is looked for in its channel's history, and its place is sent for, or that of what is read
/// instead of a value that is not there;
const FOUND: usize = 2;
/// at which these are.
const CLOSE: usize = 1;

/// A record that waits.
pub(super) struct Waiting<'a> {
    /// Whose it is: the input's place in the pass.
    turn: usize,
    pub(super) entry: Entry<'a>,
    /// What it says, or why it cannot be read.
    pub(super) record: Result<Record<'a>, RecordError>,
    /// What its payload names.
    pub(super) names: Names<'a>,
    wants: Wants,
    /// Whether the first value that it wants seemed not to be there.
    lacks: bool,
    /// What it wants by what others say: the message, once the channel's history was looked at, or what is read instead.
    then: [Option<Key>; 2],
}

/// The records that wait, input by input, as far as they are looked at before their turn. Where many inputs have a record
/// each, that is those of the next inputs.
pub(super) struct Ahead<'a> {
    inputs: &'a [Lent],
    /// The record that is looked at next: its input's place in the pass, and its number in there.
    next: (usize, usize),
    /// The one whose turn it is, or was, and those behind it: record number `n` at `n % PLACES`.
    waiting: [Option<Waiting<'a>>; PLACES],
    /// The number of the first, and of the one behind the last.
    first: usize,
    behind: usize,
    /// Whether the first was given out.
    is_begun: bool,
}

/// A power of two above [`FAR`].
const PLACES: usize = 8;

impl<'a> Ahead<'a> {
    /// Of these inputs, in the order of the pass.
    pub(super) const fn new(inputs: &'a [Lent]) -> Self {
        let waiting = [const { None }; PLACES];
        Self { inputs, next: (0, 0), waiting, first: 0, behind: 0, is_begun: false }
    }

    /// The next record of the input whose turn it is, which passes over what was left of those before; `store` is where
    /// it will look, if anywhere.
    #[inline]
    pub(super) fn next(
        &mut self,
        turn: usize,
        store: Option<&OpenBatch<'_>>,
        notes: &Notes,
    ) -> Option<&Waiting<'a>> {
        if std::mem::take(&mut self.is_begun) {
            self.first += 1;
        }
        while self.at(0).is_some_and(|waiting| waiting.turn < turn) {
            self.first += 1;
        }
        self.look(turn, store, notes);
        self.is_begun = self.at(0).is_some_and(|waiting| waiting.turn == turn);
        if !self.is_begun {
            return None;
        }
        if let Some(store) = store {
            self.send_for_values(store);
        }
        self.at(0).map(|waiting| &*waiting)
    }

    /// Looks at the records until [`FAR`].
    fn look(&mut self, turn: usize, store: Option<&OpenBatch<'_>>, notes: &Notes) {
        while self.behind <= self.first + FAR {
            let Some((turn, entry)) = self.pull(turn) else { break };
            let whole = store.is_none_or(|store| store.has_channels_whole());
            let waiting = Waiting::of(turn, entry, whole);
            if let Some(store) = store {
                let Wants { values, absent, subjects, .. } = waiting.wants;
                values.into_iter().chain([absent]).flatten().for_each(|key| store.expect(key));
                subjects.into_iter().flatten().for_each(|subject| notes.expect(subject));
            }
            self.waiting[self.behind % PLACES] = Some(waiting);
            self.behind += 1;
        }
    }

    /// The next record of the input at `turn` or of one behind it.
    fn pull(&mut self, turn: usize) -> Option<(usize, Entry<'a>)> {
        self.next = self.next.max((turn, 0));
        loop {
            let (of, number) = self.next;
            let input = self.inputs.get(of)?;
            if let Some(entry) = input.get(number) {
                self.next = (of, number + 1);
                return Some((of, entry));
            }
            self.next = (of + 1, 0);
        }
    }

    fn send_for_values(&mut self, store: &OpenBatch<'_>) {
        if let Some(waiting) = self.at(NEAR) {
            let [first, second, third] = waiting.wants.values;
            waiting.lacks = first.is_some_and(|key| !store.expect_value(key));
            for key in [second, third].into_iter().flatten() {
                store.expect_value(key);
            }
        }
        if let Some(waiting) = self.at(FOUND) {
            waiting.then = match waiting.lacks {
                true => waiting.wants.instead,
                false => [message(store, &waiting.wants), None],
            };
            waiting.then.into_iter().flatten().for_each(|key| store.expect(key));
        }
        for key in self.at(CLOSE).into_iter().flat_map(|waiting| waiting.then).flatten() {
            store.expect_value(key);
        }
    }

    /// The record so many before its turn, if there is one.
    fn at(&mut self, before: usize) -> Option<&mut Waiting<'a>> {
        let number = self.first + before;
        if number < self.behind { self.waiting[number % PLACES].as_mut() } else { None }
    }
}

impl<'a> Waiting<'a> {
    /// What is asked for in a store that has, or has not, what is known about a channel in one value.
    fn of(turn: usize, entry: Entry<'a>, has_channels_whole: bool) -> Self {
        let record = Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal));
        let (mut names, mut wants) = (Names::default(), Wants::default());
        if let Ok(record) = &record {
            names = Names::of(record.data().as_map().unwrap_or(Map::EMPTY));
            wants = Wants::of(record, &names, has_channels_whole);
        }
        Self { turn, entry, record, names, wants, lacks: false, then: [None; 2] }
    }
}

/// Where the message lies that a record wants.
fn message(store: &OpenBatch<'_>, wants: &Wants) -> Option<Key> {
    let (channel, id) = wants.message?;
    let facts = compose::facts_of_channel(store, channel).ok()??;
    Some(facts.message(id)?.key())
}

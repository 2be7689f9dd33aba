//! Who writes a stream: a claim in a bucket, taken and renewed by compare-and-set.
//!
//! The bucket numbers its changes. The number of a put that made somebody the writer is higher than every number that
//! writers before had: so it is what generations are made of. A claim lists the lanes that are sent under it, each
//! with the ring it is sent from, and with the generation since which it is; a lane is listed only once the put
//! before succeeded, so that its generation is known when the list is read, by whoever goes on after a crash too.
//!
//! # Time
//! Each process has its own clock, and nobody compares two. Who waits for a claim to lapse counts from when it saw
//! that number first; who holds one counts from before it sent its last renewal, and sends nothing more after two
//! thirds of the term. So the old one is silent before a new one begins, as long as clocks run equally fast, and count the time in
//! which a machine sleeps.

mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::Lane;
pub use view::{Standing, View};

/// After so many milliseconds without a renewal a claim is anybody's.
pub const TERM_MS: u64 = 12_000;
/// How often it is renewed.
pub const RENEW_MS: u64 = 2_000;

/// What a writer says of a stream.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The process, by a random number.
    pub writer: u64,
    /// Where it runs, for people: its instance and the host's name.
    #[serde(default)]
    pub place: String,
    /// It stopped in order: nobody has to wait.
    #[serde(default)]
    pub ended: bool,
    /// It sends nothing, and takes shards over: whoever waits for it waits on.
    #[serde(default)]
    pub takes: bool,
    /// What it sends.
    #[serde(default)]
    pub lanes: BTreeMap<Lane, ClaimedLane>,
    /// The gateways there that take commands, by their first shard and count.
    #[serde(default)]
    pub gateways: Vec<Lane>,
}

/// A lane of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimedLane {
    /// The ring's id.
    pub log: u64,
    /// Generation since which it is sent.
    pub since: u64,
    /// A gateway writes the ring.
    pub written: bool,
}

/// A ring that a process wants to send in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The lane.
    pub lane: Lane,
    /// The ring's id.
    pub log: u64,
    /// A gateway writes it.
    pub written: bool,
}

/// What a process wants to claim of a stream.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wanted<'a> {
    /// The rings.
    pub sources: &'a [Source],
    /// Gateways that take commands.
    pub gateways: &'a [Lane],
}

/// A claim, as it stands in the bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Number of the change.
    pub revision: u64,
    /// What it says.
    pub claim: Claim,
}

/// What others claim in other streams.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rivals {
    lanes: BTreeMap<Lane, (ClaimedLane, String)>,
}

impl Rivals {
    /// Takes in a claim of another stream.
    pub fn add(&mut self, claim: &Claim) {
        for (lane, claimed) in &claim.lanes {
            let rival = (*claimed, claim.place.clone());
            let known = self.lanes.entry(*lane).or_insert_with(|| rival.clone());
            if claimed.since > known.0.since {
                *known = rival;
            }
        }
    }

    fn of(&self, source: &Source) -> Option<&(ClaimedLane, String)> {
        // The same ring is this machine's, under a stream of another name.
        self.lanes.get(&source.lane).filter(|(rival, _)| rival.log != source.log)
    }
}

/// Since which generation a ring is sent in a lane, if anybody claims or claimed last that it is.
#[must_use]
pub fn since(entries: &BTreeMap<String, Entry>, lane: Lane, log: u64) -> Option<u64> {
    let claimed = entries.values().filter_map(|entry| entry.claim.lanes.get(&lane));
    claimed.filter(|claimed| claimed.log == log).map(|claimed| claimed.since).max()
}

/// When claims changed last, as one process saw it.
#[derive(Clone, Default, Debug)]
pub struct Changes {
    /// By stream: the number, and when it was seen first.
    seen: BTreeMap<String, (u64, u64)>,
}

impl Changes {
    /// The bucket has this now. Times are milliseconds of any one clock that does not go back.
    pub fn take_in(&mut self, now_ms: u64, entries: &BTreeMap<String, Entry>) {
        self.seen.retain(|stream, _| entries.contains_key(stream));
        for (stream, entry) in entries {
            let known = self.seen.entry(stream.clone()).or_insert((entry.revision, now_ms));
            if known.0 != entry.revision {
                *known = (entry.revision, now_ms);
            }
        }
    }

    /// Claims that neither ended nor lapsed.
    pub fn living<'a>(
        &'a self,
        now_ms: u64,
        entries: &'a BTreeMap<String, Entry>,
    ) -> impl Iterator<Item = &'a Claim> {
        self.living_streams(now_ms, entries).map(|(_, claim)| claim)
    }

    /// The same, each with its stream.
    pub fn living_streams<'a>(
        &'a self,
        now_ms: u64,
        entries: &'a BTreeMap<String, Entry>,
    ) -> impl Iterator<Item = (&'a String, &'a Claim)> {
        entries
            .iter()
            .filter(move |(stream, entry)| self.standing(now_ms, stream, entry) == Standing::Held)
            .map(|(stream, entry)| (stream, &entry.claim))
    }

    /// What others claim than this process, in other streams than this one.
    #[must_use]
    pub fn rivals(
        &self,
        now_ms: u64,
        entries: &BTreeMap<String, Entry>,
        (writer, stream): (u64, &str),
    ) -> Rivals {
        let mut rivals = Rivals::default();
        let own = entries.get(stream).map(|entry| &entry.claim);
        for claim in self.living(now_ms, entries) {
            if claim.writer != writer && !own.is_some_and(|own| std::ptr::eq(own, claim)) {
                rivals.add(claim);
            }
        }
        rivals
    }
}

/// The machine of one stream's claim.
#[derive(Debug)]
pub struct Lease {
    writer: u64,
    place: String,
    term_ms: u64,
    is_patient: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Somebody else's claim.
    Watching(Option<Watched>),
    Held(Held),
    Lost,
}

/// Somebody else's claim, as long as it stays the same.
#[derive(Clone, Copy, Debug)]
struct Watched {
    /// Its number. A bucket that lost its tail gives numbers again.
    revision: u64,
    writer: u64,
    /// When it was seen first, and last.
    since_ms: u64,
    looked_ms: u64,
}

#[derive(Debug)]
struct Held {
    revision: u64,
    claim: Claim,
    /// Before the last put that succeeded was sent.
    sent_ms: u64,
    /// That put's number as a generation: every lane that is listed next has it.
    generation: u64,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing, until the next look.
    Wait,
    /// Put this where the entry's number is still `expected`, 0 for none, and say what came of it.
    Put {
        /// The number.
        expected: u64,
        /// What is put.
        claim: Claim,
    },
    /// Somebody who lives writes the stream.
    Refused {
        /// Where it runs.
        by: String,
    },
    /// It was this process's, and somebody took it: it stops for good.
    Lost {
        /// Where that one runs.
        by: String,
    },
}

/// A lane that is not sent, as another machine sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// The lane.
    pub lane: Lane,
    /// Where the other one runs.
    pub by: String,
}

/// What may be sent now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tenure {
    /// Until when, by the clock of whoever asks; 0 where the stream is not this process's.
    pub until_ms: u64,
    /// The generation of whoever begins something now.
    pub generation: u64,
    /// What.
    pub lanes: BTreeMap<Lane, ClaimedLane>,
}

impl Lease {
    /// Of a process that has this number, and runs there.
    #[must_use]
    pub const fn new(writer: u64, place: String) -> Self {
        let state = State::Watching(None);
        Self { writer, place, term_ms: TERM_MS, is_patient: false, state }
    }

    /// Waits for the term of one that ended in order, too: whoever is only started anew comes back within it.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// What to do, now that the bucket says this of the stream. `epoch` is when the bucket was made, in seconds since
    /// 1970: numbers of one that is made anew begin again. Gives what is not sent as well.
    pub fn step(
        &mut self,
        now_ms: u64,
        epoch: u64,
        found: Option<&Entry>,
        wanted: Wanted<'_>,
        rivals: &Rivals,
    ) -> (Step, Vec<Blocked>) {
        let ours = found.is_some_and(|entry| entry.claim.writer == self.writer);
        match (&mut self.state, found) {
            (State::Lost, found) => {
                let by = found.map(|entry| entry.claim.place.clone()).unwrap_or_default();
                (Step::Lost { by }, Vec::new())
            }
            (State::Held(_), Some(entry)) if !ours => {
                self.state = State::Lost;
                (Step::Lost { by: entry.claim.place.clone() }, Vec::new())
            }
            (State::Held(held), found) => {
                if let Some(entry) = found.filter(|entry| entry.revision != held.revision) {
                    // An answer was lost, or the bucket its tail: it says what holds.
                    held.revision = entry.revision;
                    held.claim = entry.claim.clone();
                    held.generation = held.generation.max(generation(epoch, entry.revision));
                }
                let (claim, blocked) = held.next_claim(wanted, rivals);
                let due = now_ms.saturating_sub(held.sent_ms) >= RENEW_MS;
                let expected = if found.is_some() { held.revision } else { 0 };
                if !due && claim == held.claim && found.is_some() {
                    return (Step::Wait, blocked);
                }
                (Step::Put { expected, claim }, blocked)
            }
            (State::Watching(_), _) => (self.acquire(now_ms, found, wanted.sources), Vec::new()),
        }
    }

    fn acquire(&mut self, now_ms: u64, found: Option<&Entry>, sources: &[Source]) -> Step {
        let (writer, place, takes) = (self.writer, self.place.clone(), self.is_patient);
        let mut claim = Claim { writer, place, takes, ..Claim::default() };
        let Some(Entry { revision, claim: before }) = found else {
            return Step::Put { expected: 0, claim };
        };
        let is_own = |source: &Source| {
            before.lanes.get(&source.lane).is_some_and(|lane| lane.log == source.log)
        };
        let same_rings = sources.iter().any(is_own);
        let is_free = before.ended && !self.is_patient;
        if !(same_rings || is_free || before.writer == self.writer) {
            let State::Watching(watched) = &mut self.state else { return Step::Wait };
            // Who did not look for a while has not seen whether it was renewed.
            let seen =
                watched.filter(|seen| now_ms.saturating_sub(seen.looked_ms) < self.term_ms / 2);
            let since_ms = match seen {
                Some(seen) if (seen.revision, seen.writer) == (*revision, before.writer) => {
                    seen.since_ms
                }
                Some(_) if !before.takes => return Step::Refused { by: before.place.clone() },
                _ => now_ms,
            };
            let (revision, writer) = (*revision, before.writer);
            *watched = Some(Watched { revision, writer, since_ms, looked_ms: now_ms });
            if now_ms.saturating_sub(since_ms) < self.term_ms {
                return Step::Wait;
            }
        }
        // What was sent from the same rings goes on in its generation.
        claim.lanes = before.lanes.clone();
        claim.lanes.retain(|lane, claimed| {
            sources.iter().any(|source| (source.lane, source.log) == (*lane, claimed.log))
        });
        Step::Put { expected: *revision, claim }
    }

    /// A put of [`Lease::step`] that was sent at `sent_ms` got this number. If it failed, or nobody knows, the next
    /// step finds out.
    pub fn put(&mut self, sent_ms: u64, claim: Claim, revision: u64, epoch: u64) {
        if !matches!(self.state, State::Lost) {
            let generation = generation(epoch, revision);
            self.state = State::Held(Held { revision, claim, sent_ms, generation });
        }
    }

    /// What may be sent.
    #[must_use]
    pub fn tenure(&self) -> Tenure {
        match &self.state {
            State::Held(held) => Tenure {
                until_ms: held.sent_ms + self.term_ms * 2 / 3,
                generation: held.generation,
                lanes: held.claim.lanes.clone(),
            },
            _ => Tenure::default(),
        }
    }

    /// The last put of a process that took these rings over for another one of its machine: that one goes on at once, and
    /// everybody else waits for the term.
    #[must_use]
    pub fn hand_over(&self, lanes: BTreeMap<Lane, ClaimedLane>) -> Option<(u64, Claim)> {
        let State::Held(held) = &self.state else { return None };
        Some((held.revision, Claim { lanes, ..held.claim.clone() }))
    }

    /// The last put of a process that stops in order; `None` where the stream is not its.
    #[must_use]
    pub fn end(&self) -> Option<(u64, Claim)> {
        let State::Held(held) = &self.state else { return None };
        Some((held.revision, Claim { ended: true, ..held.claim.clone() }))
    }
}

/// A change's number as a generation.
const fn generation(epoch: u64, revision: u64) -> u64 {
    (epoch << 32).saturating_add(revision)
}

impl Held {
    /// What is claimed next, and what is not as others have it.
    fn next_claim(&self, wanted: Wanted<'_>, rivals: &Rivals) -> (Claim, Vec<Blocked>) {
        let mut lanes = BTreeMap::new();
        let mut blocked = Vec::new();
        for source in wanted.sources {
            let Source { lane, log, written } = *source;
            let listed = self.claim.lanes.get(&lane).filter(|listed| listed.log == log);
            let rival = rivals.of(source);
            let yields = rival.is_some_and(|(rival, _)| match listed {
                // Whoever came first stays; one without a gateway yields.
                None => rival.written || !written,
                Some(listed) if rival.since < listed.since => rival.written,
                Some(_) => !written,
            });
            match rival {
                Some((_, by)) if yields => blocked.push(Blocked { lane, by: by.clone() }),
                _ => {
                    let since = listed.map_or(self.generation, |listed| listed.since);
                    lanes.insert(lane, ClaimedLane { log, since, written });
                }
            }
        }
        let gateways = wanted.gateways.to_vec();
        (Claim { lanes, gateways, ended: false, ..self.claim.clone() }, blocked)
    }
}

#[cfg(test)]
mod tests;

//! A take-over from end to end, with everybody that has a part in it: the machine that died, or comes back at any time; the
//! standby, whose every request to the broker, and every answer, may be the last that its process does; Discord, and a
//! third machine that follows. What that one has is what Discord made, once and in order.

use std::collections::BTreeMap;

use mixcord_bridge::lease::{Claim, ClaimedLane, Entry, Lease, Rivals, Source, Step, Wanted};
use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::{About, Head, Packer, Predecessor, Sizes};
use mixcord_bridge::place::Place;
use mixcord_bridge::receiver::{Begin, Receiver, Step as Read};
use mixcord_bridge::sender::{Answer, Found, Outcome, Sender};
use mixcord_bridge::takeover::{Ended, Takeover};
use mixcord_ring::Entry as Record;

const LANE: Lane = Lane { shard: 0, count: 1 };
const TICK_MS: u64 = 500;
/// The machine is gone then.
const DEATH_MS: u64 = 5_000;
/// Everybody lives from then on.
const CALM_MS: u64 = 60_000;
const END_MS: u64 = 110_000;
const SIZES: Sizes = Sizes { records: 3, pack: 1 << 16, message: 1 << 16 };
/// A bucket's time.
const EPOCH: u64 = 1;

#[derive(Default)]
struct Broker {
    leases: Vec<Claim>,
    ends: BTreeMap<u64, Ended>,
    log: Vec<Vec<u8>>,
}

impl Broker {
    fn entry(&self) -> Option<Entry> {
        let claim = self.leases.last()?.clone();
        Some(Entry { revision: self.leases.len() as u64, claim })
    }

    fn put(&mut self, expected: u64, claim: Claim) -> Option<u64> {
        (self.leases.len() as u64 == expected).then(|| {
            self.leases.push(claim);
            self.leases.len() as u64
        })
    }

    fn append(&mut self, expected: u64, message: &[u8]) -> Answer {
        if self.log.len() as u64 != expected {
            return Answer::Missing;
        }
        self.log.push(message.to_vec());
        Answer::Stored(expected + 1)
    }

    fn last(&self) -> Option<(u64, Head)> {
        let head = Head::read(self.log.last()?).expect("a pack").0;
        Some((self.log.len() as u64, head))
    }
}

/// What stands in a ring: Discord's numbers, by position.
struct Ring {
    id: u64,
    records: Vec<u64>,
    floor: u64,
    taken: Option<(Predecessor, u64)>,
}

impl Ring {
    const fn new(id: u64) -> Self {
        Self { id, records: Vec::new(), floor: 0, taken: None }
    }

    fn last(&self) -> u64 {
        self.records.last().copied().unwrap_or(0)
    }
}

/// A process that sends a ring.
struct Sending {
    lease: Lease,
    sender: Sender,
    since: Option<u64>,
    /// Another machine runs the shard: it, or at least its gateway, ended.
    over: bool,
}

impl Sending {
    fn new(writer: u64) -> Self {
        let lease = Lease::new(writer, writer.to_string());
        Self { lease, sender: Sender::default(), since: None, over: false }
    }

    /// Its claim, and as much as can be sent. What is sent last is on its way yet where `late` wants it.
    fn step(&mut self, now_ms: u64, broker: &mut Broker, ring: &mut Ring, late: Option<&mut Late>) {
        let source = Source { lane: LANE, log: ring.id, written: true };
        let wanted = Wanted { sources: &[source], gateways: &[] };
        let found = broker.entry();
        match self.lease.step(now_ms, EPOCH, found.as_ref(), wanted, &Rivals::default()).0 {
            Step::Wait => {}
            Step::Put { expected, claim } => {
                if let Some(revision) = broker.put(expected, claim.clone()) {
                    self.lease.put(now_ms, claim, revision, EPOCH);
                }
            }
            Step::Refused { .. } | Step::Lost { .. } => self.over = true,
        }
        let claimed = self.lease.tenure().lanes.get(&LANE).copied();
        let Some(claimed) = claimed.filter(|_| self.may(now_ms)) else { return };
        if self.since != Some(claimed.since) {
            self.sender = Sender::default();
            self.sender.add(ring.id, ring.floor, claimed.since);
            self.since = Some(claimed.since);
        }
        while self.sender.must_look() {
            if broker.ends.contains_key(&ring.id) {
                self.over = true;
                return;
            }
            let last = broker.last().map(|(sequence, head)| (sequence, Some(head)));
            let found = Found { last, tail: ring.records.len() as u64 };
            self.sender.looked(broker.log.len() as u64, &[found]);
        }
        let Some(start) = self.sender.start(0) else {
            self.over = true;
            return;
        };
        let predecessor = ring.taken.filter(|taken| taken.1 == start.first).map(|taken| taken.0);
        let entries = (start.first..).zip(ring.records.iter().skip(start.first as usize));
        let entries = entries.map(|(position, seq)| Record {
            position,
            key: *seq,
            tag: 0,
            source: 0,
            order: 0,
            seal: 0,
            payload: b"record",
            lost: false,
        });
        let packed =
            Packer::new(SIZES).pack(&start, entries, &About { checkpoint: None, predecessor });
        let expected = self.sender.sent(0, &packed);
        if let Some(late) = late {
            late.0 = Some((expected, packed.messages[0].to_vec()));
            return;
        }
        if let Outcome::Kept { through, .. } =
            self.sender.answered(broker.append(expected, &packed.messages[0]))
        {
            ring.floor = through;
        }
    }

    fn may(&self, now_ms: u64) -> bool {
        !self.over && now_ms < self.lease.tenure().until_ms
    }

    /// Whether the gateway of this machine may resume.
    fn is_held(&self, now_ms: u64, ring: &Ring) -> bool {
        let is_sent = self.since.is_some() && !self.sender.must_look();
        self.may(now_ms) && is_sent && (ring.taken.is_none() || self.sender.has_begun(0))
    }
}

/// A message that was under way when its sender died.
#[derive(Default)]
struct Late(Option<(u64, Vec<u8>)>);

/// Reads the log into a mirror: log, and Discord's number.
#[derive(Default)]
struct Mirror {
    place: Place,
    records: Vec<(u64, u64)>,
    losses: usize,
}

impl Mirror {
    fn read(&mut self, log: &[Vec<u8>]) {
        let mut receiver = Receiver::new(self.place);
        'again: loop {
            let mark = receiver.place().mark.sequence as usize;
            let found = mark.checked_sub(1).and_then(|at| log.get(at));
            let from = match receiver.begin(found.map(|message| &**message)) {
                Begin::Behind(sequence) => sequence as usize,
                Begin::AtFirst => 0,
            };
            for (index, message) in log.iter().enumerate().skip(from) {
                let place = match receiver.message(index as u64 + 1, message).expect("a pack") {
                    Read::Pass => continue,
                    Read::Again => continue 'again,
                    Read::Take(take) => {
                        self.losses += usize::from(take.loss.is_some());
                        self.records.extend(take.rows().map(|(_, row)| (take.log(), row.key)));
                        take.done()
                    }
                };
                receiver.settle(place);
            }
            break;
        }
        self.place = receiver.place();
    }
}

/// What becomes of a request of the standby.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chaos {
    LoseRequest,
    LoseAnswer,
    KillBefore,
    KillAfter,
}

const CHAOS: [Chaos; 4] =
    [Chaos::LoseRequest, Chaos::LoseAnswer, Chaos::KillBefore, Chaos::KillAfter];

/// Which of its requests it becomes of.
struct Chance {
    left: usize,
    chaos: Option<Chaos>,
}

/// The process died.
struct Killed;

impl Chance {
    /// What a request comes to; `None` where nobody answers.
    fn ask<T>(&mut self, request: impl FnOnce() -> T) -> Result<Option<T>, Killed> {
        let hit = self.chaos.filter(|_| self.left == 0);
        self.left = self.left.wrapping_sub(1);
        match hit {
            None => Ok(Some(request())),
            Some(Chaos::LoseRequest) => Ok(None),
            Some(Chaos::LoseAnswer) => {
                request();
                Ok(None)
            }
            Some(Chaos::KillBefore) => Err(Killed),
            Some(Chaos::KillAfter) => {
                request();
                Err(Killed)
            }
        }
    }
}

/// The standby's receiving process, as it takes over.
struct Taker {
    lease: Lease,
    generation: Option<u64>,
    takeover: Option<Takeover>,
}

impl Taker {
    fn new(writer: u64) -> Self {
        let lease = Lease::new(writer, writer.to_string()).patient();
        Self { lease, generation: None, takeover: None }
    }

    fn held(&self, now_ms: u64) -> Option<u64> {
        self.generation.filter(|_| now_ms < self.lease.tenure().until_ms)
    }

    /// As far as it comes. Gives where the log ended, once that is certain.
    fn step(
        &mut self,
        now_ms: u64,
        broker: &mut Broker,
        place: &Place,
        chance: &mut Chance,
    ) -> Result<Option<Predecessor>, Killed> {
        let Some(found) = chance.ask(|| broker.entry())? else { return Ok(None) };
        let (wanted, rivals) = (Wanted::default(), Rivals::default());
        match self.lease.step(now_ms, EPOCH, found.as_ref(), wanted, &rivals).0 {
            Step::Wait => {}
            Step::Put { expected, claim } => {
                if let Some(Some(revision)) = chance.ask(|| broker.put(expected, claim.clone()))? {
                    self.lease.put(now_ms, claim, revision, EPOCH);
                    self.generation.get_or_insert_with(|| self.lease.tenure().generation);
                }
            }
            Step::Refused { .. } | Step::Lost { .. } => {
                *self = Self::new(broker.leases.len() as u64 + 1_000);
            }
        }
        let Some(generation) = self.held(now_ms) else { return Ok(None) };
        let begun = self.takeover.take().filter(|begun| begun.generation() == generation);
        let mut takeover = begun.unwrap_or_else(|| Takeover::new(generation));
        if takeover.must_look() {
            let Some(sequence) = chance.ask(|| broker.log.len() as u64)? else { return Ok(None) };
            let Some(last) = chance.ask(|| broker.last())? else { return Ok(None) };
            let Ok(fence) = takeover.looked(sequence, last.map(|(_, head)| head)) else {
                return Ok(None);
            };
            let packed = Packer::new(SIZES).pack(&fence.start, [], &About::default());
            let answer = chance.ask(|| broker.append(fence.expected, &packed.messages[0]))?;
            takeover.answered(answer.unwrap_or(Answer::Missing));
        }
        let end = takeover.end(place);
        self.takeover = Some(takeover);
        let Some(end) = end else { return Ok(None) };
        let ended = Ended { position: end.position, generation, place: "b".to_owned() };
        let noted = chance.ask(|| broker.ends.insert(end.log, ended))?;
        Ok(noted.filter(|_| self.held(now_ms).is_some()).map(|_| end))
    }
}

/// What becomes of the machine that died.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Dead,
    /// It only lost its network until then.
    Back(u64),
    /// It is started anew then.
    Restarted(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Machine {
    A,
    B,
}

/// Gives who resumed the session, in order.
fn run(fate: Fate, late_ms: u64, (number, chaos): (usize, Option<Chaos>)) -> Vec<Machine> {
    let what = format!("{fate:?}, late {late_ms}, request {number} {chaos:?}");
    let mut broker = Broker::default();
    let (mut x, mut y) = (Ring::new(100), Ring::new(200));
    let (mut a, mut b) = (Sending::new(1), Sending::new(2));
    let (mut mirror, mut follower) = (Mirror::default(), Mirror::default());
    let mut taker = Taker::new(3);
    let mut chance = Chance { left: number, chaos };
    let (mut made, mut owner, mut resumed) = (0, Machine::A, Vec::new());
    let (mut late, mut writers) = (Late::default(), 10);
    for now_ms in (1_000..END_MS).step_by(TICK_MS as usize) {
        made += u64::from(now_ms < CALM_MS);
        let lives = match fate {
            _ if now_ms < DEATH_MS => true,
            Fate::Dead => false,
            Fate::Back(at_ms) | Fate::Restarted(at_ms) => now_ms >= at_ms,
        };
        if matches!(fate, Fate::Restarted(at_ms) if now_ms == at_ms) {
            writers += 1;
            a = Sending::new(writers);
        }
        if now_ms == late_ms
            && let Some((expected, message)) = late.0.take()
        {
            broker.append(expected, &message);
        }
        if lives {
            if owner == Machine::A && now_ms < DEATH_MS {
                x.records.extend(x.last() + 1..=made);
            }
            let dies = now_ms + TICK_MS >= DEATH_MS && now_ms < DEATH_MS;
            if !a.over {
                a.step(now_ms, &mut broker, &mut x, dies.then_some(&mut late));
            }
            if now_ms >= DEATH_MS && a.is_held(now_ms, &x) {
                if owner != Machine::A || resumed.is_empty() {
                    (owner, _) = (Machine::A, resumed.push(Machine::A));
                }
                x.records.extend(x.last() + 1..=made);
            }
        }
        mirror.read(&broker.log);
        if y.taken.is_none() {
            match taker.step(now_ms, &mut broker, &mirror.place, &mut chance) {
                Ok(None) => {}
                Ok(Some(end)) => {
                    y.records = mirror.records.iter().map(|record| record.1).collect();
                    y.floor = y.records.len() as u64;
                    y.taken = Some((end, y.floor));
                    let claimed = ClaimedLane {
                        log: y.id,
                        since: taker.generation.unwrap_or(0),
                        written: false,
                    };
                    if let Some((expected, claim)) = taker.lease.hand_over([(LANE, claimed)].into())
                    {
                        broker.put(expected, claim);
                    }
                }
                Err(Killed) => {
                    writers += 1;
                    taker = Taker::new(writers);
                }
            }
        } else {
            assert!(!b.over, "{what}: the standby gave up");
            b.step(now_ms, &mut broker, &mut y, None);
            if b.is_held(now_ms, &y) {
                if owner != Machine::B {
                    (owner, _) = (Machine::B, resumed.push(Machine::B));
                }
                y.records.extend(y.last() + 1..=made);
            }
        }
        follower.read(&broker.log);
    }
    assert_eq!(follower.losses, 0, "{what}: a loss that is none");
    let numbers: Vec<u64> = follower.records.iter().map(|record| record.1).collect();
    assert_eq!(numbers, (1..=made).collect::<Vec<_>>(), "{what}: {resumed:?}");
    resumed
}

/// Long enough for every request of the standby, up to its end.
const REQUESTS: usize = 48;

#[test]
fn whatever_happens_to_a_request_of_the_standby_nothing_is_lost_or_twice() {
    for fate in [Fate::Dead, Fate::Back(25_000), Fate::Restarted(25_000)] {
        assert_eq!(run(fate, 0, (0, None)), [Machine::B]);
        for number in 0..REQUESTS {
            for chaos in CHAOS {
                for late_ms in [0, 17_500] {
                    let resumed = run(fate, late_ms, (number, Some(chaos)));
                    assert!(matches!(*resumed, [Machine::A | Machine::B]), "{fate:?} {resumed:?}");
                }
            }
        }
    }
}

#[test]
fn whenever_the_machine_comes_back_one_of_the_two_has_the_session() {
    for at_ms in (DEATH_MS + TICK_MS..40_000).step_by(TICK_MS as usize) {
        for fate in [Fate::Back(at_ms), Fate::Restarted(at_ms)] {
            for late_ms in [0, 12_000, 17_500, 18_000] {
                for noted in [None, Some(Chaos::KillAfter)] {
                    let resumed = run(fate, late_ms, (REQUESTS / 2, noted));
                    assert_eq!(resumed.len(), 1, "{fate:?}, late {late_ms}: {resumed:?}");
                }
            }
        }
    }
}

//! A log that does its worst, between rings that are vectors.

use std::collections::{BTreeMap, VecDeque};

use mixcord_bridge::floors::{End, Floors, Report, StreamReport, Trim};
use mixcord_bridge::names::{Lane, Shards};
use mixcord_bridge::pack::{About, Head, Packer, Sizes};
use mixcord_bridge::place::Place;
use mixcord_bridge::receiver::{Begin, Loss, Receiver, Step};
use mixcord_bridge::sender::{self, Answer, Found, Outcome, Sender};
use mixcord_ring::Entry;

use crate::fault::Fault;
use crate::noise::NOISE;

/// Lanes that share the stream.
pub(crate) const LANES: usize = 2;
/// Messages under way at most.
pub(crate) const WINDOW: usize = 4;
const STREAM: &str = "stream";
const SIZES: Sizes = Sizes { records: 3, pack: 1 << 16, message: 4 << 10 };

/// What a mirror has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    /// A record: log, position.
    Record(u64, u64),
    /// A loss: log, from, to.
    Gap(u64, u64, Option<u64>),
}

#[derive(Debug)]
struct Ring {
    id: u64,
    tail: u64,
    /// Of the bridge's group.
    floor: u64,
    /// Before it nothing can be read.
    earliest: u64,
    /// Nothing more comes.
    ended: bool,
    /// The generation since which it is sent.
    since: u64,
}

impl Ring {
    /// It is removed: all of it was acknowledged.
    const fn is_over(&self) -> bool {
        self.ended && self.floor == self.tail
    }
}

#[derive(Clone, Debug)]
struct Message {
    sequence: u64,
    lane: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Late {
    expected: u64,
    lane: usize,
    bytes: Vec<u8>,
}

/// A sender's process: gone when killed.
#[derive(Debug)]
struct Process {
    sender: Sender,
    packer: Packer,
    /// In the order of publishing.
    answers: VecDeque<Answer>,
    /// Messages of a pack that are not on their way yet, each with what it expects: a sender may die between them.
    outbox: VecDeque<(u64, usize, Vec<u8>)>,
    /// The look that is under way: the last sequence number, and the lanes that are read.
    looking: Option<(u64, Vec<Found>)>,
}

#[derive(Debug, Default)]
struct Mirror {
    /// Published with the checkpoint: survives.
    items: Vec<Item>,
    place: Place,
    reader: Option<(Receiver, u64)>,
    /// The receiver told how far it is, which it does before it reads.
    told: bool,
    /// It is not found yet.
    hidden: bool,
}

impl Mirror {
    /// The last message that is read to its end, which a restart may have forgotten.
    fn reached(&self) -> u64 {
        let place = self.reader.as_ref().map_or(self.place, |(receiver, _)| receiver.place());
        place.mark.sequence
    }
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    rings: Vec<Ring>,
    log: Vec<Message>,
    last: u64,
    late: Vec<Late>,
    senders: Vec<Process>,
    mirrors: Vec<Mirror>,
    pending: Vec<Fault>,
    ids: u64,
    harmed: bool,
    /// Nothing may be told as lost that the log still has: so it is with one fault alone.
    strict: bool,
    /// It goes on, however slowly.
    clock: u64,
    /// The next look at what to send sends something.
    idle: bool,
}

impl World {
    pub(crate) fn new(strict: bool) -> Self {
        let ring = |id| Ring { id, tail: 0, floor: 0, earliest: 0, ended: false, since: 1 };
        Self {
            rings: (1..=LANES as u64).map(ring).collect(),
            log: Vec::new(),
            last: 0,
            late: Vec::new(),
            senders: Vec::new(),
            mirrors: (0..LANES).map(|_| Mirror::default()).collect(),
            pending: Vec::new(),
            ids: LANES as u64,
            harmed: false,
            strict,
            clock: 1,
            idle: false,
        }
    }

    /// One more record in each ring.
    pub(crate) fn produce(&mut self) {
        self.rings.iter_mut().filter(|ring| !ring.ended).for_each(|ring| ring.tail += 1);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.harmed |= Fault::HARMFUL.contains(&fault);
        match fault {
            Fault::KillSender => self.senders.clear(),
            Fault::KillReceiver => self.mirrors.iter_mut().for_each(|mirror| mirror.reader = None),
            Fault::Reconnect => {
                for mirror in &mut self.mirrors {
                    if let Some((receiver, cursor)) = &mut mirror.reader {
                        *cursor = begin(&self.log, receiver);
                    }
                }
                self.senders.iter_mut().for_each(|process| {
                    process.sender.forget();
                    process.answers.clear();
                    process.outbox.clear();
                });
            }
            Fault::Land => self.land(),
            Fault::Trim => self.trim(),
            Fault::Foreign => {
                self.last += 1;
                self.log.push(Message { sequence: self.last, lane: 1, bytes: b"hello".to_vec() });
            }
            Fault::End => self.rings[1].ended = true,
            Fault::Late => self.mirrors[1].hidden = !self.mirrors[1].told,
            Fault::Second => {
                let second = self.process();
                self.senders.truncate(1);
                self.senders.push(second);
            }
            Fault::Truncate(count) => {
                self.log.truncate(self.log.len().saturating_sub(count));
                self.last = self.log.last().map_or(0, |message| message.sequence);
                self.late.clear();
            }
            Fault::Remake => {
                self.log.clear();
                self.last = 0;
                self.late.clear();
            }
            Fault::NewRing => {
                self.ids += 1;
                let (id, since) = (self.ids, self.clock);
                self.rings[0] = Ring { id, tail: 0, floor: 0, earliest: 0, ended: false, since };
                self.senders.clear();
            }
            Fault::Evict => {
                let ring = &mut self.rings[0];
                (ring.floor, ring.earliest) = (ring.tail, ring.tail);
            }
            amid => self.pending.push(amid),
        }
    }

    fn takes(&mut self, fault: Fault) -> bool {
        let at = self.pending.iter().position(|pending| *pending == fault);
        at.map(|at| self.pending.remove(at)).is_some()
    }

    /// As the leader does it: in order, or not at all.
    fn append(&mut self, expected: u64, lane: usize, bytes: &[u8]) -> Answer {
        if expected != self.last {
            return Answer::Missing;
        }
        self.last += 1;
        self.log.push(Message { sequence: self.last, lane, bytes: bytes.to_vec() });
        Answer::Stored(self.last)
    }

    fn land(&mut self) {
        for Late { expected, lane, bytes } in std::mem::take(&mut self.late) {
            self.append(expected, lane, &bytes);
        }
    }

    /// As the sender does it, with floors that are as old as the last commit.
    pub(crate) fn trim(&mut self) {
        let mut floors = Floors::new(u64::MAX);
        floors.heard(0, "receiver", self.report());
        if let Trim::Below(below) = floors.trim(0, STREAM, 0, &self.ends()) {
            self.log.retain(|message| message.sequence >= below);
        }
    }

    fn report(&self) -> Report {
        let told = (0..LANES).filter(|lane| self.mirrors[*lane].told);
        let lanes: BTreeMap<String, u64> =
            told.map(|lane| (name(lane).to_string(), self.mirrors[lane].reached())).collect();
        let mut report = Report { shards: Some(Shards::All), ..Report::default() };
        if !lanes.is_empty() {
            report.streams.insert(STREAM.to_owned(), StreamReport { created: 0, lanes });
        }
        report
    }

    fn ends(&self) -> Vec<End> {
        let end = |lane| {
            let last = self.log.iter().rfind(|message| message.lane == lane);
            let last = last.map_or(0, |message| message.sequence);
            End { lane: name(lane), last, sends: !self.rings[lane].is_over() }
        };
        (0..LANES).map(end).collect()
    }

    fn process(&self) -> Process {
        let mut sender = Sender::default();
        for ring in &self.rings {
            sender.add(ring.id, ring.floor, ring.since);
        }
        let (packer, answers, outbox) = (Packer::new(SIZES), VecDeque::new(), VecDeque::new());
        Process { sender, packer, answers, outbox, looking: None }
    }

    /// The next small thing that the senders do: one request, one answer, or one acknowledgement.
    pub(crate) fn send(&mut self) {
        if self.senders.is_empty() {
            self.senders.push(self.process());
        }
        self.clock += 1;
        for mut process in std::mem::take(&mut self.senders) {
            self.step(&mut process);
            // Who is superseded ends.
            if (0..LANES).all(|lane| process.sender.fault(lane).is_none()) {
                self.senders.push(process);
            }
        }
    }

    fn step(&mut self, process: &mut Process) {
        if process.sender.must_look() {
            process.answers.clear();
            process.outbox.clear();
            return self.look(process);
        }
        if let Some((expected, lane, bytes)) = process.outbox.pop_front() {
            return self.publish(process, expected, lane, bytes);
        }
        for (lane, ring) in self.rings.iter().enumerate() {
            // A take begins at the group's floor: what was lost on the way there is skipped.
            process.sender.skip_to(lane, ring.earliest);
        }
        if process.sender.in_flight() < WINDOW {
            for lane in [0, 1].map(|lane| lane ^ (self.last as usize & 1)) {
                if self.pack(process, lane) {
                    return;
                }
            }
        }
        if let Some(answer) = process.answers.pop_front()
            && let Outcome::Kept { lane, through } = process.sender.answered(answer)
        {
            let ring = &mut self.rings[lane];
            ring.floor = ring.floor.max(through);
        }
    }

    fn look(&self, process: &mut Process) {
        let (last, mut found) = process.looking.take().unwrap_or((self.last, Vec::new()));
        let lane = found.len();
        if lane == LANES {
            process.sender.looked(last, &found);
            let ahead =
                |lane| matches!(process.sender.fault(lane), Some(sender::Fault::Ahead { .. }));
            assert!(!(0..LANES).any(ahead), "{process:?}");
            return;
        }
        let message = self.log.iter().rfind(|message| message.lane == lane);
        let last_of = message.map(|message| {
            (message.sequence, Head::read(&message.bytes).ok().map(|(head, _)| head))
        });
        found.push(Found { last: last_of, tail: self.rings[lane].tail });
        process.looking = Some((last, found));
    }

    fn pack(&mut self, process: &mut Process, lane: usize) -> bool {
        let Some(start) = process.sender.start(lane) else { return false };
        let ring = &self.rings[lane];
        if ring.is_over() {
            return false;
        }
        // An idle lane says from time to time where it stands.
        if start.first >= ring.tail && !std::mem::take(&mut self.idle) {
            return false;
        }
        assert!(start.first >= ring.earliest, "what the group let go of is not sent");
        let long = &*NOISE;
        let entry = |position: u64| Entry {
            position,
            key: start.log,
            tag: position,
            source: 0,
            order: 0,
            seal: 0,
            payload: if position % 3 == 2 { long } else { &long[..8] },
            lost: false,
        };
        let entries = (start.first..ring.tail).map(entry);
        let packed = process.packer.pack(&start, entries, &About::default());
        let expected = process.sender.sent(lane, &packed);
        let messages = packed.messages.iter().map(|message| message.to_vec());
        process.outbox.extend((expected..).zip(messages).map(|(at, bytes)| (at, lane, bytes)));
        if let Some((expected, lane, bytes)) = process.outbox.pop_front() {
            self.publish(process, expected, lane, bytes);
        }
        true
    }

    fn publish(&mut self, process: &mut Process, expected: u64, lane: usize, bytes: Vec<u8>) {
        let answer = if self.takes(Fault::LosePublish) {
            Answer::Missing
        } else if self.takes(Fault::Delay) {
            self.late.push(Late { expected, lane, bytes });
            Answer::Missing
        } else {
            self.append(expected, lane, &bytes)
        };
        let lost = self.takes(Fault::LoseAck);
        process.answers.push_back(if lost { Answer::Missing } else { answer });
    }

    /// Each mirror reads one message.
    pub(crate) fn receive(&mut self) {
        for lane in 0..LANES {
            let amid = (0..2).find(|after| self.takes(Fault::KillAmid(*after)));
            let mirror = &mut self.mirrors[lane];
            let log = &self.log;
            if mirror.hidden || (!mirror.told && log.iter().all(|message| message.lane != lane)) {
                continue;
            }
            mirror.told = true;
            let (receiver, cursor) = mirror.reader.get_or_insert_with(|| {
                let mut receiver = Receiver::new(mirror.place);
                let cursor = begin(log, &mut receiver);
                (receiver, cursor)
            });
            let next =
                log.iter().find(|message| message.lane == lane && message.sequence > *cursor);
            let Some(message) = next else { continue };
            *cursor = message.sequence;
            let settled = match receiver.message(message.sequence, &message.bytes) {
                // Parts whose first ones are gone.
                Err(_) | Ok(Step::Pass) => None,
                Ok(Step::Again) => {
                    *cursor = begin(log, receiver);
                    None
                }
                Ok(Step::Take(take)) => {
                    if let Some(loss) = take.loss {
                        assert!(!self.strict || !has(log, lane, &loss), "{loss:?} is in the log");
                        mirror.items.push(Item::Gap(loss.log, loss.from, loss.to));
                    }
                    let mut taken = 0;
                    for (position, row) in take.rows() {
                        if amid == Some(taken) {
                            break;
                        }
                        assert_eq!((row.key, row.tag), (take.log(), position), "another record");
                        mirror.items.push(Item::Record(take.log(), position));
                        taken += 1;
                    }
                    Some(if amid.is_some() { take.after(taken) } else { take.done() })
                }
            };
            if let Some(place) = settled {
                mirror.place = place;
                receiver.settle(place);
            }
            if amid.is_some() {
                mirror.reader = None;
            }
        }
    }

    /// Everything goes on undisturbed until nothing moves.
    pub(crate) fn settle(&mut self) {
        self.land();
        self.pending.clear();
        self.mirrors.iter_mut().for_each(|mirror| mirror.hidden = false);
        self.senders.truncate(1);
        // A sender that died with the ring of before is none.
        for round in 0..400 {
            self.idle = round % 50 == 49;
            if round % 100 == 99 {
                // A lane that is silent for longer than idle ones are is begun anew.
                self.fault(Fault::Reconnect);
            }
            self.send();
            self.receive();
            let done = self.mirrors.iter().zip(&self.rings).all(|(mirror, ring)| {
                mirror.place.log == ring.id && mirror.place.next == ring.tail
            });
            if done && self.senders.iter().all(|process| process.sender.in_flight() == 0) {
                return;
            }
        }
        let heads = self
            .log
            .iter()
            .map(|message| (message.sequence, message.lane, Head::read(&message.bytes)));
        for (sequence, lane, head) in heads {
            eprintln!("{sequence} in lane {lane}: {head:?}", head = head.map(|(head, _)| head));
        }
        panic!("it does not end: {:#?} {:#?}", self.rings, self.mirrors);
    }

    /// Each position once, in order, or told; without harm, none told.
    pub(crate) fn check(&self) {
        for (mirror, ring) in self.mirrors.iter().zip(&self.rings) {
            let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
            for item in &mirror.items {
                let (log, from, to) = match *item {
                    Item::Record(log, at) => (log, at, at + 1),
                    Item::Gap(log, from, to) => {
                        assert!(self.harmed, "nothing was lost: {:?}", mirror.items);
                        (log, from, to.unwrap_or(from))
                    }
                };
                let end = ends.entry(log).or_insert(from);
                assert_eq!(*end, from, "a step back or a hole: {:?}", mirror.items);
                *end = to;
            }
            assert_eq!(ends.get(&ring.id).copied().unwrap_or(ring.tail), ring.tail);
            if !self.harmed {
                let expected: Vec<Item> =
                    (0..ring.tail).map(|at| Item::Record(ring.id, at)).collect();
                assert_eq!(mirror.items, expected);
            }
        }
    }

    /// Messages that the log has.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// What the rings got that no mirror has, nor was told of.
    pub(crate) fn told(&self) -> usize {
        let gaps = self.mirrors.iter().flat_map(|mirror| &mirror.items);
        gaps.filter(|item| matches!(item, Item::Gap(..))).count()
    }
}

fn name(lane: usize) -> Lane {
    Lane { shard: lane as u16, count: LANES as u16 }
}

/// Whether the log has the first of these positions.
fn has(log: &[Message], lane: usize, loss: &Loss) -> bool {
    let of_lane = log.iter().filter(|message| message.lane == lane);
    let mut heads = of_lane.filter_map(|message| Some(Head::read(&message.bytes).ok()?.0));
    heads.any(|head| head.log == loss.log && (head.first..head.end()).contains(&loss.from))
}

fn begin(log: &[Message], receiver: &mut Receiver) -> u64 {
    let mark = receiver.place().mark.sequence;
    let found = log.iter().find(|message| message.sequence == mark);
    match receiver.begin(found.map(|message| &*message.bytes)) {
        Begin::Behind(sequence) => sequence,
        Begin::AtFirst => 0,
    }
}

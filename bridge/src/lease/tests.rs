use super::*;

/// One step of the model.
const STEP_MS: u64 = 500;
const EPOCH: u64 = 7;

fn lane(shard: u16) -> Lane {
    Lane { shard, count: 16 }
}

fn source(shard: u16, log: u64, written: bool) -> Source {
    Source { lane: lane(shard), log, written }
}

/// A bucket with one key, that answers late, or not at all.
#[derive(Default)]
struct Bucket {
    entry: Option<Entry>,
    revision: u64,
}

impl Bucket {
    fn replace(&mut self, expected: u64, claim: Claim) -> Option<u64> {
        if self.entry.as_ref().map_or(0, |entry| entry.revision) != expected {
            return None;
        }
        self.revision += 1;
        self.entry = Some(Entry { revision: self.revision, claim });
        Some(self.revision)
    }
}

struct Process {
    lease: Lease,
    sources: Vec<Source>,
    frozen: bool,
    ended: bool,
}

impl Process {
    fn new(writer: u64, log: u64) -> Self {
        let lease = Lease::new(writer, format!("machine {log}"));
        Self { lease, sources: vec![source(0, log, true)], frozen: false, ended: false }
    }
}

/// Two machines whose processes die, freeze and come back, over a bucket whose answers are lost or late.
struct World {
    now_ms: u64,
    bucket: Bucket,
    processes: Vec<Process>,
    /// Puts that are under way: expected, claim.
    late: Vec<(u64, Claim)>,
    writers: u64,
    /// The highest generation that a lane was sent in, and by which ring.
    highest: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    LoseAck,
    LosePut,
    DelayPut,
    Land,
    Kill(usize),
    Freeze(usize),
    Thaw(usize),
    Partition,
}

impl World {
    fn new() -> Self {
        let processes = vec![Process::new(1, 100), Process::new(2, 200)];
        Self {
            now_ms: 0,
            bucket: Bucket::default(),
            processes,
            late: Vec::new(),
            writers: 2,
            highest: (0, 0),
        }
    }

    fn step(&mut self, fault: Fault) {
        match fault {
            // The machine stays, and with it its ring: the next process goes on with it.
            Fault::Kill(index) => {
                self.writers += 1;
                self.processes[index] = Process::new(self.writers, (index as u64 + 1) * 100);
            }
            Fault::Freeze(index) => self.processes[index].frozen = true,
            Fault::Thaw(index) => self.processes[index].frozen = false,
            Fault::Land => {
                for (expected, claim) in std::mem::take(&mut self.late) {
                    self.bucket.replace(expected, claim);
                }
            }
            _ => {}
        }
        for index in 0..self.processes.len() {
            let process = &mut self.processes[index];
            if process.frozen || process.ended || matches!(fault, Fault::Partition) {
                continue;
            }
            let found = self.bucket.entry.clone();
            let none = Rivals::default();
            let wanted = Wanted { sources: &process.sources, gateways: &[] };
            let (step, _) = process.lease.step(self.now_ms, EPOCH, found.as_ref(), wanted, &none);
            match step {
                Step::Wait => {}
                Step::Refused { .. } | Step::Lost { .. } => process.ended = true,
                Step::Put { expected, claim } => match fault {
                    Fault::LosePut => {}
                    Fault::DelayPut => self.late.push((expected, claim)),
                    fault => {
                        let revision = self.bucket.replace(expected, claim.clone());
                        if let Some(revision) = revision
                            && !matches!(fault, Fault::LoseAck)
                        {
                            process.lease.put(self.now_ms, claim, revision, EPOCH);
                        }
                    }
                },
            }
        }
        self.now_ms += STEP_MS;
        self.check();
    }

    fn check(&mut self) {
        let holds = |process: &&Process| self.now_ms < process.lease.tenure().until_ms;
        let holders: Vec<&Process> = self.processes.iter().filter(holds).collect();
        assert!(holders.len() <= 1, "two write at {} ms", self.now_ms);
        let tenure = holders.first().map(|process| process.lease.tenure());
        for claimed in tenure.iter().flat_map(|tenure| tenure.lanes.values()) {
            let (highest, log) = self.highest;
            assert!(claimed.since >= highest, "a generation fell");
            assert!(claimed.since > highest || claimed.log == log, "two rings in one generation");
            self.highest = (claimed.since, claimed.log);
        }
    }

    fn holder(&self) -> Option<u64> {
        let mut holds =
            self.processes.iter().filter(|process| self.now_ms < process.lease.tenure().until_ms);
        holds.next().map(|process| process.sources[0].log)
    }
}

#[test]
fn one_of_two_writes_whatever_is_lost_late_or_frozen() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3_000 {
        let mut world = World::new();
        for _ in 0..120 {
            let index = random(2) as usize;
            let fault = match random(20) {
                0 => Fault::LoseAck,
                1 => Fault::LosePut,
                2 => Fault::DelayPut,
                3 => Fault::Land,
                4 => Fault::Kill(index),
                5 => Fault::Freeze(index),
                6 | 7 => Fault::Thaw(index),
                8 | 9 => Fault::Partition,
                _ => Fault::None,
            };
            world.step(fault);
            seen.insert(world.holder());
        }
    }
    assert_eq!(seen.len(), 3, "both wrote, and at times nobody: {seen:?}");
}

#[test]
fn a_second_one_is_refused_and_one_that_is_gone_for_a_term_is_followed() {
    let mut world = World::new();
    for _ in 0..10 {
        world.step(Fault::None);
    }
    assert!(world.processes[1].ended, "the first renews: the second need not wait");
    let mut world = World::new();
    world.step(Fault::None);
    world.step(Fault::Freeze(0));
    for _ in 0..=TERM_MS / STEP_MS {
        world.step(Fault::None);
    }
    assert_eq!(world.holder(), Some(200));
    world.step(Fault::Thaw(0));
    assert!(world.processes[0].ended, "it stops for good");
    assert_eq!(world.holder(), Some(200));
}

#[test]
fn who_comes_back_to_its_rings_waits_for_nobody_and_keeps_its_generation() {
    let mut world = World::new();
    world.processes.truncate(1);
    (0..3).for_each(|_| world.step(Fault::None));
    let before = world.processes[0].lease.tenure().lanes;
    assert_eq!(before[&lane(0)].since >> 32, EPOCH);
    world.step(Fault::Kill(0));
    world.step(Fault::None);
    assert_eq!(world.processes[0].lease.tenure().lanes, before);
    // Another ring in the lane is another generation.
    world.processes[0].sources[0].log = 101;
    world.step(Fault::None);
    let after = world.processes[0].lease.tenure().lanes;
    assert!(after[&lane(0)].since > before[&lane(0)].since);
}

#[test]
fn who_stops_in_order_is_waited_for_by_nobody() {
    let mut world = World::new();
    world.step(Fault::None);
    let (expected, claim) = world.processes[0].lease.end().unwrap();
    world.bucket.replace(expected, claim).unwrap();
    world.processes.remove(0);
    world.step(Fault::None);
    world.step(Fault::None);
    let tenure = world.processes[0].lease.tenure();
    assert!(world.now_ms < tenure.until_ms && tenure.lanes[&lane(0)].log == 200);
}

/// Both claim shard 0, each in a stream of its own; who is told to yield?
fn rivalry(ours: (u64, bool), theirs: (u64, bool), is_listed: bool) -> bool {
    let claimed = |log, (since, written)| (lane(0), ClaimedLane { log, since, written });
    let listed = is_listed.then(|| claimed(1, ours));
    let claim = Claim { lanes: listed.into_iter().collect(), ..Claim::default() };
    let held = Held { revision: 50, claim, sent_ms: 0, generation: 50 };
    let mut rivals = Rivals::default();
    rivals.add(&Claim { lanes: [claimed(2, theirs)].into(), ..Claim::default() });
    let (next, blocked) =
        held.next_claim(Wanted { sources: &[source(0, 1, ours.1)], gateways: &[] }, &rivals);
    assert_eq!(next.lanes.is_empty(), blocked.len() == 1);
    blocked.len() == 1
}

#[test]
fn of_two_streams_with_one_shard_exactly_one_goes_on() {
    for (first_written, second_written) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let (first, second) = ((10, first_written), (20, second_written));
        let yields = [rivalry(first, second, true), rivalry(second, first, true)];
        assert!(yields != [true, true] || !(first_written || second_written), "somebody sends");
        if first_written {
            assert_eq!(yields, [false, true], "who came first stays");
        }
    }
    // One that is not sent yet is not begun where a gateway writes the other.
    assert!(rivalry((0, true), (10, true), false));
    assert!(!rivalry((0, true), (10, false), false));
    assert!(rivalry((0, false), (10, false), false));
    // The same ring, under a stream of another name, is no rival.
    let mut rivals = Rivals::default();
    let mine = ClaimedLane { log: 1, since: 10, written: true };
    rivals.add(&Claim { lanes: [(lane(0), mine)].into(), ..Claim::default() });
    assert_eq!(rivals.of(&source(0, 1, true)), None);
}

#[test]
fn a_claim_says_since_which_generation_a_ring_is_sent() {
    let claimed = |log, since| ClaimedLane { log, since, written: true };
    let entry = |lanes: &[(Lane, ClaimedLane)]| Entry {
        revision: 1,
        claim: Claim { lanes: lanes.iter().copied().collect(), ..Claim::default() },
    };
    let streams = [
        ("a".to_owned(), entry(&[(lane(0), claimed(7, 3)), (lane(1), claimed(8, 4))])),
        ("b".to_owned(), entry(&[(lane(0), claimed(7, 5))])),
        ("c".to_owned(), entry(&[(lane(0), claimed(9, 6))])),
    ];
    let streams = BTreeMap::from(streams);
    assert_eq!(since(&streams, lane(0), 7), Some(5), "the last one");
    assert_eq!(since(&streams, lane(1), 8), Some(4));
    assert_eq!(since(&streams, lane(1), 7), None, "in another lane");
}

#[test]
fn a_taker_waits_for_who_is_only_started_anew_and_a_sender_for_a_taker() {
    let step = |lease: &mut Lease, now_ms: u64, revision: u64, claim: &Claim| {
        let entry = Entry { revision, claim: claim.clone() };
        lease.step(now_ms, EPOCH, Some(&entry), Wanted::default(), &Rivals::default()).0
    };
    let ended = Claim { writer: 1, ended: true, ..Claim::default() };
    let mut anybody = Lease::new(2, "anybody".into());
    assert!(matches!(step(&mut anybody, 0, 5, &ended), Step::Put { .. }));
    let mut taker = Lease::new(3, "taker".into()).patient();
    for now_ms in (0..TERM_MS).step_by(500) {
        assert_eq!(step(&mut taker, now_ms, 5, &ended), Step::Wait, "{now_ms}");
    }
    let Step::Put { expected: 5, claim } = step(&mut taker, TERM_MS, 5, &ended) else {
        panic!("its time is over");
    };
    taker.put(TERM_MS, claim.clone(), 6, EPOCH);
    assert_eq!(taker.tenure().generation, (EPOCH << 32) + 6);
    // It renews, and sends nothing.
    let mut sender = Lease::new(4, "sender".into());
    for revision in 6..40 {
        assert_eq!(step(&mut sender, revision * RENEW_MS, revision, &claim), Step::Wait);
    }
    let sends = Claim { takes: false, ..claim };
    let refused = step(&mut sender, 40 * RENEW_MS, 40, &sends);
    assert_eq!(refused, Step::Refused { by: "taker".into() });
}

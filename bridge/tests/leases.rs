//! Leases against a bucket that loses its tail, too: where it forgot who writes a stream, two processes may for no longer
//! than the old one's time, and never without that.

use mixcord_bridge::lease::{Claim, Entry, Lease, RENEW_MS, Rivals, Source, Step, TERM_MS, Wanted};
use mixcord_bridge::names::Lane;
use proptest::prelude::*;

const TICK_MS: u64 = 100;
/// Nothing is sent after that since the last renewal was.
const TENURE_MS: u64 = TERM_MS * 2 / 3;

/// One key of a bucket: its changes, by number.
#[derive(Default)]
struct Bucket(Vec<Claim>);

impl Bucket {
    fn entry(&self) -> Option<Entry> {
        self.0.last().map(|claim| Entry { revision: self.0.len() as u64, claim: claim.clone() })
    }

    fn put(&mut self, expected: u64, claim: Claim) -> Option<u64> {
        (self.0.len() as u64 == expected).then(|| {
            self.0.push(claim);
            self.0.len() as u64
        })
    }
}

struct Process {
    lease: Lease,
    source: Source,
    /// Its looks are that much later than others'.
    offset_ms: u64,
    /// It is cut off, or asleep, until then.
    away_until_ms: u64,
}

impl Process {
    fn new(number: u64) -> Self {
        let lane = Lane { shard: 0, count: 1 };
        Self {
            lease: Lease::new(number, number.to_string()),
            source: Source { lane, log: number, written: true },
            offset_ms: number % 10 * TICK_MS,
            away_until_ms: 0,
        }
    }

    fn holds(&self, now_ms: u64) -> bool {
        now_ms < self.lease.tenure().until_ms
    }

    /// A look at the bucket, and the put that follows from it; false where it stops for good.
    fn look(&mut self, now_ms: u64, bucket: &mut Bucket, answer_is_lost: bool) -> bool {
        let found = bucket.entry();
        let wanted = Wanted { sources: &[self.source], gateways: &[] };
        match self.lease.step(now_ms, 1, found.as_ref(), wanted, &Rivals::default()).0 {
            Step::Wait => true,
            Step::Put { expected, claim } => {
                if let Some(revision) = bucket.put(expected, claim.clone())
                    && !answer_is_lost
                {
                    self.lease.put(now_ms, claim, revision, 1);
                }
                true
            }
            Step::Refused { .. } | Step::Lost { .. } => false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The next answer to somebody is lost.
    Lose(usize),
    /// Somebody is cut off, or asleep, for so long.
    Away(usize, u64),
    /// Somebody is killed, and another process begins in its place.
    Kill(usize),
    /// Somebody stops in order.
    Stop(usize),
    /// The bucket loses so many of its last changes.
    Forget(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Event::Lose),
        4 => (0..3_usize, 0..30_000_u64).prop_map(|(who, ms)| Event::Away(who, ms)),
        2 => (0..3_usize).prop_map(Event::Kill),
        2 => (0..3_usize).prop_map(Event::Stop),
        1 => (1..12_usize).prop_map(Event::Forget),
    ]
}

/// The times at which two held the stream, each with when the bucket lost its tail last; and for how long one did.
fn run(events: &[(u64, Event)]) -> (Vec<(u64, Option<u64>)>, u64) {
    let mut bucket = Bucket::default();
    let mut processes: Vec<_> = (1..=3).map(Process::new).collect();
    let (mut next, mut now_ms, mut forgot_ms) = (3, 1_000, None);
    let (mut twice, mut held_ms) = (Vec::new(), 0);
    let mut anew = |process: &mut Process, now_ms: u64| {
        next += 1;
        *process = Process { away_until_ms: now_ms + 1_000, ..Process::new(next) };
    };
    for (pause_ms, event) in events {
        let until_ms = now_ms + pause_ms;
        let mut lost = None;
        match *event {
            Event::Lose(who) => lost = Some(who),
            Event::Away(who, ms) => processes[who].away_until_ms = now_ms + ms,
            Event::Kill(who) => anew(&mut processes[who], now_ms),
            Event::Stop(who) => {
                if let Some((expected, claim)) = processes[who].lease.end() {
                    bucket.put(expected, claim);
                }
                anew(&mut processes[who], now_ms);
            }
            Event::Forget(changes) => {
                let kept = bucket.0.len().saturating_sub(changes);
                bucket.0.truncate(kept);
                forgot_ms = Some(now_ms);
            }
        }
        while now_ms < until_ms {
            now_ms += TICK_MS;
            for (who, process) in processes.iter_mut().enumerate() {
                let looks = (now_ms + process.offset_ms) % (RENEW_MS / 2) == 0;
                if !looks || now_ms < process.away_until_ms {
                    continue;
                }
                if !process.look(now_ms, &mut bucket, lost == Some(who)) {
                    // Whoever runs it starts it anew.
                    anew(process, now_ms);
                }
                lost = lost.filter(|lost| *lost != who);
            }
            let holders = processes.iter().filter(|process| process.holds(now_ms)).count();
            held_ms += if holders > 0 { TICK_MS } else { 0 };
            if holders > 1 {
                twice.push((now_ms, forgot_ms));
            }
        }
    }
    (twice, held_ms)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The log refuses one of the two then: `tests/model` has two senders.
    #[test]
    fn a_bucket_without_its_tail_lets_two_write_no_longer_than_the_old_ones_time(
        events in prop::collection::vec((0..20_000_u64, event()), 1..40),
    ) {
        let (twice, _) = run(&events);
        for (at_ms, forgot_ms) in twice {
            prop_assert!(forgot_ms.is_some_and(|forgot_ms| at_ms < forgot_ms + TENURE_MS), "{at_ms} {forgot_ms:?}");
        }
    }
}

#[test]
fn somebody_writes_nearly_all_the_time_and_two_do_where_the_tail_is_lost() {
    let calm = [(60_000, Event::Lose(9))];
    assert!(run(&calm).1 > 55_000);
    let killed: Vec<_> = (0..4).map(|_| (30_000, Event::Kill(0))).collect();
    assert!(run(&killed).1 > 60_000, "{}", run(&killed).1);
    // One that is cut off, while the bucket forgets that it was ever there.
    let forgets =
        [(5_000, Event::Lose(9)), (500, Event::Away(2, 9_000)), (9_000, Event::Forget(99))];
    assert!(!run(&forgets).0.is_empty(), "so the model can tell");
}

use proptest::prelude::*;

use super::*;

const SPACING_MS: u64 = 5_500;
/// Discord's own.
const ALLOWED_MS: u64 = 5_000;

#[test]
fn an_entry_blocks_as_long_as_an_identify_may_come() {
    let entry = |state| Entry { by: 1, permit: 2, state, spacing_ms: 5_000 };
    assert_eq!(entry(State::Free).free_at_ms(70, 9), 0);
    assert_eq!(entry(State::Used).free_at_ms(70, 9), 5_070);
    assert_eq!(entry(State::Used).free_at_ms(70, 6_000), 6_070, "the longer of both");
    assert_eq!(entry(State::Granted).free_at_ms(70, 9), 35_070);
}

#[test]
fn turns_are_a_spacing_apart_at_their_latest_and_earliest() {
    let spacing_ms = SPACING_MS;
    for count in 1..5 {
        let mut turns: Vec<(u64, u64)> = Vec::new();
        for at_ms in 0..spacing_ms * 2 * count * 4 {
            for rank in 0..count {
                match slot(at_ms, spacing_ms, Roster { rank, count }) {
                    Ok(Slot { valid_ms, .. }) => turns.push((at_ms, at_ms + valid_ms)),
                    Err(wait_ms) => {
                        assert!(slot(at_ms + wait_ms, spacing_ms, Roster { rank, count }).is_ok());
                    }
                }
            }
        }
        let mut gaps = turns.windows(2).filter(|pair| pair[1].0 > pair[0].0 + 1);
        assert!(gaps.all(|pair| pair[1].0 >= pair[0].1 + spacing_ms + spacing_ms / 4 - 4));
        assert!(turns.len() > 100);
    }
    assert_eq!(Roster::of([9, 3, 7], 7), Some(Roster { rank: 1, count: 3 }));
    assert_eq!(Roster::of([9, 3], 7), None, "who was not there has no turn");
}

/// The broker's part: an entry with a time, changed by compare-and-set.
#[derive(Default)]
struct Broker {
    entry: Option<(Entry, u64, u64)>,
    revision: u64,
}

impl Broker {
    fn put(&mut self, now_ms: u64, expected: u64, entry: Entry) -> Option<u64> {
        let found = self.entry.as_ref().map_or(0, |(_, revision, _)| *revision);
        (found == expected).then(|| {
            self.revision += 1;
            self.entry = Some((entry, self.revision, now_ms));
            self.revision
        })
    }
}

/// A machine whose shards want to identify all the time.
struct Machine {
    number: u64,
    contact: Contact,
    clock: ServerClock,
    /// How long it takes to find the broker again.
    late_ms: u64,
    /// When it asks next.
    asks_ms: u64,
    permits: u64,
    /// IDENTIFY is written then; with the entry's revision where the broker gave the permit.
    writes: Option<(u64, Option<u64>)>,
    slots: Option<u64>,
}

/// What chance does to one step.
#[derive(Clone, Copy, Debug)]
struct Luck {
    /// An answer is lost.
    lost: bool,
    /// How long IDENTIFY takes, in parts of what is allowed.
    slow: u64,
    /// It is never written.
    dies: bool,
    /// That it was written is never told.
    mute: bool,
}

/// The times at which IDENTIFY was written, while the broker is there or not in these spans.
fn run(machines: u64, spans: &[u64], late: &[u64], luck: &[Luck]) -> Vec<u64> {
    let (mut broker, mut luck) = (Broker::default(), luck.iter().copied().cycle());
    let mut all: Vec<Machine> = (0..machines)
        .map(|number| Machine {
            number,
            contact: Contact::default(),
            clock: ServerClock::default(),
            late_ms: late[number as usize % late.len()],
            asks_ms: number * 37,
            permits: 0,
            writes: None,
            slots: None,
        })
        .collect();
    let (mut written, mut now_ms, mut up_since) = (Vec::new(), 1_000_000, 0);
    for (number, span_ms) in spans.iter().enumerate() {
        let is_up = number % 2 == 0;
        if is_up {
            up_since = now_ms;
        }
        for _ in 0..span_ms / 20 {
            now_ms += 20;
            for machine in &mut all {
                // It notices either later than it is.
                let reaches = is_up && (number == 0 || now_ms >= up_since + machine.late_ms);
                machine.step(
                    now_ms,
                    reaches.then_some(&mut broker),
                    machines,
                    &mut luck,
                    &mut written,
                );
            }
        }
    }
    written
}

impl Machine {
    fn step(
        &mut self,
        now_ms: u64,
        mut broker: Option<&mut Broker>,
        machines: u64,
        luck: &mut impl Iterator<Item = Luck>,
        written: &mut Vec<u64>,
    ) {
        // As leases are looked at.
        if broker.is_some() && now_ms.is_multiple_of(1_000) {
            self.contact.heard(now_ms);
            self.clock.hear(now_ms - 15, now_ms);
        }
        if let Some((at_ms, revision)) = self.writes
            && now_ms >= at_ms
        {
            self.writes = None;
            let Some(luck) = luck.next() else { return };
            if luck.dies {
                return;
            }
            written.push(now_ms);
            if let (Some(revision), Some(broker), false) =
                (revision, broker.as_deref_mut(), luck.mute)
            {
                let entry = Entry {
                    by: self.number,
                    permit: self.permits,
                    state: State::Used,
                    spacing_ms: SPACING_MS,
                };
                broker.put(now_ms, revision, entry);
            }
            return;
        }
        if self.writes.is_some() || now_ms < self.asks_ms {
            return;
        }
        self.asks_ms = now_ms + 100;
        let Some(luck) = luck.next() else { return };
        let roster = Roster { rank: self.number, count: machines };
        let turn = self.clock.at(now_ms).map(|at_ms| slot(at_ms, SPACING_MS, roster));
        let turn = turn.and_then(Result::ok).filter(|slot| self.slots != Some(slot.number));
        match broker {
            Some(broker) => {
                self.contact.heard(now_ms);
                if self.contact.way(now_ms) == Way::Both && turn.is_none() {
                    return;
                }
                let (expected, free_ms) = match &broker.entry {
                    Some((entry, revision, put_ms)) => {
                        (*revision, entry.free_at_ms(*put_ms, SPACING_MS))
                    }
                    None => (0, 0),
                };
                if now_ms - 15 < free_ms {
                    return;
                }
                self.permits += 1;
                let entry = Entry {
                    by: self.number,
                    permit: self.permits,
                    state: State::Granted,
                    spacing_ms: SPACING_MS,
                };
                let revision = broker.put(now_ms, expected, entry);
                if revision.is_some() && !luck.lost {
                    let valid_ms = if self.contact.way(now_ms) == Way::Both {
                        turn.map_or(0, |slot| slot.valid_ms)
                    } else {
                        VALID_MS
                    };
                    self.writes = Some((now_ms + valid_ms * luck.slow / 100, revision));
                }
                self.slots = turn.map(|slot| slot.number).or(self.slots);
            }
            None => {
                if self.contact.alone_in(now_ms, SPACING_MS) == Some(0)
                    && let Some(slot) = turn
                {
                    self.slots = Some(slot.number);
                    self.writes = Some((now_ms + slot.valid_ms * luck.slow / 100, None));
                }
            }
        }
    }
}

fn luck() -> impl Strategy<Value = Luck> {
    let chance = |percent: u32| (0..100_u32).prop_map(move |drawn| drawn < percent);
    (chance(10), prop_oneof![3 => 0..4_u64, 1 => 0..100_u64], chance(5), chance(10))
        .prop_map(|(lost, slow, dies, mute)| Luck { lost, slow, dies, mute })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever answers are lost, whoever dies with a permit, and whenever the broker is away for however long.
    #[test]
    fn g14_no_two_machines_identify_within_the_spacing(
        machines in 1..5_u64,
        spans in prop::collection::vec(1_000..120_000_u64, 1..7),
        late in prop::collection::vec(0..4_000_u64, 5),
        luck in prop::collection::vec(luck(), 50..400),
    ) {
        let written = run(machines, &spans, &late, &luck);
        for pair in written.windows(2) {
            prop_assert!(pair[1] - pair[0] >= ALLOWED_MS, "{pair:?} of {written:?}");
        }
    }
}

#[test]
fn everybody_gets_a_turn_with_the_broker_and_without() {
    let calm = [Luck { lost: false, slow: 1, dies: false, mute: false }];
    let with = run(3, &[120_000], &[0], &calm);
    assert!(with.len() >= 18, "{}", with.len());
    let without = run(3, &[2_000, 300_000], &[0], &calm);
    assert!(without.len() >= 25, "{}", without.len());
}

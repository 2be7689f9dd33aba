//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

/// A well-behaved server's one session, as far as the machine can see it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Events(u8),
    Commit(u8),
    Cut,
    Op7,
    Op9(bool),
    Zombie,
    Close(u16),
    Op1,
    Ack,
    Pause,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..20u8).prop_map(Step::Events),
        4 => any::<u8>().prop_map(Step::Commit),
        1 => Just(Step::Cut),
        1 => Just(Step::Op7),
        1 => any::<bool>().prop_map(Step::Op9),
        1 => Just(Step::Zombie),
        1 => prop_oneof![Just(4000u16), Just(4009), Just(1000), Just(4001)].prop_map(Step::Close),
        1 => Just(Step::Op1),
        1 => Just(Step::Ack),
        1 => Just(Step::Pause),
        1 => Just(Step::Kill),
    ]
}

/// What the server and the ring know, beside the machine.
struct World {
    bench: Bench,
    /// Session number at the server, and its last sequence number.
    server: (u32, u64),
    /// Does the server still hold the session?
    held: bool,
    /// Delivered, in order: (counter, seq), with gaps as (counter, from) marked by `true`.
    ring: Vec<(u32, u64, bool)>,
    committed: usize,
    checkpoint: Restored,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            bench: Bench::fresh(),
            server: (0, 0),
            held: false,
            ring: Vec::new(),
            committed: 0,
            checkpoint: Restored::nothing(),
        };
        world.come_back();
        world
    }

    fn take(&mut self, verdict: Verdict) {
        let Verdict::Deliver(delivery) = verdict else { return };
        if let Some(gap) = delivery.gap {
            self.ring.push((gap.counter, gap.from_seq, true));
        }
        self.ring.push((delivery.counter, delivery.seq, false));
    }

    fn event(&mut self) {
        self.server.1 += 1;
        let verdict = self.bench.dispatch(self.server.1);
        self.take(verdict);
    }

    fn commit(&mut self, upto: usize) {
        let mut upto = upto.clamp(self.committed, self.ring.len());
        // A gap and the READY behind it are one commit.
        if upto > 0 && self.ring[upto - 1].2 {
            upto += 1;
        }
        self.committed = upto;
        if let Some((counter, seq, _)) =
            self.ring[..upto].iter().rev().find(|(.., gap)| !gap).copied()
        {
            self.bench.session.committed(counter, seq);
            let session = SessionInfo { id: counter.to_string(), resume_url: None };
            self.checkpoint =
                Restored { session: Some(session), seq: Some(seq), counter, lost: None };
        }
    }

    /// Connects until events flow again.
    fn come_back(&mut self) {
        for _ in 0..10 {
            self.bench.actions();
            self.bench.open();
            let actions = self.bench.hello();
            match &actions[..] {
                [Action::Send(Payload::Resume { session_id, seq })] => {
                    if !self.held || *session_id != self.server.0.to_string() {
                        self.bench.say(Incoming::InvalidSession { resumable: false });
                        continue;
                    }
                    for replay in seq + 1..=self.server.1 {
                        let verdict = self.bench.dispatch(replay);
                        self.take(verdict);
                    }
                    self.server.1 += 1;
                    let verdict = self.bench.resumed(self.server.1);
                    self.take(verdict);
                    return;
                }
                [Action::AskPermit { .. }] => {
                    self.bench.session.permit();
                    self.bench.actions();
                    self.server = (self.server.0 + 1, 1);
                    self.held = true;
                    let id = self.server.0.to_string();
                    let event = Event::Ready { session_id: &id, resume_url: None };
                    let verdict = self.bench.say(Incoming::Dispatch { seq: Some(1), event });
                    self.take(verdict);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("never came back");
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Events(count) => (0..count).for_each(|_| self.event()),
            Step::Commit(part) => {
                let open = self.ring.len() - self.committed;
                self.commit(self.committed + open * usize::from(part) / 255);
            }
            Step::Cut => {
                self.bench.session.closed(self.bench.now, None);
                self.come_back();
            }
            Step::Op7 => {
                self.bench.say(Incoming::Reconnect);
                self.come_back();
            }
            Step::Op9(resumable) => {
                self.held &= resumable;
                self.bench.say(Incoming::InvalidSession { resumable });
                self.come_back();
            }
            Step::Zombie => {
                while self.bench.session.state() == State::Connected {
                    self.bench.pass();
                }
                self.come_back();
            }
            Step::Close(code) => {
                self.held &= !matches!(code, 4009 | 4001);
                self.bench.session.closed(self.bench.now, Some(code));
                self.come_back();
            }
            Step::Op1 => {
                self.bench.say(Incoming::Heartbeat);
            }
            Step::Ack => {
                self.bench.say(Incoming::HeartbeatAck);
            }
            Step::Pause => {
                let bench = &mut self.bench;
                bench.session.pause(bench.now, bench.now + SECOND);
                self.come_back();
            }
            Step::Kill => {
                self.ring.truncate(self.committed);
                self.bench = Bench::new(self.checkpoint.clone());
                self.come_back();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: within a session every number is in the ring once and in
    /// order, and between two sessions stands exactly one gap that begins where the ring stopped.
    #[test]
    fn p1_p2_p3_no_loss_no_repetition_and_every_gap_told(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
        let mut last: Option<(u32, u64)> = None;
        let mut gap_told = true;
        for (counter, seq, gap) in world.ring {
            if gap {
                prop_assert_eq!(last, Some((counter, seq - 1)), "a gap begins where the ring stopped");
                prop_assert!(!gap_told);
                gap_told = true;
                continue;
            }
            match last {
                Some((session, before)) if session == counter => {
                    prop_assert_eq!(seq, before + 1);
                }
                _ => prop_assert_eq!(seq, 1, "a session begins with READY"),
            }
            if let Some((session, _)) = last && session != counter {
                prop_assert!(gap_told, "a new session without a gap");
            }
            last = Some((counter, seq));
            gap_told = false;
        }
    }

    /// Any input in any state: no panic, and never both closed and waiting for nothing.
    #[test]
    fn p8_any_interleaving_leaves_the_machine_alive(
        inputs in proptest::collection::vec((0..19u8, any::<u64>()), 1..200)
    ) {
        let mut bench = Bench::fresh();
        for (input, number) in inputs {
            match input {
                0 => { bench.session.connected(bench.now); }
                1 => { bench.session.connect_failed(bench.now, Duration::ZERO); }
                2 => { bench.session.closed(bench.now, Some((number % 5000) as u16)); }
                3 => { bench.session.corrupt(bench.now); }
                4 => { bench.session.permit(); }
                5 => { bench.say(Incoming::Hello { interval_ms: Some(number) }); }
                6 => { bench.say(Incoming::Reconnect); }
                7 => { bench.say(Incoming::InvalidSession { resumable: number % 2 == 0 }); }
                8 => { bench.say(Incoming::HeartbeatAck); }
                9 => { bench.say(Incoming::Unknown); }
                10 => { bench.dispatch(number); }
                11 => { bench.resumed(number); }
                12 => { bench.ready_if_possible(number); }
                13 => { bench.session.committed((number % 3) as u32, number); }
                14 => { bench.reading = Reading::Stalled; }
                15 => { bench.session.poisoned(bench.now); }
                16 => { bench.session.pause(bench.now, bench.now + SECOND); }
                17 => { bench.session.go_on(); }
                _ => { bench.read_again(); }
            }
            bench.now += Duration::from_millis(number % 50_000);
            bench.session.tick(bench.now, bench.reading);
            let actions = bench.actions();
            prop_assert!(actions.len() < 8, "{:?}", actions);
            if bench.session.state() == State::Stopped {
                return Ok(());
            }
            let waits_for_outside = !matches!(bench.session.phase, Phase::Waiting { .. })
                && (bench.reading == Reading::Stalled || !matches!(bench.session.phase, Phase::AwaitHello { .. }));
            let deadline = bench.session.deadline(bench.reading);
            prop_assert!(waits_for_outside || deadline.is_some());
            prop_assert!(deadline.is_none_or(|at| at > bench.now), "it would never come to rest");
        }
    }
}

impl Bench {
    fn ready_if_possible(&mut self, number: u64) {
        let event = Event::Ready { session_id: "any", resume_url: None };
        self.say(Incoming::Dispatch { seq: Some(number), event });
    }
}

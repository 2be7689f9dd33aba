//! Every transition without a socket, named after the rule it keeps.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const INTERVAL_MS: u64 = 40_000;
const URL: &str = "wss://resume.example";

/// A session with its own clock, whose actions are looked at after each step.
struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn new(restored: Restored) -> Self {
        let now = Instant::now();
        let backoff = Backoff { min: 500 * MS, max: 60 * SECOND };
        let session = Session::new(now, restored, backoff, Times::default(), Random::seeded(11));
        Self { session, now }
    }

    fn fresh() -> Self {
        Self::new(Restored::nothing())
    }

    fn restored() -> Self {
        Self::new(Restored {
            session: Some(SessionInfo { id: "old".into(), resume_url: Some(URL.into()) }),
            seq: Some(41),
            counter: 6,
            lost: None,
        })
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.next_action())
            .filter(|action| !matches!(action, Action::State(_)))
            .collect()
    }

    /// Lets time pass up to the next deadline.
    fn pass(&mut self) -> Duration {
        let deadline = self.session.deadline().expect("a deadline");
        let passed = deadline.saturating_duration_since(self.now);
        self.now = self.now.max(deadline);
        self.session.tick(self.now);
        passed
    }

    fn say(&mut self, incoming: Incoming<'_>) -> Verdict {
        self.session.message(self.now, incoming)
    }

    /// Up to the open connection; where to?
    fn open(&mut self) -> Endpoint {
        self.pass();
        let actions = self.actions();
        let [Action::Connect(endpoint)] = &actions[..] else { panic!("{actions:?}") };
        self.session.connected(self.now);
        endpoint.clone()
    }

    fn hello(&mut self) -> Vec<Action> {
        self.say(Incoming::Hello { interval_ms: Some(INTERVAL_MS) });
        self.actions()
    }

    fn dispatch(&mut self, seq: u64) -> Verdict {
        self.say(Incoming::Dispatch { seq: Some(seq), event: Event::Other })
    }

    fn resumed(&mut self, seq: u64) -> Verdict {
        self.say(Incoming::Dispatch { seq: Some(seq), event: Event::Resumed })
    }

    fn ready(&mut self, id: &str) -> Delivery {
        let event = Event::Ready { session_id: id, resume_url: Some(URL) };
        match self.say(Incoming::Dispatch { seq: Some(1), event }) {
            Verdict::Deliver(delivery) => delivery,
            Verdict::Ignore => panic!("READY was ignored"),
        }
    }

    /// A new session up to READY.
    fn identify(&mut self, id: &str) -> Delivery {
        let actions = self.hello();
        assert!(matches!(actions[..], [Action::AskPermit { .. }]), "{actions:?}");
        self.session.permit();
        assert_eq!(self.actions(), [Action::Send(Payload::Identify)]);
        self.ready(id)
    }

    /// A session that is well.
    fn active() -> Self {
        let mut bench = Self::fresh();
        bench.open();
        bench.identify("s");
        bench.commit(1);
        bench
    }

    fn commit(&mut self, seq: u64) {
        self.session.committed(self.session.counter(), seq);
    }
}

fn delivered(verdict: Verdict) -> Delivery {
    match verdict {
        Verdict::Deliver(delivery) => delivery,
        Verdict::Ignore => panic!("ignored"),
    }
}

#[test]
fn a_first_start_identifies_and_tells_no_gap() {
    let mut bench = Bench::fresh();
    assert_eq!(bench.open(), Endpoint::Gateway { ask_again: false });
    let delivery = bench.identify("s");
    assert_eq!(delivery.gap, None);
    assert_eq!(delivery.counter, 1);
    assert_eq!(delivery.begins.map(|session| session.id), Some("s".into()));
    assert_eq!(bench.session.state(), State::Connected);
}

#[test]
fn g8_heartbeats_carry_what_is_committed() {
    let mut bench = Bench::active();
    bench.dispatch(2);
    bench.dispatch(3);
    bench.commit(2);
    assert!(bench.pass() < Duration::from_millis(INTERVAL_MS));
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(2) })]);
    bench.say(Incoming::HeartbeatAck);
    assert_eq!(bench.pass(), Duration::from_millis(INTERVAL_MS));
}

/// §15 line 2 (the full ring is the shell's part).
#[test]
fn g9_op1_is_answered_at_once_and_moves_no_schedule() {
    let mut bench = Bench::active();
    let before = bench.session.deadline();
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(1) })]);
    assert_eq!(bench.session.deadline(), before);
}

/// §15 line 3.
#[test]
fn g10_a_dead_connection_is_closed_resumably_and_resumed_at_the_resume_url() {
    let mut bench = Bench::active();
    bench.pass();
    bench.pass();
    let actions = bench.actions();
    assert_eq!(actions.last(), Some(&Action::Close(RESUMABLE_CLOSE)), "{actions:?}");
    assert_eq!(bench.open(), Endpoint::Resume(URL.into()));
    let resume = Payload::Resume { session_id: "s".into(), seq: 1 };
    assert_eq!(bench.hello(), [Action::Send(resume)]);
}

#[test]
fn while_the_socket_is_not_read_nothing_dies() {
    let mut bench = Bench::active();
    bench.session.reading_stopped();
    for _ in 0..50 {
        bench.pass();
        assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(1) })]);
    }
    bench.session.reading_resumed(bench.now);
    bench.pass();
    bench.pass();
    assert_eq!(bench.actions().last(), Some(&Action::Close(RESUMABLE_CLOSE)));
}

/// §15 line 4.
#[test]
fn g21_a_dead_resume_url_is_tried_once() {
    let mut bench = Bench::restored();
    bench.pass();
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Resume(URL.into()))]);
    bench.session.connect_failed(bench.now);
    bench.pass();
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Gateway { ask_again: false })]);
    bench.session.connect_failed(bench.now);
    // G-2: only now is the URL asked for again.
    assert_eq!(bench.open(), Endpoint::Gateway { ask_again: true });
    let resume = Payload::Resume { session_id: "old".into(), seq: 41 };
    assert_eq!(bench.hello(), [Action::Send(resume)], "the session is kept");
}

/// §15 line 5.
#[test]
fn op7_before_hello_reconnects() {
    let mut bench = Bench::restored();
    bench.open();
    bench.say(Incoming::Reconnect);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    assert_eq!(bench.open(), Endpoint::Resume(URL.into()), "the URL is not to blame");
}

#[test]
fn g20_op7_resumes() {
    let mut bench = Bench::active();
    bench.say(Incoming::Reconnect);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    bench.open();
    assert!(matches!(bench.hello()[..], [Action::Send(Payload::Resume { .. })]));
}

/// §15 line 6.
#[test]
fn g20_op9_true_resumes_false_identifies_with_a_gap() {
    let mut bench = Bench::active();
    bench.dispatch(2);
    bench.say(Incoming::InvalidSession { resumable: true });
    bench.actions();
    bench.open();
    assert!(matches!(bench.hello()[..], [Action::Send(Payload::Resume { .. })]));
    bench.say(Incoming::InvalidSession { resumable: false });
    bench.actions();
    assert_eq!(bench.open(), Endpoint::Gateway { ask_again: false }, "the original URL");
    let delivery = bench.identify("next");
    let gap = Gap { counter: 1, from_seq: 3, to_seq: None, reason: GapReason::InvalidSession };
    assert_eq!(delivery.gap, Some(gap));
    assert_eq!(delivery.counter, 2);
}

#[test]
fn op9_after_identify_backs_off_and_counts_as_a_failure() {
    let mut bench = Bench::fresh();
    let mut waits = Vec::new();
    for failures in 0..6 {
        waits.push(bench.pass());
        bench.actions();
        bench.session.connected(bench.now);
        assert_eq!(bench.hello(), [Action::AskPermit { failures }]);
        bench.session.permit();
        bench.actions();
        bench.say(Incoming::InvalidSession { resumable: false });
        bench.actions();
    }
    assert!(waits[5] > 4 * SECOND && waits[5] < 20 * SECOND, "{waits:?}");
}

/// §15 line 7.
#[test]
fn g20_close_codes_resume_identify_or_end() {
    for code in [None, Some(1000), Some(1001), Some(4000), Some(4002), Some(4008), Some(4777)] {
        let mut bench = Bench::active();
        bench.session.closed(bench.now, code);
        bench.open();
        let actions = bench.hello();
        assert!(
            matches!(actions[..], [Action::Send(Payload::Resume { .. })]),
            "{code:?} {actions:?}"
        );
    }
    for code in [4001, 4003, 4005, 4007, 4009] {
        let mut bench = Bench::active();
        bench.session.closed(bench.now, Some(code));
        bench.open();
        let gap = bench.identify("next").gap.expect("a gap");
        assert_eq!(gap.reason, GapReason::SessionClosed(code));
    }
    for code in [4004, 4010, 4011, 4012, 4013, 4014] {
        let mut bench = Bench::active();
        bench.session.closed(bench.now, Some(code));
        assert!(matches!(bench.actions()[..], [Action::Ended(Ended::Fatal(_))]), "{code}");
        assert_eq!(bench.session.deadline(), None);
    }
}

#[test]
fn g25_resume_that_fails_without_a_word_is_tried_again_for_a_while() {
    let mut bench = Bench::restored();
    let start = bench.now;
    let mut tries = 0;
    loop {
        bench.open();
        let actions = bench.hello();
        if matches!(actions[..], [Action::AskPermit { .. }]) {
            break;
        }
        tries += 1;
        bench.session.closed(bench.now, None);
    }
    assert!(bench.now - start >= 90 * SECOND);
    assert!(tries >= 5, "{tries}");
    bench.session.permit();
    let gap = bench.ready("next").gap.expect("a gap");
    assert_eq!((gap.from_seq, gap.to_seq, gap.counter), (42, None, 6));
}

#[test]
fn g27_a_server_that_ends_every_resume_gets_an_identify() {
    for (code, resumes) in [(4000, 2), (4777, 1)] {
        let mut bench = Bench::restored();
        for _ in 0..resumes {
            bench.open();
            assert!(matches!(bench.hello()[..], [Action::Send(Payload::Resume { .. })]));
            bench.session.closed(bench.now, Some(code));
        }
        bench.open();
        assert!(matches!(bench.hello()[..], [Action::AskPermit { .. }]), "{code}");
    }
}

/// §15 line 9 (the process is the shell's part).
#[test]
fn g22_stopping_closes_resumably() {
    let mut bench = Bench::active();
    bench.session.stop();
    let actions = bench.actions();
    assert_eq!(actions, [Action::Close(RESUMABLE_CLOSE), Action::Ended(Ended::Stopped)]);
}

#[test]
fn g19_a_replay_repeats_nothing_that_still_waits_for_the_ring() {
    let mut bench = Bench::active();
    for seq in 2..=9 {
        delivered(bench.dispatch(seq));
    }
    bench.commit(4);
    bench.session.closed(bench.now, None);
    bench.open();
    let resume = Payload::Resume { session_id: "s".into(), seq: 4 };
    assert_eq!(bench.hello(), [Action::Send(resume)]);
    for seq in 5..=9 {
        assert_eq!(bench.dispatch(seq), Verdict::Ignore, "{seq}");
    }
    for seq in 10..=12 {
        assert_eq!(delivered(bench.dispatch(seq)).seq, seq);
    }
    assert_eq!(delivered(bench.resumed(13)).seq, 13);
    assert_eq!(bench.session.state(), State::Connected);
}

/// §15 line 11.
#[test]
fn g24_a_replay_with_a_hole_ends_the_session_with_a_gap() {
    for first in [Event::Other, Event::Resumed] {
        let mut bench = Bench::restored();
        bench.open();
        bench.hello();
        let verdict = bench.say(Incoming::Dispatch { seq: Some(44), event: first });
        assert_eq!(verdict, Verdict::Ignore);
        assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
        bench.open();
        let gap = bench.identify("next").gap;
        let hole = Gap { counter: 6, from_seq: 42, to_seq: None, reason: GapReason::Hole };
        assert_eq!(gap, Some(hole));
    }
}

#[test]
fn a_live_hole_is_told_and_survived() {
    let mut bench = Bench::active();
    delivered(bench.dispatch(2));
    let delivery = delivered(bench.dispatch(5));
    let gap = Gap { counter: 1, from_seq: 3, to_seq: Some(4), reason: GapReason::Hole };
    assert_eq!(delivery.gap, Some(gap));
}

#[test]
fn a_poisoned_message_is_a_gap_only_if_it_was_an_event() {
    let mut bench = Bench::active();
    bench.session.poisoned();
    assert_eq!(delivered(bench.dispatch(2)).gap, None, "it was no event");
    bench.session.poisoned();
    let gap = delivered(bench.dispatch(4)).gap.expect("a gap");
    assert_eq!((gap.from_seq, gap.to_seq, gap.reason), (3, Some(3), GapReason::Undecodable));
    assert_eq!(delivered(bench.dispatch(5)).gap, None);
}

#[test]
fn a_poisoned_message_in_a_replay_does_not_end_the_session() {
    let mut bench = Bench::restored();
    bench.open();
    bench.hello();
    bench.session.poisoned();
    let gap = delivered(bench.dispatch(43)).gap.expect("a gap");
    assert_eq!((gap.from_seq, gap.reason), (42, GapReason::Undecodable));
}

#[test]
fn numbers_that_start_at_zero_or_jump_back_lose_no_event() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.permit();
    let ready = Event::Ready { session_id: "s", resume_url: None };
    delivered(bench.say(Incoming::Dispatch { seq: Some(0), event: ready }));
    for seq in [1, 2, 1, 2, 0, 1] {
        assert_eq!(delivered(bench.dispatch(seq)).seq, seq);
    }
    delivered(bench.say(Incoming::Dispatch { seq: None, event: Event::Other }));
}

#[test]
fn p2_the_same_number_twice_is_the_same_event() {
    let mut bench = Bench::active();
    delivered(bench.dispatch(2));
    assert_eq!(bench.dispatch(2), Verdict::Ignore);
    assert_eq!(delivered(bench.dispatch(3)).gap, None);
}

#[test]
fn g24_a_discarded_session_owes_a_gap() {
    let mut bench = Bench::new(Restored {
        session: None,
        seq: Some(99),
        counter: 3,
        lost: Some(GapReason::SettingsChanged),
    });
    bench.open();
    let delivery = bench.identify("s");
    let gap = Gap { counter: 3, from_seq: 100, to_seq: None, reason: GapReason::SettingsChanged };
    assert_eq!(delivery.gap, Some(gap));
    assert_eq!(delivery.counter, 4);
}

#[test]
fn hello_that_never_comes_is_given_up() {
    let mut bench = Bench::fresh();
    for _ in 0..3 {
        bench.open();
        assert_eq!(bench.pass(), Times::default().hello);
        assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    }
}

#[test]
fn g12_an_identify_without_an_answer_keeps_beating() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.permit();
    bench.actions();
    for _ in 0..100 {
        bench.pass();
        assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: None })]);
        bench.say(Incoming::HeartbeatAck);
    }
}

#[test]
fn g38_a_broken_stream_reconnects_and_is_not_resumed_for_ever() {
    let mut bench = Bench::active();
    bench.session.corrupt(bench.now);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    for _ in 0..RESUMES_REFUSED_MAX {
        bench.open();
        assert!(matches!(bench.hello()[..], [Action::Send(Payload::Resume { .. })]));
        bench.session.corrupt(bench.now);
        bench.actions();
    }
    bench.open();
    assert!(matches!(bench.hello()[..], [Action::AskPermit { .. }]));
}

#[test]
fn a_loss_while_waiting_for_a_permit_takes_it_back() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.closed(bench.now, None);
    assert_eq!(bench.actions(), [Action::CancelPermit]);
    bench.session.permit();
    assert_eq!(bench.actions(), []);
}

/// A well-behaved server's one session, as far as the machine can see it.
#[derive(Debug, Clone)]
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
        inputs in proptest::collection::vec((0..16u8, any::<u64>()), 1..200)
    ) {
        let mut bench = Bench::fresh();
        for (input, number) in inputs {
            match input {
                0 => { bench.session.connected(bench.now); }
                1 => { bench.session.connect_failed(bench.now); }
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
                14 => { bench.session.reading_stopped(); }
                _ => { bench.session.reading_resumed(bench.now); }
            }
            bench.now += Duration::from_millis(number % 50_000);
            bench.session.tick(bench.now);
            let actions = bench.actions();
            prop_assert!(actions.len() < 8, "{:?}", actions);
            if bench.session.state() == State::Stopped {
                return Ok(());
            }
            let waits_for_outside = matches!(
                bench.session.phase,
                Phase::Connecting | Phase::AwaitPermit | Phase::Identifying
                    | Phase::Resuming | Phase::Active { .. }
            );
            prop_assert!(waits_for_outside || bench.session.deadline().is_some());
        }
    }
}

impl Bench {
    fn ready_if_possible(&mut self, number: u64) {
        let event = Event::Ready { session_id: "any", resume_url: None };
        self.say(Incoming::Dispatch { seq: Some(number), event });
    }
}

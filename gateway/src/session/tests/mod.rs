//! Every transition without a socket, named after the rule it keeps.

use std::time::Duration;

use super::*;

mod properties;

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
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(2), asked: false })]);
    bench.say(Incoming::HeartbeatAck);
    assert_eq!(bench.pass(), Duration::from_millis(INTERVAL_MS));
}

/// Discord would close a connection that claims a number its session never had (4007).
#[test]
fn g8_a_heartbeat_without_a_session_carries_nothing_of_the_one_before() {
    let mut bench = Bench::active();
    bench.commit(40);
    bench.say(Incoming::InvalidSession { resumable: false });
    bench.actions();
    bench.open();
    bench.hello();
    let nothing = [Action::Send(Payload::Heartbeat { seq: None, asked: true })];
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), nothing, "while it waits for a permit");
    bench.session.permit();
    bench.actions();
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), nothing, "while it waits for READY");
    bench.ready("next");
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), nothing, "before anything of it is kept");
    bench.commit(1);
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(1), asked: true })]);
}

/// §15 line 2 (the full ring is the shell's part).
#[test]
fn g9_op1_is_answered_at_once_and_moves_no_schedule() {
    let mut bench = Bench::active();
    let before = bench.session.deadline();
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(1), asked: true })]);
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
        assert_eq!(
            bench.actions(),
            [Action::Send(Payload::Heartbeat { seq: Some(1), asked: false })]
        );
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

#[test]
fn g16_an_identify_after_failed_runs_counts_as_one_after_a_failure() {
    let mut bench = Bench::fresh();
    bench.session.failed_before(3);
    bench.open();
    assert_eq!(bench.hello(), [Action::AskPermit { failures: 3 }]);
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

/// G-26: one to five times the shortest delay beside the usual one.
#[test]
fn g26_an_invalid_session_is_followed_by_a_pause() {
    let mut bench = Bench::active();
    for _ in 0..20 {
        bench.now += 20 * SECOND;
        bench.say(Incoming::InvalidSession { resumable: false });
        bench.actions();
        let wait = bench.pass();
        assert!((500 * MS..=3 * SECOND).contains(&wait), "{wait:?}");
        bench.actions();
        bench.session.connected(bench.now);
        bench.identify("next");
    }
}

/// Commands go out between READY or RESUMED and the end of the connection, and never before.
#[test]
fn g33_nothing_of_users_is_sent_before_the_session_stands() {
    let mut bench = Bench::fresh();
    assert!(!bench.session.takes_commands());
    bench.open();
    assert!(!bench.session.takes_commands());
    bench.hello();
    assert!(!bench.session.takes_commands());
    bench.session.permit();
    assert!(!bench.session.takes_commands());
    bench.ready("s");
    assert!(bench.session.takes_commands());
    bench.session.closed(bench.now, None);
    assert!(!bench.session.takes_commands());
    bench.actions();
    bench.open();
    bench.hello();
    bench.dispatch(2);
    assert!(!bench.session.takes_commands(), "a replay is no session yet");
    bench.resumed(3);
    assert!(bench.session.takes_commands());
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
    bench.session.poisoned(bench.now);
    assert_eq!(delivered(bench.dispatch(2)).gap, None, "it was no event");
    bench.session.poisoned(bench.now);
    let gap = delivered(bench.dispatch(4)).gap.expect("a gap");
    assert_eq!((gap.from_seq, gap.to_seq, gap.reason), (3, Some(3), GapReason::Undecodable));
    assert_eq!(delivered(bench.dispatch(5)).gap, None);
}

#[test]
fn a_poisoned_message_in_a_replay_does_not_end_the_session() {
    let mut bench = Bench::restored();
    bench.open();
    bench.hello();
    bench.session.poisoned(bench.now);
    let gap = delivered(bench.dispatch(43)).gap.expect("a gap");
    assert_eq!((gap.from_seq, gap.reason), (42, GapReason::Undecodable));
}

/// A READY that cannot be decoded: the identify came to nothing, which is told, counted and not tried
/// again at once.
#[test]
fn p3_a_ready_that_cannot_be_decoded_is_a_failed_identify_and_a_gap() {
    let mut bench = Bench::fresh();
    let mut waits = Vec::new();
    for failures in 0..5 {
        waits.push(bench.pass());
        bench.actions();
        bench.session.connected(bench.now);
        assert_eq!(bench.hello(), [Action::AskPermit { failures }]);
        bench.session.permit();
        bench.actions();
        bench.session.poisoned(bench.now);
        assert_eq!(bench.dispatch(2), Verdict::Ignore, "there is no session it could belong to");
        let since = bench.now;
        for _ in 0..2 {
            if bench.session.state() == State::Identifying {
                bench.pass();
                bench.say(Incoming::HeartbeatAck);
            }
        }
        assert_eq!(bench.now - since, Times::default().hello);
        assert_eq!(bench.actions().last(), Some(&Action::Close(RESUMABLE_CLOSE)));
        assert_eq!(bench.session.state(), State::Disconnected);
    }
    assert!(waits[4] > 3 * SECOND, "{waits:?}");
    bench.open();
    let gap = bench.identify("s").gap;
    let lost = Gap { counter: 0, from_seq: 0, to_seq: None, reason: GapReason::Undecodable };
    assert_eq!(gap, Some(lost));
}

#[test]
fn a_poisoned_message_that_was_not_ready_costs_no_identify() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.permit();
    bench.actions();
    bench.session.poisoned(bench.now);
    assert_eq!(bench.ready("s").gap, None);
    let later = bench.now + Times::default().hello * 2;
    bench.session.tick(later);
    assert_eq!(bench.session.state(), State::Connected);
}

#[test]
fn p3_events_before_ready_are_a_gap_of_their_session() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.permit();
    bench.actions();
    for seq in [1, 2] {
        assert_eq!(bench.dispatch(seq), Verdict::Ignore);
    }
    let event = Event::Ready { session_id: "s", resume_url: None };
    let delivery = delivered(bench.say(Incoming::Dispatch { seq: Some(3), event }));
    let lost = Gap { counter: 1, from_seq: 1, to_seq: Some(2), reason: GapReason::BeforeReady };
    assert_eq!(delivery.gap, Some(lost));
    assert_eq!(delivered(bench.dispatch(4)).gap, None);
}

#[test]
fn a_resumed_that_cannot_be_decoded_does_not_keep_commands_away_for_ever() {
    let mut bench = Bench::restored();
    bench.open();
    bench.hello();
    delivered(bench.dispatch(42));
    bench.session.poisoned(bench.now);
    assert!(delivered(bench.dispatch(44)).gap.is_some());
    assert!(!bench.session.takes_commands());
    bench.now += Times::default().hello;
    bench.session.tick(bench.now);
    assert!(bench.session.takes_commands());
    assert_eq!(bench.session.state(), State::Connected);
}

/// What is not read cannot be late, and waiting for it must not keep the processor busy.
#[test]
fn while_the_socket_is_not_read_nothing_is_waited_for() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.session.reading_stopped();
    assert_eq!(bench.session.deadline(), None);
    bench.now += 100 * SECOND;
    bench.session.reading_resumed(bench.now);
    assert_eq!(bench.session.deadline(), Some(bench.now + Times::default().hello));
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
        assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: None, asked: false })]);
        bench.say(Incoming::HeartbeatAck);
    }
}

#[test]
fn g38_a_broken_stream_reconnects_and_is_not_resumed_for_ever() {
    let mut bench = Bench::active();
    bench.session.corrupt(bench.now);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    for _ in 0..recovery::RESUMES_REFUSED_MAX {
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

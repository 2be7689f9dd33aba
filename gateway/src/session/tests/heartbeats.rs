//! Beats, and silence.

use super::*;

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
    let before = bench.session.deadline(bench.reading);
    bench.say(Incoming::Heartbeat);
    assert_eq!(bench.actions(), [Action::Send(Payload::Heartbeat { seq: Some(1), asked: true })]);
    assert_eq!(bench.session.deadline(bench.reading), before);
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
    bench.reading = Reading::Stalled;
    for _ in 0..50 {
        bench.pass();
        assert_eq!(
            bench.actions(),
            [Action::Send(Payload::Heartbeat { seq: Some(1), asked: false })]
        );
    }
    bench.read_again();
    bench.pass();
    bench.pass();
    assert_eq!(bench.actions().last(), Some(&Action::Close(RESUMABLE_CLOSE)));
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
    bench.session.tick(later, Reading::Running);
    assert_eq!(bench.session.state(), State::Connected);
}

/// What is not read cannot be late, and waiting for it must not keep the processor busy.
#[test]
fn while_the_socket_is_not_read_nothing_is_waited_for() {
    let mut bench = Bench::fresh();
    bench.open();
    bench.reading = Reading::Stalled;
    assert_eq!(bench.session.deadline(bench.reading), None);
    bench.now += 100 * SECOND;
    bench.read_again();
    assert_eq!(bench.session.deadline(bench.reading), Some(bench.now + Times::default().hello));
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

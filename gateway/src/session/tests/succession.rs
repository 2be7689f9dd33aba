//! Another session takes the place of one that is well.

use super::*;

/// One that has identified beside the other.
fn identified() -> Bench {
    let mut bench = Bench::fresh();
    bench.open();
    bench.hello();
    bench.session.permit();
    bench.actions();
    bench
}

#[test]
fn the_gap_and_the_next_ready_follow_the_last_event_of_the_old_session() {
    let mut bench = Bench::active();
    bench.dispatch(2);
    bench.commit(2);
    bench.dispatch(3);
    let successor = identified();
    assert!(bench.session.succeed(successor.session));
    assert_eq!(bench.session.session_id(), None, "nothing to resume between the two");
    let delivery = bench.ready("next");
    let gap = Gap { counter: 1, from_seq: 4, to_seq: None, reason: GapReason::Refill };
    assert_eq!((delivery.gap, delivery.counter, delivery.seq), (Some(gap), 2, 1));
    assert_eq!(delivery.begins.map(|session| session.id).as_deref(), Some("next"));
    assert_eq!(bench.actions(), [], "the connection is there");
    assert!(bench.session.is_connected());
    // It lives on like any other: the next connection resumes it.
    bench.commit(1);
    bench.session.closed(bench.now, None);
    bench.open();
    let resume = Payload::Resume { session_id: "next".into(), seq: 1 };
    assert_eq!(bench.hello(), [Action::Send(resume)]);
}

#[test]
fn what_was_to_be_done_for_the_old_connection_is_not_done_to_the_new_one() {
    let mut bench = Bench::active();
    bench.say(Incoming::Reconnect);
    assert!(bench.session.has_actions());
    assert!(bench.session.succeed(identified().session));
    assert_eq!(bench.actions(), []);
    bench.ready("next");
    assert!(bench.session.is_connected());
}

/// A session that was lost meanwhile is told of once, with why.
#[test]
fn a_gap_that_is_owed_already_stays_the_one() {
    let mut bench = Bench::active();
    bench.say(Incoming::InvalidSession { resumable: false });
    bench.actions();
    assert!(bench.session.succeed(identified().session));
    let gap = bench.ready("next").gap.expect("owed");
    assert_eq!(gap.reason, GapReason::InvalidSession);
}

#[test]
fn nothing_follows_an_end_and_nothing_that_has_not_begun_follows() {
    let mut bench = Bench::active();
    bench.session.pause(bench.now, bench.now + SECOND);
    assert!(!bench.session.succeed(identified().session));
    bench.session.stop();
    assert!(!bench.session.succeed(identified().session));
    let mut bench = Bench::active();
    assert!(!bench.session.succeed(Bench::fresh().session));
    assert!(bench.session.is_connected());
    assert_eq!(delivered(bench.dispatch(2)).gap, None);
}

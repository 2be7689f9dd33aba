//! Sequence numbers, holes, replays, and what could not be decoded.

use super::*;

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

/// A replay that always has holes ends one session an hour; the other holes are told, and events go on.
#[test]
fn g24_holes_in_replays_end_a_session_once_an_hour_at_most() {
    let mut bench = Bench::active();
    let mut ended = Vec::new();
    for minute in 0..150u64 {
        bench.session.closed(bench.now, None);
        bench.actions();
        bench.open();
        bench.hello();
        let seq = bench.session.accepted().expect("a session") + 2;
        match bench.dispatch(seq) {
            Verdict::Ignore => {
                ended.push(minute);
                bench.actions();
                bench.open();
                bench.identify("next");
            }
            Verdict::Deliver(delivery) => {
                let gap = delivery.gap.expect("a gap");
                let hole = (seq - 1, Some(seq - 1), GapReason::Hole);
                assert_eq!((gap.from_seq, gap.to_seq, gap.reason), hole);
                bench.resumed(seq + 1);
            }
        }
        let seq = bench.session.accepted().expect("a session");
        bench.commit(seq);
        bench.now += 60 * SECOND;
    }
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert!(ended.windows(2).all(|pair| pair[1] - pair[0] >= 59), "{ended:?}");
}

/// Swapped events: one hole is told where one was, and none for what had come. RESUME never goes back.
#[test]
fn swapped_events_give_no_false_gap() {
    let mut bench = Bench::active();
    delivered(bench.dispatch(2));
    let gap = delivered(bench.dispatch(4)).gap.expect("3 has not come");
    assert_eq!((gap.from_seq, gap.to_seq), (3, Some(3)));
    let late = delivered(bench.dispatch(3));
    assert_eq!((late.gap, late.seq, late.resume_at), (None, 3, 4));
    assert_eq!(delivered(bench.dispatch(5)).gap, None);
    assert_eq!(bench.dispatch(5), Verdict::Ignore);
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
    bench.session.tick(bench.now, bench.reading);
    assert!(bench.session.takes_commands());
    assert_eq!(bench.session.state(), State::Connected);
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

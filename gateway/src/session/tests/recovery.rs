//! What follows a lost connection: resume, identify, or the end.

use super::*;

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

/// §15 line 4.
#[test]
fn g21_a_dead_resume_url_is_tried_once() {
    let mut bench = Bench::restored();
    bench.pass();
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Resume(URL.into()))]);
    bench.session.connect_failed(bench.now, Duration::ZERO);
    bench.pass();
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Gateway { ask_again: false })]);
    bench.session.connect_failed(bench.now, Duration::ZERO);
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
    assert!(waits[5] > 4 * SECOND && waits[5] < 21 * SECOND, "{waits:?}");
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
        assert_eq!(bench.session.deadline(bench.reading), None);
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

/// G-26: one to five seconds.
#[test]
fn g26_an_invalid_session_is_followed_by_a_pause() {
    let mut bench = Bench::active();
    for _ in 0..20 {
        bench.now += 20 * SECOND;
        bench.say(Incoming::InvalidSession { resumable: false });
        bench.actions();
        let wait = bench.pass();
        assert!((SECOND..=5 * SECOND).contains(&wait), "{wait:?}");
        bench.actions();
        bench.session.connected(bench.now);
        bench.identify("next");
    }
}

/// However long the outage was, the answer to RESUME shows that it is over: op 9 is followed by IDENTIFY
/// within the courtesy time.
#[test]
fn g26_after_an_outage_op9_is_followed_by_identify_within_five_seconds() {
    for refused in [0, 1, 7, 40] {
        let mut bench = Bench::restored();
        for _ in 0..refused {
            bench.pass();
            bench.actions();
            bench.session.connect_failed(bench.now, Duration::ZERO);
        }
        bench.open();
        assert!(matches!(bench.hello()[..], [Action::Send(Payload::Resume { .. })]));
        bench.say(Incoming::InvalidSession { resumable: false });
        bench.actions();
        let wait = bench.pass();
        assert!((SECOND..=5 * SECOND).contains(&wait), "after {refused} refusals: {wait:?}");
        bench.actions();
        bench.session.connected(bench.now);
        bench.identify("next");
    }
}

/// A server that ends every session is spared, whether it says so with op 9 or with a close code.
#[test]
fn a_server_that_answers_only_to_end_the_session_is_asked_less_and_less() {
    for code in [None, Some(4009)] {
        let mut bench = Bench::active();
        let mut waits = Vec::new();
        for _ in 0..9 {
            match code {
                None => drop(bench.say(Incoming::InvalidSession { resumable: false })),
                code => bench.session.closed(bench.now, code),
            }
            bench.actions();
            waits.push(bench.pass());
            bench.actions();
            bench.session.connected(bench.now);
            bench.identify("next");
        }
        assert!(waits[0] <= 5 * SECOND && waits[8] >= 30 * SECOND, "{waits:?}");
    }
}

/// G-23: what Discord would replay is soon gone, so a server that is away is looked for often.
#[test]
fn g23_no_wait_for_a_server_that_is_away_is_longer_than_twenty_seconds() {
    for mut bench in [Bench::restored(), Bench::fresh()] {
        for refused in 0..40 {
            let wait = bench.pass();
            assert!(wait <= 20 * SECOND, "after {refused} refusals: {wait:?}");
            bench.actions();
            if refused % 3 == 2 {
                bench.session.connected(bench.now);
                bench.session.closed(bench.now, None);
            } else {
                bench.session.connect_failed(bench.now, Duration::ZERO);
            }
        }
    }
}

/// What a server answers to the upgrade (429 or 5xx) may ask for a pause.
#[test]
fn a_pause_that_the_server_asks_for_is_kept() {
    let mut bench = Bench::restored();
    bench.pass();
    bench.actions();
    bench.session.connect_failed(bench.now, 90 * SECOND);
    let wait = bench.pass();
    assert!((90 * SECOND..91 * SECOND).contains(&wait), "{wait:?}");
}

/// G-21, when the network was down and not the URL dead.
#[test]
fn g21_once_events_flow_the_resume_url_is_used_again() {
    let mut bench = Bench::restored();
    bench.pass();
    bench.actions();
    bench.session.connect_failed(bench.now, Duration::ZERO);
    assert_eq!(bench.open(), Endpoint::Gateway { ask_again: false });
    bench.hello();
    bench.resumed(42);
    bench.session.closed(bench.now, None);
    assert_eq!(bench.open(), Endpoint::Resume(URL.into()));
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

/// Another set of sessions has taken its place.
#[test]
fn g22_retiring_ends_the_session_at_discord() {
    let mut bench = Bench::active();
    bench.session.retire();
    let actions = bench.actions();
    assert_eq!(actions, [Action::Close(ENDING_CLOSE), Action::Ended(Ended::Stopped)]);
    bench.session.stop();
    assert_eq!(bench.actions(), [], "it has ended");
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
fn g38_a_broken_stream_reconnects_and_is_not_resumed_for_ever() {
    let mut bench = Bench::active();
    bench.session.corrupt(bench.now);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    for _ in 0..super::super::failures::RESUMES_REFUSED_MAX {
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

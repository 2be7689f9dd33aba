//! An operator's pause: no connection, and the session goes on behind it.

use super::*;

const PAUSE: Duration = Duration::from_secs(180);

#[test]
fn g22_a_pause_closes_resumably_and_the_session_is_resumed_behind_it() {
    let mut bench = Bench::active();
    bench.dispatch(2);
    bench.commit(2);
    bench.session.pause(bench.now, bench.now + PAUSE);
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
    assert_eq!(bench.session.state(), State::Paused);
    assert_eq!(bench.dispatch(3), Verdict::Ignore, "what still comes is sent again");
    // Said again, the time begins anew.
    bench.now += PAUSE / 2;
    bench.session.pause(bench.now, bench.now + PAUSE);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.pass(), PAUSE);
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Resume(URL.into()))]);
    bench.session.connected(bench.now);
    let resume = Payload::Resume { session_id: "s".into(), seq: 2 };
    assert_eq!(bench.hello(), [Action::Send(resume)]);
}

#[test]
fn a_pause_takes_back_what_was_begun() {
    let mut bench = Bench::fresh();
    bench.pass();
    assert!(matches!(bench.actions()[..], [Action::Connect(_)]));
    bench.session.pause(bench.now, bench.now + PAUSE);
    assert_eq!(bench.actions(), [Action::CancelConnect]);
    // One that was opened all the same is none.
    bench.session.connected(bench.now);
    assert_eq!(bench.session.state(), State::Paused);
    bench.session.go_on();
    assert!(matches!(bench.actions()[..], [Action::Connect(_)]));
    bench.session.connected(bench.now);
    assert!(matches!(bench.hello()[..], [Action::AskPermit { .. }]));
    bench.session.pause(bench.now, bench.now + PAUSE);
    assert_eq!(bench.actions(), [Action::CancelPermit, Action::Close(RESUMABLE_CLOSE)]);
    bench.session.permit();
    assert_eq!(bench.actions(), [], "a permit that came too late is not used");
}

#[test]
fn who_ends_while_paused_ends() {
    let mut bench = Bench::active();
    bench.session.pause(bench.now, bench.now + PAUSE);
    bench.actions();
    bench.session.stop();
    assert_eq!(bench.actions(), [Action::Ended(Ended::Stopped)]);
    bench.session.pause(bench.now, bench.now + PAUSE);
    bench.session.go_on();
    assert_eq!((bench.actions(), bench.session.state()), (vec![], State::Stopped));
}

/// A drain that is asked for again and again does not cost the session.
#[test]
fn g22_a_pause_that_is_renewed_for_ever_ends() {
    let mut bench = Bench::active();
    let most = Duration::from_secs(mixcord_event::command::PAUSE_MAX.into());
    let mut paused = Duration::ZERO;
    while bench.session.pause(bench.now, bench.now + PAUSE) {
        bench.actions();
        assert!(paused < most, "{paused:?}");
        paused += 10 * SECOND;
        bench.now += 10 * SECOND;
    }
    assert_eq!(paused, most);
    assert_eq!(bench.pass(), Duration::ZERO);
    assert_eq!(bench.actions(), [Action::Connect(Endpoint::Resume(URL.into()))]);
    // Not before events flow again.
    assert!(!bench.session.pause(bench.now, bench.now + PAUSE));
    bench.session.connected(bench.now);
    bench.hello();
    assert!(!bench.session.pause(bench.now, bench.now + PAUSE));
    assert_ne!(bench.session.state(), State::Paused);
    bench.resumed(3);
    assert!(bench.session.pause(bench.now, bench.now + PAUSE));
    assert_eq!(bench.actions(), [Action::Close(RESUMABLE_CLOSE)]);
}

//! How long the copy of a record is awaited.

use mixcord_cache::overlap::Side::{New, Old};
use mixcord_cache::overlap::Verdict::{Deliver, Pass};
use mixcord_cache::overlap::What;

use crate::script::{E, GUILD, SLACK, Script, WINDOW, here};

/// Its time is that of its records, not that in which they are read.
#[test]
fn a_ring_that_is_read_far_behind_owes_its_copies_still() {
    let mut script = Script::both();
    let (then, far) = (script.now, script.now + 2 * WINDOW);
    script.run(Old, far);
    script.now = far;
    script.say(Old, What::Event(E), Deliver);
    script.now = then;
    script.run(New, far);
    script.sweep();
    script.now = far;
    script.say(New, What::Event(E), Pass);
}

/// Before it there was no session that could have been silent.
#[test]
fn what_came_right_before_a_session_is_awaited_for_the_window() {
    let mut script = Script::new();
    let far = script.now + 2 * WINDOW;
    script.run(Old, far);
    script.now = far;
    script.say(Old, What::Event(E), Deliver);
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Pass);
    script.wait(WINDOW - SLACK);
    assert!(script.overlap.progress().counted > 0);
    script.wait(3 * SLACK);
    assert_eq!(script.overlap.progress().counted, 0);
}

/// It is long, and what happens behind it reaches the other session at once.
#[test]
fn ready_may_be_received_late() {
    let mut script = Script::new();
    script.say(Old, What::Event(E), Deliver);
    let until = script.now + 3 * SLACK;
    script.run(Old, until);
    script.overlap.reached(New, 0, until);
    script.now = until;
    script.sweep();
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Pass);
    script.say(New, What::Event(E), Pass);
    // What is older by far no session brings.
    let mut script = Script::new();
    script.say(Old, What::Event(E), Deliver);
    let until = script.now + 5 * SLACK;
    script.overlap.reached(New, 0, until);
    script.sweep();
    assert_eq!(script.overlap.progress().counted, 0);
}

/// What a session that was silent brings at once has its time.
#[test]
fn behind_a_silence_the_window_begins_anew() {
    let mut script = Script::both();
    script.go_on(WINDOW / 2);
    let far = script.now + 4 * WINDOW;
    script.run(Old, far);
    script.now = far;
    script.say(Old, What::Event(E), Deliver);
    script.wait(WINDOW - SLACK);
    assert!(script.overlap.progress().counted > 0);
    script.wait(3 * SLACK);
    assert_eq!(script.overlap.progress().counted, 0);
}

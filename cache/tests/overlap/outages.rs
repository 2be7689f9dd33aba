//! Outages of a guild in one set alone.

use mixcord_cache::overlap::Side::{New, Old};
use mixcord_cache::overlap::Verdict::{Deliver, Keep, Pass};
use mixcord_cache::overlap::What;

use crate::script::{AWAY, E, GONE, GUILD, SLACK, Script, WINDOW, here};

/// The state would else go back to what GUILD_CREATE says, behind which the other side brought more.
#[test]
fn an_outage_of_the_side_that_does_not_deliver_is_none() {
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.wait(2 * WINDOW);
    script.say(Old, What::Event(E), Deliver);
    script.say(New, here(1), Keep);
    script.say(Old, What::Event(E + 1), Deliver);
    script.say(New, What::Event(E + 1), Pass);
    script.wait(SLACK);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    script.wait(2 * WINDOW);
    assert_eq!((script.overlap.progress().cut, script.late.len()), (1, 0));
    script.say(New, What::Event(E + 2), Deliver);
}

#[test]
fn a_guild_that_a_new_session_has_late_is_not_told() {
    let mut script = Script::new();
    script.ready(New, &[GUILD]);
    script.say(New, AWAY, Keep);
    script.wait(2 * WINDOW);
    script.say(Old, What::Event(E), Deliver);
    script.say(New, here(1), Keep);
    script.wait(3 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    assert_eq!(script.overlap.progress().cut, 1);
}

/// Until then it may be that the side that delivers is behind.
#[test]
fn a_short_outage_of_one_side_holds_up_its_cut_for_the_window() {
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.say(New, here(1), Keep);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.overlap.progress().cut), (2, 0));
    script.wait(WINDOW);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.overlap.progress().cut), (0, 1));
    assert_eq!(script.late, []);
}

#[test]
fn a_side_that_takes_over_was_away_alone_where_the_other_went_on() {
    // It delivered something behind the outage.
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.say(New, here(1), Keep);
    script.say(Old, What::Event(E), Deliver);
    script.lose(Old);
    assert_eq!(script.late, []);
    script.say(New, What::Event(E), Pass);
    script.say(New, What::Event(E + 1), Deliver);
    // It was there for longer than it could be behind.
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.say(New, here(1), Keep);
    script.go_on(2 * SLACK);
    script.lose(Old);
    assert_eq!(script.late, []);
    // It may have been behind.
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.say(New, here(1), Keep);
    script.lose(Old);
    assert_eq!(script.late, [AWAY, here(1)]);
}

/// The guild was back on the other side before this one went on.
#[test]
fn an_outage_of_each_side_alone_is_not_the_same() {
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.say(New, here(1), Keep);
    script.say(Old, What::Event(E), Deliver);
    script.go_on(2 * SLACK);
    script.say(New, What::Event(E), Pass);
    script.say(Old, AWAY, Deliver);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    script.say(Old, here(1), Deliver);
}

#[test]
fn an_outage_of_one_side_is_told_when_the_other_is_lost() {
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.wait(2 * WINDOW);
    assert_eq!(script.late, []);
    script.lose(Old);
    assert_eq!(script.late, [AWAY]);
    script.say(New, here(1), Deliver);
}

/// Else the other side would be applied late, and what this one says then would be taken for known.
#[test]
fn the_side_that_is_back_first_delivers() {
    let mut script = Script::cut();
    script.say(New, AWAY, Deliver);
    script.say(Old, AWAY, Pass);
    script.say(Old, here(1), Keep);
    script.say(Old, What::Event(E), Keep);
    script.wait(WINDOW - SLACK);
    assert_eq!(script.late, []);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [here(1)].as_slice()));
    script.say(Old, What::Event(E + 1), Deliver);
    script.say(New, here(1), Pass);
    script.say(Old, What::Event(E + 2), Deliver);
    script.say(New, What::Event(E + 2), Pass);
}

/// The other side's ring is read late.
#[test]
fn a_guild_that_was_back_before_it_went_away_is_not_back() {
    let mut script = Script::cut();
    let (then, far) = (script.now, script.now + WINDOW);
    script.run(New, far);
    script.now = far;
    script.say(New, AWAY, Deliver);
    script.now = then;
    script.say(Old, AWAY, Pass);
    script.say(Old, here(1), Keep);
    script.run(Old, far);
    script.now = far;
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (1, 0));
    script.say(New, here(1), Deliver);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

/// It is away on both sides: the outage that both are in is known.
#[test]
fn a_guild_that_was_back_and_is_away_again_is_told_once() {
    let mut script = Script::cut();
    let (then, far) = (script.now, script.now + WINDOW);
    script.run(New, far);
    script.now = far;
    script.say(New, AWAY, Deliver);
    script.now = then;
    script.say(Old, AWAY, Pass);
    script.say(Old, here(1), Keep);
    script.run(Old, far);
    script.now = far;
    script.say(Old, AWAY, Keep);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    script.say(New, here(1), Deliver);
    script.say(Old, here(1), Pass);
}

/// Its own GUILD_CREATE is awaited: the other set is not counted on.
#[test]
fn a_set_that_is_called_off_is_not_back_first() {
    let mut script = Script::both();
    assert!(script.overlap.call_off());
    script.say(Old, AWAY, Deliver);
    script.say(New, AWAY, Pass);
    script.say(New, here(1), Keep);
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    script.say(Old, here(1), Deliver);
}

#[test]
fn an_outage_of_a_set_that_is_called_off_does_not_hold_up_its_end() {
    let mut script = Script::both();
    assert!(script.overlap.call_off());
    script.say(New, AWAY, Keep);
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

/// Joins and leaves are of the bot and not of a session: the other one lost them.
#[test]
fn what_one_side_alone_says_of_a_membership_is_told() {
    let mut script = Script::both();
    script.say(New, GONE, Keep);
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!(script.late, [GONE]);
    script.say(New, here(2), Keep);
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!(script.late, [GONE, here(2)]);
    // Nor is one lost in an outage.
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.wait(WINDOW + 2 * SLACK);
    script.say(New, GONE, Keep);
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!((script.waiting(), script.late.last()), (0, Some(&GONE)));
}

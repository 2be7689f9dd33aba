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
    script.wait(0);
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
    script.say(Old, AWAY, Keep);
    script.wait(3 * SLACK);
    script.say(New, What::Event(E + 1), Deliver);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (1, 0));
    script.say(Old, here(1), Keep);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

#[test]
fn an_outage_of_one_side_is_told_when_the_other_is_lost() {
    let mut script = Script::both();
    script.say(New, AWAY, Keep);
    script.wait(2 * WINDOW);
    assert_eq!(script.late, []);
    script.lose(Old);
    script.wait(0);
    assert_eq!(script.late, [AWAY]);
    script.say(New, here(1), Deliver);
}

/// Else the other side would be applied late, and what this one says then would be taken for known.
#[test]
fn the_side_that_is_back_first_delivers() {
    let mut script = Script::cut();
    script.say(New, AWAY, Keep);
    script.say(Old, AWAY, Keep);
    script.wait(0);
    assert_eq!(script.late, [AWAY]);
    script.say(Old, here(1), Keep);
    script.say(Old, What::Event(E), Keep);
    script.wait(WINDOW - SLACK);
    assert_eq!(script.late, [AWAY]);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [AWAY, here(1)].as_slice()));
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
    script.say(New, AWAY, Keep);
    script.now = then;
    script.say(Old, AWAY, Keep);
    script.sweep();
    script.say(Old, here(1), Keep);
    script.run(Old, far);
    script.now = far;
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.as_slice()), (1, [AWAY].as_slice()));
    script.say(New, here(1), Deliver);
    assert_eq!((script.waiting(), script.late.len()), (0, 1));
}

/// It is away on both sides: the outage that both are in is known.
#[test]
fn a_guild_that_was_back_and_is_away_again_is_told_once() {
    let mut script = Script::cut();
    let (then, far) = (script.now, script.now + WINDOW);
    script.run(New, far);
    script.now = far;
    script.say(New, AWAY, Keep);
    script.now = then;
    script.say(Old, AWAY, Keep);
    script.sweep();
    script.say(Old, here(1), Keep);
    script.run(Old, far);
    script.now = far;
    script.say(Old, AWAY, Keep);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [AWAY].as_slice()));
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

/// As one of the other side.
#[test]
fn an_outage_of_the_side_that_delivers_is_none() {
    let mut script = Script::both();
    script.say(Old, What::Event(E), Deliver);
    script.say(New, What::Event(E), Pass);
    script.say(Old, AWAY, Keep);
    // The other side may be away as well, and say so later.
    script.say(New, What::Event(E + 1), Keep);
    script.wait(3 * SLACK);
    assert_eq!(script.waiting(), 1);
    script.wait(2 * WINDOW);
    script.say(New, What::Event(E + 2), Deliver);
    script.say(Old, here(1), Keep);
    script.say(Old, What::Event(E + 3), Keep);
    script.say(New, What::Event(E + 3), Deliver);
    script.wait(WINDOW + 3 * SLACK);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

#[test]
fn an_image_behind_which_a_copy_comes_is_older_than_the_state() {
    let mut script = Script::both();
    script.say(Old, AWAY, Keep);
    script.wait(3 * SLACK);
    script.say(New, What::Event(E), Deliver);
    script.say(Old, here(1), Keep);
    script.say(Old, What::Event(E), Pass);
    assert_eq!(script.waiting(), 0);
    // Not even where the other side is lost is it told.
    script.lose(New);
    assert_eq!(script.late, []);
}

#[test]
fn an_outage_of_both_sides_is_told_once() {
    let mut script = Script::both();
    script.say(Old, AWAY, Keep);
    script.say(New, AWAY, Keep);
    script.wait(0);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [AWAY].as_slice()));
    script.say(Old, here(1), Deliver);
    script.say(New, here(1), Pass);
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 1));
}

#[test]
fn an_outage_of_the_side_that_delivered_is_told_when_the_other_is_lost() {
    let mut script = Script::both();
    script.say(Old, AWAY, Keep);
    script.wait(3 * SLACK);
    script.say(New, What::Event(E), Deliver);
    assert_eq!(script.lose(New), Deliver);
    assert_eq!(script.late, [AWAY]);
    script.say(Old, here(1), Deliver);
    // It is not known yet whether the other one goes on.
    let mut script = Script::both();
    script.say(Old, AWAY, Keep);
    script.lose(New);
    script.wait(0);
    assert_eq!(script.late, [AWAY]);
    script.say(Old, here(1), Deliver);
}

/// What is held back comes in its order, and copies of it are recognised.
#[test]
fn what_came_behind_an_outage_of_both_is_told_when_the_other_side_says_it() {
    let mut script = Script::both();
    for what in [AWAY, here(1), What::Event(E), What::Event(E + 1)] {
        script.say(Old, what, Keep);
    }
    script.say(New, AWAY, Keep);
    script.wait(0);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [AWAY, here(1)].as_slice()));
    script.say(New, here(1), Pass);
    script.say(New, What::Event(E), Pass);
    script.say(New, What::Event(E + 1), Pass);
    script.say(Old, What::Event(E + 2), Deliver);
}

/// A side that says nothing of its own outage may be gone: the one that is back is not kept waiting for it.
#[test]
fn a_side_that_is_silent_does_not_hold_up_one_that_is_back() {
    let mut script = Script::both();
    script.say(Old, AWAY, Keep);
    script.run(Old, script.now + 3 * SLACK);
    script.now += 3 * SLACK;
    script.say(Old, here(1), Keep);
    script.say(Old, What::Event(E), Keep);
    script.run(Old, script.now + WINDOW);
    script.now += WINDOW;
    script.overlap.reached(New, 0, script.now);
    script.sweep();
    assert_eq!(script.late, [AWAY, here(1)]);
    script.say(Old, What::Event(E + 1), Deliver);
    // What the other side brings of the outage is older.
    script.say(New, What::Event(E + 2), Keep);
    script.say(New, What::Event(E), Pass);
    assert_eq!(script.waiting(), 0);
}

/// The other side's session is young: the guild may have been there only after the outage began.
fn doubt() -> Script {
    let mut script = Script::new();
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Pass);
    script.say(Old, AWAY, Deliver);
    script.say(New, What::Event(E), Keep);
    script
}

#[test]
fn what_is_in_the_image_that_ends_an_outage_is_not_told_behind_it() {
    // The first event that both bring shows where it is.
    let mut script = doubt();
    script.say(Old, here(1), Deliver);
    script.say(New, What::Event(E + 1), Keep);
    script.say(Old, What::Event(E + 1), Deliver);
    assert_eq!(script.waiting(), 0);
    script.say(New, What::Event(E + 2), Keep);
    script.say(Old, What::Event(E + 2), Deliver);
    // Whichever side brings it first.
    let mut script = doubt();
    script.say(Old, here(1), Deliver);
    script.say(Old, What::Event(E + 1), Deliver);
    script.say(New, What::Event(E + 2), Keep);
    script.say(New, What::Event(E + 1), Pass);
    assert_eq!(script.waiting(), 0);
    // Else time does.
    let mut script = doubt();
    script.say(Old, here(1), Deliver);
    script.go_on(2 * SLACK);
    script.say(New, What::Event(E + 1), Keep);
    script.wait(0);
    assert_eq!(script.waiting(), 1, "what came so late is behind it");
    script.wait(WINDOW + SLACK);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn a_guild_is_cut_when_there_is_no_doubt_any_more() {
    let mut script = doubt();
    script.say(New, AWAY, Pass);
    script.say(Old, here(1), Deliver);
    script.say(New, here(1), Pass);
    assert_eq!(script.waiting(), 1);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.overlap.progress().cut), (0, 1));
}

/// Long ones take no memory.
#[test]
fn what_is_in_doubt_is_kept_for_the_window() {
    let mut script = doubt();
    script.wait(WINDOW + 2 * SLACK);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

#[test]
fn the_old_set_is_not_left_while_the_new_one_has_an_outage_alone() {
    let mut script = Script::cut();
    script.say(New, AWAY, Keep);
    assert!(!script.overlap.leave());
    script.wait(3 * SLACK);
    script.say(Old, What::Event(E), Deliver);
    assert!(!script.overlap.leave());
    script.say(New, here(1), Keep);
    script.wait(WINDOW + 3 * SLACK);
    script.wait(WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
    assert!(script.overlap.leave());
}

/// The other side had no outage before the bot was removed.
#[test]
fn an_outage_of_one_side_before_a_guild_is_left_is_none() {
    let mut script = Script::both();
    script.say(New, What::Event(E), Keep);
    script.say(New, GONE, Keep);
    script.say(Old, AWAY, Keep);
    script.say(Old, GONE, Keep);
    script.wait(3 * SLACK);
    assert_eq!((script.waiting(), script.late.as_slice()), (0, [GONE].as_slice()));
}

/// It was away there, too, which was taken for the copy of an outage that its session did not see.
#[test]
fn an_outage_of_both_before_a_guild_is_left_is_told() {
    let mut script = Script::new();
    script.say(Old, AWAY, Deliver);
    script.say(Old, here(1), Deliver);
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Pass);
    script.go_on(2 * SLACK);
    script.say(New, AWAY, Pass);
    script.say(New, GONE, Keep);
    script.say(Old, AWAY, Deliver);
    script.say(Old, GONE, Deliver);
    assert_eq!(script.waiting(), 0);
}

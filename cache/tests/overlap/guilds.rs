//! Guilds that come and go, a rule at a time.

use mixcord_cache::overlap::Side::{New, Old};
use mixcord_cache::overlap::Verdict::{Deliver, Keep, Pass};
use mixcord_cache::overlap::What;

use crate::script::{AWAY, E, GONE, GUILD, SLACK, Script, WINDOW, here};

#[test]
fn what_waits_of_a_membership_that_ended_is_dropped() {
    let mut script = Script::both();
    for (side, verdict) in [(New, Keep), (Old, Deliver)] {
        script.say(side, GONE, verdict);
        script.say(side, here(2), verdict);
    }
    assert_eq!(script.waiting(), 0);
}

/// The state has the membership from the other side, and all since.
#[test]
fn a_guild_that_arrives_late_on_the_side_that_delivers_is_known() {
    let mut script = Script::both();
    script.say(Old, GONE, Deliver);
    script.say(Old, here(2), Deliver);
    script.lose(Old);
    script.say(New, GONE, Pass);
    script.say(New, here(2), Pass);
    script.say(New, What::Event(E), Deliver);
}

#[test]
fn a_guild_that_arrived_before_an_outage_that_is_known_waits_no_more() {
    let mut script = Script::both();
    for what in [GONE, here(2), AWAY] {
        script.say(Old, what, Deliver);
    }
    script.say(New, GONE, Pass);
    script.say(New, here(2), Keep);
    // It may be from before the outage, however much time passes.
    let far = script.now + 2 * WINDOW;
    script.run(Old, far);
    script.sweep();
    assert_eq!(script.late, []);
    script.say(New, AWAY, Pass);
    assert_eq!(script.waiting(), 0);
}

/// What the session would have brought next is the outage.
#[test]
fn a_guild_that_arrived_before_an_outage_is_gone_with_its_session() {
    let mut script = Script::both();
    for what in [GONE, here(2), AWAY] {
        script.say(Old, what, Deliver);
    }
    script.say(New, GONE, Pass);
    script.say(New, here(2), Keep);
    script.lose(New);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn a_guild_that_both_left_is_remembered_as_long_as_a_session_may_be_behind() {
    let mut script = Script::cut();
    script.say(New, GONE, Deliver);
    script.say(Old, GONE, Pass);
    script.say(New, here(2), Deliver);
    script.say(New, GONE, Deliver);
    script.sweep();
    script.say(Old, here(2), Pass);
    script.say(Old, GONE, Pass);
    script.wait(11 * WINDOW);
    assert_eq!(script.overlap.progress().guilds, 0);
}

#[test]
fn a_guild_that_neither_has_is_cut_once_the_old_set_was_read_so_far() {
    let mut script = Script::both();
    [GONE, here(2), GONE].into_iter().for_each(|what| script.say(New, what, Keep));
    let far = script.now + 2 * SLACK;
    script.say(Old, GONE, Deliver);
    script.run(New, far);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 0, "the old set is still to bring membership 2");
    script.say(Old, here(2), Deliver);
    script.say(Old, GONE, Deliver);
    script.wait(3 * SLACK);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 1);
}

#[test]
fn a_guild_is_cut_when_both_have_the_same_membership() {
    let mut script = Script::both();
    script.say(Old, GONE, Deliver);
    script.say(Old, here(2), Deliver);
    script.wait(3 * SLACK);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 0);
    script.say(New, GONE, Pass);
    script.say(New, here(2), Pass);
    script.wait(3 * SLACK);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 1);
}

#[test]
fn a_guild_that_the_state_alone_has_is_not_cut() {
    let mut script = Script::new();
    script.say(Old, AWAY, Deliver);
    script.wait(3 * SLACK);
    script.ready(New, &[]);
    script.wait(3 * SLACK);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 0, "GUILD_DELETE of the old set is to come");
    script.say(Old, GONE, Deliver);
    script.wait(3 * SLACK);
    script.sweep();
    assert_eq!(script.overlap.progress().cut, 1);
}

#[test]
fn a_session_that_is_a_membership_behind_is_no_cover() {
    let mut script = Script::both();
    script.say(Old, GONE, Deliver);
    script.say(Old, here(2), Deliver);
    assert_eq!(script.lose(Old), Deliver);
}

#[test]
fn of_a_membership_that_ended_nothing_is_expected() {
    let mut script = Script::both();
    script.say(Old, What::Event(E), Deliver);
    let counted = script.overlap.progress().counted;
    script.say(New, GONE, Keep);
    assert_eq!(script.overlap.progress().counted, counted - 1);
}

/// Equal events of two memberships are two.
#[test]
fn an_event_is_the_copy_of_one_of_its_membership() {
    let mut script = Script::both();
    for (side, verdict) in [(Old, Deliver), (New, Pass)] {
        script.say(side, What::Event(E), verdict);
        script.say(side, GONE, verdict);
        script.say(side, here(2), verdict);
        script.say(side, What::Event(E), verdict);
    }
    // Nor does one of an earlier membership cancel what waits of a later one.
    let mut script = Script::both();
    for what in [GONE, here(2), What::Event(E)] {
        script.say(New, what, Keep);
    }
    script.say(Old, What::Event(E), Deliver);
    assert_eq!(script.waiting(), 3);
}

/// READY does not say which membership it is: GUILD_CREATE does, and what ended before it was another one.
#[test]
fn a_new_session_may_have_another_membership() {
    let mut script = Script::both();
    script.lose(New);
    script.ready(New, &[GUILD]);
    script.say(Old, GONE, Deliver);
    script.say(Old, here(2), Deliver);
    script.say(New, GONE, Keep);
    script.say(New, here(2), Keep);
    assert_eq!(script.waiting(), 0);
    // Nor does it wait on where the state is far ahead.
    let mut script = Script::new();
    script.ready(New, &[GUILD]);
    for what in [GONE, here(2), GONE, here(3)] {
        script.say(Old, what, Deliver);
    }
    script.say(New, GONE, Keep);
    script.say(New, here(2), Pass);
    assert_eq!(script.waiting(), 0);
}

/// Which one ended is not said, and the state has one that began since.
#[test]
fn that_an_earlier_membership_ended_is_not_told_of_a_later_one() {
    let mut script = Script::new();
    script.ready(New, &[GUILD]);
    let (then, later) = (script.now, script.now + 2 * SLACK);
    script.run(Old, later);
    script.now = later;
    script.say(Old, GONE, Deliver);
    script.say(Old, here(2), Deliver);
    script.now = then;
    script.say(New, GONE, Keep);
    script.now = later;
    script.wait(2 * WINDOW);
    assert_eq!((script.waiting(), script.late.len()), (0, 0));
}

#[test]
fn a_guild_of_a_session_that_was_lost_is_awaited_from_either() {
    let mut script = Script::new();
    assert!(script.overlap.call_off());
    script.lose(Old);
    script.ready(Old, &[GUILD]);
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Keep);
    script.say(Old, here(1), Deliver);
    assert_eq!(script.waiting(), 0);
}

#[test]
fn a_membership_that_ended_takes_nothing_over() {
    let mut script = Script::new();
    script.ready(New, &[GUILD]);
    script.say(Old, GONE, Deliver);
    script.lose(Old);
    script.ready(Old, &[GUILD]);
    script.say(New, here(1), Pass);
}

#[test]
fn a_side_that_takes_over_brings_what_waits_first() {
    let mut script = Script::new();
    script.say(Old, AWAY, Deliver);
    script.wait(3 * SLACK);
    script.ready(New, &[GUILD]);
    script.wait(3 * SLACK);
    assert_eq!(script.overlap.progress().cut, 1);
    script.say(Old, GONE, Keep);
    assert_eq!(script.late, []);
    script.say(Old, here(2), Keep);
    assert_eq!(script.late, [GONE, here(2)]);
}

#[test]
fn a_guild_takes_nothing_over_that_arrives_before_an_outage_that_is_known() {
    let mut script = Script::both();
    for what in [GONE, here(2), AWAY] {
        script.say(Old, what, Deliver);
    }
    script.say(New, GONE, Pass);
    script.lose(Old);
    script.say(New, here(2), Keep);
    script.say(New, AWAY, Pass);
    script.say(New, here(2), Deliver);
    assert_eq!((script.waiting(), script.late), (0, vec![]));
}

/// The side that took over lags: it brings a guild as it was before an outage that the state knows.
#[test]
fn a_guild_that_arrives_before_an_outage_that_is_known_is_old() {
    let mut script = Script::both();
    for what in [GONE, here(2), AWAY] {
        script.say(Old, what, Deliver);
    }
    script.lose(Old);
    for what in [GONE, here(2), AWAY] {
        script.say(New, what, Pass);
    }
    script.say(New, here(2), Deliver);
}

#[test]
fn a_session_that_began_behind_an_outage_does_not_bring_it() {
    let mut script = Script::cut();
    script.say(Old, AWAY, Keep);
    script.lose(New);
    assert_eq!(script.late, [AWAY]);
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Deliver);
    script.say(New, AWAY, Deliver);
}

/// READY was sent before the bot joined, which the other side said first.
#[test]
fn ready_ends_no_membership_that_began_behind_it() {
    let mut script = Script::both();
    assert!(script.overlap.call_off());
    script.say(New, GONE, Keep);
    script.say(New, here(2), Keep);
    script.lose(Old);
    assert_eq!(script.late, [GONE, here(2)]);
    assert!(script.overlap.is_others(Old, GUILD, script.now));
    assert!(!script.overlap.is_others(Old, GUILD, script.now + 2 * SLACK));
    script.ready(Old, &[]);
    script.say(Old, here(2), Pass);
    script.say(Old, GONE, Deliver);
}

/// Guilds are listed some at a time, and records come between.
#[test]
fn a_guild_of_which_something_came_before_it_was_listed_is_known() {
    let mut script = Script::unlisted();
    script.say(Old, What::Event(E), Deliver);
    script.list();
    script.ready(New, &[GUILD]);
    script.say(New, here(1), Pass);
    script.say(New, What::Event(E), Pass);
}

#[test]
fn a_guild_that_goes_before_it_was_listed_is_told_to_go() {
    let mut script = Script::unlisted();
    script.say(Old, AWAY, Deliver);
    script.overlap.list(GUILD, false, false, 1);
    script.overlap.listed();
    script.say(Old, here(1), Deliver);
    let mut script = Script::unlisted();
    script.say(Old, GONE, Deliver);
    script.overlap.listed();
    script.say(Old, here(2), Deliver);
}

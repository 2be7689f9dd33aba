//! P2 when a member dies: what it held goes to the others, and to nobody before.

use std::process::{Command, Stdio};

use crate::rig::{Rig, next, numbers};

const INSTANCE: &str = "TEST_INSTANCE_TO_DIE_IN";

/// Not a test of its own: the process that takes two events, acknowledges one, and is killed.
#[test]
fn child_that_dies() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    let consumer = mixcord::Consumer::builder().instance(instance).group("bot");
    let mut consumer = consumer.connect_blocking().expect("connected");
    next(&mut consumer).ack();
    let held = next(&mut consumer);
    assert_eq!(numbers(&held), (1, 2));
    std::process::abort();
}

#[test]
fn a_dead_process_holds_nothing_and_repeats_nothing_it_acknowledged() {
    let mut rig = Rig::new();
    let mut survivor = rig.consumer().group("bot").connect_blocking().expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "deaths::child_that_dies"])
        .env(INSTANCE, &rig.instance)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(!child.expect("a child").success());
    for number in 2..=3 {
        let event = next(&mut survivor);
        assert_eq!((numbers(&event), event.attempt()), ((1, number), 1));
        event.ack();
    }
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn a_member_that_leaves_gives_back_what_it_did_not_acknowledge() {
    let mut rig = Rig::new();
    let mut first = rig.consumer().group("bot").connect_blocking().expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    next(&mut first).ack();
    let held = next(&mut first);
    drop(first);
    let mut second = rig.consumer().group("bot").connect_blocking().expect("connected");
    let again = next(&mut second);
    assert_eq!((again.seq(), again.identity()), (2, held.identity()));
    // Too late: it belongs to the other member now.
    held.ack();
    assert_eq!(rig.group("bot").lag, 2);
}

#[test]
fn a_group_goes_on_where_its_last_member_was() {
    let mut rig = Rig::new();
    let connect = |rig: &Rig| rig.consumer().group("bot").connect_blocking().expect("connected");
    let mut consumer = connect(&rig);
    (1..=4).for_each(|number| rig.message(number, number));
    let mut seen = vec![next(&mut consumer), next(&mut consumer)];
    seen.iter().for_each(mixcord::Event::ack);
    drop(consumer);
    (5..=8).for_each(|number| rig.message(number, number));
    let mut consumer = connect(&rig);
    seen.extend((0..6).map(|_| {
        let event = next(&mut consumer);
        event.ack();
        event
    }));
    let mut seen: Vec<_> = seen.iter().map(mixcord::Event::seq).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=8).collect::<Vec<_>>());
}

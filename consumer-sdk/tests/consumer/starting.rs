//! Start order, stopping, and a ring that is replaced.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::{Consumer, Error, Stop};

use crate::rig::{Rig, next};

#[test]
fn a_consumer_may_start_before_the_ring() {
    let mut rig = Rig::without_ring();
    let builder = rig.consumer().group("bot").from_earliest();
    let waiting = std::thread::spawn(move || {
        let mut consumer = builder.connect_blocking().expect("connected");
        next(&mut consumer).seq()
    });
    rig.create_ring();
    rig.message(1, 1);
    assert_eq!(waiting.join().expect("no panic"), 1);
}

#[tokio::test]
async fn a_declared_group_misses_nothing_whatever_starts_first() {
    let mut rig = Rig::new();
    assert!(rig.operator().create_group("bot", false, false, None).expect("created"));
    rig.message(1, 1);
    let mut consumer = rig.consumer().group("bot").connect().await.expect("connected");
    rig.message(1, 2);
    for number in 1..=2 {
        let event = consumer.next().await.expect("no error").expect("an event");
        assert_eq!(event.seq(), number);
        event.ack();
    }
}

#[test]
fn a_new_group_starts_with_what_comes_unless_told_otherwise() {
    let mut rig = Rig::new();
    rig.message(1, 1);
    let mut late = rig.consumer().group("late").connect_blocking().expect("connected");
    let mut early =
        rig.consumer().group("early").from_earliest().connect_blocking().expect("ready");
    rig.message(1, 2);
    assert_eq!((next(&mut late).seq(), next(&mut early).seq()), (2, 1));
}

#[test]
fn waiting_for_a_ring_ends_when_it_was_said_to_and_leaves_nothing() {
    let rig = Rig::without_ring();
    let result = rig.consumer().group("bot").wait(Duration::from_millis(10)).connect_blocking();
    let error = result.expect_err("there is no ring");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains(&rig.instance), "{error}");
    let instances = mixcord::operator::instances().expect("a list");
    assert!(!instances.contains(&rig.instance), "the search left something behind");
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    let refused = |builder: mixcord::Builder| builder.connect_blocking().expect_err("refused");
    for builder in [
        Consumer::builder(),
        Consumer::builder().instance("No Such Name").group("bot"),
        Consumer::builder().instance("").group("bot"),
        Consumer::builder().group("bot").observer(),
        Consumer::builder().group("Not A Name!"),
        Consumer::builder().group(""),
        Consumer::builder().group("bot").ephemeral().max_absence(Duration::from_secs(1)),
    ] {
        let error = refused(builder);
        assert!(error.is_configuration(), "{error}");
    }
}

#[test]
fn a_stop_ends_waiting_receiving_and_running() {
    let mut rig = Rig::without_ring();
    let stop = Stop::new();
    let builder = rig.consumer().group("bot").stop(&stop);
    let early = builder.clone();
    let waiting = std::thread::spawn(move || early.connect_blocking()?.next_blocking());
    stop.stop();
    assert!(waiting.join().expect("no panic").expect("no error").is_none());

    rig.create_ring();
    let stop = Stop::new();
    let mut consumer = builder.stop(&stop).connect_blocking().expect("connected");
    let receiving = std::thread::spawn(move || consumer.next_blocking());
    stop.stop();
    assert!(receiving.join().expect("no panic").expect("no error").is_none());
}

#[test]
fn a_replaced_ring_is_followed_from_its_first_record() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let mut observer = rig.consumer().observer().connect_blocking().expect("connected");
    (1..=2).for_each(|number| rig.message(1, number));
    next(&mut consumer).ack();
    rig.replace_ring();
    rig.message(1, 3);
    // What the old ring still holds comes first.
    for number in 2..=3 {
        let event = next(&mut consumer);
        assert_eq!(event.seq(), number);
        event.ack();
    }
    let seen: Vec<_> = (0..3).map(|_| next(&mut observer).seq()).collect();
    assert_eq!(seen, [1, 2, 3]);
}

/// P3: the new ring went round before anybody of the group was there.
#[test]
fn what_a_replaced_ring_lost_before_it_was_joined_is_told_first() {
    let mut rig = Rig::new();
    let join = |rig: &Rig| rig.consumer().group("bot").connect_blocking().expect("connected");
    let (mut first, mut second) = (join(&rig), join(&rig));
    let mut observer = rig.consumer().observer().connect_blocking().expect("connected");
    rig.replace_ring();
    // Nobody holds the ring, and it has 256 slots.
    (1..=600).for_each(|number| rig.message(1, number));
    for consumer in [&mut first, &mut observer] {
        let lost = next(consumer).lost().expect("a loss");
        assert!((344..600).contains(&lost), "{lost}");
        let event = next(consumer);
        assert_eq!(event.seq(), lost + 1);
        event.ack();
    }
    // The others of the group are not told again.
    drop(first);
    assert_eq!(next(&mut second).lost(), None);
}

/// P8, P10: a record that nobody can read is a dead letter, told and counted, and its group goes on.
#[test]
fn a_damaged_record_is_a_dead_letter_and_the_next_of_its_guild_is_given() {
    let mut rig = Rig::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let letters = Arc::clone(&told);
    let consumer = rig.consumer().group("bot");
    let consumer =
        consumer.on_dead(move |letter| letters.lock().expect("sound").push(letter.clone()));
    let mut consumer = consumer.connect_blocking().expect("connected");
    rig.publish_bytes(mixcord::Kind::MESSAGE_CREATE, 1, b"this is no record");
    rig.message(1, 7);
    let event = next(&mut consumer);
    assert_eq!(event.seq(), 7);
    event.ack();
    assert_eq!((consumer.meter().read().dead, consumer.lag()), (1, 0));
    let told = told.lock().expect("sound");
    assert_eq!(told.len(), 1);
    assert!(told[0].event.is_none() && told[0].error.contains("damaged"), "{:?}", told[0]);
    let letters = rig.operator().dead_letters("bot").expect("the letters");
    assert_eq!(letters.len(), 1);
    assert!(letters[0].record().is_err(), "what it was is kept as it was");
}

#[test]
fn a_group_absent_for_too_long_is_told_what_it_lost() {
    let mut rig = Rig::new();
    let absence = Some(Duration::from_millis(1));
    assert!(rig.operator().create_group("bot", false, false, absence).expect("created"));
    // More than the ring holds: the producer must let the group go.
    (0..1_000).for_each(|number| rig.message(1, number));
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let loss = next(&mut consumer);
    let lost = loss.lost().expect("a loss");
    assert_eq!((loss.name(), loss.kind()), ("LOST", mixcord::Kind::UNKNOWN));
    for number in lost..1_000 {
        let event = next(&mut consumer);
        assert_eq!(event.seq(), number);
        event.ack();
    }
    assert!(lost >= 1_000 - 256, "{lost}");
}

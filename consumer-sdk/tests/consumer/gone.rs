//! Damage below: a large record whose file was removed, a group whose entry cannot be.

use mixcord::event::{Reason, topology};
use mixcord::{Consumer, Event, Kind};
use mixcord_ring::Namespace;

use crate::rig::{Rig, next};

/// Publishes three events, the second too long for the ring, and removes its file.
fn with_a_file_gone() -> Rig {
    let mut rig = Rig::new();
    rig.operator().create_group("bot", true, false, None).expect("a group");
    rig.message(9, 0);
    let long = format!(r#"{{"id":"9","description":"{}"}}"#, "x".repeat(60_000));
    rig.publish(Kind::GUILD_UPDATE, 9, 1, &long, None);
    rig.message(9, 2);
    let id = rig.producer.as_ref().expect("a producer").id().0;
    let prefix = rig.namespace.prefix();
    let name = format!("{prefix}.{}.blob-{id:016x}-1", topology::OUTPUT_RING);
    std::fs::remove_file(Namespace::directory().join(name)).expect("the file of record 1");
    rig
}

fn is_told(event: &Event, rig: &Rig) {
    let id = rig.producer.as_ref().expect("a producer").id().0;
    assert_eq!((event.name(), event.lost()), ("LOST", Some(1)));
    assert_eq!(event.reason(), Reason::RecordsLost);
    assert_eq!((event.identity().ring, event.identity().position), (id, 1));
    let data = r#"{"count":1,"position":1,"kind":"GUILD_UPDATE","source_position":1}"#;
    assert_eq!(event.data().to_json(), data);
}

fn read(consumer: &mut Consumer) -> Event {
    next(consumer)
}

#[test]
fn a_member_is_told_in_its_place_until_it_acknowledges() {
    for in_order in [false, true] {
        let rig = with_a_file_gone();
        let connect = || {
            let builder = rig.consumer().group("bot").kinds([Kind::MESSAGE_CREATE]);
            let builder = if in_order { builder.in_ring_order() } else { builder };
            builder.connect_blocking().expect("connected")
        };
        let mut consumer = connect();
        let event = read(&mut consumer);
        assert_eq!(event.seq(), 0);
        event.ack();
        // Not acknowledged, it comes again; of a clone the last counts.
        let event = read(&mut consumer);
        is_told(&event, &rig);
        drop(event.clone());
        drop((event, consumer));
        let mut consumer = connect();
        let event = read(&mut consumer);
        is_told(&event, &rig);
        event.ack();
        let event = read(&mut consumer);
        assert_eq!(event.seq(), 2);
        event.ack();
        drop(consumer);
        assert_eq!(rig.group("bot").lag, 0);
    }
}

#[test]
fn an_observer_is_told_in_its_place() {
    let rig = with_a_file_gone();
    let observer = rig.consumer().observer().from_earliest();
    let mut observer = observer.connect_blocking().expect("connected");
    assert_eq!(read(&mut observer).seq(), 0);
    is_told(&read(&mut observer), &rig);
    assert_eq!(read(&mut observer).seq(), 2);
}

/// What is read again by its position says the same.
#[test]
fn a_second_look_is_told_in_its_place() {
    let rig = with_a_file_gone();
    let observer = rig.consumer().observer().from_earliest().connect_blocking().expect("connected");
    let past = observer.past().expect("a ring");
    let first = past.read(0).expect("whole");
    assert_eq!((first.events.len(), first.events[0].seq(), first.next), (1, 0, 1));
    let second = past.read(1).expect("whole");
    assert_eq!((second.events.len(), second.lost, second.next), (1, 0, 2));
    is_told(&second.events[0], &rig);
    let third = past.read(2).expect("whole");
    assert_eq!((third.events[0].seq(), third.next), (2, 3));
}

/// Its floor says that records are acknowledged which were never published.
#[test]
fn a_group_whose_entry_is_damaged_says_what_to_do() {
    let rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.damage_first_group();
    let error = consumer.next_blocking().expect_err("an error");
    let text = error.to_string();
    assert!(text.contains("group \"bot\"") && text.contains("remove the group"), "{text}");
    assert!(rig.group("bot").damaged);
}

//! P10 at its limit: a file of records set aside that is full. Then, and only then, the ring is held up; nothing is
//! lost, and all goes on in order when the event that is stuck comes back.

use std::time::{Duration, Instant};

use mixcord::event::{Document, Header, record};
use mixcord::{Consumer, Kind};
use mixcord_ring::{Meta, StageError};

use crate::rig::{PATIENCE, Rig, next, numbers};

/// Publishes one more event of the guild, if there is room for it within so long.
fn publish(rig: &mut Rig, guild: u64, number: u64, patience: Duration) -> bool {
    let data =
        format!(r#"{{"id":"{number}","guild_id":"{guild}","content":"{}"}}"#, "x".repeat(900));
    let data = Document::from_json(&data).expect("JSON");
    let header =
        Header { kind: Kind::MESSAGE_CREATE, seq: number, key: guild, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, None, data.as_bytes(), None, &mut bytes);
    let meta = Meta { key: guild, tag: Kind::MESSAGE_CREATE.number().into(), ..Meta::default() };
    let producer = rig.producer.as_mut().expect("a producer");
    let deadline = Instant::now() + patience;
    loop {
        match producer.stage(&meta, &[&bytes]) {
            Ok(_) => break,
            Err(StageError::Full) if Instant::now() >= deadline => return false,
            Err(StageError::Full) => {
                producer.wait_space(bytes.len(), Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
    producer.publish();
    true
}

#[test]
fn a_full_file_of_asides_holds_the_ring_up_and_names_who_and_loses_nothing() {
    // 256 slots and 128 KiB: the file has as many bytes at most.
    let mut rig = Rig::new();
    let connect = |rig: &Rig| -> Consumer {
        let builder = rig.consumer().group("bot").from_earliest().concurrency(4);
        builder.handler_timeout(None).connect_blocking().expect("connected")
    };
    let mut consumer = connect(&rig);
    assert!(publish(&mut rig, 7, 0, PATIENCE));
    let stuck = next(&mut consumer);
    // More than the ring and the file hold together.
    let most = 2 * (128 << 10) / 900;
    let mut published = 1;
    while published < most && publish(&mut rig, 7, published, Duration::from_secs(2)) {
        published += 1;
    }
    assert!(published < most, "the ring was never held up");
    let status = rig.group("bot");
    assert!(status.aside > 0, "nothing was set aside");
    let ring = rig.producer.as_ref().expect("a producer").ring();
    let holdup = mixcord_holdup::of(&ring).expect("somebody holds it up").to_string();
    assert!(holdup.contains("group \"bot\"") && holdup.contains("MESSAGE_CREATE"), "{holdup}");
    // Others of the group that are in the ring are given all the same.
    assert_eq!(numbers(&stuck), (7, 0));
    stuck.ack();
    for number in 1..published {
        let event = next(&mut consumer);
        assert_eq!((numbers(&event), event.attempt()), ((7, number), 1), "in order, each once");
        event.ack();
    }
    assert!(publish(&mut rig, 8, 0, PATIENCE), "the ring goes on");
    let event = next(&mut consumer);
    assert_eq!(numbers(&event), (8, 0));
    event.ack();
    assert_eq!((rig.group("bot").lag, rig.group("bot").dead), (0, 0));
}

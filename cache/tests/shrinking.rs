//! After most guilds left, the store gets a smaller file, and nobody sees it but by the memory.

mod common;

use std::fs;

use common::instance::{Instance, receive, send, settle};
use common::leaving::{STAYED, come_and_leave, everything, renamed};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::topology;
use mixcord_ring::Ring;
use mixcord_state::{Checkpoint, Resource, State, StoreError};
use serde_json::json;

fn open(instance: &Instance) -> State {
    State::open(&instance.state_dir()).expect("a store")
}

/// The store that readers are told to open.
fn told(instance: &Instance) -> u64 {
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).expect("a ring");
    Checkpoint::store_in(&ring.checkpoint().expect("a checkpoint")).expect("a store")
}

/// Rounds without records until the store is another one.
fn rest(engine: &mut Engine, instance: &Instance, before: u64) {
    for _ in 0..1_000_000 {
        assert_eq!(engine.round().expect("a round"), Progress::Idle);
        if told(instance) != before {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the file stays as long as it was");
}

#[test]
fn a_store_that_guilds_left_gets_a_smaller_file() {
    let mut instance = Instance::new("shrinking");
    instance.state_bytes_max = 256 << 20;
    come_and_leave(&instance);
    let table = instance.state_dir().join("table");
    let long = fs::metadata(&table).expect("a table").len();
    let (old, all) = (open(&instance), everything(&open(&instance)));
    assert_eq!(all.iter().filter(|of| of.0 == Resource::Guilds).count() as u64, STAYED);

    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut ring = instance.shard(0, 1);
    rest(&mut engine, &instance, old.id());
    let short = fs::metadata(&table).expect("a table").len();
    assert!(short <= long / 2, "{short} of {long} bytes");
    let state = open(&instance);
    assert_eq!((state.id(), everything(&state)), (told(&instance), all));
    let asked = old.entity(Resource::Guilds, 0, 1003);
    assert!(matches!(asked, Err(StoreError::Moved)), "{asked:?}");
    assert!(receive(&mut consumer).is_empty());
    // It goes on with it, and once is enough.
    send(&mut ring, (0, 1), &[renamed("other")]);
    settle(&mut engine);
    assert_eq!(receive(&mut consumer)[0].old["name"], json!("c"));
    for _ in 0..100 {
        assert_eq!(engine.round().expect("a round"), Progress::Idle);
    }
    assert_eq!(told(&instance), state.id());
    drop(engine);

    // So does the next process, which lost nothing.
    let mut engine = instance.engine();
    assert_eq!(told(&instance), state.id());
    send(&mut ring, (0, 1), &[renamed("third")]);
    settle(&mut engine);
    let seen = receive(&mut consumer);
    assert_eq!((seen.len(), &seen[0].old["name"]), (1, &json!("other")));
    drop(engine);
    instance.check_state();
}

/// Records come before a smaller file does.
#[test]
fn a_file_gets_smaller_while_events_pass() {
    let mut instance = Instance::new("shrinking-busy");
    instance.state_bytes_max = 256 << 20;
    come_and_leave(&instance);
    let before = open(&instance).id();
    let (mut engine, mut consumer) = (instance.engine(), instance.consumer());
    let mut ring = instance.shard(0, 1);
    let mut name = String::from("c");
    for round in 0.. {
        assert!(round < 1_000_000, "the file stays as long as it was");
        let next = format!("c{round}");
        send(&mut ring, (0, 1), &[renamed(&next)]);
        settle(&mut engine);
        let seen = receive(&mut consumer);
        assert_eq!((seen.len(), &seen[0].old["name"]), (1, &json!(name)));
        name = next;
        if told(&instance) != before {
            break;
        }
    }
    let state = open(&instance);
    let channel = state.channel(5003).expect("a store").expect("a channel");
    assert!(channel.to_json().contains(&format!(r#""name":"{name}""#)), "{}", channel.to_json());
    drop(engine);
    instance.check_state();
}

//! What a lost state asks the gateway for: in the ring of each shard, up to where it had read.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::settings::Settings;
use mixcord_event::topology;
use mixcord_ring::{Namespace, Producer, Ring};
use mixcord_state::meta;
use serde_json::{Value as Json, json};

fn guild() -> (&'static str, Json) {
    ("GUILD_CREATE", json!({"id": "100", "name": "g"}))
}

fn typing() -> (&'static str, Json) {
    ("TYPING_START", json!({}))
}

fn asked(shards: &[Producer]) -> Vec<u64> {
    shards.iter().map(Producer::asked_anew).collect()
}

/// Two shards, of which three records and one were read.
fn read_some(instance: &Instance) -> [Producer; 2] {
    instance.declare();
    let mut shards = [instance.shard(0, 2), instance.shard(1, 2)];
    send(&mut shards[0], (0, 2), &[guild(), typing(), typing()]);
    send(&mut shards[1], (1, 2), &[typing()]);
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [0, 0], "nothing was lost");
    shards
}

#[test]
fn a_store_that_is_gone_is_asked_for_up_to_where_it_had_read_before_anything_is_committed() {
    let instance = Instance::new("refill-gone");
    let mut shards = read_some(&instance);
    send(&mut shards[0], (0, 2), &[typing()]);
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    // A start that is killed before its first batch leaves the wish; the next start would not find the loss.
    let engine = instance.engine();
    assert_eq!(asked(&shards), [3, 1], "what was not read yet is not lost");
    drop(engine);
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [3, 1]);
    let gaps = receive(&mut instance.consumer()).iter().filter(|out| out.kind == "GAP").count();
    assert_eq!(gaps, 2);
    // A start that loses nothing asks for nothing more, and another loss for more.
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [3, 1]);
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [4, 1]);
}

#[test]
fn nobody_is_asked_where_no_state_is_kept_or_the_ring_is_gone() {
    let mut instance = Instance::new("refill-none");
    let shards = read_some(&instance);
    let settings = instance.settings.clone();
    (instance.store, instance.settings) = (false, Settings::none());
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [0, 0]);
    // Once there is one again, it has seen nothing.
    (instance.store, instance.settings) = (true, settings);
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    let [first, second] = shards;
    drop(second);
    instance.namespace.remove_ring(&topology::shard_ring(1, 2)).unwrap();
    let second = instance.shard(1, 2);
    settle(&mut instance.engine());
    assert_eq!(asked(&[first, second]), [3, 0], "another ring begins with a session");
}

#[test]
fn a_cache_that_knows_nothing_asks_for_what_the_one_before_it_had_read() {
    let instance = Instance::new("refill-forgot");
    let mut shards = read_some(&instance);
    send(&mut shards[1], (1, 2), &[typing()]);
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    instance.namespace.remove_ring(topology::OUTPUT_RING).unwrap();
    settle(&mut instance.engine());
    assert_eq!(asked(&shards), [3, 1]);
    let ring = Ring::attach(&instance.namespace, &topology::shard_ring(1, 2)).unwrap();
    assert_eq!(ring.tail(), 2);
}

/// P3: where a ring cannot be asked, the wish outlives the process that had it, whatever was committed meanwhile.
#[test]
fn a_wish_that_cannot_be_told_is_kept_until_it_can() {
    let instance = Instance::new("refill-later");
    let mut shards = read_some(&instance);
    let second = Namespace::directory().join(format!(
        "{}.{}",
        instance.namespace.prefix(),
        topology::shard_ring(1, 2)
    ));
    let open_to = |mode| fs::set_permissions(&second, Permissions::from_mode(mode)).unwrap();
    open_to(0o640);
    fs::remove_dir_all(instance.state_dir()).unwrap();
    for before in [3, 4] {
        send(&mut shards[0], (0, 2), &[typing()]);
        settle(&mut instance.engine());
        assert_eq!(asked(&shards), [3, 0], "up to {before}");
    }
    open_to(0o600);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert_eq!(asked(&shards), [3, 1]);
    send(&mut shards[1], (1, 2), &[typing()]);
    settle(&mut engine);
    drop(engine);
    assert!(!instance.has(meta::WISHES), "it was told");
    // Nothing else was lost.
    let gaps = receive(&mut instance.consumer()).iter().filter(|out| out.kind == "GAP").count();
    assert_eq!(gaps, 2);
}

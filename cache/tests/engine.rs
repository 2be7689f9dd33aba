//! The engine over real rings: order of the commit, and every case of the start-up comparison.

mod common;

use common::instance::{Instance, Out, receive, send, settle};
use mixcord_cache::engine::{EngineError, Progress};
use mixcord_event::topology;
use mixcord_ring::Geometry;
use mixcord_state::{Resource, Scan, State};
use serde_json::{Value as Json, json};

fn guild() -> (&'static str, Json) {
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]}))
}

fn rename(n: u64) -> (&'static str, Json) {
    ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": format!("c{n}")}))
}

fn renames(range: std::ops::RangeInclusive<u64>) -> Vec<(&'static str, Json)> {
    range.map(rename).collect()
}

/// Names before and after of each channel update.
fn names(seen: &[Out]) -> Vec<(Option<&str>, &str)> {
    let updates = seen.iter().filter(|out| out.kind == "CHANNEL_UPDATE");
    updates.map(|out| (out.old["name"].as_str(), out.data["name"].as_str().unwrap())).collect()
}

fn reasons(seen: &[Out]) -> Vec<&'static str> {
    seen.iter().filter(|out| out.kind == "GAP").filter_map(|out| out.reason).collect()
}

#[test]
fn old_values_are_there_right_after_a_restart_and_nothing_comes_twice() {
    let instance = Instance::new("restart");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), rename(1)]);
    let mut engine = instance.engine();
    assert_eq!(settle(&mut engine), Progress::Idle);
    drop(engine);
    send(&mut shard, (0, 1), &[rename(2)]);
    let mut engine = instance.engine();
    settle(&mut engine);
    let seen = receive(&mut instance.consumer());
    assert_eq!(names(&seen), [(Some("c0"), "c1"), (Some("c1"), "c2")]);
    let origins: Vec<_> = seen.iter().map(|out| (out.origin, out.index)).collect();
    let ring = shard.id().0;
    assert_eq!(origins, [((ring, 0), 0), ((ring, 1), 0), ((ring, 2), 0)]);
}

#[test]
fn a_full_output_ring_stops_the_cache_and_loses_nothing() {
    let mut instance = Instance::new("full");
    instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    send(&mut shard, (0, 1), &renames(1..=60));
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    assert!(matches!(settle(&mut engine), Progress::OutputFull(_)));
    assert!(shard.ring().groups()[0].lag > 0, "the shard's ring keeps what has no room");
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(receive(&mut consumer));
        settle(&mut engine);
    }
    seen.extend(receive(&mut consumer));
    let expected: Vec<(String, String)> =
        (1..=60).map(|n| (format!("c{}", n - 1), format!("c{n}"))).collect();
    let names: Vec<(String, String)> = names(&seen)
        .iter()
        .map(|(old, new)| (old.unwrap().to_owned(), (*new).to_owned()))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn a_lost_store_begins_anew_after_a_gap() {
    let instance = Instance::new("store-lost");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), rename(1)]);
    settle(&mut instance.engine());
    std::fs::remove_dir_all(instance.state_dir()).unwrap();
    send(&mut shard, (0, 1), &[rename(2)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(reasons(&seen), ["state_lost"]);
    assert_eq!(names(&seen), [(Some("c0"), "c1"), (None, "c2")]);
    assert_eq!(seen[2].kind, "GAP");
    assert_eq!(
        seen[2].data,
        json!({"shard": 0, "from_seq": null, "to_seq": null, "reason": "state_lost"})
    );
}

#[test]
fn a_store_older_than_the_output_ring_is_discarded() {
    let instance = Instance::new("store-old");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut instance.engine());
    let (held, saved) = (instance.state_dir(), instance.state_dir().with_extension("saved"));
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .arg(&held)
            .arg(&saved)
            .status()
            .unwrap()
            .success()
    );
    send(&mut shard, (0, 1), &[rename(1)]);
    settle(&mut instance.engine());
    std::fs::remove_dir_all(&held).unwrap();
    std::fs::rename(&saved, &held).unwrap();
    send(&mut shard, (0, 1), &[rename(2)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(reasons(&seen), ["state_lost"]);
    assert_eq!(names(&seen), [(Some("c0"), "c1"), (None, "c2")]);
}

#[test]
fn a_lost_output_ring_is_told_and_the_state_stays() {
    let instance = Instance::new("output-lost");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), rename(1)]);
    settle(&mut instance.engine());
    instance.namespace.remove_ring(topology::OUTPUT_RING).unwrap();
    instance.declare();
    send(&mut shard, (0, 1), &[rename(2)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(reasons(&seen), ["output_lost"]);
    assert_eq!(names(&seen), [(Some("c1"), "c2")]);
}

#[test]
fn a_lost_input_ring_is_told_and_the_new_one_read_from_its_beginning() {
    let instance = Instance::new("input-lost");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), rename(1), rename(2)]);
    settle(&mut instance.engine());
    drop(shard);
    instance.namespace.remove_ring(&topology::shard_ring(0, 1)).unwrap();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[rename(3)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(reasons(&seen), ["ring_lost"]);
    assert_eq!(names(&seen), [(Some("c0"), "c1"), (Some("c1"), "c2"), (Some("c2"), "c3")]);
}

#[test]
fn rings_of_the_old_shard_count_are_drained_first() {
    let instance = Instance::new("reshard");
    instance.declare();
    let mut old = instance.shard(0, 2);
    send(&mut old, (0, 2), &[guild()]);
    let mut engine = instance.engine();
    settle(&mut engine);
    send(&mut old, (0, 2), &renames(1..=2));
    let mut new = instance.shard(0, 1);
    send(&mut new, (0, 1), &renames(3..=4));
    drop(engine);
    let mut engine = instance.engine();
    settle(&mut engine);
    let mut consumer = instance.consumer();
    assert_eq!(names(&receive(&mut consumer)).len(), 2, "its gateway lives: the new ring waits");
    // Nothing of the old one is unread now: the store knows which count is in force.
    drop(engine);
    let mut engine = instance.engine();
    settle(&mut engine);
    assert_eq!(receive(&mut consumer), []);
    drop(old);
    // The next look for rings sees that the old gateway is gone.
    let mut seen = Vec::new();
    common::instance::until("the new ring is read", || {
        engine.round().unwrap();
        engine.wait(Progress::Idle, std::time::Duration::from_millis(50));
        seen.extend(receive(&mut consumer));
        seen.len() == 2
    });
    assert_eq!(names(&seen), [(Some("c2"), "c3"), (Some("c3"), "c4")]);
}

#[test]
fn without_a_store_events_pass_and_the_checkpoint_keeps_the_place() {
    let mut instance = Instance::new("none");
    instance.store = false;
    instance.settings = mixcord_cache::settings::Settings::none();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild(), rename(1)]);
    settle(&mut instance.engine());
    send(&mut shard, (0, 1), &[rename(2)]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(names(&seen), [(None, "c1"), (None, "c2")]);
    assert_eq!(reasons(&seen), Vec::<&str>::new());
    assert!(!instance.state_dir().exists());
}

#[test]
fn many_shards_are_read_each_in_its_order() {
    let instance = Instance::new("many");
    instance.declare();
    let mut shards: Vec<_> = (0..3).map(|shard| instance.shard(shard, 3)).collect();
    let mut engine = instance.engine();
    for round in 0..4 {
        for (id, shard) in shards.iter_mut().enumerate() {
            let typing = json!({"round": round});
            send(shard, (id as u16, 3), &[("TYPING_START", typing)]);
        }
    }
    settle(&mut engine);
    let seen = receive(&mut instance.consumer());
    for (id, shard) in shards.iter().enumerate() {
        let positions: Vec<u64> = seen
            .iter()
            .filter(|out| out.shard == (id as u16, 3))
            .map(|out| {
                assert_eq!(out.origin.0, shard.id().0);
                out.origin.1
            })
            .collect();
        assert_eq!(positions, [0, 1, 2, 3]);
    }
}

#[test]
fn a_second_cache_is_refused_as_configuration() {
    let instance = Instance::new("second");
    let _engine = instance.engine();
    let error = mixcord_cache::engine::Engine::start(&instance.plan()).unwrap_err();
    assert!(matches!(error, EngineError::Running), "{error}");
    assert!(error.is_configuration());
}

#[test]
fn bytes_that_are_no_record_are_a_loss_that_is_told() {
    let instance = Instance::new("garbage");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let meta = mixcord_ring::Meta { source: 1, ..Default::default() };
    shard.stage(&meta, &[b"no record"]).unwrap();
    shard.publish();
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    assert_eq!(reasons(&seen), ["undecodable"]);
    assert_eq!(seen[1].kind, "GUILD_CREATE");
}

#[test]
fn another_process_reads_the_state_at_or_after_its_event() {
    if let Ok(dir) = std::env::var("READ_STATE") {
        let state = State::open(std::path::Path::new(&dir)).unwrap();
        let channel = state.channel(200).unwrap().unwrap();
        assert_eq!(channel.value().get_str("name").unwrap().as_str(), Some("c7"));
        assert_eq!(state.guild_of_channel(200).unwrap(), Some(100));
        assert_eq!(state.shard_of_guild(100).unwrap(), Some((0, 1)));
        assert_eq!(state.page(&mut Scan::of(Resource::Channels, 100)).unwrap().len(), 1);
        let guild = |id| state.entity(Resource::Guilds, 0, id).unwrap();
        assert!(guild(100).is_some() && guild(101).is_none());
        assert_eq!(state.stats().unwrap().resources.iter().map(|it| it.entities).sum::<u64>(), 2);
        return;
    }
    let instance = Instance::new("reader");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    send(&mut shard, (0, 1), &renames(1..=7));
    let mut engine = instance.engine();
    settle(&mut engine);
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process_reads_the_state_at_or_after_its_event"])
        .env("READ_STATE", instance.state_dir())
        .status()
        .unwrap();
    assert!(status.success());
    // And in this one, which writes it.
    let state = State::open(&instance.state_dir()).unwrap();
    assert!(state.entity(Resource::Guilds, 0, 100).unwrap().is_some());
}

/// Messages that replace each other: the store needs no more space for the tenth than for the first.
fn overwrite(n: u64) -> (&'static str, Json) {
    let content = format!("{n}{}", "x".repeat(3000));
    (
        "MESSAGE_CREATE",
        json!({"id": "1", "channel_id": "200", "guild_id": "100", "content": content}),
    )
}

#[test]
fn readers_hold_nothing_up() {
    let mut instance = Instance::new("hang");
    instance.state_bytes_max = 16 << 20;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[guild()]);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    settle(&mut engine);
    let state = State::open(&instance.state_dir()).unwrap();
    let mut members = Scan::all(Resource::Messages);
    for n in 0..10_000 {
        send(&mut shard, (0, 1), &[overwrite(n)]);
        assert_eq!(settle(&mut engine), Progress::Idle, "the store does not grow");
        receive(&mut consumer);
        if n == 10 {
            assert_eq!(state.page(&mut members).unwrap().len(), 1);
        }
    }
    assert!(state.page(&mut members).unwrap().is_empty());
    assert_eq!(state.count(Resource::Messages).unwrap(), 1);
}

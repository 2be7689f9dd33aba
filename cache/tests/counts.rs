//! Rings of two shard counts side by side: the cache never goes back in time, and never delivers one event
//! under two identities.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::instance::{Instance, Out, receive, send, send_at, settle, until};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_cache::settings::Settings;
use mixcord_ring::{Member, Producer};
use serde_json::{Value as Json, json};

fn guild() -> (&'static str, Json) {
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]}))
}

fn rename(n: u64) -> (&'static str, Json) {
    ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": format!("c{n}")}))
}

/// Of each output its shard, and the name it brought or why something is missing.
fn told(seen: &[Out]) -> Vec<((u16, u16), &str)> {
    let what = |out: &'_ Out| out.reason.filter(|_| out.kind == "GAP");
    let name = |out: &Out| -> String { out.data["name"].as_str().unwrap_or_default().to_owned() };
    seen.iter()
        .map(|out| (out.shard, what(out).unwrap_or_else(|| Box::leak(name(out).into_boxed_str()))))
        .collect()
}

/// Rounds until so many outputs came; rings are looked for now and then only.
fn run(engine: &mut Engine, consumer: &mut Member, count: usize) -> Vec<Out> {
    let mut seen = Vec::new();
    until("all outputs", || {
        let progress = engine.round().unwrap();
        engine.wait(progress, Duration::from_millis(20));
        seen.extend(receive(consumer));
        seen.len() >= count
    });
    seen
}

/// Rounds until the shard's ring has nothing unread.
fn drain(engine: &mut Engine, ring: &Producer) {
    until("all is read", || {
        let progress = engine.round().unwrap();
        engine.wait(progress, Duration::from_millis(20));
        ring.ring().groups()[0].lag == 0
    });
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// Longer than events of the time before are waited for.
const LATER_US: u64 = 60_000_000;

/// A second gateway by mistake, for a moment; much later the first one is started again.
#[test]
fn what_a_second_gateway_received_beside_the_first_is_never_delivered() {
    let instance = Instance::new("mistake");
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut first = instance.shard(0, 1);
    send(&mut first, (0, 1), &[guild(), rename(1)]);
    assert_eq!(run(&mut engine, &mut consumer, 2).len(), 2);
    let mut second = [instance.shard(0, 2), instance.shard(1, 2)];
    send(&mut second[0], (0, 2), &[guild(), rename(1), rename(2)]);
    send(&mut second[1], (1, 2), &[("TYPING_START", json!({}))]);
    drop(second);
    send(&mut first, (0, 1), &[rename(2), rename(3)]);
    assert_eq!(run(&mut engine, &mut consumer, 2).len(), 2);

    drop(first);
    let lost = "shard_count_changed";
    let mut gaps = run(&mut engine, &mut consumer, 2);
    gaps.sort_unstable_by_key(|out| out.shard);
    assert_eq!(told(&gaps), [((0, 2), lost), ((1, 2), lost)]);
    let mut first = instance.shard(0, 1);
    send(&mut first, (0, 1), &[rename(4)]);
    let seen = run(&mut engine, &mut consumer, 1);
    assert_eq!(told(&seen), [((0, 1), "c4")]);
    assert_eq!(seen[0].old["name"], "c3", "the state did not go back");
}

/// The same found at the start, before anything was read: what began first is read first.
#[test]
fn of_two_counts_that_nobody_read_the_older_is_read() {
    let instance = Instance::new("unread");
    instance.declare();
    let mut first = instance.shard(0, 1);
    send(&mut first, (0, 1), &[guild(), rename(1)]);
    let mut second = instance.shard(0, 2);
    send(&mut second, (0, 2), &[guild()]);
    drop(second);
    send(&mut first, (0, 1), &[rename(2)]);
    let mut engine = instance.engine();
    settle(&mut engine);
    let mut consumer = instance.consumer();
    let seen = receive(&mut consumer);
    assert_eq!(told(&seen), [((0, 1), "g"), ((0, 1), "c1"), ((0, 1), "c2")]);
    drop(first);
    let seen = run(&mut engine, &mut consumer, 1);
    assert_eq!(told(&seen), [((0, 2), "shard_count_changed")]);
}

/// A new gateway beside the old one, which ends later. The cut survives the cache, whatever it has kept.
#[test]
fn an_overlap_is_left_out_and_what_comes_later_is_read() {
    for restart in ["none", "kept", "lost", "without a store"] {
        let mut instance = Instance::new(&format!("overlap-{}", restart.replace(' ', "-")));
        if restart == "without a store" {
            (instance.store, instance.settings) = (false, Settings::none());
        }
        instance.declare();
        let mut engine = instance.engine();
        let mut consumer = instance.consumer();
        let mut old = instance.shard(0, 1);
        send(&mut old, (0, 1), &[guild()]);
        let mut new = instance.shard(0, 2);
        send(&mut new, (0, 2), &[guild(), rename(1)]);
        send(&mut old, (0, 1), &[rename(1), rename(2)]);
        assert_eq!(run(&mut engine, &mut consumer, 3).len(), 3);
        // The latest event reached the new session a moment later.
        send(&mut new, (0, 2), &[rename(2)]);
        drop(old);
        drain(&mut engine, &new);
        let seen = receive(&mut consumer);
        assert_eq!(told(&seen), [((0, 2), "shard_count_changed")], "{restart}");
        assert_eq!(seen[0].origin, (new.id().0, 0));
        if restart != "none" {
            drop(engine);
            if restart == "lost" {
                std::fs::remove_dir_all(instance.state_dir()).unwrap();
            }
            engine = instance.engine();
            settle(&mut engine);
            receive(&mut consumer);
        }
        // Out of a socket that was not read while the ring was full.
        send(&mut new, (0, 2), &[rename(2)]);
        drain(&mut engine, &new);
        let later = receive(&mut consumer);
        assert!(later.iter().all(|out| out.kind == "GAP"), "{restart}: {later:?}");
        send_at(&mut new, (0, 2), &[rename(3)], now_us() + LATER_US);
        let seen = run(&mut engine, &mut consumer, 1);
        assert_eq!(told(&seen), [((0, 2), "c3")], "{restart}");
        if matches!(restart, "none" | "kept") {
            assert_eq!(seen[0].old["name"], "c2", "{restart}");
        }
        // From now on the clock has no say.
        send(&mut new, (0, 2), &[rename(4)]);
        assert_eq!(told(&run(&mut engine, &mut consumer, 1)), [((0, 2), "c4")]);
    }
}

/// A new gateway that began after the old one had ended: nothing is missing, whichever shard lags.
#[test]
fn one_after_the_other_loses_nothing() {
    let instance = Instance::new("after");
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut old = [instance.shard(0, 2), instance.shard(1, 2)];
    send(&mut old[1], (1, 2), &[("TYPING_START", json!({}))]);
    send(&mut old[0], (0, 2), &[guild(), rename(1)]);
    drop(old);
    let mut new = instance.shard(0, 1);
    send(&mut new, (0, 1), &[rename(2)]);
    let seen = run(&mut engine, &mut consumer, 4);
    assert_eq!(seen.iter().filter(|out| out.kind == "GAP").count(), 0);
    assert_eq!(seen[3].old["name"], "c1");
    assert_eq!(engine.round().unwrap(), Progress::Idle);
}

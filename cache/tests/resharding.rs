//! Shard counts come and go: what is remembered of a ring, and what is told when it is gone.

mod common;

use std::time::Duration;

use common::instance::{Instance, Out, receive, send, settle, typing, until};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::topology;
use mixcord_ring::{GroupSpec, Limits, Member, Namespace, Producer, Ring, Start};
use mixcord_state::{Checkpoint, meta};
use serde_json::{Value as Json, json};

/// Of each output its shard, and what it says.
fn told(seen: &[Out]) -> Vec<((u16, u16), Json)> {
    let what = |out: &Out| match out.reason {
        Some(reason) => json!(reason),
        None => out.data["n"].clone(),
    };
    seen.iter().map(|out| (out.shard, what(out))).collect()
}

/// Removes a ring as an operator does who does not ask.
fn remove(instance: &Instance, shard: u16, shards: u16) {
    let name = topology::shard_ring(shard, shards);
    let path = Namespace::directory().join(format!("{}.{name}", instance.namespace.prefix()));
    std::fs::remove_file(path).unwrap();
}

/// Shards whose positions the output ring's checkpoint has, as (count, shard).
fn in_checkpoint(instance: &Instance) -> Vec<(u16, u16)> {
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    let checkpoint = Checkpoint::from_bytes(&ring.checkpoint().unwrap()).unwrap();
    checkpoint.inputs.into_keys().collect()
}

/// Whether the store has the position of a shard; nobody else may have it open.
fn in_store(instance: &Instance, shard: u16, shards: u16) -> bool {
    instance.has(meta::input(shard, shards))
}

/// Rounds until so many outputs came; rings are looked for now and then only.
fn run(engine: &mut Engine, consumer: &mut mixcord_ring::Member, count: usize) -> Vec<Out> {
    let mut seen = Vec::new();
    until("all outputs", || {
        let progress = engine.round().unwrap();
        engine.wait(progress, Duration::from_millis(20));
        seen.extend(receive(consumer));
        seen.len() >= count
    });
    seen
}

/// Runs through one look for rings at least.
fn look(engine: &mut Engine) {
    let mut quiet = 0;
    until("a look for rings", || {
        let progress = engine.round().unwrap();
        engine.wait(progress, Duration::from_millis(50));
        quiet += u32::from(progress == Progress::Idle);
        quiet > 8
    });
}

#[test]
fn rings_of_an_old_count_that_are_drained_and_gone_are_forgotten() {
    let instance = Instance::new("reshard-gone");
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut old = instance.shard(0, 1);
    send(&mut old, (0, 1), &[typing(1)]);
    run(&mut engine, &mut consumer, 1);
    drop(old);
    let mut new = instance.shard(1, 2);
    send(&mut new, (1, 2), &[typing(2)]);
    run(&mut engine, &mut consumer, 1);
    assert_eq!(in_checkpoint(&instance), [(1, 0), (2, 1)], "its gateway may come back");

    remove(&instance, 0, 1);
    look(&mut engine);
    send(&mut new, (1, 2), &[typing(3)]);
    assert_eq!(told(&run(&mut engine, &mut consumer, 1)), [((1, 2), json!(3))]);
    assert_eq!(in_checkpoint(&instance), [(2, 1)]);
    drop(engine);
    assert!(!in_store(&instance, 0, 1) && in_store(&instance, 1, 2));

    // The old count comes back with a ring of its own: all of it is new, and nothing is missing.
    drop(new);
    let mut back = instance.shard(0, 1);
    send(&mut back, (0, 1), &[typing(4), typing(5)]);
    let mut engine = instance.engine();
    let seen = run(&mut engine, &mut consumer, 2);
    assert_eq!(told(&seen), [((0, 1), json!(4)), ((0, 1), json!(5))]);
}

#[test]
fn a_count_that_comes_back_goes_on_where_it_was() {
    let instance = Instance::new("reshard-back");
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut n = 0;
    for (shard, shards) in [(1, 2), (3, 4), (1, 2), (3, 4)] {
        let mut ring = instance.shard(shard, shards);
        n += 2;
        send(&mut ring, (shard, shards), &[typing(n), typing(n + 1)]);
        let seen = run(&mut engine, &mut consumer, 2);
        assert_eq!(told(&seen), [((shard, shards), json!(n)), ((shard, shards), json!(n + 1))]);
        drop(engine);
        engine = instance.engine();
    }
}

/// What a ring held that the cache did not see to its end nobody knows.
#[test]
fn rings_of_an_old_count_that_went_unseen_are_told_once() {
    let instance = Instance::new("reshard-lost");
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut old = [instance.shard(0, 2), instance.shard(1, 2)];
    for (shard, ring) in (0..).zip(&mut old) {
        send(ring, (shard, 2), &[typing(1)]);
    }
    run(&mut engine, &mut consumer, 2);
    drop(engine);
    send(&mut old[1], (1, 2), &[typing(2)]);
    drop(old);
    remove(&instance, 0, 2);
    remove(&instance, 1, 2);
    let mut new = instance.shard(0, 4);
    send(&mut new, (0, 4), &[typing(3)]);
    let mut engine = instance.engine();
    let seen = run(&mut engine, &mut consumer, 3);
    let lost = json!("ring_lost");
    assert_eq!(told(&seen), [((0, 2), lost.clone()), ((1, 2), lost), ((0, 4), json!(3))]);
    assert_eq!(in_checkpoint(&instance), [(4, 0)]);
    drop(engine);
    assert!(!in_store(&instance, 0, 2) && !in_store(&instance, 1, 2));
    send(&mut new, (0, 4), &[typing(4)]);
    let mut engine = instance.engine();
    assert_eq!(told(&run(&mut engine, &mut consumer, 1)), [((0, 4), json!(4))]);
}

/// A ring of which the cache knows nothing, and from which records went already.
#[test]
fn the_beginning_of_an_unknown_ring_that_is_not_there_any_more_is_a_gap() {
    let instance = Instance::new("reshard-floor");
    instance.declare();
    let mut known = instance.shard(0, 2);
    send(&mut known, (0, 2), &[typing(1)]);
    settle(&mut instance.engine());
    let mut other = instance.shard(1, 2);
    send(&mut other, (1, 2), &[typing(2), typing(3)]);
    let group = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
    let mut thief = other.ring().join(&group, &instance.bell).unwrap();
    let mut batch = thief.take(Limits { records: 1, bytes: 1 << 16 }).unwrap().unwrap();
    batch.ack_through(0);
    drop(batch);
    thief.leave();
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    let expected = [((0, 2), json!(1)), ((1, 2), json!("records_lost")), ((1, 2), json!(3))];
    assert_eq!(told(&seen), expected);
}

/// A ring of a former count that was read to its end, and another count in force: the cache has let it go,
/// and that is committed. The next look would remove it.
fn ended(instance: &mut Instance) -> (Engine, Member, Producer) {
    instance.old_rings_kept = Duration::ZERO;
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut old = instance.shard(0, 1);
    send(&mut old, (0, 1), &[typing(1)]);
    run(&mut engine, &mut consumer, 1);
    drop(old);
    let mut new = instance.shard(1, 2);
    send(&mut new, (1, 2), &[typing(2)]);
    run(&mut engine, &mut consumer, 1);
    assert_eq!(rings(instance), ["out", "shard-0-1", "shard-1-2"]);
    (engine, consumer, new)
}

fn rings(instance: &Instance) -> Vec<String> {
    instance.namespace.rings().unwrap()
}

/// Once their session can be resumed no more, nobody needs them.
#[test]
fn rings_of_an_old_count_go_by_themselves() {
    let mut instance = Instance::new("reshard-retire");
    let (mut engine, mut consumer, mut new) = ended(&mut instance);
    look(&mut engine);
    assert_eq!(rings(&instance), ["out", "shard-1-2"]);
    look(&mut engine);
    send(&mut new, (1, 2), &[typing(4)]);
    assert_eq!(told(&run(&mut engine, &mut consumer, 1)), [((1, 2), json!(4))]);
    assert_eq!(in_checkpoint(&instance), [(2, 1)]);
    drop(engine);
    assert!(!in_store(&instance, 0, 1) && in_store(&instance, 1, 2));
}

/// Whatever moment a cache dies at, with or without a store, nothing is told to be lost that was not.
#[test]
fn a_kill_around_the_removal_of_an_old_ring_tells_no_loss() {
    for (name, store) in [("kill", true), ("kill-none", false)] {
        for is_removed in [false, true] {
            let mut instance = Instance::new(&format!("reshard-{name}-{is_removed}"));
            instance.store = store;
            let (mut engine, mut consumer, mut new) = ended(&mut instance);
            if is_removed {
                look(&mut engine);
                assert_eq!(rings(&instance), ["out", "shard-1-2"]);
            }
            drop(engine);
            let mut engine = instance.engine();
            look(&mut engine);
            send(&mut new, (1, 2), &[typing(4)]);
            assert_eq!(told(&run(&mut engine, &mut consumer, 1)), [((1, 2), json!(4))]);
            assert_eq!(rings(&instance), ["out", "shard-1-2"]);
        }
    }
}

/// Its gateway may be back before the cache is.
#[test]
fn an_old_ring_that_is_written_again_is_read_on() {
    let mut instance = Instance::new("reshard-again");
    let (engine, mut consumer, new) = ended(&mut instance);
    drop((engine, new));
    let mut old = instance.shard(0, 1);
    send(&mut old, (0, 1), &[typing(4), typing(5)]);
    let mut engine = instance.engine();
    let seen = run(&mut engine, &mut consumer, 2);
    assert_eq!(told(&seen), [((0, 1), json!(4)), ((0, 1), json!(5))]);
    drop(old);
    look(&mut engine);
    assert_eq!(rings(&instance), ["out", "shard-0-1"], "now the other one was old");
}

/// Another group reads the shards' rings too, and is behind; a gateway that lives may write on.
#[test]
fn an_old_ring_stays_while_anybody_needs_it() {
    let mut instance = Instance::new("reshard-stays");
    instance.old_rings_kept = Duration::ZERO;
    instance.declare();
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut old = instance.shard(0, 1);
    let bridge = GroupSpec::durable("bridge").from(Start::Earliest);
    old.ring().declare_group(&bridge).unwrap();
    let ring = old.ring();
    send(&mut old, (0, 1), &[typing(1)]);
    run(&mut engine, &mut consumer, 1);
    drop(old);
    let mut new = instance.shard(1, 2);
    let mut n = 1;
    let mut go_on = |engine: &mut Engine| {
        for _ in 0..2 {
            n += 1;
            send(&mut new, (1, 2), &[typing(n)]);
            run(engine, &mut consumer, 1);
            look(engine);
        }
    };
    go_on(&mut engine);
    assert!(rings(&instance).contains(&"shard-0-1".to_owned()), "the other group has not read it");
    let gateway = instance.shard(0, 1);
    let mut member = ring.join(&bridge, &instance.bell).unwrap();
    member.take(Limits { records: 1, bytes: 1 << 16 }).unwrap().unwrap().ack();
    member.leave();
    go_on(&mut engine);
    assert!(rings(&instance).contains(&"shard-0-1".to_owned()), "a gateway has it");
    drop(gateway);
    // Nothing else is to be committed.
    look(&mut engine);
    assert_eq!(rings(&instance), ["out", "shard-1-2"]);
}

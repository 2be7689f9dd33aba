//! Workers that want some tags only.

mod common;
#[path = "common/scene.rs"]
mod scene;

use mixcord_ring::{Meta, Order, Settle, Worker, WorkerOptions};
use scene::Scene;

fn put(scene: &mut Scene, key: u64, tag: u64) {
    let meta = Meta { key, tag, ..Meta::default() };
    scene.producer.stage(&meta, &[&tag.to_le_bytes()]).unwrap();
    scene.producer.publish();
}

fn tags(worker: &mut Worker) -> Vec<u64> {
    let mut tags = Vec::new();
    while let Some(delivery) = worker.take().unwrap() {
        tags.push(delivery.entry().tag);
        delivery.settle(Settle::Ack).unwrap();
    }
    tags
}

fn odd() -> WorkerOptions {
    WorkerOptions::new().tags(|tag| tag % 2 == 1)
}

#[test]
fn what_is_not_wanted_is_settled_where_it_lies() {
    let mut scene = Scene::new("wanted", 64, Order::Key);
    let mut worker = scene.worker(odd());
    for tag in 0..20 {
        put(&mut scene, 1, tag);
    }
    let first = worker.take().unwrap().expect("the first that is wanted");
    worker.tend();
    assert_eq!((first.position(), worker.floor()), (1, 1), "what was before it is settled");
    first.settle(Settle::Ack).unwrap();
    assert_eq!(tags(&mut worker), [3, 5, 7, 9, 11, 13, 15, 17, 19]);
    assert_eq!(worker.lag(), 0);
}

/// Nothing waits for what nobody wants: a ring of it passes a member that is given nothing.
#[test]
fn a_ring_full_of_what_is_not_wanted_goes_on() {
    let mut scene = Scene::new("unwanted", 16, Order::Key);
    let mut worker = scene.worker(odd());
    for round in 0..10 {
        for tag in 0..15 {
            put(&mut scene, tag, 2 * tag);
        }
        assert!(worker.take().unwrap().is_none(), "round {round}");
    }
    assert_eq!(worker.lag(), 0);
}

/// What another member has out, or failed with, is not taken from it by one that does not want it.
#[test]
fn what_another_member_wanted_is_left_to_it() {
    let mut scene = Scene::new("others", 64, Order::Key);
    let mut all = scene.worker(WorkerOptions::new());
    (0..4).for_each(|tag| put(&mut scene, tag, 2 * tag));
    let out = all.take().unwrap().expect("the first");
    let failed = all.take().unwrap().expect("the second");
    let retry = Settle::Retry { after: std::time::Duration::ZERO, reason: "not yet" };
    failed.settle(retry).unwrap();
    let mut some = scene.worker(odd());
    assert!(some.take().unwrap().is_none());
    out.settle(Settle::Ack).unwrap();
    assert_eq!(tags(&mut all), [2], "the others are settled");
    assert_eq!(all.lag(), 0);
}

//! Two sets of sessions of one world side by side, while the shard count changes: every event comes once, in its guild's
//! order.

mod board;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod world;

use std::fs;
use std::path::Path;

use common::instance::{Instance, receive, send};
use mixcord_cache::overlap::Sides;
use mixcord_event::topology;
use mixcord_ring::Geometry;
use serde_json::json;
use world::{ALL, OLD, begin, check, finish, finish_with, start_us, tell_new, tell_old, until};

#[test]
fn every_event_comes_once() {
    let instance = Instance::new("beside-calm");
    let us = start_us();
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, OLD);
    tell_new(&instance, us);
    drop(old);
    let mut engine = instance.engine();
    finish(&mut engine);
    drop(engine);
    check(&instance, &receive(&mut instance.consumer()), "calm");
}

/// What the new set brings first waits for the old one, and far ahead of it is not read.
#[test]
fn the_new_set_may_be_ahead() {
    let instance = Instance::new("beside-ahead");
    // That nothing came says nothing yet.
    let us = start_us() + 3_600_000_000;
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..12);
    tell_new(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |engine| engine.resharding().is_some_and(|of| of.waiting.0 > 10));
    tell_old(&mut old, us, 12..ALL);
    drop(old);
    finish(&mut engine);
    drop(engine);
    check(&instance, &receive(&mut instance.consumer()), "ahead");
}

/// An output ring for a few records at once: what waited is delivered as there is room.
#[test]
fn the_output_ring_may_be_small() {
    let mut instance = Instance::new("beside-small");
    instance.output = Geometry::new(16, 1 << 16, 4, 1, 4).expect("a geometry");
    let us = start_us() + 3_600_000_000;
    let mut old = begin(&instance, us);
    let mut consumer = instance.consumer();
    let mut seen = receive(&mut consumer);
    tell_old(&mut old, us, 0..12);
    tell_new(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |engine| {
        seen.extend(receive(&mut consumer));
        engine.resharding().is_some_and(|of| of.waiting.0 > 10)
    });
    tell_old(&mut old, us, 12..ALL);
    drop(old);
    finish_with(&mut engine, || seen.extend(receive(&mut consumer)));
    drop(engine);
    seen.extend(receive(&mut consumer));
    check(&instance, &seen, "small");
}

/// It is remembered before the file is gone.
#[test]
fn a_file_asks_for_it() {
    let instance = Instance::new("beside-asked");
    instance.declare();
    let mut old = instance.shard(0, 1);
    send(&mut old, (0, 1), &[("TYPING_START", json!({}))]);
    let order = Order::of(&instance);
    let mut engine = instance.engine();
    for text in ["to 2", "to 3", "nonsense"] {
        order.ask(text);
        until(&mut engine, |_| order.is_obeyed());
        drop(engine);
        engine = instance.engine();
        let counts = engine.resharding().map(|progress| progress.counts);
        assert_eq!(counts, Some(Sides::new(1, 2)), "{text}");
    }
    // Without rings of the new count it is over at once; there is nothing left to call off.
    for _ in 0..2 {
        order.ask("call off");
        until(&mut engine, |engine| order.is_obeyed() && engine.resharding().is_none());
    }
    // It may be asked for before all is cut.
    order.ask("leave");
    until(&mut engine, |_| order.is_obeyed());
}

/// The file of a test; removed with it.
pub(crate) struct Order(String);

impl Order {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self(topology::reshard_order(&instance.name))
    }

    pub(crate) fn ask(&self, text: &str) {
        let made = format!("{}.new", self.0);
        fs::write(&made, text).and_then(|()| fs::rename(&made, &self.0)).expect("a file");
    }

    pub(crate) fn is_obeyed(&self) -> bool {
        !Path::new(&self.0).exists()
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

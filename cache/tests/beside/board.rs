//! What stands on the board while the shard count changes, for gateways that act on it: never more than is committed.

use std::fs;
use std::path::Path;

use mixcord_event::reshard::{ReshardFigures, Stage};
use mixcord_event::topology;

use crate::Order;
use crate::common::instance::{Instance, receive};
use crate::world::{ALL, begin, check, stage, start_us, tell_new, tell_old, until};

fn board(instance: &Instance) -> ReshardFigures {
    let bytes = fs::read(topology::reshard_board(&instance.name)).unwrap_or_default();
    ReshardFigures::decode(&bytes).map(|(figures, _)| figures).unwrap_or_default()
}

/// What a cache that was killed before it wrote had left.
fn put(instance: &Instance, figures: &ReshardFigures) {
    fs::write(topology::reshard_board(&instance.name), figures.encode("test")).expect("written");
}

fn rings(instance: &Instance) -> Vec<String> {
    instance.namespace.rings().expect("readable")
}

/// Nobody asks for anything after the beginning, and the rings of the old set go at its end.
#[test]
fn the_old_set_is_left_by_itself_and_each_stage_is_told() {
    let instance = Instance::new("board-calm");
    let us = start_us();
    let mut old = begin(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Overlapping);
    let told = board(&instance);
    assert_eq!((told.from, told.to, told.guilds, told.sessions), (1, 2, 3, 0));
    assert!(told.began_us > 0);
    // What was received before a look has to be in the rings by then.
    drop(engine);
    tell_old(&mut old, us, 0..ALL);
    tell_new(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Leaving);
    assert!(engine.resharding().is_some(), "its rings are there still");
    assert_eq!(board(&instance).began_us, told.began_us);
    // The gateway has read that, and closes its sessions.
    drop(old);
    until(&mut engine, |engine| engine.resharding().is_none());
    until(&mut engine, |_| board(&instance).stage == Stage::Done);
    let seen = receive(&mut instance.consumer());
    // Also where nothing else happens.
    until(&mut engine, |_| rings(&instance) == ["out", "shard-0-2", "shard-1-2"]);
    drop(engine);
    check(&instance, &seen, "left by itself");
}

/// Whoever dies between the commit and the board: the next one says what was committed.
#[test]
fn a_cache_that_was_killed_before_it_told_a_stage_tells_it() {
    let instance = Instance::new("board-late");
    let us = start_us();
    let mut old = begin(&instance, us);
    tell_old(&mut old, us, 0..ALL);
    tell_new(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Leaving);
    drop(engine);
    let left = board(&instance);
    put(&instance, &ReshardFigures { stage: Stage::Overlapping, ..left.clone() });
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Leaving);
    drop(old);
    until(&mut engine, |engine| engine.resharding().is_none());
    until(&mut engine, |_| board(&instance).stage == Stage::Done);
    drop(engine);
    // Behind the commit that ended it.
    put(&instance, &left);
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Done);
}

/// A state that is lost takes the change with it. The old set delivered, and stays.
#[test]
fn a_change_that_is_lost_with_the_state_is_told_to_be_called_off() {
    let instance = Instance::new("board-lost");
    let us = start_us();
    let old = begin(&instance, us);
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Overlapping);
    drop(engine);
    fs::remove_dir_all(instance.state_dir()).expect("removed");
    let mut engine = instance.engine();
    until(&mut engine, |_| board(&instance).stage == Stage::Back);
    assert_eq!(stage(&engine), None);
    drop(old);
}

/// Why, is told to whoever asked, once the order is gone.
#[test]
fn what_is_refused_is_told_and_why_it_was_called_off() {
    let instance = Instance::new("board-refused");
    let us = start_us();
    let mut old = begin(&instance, us);
    let order = Order::of(&instance);
    let mut engine = instance.engine();
    let ask = |engine: &mut _, text: &str| {
        order.ask(text);
        until(engine, |_| order.is_obeyed());
        board(&instance).refused
    };
    assert_eq!(ask(&mut engine, "to 3"), "to 3: another change is under way");
    assert_eq!(ask(&mut engine, "to 2"), "", "as often as one likes");
    assert_eq!(ask(&mut engine, "fly"), "fly: it is unknown");
    assert_eq!(ask(&mut engine, "call off: no room"), "");
    assert_eq!(board(&instance).why, "no room");
    until(&mut engine, |_| board(&instance).stage == Stage::Back);
    assert_eq!(ask(&mut engine, "call off"), "call off: no change is under way");
    assert_eq!(ask(&mut engine, "to 1"), "to 1: the shard count is that already");
    assert_eq!(board(&instance).why, "no room", "of the last change");
    tell_old(&mut old, us, 0..ALL);
    assert!(Path::new(&topology::reshard_board(&instance.name)).exists());
}

//! Death at every shared store of the rings, and before and after each call to the store: the next
//! cache goes on without a lost, doubled or reordered output and with the right `old`.
//!
//! The child is this program again; its instance is set up and judged by the parent.

#[path = "../common/mod.rs"]
mod common;
mod world;

use common::instance::{Instance, Out, receive, settle};
use common::kills;
use common::leaving::everything;
use mixcord_cache::engine::{Engine, Progress};
use mixcord_state::{Resource, State};
use world::{copy, has_copy, set_up, sized};

#[test]
fn slices_there_are() {
    let instance = sized(Instance::new("many-rounds"));
    set_up(&instance);
    let mut engine = instance.engine();
    let worked = std::iter::from_fn(|| Some(engine.round().expect("a round")));
    let worked = worked.take_while(|progress| *progress == Progress::Worked).count();
    assert_eq!(worked, 4, "or the kill points between them prove nothing");
}

#[test]
fn one_batch_there_is() {
    let instance = Instance::new("spill-rounds");
    set_up(&instance);
    let mut engine = instance.engine();
    assert_eq!(engine.round().expect("a round"), Progress::Worked);
    // 84 events; ten of the authors have another name than before, which is told too.
    assert_eq!(receive(&mut instance.consumer()).len(), 94);
}

#[test]
fn a_round_without_records_compresses() {
    let instance = sized(Instance::new("rest-rounds"));
    set_up(&instance);
    rest(&instance, "rest-store", &mut instance.engine());
}

#[test]
fn rounds_without_records_shrink() {
    let instance = sized(Instance::new("shrink-rounds"));
    set_up(&instance);
    assert!(!is_small(&instance), "or the kill points on the way prove nothing");
    rest(&instance, "shrink-store", &mut instance.engine());
}

/// Rounds without records until what they are to do is done: how many turns it takes is a matter of time.
fn rest(instance: &Instance, kind: &str, engine: &mut Engine) {
    let is_done = match kind {
        "rest-store" => are_compressed,
        "shrink-store" => is_small,
        _ => return,
    };
    for _ in 0..1_000_000 {
        settle(engine);
        if is_done(instance) {
            return;
        }
    }
    panic!("{kind} is never done");
}

fn are_compressed(instance: &Instance) -> bool {
    let sizes = state(instance).sizes().expect("a store");
    let messages = sizes.iter().find(|of| of.resource == Resource::Messages).expect("messages");
    messages.stored_bytes * 3 < messages.raw_bytes * 2
}

/// Whether the table's file has less than half of what it grew to.
fn is_small(instance: &Instance) -> bool {
    let table = instance.state_dir().join("table");
    std::fs::metadata(table).expect("a table").len() < 16 << 20
}

fn state(instance: &Instance) -> State {
    State::open(&instance.state_dir()).expect("a store")
}

/// What one shard's consumer sees, with each record's identity: all instances have the first one's rings.
fn of_shard(seen: &[Out], shard: u16) -> Vec<Out> {
    seen.iter().filter(|out| out.shard.0 == shard).cloned().collect()
}

fn child() {
    let Some(order) = kills::order() else { return };
    let (name, at) = order.split_once(' ').expect("an order");
    let (kind, last) = at.split_once(' ').expect("a kill point");
    let last = last.parse().expect("a number");
    let instance = sized(Instance::attach(name));
    match kind {
        kind if kind.ends_with("ring") => mixcord_memory::__kill::SHARED.arm(last),
        _ => mixcord_cache::kill::CALLS.arm(last),
    }
    let mut engine = instance.engine();
    settle(&mut engine);
    rest(&instance, kind, &mut engine);
}

#[test]
fn the_child() {
    child();
}

fn enumerate(kind: &str, outputs: usize) {
    let first = sized(Instance::new(&format!("{kind}-first")));
    set_up(&first);
    let of_first = |name: String| {
        let instance = sized(Instance::new(&format!("{kind}-{name}")));
        copy(&first, &instance);
        instance
    };
    let (undisturbed, known) = {
        let instance = of_first("calm".to_owned());
        settle(&mut instance.engine());
        (receive(&mut instance.consumer()), everything(&state(&instance)))
    };
    assert_eq!(undisturbed.len(), outputs);
    let mut last = 0;
    loop {
        last += 1;
        let instance = of_first(last.to_string());
        let survived = kills::survives(&format!("{} {kind} {last}", instance.name));
        let mut engine = instance.engine();
        settle(&mut engine);
        assert_eq!(everything(&state(&instance)), known, "{kind} {last}");
        rest(&instance, kind, &mut engine);
        drop(engine);
        let seen = receive(&mut instance.consumer());
        for shard in 0..2 {
            assert_eq!(of_shard(&seen, shard), of_shard(&undisturbed, shard), "{kind} {last}");
        }
        instance.check_state();
        assert_eq!(everything(&state(&instance)), known, "{kind} {last}, after a rest");
        assert!(!has_copy(&instance), "{kind} {last}");
        if survived {
            break;
        }
    }
    assert!(last > 5, "only {last} points");
    eprintln!("{kind}: {last} points");
}

#[test]
fn at_every_call_to_the_store() {
    enumerate("store", 16);
}

#[test]
fn at_every_shared_store_of_the_rings() {
    enumerate("ring", 16);
}

#[test]
fn at_every_call_to_the_store_between_slices() {
    enumerate("many-store", 16);
}

#[test]
fn at_every_shared_store_of_the_rings_between_slices() {
    enumerate("many-ring", 16);
}

#[test]
fn at_every_call_to_the_store_of_a_batch_that_goes_into_it_in_parts() {
    enumerate("spill-store", 94);
}

#[test]
fn at_every_call_to_the_store_when_a_resource_is_switched_off() {
    enumerate("off-store", 9);
}

/// The output ring is another one than the donor's, and nobody has lost anything by that.
#[test]
fn at_every_call_to_the_store_of_a_start_with_a_copy() {
    enumerate("loaded-store", 4);
}

/// Nor by a copy that came while it ran.
#[test]
fn at_every_call_to_the_store_while_it_takes_a_copy_that_was_brought() {
    enumerate("brought-store", 2);
}

#[test]
fn at_every_call_to_the_store_while_it_goes_over_into_a_smaller_file() {
    enumerate("shrink-store", 1);
}

#[test]
fn at_every_call_to_the_store_while_messages_are_compressed() {
    enumerate("rest-store", 16);
}

#[test]
fn at_every_call_to_the_store_when_an_old_shard_count_is_forgotten() {
    enumerate("gone-store", 12);
}

#[test]
fn at_every_shared_store_of_the_rings_when_an_old_shard_count_is_forgotten() {
    enumerate("gone-ring", 12);
}

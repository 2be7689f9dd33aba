//! Death before and after each call to the store while the shard count changes: the next cache goes on without a lost or
//! doubled output.

mod common;
#[path = "beside/world.rs"]
mod world;

use common::instance::{Instance, receive};
use common::kills;
use world::{OLD, begin, check, finish, start_us, tell_new, tell_old};

#[test]
fn the_child() {
    let Some(order) = kills::order() else { return };
    let (name, last) = order.split_once(' ').expect("an order");
    mixcord_cache::kill::CALLS.arm(last.parse().expect("a number"));
    finish(&mut Instance::attach(name).engine());
}

#[test]
fn killed_at_every_call_to_the_store() {
    for last in 1.. {
        let instance = Instance::new(&format!("beside-{last}"));
        let us = start_us();
        let mut old = begin(&instance, us);
        tell_old(&mut old, us, OLD);
        tell_new(&instance, us);
        drop(old);
        let survived = kills::survives(&format!("{} {last}", instance.name));
        let mut engine = instance.engine();
        finish(&mut engine);
        drop(engine);
        check(&instance, &receive(&mut instance.consumer()), &format!("killed at {last}"));
        if survived {
            assert!(last > 10, "only {last} points");
            eprintln!("{last} points");
            return;
        }
    }
}

//! Death at every shared store of the rings, and before and after each call to the store: the next
//! cache goes on without a lost, doubled or reordered output and with the right `old`.
//!
//! The child is this program again; its instance is set up and judged by the parent.

mod common;

use common::instance::{Instance, Out, receive, send, settle};
use serde_json::{Value as Json, json};

const CHILD: &str = "MIXCORD_KILL_CHILD";

/// Events that write, overwrite and delete, over two rings.
fn events(shard: u16) -> Vec<(&'static str, Json)> {
    let id = (100 + u64::from(shard)).to_string();
    let channel = (200 + u64::from(shard)).to_string();
    let member = |nick: &str| json!({"guild_id": id, "user": {"id": "1", "username": nick}, "nick": nick, "roles": [], "joined_at": null});
    vec![
        ("READY", json!({"user": {"id": "1"}, "guilds": [{"id": id}]})),
        (
            "GUILD_CREATE",
            json!({"id": id, "name": "g", "channels": [{"id": channel, "name": "c0"}]}),
        ),
        ("CHANNEL_UPDATE", json!({"id": channel, "guild_id": id, "name": "c1"})),
        ("GUILD_MEMBER_ADD", member("a")),
        // Two outputs, where the user changes too.
        ("GUILD_MEMBER_UPDATE", member("b")),
        ("CHANNEL_UPDATE", json!({"id": channel, "guild_id": id, "name": "c2"})),
        ("CHANNEL_DELETE", json!({"id": channel, "guild_id": id})),
    ]
}

fn set_up(instance: &Instance) {
    instance.declare();
    for shard in 0..2 {
        let mut ring = instance.shard(shard, 2);
        send(&mut ring, (shard, 2), &events(shard));
    }
}

/// What one shard's consumer sees, without the ring's id.
fn of_shard(seen: &[Out], shard: u16) -> Vec<Out> {
    let of_shard = seen.iter().filter(|out| out.shard.0 == shard);
    of_shard.map(|out| Out { origin: (0, out.origin.1), ..out.clone() }).collect()
}

fn child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (name, at) = order.split_once(' ').expect("an order");
    let (kind, last) = at.split_once(' ').expect("a kill point");
    let last = last.parse().expect("a number");
    let instance = Instance::attach(name);
    match kind {
        "ring" => mixcord_ring::kill::arm(last),
        _ => mixcord_cache::kill::arm(last),
    }
    let mut engine = instance.engine();
    settle(&mut engine);
}

/// Runs the child; whether it lived to the end.
fn survives(instance: &Instance, kind: &str, last: u64) -> bool {
    let status = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_child"])
        .env(CHILD, format!("{} {kind} {last}", instance.name))
        .stdout(std::process::Stdio::null())
        .status()
        .expect("a child");
    status.success()
}

#[test]
fn the_child() {
    child();
}

fn enumerate(kind: &str) {
    let undisturbed = {
        let instance = Instance::new(&format!("{kind}-calm"));
        set_up(&instance);
        settle(&mut instance.engine());
        receive(&mut instance.consumer())
    };
    assert_eq!(undisturbed.len(), 16);
    let mut last = 0;
    loop {
        last += 1;
        let instance = Instance::new(&format!("{kind}-{last}"));
        set_up(&instance);
        let survived = survives(&instance, kind, last);
        settle(&mut instance.engine());
        let seen = receive(&mut instance.consumer());
        for shard in 0..2 {
            assert_eq!(of_shard(&seen, shard), of_shard(&undisturbed, shard), "{kind} {last}");
        }
        if survived {
            break;
        }
    }
    assert!(last > 10, "only {last} points");
    eprintln!("{kind}: {last} points");
}

#[test]
fn at_every_call_to_the_store() {
    enumerate("store");
}

#[test]
fn at_every_shared_store_of_the_rings() {
    enumerate("ring");
}

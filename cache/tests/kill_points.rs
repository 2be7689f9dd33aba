//! Death at every shared store of the rings, and before and after each call to the store: the next
//! cache goes on without a lost, doubled or reordered output and with the right `old`.
//!
//! The child is this program again; its instance is set up and judged by the parent.

mod common;

use common::instance::{Instance, Out, receive, send, settle};
use mixcord_cache::engine::{Engine, Plan, Progress};
use mixcord_cache::settings::Settings;
use mixcord_event::topology;
use mixcord_ring::Geometry;
use mixcord_state::Resource;
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

/// A session in which several guilds are gone: more than one batch of the small output ring takes.
fn set_up_many(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    let id = |n: u64| (1000 + n).to_string();
    let text = "d".repeat(2000);
    for n in 0..15 {
        let guild = json!({"id": id(n), "name": "g", "description": text});
        send(&mut ring, (0, 1), &[("GUILD_CREATE", guild)]);
    }
    settle(&mut instance.engine());
    assert_eq!(receive(&mut instance.consumer()).len(), 15);
    let ready = json!({"user": {"id": "1"}, "guilds": [{"id": id(14)}]});
    send(&mut ring, (0, 1), &[("READY", ready), ("TYPING_START", json!({"after": true}))]);
}

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

/// A run with everything, before one that does not cache users.
fn set_up_off(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    send(&mut ring, (0, 1), &events(0)[..5]);
    let everything = Plan { settings: Settings::default(), ..instance.plan() };
    settle(&mut Engine::start(&everything).expect("an engine"));
    send(&mut ring, (0, 1), &events(0)[4..]);
}

/// Rings of an old shard count that were read, and are gone when the cache starts again.
fn set_up_gone(instance: &Instance) {
    instance.declare();
    for shard in 0..2 {
        send(&mut instance.shard(shard, 2), (shard, 2), &events(shard)[..2]);
    }
    settle(&mut instance.engine());
    for shard in 0..2 {
        instance.namespace.remove_ring(&topology::shard_ring(shard, 2)).expect("nobody has it");
    }
    send(&mut instance.shard(0, 1), (0, 1), &events(0)[2..]);
}

/// One batch of more records than are moved into the transaction at once, several times over.
fn set_up_spill(instance: &Instance) {
    instance.declare();
    let mut ring = instance.shard(0, 1);
    send(&mut ring, (0, 1), &events(0)[..4]);
    for n in 0..80 {
        let (id, name) = ((900 + n / 8).to_string(), format!("c{n}"));
        let author = json!({"id": "1", "username": name});
        let event = match n % 8 {
            0 => (
                "MESSAGE_CREATE",
                json!({"id": id, "channel_id": "200", "guild_id": "100", "author": author, "content": ""}),
            ),
            7 if n % 3 == 0 => {
                ("MESSAGE_DELETE", json!({"id": id, "channel_id": "200", "guild_id": "100"}))
            }
            _ => ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": name})),
        };
        send(&mut ring, (0, 1), &[event]);
    }
}

fn set_up(instance: &Instance) {
    if instance.name.contains("-spill-") {
        return set_up_spill(instance);
    }
    if instance.name.contains("-gone-") {
        return set_up_gone(instance);
    }
    if instance.name.contains("-off-") {
        return set_up_off(instance);
    }
    if instance.name.contains("-many-") {
        return set_up_many(instance);
    }
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
    let instance = sized(Instance::attach(name));
    match kind {
        "ring" | "many-ring" | "gone-ring" | "spill-ring" => {
            mixcord_memory::__kill::SHARED.arm(last);
        }
        _ => mixcord_cache::kill::CALLS.arm(last),
    }
    let mut engine = instance.engine();
    settle(&mut engine);
}

/// Slices need a ring that cannot hold everything at once, and yet, without a reader, all of it.
fn sized(mut instance: Instance) -> Instance {
    if instance.name.contains("-off-") {
        instance.settings = Settings::default().without(Resource::Users);
    }
    if instance.name.contains("-many-") {
        instance.output = Geometry::new(256, 1 << 16, 4, 1, 4).expect("a geometry");
    }
    instance
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

fn enumerate(kind: &str, outputs: usize) {
    let undisturbed = {
        let instance = sized(Instance::new(&format!("{kind}-calm")));
        set_up(&instance);
        settle(&mut instance.engine());
        receive(&mut instance.consumer())
    };
    assert_eq!(undisturbed.len(), outputs);
    let mut last = 0;
    loop {
        last += 1;
        let instance = sized(Instance::new(&format!("{kind}-{last}")));
        set_up(&instance);
        let survived = survives(&instance, kind, last);
        settle(&mut instance.engine());
        let seen = receive(&mut instance.consumer());
        for shard in 0..2 {
            assert_eq!(of_shard(&seen, shard), of_shard(&undisturbed, shard), "{kind} {last}");
        }
        instance.check_state();
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

#[test]
fn at_every_call_to_the_store_when_an_old_shard_count_is_forgotten() {
    enumerate("gone-store", 12);
}

#[test]
fn at_every_shared_store_of_the_rings_when_an_old_shard_count_is_forgotten() {
    enumerate("gone-ring", 12);
}

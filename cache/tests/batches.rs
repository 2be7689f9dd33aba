//! Batches whose changes are in the transaction in part when they are taken back: nothing of them stays,
//! and every event is delivered once, with the right `old`.

mod common;

use common::instance::{Instance, Out, receive, send, settle, until};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::topology;
use mixcord_ring::{Geometry, Member, Ring};
use serde_json::{Value as Json, json};

type Event = (&'static str, Json);

/// More records than are moved into the transaction at once, several times over.
const MANY: u64 = 100;

/// Update `n` of a channel that began as `c0`.
fn rename(n: u64) -> Event {
    let topic = "t".repeat(130);
    (
        "CHANNEL_UPDATE",
        json!({"id": "200", "guild_id": "100", "name": format!("c{n}"), "topic": topic}),
    )
}

fn user(id: &str, name: &str) -> Json {
    json!({"id": id, "username": name})
}

fn member(user: &Json) -> Json {
    let nick = "n".repeat(200);
    json!({"guild_id": "100", "user": user, "nick": nick, "roles": [], "joined_at": null})
}

/// A message by which its author changes. A note of that, if it stayed when the change is taken back,
/// would hide the change the next time.
fn message(author: &Json) -> Event {
    let member = json!({"roles": [], "joined_at": null});
    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": "", "author": author, "member": member});
    ("MESSAGE_CREATE", message)
}

fn guild() -> Event {
    let channel = json!({"id": "200", "type": 0, "name": "c0"});
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "member_count": 0, "channels": [channel]}))
}

/// The names of the channel were each the old one of the next.
fn assert_renamed_in_order(seen: &[Out], last: u64) {
    let updates = seen.iter().filter(|out| out.kind == "CHANNEL_UPDATE");
    let names: Vec<_> = updates.map(|out| (out.old["name"].clone(), &out.data["name"])).collect();
    assert_eq!(names.len() as u64, last);
    for (n, (old, data)) in names.iter().enumerate() {
        assert_eq!((old, *data), (&json!(format!("c{n}")), &json!(format!("c{}", n + 1))));
    }
}

fn assert_each_once(seen: &[Out], first: u64) {
    let places: Vec<_> = seen.iter().map(|out| (out.origin.1, out.index)).collect();
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
    assert_eq!(places.first(), Some(&(first, 0)));
}

/// Rounds until so many outputs came.
fn run(engine: &mut Engine, consumer: &mut Member, outputs: usize) -> Vec<Out> {
    let mut seen = Vec::new();
    until("everything is delivered", || {
        engine.round().unwrap();
        seen.extend(receive(consumer));
        seen.len() >= outputs
    });
    seen
}

/// The batch ends with an event of two outputs of which only the first has room. One that is nearly too
/// long to lie in the ring counts as one that is: so the second is begun in vain.
#[test]
fn a_torn_batch_leaves_no_trace_of_what_was_in_the_transaction() {
    let mut instance = Instance::new("torn");
    instance.output = Geometry::new(512, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let inline = instance.output.inline_bytes() as usize;
    let long = |letter: &str| user("7", &letter.repeat((inline - 240) / 2));
    let joins = [long("a"), user("8", "a")].map(|user| ("GUILD_MEMBER_ADD", member(&user)));
    send(&mut shard, (0, 1), &[guild()]);
    send(&mut shard, (0, 1), &joins);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    settle(&mut engine);
    assert_eq!(receive(&mut consumer).len(), 3);

    send(&mut shard, (0, 1), &[message(&user("8", "b"))]);
    for n in 1..=MANY {
        send(&mut shard, (0, 1), &[rename(n)]);
    }
    let updates = [long("b"), user("8", "c")].map(|user| ("GUILD_MEMBER_UPDATE", member(&user)));
    send(&mut shard, (0, 1), &updates);
    let progress = engine.round().unwrap();
    let seen = receive(&mut consumer).len();
    assert!(
        matches!(progress, Progress::OutputFull(_)) && seen == 0,
        "{progress:?} {seen}: not torn"
    );

    let seen = run(&mut engine, &mut consumer, MANY as usize + 7);
    assert_eq!(seen.len() as u64, MANY + 7);
    assert_each_once(&seen, 3);
    assert_renamed_in_order(&seen, MANY);
    let [.., long_member, long_user, member, user] = &seen[..] else { panic!("outputs") };
    assert_eq!((user.kind.as_str(), user.index), ("USER_UPDATE", 1));
    assert_eq!([&long_member.old["user"], &long_user.old], [&long("a"); 2]);
    assert_eq!([&member.old["user"]["username"], &user.old["username"]], ["b"; 2]);
    drop(engine);
    instance.check_state();
}

/// The store has room for each event and not for the batch, whose values are all there twice until it
/// ends.
#[test]
fn a_batch_for_which_the_store_is_full_is_begun_again_and_shorter() {
    let mut instance = Instance::new("shorter");
    instance.output = Geometry::new(1024, 1 << 21, 4, 1, 4).unwrap();
    instance.state_bytes_max = 1408 << 10;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    const CHANNELS: u64 = 160;
    let id = |n: u64| (1000 + n).to_string();
    send(&mut shard, (0, 1), &[guild(), ("GUILD_MEMBER_ADD", member(&user("8", "a")))]);
    for n in 0..CHANNELS {
        let topic = "t".repeat(3000);
        let channel =
            json!({"id": id(n), "guild_id": "100", "type": 0, "name": "c0", "topic": topic});
        send(&mut shard, (0, 1), &[("CHANNEL_CREATE", channel)]);
        settle(&mut engine);
        receive(&mut consumer);
    }
    send(&mut shard, (0, 1), &[message(&user("8", "b"))]);
    for n in 0..CHANNELS {
        let renamed = json!({"id": id(n), "guild_id": "100", "name": "c1"});
        send(&mut shard, (0, 1), &[("CHANNEL_UPDATE", renamed)]);
    }
    send(&mut shard, (0, 1), &[("GUILD_MEMBER_UPDATE", member(&user("8", "b")))]);
    assert_eq!(engine.round().unwrap(), Progress::Worked);
    assert_eq!(receive(&mut consumer).len(), 0, "no room, or this test is none");

    let seen = run(&mut engine, &mut consumer, CHANNELS as usize + 4);
    assert_eq!(seen.len() as u64, CHANNELS + 4);
    assert_each_once(&seen, CHANNELS + 2);
    // Behind the message its author, as a member and as a user.
    for out in &seen[3..3 + CHANNELS as usize] {
        assert_eq!((&out.old["name"], &out.data["name"]), (&json!("c0"), &json!("c1")));
    }
    assert_eq!(seen[CHANNELS as usize + 3].old["user"]["username"], "b");
    assert_eq!(settle(&mut engine), Progress::Idle);
    drop(engine);
    instance.check_state();
}

/// How far a batch goes is cut by the room there is: whatever its length, nothing shows.
#[test]
fn batches_of_any_length_are_one_sequence() {
    let mut instance = Instance::new("lengths");
    instance.output = Geometry::new(128, 1 << 16, 4, 1, 4).unwrap();
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    send(&mut shard, (0, 1), &[guild()]);
    settle(&mut engine);
    receive(&mut consumer);
    let mut seen = Vec::new();
    let (mut sent, mut dice) = (0, 1_u64);
    until("everything is delivered", || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for _ in 0..dice >> 58 {
            if sent < 20 * MANY && shard.has_space(4096) {
                sent += 1;
                send(&mut shard, (0, 1), &[rename(sent)]);
            }
        }
        engine.round().unwrap();
        // A consumer that is slow, and a cache that comes and goes.
        if dice.is_multiple_of(3) {
            seen.extend(receive(&mut consumer));
        }
        seen.len() as u64 == 20 * MANY
    });
    assert_each_once(&seen, 1);
    assert_renamed_in_order(&seen, 20 * MANY);
    let ring = Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap();
    assert_eq!(ring.groups()[0].lag, 0);
    drop(engine);
    instance.check_state();
}

//! A state that goes on in another ring, by where its records were first.

mod common;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use common::instance::{Instance, Out, receive, send, settle, until};
use common::{At, record_bytes};
use mixcord_event::{Origin, record, topology};
use mixcord_ring::{Member, Meta, Producer};
use mixcord_state::{Key, tables};
use serde_json::{Value as Json, json};

/// The log that the records were written to first.
const LOG: u64 = 0xabcd;

fn guild(id: u64) -> (&'static str, Json) {
    let member = json!({"user": {"id": (id * 100).to_string(), "username": "u"}, "nick": "0"});
    ("GUILD_CREATE", json!({"id": id.to_string(), "name": "g", "members": [member]}))
}

fn nick(id: u64, nick: u64) -> (&'static str, Json) {
    let user = json!({"id": (id * 100).to_string(), "username": "u"});
    let nick = nick.to_string();
    ("GUILD_MEMBER_UPDATE", json!({"guild_id": id.to_string(), "user": user, "nick": nick}))
}

/// Guild 7, then its member's names from 1 on.
fn events(count: u64) -> Vec<(&'static str, Json)> {
    std::iter::once(guild(7)).chain((1..count).map(|number| nick(7, number))).collect()
}

/// Writes records of a log, the first of them at `from`, as a receiver does.
fn mirror(producer: &mut Producer, log: u64, from: u64, events: &[(&str, Json)]) {
    for ((kind, payload), position) in events.iter().zip(from..) {
        let mut bytes = record_bytes(kind, payload, At { seq: position + 1, ..At::default() });
        record::set_origin(&mut bytes, Origin { ring: log, position });
        producer.stage(&Meta::default(), &[&bytes]).expect("room");
    }
    producer.publish();
}

/// An instance whose mirror has the first `count` events, all of which it has seen.
fn worker(name: &str, count: u64) -> Instance {
    let instance = Instance::new(name);
    mirror(&mut instance.shard(0, 1), LOG, 0, &events(count));
    settle(&mut instance.engine());
    instance
}

/// Puts a copy of what `donor` knows where the other one finds it.
struct Copied(PathBuf);

impl Copied {
    fn put(donor: &Instance, to: &Instance, shards: Option<(u16, u16, u16)>) -> Self {
        let dir = PathBuf::from(topology::copy_dir(&to.name));
        fs::DirBuilder::new().mode(0o700).create(&dir).expect("a folder");
        let copy = fs::File::create(dir.join(topology::copy_file(shards))).expect("a file");
        mixcord_copy::write(&donor.state_dir(), copy, &mut |_| {}).expect("a copy");
        Self(dir)
    }

    fn is_taken(&self) -> bool {
        !self.0.exists()
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What came: its kind or reason, and the member's name before and after it.
fn said(consumer: &mut Member) -> Vec<(String, String)> {
    let one = |out: Out| {
        let name = |json: &Json| json["nick"].as_str().unwrap_or("-").to_owned();
        (
            out.reason.map_or(out.kind, str::to_owned),
            format!("{} {}", name(&out.old), name(&out.data)),
        )
    };
    receive(consumer).into_iter().map(one).collect()
}

fn names(numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
    let update = "GUILD_MEMBER_UPDATE".to_owned();
    numbers.map(|n| (update.clone(), format!("{} {n}", n - 1))).collect()
}

#[test]
fn a_copied_state_goes_on_where_it_ends_and_nothing_comes_twice_or_not_at_all() {
    let donor = worker("follow-donor", 40);
    let other = Instance::new("follow-other");
    other.declare();
    // The cache runs before there is anything, and is started anew in between.
    settle(&mut other.engine());
    let copied = Copied::put(&donor, &other, None);
    // The log has more of the past than the state needs, and its ring is another one.
    let mut ring = other.shard(0, 1);
    mirror(&mut ring, LOG, 10, &events(50)[10..40]);
    settle(&mut other.engine());
    assert!(copied.is_taken());
    let mut consumer = other.consumer();
    assert_eq!(said(&mut consumer), [], "all of it is known");
    let mut engine = other.engine();
    settle(&mut engine);
    mirror(&mut ring, LOG, 40, &events(50)[40..]);
    settle(&mut engine);
    assert_eq!(said(&mut consumer), names(40..50));
    drop(engine);
    // From then on it is this machine's ring.
    mirror(&mut ring, LOG, 50, &events(52)[50..]);
    settle(&mut other.engine());
    assert_eq!(said(&mut consumer), names(50..52));
    other.check_state();
}

#[test]
fn p3_what_is_not_there_any_more_is_told() {
    let donor = worker("follow-late-donor", 40);
    for (name, log, from, reason) in
        [("late", LOG, 45, "records_lost"), ("another", LOG + 1, 0, "ring_lost")]
    {
        let other = Instance::new(&format!("follow-{name}"));
        other.declare();
        let _copied = Copied::put(&donor, &other, None);
        mirror(&mut other.shard(0, 1), log, from, &[nick(7, 90)]);
        let mut engine = other.engine();
        settle(&mut engine);
        let told = [(reason.to_owned(), "- -".to_owned())];
        let then = [("GUILD_MEMBER_UPDATE".to_owned(), "39 90".to_owned())];
        assert_eq!(said(&mut other.consumer()), [told, then].concat(), "{name}");
    }
}

#[test]
fn a_mirror_that_is_made_anew_is_gone_on_with() {
    let worker = worker("follow-anew", 20);
    let mut consumer = worker.consumer();
    said(&mut consumer);
    worker.namespace.remove_ring(&topology::shard_ring(0, 1)).expect("removed");
    mirror(&mut worker.shard(0, 1), LOG, 0, &events(30));
    settle(&mut worker.engine());
    assert_eq!(said(&mut consumer), names(20..30));
}

#[test]
fn of_what_another_machine_knows_the_shards_that_are_wanted_stay() {
    let donor = Instance::new("follow-part-donor");
    let of_shard = |shard: u64| (shard << 22) + 7;
    for shard in 0..4 {
        let mut ring = donor.shard(shard, 4);
        send(&mut ring, (shard, 4), &[guild(of_shard(shard.into()))]);
    }
    settle(&mut donor.engine());
    let other = Instance::new("follow-part");
    let _copied = Copied::put(&donor, &other, Some((1, 2, 4)));
    let _ring = other.shard(1, 4);
    settle(&mut other.engine());
    let has = |key: Key| other.has(key);
    for (shard, stays) in [(0, false), (1, true), (2, true), (3, false)] {
        let guild = of_shard(shard);
        assert_eq!(has(tables::GUILDS.at(guild)), stays, "guild of shard {shard}");
        assert_eq!(has(tables::MEMBERS.at(guild, guild * 100)), stays);
        assert_eq!(has(tables::USERS.at(guild * 100)), stays, "users go with their last guild");
        assert_eq!(has(mixcord_state::meta::input(shard as u16, 4)), stays);
    }
    other.check_state();
}

#[test]
fn an_instance_that_has_read_something_takes_no_copy() {
    let donor = worker("follow-no-donor", 10);
    let other = worker("follow-no", 3);
    let copied = Copied::put(&donor, &other, None);
    let mut engine = other.engine();
    settle(&mut engine);
    assert!(copied.is_taken(), "it is of no use to anybody");
    mirror(&mut other.shard(0, 1), LOG, 3, &[nick(7, 3)]);
    settle(&mut engine);
    assert_eq!(said(&mut other.consumer()).last(), names(3..4).last());
}

#[test]
fn p3_what_is_lost_with_a_copy_that_comes_too_late_is_told() {
    let donor = Instance::new("follow-refused-donor");
    for shard in 0..4 {
        send(&mut donor.shard(shard, 4), (shard, 4), &[guild((u64::from(shard) << 22) + 7)]);
    }
    settle(&mut donor.engine());
    let other = Instance::new("follow-refused");
    other.declare();
    let _own = other.shard(0, 4);
    let mut read = other.shard(1, 4);
    send(&mut read, (1, 4), &[guild((1 << 22) + 7)]);
    let mut engine = other.engine();
    settle(&mut engine);
    let mut consumer = other.consumer();
    let lost = |consumer: &mut Member| -> Vec<_> {
        let gaps = receive(consumer).into_iter().filter(|out| out.kind == "GAP");
        gaps.map(|out| (out.shard, out.reason)).collect()
    };
    assert_eq!(lost(&mut consumer), []);
    let copied = Copied::put(&donor, &other, Some((0, 3, 4)));
    let _rings = [other.shard(2, 4), other.shard(3, 4)];
    // It is found once the rings are.
    until("the copy is looked at", || {
        settle(&mut engine);
        copied.is_taken()
    });
    let told = [2, 3].map(|shard| ((shard, 4), Some("state_lost")));
    assert_eq!(lost(&mut consumer), told);
    drop(engine);
    // By now all are known.
    let copied = Copied::put(&donor, &other, Some((0, 3, 4)));
    let mut engine = other.engine();
    settle(&mut engine);
    assert!(copied.is_taken());
    assert_eq!(lost(&mut consumer), []);
    drop(engine);
    other.check_state();
}

/// Where all shards are wanted, the copy says which there are: their rings come one by one.
#[test]
fn p3_what_is_lost_with_a_copy_of_all_shards_is_told_though_their_rings_come_later() {
    let donor = Instance::new("follow-all-donor");
    for shard in 0..4 {
        send(&mut donor.shard(shard, 4), (shard, 4), &[guild((u64::from(shard) << 22) + 7)]);
    }
    settle(&mut donor.engine());
    let other = Instance::new("follow-all");
    other.declare();
    let mut read = other.shard(0, 4);
    send(&mut read, (0, 4), &[guild(7)]);
    let mut engine = other.engine();
    settle(&mut engine);
    let mut consumer = other.consumer();
    receive(&mut consumer);
    let copied = Copied::put(&donor, &other, None);
    let _first = other.shard(1, 4);
    until("the copy is looked at", || {
        settle(&mut engine);
        copied.is_taken()
    });
    let _others = [other.shard(2, 4), other.shard(3, 4)];
    settle(&mut engine);
    let gaps = receive(&mut consumer).into_iter().filter(|out| out.kind == "GAP");
    let told: Vec<_> = gaps.map(|out| (out.shard, out.reason)).collect();
    assert_eq!(told, [1, 2, 3].map(|shard| ((shard, 4), Some("state_lost"))));
}

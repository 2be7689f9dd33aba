//! What a batch may take of memory (P7).

mod common;

use common::instance::{Instance, Out, receive, send, settle};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::atoms;
use mixcord_ring::{Member, Producer};
use mixcord_state::{Resource, State, Table};
use serde_json::{Value as Json, json};

/// Deletions take memory until the commit as values do: a batch of them ends in time.
#[test]
fn a_batch_of_deletions_is_bounded() {
    let mut instance = Instance::new("deletions");
    // Room for a guild of so many entities in one batch.
    instance.state_bytes_max = 1 << 30;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let guilds = 6;
    for guild in 1..=guilds {
        // Entities apart from the guild, so that its end is a short record.
        let sound = |id: u64| json!({"sound_id": id.to_string()});
        let sounds: Vec<_> = (1..=30_000).map(sound).collect();
        let create = json!({"id": guild.to_string(), "name": "g", "soundboard_sounds": sounds});
        send(&mut shard, (0, 1), &[("GUILD_CREATE", create)]);
        settle(&mut engine);
        receive(&mut consumer);
    }
    for guild in 1..=guilds {
        send(&mut shard, (0, 1), &[("GUILD_DELETE", json!({"id": guild.to_string()}))]);
    }
    let mut rounds = Vec::new();
    while engine.round().unwrap() == Progress::Worked {
        rounds.push(receive(&mut consumer).len());
    }
    assert_eq!(rounds.iter().sum::<usize>(), guilds);
    assert!(rounds.len() > 1, "{rounds:?}");
}

const MEMBERS: u64 = 9000;

/// A guild of many members, who all have a role; what came for it is received.
fn crowded(instance: &Instance) -> (Producer, Engine, Member) {
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let role = json!({"id": "300", "name": "r"});
    let guild = json!({"id": "100", "name": "g", "member_count": MEMBERS, "roles": [role]});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
    for first in (1..=MEMBERS).step_by(1000) {
        let member = |id: u64| json!({"user": {"id": id.to_string()}, "roles": ["300"]});
        let members: Vec<_> = (first..first + 1000).map(member).collect();
        let chunk = json!({"guild_id": "100", "members": members});
        send(&mut shard, (0, 1), &[("GUILD_MEMBERS_CHUNK", chunk)]);
        settle(&mut engine);
        receive(&mut consumer);
    }
    (shard, engine, consumer)
}

/// Rounds until nothing is left: what came out of each.
fn rounds(engine: &mut Engine, consumer: &mut Member) -> Vec<Vec<Out>> {
    let mut rounds = Vec::new();
    while engine.round().unwrap() == Progress::Worked {
        rounds.push(receive(consumer));
    }
    rounds
}

/// C-8: what one record changes is done in parts, and told once, when all of it is done.
#[test]
fn a_guild_that_goes_and_a_role_of_all_members_are_changed_in_slices_and_told_at_the_end() {
    let instance = Instance::new("slices");
    let (mut shard, mut engine, mut consumer) = crowded(&instance);
    let role = json!({"guild_id": "100", "role_id": "300"});
    let gone = json!({"id": "100"});
    for (kind, event, name) in [("GUILD_ROLE_DELETE", role, "r"), ("GUILD_DELETE", gone, "g")] {
        send(&mut shard, (0, 1), &[(kind, event), ("TYPING_START", json!({}))]);
        let rounds = rounds(&mut engine, &mut consumer);
        assert!(rounds.len() > 1, "{kind}: in one batch");
        let (last, before) = rounds.split_last().unwrap();
        assert!(before.iter().all(Vec::is_empty), "{kind} was told before it was done");
        let kinds: Vec<_> = last.iter().map(|out| (out.kind.as_str(), out.index)).collect();
        assert_eq!(kinds, [(kind, 0), ("TYPING_START", 0)]);
        assert_eq!(last[0].old["name"], name);
        let state = State::open(&instance.state_dir()).unwrap();
        let member = state.entity(Resource::Members, 100, MEMBERS).unwrap();
        let roles = member.as_ref().and_then(|member| member.get(atoms::ROLES)?.as_list());
        match kind {
            "GUILD_DELETE" => assert!(member.is_none()),
            _ => assert_eq!(roles.map(|roles| roles.iter().count()), Some(0)),
        }
    }
    drop(engine);
    for table in [Table::Members, Table::Users, Table::Guilds, Table::GuildFacts] {
        assert!(instance.is_empty(table), "{table:?}");
    }
    instance.check_state();
}

/// The same over restarts between the slices, also of guilds that are gone while nobody listened: what is left
/// is done by whoever comes, and told once.
#[test]
fn what_is_done_in_slices_is_told_once_whenever_the_cache_starts_again() {
    let ready = json!({"user": {"id": "1"}, "guilds": []});
    let role = json!({"guild_id": "100", "role_id": "300"});
    let events = [
        ("READY", ready, vec![("READY", 0), ("GUILD_DELETE", 1)]),
        ("GUILD_DELETE", json!({"id": "100"}), vec![("GUILD_DELETE", 0)]),
        ("GUILD_ROLE_DELETE", role, vec![("GUILD_ROLE_DELETE", 0)]),
    ];
    for (kind, event, told) in events {
        let instance = Instance::new(&format!("again-{}", told.len() + kind.len()));
        let (mut shard, engine, mut consumer) = crowded(&instance);
        drop(engine);
        send(&mut shard, (0, 1), &[(kind, event)]);
        let (mut seen, mut starts) = (Vec::new(), 0);
        loop {
            let mut engine = instance.engine();
            let progress = engine.round().unwrap();
            seen.extend(receive(&mut consumer));
            if progress == Progress::Idle {
                break;
            }
            starts += 1;
        }
        assert!(starts > 1, "{kind}: in one batch");
        let kinds: Vec<_> = seen.iter().map(|out| (out.kind.as_str(), out.index)).collect();
        assert_eq!(kinds, told);
        let old = &seen[seen.len() - 1].old;
        assert_eq!(
            if kind == "GUILD_ROLE_DELETE" { &old["id"] } else { &old["roles"][0]["id"] },
            "300"
        );
        let gone = kind != "GUILD_ROLE_DELETE";
        assert_eq!(instance.is_empty(Table::Members), gone, "{kind}");
        instance.check_state();
    }
}

/// Threads and presences that go with one event: in slices, and `old` is what was before the first.
#[test]
fn threads_and_presences_that_go_at_once_go_in_slices() {
    const THREADS: u64 = 9000;
    let instance = Instance::new("many-threads");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let channel = json!({"id": "200", "type": 15, "name": "forum"});
    let guild = json!({"id": "100", "name": "g", "channels": [channel]});
    let mut load = |events: &[(&str, Json)]| {
        for event in events {
            send(&mut shard, (0, 1), std::slice::from_ref(event));
            while engine.round().unwrap() == Progress::Worked {}
        }
    };
    let sync = |first: u64| {
        let thread = |id: u64| json!({"id": id.to_string(), "guild_id": "100", "parent_id": first.to_string(), "type": 11, "name": "t"});
        let threads: Vec<_> = (first..first + 1000).map(thread).collect();
        // Of a parent each, so that no call erases another's.
        json!({"guild_id": "100", "channel_ids": [first.to_string()], "threads": threads})
    };
    let presence =
        |user: u64| json!({"user": {"id": user.to_string()}, "guild_id": "100", "status": "idle"});
    let presences = |first: u64| {
        let members: Vec<_> =
            (first..first + 1000).map(|id| json!({"user": {"id": id.to_string()}})).collect();
        let presences: Vec<_> = (first..first + 1000).map(presence).collect();
        json!({"guild_id": "100", "members": members, "presences": presences})
    };
    load(&[("GUILD_CREATE", guild.clone())]);
    receive(&mut consumer);
    for first in (10_000..10_000 + THREADS).step_by(1000) {
        load(&[("THREAD_LIST_SYNC", sync(first)), ("GUILD_MEMBERS_CHUNK", presences(first))]);
        receive(&mut consumer);
    }
    // One event lists nothing of it any more.
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild), ("TYPING_START", json!({}))]);
    let rounds = rounds(&mut engine, &mut consumer);
    assert!(rounds.len() > 2, "in one batch");
    let (last, before) = rounds.split_last().unwrap();
    assert!(before.iter().all(Vec::is_empty), "told before it was done");
    let kinds: Vec<_> = last.iter().map(|out| out.kind.as_str()).collect();
    assert_eq!(kinds, ["GUILD_CREATE", "TYPING_START"]);
    drop(engine);
    for table in [Table::Threads, Table::Presences] {
        assert!(instance.is_empty(table), "{table:?}");
    }
    instance.check_state();
}

/// A record that changes more than the store takes at once is told as lost, in its place: nothing of it is
/// applied, and what stands before and behind it is.
#[test]
fn a_record_that_no_store_takes_is_told_as_lost() {
    let mut instance = Instance::new("too-much");
    instance.state_bytes_max = 64 << 20;
    instance.declare();
    let mut shard = instance.shard(0, 2);
    let mut other = instance.shard(1, 2);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let sounds: Vec<_> = (1..=30_000).map(|id: u64| json!({"sound_id": id.to_string()})).collect();
    let guild = |id: &str| ("GUILD_CREATE", json!({"id": id, "name": "g"}));
    let crowd = json!({"id": "200", "name": "g", "soundboard_sounds": sounds});
    send(&mut shard, (0, 2), &[guild("100"), ("GUILD_CREATE", crowd), guild("300")]);
    send(&mut other, (1, 2), &[guild("400")]);
    let came: Vec<_> = rounds(&mut engine, &mut consumer).into_iter().flatten().collect();
    let of_shard = |shard| {
        let of_it = came.iter().filter(move |out| out.shard.0 == shard);
        of_it.map(|out| (out.origin.1, out.kind.as_str(), out.data["reason"].as_str()))
    };
    let lost = (1, "GAP", Some("undeliverable"));
    let (before, behind) = ((0, "GUILD_CREATE", None), (2, "GUILD_CREATE", None));
    assert_eq!(of_shard(0).collect::<Vec<_>>(), [before, lost, behind]);
    assert_eq!(of_shard(1).collect::<Vec<_>>(), [before]);
    let state = State::open(&instance.state_dir()).unwrap();
    for (id, is_there) in [(100, true), (200, false), (300, true), (400, true)] {
        let guild = state.entity(Resource::Guilds, id, id).unwrap();
        assert_eq!(guild.is_some(), is_there, "{id}");
    }
    drop(engine);
    instance.check_state();
}

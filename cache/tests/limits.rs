//! What a batch may take of memory (P7).

mod common;

use common::instance::{Instance, Out, receive, send, settle};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::atoms;
use mixcord_ring::{Member, Producer};
use mixcord_state::{Resource, State, Table};
use serde_json::json;

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

/// The same of guilds that are gone while nobody listened, over restarts between the slices.
#[test]
fn a_guild_that_went_unseen_is_told_once_whenever_the_cache_starts_again() {
    let instance = Instance::new("unseen");
    let (mut shard, engine, mut consumer) = crowded(&instance);
    drop(engine);
    send(&mut shard, (0, 1), &[("READY", json!({"user": {"id": "1"}, "guilds": []}))]);
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
    assert!(starts > 2, "in one batch");
    let kinds: Vec<_> = seen.iter().map(|out| (out.kind.as_str(), out.index)).collect();
    assert_eq!(kinds, [("READY", 0), ("GUILD_DELETE", 1)]);
    assert_eq!(seen[1].old["roles"][0]["id"], "300");
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

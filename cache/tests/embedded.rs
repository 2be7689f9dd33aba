//! Members and users inside other events (R9): which of them are looked up in the store at all.

mod common;

use common::{Cache, asked};
use mixcord_cache::settings::Settings;
use mixcord_state::tables::{MEMBERS, USERS};
use mixcord_state::{Read, Resource, Table};
use serde_json::{Value as Json, json};

/// Feeds an event; says which of the two tables were read.
fn asked(cache: &mut Cache, kind: &str, payload: &Json) -> Vec<Table> {
    asked::asked(cache, &[Table::Members, Table::Users], kind, payload)
}

const NONE: [Table; 0] = [];

fn user(id: u64, name: &str) -> Json {
    json!({"id": id.to_string(), "username": name, "avatar": null, "public_flags": 64,
           "avatar_decoration_data": {"asset": "a", "sku_id": "9"}})
}

fn member(nick: &str) -> Json {
    json!({"roles": ["30", "31"], "nick": nick, "joined_at": "2020-01-01T00:00:00Z", "deaf": false,
           "mute": false, "flags": 2})
}

/// A member with its user inside.
fn whole(id: u64, nick: &str) -> Json {
    with(member(nick), "user", user(id, "name"))
}

fn with(mut object: Json, key: &str, value: Json) -> Json {
    object[key] = value;
    object
}

/// A guild of the members 1 and 2, in so long a message that lengths are guessed to be wide.
fn guild(settings: Settings) -> Cache {
    let mut cache = Cache { settings, ..Cache::default() };
    cache.feed(
        "GUILD_CREATE",
        json!({"id": "100", "members": [whole(1, "one"), whole(2, "two")],
               "channels": [{"id": "200", "type": 0}], "name": "x".repeat(60_000)}),
    );
    cache
}

fn message(author: &Json, member: &Json) -> Json {
    json!({"id": "300", "channel_id": "200", "guild_id": "100", "content": "", "author": author,
           "member": member, "timestamp": "2026-01-05T12:00:00+00:00"})
}

fn typing(member: &Json) -> Json {
    json!({"channel_id": "200", "guild_id": "100", "user_id": member["user"]["id"], "member": member})
}

fn nick(cache: &Cache, id: u64) -> Json {
    let member = cache.store.get(MEMBERS.at(100, id)).unwrap().unwrap();
    common::json(member)["nick"].clone()
}

fn username(cache: &Cache, id: u64) -> Json {
    let tally = cache.store.get(USERS.at(id)).unwrap().unwrap();
    common::json(&tally[4..])["username"].clone()
}

#[test]
fn who_was_listed_is_not_looked_up() {
    let mut cache = guild(Settings::default());
    let permitted = with(whole(1, "one"), "permissions", json!("8"));
    for (kind, payload) in [
        ("MESSAGE_CREATE", message(&user(1, "name"), &member("one"))),
        ("TYPING_START", typing(&whole(1, "one"))),
        (
            "VOICE_STATE_UPDATE",
            json!({"guild_id": "100", "user_id": "2", "channel_id": "201", "member": whole(2, "two")}),
        ),
        (
            "INTERACTION_CREATE",
            json!({"id": "400", "guild_id": "100", "channel_id": "200", "member": permitted}),
        ),
        (
            "PRESENCE_UPDATE",
            json!({"guild_id": "100", "user": user(1, "name"), "status": "idle", "activities": []}),
        ),
    ] {
        // A voice state keeps its copy of the member only where that is not cached, which is looked at.
        let wanted: &[Table] = if kind == "VOICE_STATE_UPDATE" { &[Table::Members] } else { &NONE };
        assert_eq!(asked(&mut cache, kind, &payload), wanted, "{kind}");
    }
}

#[test]
fn who_was_updated_is_not_looked_up() {
    let mut cache = guild(Settings::default());
    let update = with(whole(1, "new"), "guild_id", json!("100"));
    cache.feed("GUILD_MEMBER_UPDATE", update);
    let now = message(&user(1, "name"), &member("new"));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &now), NONE);
    let other = message(&user(2, "name"), &member("two"));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &other), NONE);
    // What was is news again.
    let before = message(&user(1, "name"), &member("one"));
    assert!(asked(&mut cache, "MESSAGE_CREATE", &before).contains(&Table::Members));
    assert_eq!(nick(&cache, 1), "one");
}

#[test]
fn another_form_is_compared_once() {
    let mut cache = guild(Settings::default());
    let partial = message(&user(1, "name"), &json!({"roles": ["30", "31"], "nick": "one"}));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &partial), [Table::Members]);
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &partial), NONE);
    assert_eq!(asked(&mut cache, "TYPING_START", &typing(&whole(1, "one"))), NONE);
    let author = json!({"id": "1", "username": "name"});
    let partial = message(&author, &member("one"));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &partial), [Table::Users]);
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &partial), NONE);
}

#[test]
fn a_member_and_its_user_change_apart() {
    let mut cache = guild(Settings::default());
    let renamed = message(&user(1, "renamed"), &member("one"));
    // The member is told with it, as it was and as it is.
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &renamed), [Table::Users, Table::Members]);
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &renamed), NONE);
    assert_eq!(username(&cache, 1), "renamed");
    let called = message(&user(1, "renamed"), &member("nick"));
    assert!(asked(&mut cache, "MESSAGE_CREATE", &called).contains(&Table::Members));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &called), NONE);
    assert_eq!(nick(&cache, 1), "nick");
}

#[test]
fn a_stranger_is_looked_up_once_until_they_are_known() {
    let mut cache = guild(Settings::default());
    let private = json!({"id": "301", "channel_id": "201", "author": user(3, "name"), "content": "",
                         "timestamp": "2026-01-05T12:00:00+00:00"});
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &private), [Table::Users]);
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &private), NONE);
    // The note is of somebody who is not held; now they are, under another name.
    let add = with(member("three"), "user", user(3, "other"));
    cache.feed("GUILD_MEMBER_ADD", with(add, "guild_id", json!("100")));
    assert_eq!(asked(&mut cache, "MESSAGE_CREATE", &private), [Table::Users]);
    assert_eq!(username(&cache, 3), "name");
}

#[test]
fn every_guild_that_lists_a_user_holds_it() {
    let mut cache = guild(Settings::default());
    cache.feed("GUILD_CREATE", json!({"id": "101", "members": [whole(1, "one")]}));
    let remove = |guild: &str| json!({"guild_id": guild, "user": user(1, "name")});
    cache.feed("GUILD_MEMBER_REMOVE", remove("100"));
    assert_eq!(username(&cache, 1), "name");
    cache.feed("GUILD_MEMBER_REMOVE", remove("101"));
    assert!(cache.store.get(USERS.at(1)).unwrap().is_none());
    assert_eq!(
        asked(&mut cache, "TYPING_START", &typing(&whole(1, "one"))),
        [Table::Members, Table::Users],
        "nothing is known of who is not held"
    );
}

#[test]
fn a_user_inside_its_member_is_refreshed_with_it() {
    let mut cache = guild(Settings::default().without(Resource::Users));
    let renamed = with(member("one"), "user", user(1, "renamed"));
    for payload in [typing(&whole(1, "one")), typing(&renamed)] {
        assert!(asked(&mut cache, "TYPING_START", &payload).contains(&Table::Members));
    }
    let held = cache.store.get(MEMBERS.at(100, 1)).unwrap().unwrap();
    assert_eq!(common::json(held)["user"], user(1, "renamed"));
}

/// One that differs in nick and name.
fn changed() -> Json {
    message(&user(1, "renamed"), &member("nick"))
}

/// GUILD_MEMBER_UPDATE as Discord sends it after that.
fn update() -> Json {
    with(with(member("nick"), "user", user(1, "renamed")), "guild_id", json!("100"))
}

#[test]
fn where_members_have_events_of_their_own_these_have_the_old() {
    for event in ["MESSAGE_CREATE", "TYPING_START", "THREAD_MEMBERS_UPDATE"] {
        let mut cache = guild(Settings::default());
        cache.at.member_events = true;
        let within = with(member("nick"), "user", user(1, "renamed"));
        let payload = match event {
            "MESSAGE_CREATE" => changed(),
            "TYPING_START" => typing(&within),
            _ => {
                json!({"id": "201", "guild_id": "100", "added_members": [{"user_id": "1", "member": within}]})
            }
        };
        for _ in 0..2 {
            assert_eq!(cache.feed(event, payload.clone()).len(), 1, "{event}");
        }
        assert_eq!((nick(&cache, 1), username(&cache, 1)), (json!("one"), json!("name")));
        let seen = cache.feed("GUILD_MEMBER_UPDATE", update());
        assert_eq!((&seen[0].old["nick"], &seen[0].data["nick"]), (&json!("one"), &json!("nick")));
        assert_eq!(seen[0].old["user"]["username"], "name");
        assert_eq!(seen[1].kind, "USER_UPDATE");
        assert_eq!(seen[1].old["username"], "name");
    }
}

/// A user whom another guild holds, when a member of this one is met.
#[test]
fn a_member_that_is_met_takes_nobodys_old() {
    for member_events in [true, false] {
        let mut cache = guild(Settings::default());
        cache.feed("GUILD_CREATE", json!({"id": "101", "channels": [{"id": "202", "type": 0}]}));
        cache.at.member_events = member_events;
        let met = with(changed(), "guild_id", json!("101"));
        let seen = cache.feed("MESSAGE_CREATE", with(met, "channel_id", json!("202")));
        let told: Vec<_> =
            seen[1..].iter().map(|seen| (&*seen.kind, &seen.old["username"])).collect();
        if member_events {
            assert_eq!((told, username(&cache, 1)), (vec![], json!("name")));
        } else {
            let name = json!("name");
            assert_eq!(
                (told, username(&cache, 1)),
                (vec![("USER_UPDATE", &name)], json!("renamed"))
            );
        }
        // Both guilds hold the user.
        for guild in ["100", "101"] {
            assert!(cache.store.get(USERS.at(1)).unwrap().is_some());
            let remove = json!({"guild_id": guild, "user": {"id": "1"}});
            cache.feed("GUILD_MEMBER_REMOVE", remove);
        }
        assert!(cache.store.get(USERS.at(1)).unwrap().is_none());
    }
}

#[test]
fn where_they_have_none_the_difference_is_told() {
    for off in [None, Some(Resource::Users)] {
        let settings = off.into_iter().fold(Settings::default(), Settings::without);
        let mut cache = guild(settings);
        let seen = cache.feed("MESSAGE_CREATE", changed());
        assert_eq!((&*seen[1].kind, seen[1].reason), ("GUILD_MEMBER_UPDATE", Some("derived")));
        assert_eq!((&seen[1].old["nick"], &seen[1].data["nick"]), (&json!("one"), &json!("nick")));
        let names = (&seen[1].old["user"]["username"], &seen[1].data["user"]["username"]);
        assert_eq!(names, (&json!("name"), &json!("renamed")));
        assert_eq!(seen[1].data["guild_id"], "100");
        let users: Vec<_> =
            seen[2..].iter().map(|seen| (&*seen.kind, &seen.old["username"])).collect();
        let name = json!("name");
        assert_eq!(users, if off.is_none() { vec![("USER_UPDATE", &name)] } else { vec![] });
        assert_eq!(cache.feed("MESSAGE_CREATE", changed()).len(), 1, "told once");
    }
}

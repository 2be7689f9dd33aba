//! A scenario for every row of the table: the exact `old` and `data`.

#![allow(clippy::needless_pass_by_value, reason = "payloads are written in place")]

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod entities;
mod guilds;
mod kinds_page;
mod members;
mod messages;
mod resources;

use common::{Cache, Seen, invariants};
use serde_json::{Value as Json, json};

pub(crate) const G: &str = "100";
pub(crate) const NULL: Json = Json::Null;

pub(crate) fn user(id: &str, name: &str) -> Json {
    json!({"id": id, "username": name, "avatar": null})
}

pub(crate) fn member(id: &str, name: &str, roles: &[&str]) -> Json {
    json!({"user": user(id, name), "roles": roles, "nick": null, "joined_at": "2020-01-01T00:00:00Z"})
}

pub(crate) fn guild() -> Json {
    json!({
        "id": G, "name": "guild", "owner_id": "1", "member_count": 2, "large": false,
        "joined_at": "2020-01-01T00:00:00Z",
        "roles": [{"id": "30", "name": "b"}, {"id": "20", "name": "a"}],
        "emojis": [{"id": "40", "name": "e"}], "stickers": [],
        "channels": [{"id": "200", "type": 0, "name": "general", "last_message_id": null}, {"id": "201", "type": 2, "name": "voice"}],
        "threads": [{"id": "300", "type": 11, "name": "thread", "parent_id": "200", "guild_id": G}],
        "members": [member("1", "ann", &["20"]), member("2", "bob", &[])],
        "presences": [{"user": {"id": "1"}, "status": "online", "activities": []}],
        "voice_states": [{"user_id": "1", "channel_id": "201", "session_id": "s", "mute": false}],
        "stage_instances": [{"id": "500", "channel_id": "201", "topic": "t", "guild_id": G}],
        "guild_scheduled_events": [{"id": "600", "name": "event", "guild_id": G, "user_count": 1}],
        "soundboard_sounds": [{"sound_id": "700", "name": "sound", "volume": 1, "guild_id": G}],
    })
}

/// The guild as `old` has it (R8).
pub(crate) fn cached_guild() -> Json {
    let mut guild = guild();
    let map = guild.as_object_mut().unwrap();
    for key in [
        "channels",
        "threads",
        "members",
        "presences",
        "voice_states",
        "stage_instances",
        "guild_scheduled_events",
        "soundboard_sounds",
    ] {
        map.remove(key);
    }
    guild
}

pub(crate) fn with_guild() -> Cache {
    let mut cache = Cache::default();
    cache.feed(
        "READY",
        json!({"v": 10, "user": user("1", "ann"), "guilds": [{"id": G, "unavailable": true}]}),
    );
    cache.feed("GUILD_CREATE", guild());
    cache
}

pub(crate) fn plus(mut entity: Json, more: Json) -> Json {
    for (key, value) in more.as_object().unwrap() {
        entity[key] = value.clone();
    }
    entity
}

pub(crate) fn member_entity(id: &str, name: &str, roles: &[&str]) -> Json {
    plus(member(id, name, roles), json!({"guild_id": G}))
}

pub(crate) fn check(seen: &Seen, old: Json, data: Json) {
    assert_eq!(seen.old, old, "old of {}", seen.kind);
    assert_eq!(seen.data, data, "data of {}", seen.kind);
}

pub(crate) fn message(id: &str, content: &str) -> Json {
    json!({"id": id, "channel_id": "200", "guild_id": G, "author": user("1", "ann"), "content": content, "timestamp": "2020-01-01T00:00:00Z", "edited_timestamp": null})
}

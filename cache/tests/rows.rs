//! A scenario for every row of the table: the exact `old` and `data`.

#![allow(clippy::needless_pass_by_value, reason = "payloads are written in place")]

mod common;

use common::{Cache, Seen};
use mixcord_event::Flags;
use mixcord_state::{Resource, Table};
use serde_json::{Value as Json, json};

const G: &str = "100";
const NULL: Json = Json::Null;

fn user(id: &str, name: &str) -> Json {
    json!({"id": id, "username": name, "avatar": null})
}

fn member(id: &str, name: &str, roles: &[&str]) -> Json {
    json!({"user": user(id, name), "roles": roles, "nick": null, "joined_at": "2020-01-01T00:00:00Z"})
}

fn guild() -> Json {
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
fn cached_guild() -> Json {
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

fn with_guild() -> Cache {
    let mut cache = Cache::default();
    cache.feed(
        "READY",
        json!({"v": 10, "user": user("1", "ann"), "guilds": [{"id": G, "unavailable": true}]}),
    );
    cache.feed("GUILD_CREATE", guild());
    cache
}

fn plus(mut entity: Json, more: Json) -> Json {
    for (key, value) in more.as_object().unwrap() {
        entity[key] = value.clone();
    }
    entity
}

fn member_entity(id: &str, name: &str, roles: &[&str]) -> Json {
    plus(member(id, name, roles), json!({"guild_id": G}))
}

fn check(seen: &Seen, old: Json, data: Json) {
    assert_eq!(seen.old, old, "old of {}", seen.kind);
    assert_eq!(seen.data, data, "data of {}", seen.kind);
}

#[test]
fn ready_sets_guilds_pending_and_erases_those_not_listed() {
    let mut cache = with_guild();
    let ready = json!({"user": user("1", "ann"), "guilds": [{"id": "101", "unavailable": true}]});
    let seen = cache.feed("READY", ready.clone());
    assert_eq!(seen.len(), 2);
    check(&seen[0], NULL, ready);
    assert_eq!((seen[1].kind.as_str(), seen[1].reason), ("GUILD_DELETE", Some("derived")));
    assert!(seen[1].flags.contains(Flags::DERIVED));
    check(&seen[1], cached_guild(), json!({"id": G}));
    for table in Table::OF_GUILD {
        let left = usize::from(table == Table::GuildFacts);
        assert_eq!(cache.store.len(table), left, "{table:?}");
    }
    let seen = cache.one("GUILD_CREATE", json!({"id": "101", "name": "other"}));
    assert_eq!(seen.reason, Some("startup"));
}

#[test]
fn ready_leaves_the_guilds_of_other_shards_alone() {
    let mut cache = with_guild();
    (cache.at.shard, cache.at.shards) = (0, 1);
    cache.at.shard = 1;
    cache.at.shards = 2;
    // By Discord's formula the guild belongs to shard 0 of 2.
    assert_eq!(cache.feed("READY", json!({"user": user("1", "ann"), "guilds": []})).len(), 1);
    assert_eq!(cache.store.len(Table::Guilds), 1);
}

#[test]
fn guild_create_tells_startup_return_and_join_apart() {
    let mut cache = Cache::default();
    cache.feed(
        "READY",
        json!({"user": user("1", "ann"), "guilds": [{"id": G, "unavailable": true}]}),
    );
    let first = cache.one("GUILD_CREATE", guild());
    assert_eq!(first.reason, Some("startup"));
    check(&first, NULL, guild());
    let outage = cache.one("GUILD_DELETE", json!({"id": G, "unavailable": true}));
    assert_eq!(outage.reason, Some("outage"));
    check(&outage, cached_guild(), json!({"id": G, "unavailable": true}));
    let back = cache.one("GUILD_CREATE", plus(guild(), json!({"unavailable": false})));
    assert_eq!(back.reason, Some("available"));
    assert_eq!(back.old, plus(cached_guild(), json!({"unavailable": true})));
    let left = cache.one("GUILD_DELETE", json!({"id": G}));
    assert_eq!(left.reason, Some("leave"));
    check(&left, plus(cached_guild(), json!({"unavailable": false})), json!({"id": G}));
    let joined = cache.one("GUILD_CREATE", guild());
    assert_eq!(joined.reason, Some("join"));
    assert_eq!(joined.old, NULL);
}

#[test]
fn guild_delete_frees_everything_and_releases_users() {
    let mut cache = with_guild();
    cache.feed("MESSAGE_CREATE", json!({"id": "900", "channel_id": "200", "guild_id": G, "author": user("1", "ann"), "content": "x"}));
    let second = json!({"id": "101", "name": "second", "members": [member("2", "bob", &[])]});
    cache.feed("GUILD_CREATE", second);
    cache.feed("GUILD_DELETE", json!({"id": G}));
    assert_eq!(cache.store.len(Table::Users), 1, "bob is in the second guild");
    cache.feed("GUILD_DELETE", json!({"id": "101"}));
    for table in Table::ALL {
        let left = usize::from(table == Table::Meta);
        assert_eq!(cache.store.len(table), left, "{table:?}");
    }
}

#[test]
fn a_stub_marks_the_guild_unavailable() {
    let mut cache = Cache::default();
    let stub = json!({"id": G, "unavailable": true});
    check(&cache.one("GUILD_CREATE", stub.clone()), NULL, stub);
    assert_eq!(cache.one("GUILD_CREATE", guild()).reason, Some("available"));
}

#[test]
fn a_guild_that_comes_again_replaces_all_but_missing_members() {
    let mut cache = with_guild();
    let again = json!({"id": G, "name": "new", "roles": [], "emojis": [], "stickers": [], "channels": [], "threads": [], "members": [], "presences": [], "voice_states": []});
    let seen = cache.one("GUILD_CREATE", again.clone());
    check(&seen, cached_guild(), again);
    assert_eq!(cache.store.len(Table::Members), 2);
    for table in
        [Table::Channels, Table::Threads, Table::Roles, Table::Presences, Table::VoiceStates]
    {
        assert_eq!(cache.store.len(table), 0, "{table:?}");
    }
    let update = cache.one("GUILD_UPDATE", json!({"id": G, "name": "newer"}));
    assert_eq!(update.old["name"], "new");
    assert_eq!(update.old["owner_id"], NULL, "replaced, not merged");
}

#[test]
fn guild_update_merges_and_keeps_what_only_guild_create_says() {
    let mut cache = with_guild();
    let update = json!({"id": G, "name": "renamed", "roles": [{"id": "30", "name": "c"}]});
    let seen = cache.one("GUILD_UPDATE", update.clone());
    check(&seen, cached_guild(), plus(cached_guild(), update));
    assert_eq!(cache.store.len(Table::Roles), 1);
    let unknown = json!({"id": "999", "name": "who"});
    check(&cache.one("GUILD_UPDATE", unknown.clone()), NULL, unknown);
}

#[test]
fn channels() {
    let mut cache = with_guild();
    let created = json!({"id": "202", "guild_id": G, "type": 0, "name": "new", "topic": null});
    check(&cache.one("CHANNEL_CREATE", created.clone()), NULL, created.clone());
    check(&cache.one("CHANNEL_CREATE", created.clone()), created.clone(), created.clone());
    let update = json!({"id": "202", "guild_id": G, "topic": "t"});
    let updated = plus(created.clone(), update.clone());
    check(&cache.one("CHANNEL_UPDATE", update), created, updated.clone());
    let delete = json!({"id": "202", "guild_id": G, "type": 0});
    check(&cache.one("CHANNEL_DELETE", delete.clone()), updated, delete.clone());
    check(&cache.one("CHANNEL_DELETE", delete.clone()), NULL, delete);
}

#[test]
fn a_hidden_channel_is_marked_and_keeps_its_name() {
    let mut cache = with_guild();
    let hidden =
        json!({"id": "200", "guild_id": G, "type": 0, "name": "___hidden___", "flags": 1 << 17});
    let seen = cache.one("CHANNEL_UPDATE", hidden.clone());
    assert_eq!(
        (seen.data["name"].as_str(), &seen.data["flags"]),
        (Some("general"), &hidden["flags"])
    );
    let back = json!({"id": "200", "guild_id": G, "type": 0, "name": "renamed", "flags": 0});
    let seen = cache.one("CHANNEL_UPDATE", back);
    assert_eq!(
        (seen.old["name"].as_str(), seen.data["name"].as_str()),
        (Some("general"), Some("renamed"))
    );
}

#[test]
fn channel_delete_erases_its_threads_and_messages() {
    let mut cache = with_guild();
    for channel in ["200", "300"] {
        cache.feed(
            "MESSAGE_CREATE",
            json!({"id": "900", "channel_id": channel, "guild_id": G, "content": ""}),
        );
    }
    cache.feed("CHANNEL_DELETE", json!({"id": "200", "guild_id": G, "type": 0}));
    assert_eq!(cache.store.len(Table::Threads), 0);
    assert_eq!(cache.store.len(Table::Messages), 0);
    assert_eq!(cache.store.len(Table::ChannelMap), 1);
}

#[test]
fn single_fields_of_channels() {
    let mut cache = with_guild();
    let voice = json!({"id": "201", "guild_id": G, "type": 2, "name": "voice"});
    let pins =
        json!({"guild_id": G, "channel_id": "201", "last_pin_timestamp": "2020-01-01T00:00:00Z"});
    check(&cache.one("CHANNEL_PINS_UPDATE", pins.clone()), voice.clone(), pins);
    let voice = plus(voice, json!({"last_pin_timestamp": "2020-01-01T00:00:00Z"}));
    let status = json!({"id": "201", "guild_id": G, "status": "hi"});
    check(&cache.one("VOICE_CHANNEL_STATUS_UPDATE", status.clone()), voice.clone(), status);
    let voice = plus(voice, json!({"status": "hi"}));
    let start = json!({"id": "201", "guild_id": G, "voice_start_time": 5});
    check(&cache.one("VOICE_CHANNEL_START_TIME_UPDATE", start.clone()), voice.clone(), start);
    let voice = plus(voice, json!({"voice_start_time": 5}));
    let info = json!({"guild_id": G, "channels": [{"id": "201", "status": null}, {"id": "77"}]});
    check(&cache.one("CHANNEL_INFO", info.clone()), json!([voice]), info);
    let voice = plus(voice, json!({"status": null}));
    let delete = json!({"id": "201", "guild_id": G});
    check(&cache.one("CHANNEL_DELETE", delete.clone()), voice, delete);
}

#[test]
fn threads() {
    let mut cache = with_guild();
    let thread = json!({"id": "301", "guild_id": G, "parent_id": "200", "type": 11, "name": "t"});
    let created = plus(thread.clone(), json!({"newly_created": true}));
    check(&cache.one("THREAD_CREATE", created.clone()), NULL, created);
    let update = json!({"id": "301", "guild_id": G, "name": "u"});
    check(
        &cache.one("THREAD_UPDATE", update.clone()),
        thread.clone(),
        plus(thread.clone(), update),
    );
    let thread = plus(thread, json!({"name": "u"}));
    let own = json!({"id": "301", "user_id": "1", "flags": 1, "guild_id": G});
    check(&cache.one("THREAD_MEMBER_UPDATE", own.clone()), thread.clone(), own);
    let thread = plus(thread, json!({"member": {"id": "301", "user_id": "1", "flags": 1}}));
    let members = json!({"id": "301", "guild_id": G, "member_count": 5, "added_members": [{"id": "301", "user_id": "3", "member": member("3", "cyd", &[]), "presence": {"user": {"id": "3"}, "status": "idle"}}], "removed_member_ids": ["1"]});
    check(&cache.one("THREAD_MEMBERS_UPDATE", members.clone()), thread.clone(), members);
    assert_eq!((cache.store.len(Table::Members), cache.store.len(Table::Presences)), (3, 2));
    let mut thread = plus(thread, json!({"member_count": 5}));
    thread.as_object_mut().unwrap().remove("member");
    let sync = json!({"guild_id": G, "channel_ids": ["200"], "threads": [{"id": "302", "guild_id": G, "parent_id": "200", "name": "s", "type": 11}], "members": [{"id": "302", "user_id": "1"}]});
    check(&cache.one("THREAD_LIST_SYNC", sync.clone()), NULL, sync);
    let delete = json!({"id": "301", "guild_id": G, "parent_id": "200", "type": 11});
    check(&cache.one("THREAD_DELETE", delete.clone()), NULL, delete);
    let delete = json!({"id": "302", "guild_id": G, "parent_id": "200", "type": 11});
    let synced = json!({"id": "302", "guild_id": G, "parent_id": "200", "name": "s", "type": 11, "member": {"id": "302", "user_id": "1"}});
    check(&cache.one("THREAD_DELETE", delete.clone()), synced, delete);
    let _ = thread;
}

#[test]
fn members_come_change_and_go() {
    let mut cache = with_guild();
    let add = member_entity("3", "cyd", &[]);
    check(&cache.one("GUILD_MEMBER_ADD", add.clone()), NULL, add.clone());
    check(&cache.one("GUILD_MEMBER_ADD", add.clone()), add.clone(), add.clone());
    assert_eq!(cache.one("GUILD_UPDATE", json!({"id": G})).old["member_count"], 3, "added once");
    let update = plus(add.clone(), json!({"nick": "c", "user": user("3", "cyd2")}));
    let seen = cache.feed("GUILD_MEMBER_UPDATE", update.clone());
    assert_eq!(seen.len(), 2);
    check(&seen[0], add, update.clone());
    assert_eq!(seen[1].kind, "USER_UPDATE");
    check(&seen[1], user("3", "cyd"), user("3", "cyd2"));
    check(&cache.one("GUILD_MEMBER_UPDATE", update.clone()), update.clone(), update.clone());
    let remove = json!({"guild_id": G, "user": user("3", "cyd2")});
    check(&cache.one("GUILD_MEMBER_REMOVE", remove.clone()), update, remove.clone());
    check(&cache.one("GUILD_MEMBER_REMOVE", remove.clone()), NULL, remove);
    assert_eq!(cache.one("GUILD_UPDATE", json!({"id": G})).old["member_count"], 2, "removed once");
    assert_eq!(cache.store.len(Table::Users), 2);
}

#[test]
fn what_is_late_does_not_revive_what_is_gone() {
    let mut cache = with_guild();
    cache.feed("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("2", "bob")}));
    cache.feed(
        "PRESENCE_UPDATE",
        json!({"guild_id": G, "user": {"id": "2"}, "status": "online", "activities": []}),
    );
    assert_eq!((cache.store.len(Table::Members), cache.store.len(Table::Presences)), (1, 1));
    cache.feed("GUILD_DELETE", json!({"id": G}));
    for (kind, payload) in [
        ("GUILD_MEMBER_UPDATE", member_entity("1", "ann", &[])),
        ("PRESENCE_UPDATE", json!({"guild_id": G, "user": {"id": "1"}, "status": "online"})),
        ("GUILD_ROLE_UPDATE", json!({"guild_id": G, "role": {"id": "20", "name": "a"}})),
        ("CHANNEL_UPDATE", json!({"guild_id": G, "id": "200", "type": 0, "name": "general"})),
        ("VOICE_STATE_UPDATE", json!({"guild_id": G, "user_id": "1", "channel_id": "201"})),
        ("GUILD_EMOJIS_UPDATE", json!({"guild_id": G, "emojis": []})),
        ("STAGE_INSTANCE_UPDATE", json!({"guild_id": G, "id": "5", "channel_id": "201"})),
    ] {
        let seen = cache.one(kind, payload.clone());
        check(&seen, NULL, payload);
    }
    for table in Table::ALL {
        assert_eq!(cache.store.len(table), usize::from(table == Table::Meta), "{table:?}");
    }
}

#[test]
fn a_chunk_adds_members_users_and_presences() {
    let mut cache = with_guild();
    let chunk = json!({"guild_id": G, "members": [member("2", "bob2", &[]), member("3", "cyd", &[])], "chunk_index": 0, "chunk_count": 1, "presences": [{"user": {"id": "3"}, "status": "dnd"}]});
    check(&cache.one("GUILD_MEMBERS_CHUNK", chunk.clone()), NULL, chunk);
    assert_eq!(
        (
            cache.store.len(Table::Members),
            cache.store.len(Table::Users),
            cache.store.len(Table::Presences)
        ),
        (3, 3, 2)
    );
}

#[test]
fn roles() {
    let mut cache = with_guild();
    let create = json!({"guild_id": G, "role": {"id": "50", "name": "n", "color": 1}});
    check(&cache.one("GUILD_ROLE_CREATE", create.clone()), NULL, create.clone());
    let update = json!({"guild_id": G, "role": {"id": "50", "name": "m"}});
    let after = json!({"guild_id": G, "role": {"id": "50", "name": "m", "color": 1}});
    check(&cache.one("GUILD_ROLE_UPDATE", update), create["role"].clone(), after);
    let ids: Vec<Json> = cache.one("GUILD_UPDATE", json!({"id": G})).old["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["id"].clone())
        .collect();
    assert_eq!(ids, ["30", "20", "50"], "in Discord's order");
    let delete = json!({"guild_id": G, "role_id": "20"});
    check(
        &cache.one("GUILD_ROLE_DELETE", delete.clone()),
        json!({"id": "20", "name": "a"}),
        delete,
    );
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("1", "ann")}));
    assert_eq!(seen.old["roles"], json!([]), "taken from the member");
}

#[test]
fn emojis_and_stickers_are_replaced_as_sets() {
    let mut cache = with_guild();
    let emojis = json!({"guild_id": G, "emojis": []});
    check(
        &cache.one("GUILD_EMOJIS_UPDATE", emojis.clone()),
        json!({"guild_id": G, "emojis": [{"id": "40", "name": "e"}]}),
        emojis.clone(),
    );
    check(&cache.one("GUILD_EMOJIS_UPDATE", emojis.clone()), emojis.clone(), emojis);
    let stickers = json!({"guild_id": G, "stickers": [{"id": "41", "name": "s"}]});
    check(
        &cache.one("GUILD_STICKERS_UPDATE", stickers.clone()),
        json!({"guild_id": G, "stickers": []}),
        stickers,
    );
}

#[test]
fn families_of_entities() {
    let rows = [
        (
            "GUILD_SCHEDULED_EVENT_",
            "id",
            json!({"id": "61", "guild_id": G, "name": "n", "user_count": 0}),
        ),
        (
            "STAGE_INSTANCE_",
            "id",
            json!({"id": "51", "guild_id": G, "channel_id": "201", "topic": "n"}),
        ),
        (
            "GUILD_SOUNDBOARD_SOUND_",
            "sound_id",
            json!({"sound_id": "71", "guild_id": G, "name": "n"}),
        ),
        ("INTEGRATION_", "id", json!({"id": "81", "guild_id": G, "name": "n", "type": "twitch"})),
        (
            "AUTO_MODERATION_RULE_",
            "id",
            json!({"id": "91", "guild_id": G, "name": "n", "enabled": true}),
        ),
    ];
    for (prefix, id, entity) in rows {
        let mut cache = with_guild();
        check(&cache.one(&format!("{prefix}CREATE"), entity.clone()), NULL, entity.clone());
        let update = json!({id: entity[id], "guild_id": G, "name": "m"});
        let after = plus(entity.clone(), update.clone());
        check(&cache.one(&format!("{prefix}UPDATE"), update), entity.clone(), after.clone());
        let delete = json!({id: entity[id], "guild_id": G});
        check(&cache.one(&format!("{prefix}DELETE"), delete.clone()), after, delete.clone());
        check(&cache.one(&format!("{prefix}DELETE"), delete.clone()), NULL, delete);
        // R5: a part of an unknown entity is delivered, not kept.
        let part = json!({id: "99", "guild_id": G});
        check(&cache.one(&format!("{prefix}UPDATE"), part.clone()), NULL, part.clone());
        check(&cache.one(&format!("{prefix}DELETE"), part.clone()), NULL, part);
    }
}

#[test]
fn subscribers_of_a_scheduled_event_are_counted() {
    let mut cache = with_guild();
    let joined = json!({"guild_scheduled_event_id": "600", "user_id": "2", "guild_id": G});
    check(&cache.one("GUILD_SCHEDULED_EVENT_USER_ADD", joined.clone()), NULL, joined.clone());
    check(&cache.one("GUILD_SCHEDULED_EVENT_USER_ADD", joined.clone()), NULL, joined.clone());
    check(&cache.one("GUILD_SCHEDULED_EVENT_USER_REMOVE", joined.clone()), NULL, joined);
    let seen = cache.one("GUILD_SCHEDULED_EVENT_DELETE", json!({"id": "600", "guild_id": G}));
    assert_eq!(seen.old["user_count"], 2);
}

#[test]
fn sounds_are_replaced_as_a_set() {
    for kind in ["GUILD_SOUNDBOARD_SOUNDS_UPDATE", "SOUNDBOARD_SOUNDS"] {
        let mut cache = with_guild();
        let sounds =
            json!({"guild_id": G, "soundboard_sounds": [{"sound_id": "701", "name": "x"}]});
        check(&cache.one(kind, sounds.clone()), NULL, sounds);
        let gone =
            cache.one("GUILD_SOUNDBOARD_SOUND_DELETE", json!({"sound_id": "700", "guild_id": G}));
        assert_eq!(gone.old, NULL);
        let here =
            cache.one("GUILD_SOUNDBOARD_SOUND_DELETE", json!({"sound_id": "701", "guild_id": G}));
        assert_eq!(here.old, json!({"sound_id": "701", "name": "x", "guild_id": G}));
    }
}

fn message(id: &str, content: &str) -> Json {
    json!({"id": id, "channel_id": "200", "guild_id": G, "author": user("1", "ann"), "content": content, "timestamp": "2020-01-01T00:00:00Z", "edited_timestamp": null})
}

#[test]
fn messages() {
    let mut cache = with_guild();
    check(&cache.one("MESSAGE_CREATE", message("900", "a")), NULL, message("900", "a"));
    let edit = json!({"id": "900", "channel_id": "200", "guild_id": G, "content": "b", "edited_timestamp": "2020-01-02T00:00:00Z"});
    let edited = plus(message("900", "a"), edit.clone());
    check(&cache.one("MESSAGE_UPDATE", edit), message("900", "a"), edited.clone());
    let older = json!({"id": "900", "channel_id": "200", "guild_id": G, "content": "late", "edited_timestamp": "2020-01-01T12:00:00Z"});
    let seen = cache.one("MESSAGE_UPDATE", older.clone());
    assert!(seen.flags.contains(Flags::STALE));
    check(&seen, edited.clone(), older);
    let channel = cache.one("CHANNEL_UPDATE", json!({"id": "200", "guild_id": G}));
    assert_eq!(channel.old["last_message_id"], "900");
    let delete = json!({"id": "900", "channel_id": "200", "guild_id": G});
    check(&cache.one("MESSAGE_DELETE", delete.clone()), edited, delete.clone());
    check(&cache.one("MESSAGE_DELETE", delete.clone()), NULL, delete.clone());
    check(&cache.one("MESSAGE_UPDATE", delete.clone()), NULL, delete);
}

#[test]
fn a_bulk_delete_lists_what_was_cached_in_the_order_of_ids() {
    let mut cache = with_guild();
    for id in ["900", "901", "902"] {
        cache.feed("MESSAGE_CREATE", message(id, id));
    }
    let bulk = json!({"ids": ["902", "999", "900"], "channel_id": "200", "guild_id": G});
    check(
        &cache.one("MESSAGE_DELETE_BULK", bulk.clone()),
        json!([message("902", "902"), message("900", "900")]),
        bulk.clone(),
    );
    check(&cache.one("MESSAGE_DELETE_BULK", bulk.clone()), NULL, bulk);
    assert_eq!(cache.store.len(Table::Messages), 1);
}

#[test]
fn the_history_is_bounded_by_count_and_age() {
    let mut cache = with_guild();
    cache.settings.messages_per_channel = 3;
    for id in 900..910 {
        cache.feed("MESSAGE_CREATE", message(&id.to_string(), ""));
    }
    assert_eq!(cache.store.len(Table::Messages), 3);
    let delete = |id: &str| json!({"id": id, "channel_id": "200", "guild_id": G});
    assert_eq!(cache.one("MESSAGE_DELETE", delete("906")).old, NULL);
    assert_ne!(cache.one("MESSAGE_DELETE", delete("907")).old, NULL);
    cache.at.us += 86_400_000_000;
    assert_eq!(cache.one("MESSAGE_DELETE", delete("908")).old, NULL, "too old");
    // Another channel's messages sweep this one.
    for id in 0..64 {
        cache.feed("MESSAGE_CREATE", json!({"id": (1000 + id).to_string(), "channel_id": "201", "guild_id": G, "content": ""}));
    }
    assert_eq!(cache.store.len(Table::Messages), 3);
}

#[test]
fn private_messages_are_kept_and_forgotten() {
    let mut cache = Cache::default();
    let private = |id: &str, channel: &str| json!({"id": id, "channel_id": channel, "author": user("7", "dan"), "content": ""});
    cache.feed("MESSAGE_CREATE", private("900", "800"));
    let seen = cache.one("MESSAGE_DELETE", json!({"id": "900", "channel_id": "800"}));
    assert_eq!(seen.old, private("900", "800"));
    cache.feed("MESSAGE_CREATE", private("901", "800"));
    cache.at.us += 86_400_000_000;
    for id in 902..966 {
        cache.feed("MESSAGE_CREATE", private(&id.to_string(), "801"));
    }
    assert_eq!(cache.store.len(Table::ChannelFacts), 1, "a channel nobody writes in is forgotten");
    assert_eq!(cache.store.len(Table::Users), 0);
}

#[test]
fn reactions_change_the_message() {
    let mut cache = with_guild();
    cache.feed("MESSAGE_CREATE", message("900", "a"));
    let emoji = json!({"id": null, "name": "x"});
    let by = |user: &str| json!({"user_id": user, "channel_id": "200", "message_id": "900", "guild_id": G, "emoji": emoji, "burst": false, "type": 0});
    let reactions = |cache: &mut Cache| {
        let touch = json!({"id": "900", "channel_id": "200", "guild_id": G});
        cache.one("MESSAGE_UPDATE", touch).old["reactions"].clone()
    };
    check(&cache.one("MESSAGE_REACTION_ADD", by("1")), NULL, by("1"));
    cache.feed("MESSAGE_REACTION_ADD", by("2"));
    assert_eq!(
        reactions(&mut cache),
        json!([{"count": 2, "count_details": {"burst": 0, "normal": 2}, "me": true, "me_burst": false, "emoji": emoji, "burst_colors": []}])
    );
    cache.feed("MESSAGE_REACTION_REMOVE", by("1"));
    assert_eq!(reactions(&mut cache)[0]["me"], false);
    cache.feed("MESSAGE_REACTION_REMOVE", by("2"));
    assert_eq!(reactions(&mut cache), NULL);
    let other = json!({"user_id": "1", "channel_id": "200", "message_id": "900", "guild_id": G, "emoji": {"id": "40", "name": "e"}, "burst": true, "type": 1});
    cache.feed("MESSAGE_REACTION_ADD", by("1"));
    cache.feed("MESSAGE_REACTION_ADD", other);
    cache.feed(
        "MESSAGE_REACTION_REMOVE_EMOJI",
        json!({"channel_id": "200", "message_id": "900", "guild_id": G, "emoji": emoji}),
    );
    assert_eq!(reactions(&mut cache)[0]["me_burst"], true);
    cache.feed(
        "MESSAGE_REACTION_REMOVE_ALL",
        json!({"channel_id": "200", "message_id": "900", "guild_id": G}),
    );
    assert_eq!(reactions(&mut cache), NULL);
}

#[test]
fn presences() {
    let mut cache = with_guild();
    let online = json!({"user": {"id": "1"}, "status": "online", "activities": [], "guild_id": G});
    let idle = json!({"user": {"id": "1"}, "status": "idle", "activities": [], "guild_id": G});
    let seen = cache.one("PRESENCE_UPDATE", idle.clone());
    check(&seen, online, idle.clone());
    assert!(!seen.flags.contains(Flags::UNCHANGED));
    let seen = cache.one("PRESENCE_UPDATE", idle.clone());
    check(&seen, idle.clone(), idle.clone());
    assert!(seen.flags.contains(Flags::UNCHANGED));
    let renamed = json!({"user": {"id": "1", "username": "ann2"}, "status": "offline", "activities": [], "guild_id": G});
    let seen = cache.feed("PRESENCE_UPDATE", renamed.clone());
    check(&seen[0], idle, renamed);
    assert_eq!(seen[1].kind, "USER_UPDATE");
    check(&seen[1], user("1", "ann"), user("1", "ann2"));
    assert_eq!(cache.store.len(Table::Presences), 0);
}

#[test]
fn the_own_user() {
    let mut cache = with_guild();
    let update = json!({"id": "1", "username": "bot2"});
    check(
        &cache.one("USER_UPDATE", update.clone()),
        user("1", "ann"),
        plus(user("1", "ann"), update),
    );
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "1"}}));
    assert_eq!(seen.old["user"]["username"], "bot2");
}

#[test]
fn voice_states() {
    let mut cache = with_guild();
    let held = json!({"user_id": "1", "channel_id": "201", "session_id": "s", "mute": false, "guild_id": G});
    let muted = plus(held.clone(), json!({"mute": true, "member": member("1", "ann", &[])}));
    check(&cache.one("VOICE_STATE_UPDATE", muted.clone()), held, muted.clone());
    let left = json!({"user_id": "1", "channel_id": null, "guild_id": G});
    check(&cache.one("VOICE_STATE_UPDATE", left.clone()), muted, left.clone());
    check(&cache.one("VOICE_STATE_UPDATE", left.clone()), NULL, left);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("1", "ann")}));
    assert_eq!(seen.old["roles"], json!([]), "refreshed by the voice state's member");
}

#[test]
fn embedded_members_and_users_refresh_but_never_erase() {
    let mut cache = with_guild();
    let typing = json!({"channel_id": "200", "guild_id": G, "user_id": "2", "timestamp": 1, "member": {"user": user("2", "bob"), "nick": "b"}});
    check(&cache.one("TYPING_START", typing.clone()), NULL, typing);
    let said = json!({"id": "900", "channel_id": "200", "guild_id": G, "author": user("3", "cyd"), "member": {"roles": []}, "content": ""});
    cache.feed("MESSAGE_CREATE", said);
    assert_eq!(cache.store.len(Table::Members), 3, "member and user were both there");
    let hook = json!({"id": "901", "channel_id": "200", "guild_id": G, "author": user("9", "hook"), "webhook_id": "9", "content": ""});
    cache.feed("MESSAGE_CREATE", hook);
    assert_eq!(cache.store.len(Table::Users), 3);
    let asked = json!({"id": "5", "guild_id": G, "member": plus(member("1", "ann3", &[]), json!({"permissions": "8"})), "data": {}, "resolved": {"users": {"2": user("2", "bob3")}, "members": {"2": {"roles": ["20"], "permissions": "1"}}, "roles": {"30": {"id": "30", "name": "r"}}, "channels": {"200": {"id": "200", "name": "c", "permissions": "1"}}}});
    check(&cache.one("INTERACTION_CREATE", asked.clone()), NULL, asked);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "2"}}));
    let expected = json!({"user": user("2", "bob3"), "roles": ["20"], "nick": "b", "joined_at": "2020-01-01T00:00:00Z", "guild_id": G});
    assert_eq!(seen.old, expected);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "1"}}));
    assert_eq!(seen.old["user"]["username"], "ann3");
    assert_eq!(seen.old["permissions"], NULL);
    assert_eq!(
        cache.one("GUILD_ROLE_DELETE", json!({"guild_id": G, "role_id": "30"})).old["name"],
        "r"
    );
    assert_eq!(cache.one("CHANNEL_DELETE", json!({"guild_id": G, "id": "200"})).old["name"], "c");
}

#[test]
fn events_without_a_row_and_unknown_ones_pass() {
    let mut cache = with_guild();
    for kind in [
        "RESUMED",
        "RATE_LIMITED",
        "ENTITLEMENT_CREATE",
        "SUBSCRIPTION_CREATE",
        "INVITE_CREATE",
        "INVITE_DELETE",
        "GUILD_BAN_ADD",
        "GUILD_BAN_REMOVE",
        "GUILD_AUDIT_LOG_ENTRY_CREATE",
        "GUILD_INTEGRATIONS_UPDATE",
        "APPLICATION_COMMAND_PERMISSIONS_UPDATE",
        "AUTO_MODERATION_ACTION_EXECUTION",
        "VOICE_CHANNEL_EFFECT_SEND",
        "VOICE_SERVER_UPDATE",
        "WEBHOOKS_UPDATE",
        "MESSAGE_POLL_VOTE_ADD",
        "MESSAGE_POLL_VOTE_REMOVE",
        "NOBODY_KNOWS",
    ] {
        let before = cache.store.clone();
        let payload = json!({"guild_id": G, "new_key": [1, {"a": null}]});
        let seen = cache.one(kind, payload.clone());
        assert_eq!(seen.kind, kind);
        check(&seen, NULL, payload);
        assert!(cache.store == before);
    }
}

#[test]
fn a_resource_switched_off_gives_no_old_and_the_payload() {
    let updates = [
        (Resource::Guilds, "GUILD_UPDATE", json!({"id": G, "name": "x"})),
        (
            Resource::Channels,
            "CHANNEL_UPDATE",
            json!({"id": "200", "guild_id": G, "name": "x", "type": 0}),
        ),
        (Resource::Threads, "THREAD_UPDATE", json!({"id": "300", "guild_id": G, "name": "x"})),
        (
            Resource::Roles,
            "GUILD_ROLE_UPDATE",
            json!({"guild_id": G, "role": {"id": "20", "name": "x"}}),
        ),
        (Resource::Emojis, "GUILD_EMOJIS_UPDATE", json!({"guild_id": G, "emojis": []})),
        (Resource::Stickers, "GUILD_STICKERS_UPDATE", json!({"guild_id": G, "stickers": []})),
        (Resource::Members, "GUILD_MEMBER_UPDATE", member_entity("1", "ann", &[])),
        (Resource::Users, "USER_UPDATE", json!({"id": "1", "username": "x"})),
        (
            Resource::Presences,
            "PRESENCE_UPDATE",
            json!({"user": {"id": "1"}, "status": "dnd", "guild_id": G}),
        ),
        (
            Resource::VoiceStates,
            "VOICE_STATE_UPDATE",
            json!({"user_id": "1", "channel_id": "201", "guild_id": G}),
        ),
        (Resource::Messages, "MESSAGE_UPDATE", message("900", "x")),
        (
            Resource::StageInstances,
            "STAGE_INSTANCE_UPDATE",
            json!({"id": "500", "guild_id": G, "channel_id": "201"}),
        ),
        (
            Resource::ScheduledEvents,
            "GUILD_SCHEDULED_EVENT_UPDATE",
            json!({"id": "600", "guild_id": G, "name": "x"}),
        ),
        (
            Resource::SoundboardSounds,
            "GUILD_SOUNDBOARD_SOUND_UPDATE",
            json!({"sound_id": "700", "guild_id": G, "name": "x"}),
        ),
        (
            Resource::Integrations,
            "INTEGRATION_UPDATE",
            json!({"id": "81", "guild_id": G, "name": "x"}),
        ),
        (
            Resource::AutomodRules,
            "AUTO_MODERATION_RULE_UPDATE",
            json!({"id": "91", "guild_id": G, "name": "x"}),
        ),
    ];
    assert_eq!(updates.len(), Resource::ALL.len());
    for (resource, kind, payload) in updates {
        let mut cache = Cache::default();
        cache.settings = cache.settings.without(resource);
        cache.feed("READY", json!({"user": user("1", "ann"), "guilds": [{"id": G}]}));
        cache.feed("GUILD_CREATE", guild());
        cache.feed("MESSAGE_CREATE", message("900", "a"));
        for _ in 0..2 {
            check(&cache.one(kind, payload.clone()), NULL, payload.clone());
        }
        for table in Table::ALL {
            if table.resource() == Some(resource) {
                assert_eq!(cache.store.len(table), 0, "{resource}");
            }
        }
        cache.feed("GUILD_DELETE", json!({"id": G}));
        for table in Table::OF_GUILD {
            assert_eq!(cache.store.len(table), 0, "{resource} {table:?}");
        }
    }
}

//! Channels and threads.

use mixcord_state::Table;
use serde_json::json;

use super::*;

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
    cache.at.member_events = true;
    let back = json!({"id": "301", "user_id": "1", "flags": 0, "member": member("1", "ann", &[]), "presence": null});
    let members = json!({"id": "301", "guild_id": G, "member_count": 6, "added_members": [back]});
    check(&cache.one("THREAD_MEMBERS_UPDATE", members.clone()), thread.clone(), members);
    let own = json!({"id": "301", "user_id": "1", "flags": 0});
    let thread = plus(thread, json!({"member_count": 6, "member": own}));
    let update = json!({"id": "301", "guild_id": G});
    check(&cache.one("THREAD_UPDATE", update), thread.clone(), thread);
    let sync = json!({"guild_id": G, "channel_ids": ["200"], "threads": [{"id": "302", "guild_id": G, "parent_id": "200", "name": "s", "type": 11}], "members": [{"id": "302", "user_id": "1"}]});
    check(&cache.one("THREAD_LIST_SYNC", sync.clone()), NULL, sync);
    let delete = json!({"id": "301", "guild_id": G, "parent_id": "200", "type": 11});
    check(&cache.one("THREAD_DELETE", delete.clone()), NULL, delete);
    let delete = json!({"id": "302", "guild_id": G, "parent_id": "200", "type": 11});
    let synced = json!({"id": "302", "guild_id": G, "parent_id": "200", "name": "s", "type": 11, "member": {"id": "302", "user_id": "1"}});
    check(&cache.one("THREAD_DELETE", delete.clone()), synced, delete);
}

#[test]
fn private_channels_have_no_guild() {
    let mut cache = Cache::default();
    let created = json!({"id": "800", "type": 1, "recipients": [user("7", "dan")]});
    check(&cache.one("CHANNEL_CREATE", created.clone()), NULL, created.clone());
    let message = json!({"id": "900", "channel_id": "800", "author": user("7", "dan")});
    cache.feed("MESSAGE_CREATE", message);
    let pins = json!({"channel_id": "800", "last_pin_timestamp": "2020-01-01T00:00:00Z"});
    let held = plus(created, json!({"last_message_id": "900"}));
    check(&cache.one("CHANNEL_PINS_UPDATE", pins.clone()), held.clone(), pins);
    let held = plus(held, json!({"last_pin_timestamp": "2020-01-01T00:00:00Z"}));
    let delete = json!({"id": "800", "type": 1});
    check(&cache.one("CHANNEL_DELETE", delete.clone()), held, delete);
    assert!(cache.store.is_empty(), "{:?}", cache.store);
}

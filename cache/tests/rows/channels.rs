//! Channels and threads.

use mixcord_cache::store::Store as _;
use mixcord_event::Document;
use mixcord_state::tables::{CHANNEL_MAP, THREADS};
use mixcord_state::{Read as _, Table};
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

/// C-11: an archived thread goes once it is archived for so long, with its messages and all that is known of
/// it; one that was opened again stays, and counts anew when it is archived again.
#[test]
fn archived_threads_go_by_age() {
    let mut cache = with_guild();
    cache.settings.threads_age = std::time::Duration::from_secs(600);
    let thread = |id: u64, archived: bool| {
        json!({"id": id.to_string(), "guild_id": G, "type": 11, "name": "t", "parent_id": "200",
            "thread_metadata": {"archived": archived}})
    };
    let minute = 60_000_000;
    for id in 1000..1010 {
        cache.feed("THREAD_CREATE", thread(id, false));
        let message = json!({"id": (id + 5000).to_string(), "channel_id": id.to_string(), "guild_id": G, "content": "c"});
        cache.feed("MESSAGE_CREATE", message);
        cache.feed("THREAD_UPDATE", thread(id, true));
    }
    cache.at.us += 5 * minute;
    cache.feed("THREAD_UPDATE", thread(1003, false));
    cache.feed("THREAD_UPDATE", thread(1003, true));
    cache.feed("THREAD_UPDATE", thread(1004, false));
    assert_eq!(cache.store.len(Table::Threads), 11);
    cache.at.us += 5 * minute + 1_000_000;
    let is_there = |cache: &Cache, id| cache.store.get(THREADS.at(100, id)).unwrap().is_some();
    let update = thread(1009, false);
    cache.feed("THREAD_UPDATE", update);
    assert!(is_there(&cache, 1009), "opened again in time");
    let left: Vec<u64> = (1000..1010).filter(|id| is_there(&cache, *id)).collect();
    assert_eq!(left, [1003, 1004, 1009]);
    assert_eq!((cache.store.len(Table::Messages), cache.store.len(Table::Archived)), (3, 2));
    cache.at.us += 5 * minute;
    cache.feed("THREAD_UPDATE", thread(1009, false));
    assert!(!is_there(&cache, 1003));
    assert_eq!(cache.store.len(Table::Archived), 0);
    // Its next event brings it again.
    let seen = cache.one("THREAD_UPDATE", thread(1000, false));
    check(&seen, NULL, thread(1000, false));
    assert!(is_there(&cache, 1000));
    invariants::check(&cache.store);
}

/// Of many that are due at once some go with each event.
#[test]
fn many_archived_threads_go_some_at_a_time() {
    let mut cache = with_guild();
    cache.settings.threads_age = std::time::Duration::from_secs(600);
    let thread = |id: u64, archived: bool| {
        json!({"id": id.to_string(), "guild_id": G, "type": 11, "name": "t", "parent_id": "200",
            "thread_metadata": {"archived": archived}})
    };
    for id in 1000..1020 {
        cache.feed("THREAD_CREATE", thread(id, true));
    }
    cache.at.us += 700_000_000;
    let mut left = Vec::new();
    for id in 2000..2004 {
        cache.feed("THREAD_CREATE", thread(id, false));
        left.push(cache.store.len(Table::Archived) / 2);
    }
    assert_eq!(left, [12, 4, 0, 0]);
}

/// An entry that a cache of before left behind, which knows no such entries: its thread was opened again, or is gone
/// with its guild.
#[test]
fn p11_what_is_archived_no_more_stays_whatever_its_entry_says() {
    let mut cache = with_guild();
    cache.settings.threads_age = std::time::Duration::from_secs(600);
    let thread = |id: u64, archived: bool| {
        json!({"id": id.to_string(), "guild_id": G, "type": 11, "name": "t", "parent_id": "200",
            "thread_metadata": {"archived": archived}})
    };
    for id in 1000..1003 {
        cache.feed("THREAD_CREATE", thread(id, true));
        let message = json!({"id": (id + 5000).to_string(), "channel_id": id.to_string(), "guild_id": G, "content": "c"});
        cache.feed("MESSAGE_CREATE", message);
    }
    let open = Document::from_json(&thread(1000, false).to_string()).unwrap();
    cache.store.put(THREADS.at(100, 1000), &[open.as_bytes()]);
    cache.store.delete(THREADS.at(100, 1001));
    cache.at.us += 700_000_000;
    cache.feed("THREAD_UPDATE", thread(300, false));
    let is_there = |key| cache.store.get(key).unwrap().is_some();
    assert!(is_there(THREADS.at(100, 1000)));
    assert!(is_there(CHANNEL_MAP.at(1001)), "its messages go by their own age");
    assert!(!is_there(THREADS.at(100, 1002)));
    assert_eq!((cache.store.len(Table::Messages), cache.store.len(Table::Archived)), (2, 0));
}

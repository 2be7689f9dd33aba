//! Messages and their reactions.

use mixcord_cache::store::Store;
use mixcord_event::{Document, Flags};
use mixcord_state::tables::CHANNEL_MAP;
use mixcord_state::{Cached, ChannelFacts, Table};
use serde_json::json;

use super::*;

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
    // Messages of another channel have this one's go.
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
fn the_own_reaction_is_counted_once() {
    let mut cache = with_guild();
    cache.feed("MESSAGE_CREATE", message("900", "a"));
    let mine = json!({"user_id": "1", "channel_id": "200", "message_id": "900", "guild_id": G, "emoji": {"id": null, "name": "x"}, "burst": false});
    let other = plus(mine.clone(), json!({"user_id": "2"}));
    let count = |cache: &mut Cache| {
        let touch = json!({"id": "900", "channel_id": "200", "guild_id": G});
        cache.one("MESSAGE_UPDATE", touch).old["reactions"][0]["count"].clone()
    };
    for (kind, payload, after) in [
        ("MESSAGE_REACTION_ADD", &mine, 1),
        ("MESSAGE_REACTION_ADD", &mine, 1),
        ("MESSAGE_REACTION_ADD", &other, 2),
        ("MESSAGE_REACTION_REMOVE", &mine, 1),
        ("MESSAGE_REACTION_REMOVE", &mine, 1),
    ] {
        cache.feed(kind, payload.clone());
        assert_eq!(count(&mut cache), after, "{kind}");
    }
}

#[test]
fn an_id_listed_twice_is_deleted_once() {
    let mut cache = with_guild();
    cache.feed("MESSAGE_CREATE", message("900", "a"));
    let bulk = json!({"ids": ["900", "900"], "channel_id": "200", "guild_id": G});
    check(&cache.one("MESSAGE_DELETE_BULK", bulk.clone()), json!([message("900", "a")]), bulk);
}

/// A message whose own event was missed comes by its update, newer than the channel's last one.
#[test]
fn the_count_of_a_history_is_right_whichever_way_messages_come() {
    let mut cache = with_guild();
    cache.settings.messages_per_channel = 2;
    cache.feed("MESSAGE_CREATE", message("900", "a"));
    cache.feed("MESSAGE_UPDATE", message("905", "b"));
    cache.feed("MESSAGE_CREATE", message("905", "c"));
    assert_eq!(cache.store.len(Table::Messages), 2, "one of them twice");
    let delete = json!({"id": "900", "channel_id": "200", "guild_id": G});
    assert_eq!(cache.one("MESSAGE_DELETE", delete).old["content"], "a");
}

#[test]
fn nothing_is_left_of_a_private_channel_without_messages() {
    let mut cache = Cache::default();
    cache.feed("MESSAGE_CREATE", json!({"id": "900", "channel_id": "800", "content": ""}));
    cache.feed("MESSAGE_DELETE", json!({"id": "900", "channel_id": "800"}));
    assert_eq!(cache.store.len(Table::ChannelFacts), 0);
    assert_eq!(cache.store.len(Table::ChannelMap), 0);
}

/// Who did not say in which guild a channel is, or said another one, does not part it from its history.
#[test]
fn a_history_goes_with_its_channel_to_another_guild() {
    let mut cache = Cache::default();
    let told = |id: &str| json!({"id": id, "channel_id": "200", "content": id});
    for id in ["900", "901", "902"] {
        cache.feed("MESSAGE_CREATE", told(id));
    }
    cache.feed("GUILD_CREATE", guild());
    let delete = |id: &str| json!({"id": id, "channel_id": "200", "guild_id": G});
    check(&cache.one("MESSAGE_DELETE", delete("900")), told("900"), delete("900"));
    let elsewhere = json!({"id": "901", "channel_id": "200", "guild_id": "101"});
    check(&cache.one("MESSAGE_DELETE", elsewhere.clone()), told("901"), elsewhere);
    check(&cache.one("MESSAGE_DELETE", delete("902")), told("902"), delete("902"));
    cache.feed("MESSAGE_CREATE", told("903"));
    cache.feed("GUILD_DELETE", json!({"id": G}));
    for table in [Table::Messages, Table::ChannelFacts, Table::ChannelMap, Table::Channels] {
        assert_eq!(cache.store.len(table), 0, "{table:?}");
    }
}

#[test]
fn a_message_older_than_a_full_history_is_not_kept() {
    let mut cache = with_guild();
    cache.settings.messages_per_channel = 2;
    for id in ["905", "906"] {
        cache.feed("MESSAGE_CREATE", message(id, ""));
    }
    let late = plus(message("900", ""), json!({"edited_timestamp": "2020-01-02T00:00:00Z"}));
    check(&cache.one("MESSAGE_UPDATE", late.clone()), NULL, late.clone());
    check(&cache.one("MESSAGE_UPDATE", late.clone()), NULL, late);
    invariants::check(&cache.store);
    assert_eq!(cache.store.len(Table::Messages), 2);
}

/// Discord never does that. The later one is kept, and nothing stays when both are gone.
#[test]
fn one_id_in_two_channels_at_one_instant_leaves_nothing_behind() {
    let mut cache = with_guild();
    let other = plus(message("900", "b"), json!({"channel_id": "201"}));
    cache.feed("MESSAGE_CREATE", message("900", "a"));
    cache.at.us -= 1;
    cache.feed("MESSAGE_CREATE", other);
    assert_eq!(cache.store.len(Table::Messages), 1);
    for channel in ["200", "201"] {
        cache.feed("MESSAGE_DELETE", json!({"id": "900", "channel_id": channel, "guild_id": G}));
    }
    assert_eq!(cache.store.len(Table::Messages), 0);
    invariants::check(&cache.store);
}

/// A history of very many messages, in the channel of [`message`].
fn with_long_history(count: u64) -> Cache {
    let mut cache = with_guild();
    cache.settings.messages_per_channel = u32::MAX;
    let mut facts = ChannelFacts::of(100);
    for id in 1..=count {
        let message = Cached { id, received_us: cache.at.us };
        facts.insert(message);
        let document = json!({"id": id.to_string(), "channel_id": "200"}).to_string();
        let document = Document::from_json(&document).unwrap();
        cache.store.put(message.key(), &[document.as_bytes()]);
    }
    cache.store.put(CHANNEL_MAP.at(200), &[facts.as_bytes()]);
    cache.changes = Default::default();
    cache
}

/// Taken out one by one, they would be moved hundreds of gigabytes about: this takes seconds, or minutes.
const VERY_MANY: u64 = 200_000;

#[test]
fn a_long_history_is_deleted_at_once() {
    let mut cache = with_long_history(VERY_MANY);
    let ids: Vec<String> = (1..VERY_MANY).rev().map(|id| id.to_string()).collect();
    let bulk = json!({"ids": ids, "channel_id": "200", "guild_id": G});
    let seen = cache.one("MESSAGE_DELETE_BULK", bulk);
    assert_eq!(seen.old.as_array().unwrap().len() as u64, VERY_MANY - 1);
    assert_eq!(cache.store.len(Table::Messages), 1);
    invariants::check(&cache.store);
}

#[test]
fn a_long_history_grows_old_at_once() {
    let mut cache = with_long_history(VERY_MANY);
    cache.at.us += 86_400_000_000;
    cache.feed("MESSAGE_CREATE", message("999999999", ""));
    assert_eq!(cache.store.len(Table::Messages), 1);
    invariants::check(&cache.store);
}

/// An edit of a message from before a full history is not cached, and writes nothing.
#[test]
fn a_message_from_before_a_full_history_has_no_place_in_it() {
    use crate::common::overlay::Changes;
    let mut cache = with_guild();
    cache.settings.messages_per_channel = 2;
    cache.feed("MESSAGE_CREATE", message("901", "a"));
    cache.feed("MESSAGE_CREATE", message("902", "b"));
    let mut changes = Changes::default();
    changes.over(&cache.store, |store| {
        let update = message("900", "c");
        crate::common::feed(store, &cache.settings, "MESSAGE_UPDATE", &update, cache.at)
    });
    let written = changes.commit().filter(|(key, _)| key.table() == Table::Messages);
    assert_eq!(written.count(), 0);
    let update = cache.one("MESSAGE_UPDATE", message("900", "d"));
    assert_eq!(update.old, NULL);
    assert_eq!(cache.one("MESSAGE_UPDATE", message("901", "d")).old["content"], "a");
}

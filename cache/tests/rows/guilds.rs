//! Guilds and what is delivered with them.

use mixcord_event::Flags;
use mixcord_state::{Resource, Table};
use serde_json::{Value as Json, json};

use super::*;

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
    for table in mixcord_state::tables::OF_GUILD {
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
    let again = cache.one("GUILD_CREATE", plus(guild(), json!({"unavailable": false})));
    assert_eq!(again.reason, Some("available"), "nobody joined");
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
fn a_guild_that_comes_again_has_only_the_lists_it_brings() {
    let mut cache = with_guild();
    let bare = json!({"id": G, "name": "bare"});
    check(&cache.one("GUILD_CREATE", bare.clone()), cached_guild(), bare.clone());
    let seen = cache.one("GUILD_UPDATE", json!({"id": G}));
    check(
        &seen,
        plus(bare.clone(), json!({"member_count": 2})),
        plus(bare, json!({"member_count": 2})),
    );
    for table in [Table::Roles, Table::Emojis, Table::Channels, Table::ScheduledEvents] {
        assert_eq!(cache.store.len(table), 0, "{table:?}");
    }
    assert_eq!(cache.store.len(Table::Members), 2);
}

#[test]
fn guild_update_sets_roles_also_where_guilds_are_not_cached() {
    let mut cache = Cache::default();
    cache.settings = cache.settings.without(Resource::Guilds);
    cache.feed("GUILD_CREATE", guild());
    let update = json!({"id": G, "roles": [{"id": "30", "name": "c"}]});
    check(&cache.one("GUILD_UPDATE", update.clone()), NULL, update);
    let delete = cache.one("GUILD_ROLE_DELETE", json!({"guild_id": G, "role_id": "30"}));
    assert_eq!(delete.old["name"], "c");
    assert_eq!(cache.one("GUILD_ROLE_DELETE", json!({"guild_id": G, "role_id": "20"})).old, NULL);
}

#[test]
fn the_same_event_twice_makes_no_phantom_change() {
    let mut cache = with_guild();
    for (kind, payload) in [
        ("GUILD_UPDATE", json!({"id": G, "name": "n"})),
        ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": G, "type": 0, "name": "n"})),
        ("GUILD_ROLE_UPDATE", json!({"guild_id": G, "role": {"id": "20", "name": "n"}})),
        ("GUILD_MEMBER_UPDATE", member_entity("1", "ann", &["30"])),
        ("GUILD_MEMBER_ADD", member_entity("3", "cyd", &[])),
        ("GUILD_SCHEDULED_EVENT_UPDATE", json!({"id": "600", "guild_id": G, "name": "n"})),
        ("PRESENCE_UPDATE", json!({"user": {"id": "1"}, "status": "idle", "guild_id": G})),
    ] {
        let first = cache.one(kind, payload.clone());
        let held = cache.store.clone();
        let second = cache.one(kind, payload);
        let entity = if kind == "GUILD_ROLE_UPDATE" { &first.data["role"] } else { &first.data };
        assert_eq!((&second.old, &second.data), (entity, &first.data), "{kind}");
        assert!(cache.store == held, "{kind}");
    }
    for (kind, payload) in [
        ("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("3", "cyd")})),
        ("CHANNEL_DELETE", json!({"id": "200", "guild_id": G})),
        ("GUILD_DELETE", json!({"id": G})),
        ("GUILD_DELETE", json!({"id": G})),
    ] {
        cache.feed(kind, payload.clone());
        assert_eq!(cache.one(kind, payload).old, NULL, "{kind}");
    }
}

/// P7: what a guild's end changes is held in memory until the commit.
#[test]
fn a_ready_is_cut_where_its_changes_are_many_and_goes_on_behind() {
    use crate::common::overlay::Changes;
    use mixcord_cache::annotate::{Outputs, Slice, annotate};
    use mixcord_cache::store::Store;
    use mixcord_event::Record;
    let mut cache = Cache::default();
    for id in ["101", "102", "103"] {
        cache.feed("GUILD_CREATE", plus(guild(), json!({"id": id, "threads": []})));
    }
    let ready = json!({"user": user("1", "ann"), "guilds": []});
    let bytes = common::record_bytes("READY", &ready, cache.at);
    let record = Record::parse(&bytes).unwrap();
    let (mut changes, mut outputs) = (Changes::default(), Outputs::default());
    let mut lengths: Vec<u16> = Vec::new();
    loop {
        // Of one guild that is less than its keys take, but more than is written.
        let slice = Slice { from: lengths.iter().sum(), changes: 1000, ..Slice::WHOLE };
        let all = changes.over(&cache.store, |store| {
            annotate(store, &cache.settings, &record, slice, &mut outputs).unwrap()
        });
        lengths.push(outputs.items().len() as u16);
        for (key, value) in changes.commit() {
            match value {
                Some(value) => cache.store.put(key, &[&value]),
                None => cache.store.delete(key),
            }
        }
        if all {
            break;
        }
    }
    assert_eq!(lengths, [2, 1, 1], "READY with the first guild, then one by one");
    assert_eq!(cache.store.len(mixcord_state::Table::GuildFacts), 0);
}

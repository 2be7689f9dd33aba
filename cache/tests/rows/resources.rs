//! Events without a row, and resources that are switched off.

use mixcord_cache::settings::Settings;
use mixcord_state::{Resource, Table};
use serde_json::json;

use super::*;

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
        for table in mixcord_state::tables::OF_GUILD {
            assert_eq!(cache.store.len(table), 0, "{resource} {table:?}");
        }
    }
}

/// What the bot's own user is stands in the state whatever is cached.
#[test]
fn the_own_user_stays_up_to_date_where_users_are_not_cached() {
    let mut cache = Cache::default();
    cache.feed("READY", json!({"user": user("1", "ann"), "guilds": []}));
    cache.settings = Settings::default().without(Resource::Users);
    let renamed = json!({"id": "1", "username": "eve"});
    check(&cache.one("USER_UPDATE", renamed.clone()), NULL, renamed);
    cache.settings = Settings::default();
    let again = json!({"id": "1", "username": "eva"});
    check(&cache.one("USER_UPDATE", again), user("1", "eve"), user("1", "eva"));
}

/// Roles that are switched on fill from events: a list with some of them would say there are no others.
#[test]
fn a_guild_has_no_list_of_roles_before_somebody_told_them_all() {
    let settings = Settings::default().without(Resource::Roles);
    let mut cache = Cache { settings, ..Cache::default() };
    cache.feed("GUILD_CREATE", guild());
    cache.settings = Settings::default();
    let created = json!({"guild_id": G, "role": {"id": "50", "name": "n"}});
    cache.feed("GUILD_ROLE_CREATE", created);
    let seen = cache.one("GUILD_UPDATE", json!({"id": G, "roles": [{"id": "50", "name": "m"}]}));
    assert_eq!(seen.old.get("roles"), None);
    let seen = cache.one("GUILD_ROLE_DELETE", json!({"guild_id": G, "role_id": "50"}));
    assert_eq!(seen.old["name"], "m");
}

/// Of channels and threads that are not cached nothing stays but the messages there are.
#[test]
fn channels_and_threads_that_are_off_leave_nothing_behind() {
    for off in [Resource::Threads, Resource::Channels] {
        let mut cache = Cache::default();
        cache.settings = cache.settings.clone().without(off);
        let channels: Vec<_> =
            (200..250).map(|id| json!({"id": id.to_string(), "type": 0})).collect();
        cache.feed("GUILD_CREATE", json!({"id": G, "name": "g", "channels": channels}));
        let (known, strays) = (Table::ChannelMap, Table::ChannelFacts);
        let before = cache.store.len(known);
        for id in 1000..1050 {
            let thread = json!({"id": id.to_string(), "guild_id": G, "parent_id": "200", "type": 11, "name": "t"});
            cache.feed("THREAD_CREATE", thread);
        }
        let (kept, there) = match off {
            Resource::Threads => (cache.store.len(Table::Channels), before),
            _ => (cache.store.len(Table::Threads), 50),
        };
        assert_eq!((kept, cache.store.len(known), cache.store.len(strays)), (50, there, 0));
        // A message says of its channel that it is, for as long as it is kept.
        let at = if off == Resource::Threads { "1000" } else { "200" };
        let said = |id: &str| json!({"id": id, "channel_id": at, "guild_id": G, "content": ""});
        cache.feed("MESSAGE_CREATE", said("5000"));
        assert_eq!((cache.store.len(known), cache.store.len(strays)), (there + 1, 1));
        cache.feed("MESSAGE_DELETE", said("5000"));
        assert_eq!((cache.store.len(known), cache.store.len(strays)), (there, 0));
    }
}

/// The same when one is switched off that an earlier run cached.
#[test]
fn channels_that_are_switched_off_leave_nothing_behind() {
    use mixcord_cache::annotate::forget_uncached;
    let mut cache = with_guild();
    cache.feed("MESSAGE_CREATE", message("900", "kept"));
    cache.settings = cache.settings.clone().without(Resource::Channels).without(Resource::Threads);
    forget_uncached(&mut cache.store, &cache.settings).unwrap();
    for table in [Table::ChannelFacts, Table::ChannelMap, Table::Messages] {
        assert_eq!(cache.store.len(table), 1, "{table:?}");
    }
}

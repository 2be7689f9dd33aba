//! Members, users, presences, voice states.

use mixcord_cache::settings::Settings;
use mixcord_cache::store::Store as _;
use mixcord_event::{Document, Flags};
use mixcord_state::tables::VOICE_STATES;
use mixcord_state::{Read as _, Resource, Table};
use serde_json::json;

use super::*;

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
    let seen = cache.feed("VOICE_STATE_UPDATE", muted.clone());
    // The member as it was, with which GUILD_CREATE does not bother.
    check(&seen[0], plus(held, json!({"member": member("1", "ann", &["20"])})), muted.clone());
    let changed = member_entity("1", "ann", &[]);
    check(&seen[1], plus(changed.clone(), json!({"roles": ["20"]})), changed);
    assert_eq!((seen.len(), seen[1].kind.as_str()), (2, "GUILD_MEMBER_UPDATE"));
    let left = json!({"user_id": "1", "channel_id": null, "guild_id": G});
    check(&cache.one("VOICE_STATE_UPDATE", left.clone()), muted, left.clone());
    check(&cache.one("VOICE_STATE_UPDATE", left.clone()), NULL, left);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("1", "ann")}));
    assert_eq!(seen.old["roles"], json!([]), "refreshed by the voice state's member");
}

/// C-16: a member is kept once, and is the same wherever it is seen. Who is no member that is cached stays
/// in the voice state.
#[test]
fn the_member_of_a_voice_state_is_kept_as_a_member_alone() {
    let mut cache = with_guild();
    let state = json!({"user_id": "2", "channel_id": "201", "guild_id": G, "member": member("2", "bob", &[])});
    cache.feed("VOICE_STATE_UPDATE", state.clone());
    let stored = |cache: &Cache, user| {
        cache.store.get(VOICE_STATES.at(100, user)).unwrap().map(crate::common::json)
    };
    let mut own = state.clone();
    own.as_object_mut().unwrap().remove("member");
    assert_eq!(stored(&cache, 2), Some(own.clone()));
    let update = json!({"guild_id": G, "user": user("2", "bob"), "nick": "b"});
    cache.feed("GUILD_MEMBER_UPDATE", update);
    let muted = plus(state.clone(), json!({"mute": true}));
    let seen = cache.feed("VOICE_STATE_UPDATE", muted);
    let renamed = plus(member("2", "bob", &[]), json!({"nick": "b"}));
    assert_eq!(seen[0].old, plus(state.clone(), json!({"member": renamed})), "no old copy of it");

    // As a release wrote it that kept the copy.
    let copied = Document::from_json(&state.to_string()).unwrap();
    cache.store.put(VOICE_STATES.at(100, 2), &[copied.as_bytes()]);
    cache.feed("GUILD_MEMBER_UPDATE", json!({"guild_id": G, "user": {"id": "2"}, "nick": "c"}));
    let seen = cache.feed("VOICE_STATE_UPDATE", plus(own.clone(), json!({"deaf": true})));
    assert_eq!(seen[0].old["member"]["nick"], "c");
    assert_eq!(stored(&cache, 2), Some(plus(own, json!({"deaf": true}))), "and it goes");

    let mut cache = Cache { settings: Settings::default().without(Resource::Members), ..cache };
    let state = plus(state, json!({"user_id": "3", "member": member("3", "eve", &[])}));
    cache.feed("VOICE_STATE_UPDATE", state.clone());
    assert_eq!(stored(&cache, 3), Some(state));
}

#[test]
fn embedded_members_and_users_refresh_but_never_erase() {
    let mut cache = with_guild();
    let typing = json!({"channel_id": "200", "guild_id": G, "user_id": "2", "timestamp": 1, "member": {"user": user("2", "bob"), "nick": "b"}});
    let seen = cache.feed("TYPING_START", typing.clone());
    check(&seen[0], NULL, typing);
    assert_eq!((&seen[1].old["nick"], &seen[1].data["nick"]), (&NULL, &json!("b")));
    let said = json!({"id": "900", "channel_id": "200", "guild_id": G, "author": user("3", "cyd"), "member": {"roles": []}, "content": ""});
    cache.feed("MESSAGE_CREATE", said);
    assert_eq!(cache.store.len(Table::Members), 3, "member and user were both there");
    let hook = json!({"id": "901", "channel_id": "200", "guild_id": G, "author": user("9", "hook"), "webhook_id": "9", "content": ""});
    cache.feed("MESSAGE_CREATE", hook);
    assert_eq!(cache.store.len(Table::Users), 3);
    let asked = json!({"id": "5", "guild_id": G, "member": plus(member("1", "ann3", &[]), json!({"permissions": "8"})), "data": {"resolved": {"users": {"2": user("2", "bob3")}, "members": {"2": {"roles": ["20"], "permissions": "1"}}, "roles": {"30": {"id": "30", "name": "r"}}, "channels": {"200": {"id": "200", "name": "c", "permissions": "1"}}}}});
    let seen = cache.feed("INTERACTION_CREATE", asked.clone());
    check(&seen[0], NULL, asked);
    let derived: Vec<_> = seen[1..].iter().map(|seen| seen.kind.as_str()).collect();
    assert_eq!(derived, ["GUILD_MEMBER_UPDATE", "USER_UPDATE"].repeat(2));
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "2"}}));
    let expected = json!({"user": user("2", "bob3"), "roles": ["20"], "nick": "b", "joined_at": "2020-01-01T00:00:00Z", "guild_id": G});
    assert_eq!(seen.old, expected);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "1"}}));
    assert_eq!(seen.old["user"]["username"], "ann3");
    assert_eq!(seen.old["permissions"], NULL);
    // Channels and roles are told by their own events, with what they were.
    let deleted = cache.one("GUILD_ROLE_DELETE", json!({"guild_id": G, "role_id": "30"}));
    assert!(deleted.old["name"].is_string() && deleted.old["name"] != "r", "{}", deleted.old);
    let deleted = cache.one("CHANNEL_DELETE", json!({"guild_id": G, "id": "200"}));
    assert_eq!(deleted.old["name"], "general");
}

/// An interaction's follow-up has the bot as its author, and is a webhook's.
#[test]
fn a_follow_up_of_an_interaction_says_nothing_of_the_bot() {
    let mut cache = with_guild();
    let author = json!({"id": "1", "username": "ann as a webhook", "discriminator": "0000"});
    let follow_up = json!({"id": "902", "channel_id": "200", "guild_id": G, "author": author, "webhook_id": "77", "application_id": "77", "interaction_metadata": {"id": "5"}, "type": 20, "content": ""});
    check(&cache.one("MESSAGE_CREATE", follow_up.clone()), NULL, follow_up);
    let seen = cache.one("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": {"id": "1"}}));
    assert_eq!(seen.old["user"], user("1", "ann"));
}

#[test]
fn who_left_comes_back_only_by_coming_back() {
    let mut cache = with_guild();
    // More members than are known, so that a stranger may be one.
    cache.feed("GUILD_UPDATE", json!({"id": G, "member_count": 10}));
    let bob = || member_entity("2", "bob", &[]);
    cache.feed("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("2", "bob")}));
    let late = [
        ("GUILD_MEMBER_UPDATE", bob()),
        ("PRESENCE_UPDATE", json!({"guild_id": G, "user": {"id": "2"}, "status": "online"})),
        (
            "VOICE_STATE_UPDATE",
            json!({"guild_id": G, "user_id": "2", "channel_id": "201", "member": bob()}),
        ),
        ("TYPING_START", json!({"guild_id": G, "user_id": "2", "member": bob()})),
    ];
    for (kind, payload) in late.clone() {
        check(&cache.one(kind, payload.clone()), NULL, payload);
    }
    for table in [Table::Members, Table::Users, Table::Presences, Table::VoiceStates] {
        assert_eq!(cache.store.len(table), 1, "{table:?}");
    }
    cache.feed("GUILD_MEMBER_ADD", bob());
    let update = plus(bob(), json!({"nick": "b"}));
    check(&cache.one("GUILD_MEMBER_UPDATE", update.clone()), bob(), update);
    // After a while it is a member that was never seen (R5).
    cache.feed("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("2", "bob")}));
    cache.at.us += 61_000_000;
    cache.feed("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("9", "eve")}));
    assert_eq!(cache.store.len(Table::Departed), 1, "it is not remembered for ever");
    cache.feed("GUILD_MEMBER_UPDATE", bob());
    check(&cache.one("GUILD_MEMBER_UPDATE", bob()), bob(), bob());
}

#[test]
fn those_who_left_are_remembered_in_bounds() {
    let mut cache = with_guild();
    for id in 1000..1600 {
        let remove = json!({"guild_id": G, "user": {"id": id.to_string()}});
        cache.feed("GUILD_MEMBER_REMOVE", remove);
    }
    assert_eq!(cache.store.len(Table::Departed), 256);
}

#[test]
fn another_user_is_not_the_own_one() {
    let mut cache = with_guild();
    let update = json!({"id": "2", "username": "bob2"});
    let seen = cache.one("USER_UPDATE", update.clone());
    check(&seen, user("2", "bob"), plus(user("2", "bob"), update));
    let own = cache.one("USER_UPDATE", json!({"id": "1"}));
    assert_eq!(own.old, user("1", "ann"));
}

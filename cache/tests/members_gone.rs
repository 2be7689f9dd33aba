//! Whoever left a guild, or has not come yet, is not made a member by what comes late or early.

mod common;

use common::Cache;
use mixcord_cache::annotate::forget_uncached;
use mixcord_cache::settings::Settings;
use mixcord_state::tables::{MEMBERS, PRESENCES, VOICE_STATES};
use mixcord_state::{Resource, Table};
use serde_json::{Value as Json, json};

fn user(id: u64) -> Json {
    json!({"id": id.to_string(), "username": format!("user {id}")})
}

fn member(id: u64) -> Json {
    json!({"user": user(id), "roles": [], "joined_at": "2026-01-05T12:00:00+00:00", "nick": null})
}

/// A guild of two members, of whom `listed` are told.
fn guild(listed: &[u64]) -> Cache {
    let mut cache = Cache::default();
    let members: Vec<_> = listed.iter().map(|&id| member(id)).collect();
    cache.feed(
        "GUILD_CREATE",
        json!({"id": "100", "name": "g", "member_count": 2, "members": members,
               "channels": [{"id": "200", "type": 0}]}),
    );
    cache
}

fn of_guild(mut payload: Json) -> Json {
    payload["guild_id"] = json!("100");
    payload
}

fn message(content: &str) -> Json {
    of_guild(json!({"id": "300", "channel_id": "200", "author": user(2), "member": member(2),
                    "timestamp": "2026-01-05T12:00:00+00:00", "content": content}))
}

fn is_member(cache: &Cache, id: u64) -> bool {
    use mixcord_state::Read;
    cache.store.get(MEMBERS.at(100, id)).unwrap().is_some()
}

fn count(cache: &mut Cache) -> Json {
    cache.one("GUILD_UPDATE", json!({"id": "100"})).data["member_count"].clone()
}

#[test]
fn an_edited_message_does_not_bring_its_author_back() {
    for listed in [&[1, 2][..], &[1]] {
        let mut cache = guild(listed);
        cache.feed("MESSAGE_CREATE", message("before"));
        assert!(is_member(&cache, 2));
        cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(2)})));
        let seen = cache.one("MESSAGE_UPDATE", message("after"));
        assert_eq!(
            (&seen.old["content"], &seen.data["content"]),
            (&json!("before"), &json!("after"))
        );
        assert!(!is_member(&cache, 2), "{listed:?}");
        assert_eq!(count(&mut cache), json!(1), "{listed:?}");
    }
}

#[test]
fn an_edited_message_does_not_age_its_author() {
    let mut cache = guild(&[1, 2]);
    cache.feed("MESSAGE_CREATE", message("before"));
    let mut renamed = member(2);
    renamed["nick"] = json!("new");
    cache.feed("GUILD_MEMBER_UPDATE", of_guild(renamed));
    cache.feed("MESSAGE_UPDATE", message("after"));
    let seen = cache.one("GUILD_MEMBER_UPDATE", of_guild(member(2)));
    assert_eq!(seen.old["nick"], json!("new"));
}

#[test]
fn an_update_makes_no_member_where_all_are_known() {
    let mut cache = guild(&[1, 2]);
    let seen = cache.one("GUILD_MEMBER_UPDATE", of_guild(member(3)));
    assert_eq!((seen.old, seen.data), (Json::Null, of_guild(member(3))));
    assert!(!is_member(&cache, 3));
    assert_eq!(count(&mut cache), json!(2));
    // Then it joins, and is counted once.
    cache.feed("GUILD_MEMBER_ADD", of_guild(member(3)));
    assert!(is_member(&cache, 3));
    assert_eq!(count(&mut cache), json!(3));
    cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(3)})));
    cache.feed("GUILD_MEMBER_UPDATE", of_guild(member(3)));
    assert!(!is_member(&cache, 3), "a late update");
    assert_eq!(count(&mut cache), json!(2));
}

#[test]
fn an_update_makes_a_member_where_not_all_are_known() {
    let mut cache = guild(&[1]);
    cache.feed("GUILD_MEMBER_UPDATE", of_guild(member(2)));
    assert!(is_member(&cache, 2));
    assert_eq!(count(&mut cache), json!(2));
}

#[test]
fn a_thread_does_not_bring_back_who_left() {
    let mut cache = guild(&[1, 2]);
    cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(2)})));
    let added = |id: u64| {
        let presence = json!({"user": {"id": id.to_string()}, "status": "online"});
        json!({"user_id": id.to_string(), "member": member(id), "presence": presence})
    };
    let payload = json!({"id": "201", "member_count": 2, "added_members": [added(2), added(3)]});
    cache.feed("THREAD_MEMBERS_UPDATE", of_guild(payload));
    let is_present = |id| {
        use mixcord_state::Read;
        cache.store.get(PRESENCES.at(100, id)).unwrap().is_some()
    };
    assert_eq!([2, 3].map(|id| is_member(&cache, id)), [false, true]);
    assert_eq!([2, 3].map(is_present), [false, true]);
}

#[test]
fn who_left_long_ago_may_have_come_back_unseen() {
    let mut cache = guild(&[1, 2]);
    // Not everybody is known: an update may be of somebody whose arrival was not seen.
    cache.feed("GUILD_MEMBER_ADD", of_guild(member(3)));
    cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(2)})));
    let voice = of_guild(json!({"channel_id": "200", "user_id": "2", "session_id": "s"}));
    let speaks = |cache: &Cache| {
        use mixcord_state::Read;
        cache.store.get(VOICE_STATES.at(100, 2)).unwrap().is_some()
    };
    cache.feed("VOICE_STATE_UPDATE", voice.clone());
    assert!(!speaks(&cache), "a moment ago");
    cache.at.us += 59_000_000;
    cache.feed("VOICE_STATE_UPDATE", voice.clone());
    assert!(!speaks(&cache), "within a minute");
    cache.at.us += 2_000_000;
    cache.feed("VOICE_STATE_UPDATE", voice);
    assert!(speaks(&cache), "long ago");
}

#[test]
fn of_many_who_left_the_last_are_remembered() {
    let mut cache = guild(&[1, 2]);
    for id in 1000..1400 {
        cache.feed("GUILD_MEMBER_ADD", of_guild(member(id)));
    }
    for id in 1000..1400 {
        cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(id)})));
    }
    let presence = |id: u64| of_guild(json!({"user": {"id": id.to_string()}, "status": "online"}));
    let present = |cache: &Cache, id| {
        use mixcord_state::Read;
        cache.store.get(PRESENCES.at(100, id)).unwrap().is_some()
    };
    for id in [1399, 1200] {
        cache.feed("PRESENCE_UPDATE", presence(id));
        assert!(!present(&cache, id), "{id}");
    }
}

/// Where members are not cached it is remembered all the same who left, and forgotten once they are back.
#[test]
fn whoever_comes_back_is_present_again_also_where_members_are_not_cached() {
    for how in ["GUILD_MEMBER_ADD", "GUILD_MEMBERS_CHUNK", "GUILD_CREATE"] {
        let mut cache = guild(&[1, 2]);
        cache.settings = Settings::default().without(Resource::Members);
        forget_uncached(&mut cache.store, &cache.settings).unwrap();
        cache.changes = Default::default();
        let present = |cache: &mut Cache| {
            let presence = json!({"user": {"id": "2"}, "status": "online"});
            cache.feed("PRESENCE_UPDATE", of_guild(presence));
            cache.store.len(Table::Presences) == 1
        };
        cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(2)})));
        assert!(!present(&mut cache), "it left a moment ago");
        let members = json!({"id": "100", "members": [member(1), member(2)]});
        match how {
            "GUILD_MEMBER_ADD" => cache.feed(how, of_guild(member(2))),
            "GUILD_CREATE" => cache.feed(how, members),
            _ => cache.feed(how, of_guild(members)),
        };
        assert!(present(&mut cache), "{how}");
    }
}

/// The welcome message is another service's event, and may come before GUILD_MEMBER_ADD.
#[test]
fn whoever_is_seen_before_they_are_added_is_counted_when_they_are() {
    for early in ["MESSAGE_CREATE", "GUILD_MEMBER_UPDATE"] {
        let mut cache = guild(&[1]);
        let payload = match early {
            "MESSAGE_CREATE" => message("welcome"),
            _ => of_guild(member(2)),
        };
        cache.feed(early, payload);
        assert!(is_member(&cache, 2));
        assert_eq!(count(&mut cache), json!(2), "{early}");
        let seen = cache.one("GUILD_MEMBER_ADD", of_guild(member(2)));
        assert_eq!(seen.old["user"], user(2), "{early}");
        assert_eq!(count(&mut cache), json!(3), "{early}");
        cache.feed("GUILD_MEMBER_ADD", of_guild(member(2)));
        assert_eq!(count(&mut cache), json!(3), "the same join");
        cache.feed("GUILD_MEMBER_REMOVE", of_guild(json!({"user": user(2)})));
        assert_eq!(count(&mut cache), json!(2), "{early}");
    }
}

/// Who is only seen does not make it so that everybody is known.
#[test]
fn a_real_member_is_not_taken_for_a_stranger_because_others_were_seen() {
    // 9 is a member and not listed.
    let mut cache = guild(&[1]);
    cache.feed("MESSAGE_CREATE", message("welcome"));
    for added in [false, true] {
        if added {
            cache.feed("GUILD_MEMBER_ADD", of_guild(member(2)));
        }
        let presence = of_guild(json!({"user": {"id": "9"}, "status": "online"}));
        cache.feed("PRESENCE_UPDATE", presence.clone());
        assert_eq!(cache.one("PRESENCE_UPDATE", presence.clone()).old, presence, "{added}");
        cache.feed("GUILD_MEMBER_UPDATE", of_guild(member(9)));
        let seen = cache.one("GUILD_MEMBER_UPDATE", of_guild(member(9)));
        assert_eq!(seen.old["user"], user(9), "{added}");
    }
    // A list names whom it counts.
    cache.feed(
        "GUILD_MEMBERS_CHUNK",
        of_guild(json!({"members": [member(1), member(2), member(9)]})),
    );
    assert_eq!(count(&mut cache), json!(3));
    assert_eq!(cache.store.len(Table::Uncounted), 0);
    cache.feed("GUILD_MEMBER_UPDATE", of_guild(member(3)));
    assert!(!is_member(&cache, 3), "now everybody is known");
}

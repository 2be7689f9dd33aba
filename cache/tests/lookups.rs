//! How often the store is asked: what is known already is not looked up again.

mod common;

use common::asked::{asked, asked_keys};
use common::{Cache, record_bytes};
use mixcord_cache::annotate::{Names, Wants};
use mixcord_cache::store::Subject;
use mixcord_event::Record;
use mixcord_state::tables::{MEMBERS, USERS};
use mixcord_state::{Read, Table, compose};
use serde_json::{Value as Json, json};

fn member(id: u64) -> Json {
    let user = json!({"id": id.to_string(), "username": "a"});
    json!({"guild_id": "100", "user": user, "roles": [], "joined_at": null})
}

fn guild(members: u64) -> Json {
    let members: Vec<_> = (0..members).map(member).collect();
    json!({"id": "100", "name": "g", "member_count": members.len(), "members": members})
}

#[test]
fn whether_somebody_left_is_asked_once_for_a_list_of_members() {
    let mut cache = Cache::default();
    let mut times =
        |kind: &str, payload: &Json| asked(&mut cache, &[Table::Departed], kind, payload).len();
    assert_eq!(times("GUILD_CREATE", &guild(100)), 1);
    let chunk = json!({"guild_id": "100", "members": (120..190).map(member).collect::<Vec<_>>()});
    assert_eq!(times("GUILD_MEMBERS_CHUNK", &chunk), 1);
    let presence = json!({"guild_id": "100", "user": {"id": "5"}, "status": "online"});
    assert_eq!(times("PRESENCE_UPDATE", &presence), 0, "all are known");
}

#[test]
fn facts_of_a_guild_are_read_once_for_a_member() {
    let mut cache = Cache::default();
    cache.feed("GUILD_CREATE", guild(10));
    for (kind, id) in [("GUILD_MEMBER_ADD", 77), ("GUILD_MEMBER_UPDATE", 1)] {
        let asked = asked(&mut cache, &[Table::GuildFacts], kind, &member(id));
        assert_eq!(asked.len(), 1, "{kind}");
    }
}

/// What is sent for ahead of an event is what it then asks for; a guess that is not would cost time and do
/// nothing.
#[test]
fn what_an_event_wants_is_what_it_asks_for() {
    let voice =
        json!({"guild_id": "100", "user_id": "17", "channel_id": "9", "member": member(17)});
    let message = |author: u64| {
        let user = member(author)["user"].clone();
        json!({
            "guild_id": "100", "channel_id": "200", "id": "300", "author": user, "member": {"roles": []},
            "timestamp": "2026-11-19T10:00:00.000000+00:00"
        })
    };
    let reaction = json!({"guild_id": "100", "channel_id": "200", "message_id": "300", "user_id": "4", "emoji": {}});
    let wanted = [
        (
            "PRESENCE_UPDATE",
            json!({"guild_id": "100", "user": {"id": "5"}, "status": "idle"}),
            1,
            0,
        ),
        ("MESSAGE_CREATE", message(15), 2, 2),
        ("MESSAGE_UPDATE", message(1), 1, 0),
        ("MESSAGE_REACTION_ADD", reaction, 1, 0),
        ("GUILD_MEMBER_UPDATE", member(2), 3, 0),
        ("VOICE_STATE_UPDATE", voice, 4, 2),
        ("TYPING_START", json!({"guild_id": "100", "user_id": "16", "member": member(16)}), 0, 2),
        ("MESSAGE_DELETE", message(1), 1, 0),
    ];
    let mut cache = Cache::default();
    // Some are not cached, so that every member that an event carries is looked up.
    let mut created = guild(10);
    created["member_count"] = json!(20);
    cache.feed("GUILD_CREATE", created);
    for (kind, payload, keys, people) in wanted {
        let bytes = record_bytes(kind, &payload, cache.at);
        let record = Record::parse_head(&bytes).unwrap();
        let wants = Wants::of(&record, &Names::of(record.data().as_map().unwrap()), true);
        if let Some((channel, id)) = wants.message {
            let facts = compose::facts_of_channel(&cache.store, channel);
            assert!(facts.unwrap().unwrap().message(id).is_some(), "{kind}");
        }
        let asked = asked_keys(&mut cache, kind, &payload);
        let is_used = |key| asked.contains(&key) || cache.store.get(key).unwrap().is_some();
        let guessed: Vec<_> = wants.values.into_iter().chain([wants.absent]).flatten().collect();
        assert_eq!(guessed.len(), keys, "{kind}");
        guessed.into_iter().for_each(|key| assert!(is_used(key), "{kind}: {key:?}"));
        let subjects = wants.subjects.into_iter().flatten();
        let used = subjects.filter(|subject| match *subject {
            Subject::Member { guild, user } => asked.contains(&MEMBERS.at(guild, user)),
            Subject::User(user) => asked.contains(&USERS.at(user)),
        });
        assert!(used.count() >= people, "{kind}");
    }
}

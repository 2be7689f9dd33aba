//! What each kind carries is what `mixcord_event::kinds` says, and the entity that a change gives as the new one is
//! what the state holds afterwards: the next event shows it as its old one.

use std::collections::{BTreeMap, BTreeSet};

use mixcord_event::{Document, EntityChange, Kind, kinds};
use serde_json::{Value as Json, json};

use super::*;

/// An event, and one behind it that changes nothing but shows the entity as its old one.
struct Case {
    kind: &'static str,
    payload: Json,
    probe: Option<(&'static str, Json)>,
}

fn case(kind: &'static str, payload: Json, probe: (&'static str, Json)) -> Case {
    Case { kind, payload, probe: Some(probe) }
}

/// In an order in which each finds what it is about.
fn cases() -> Vec<Case> {
    let channel = || ("CHANNEL_UPDATE", json!({"id": "201", "guild_id": G}));
    let thread = || ("THREAD_UPDATE", json!({"id": "300", "guild_id": G}));
    let role = || ("GUILD_ROLE_UPDATE", json!({"guild_id": G, "role": {"id": "20"}}));
    let guild = || ("GUILD_UPDATE", json!({"id": G}));
    let person = || ("GUILD_MEMBER_UPDATE", json!({"guild_id": G, "user": {"id": "2"}}));
    let held = || ("MESSAGE_UPDATE", json!({"id": "900", "channel_id": "200", "guild_id": G}));
    let voice = || ("VOICE_STATE_UPDATE", json!({"guild_id": G, "user_id": "1"}));
    let sound = || ("GUILD_SOUNDBOARD_SOUND_UPDATE", json!({"guild_id": G, "sound_id": "700"}));
    let event = || ("GUILD_SCHEDULED_EVENT_UPDATE", json!({"guild_id": G, "id": "600"}));
    let stage = || ("STAGE_INSTANCE_UPDATE", json!({"guild_id": G, "id": "500"}));
    let rule = || ("AUTO_MODERATION_RULE_UPDATE", json!({"guild_id": G, "id": "41"}));
    let integration = || ("INTEGRATION_UPDATE", json!({"guild_id": G, "id": "42"}));
    let present = || ("PRESENCE_UPDATE", json!({"guild_id": G, "user": {"id": "1"}}));
    let at = "2020-01-01T00:00:00Z";
    vec![
        case("GUILD_UPDATE", json!({"id": G, "name": "named"}), guild()),
        case("CHANNEL_UPDATE", json!({"id": "201", "guild_id": G, "name": "x"}), channel()),
        case(
            "CHANNEL_PINS_UPDATE",
            json!({"guild_id": G, "channel_id": "201", "last_pin_timestamp": at}),
            channel(),
        ),
        case(
            "VOICE_CHANNEL_STATUS_UPDATE",
            json!({"id": "201", "guild_id": G, "status": "hi"}),
            channel(),
        ),
        case(
            "VOICE_CHANNEL_START_TIME_UPDATE",
            json!({"id": "201", "guild_id": G, "voice_start_time": 5}),
            channel(),
        ),
        case("THREAD_UPDATE", json!({"id": "300", "guild_id": G, "name": "u"}), thread()),
        case(
            "THREAD_MEMBER_UPDATE",
            json!({"id": "300", "user_id": "1", "flags": 1, "guild_id": G}),
            thread(),
        ),
        case(
            "THREAD_MEMBERS_UPDATE",
            json!({"id": "300", "guild_id": G, "member_count": 5}),
            thread(),
        ),
        case(
            "THREAD_CREATE",
            json!({"id": "301", "guild_id": G, "parent_id": "200", "type": 11, "name": "t", "newly_created": true}),
            ("THREAD_UPDATE", json!({"id": "301", "guild_id": G})),
        ),
        case("GUILD_MEMBER_ADD", member_entity("2", "bob", &["20"]), person()),
        case(
            "GUILD_MEMBER_UPDATE",
            json!({"guild_id": G, "user": user("2", "bo"), "nick": "b"}),
            person(),
        ),
        case(
            "GUILD_ROLE_UPDATE",
            json!({"guild_id": G, "role": {"id": "20", "name": "n"}}),
            role(),
        ),
        case(
            "GUILD_ROLE_CREATE",
            json!({"guild_id": G, "role": {"id": "50", "name": "n"}}),
            ("GUILD_ROLE_UPDATE", json!({"guild_id": G, "role": {"id": "50"}})),
        ),
        case(
            "GUILD_SCHEDULED_EVENT_UPDATE",
            json!({"guild_id": G, "id": "600", "name": "e"}),
            event(),
        ),
        case("STAGE_INSTANCE_UPDATE", json!({"guild_id": G, "id": "500", "topic": "e"}), stage()),
        case(
            "GUILD_SOUNDBOARD_SOUND_UPDATE",
            json!({"guild_id": G, "sound_id": "700", "volume": 2}),
            sound(),
        ),
        case(
            "AUTO_MODERATION_RULE_CREATE",
            json!({"guild_id": G, "id": "41", "name": "r"}),
            rule(),
        ),
        case(
            "AUTO_MODERATION_RULE_UPDATE",
            json!({"guild_id": G, "id": "41", "name": "s"}),
            rule(),
        ),
        case("INTEGRATION_CREATE", json!({"guild_id": G, "id": "42", "name": "r"}), integration()),
        case("INTEGRATION_UPDATE", json!({"guild_id": G, "id": "42", "name": "s"}), integration()),
        case("MESSAGE_CREATE", message("900", "one"), held()),
        case(
            "MESSAGE_UPDATE",
            json!({"id": "900", "channel_id": "200", "guild_id": G, "content": "two"}),
            held(),
        ),
        case(
            "VOICE_STATE_UPDATE",
            json!({"guild_id": G, "user_id": "1", "channel_id": "201", "mute": true}),
            voice(),
        ),
        case(
            "PRESENCE_UPDATE",
            json!({"guild_id": G, "user": {"id": "1"}, "status": "idle"}),
            present(),
        ),
        case(
            "GUILD_EMOJIS_UPDATE",
            json!({"guild_id": G, "emojis": [{"id": "43", "name": "e"}]}),
            ("GUILD_EMOJIS_UPDATE", json!({"guild_id": G, "emojis": []})),
        ),
        case(
            "GUILD_STICKERS_UPDATE",
            json!({"guild_id": G, "stickers": [{"id": "44", "name": "e"}]}),
            ("GUILD_STICKERS_UPDATE", json!({"guild_id": G, "stickers": []})),
        ),
        case("GUILD_DELETE", json!({"id": G, "unavailable": true}), guild()),
        case("GUILD_CREATE", super::guild(), guild()),
        case(
            "VOICE_STATE_UPDATE",
            json!({"guild_id": G, "user_id": "1", "channel_id": null}),
            voice(),
        ),
        case(
            "GUILD_ROLE_DELETE",
            json!({"guild_id": G, "role_id": "30"}),
            ("GUILD_ROLE_UPDATE", json!({"guild_id": G, "role": {"id": "30"}})),
        ),
        case("GUILD_MEMBER_REMOVE", json!({"guild_id": G, "user": user("2", "bob")}), person()),
        case(
            "THREAD_DELETE",
            json!({"id": "300", "guild_id": G, "parent_id": "200", "type": 11}),
            thread(),
        ),
        case("CHANNEL_DELETE", json!({"id": "201", "guild_id": G, "type": 2}), channel()),
        case("GUILD_DELETE", json!({"id": G}), guild()),
    ]
}

#[test]
fn new_is_what_the_state_holds_afterwards() {
    let mut cache = with_guild();
    let mut tried = BTreeSet::new();
    for Case { kind, payload, probe } in cases() {
        let seen = cache.feed(kind, payload).swap_remove(0);
        let document = |json: &Json| Document::from_json(&json.to_string()).expect("JSON");
        let (data, old) = (document(&seen.data), document(&seen.old));
        let old = (!seen.old.is_null()).then(|| old.value());
        let kind_of = Kind::from_name(kind.as_bytes()).expect("a kind");
        let change = EntityChange::between(kind_of, seen.flags, data.value(), old);
        let change = change.unwrap_or_else(|| panic!("{kind} is about nothing"));
        tried.insert(kind);
        let Some((probe, payload)) = probe else { continue };
        let mut held = cache.feed(probe, payload).swap_remove(0).old;
        if let (Some(held), "VOICE_STATE_UPDATE") = (held.as_object_mut(), kind) {
            held.remove("member");
        }
        let held = (!held.is_null()).then(|| document(&held));
        assert_eq!(change.new, held, "{kind}");
    }
    // Those whose entity nothing shows afterwards, and deletes like the ones above.
    let others = [
        "AUTO_MODERATION_RULE_DELETE",
        "CHANNEL_CREATE",
        "CHANNEL_INFO",
        "GUILD_SCHEDULED_EVENT_CREATE",
        "GUILD_SCHEDULED_EVENT_DELETE",
        "GUILD_SOUNDBOARD_SOUND_CREATE",
        "GUILD_SOUNDBOARD_SOUND_DELETE",
        "INTEGRATION_DELETE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "STAGE_INSTANCE_CREATE",
        "STAGE_INSTANCE_DELETE",
        "USER_UPDATE",
    ];
    let about: BTreeSet<_> = Kind::documented()
        .filter(|kind| mixcord_event::Entity::of(*kind).is_some())
        .map(Kind::name)
        .filter(|name| !others.contains(name))
        .collect();
    assert_eq!(tried, about);
}

/// The columns `old`, `derived` and `reason`, for everything that the scenarios above and those of the rows make.
#[test]
fn the_page_lists_every_old_derived_and_reason() {
    let rows: BTreeMap<_, Vec<_>> = kinds::PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 7)
        .map(|cells| (cells[0].trim_matches('`'), cells))
        .collect();
    let mut cache = with_guild();
    let mut seen_with_old = BTreeSet::new();
    let mut more: Vec<_> = cases();
    more.push(Case {
        kind: "READY",
        payload: json!({"user": user("1", "ann"), "guilds": []}),
        probe: None,
    });
    for Case { kind, payload, .. } in more {
        let seen = cache.feed(kind, payload);
        let cells = &rows[kind];
        for (index, seen) in seen.iter().enumerate() {
            let own = &rows[&*seen.kind];
            let reasons: Vec<_> = own[5].split(", ").collect();
            assert!(seen.reason.is_none_or(|reason| reasons.contains(&reason)), "{kind}: {seen:?}");
            if !seen.old.is_null() {
                assert_ne!(own[2], "–", "{}: {}", seen.kind, seen.old);
                seen_with_old.insert(seen.kind.clone());
            }
            if index > 0 {
                assert_eq!(cells[4].trim_matches('`'), seen.kind, "derived from {kind}");
                assert_eq!(seen.reason, Some("derived"));
            }
        }
    }
    assert!(seen_with_old.len() > 20, "{seen_with_old:?}");
}

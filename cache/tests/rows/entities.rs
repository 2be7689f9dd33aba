//! Entities that a guild owns under an id.

use serde_json::json;

use super::*;

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

//! The payloads that are measured: written from the documented fields, sized like real ones.

use mixcord_pipeline::workload::etf;
use serde_json::{Value, json};

/// A gateway message in both encodings.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) name: &'static str,
    pub(crate) json: String,
    pub(crate) etf: Vec<u8>,
}

impl Payload {
    fn new(name: &'static str, data: &Value) -> Self {
        let message = json!({"op": 0, "s": 4711, "t": name, "d": data});
        Self { name, json: message.to_string(), etf: etf::encode(&message) }
    }
}

/// About 2 kB as JSON: an author, a member, a mention, an embed, an attachment, a reply.
pub(crate) fn message_create() -> Payload {
    let author = json!({
        "id": "302050872383242240", "username": "ada.lovelace", "global_name": "Ada",
        "avatar": "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c", "discriminator": "0", "public_flags": 256,
        "avatar_decoration_data": null, "banner": null, "accent_color": null, "bot": false,
        "clan": null, "primary_guild": null, "collectibles": null
    });
    let data = json!({
        "id": "1175623482374918194", "channel_id": "613425648685547545", "guild_id": "613425648685547541",
        "type": 19, "tts": false, "timestamp": "2026-11-19T09:14:21.412000+00:00",
        "edited_timestamp": null, "pinned": false, "nonce": "1175623481934512128", "flags": 0,
        "content": "The engine weaves algebraic patterns just as the loom weaves flowers and leaves — \
                    see the notes below, and tell me <@82198898841029460> if table 3 is right.",
        "mention_everyone": false, "mention_roles": ["613426354628722689"],
        "mentions": [{
            "id": "82198898841029460", "username": "charles", "global_name": "Charles B.",
            "avatar": "a_9f8e7d6c5b4a39281706f5e4d3c2b1a0", "discriminator": "0", "public_flags": 64,
            "avatar_decoration_data": null, "clan": null,
            "member": {"roles": ["613426354628722689"], "nick": "CB", "avatar": null, "deaf": false,
                       "mute": false, "flags": 0, "pending": false, "premium_since": null,
                       "joined_at": "2019-08-20T16:05:13.214000+00:00",
                       "communication_disabled_until": null, "banner": null}
        }],
        "attachments": [{
            "id": "1175623482089705472", "filename": "table-3.png", "size": 84213, "width": 1280,
            "height": 720, "content_type": "image/png", "placeholder_version": 1,
            "url": "https://cdn.example.org/attachments/613425648685547545/1175623482089705472/table-3.png",
            "proxy_url": "https://media.example.org/attachments/613425648685547545/1175623482089705472/table-3.png"
        }],
        "embeds": [{"type": "rich", "title": "Note G", "description": "Diagram for the computation of Bernoulli numbers",
                    "color": 5_814_783, "fields": [{"name": "Operations", "value": "25", "inline": true}]}],
        "components": [],
        "message_reference": {"type": 0, "channel_id": "613425648685547545", "guild_id": "613425648685547541",
                              "message_id": "1175623391819948094"},
        "author": author,
        "member": {"roles": ["613426354628722689", "613426354628722690"], "nick": null, "avatar": null,
                   "joined_at": "2020-01-11T10:00:21.008000+00:00", "premium_since": null, "deaf": false,
                   "mute": false, "flags": 2, "pending": false, "communication_disabled_until": null,
                   "banner": null}
    });
    Payload::new("MESSAGE_CREATE", &data)
}

/// About 0.45 kB as JSON: a status and one activity.
pub(crate) fn presence_update() -> Payload {
    let data = json!({
        "user": {"id": "302050872383242240"}, "guild_id": "613425648685547541", "status": "online",
        "activities": [{
            "id": "ec0b28a579ecb4bd", "type": 0, "name": "Analytical Engine", "created_at": 1_795_080_861_412_u64,
            "timestamps": {"start": 1_795_080_860_000_u64}, "application_id": "613425648685547600",
            "details": "Bernoulli numbers", "state": "Note G"
        }],
        "client_status": {"desktop": "online"}
    });
    Payload::new("PRESENCE_UPDATE", &data)
}

/// About 0.6 kB as JSON: ids and a whole member.
pub(crate) fn typing_start() -> Payload {
    let data = json!({
        "channel_id": "613425648685547545", "guild_id": "613425648685547541",
        "user_id": "302050872383242240", "timestamp": 1_795_080_861, "member": member(7)
    });
    Payload::new("TYPING_START", &data)
}

/// About 200 kB as JSON: 200 members, 100 channels, 50 roles, 50 emojis, 50 presences.
pub(crate) fn guild_create() -> Payload {
    let id = |base: u64, n: u64| {
        (613_425_648_685_547_541 + base * 1_000_003 + n * 4_194_304).to_string()
    };
    let roles: Vec<Value> = (0..50)
        .map(|n| {
            json!({
                "id": id(1, n), "name": format!("role {n}"), "color": n * 4711, "hoist": n % 7 == 0,
                "colors": {"primary_color": n * 4711, "secondary_color": null, "tertiary_color": null},
                "icon": null, "unicode_emoji": null, "position": n, "permissions": "1071698529857",
                "managed": false, "mentionable": n % 3 == 0, "flags": 0, "tags": {}
            })
        })
        .collect();
    let channels: Vec<Value> = (0..100)
        .map(|n| {
            json!({
                "id": id(2, n), "type": if n % 5 == 4 { 2 } else { 0 }, "name": format!("channel-{n}"),
                "position": n, "parent_id": id(2, n / 10 * 10), "topic": "Notes upon the memoir",
                "nsfw": false, "rate_limit_per_user": 0, "last_message_id": id(9, n), "flags": 0,
                "last_pin_timestamp": "2026-10-01T08:00:00+00:00", "theme_color": null, "icon_emoji": null,
                "permission_overwrites": [
                    {"id": id(1, 0), "type": 0, "allow": "0", "deny": "1024"},
                    {"id": id(1, n % 50), "type": 0, "allow": "1024", "deny": "0"}
                ]
            })
        })
        .collect();
    let emojis: Vec<Value> = (0..50)
        .map(|n| {
            json!({"id": id(3, n), "name": format!("emoji_{n}"), "roles": [], "require_colons": true,
                   "managed": false, "animated": n % 4 == 0, "available": true})
        })
        .collect();
    let presences: Vec<Value> = (0..50)
        .map(|n| {
            json!({"user": {"id": id(4, n)}, "status": "idle", "client_status": {"mobile": "idle"},
                   "activities": [{"id": "custom", "type": 4, "name": "Custom Status", "state": "weaving",
                                   "created_at": 1_795_080_861_412_u64, "emoji": null}]})
        })
        .collect();
    let data = json!({
        "id": "613425648685547541", "name": "The Analytical Society", "icon": "86e39f7ae3307e811784e2ffd11a7310",
        "owner_id": id(4, 0), "region": "deprecated", "afk_channel_id": null, "afk_timeout": 300,
        "verification_level": 2, "default_message_notifications": 1, "explicit_content_filter": 2,
        "features": ["COMMUNITY", "NEWS", "INVITE_SPLASH"], "mfa_level": 1, "application_id": null,
        "system_channel_id": id(2, 1), "system_channel_flags": 0, "rules_channel_id": id(2, 2),
        "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 2,
        "premium_subscription_count": 9, "preferred_locale": "en-GB", "nsfw_level": 0, "splash": null,
        "discovery_splash": null, "public_updates_channel_id": id(2, 3), "max_members": 500_000,
        "max_video_channel_users": 25, "premium_progress_bar_enabled": true, "stickers": [],
        "safety_alerts_channel_id": null, "joined_at": "2020-01-11T10:00:21.008000+00:00", "large": true,
        "unavailable": false, "member_count": 200, "voice_states": [], "threads": [], "stage_instances": [],
        "guild_scheduled_events": [], "soundboard_sounds": [], "widget_enabled": false,
        "members": (0..200).map(member).collect::<Vec<_>>(),
        "roles": roles, "channels": channels, "emojis": emojis, "presences": presences
    });
    Payload::new("GUILD_CREATE", &data)
}

fn member(n: u64) -> Value {
    json!({
        "user": {
            "id": (302_050_872_383_242_240 + n * 4_194_304).to_string(), "username": format!("calculator.{n}"),
            "global_name": format!("Calculator {n}"), "avatar": "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c",
            "discriminator": "0", "public_flags": 64, "avatar_decoration_data": null, "bot": false,
            "collectibles": null, "primary_guild": null, "display_name_styles": null
        },
        "roles": ["613426354628722689", "613426354628722690"], "nick": null, "avatar": null, "banner": null,
        "joined_at": "2020-01-11T10:00:21.008000+00:00", "premium_since": null, "deaf": false, "mute": false,
        "flags": 2, "pending": false, "communication_disabled_until": null
    })
}

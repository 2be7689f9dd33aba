//! Guilds: one text, in which the number of the guild is replaced.

use std::sync::OnceLock;

use serde_json::{Value, json};

/// Members of a guild.
pub const MEMBERS: u64 = 200;
/// Channels of a guild.
pub const CHANNELS: u64 = 100;
/// Roles of a guild.
pub const ROLES: u64 = 50;

/// The first role.
pub const ROLE: u64 = 1_000;
/// The first channel.
pub const CHANNEL: u64 = 2_000;
/// The first emoji.
pub const EMOJI: u64 = 3_000;
/// The first member.
pub const USER: u64 = 4_000;
/// The first message.
pub const MESSAGE: u64 = 100_000;

/// The id of something in a guild: eighteen digits, of which nine are the guild's.
pub fn id(guild: u64, number: u64) -> String {
    format!("1{guild:08}{number:09}")
}

/// The guild's GUILD_CREATE as a gateway message, about 190 kB.
pub fn create(guild: u64) -> String {
    /// No digits of the text are these but those of ids.
    const PLACE: &str = "199999999";
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| template(99_999_999).to_string());
    text.replace(PLACE, &format!("1{guild:08}"))
}

/// A user as it stands in a message.
pub fn user(guild: u64, number: u64, name: &str) -> Value {
    json!({
        "id": id(guild, USER + number), "username": format!("calculator.{number}"), "global_name": name,
        "avatar": "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c", "discriminator": "0", "public_flags": 64,
        "avatar_decoration_data": null, "bot": false, "banner": null, "accent_color": null,
        "collectibles": null, "primary_guild": null, "display_name_styles": null
    })
}

/// A member without its user.
pub fn member(guild: u64, nick: &str) -> Value {
    json!({
        "roles": [id(guild, ROLE + 1), id(guild, ROLE + 2)], "nick": nick, "avatar": null, "banner": null,
        "joined_at": "2020-01-11T10:00:21.008000+00:00", "premium_since": null, "deaf": false,
        "mute": false, "flags": 2, "pending": false, "communication_disabled_until": null
    })
}

fn template(guild: u64) -> Value {
    let list = |count: u64, make: &dyn Fn(u64) -> Value| (0..count).map(make).collect::<Vec<_>>();
    let roles = list(ROLES, &|n| {
        json!({
            "id": id(guild, ROLE + n), "name": format!("role {n}"), "color": n * 4711, "hoist": n % 7 == 0,
            "colors": {"primary_color": n * 4711, "secondary_color": null, "tertiary_color": null},
            "icon": null, "unicode_emoji": null, "position": n, "permissions": "1071698529857",
            "managed": false, "mentionable": n % 3 == 0, "flags": 0
        })
    });
    let channels = list(CHANNELS, &|n| {
        json!({
            "id": id(guild, CHANNEL + n), "type": if n % 5 == 4 { 2 } else { 0 },
            "name": format!("channel-{n}"), "position": n, "parent_id": null,
            "topic": "Notes upon the memoir", "nsfw": false, "rate_limit_per_user": 0,
            "last_message_id": id(guild, MESSAGE - 1), "flags": 0,
            "last_pin_timestamp": "2026-10-01T08:00:00+00:00", "theme_color": null, "icon_emoji": null,
            "permission_overwrites": [
                {"id": id(guild, ROLE), "type": 0, "allow": "0", "deny": "1024"},
                {"id": id(guild, ROLE + n % ROLES), "type": 0, "allow": "1024", "deny": "0"}
            ]
        })
    });
    let emojis = list(50, &|n| {
        json!({"id": id(guild, EMOJI + n), "name": format!("emoji_{n}"), "roles": [], "require_colons": true,
               "managed": false, "animated": n % 4 == 0, "available": true})
    });
    let presences = list(50, &|n| {
        json!({"user": {"id": id(guild, USER + n)}, "status": "idle", "client_status": {"mobile": "idle"},
               "activities": [{"id": "custom", "type": 4, "name": "Custom Status", "state": "weaving",
                               "created_at": 1_795_080_861_412_u64}]})
    });
    let members = list(MEMBERS, &|n| {
        let mut member = member(guild, "nobody");
        member["user"] = user(guild, n, "Calculator");
        member
    });
    json!({"op": 0, "s": 2, "t": "GUILD_CREATE", "d": {
        "id": id(guild, 0), "name": "The Analytical Society", "icon": "86e39f7ae3307e811784e2ffd11a7310",
        "owner_id": id(guild, USER), "region": "deprecated", "afk_channel_id": null, "afk_timeout": 300,
        "verification_level": 2, "default_message_notifications": 1, "explicit_content_filter": 2,
        "features": ["COMMUNITY", "NEWS", "INVITE_SPLASH"], "mfa_level": 1, "application_id": null,
        "system_channel_id": id(guild, CHANNEL + 1), "system_channel_flags": 0,
        "rules_channel_id": id(guild, CHANNEL + 2), "vanity_url_code": null, "description": null,
        "banner": null, "premium_tier": 2, "premium_subscription_count": 9, "preferred_locale": "en-GB",
        "nsfw_level": 0, "splash": null, "discovery_splash": null,
        "public_updates_channel_id": id(guild, CHANNEL + 3), "max_members": 500_000,
        "max_video_channel_users": 25, "premium_progress_bar_enabled": true, "stickers": [],
        "safety_alerts_channel_id": null, "joined_at": "2020-01-11T10:00:21.008000+00:00", "large": true,
        "unavailable": false, "member_count": MEMBERS, "voice_states": [], "threads": [],
        "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [],
        "widget_enabled": false, "members": members, "roles": roles, "channels": channels,
        "emojis": emojis, "presences": presences
    }})
}

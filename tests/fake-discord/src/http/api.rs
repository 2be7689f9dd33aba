//! Discord's REST routes, as far as a bot needs them to come up and to answer.

use serde_json::json;

use super::{Request, Response, commands, interactions, messages, people};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Val, obj};

/// Answers `path`, the part after the version.
pub(crate) fn route(hub: &Hub, request: &Request, path: &str) -> Response {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let method = request.method.as_str();
    if (method, &parts[..]) == ("GET", &["gateway"]) {
        return Response::json(200, &json!({ "url": hub.gateway_url() }));
    }
    if let Some(response) = interactions::route(hub, request, &parts) {
        return response;
    }
    let authorised =
        request.header("authorization").is_some_and(|token| hub.token_is_right(token.trim()));
    if !authorised {
        return Response::error(401, 0, "401: Unauthorized");
    }
    let answer = match (method, &parts[..]) {
        ("GET", ["gateway", "bot"]) => Some(hub.troubles.gateway_bot(hub)),
        ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]) => {
            Some(application(hub))
        }
        (_, ["users", rest @ ..]) => people::users(hub, request, rest),
        (_, ["channels", channel, rest @ ..]) => messages::route(hub, request, channel, rest),
        ("GET", ["guilds", guild, rest @ ..]) => people::guilds(hub, request, guild, rest),
        (_, ["applications", _, "commands", rest @ ..])
        | (_, ["applications", _, "guilds", _, "commands", rest @ ..]) => {
            commands::route(hub, request, rest)
        }
        // What some libraries ask for while they come up.
        ("GET", ["soundboard-default-sounds"]) => Some(default_sounds()),
        ("GET", ["applications", _, "emojis"]) => Some(Response::json(200, &json!({"items": []}))),
        ("GET", ["sticker-packs"]) => Some(Response::json(200, &json!({"sticker_packs": []}))),
        ("GET", ["voice", "regions"] | ["applications", _, "entitlements" | "skus"]) => {
            Some(Response::json(200, &json!([])))
        }
        _ => None,
    };
    answer.unwrap_or_else(|| Response::error(404, 0, "404: Not Found"))
}

fn application(hub: &Hub) -> Response {
    let user = hub.own_user();
    let id = hub.application_id();
    let bot = user.as_obj().cloned().unwrap_or_default();
    let owner = obj! {
        "avatar" => Val::Null,
        "discriminator" => "0",
        "flags" => 0,
        "global_name" => "Owner",
        "id" => Val::Id(id - 1),
        "public_flags" => 0,
        "username" => "owner",
    };
    let application = obj! {
        "approximate_guild_count" => hub.config.guilds,
        "approximate_user_authorization_count" => 0,
        "approximate_user_install_count" => 0,
        "bot" => bot,
        "bot_public" => true,
        "bot_require_code_grant" => false,
        "description" => "The application of a fake Discord.",
        "flags" => 565_248,
        "hook" => true,
        "icon" => Val::Null,
        "id" => Val::Id(id),
        "integration_types_config" => Obj::new(),
        "interactions_endpoint_url" => Val::Null,
        "name" => "mixcord-test",
        "owner" => owner,
        "redirect_uris" => Val::List(Vec::new()),
        "role_connections_verification_url" => Val::Null,
        "summary" => "",
        "team" => Val::Null,
        "type" => Val::Null,
        "verify_key" => "0".repeat(64),
    };
    Response::raw(200, Val::Obj(application).to_json())
}

/// Two of the sounds everybody has. Their ids are small numbers.
fn default_sounds() -> Response {
    let sound = |id: u64, name: &'static str, emoji: &'static str| {
        obj! {
            "available" => true,
            "emoji_id" => Val::Null,
            "emoji_name" => emoji,
            "name" => name,
            "sound_id" => Val::Id(id),
            "volume" => 1.0,
        }
    };
    let sounds = vec![sound(1, "quack", "🦆"), sound(2, "airhorn", "🔊")];
    Response::raw(200, Val::from(sounds).to_json())
}

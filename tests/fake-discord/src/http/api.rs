//! Discord's REST routes, as far as a bot needs them to come up and to answer.

use serde_json::{Value, json};

use super::{Request, Response, messages};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Val, obj};
use crate::world::member::user_of;

/// Answers `path`, the part after the version.
pub(crate) fn route(hub: &Hub, request: &Request, path: &str) -> Response {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let method = request.method.as_str();
    if (method, &parts[..]) == ("GET", &["gateway"]) {
        return Response::json(200, &json!({ "url": hub.gateway_url() }));
    }
    let authorised =
        request.header("authorization").is_some_and(|token| hub.token_is_right(token.trim()));
    if !authorised {
        return Response::error(401, 0, "401: Unauthorized");
    }
    match (method, &parts[..]) {
        ("GET", ["gateway", "bot"]) => Response::json(200, &gateway_bot(hub)),
        ("GET", ["users", "@me"]) => Response::raw(200, hub.own_user().to_json()),
        ("GET", ["users", "@me", "guilds"]) => own_guilds(hub),
        ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]) => application(hub),
        (_, ["channels", channel, rest @ ..]) => {
            messages::route(hub, request, channel, rest).unwrap_or_else(not_found)
        }
        ("GET", ["guilds", guild, rest @ ..]) => show_guild(hub, guild, rest),
        // Answering an interaction, and telling Discord one's commands, need only succeed.
        ("POST", ["interactions", _, _, "callback"]) => Response::empty(),
        ("GET" | "PUT", ["applications", _, "commands"])
        | ("GET" | "PUT", ["applications", _, "guilds", _, "commands"]) => {
            Response::json(200, &json!([]))
        }
        _ => not_found(),
    }
}

fn not_found() -> Response {
    Response::error(404, 0, "404: Not Found")
}

fn show_guild(hub: &Hub, guild: &str, rest: &[&str]) -> Response {
    let unknown = || Response::error(404, 10004, "Unknown Guild");
    let Ok(id) = guild.parse::<u64>() else { return unknown() };
    for feed in &hub.feeds {
        let lane = feed.lane();
        let Some(guild) = lane.guilds.iter().find(|guild| guild.id == id) else { continue };
        let body: Val = match rest {
            [] => guild.object().into(),
            ["channels"] => guild.channels.clone().into(),
            ["roles"] => guild.roles.clone().into(),
            ["members", user] => {
                let member = user.parse().ok().and_then(|user| guild.member(user));
                let Some(member) = member else {
                    return Response::error(404, 10007, "Unknown Member");
                };
                member.object(user_of(member, &lane.users, &lane.bot_object)).into()
            }
            _ => return not_found(),
        };
        return Response::raw(200, body.to_json());
    }
    unknown()
}

/// G-1.
fn gateway_bot(hub: &Hub) -> Value {
    json!({
        "url": hub.gateway_url(),
        "shards": hub.feeds.len(),
        "session_start_limit": {
            "total": hub.config.identifies.max(1000),
            "remaining": hub.remaining_identifies(),
            "reset_after": 86_400_000,
            "max_concurrency": hub.config.max_concurrency,
        },
    })
}

fn own_guilds(hub: &Hub) -> Response {
    let mut guilds: Vec<Obj> = Vec::new();
    for feed in &hub.feeds {
        let lane = feed.lane();
        guilds.extend(lane.guilds.iter().map(|guild| {
            let field = |key: &'static str| guild.fields.get(key).cloned();
            obj! {
                "banner" => field("banner"),
                "features" => field("features"),
                "icon" => field("icon"),
                "id" => Val::Id(guild.id),
                "name" => field("name"),
                "owner" => false,
                "permissions" => "2248473465835073",
            }
        }));
    }
    guilds.sort_by_key(|guild| guild.id("id"));
    guilds.truncate(200);
    Response::raw(200, Val::from(guilds).to_json())
}

fn application(hub: &Hub) -> Response {
    let user = hub.own_user();
    let id = user.as_obj().map_or(0, |user| user.id("id"));
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
        "bot" => bot,
        "bot_public" => true,
        "bot_require_code_grant" => false,
        "description" => "The application of a fake Discord.",
        "flags" => 565_248,
        "hook" => true,
        "icon" => Val::Null,
        "id" => Val::Id(id),
        "integration_types_config" => Obj::new(),
        "name" => "mixcord-test",
        "owner" => owner,
        "redirect_uris" => Val::List(Vec::new()),
        "summary" => "",
        "team" => Val::Null,
        "type" => Val::Null,
        "verify_key" => "0".repeat(64),
    };
    Response::raw(200, Val::Obj(application).to_json())
}

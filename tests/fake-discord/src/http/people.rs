//! Users, guilds and members over REST.

use super::{Request, Response};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Val, obj};
use crate::world::direct;
use crate::world::guild::Guild;
use crate::world::lane::Lane;
use crate::world::user::User;

/// Guilds in one answer, at most.
const GUILDS_MAX: usize = 200;
/// Members in one answer, at most.
const MEMBERS_MAX: u64 = 1000;

/// Answers `users/…`; None when there is no such route.
pub(crate) fn users(hub: &Hub, request: &Request, rest: &[&str]) -> Option<Response> {
    let answer = match (request.method.as_str(), rest) {
        ("GET", ["@me"]) => Response::raw(200, hub.own_user().to_json()),
        ("GET", ["@me", "guilds"]) => own_guilds(hub, request),
        ("POST", ["@me", "channels"]) => {
            open_direct(hub, request).unwrap_or_else(|response| response)
        }
        ("GET", [id]) => {
            let id = id.parse().unwrap_or(0);
            if id == hub.application_id() {
                return Some(Response::raw(200, hub.own_user().to_json()));
            }
            let found = hub.feeds.iter().find_map(|feed| {
                let lane = feed.lane();
                let user = lane.users.iter().find(|user| user.id == id)?;
                Some(Val::Shared(user.object()).to_json())
            });
            found.map_or_else(
                || Response::error(404, 10013, "Unknown User"),
                |body| Response::raw(200, body),
            )
        }
        _ => return None,
    };
    Some(answer)
}

/// Opens a direct message channel. All of them are the first lane's (G-39).
fn open_direct(hub: &Hub, request: &Request) -> Result<Response, Response> {
    let invalid = || Response::error(400, 50033, "Invalid Recipient(s)");
    let body = request.json()?;
    let recipient = body.get("recipient_id").ok_or_else(invalid)?;
    let id: u64 =
        recipient.as_u64().or_else(|| recipient.as_str()?.parse().ok()).ok_or_else(invalid)?;
    let known = |lane: &Lane| lane.users.iter().find(|user| user.id == id).map(User::another);
    let user = hub.feeds.iter().find_map(|feed| known(&feed.lane())).ok_or_else(invalid)?;
    let first = hub.feeds.first().ok_or_else(invalid)?;
    let opened = first.act(hub, |lane| {
        let at = lane.users.iter().position(|user| user.id == id).unwrap_or_else(|| {
            lane.users.push(user);
            lane.users.len() - 1
        });
        direct::open(lane, at)
    });
    match opened {
        Some(channel) => Ok(Response::raw(200, Val::Obj(channel).to_json())),
        None => Err(Response::error(400, 40003, "You are opening direct messages too fast.")),
    }
}

fn own_guilds(hub: &Hub, request: &Request) -> Response {
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
    let (before, after) = (request.number("before"), request.number("after"));
    guilds.retain(|guild| {
        let id = guild.id("id");
        before.is_none_or(|before| id < before) && after.is_none_or(|after| id > after)
    });
    guilds.sort_by_key(|guild| guild.id("id"));
    let limit = request.number("limit").map_or(GUILDS_MAX, |limit| limit.min(200) as usize);
    guilds.truncate(limit);
    Response::raw(200, Val::from(guilds).to_json())
}

/// Answers `guilds/{guild}/…`; None when there is no such route.
pub(crate) fn guilds(hub: &Hub, request: &Request, guild: &str, rest: &[&str]) -> Option<Response> {
    let id = guild.parse::<u64>().unwrap_or(0);
    for feed in &hub.feeds {
        let lane = feed.lane();
        let known = |guild: &&Guild| guild.id == id && !guild.unavailable;
        let Some(guild) = lane.guilds.iter().find(known) else { continue };
        return part(&lane, guild, request, rest);
    }
    Some(Response::error(404, 10004, "Unknown Guild"))
}

fn part(lane: &Lane, guild: &Guild, request: &Request, rest: &[&str]) -> Option<Response> {
    let one = |objects: &[Obj], id: &str| {
        let id = id.parse().unwrap_or(0);
        objects.iter().find(|object| object.id("id") == id).cloned().map(Val::Obj)
    };
    let found = match rest {
        [] => {
            let mut whole = guild.object();
            if request.param("with_counts") == Some("true") {
                let present = guild.members.iter().filter(|member| member.presence.is_some());
                whole
                    .set("approximate_member_count", guild.members.len())
                    .set("approximate_presence_count", present.count());
            }
            Some(whole.into())
        }
        ["channels"] => Some(guild.channels.clone().into()),
        ["emojis"] => Some(guild.emojis.clone().into()),
        ["emojis", id] => one(&guild.emojis, id),
        ["roles"] => Some(guild.roles.clone().into()),
        ["roles", id] => one(&guild.roles, id),
        ["scheduled-events"] => Some(guild.scheduled.clone().into()),
        ["stickers"] => Some(guild.stickers.clone().into()),
        ["members"] => Some(members(lane, guild, request)),
        ["members", "search"] => Some(found_members(lane, guild, request)),
        ["members", user] => {
            let Some(member) = user.parse().ok().and_then(|user| guild.member(user)) else {
                return Some(Response::error(404, 10007, "Unknown Member"));
            };
            Some(lane.member_object(member).into())
        }
        _ => return None,
    };
    Some(found.map_or_else(
        || Response::error(404, 0, "404: Not Found"),
        |body| Response::raw(200, body.to_json()),
    ))
}

fn limit(request: &Request) -> usize {
    request.number("limit").unwrap_or(1).clamp(1, MEMBERS_MAX) as usize
}

/// By id, from after the one the request names.
fn members(lane: &Lane, guild: &Guild, request: &Request) -> Val {
    let after = request.number("after").unwrap_or(0);
    let mut all: Vec<_> = guild.members.iter().filter(|member| member.user_id > after).collect();
    all.sort_by_key(|member| member.user_id);
    all.truncate(limit(request));
    let shown = |member| -> Obj { lane.member_object(member) };
    all.into_iter().map(shown).collect::<Vec<_>>().into()
}

/// Those whose name or nickname begins as the request says.
fn found_members(lane: &Lane, guild: &Guild, request: &Request) -> Val {
    let query = request.param("query").unwrap_or_default().to_lowercase();
    let found = guild.members.iter().filter(|member| lane.is_named(member, &query));
    let shown = |member| -> Obj { lane.member_object(member) };
    found.take(limit(request)).map(shown).collect::<Vec<_>>().into()
}

//! Messages a bot posts: they change the world, and the gateway tells it.

use serde_json::Value;

use super::{Request, Response};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Shared, Val, obj};
use crate::world::lane::Lane;
use crate::world::{direct, message};

/// Answers `channels/{channel}/…`; None when there is no such route.
pub(crate) fn route(
    hub: &Hub,
    request: &Request,
    channel: &str,
    rest: &[&str],
) -> Option<Response> {
    let unknown = || Response::error(404, 10003, "Unknown Channel");
    let Ok(channel) = channel.parse::<u64>() else { return Some(unknown()) };
    let method = request.method.as_str();
    let act: Act<'_> = match (method, rest) {
        ("GET", []) => Box::new(move |lane| show(lane, channel)),
        ("POST", ["typing"]) => Box::new(move |lane| type_in(lane, channel)),
        ("GET", ["messages"]) => Box::new(move |lane| list(lane, channel)),
        ("POST", ["messages"]) => match Draft::read(request) {
            Ok(draft) => Box::new(move |lane| post(lane, channel, &draft)),
            Err(response) => return Some(response),
        },
        (_, ["messages", id]) => {
            let Ok(id) = id.parse::<u64>() else { return Some(unknown_message()) };
            match method {
                "GET" => Box::new(move |lane| get(lane, channel, id)),
                "PATCH" => match Draft::read(request) {
                    Ok(draft) => Box::new(move |lane| edit(lane, channel, id, &draft)),
                    Err(response) => return Some(response),
                },
                "DELETE" => Box::new(move |lane| delete(lane, channel, id)),
                _ => return None,
            }
        }
        _ => return None,
    };
    let holds = |lane: &Lane| lane.channel_guild(channel).is_some() || lane.is_direct(channel);
    let feed = hub.feeds.iter().find(|feed| holds(&feed.lane()));
    Some(feed.and_then(|feed| feed.act(hub, act)).unwrap_or_else(unknown))
}

type Act<'a> = Box<dyn FnOnce(&mut Lane) -> Option<Response> + 'a>;

fn unknown_message() -> Response {
    Response::error(404, 10008, "Unknown Message")
}

fn answer(object: &Obj) -> Response {
    Response::raw(200, Val::Obj(object.clone()).to_json())
}

/// What a bot wants to say.
struct Draft {
    content: Option<String>,
    nonce: Option<String>,
    reply_to: Option<u64>,
}

impl Draft {
    fn read(request: &Request) -> Result<Self, Response> {
        let malformed = || Response::error(400, 50109, "The request body contains invalid JSON.");
        let body: Value = if request.is_multipart() {
            request.multipart_field("payload_json").ok_or_else(malformed)?
        } else {
            serde_json::from_slice(&request.body).map_err(|_| malformed())?
        };
        let text = |key: &str| match body.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let reply_to = body
            .get("message_reference")
            .and_then(|reference| reference.get("message_id"))
            .and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
        let draft = Self { content: text("content"), nonce: text("nonce"), reply_to };
        let list =
            |key: &str| body.get(key).and_then(Value::as_array).is_some_and(|it| !it.is_empty());
        let says = draft.content.as_ref().is_some_and(|content| !content.is_empty());
        let more =
            ["embeds", "components", "sticker_ids", "attachments"].iter().any(|key| list(key));
        if request.method == "POST" && !says && !more && body.get("poll").is_none() {
            return Err(Response::error(400, 50006, "Cannot send an empty message"));
        }
        if draft.content.as_ref().is_some_and(|content| content.chars().count() > 2000) {
            return Err(Response::error(400, 50035, "Invalid Form Body"));
        }
        Ok(draft)
    }
}

fn show(lane: &mut Lane, channel: u64) -> Option<Response> {
    if let Some(at) = lane.channel_guild(channel) {
        return lane.guilds[at].channel(channel).map(answer);
    }
    let body = obj! {
        "flags" => 0, "id" => Val::Id(channel), "last_message_id" => Val::Null, "type" => 1,
    };
    lane.is_direct(channel).then(|| answer(&body))
}

fn type_in(lane: &mut Lane, channel: u64) -> Option<Response> {
    let at = lane.channel_guild(channel)?;
    let id = lane.guilds[at].id;
    lane.with_guild(id, |lane, guild| crate::world::people::bot_types(lane, guild, channel));
    Some(Response::empty())
}

fn post(lane: &mut Lane, channel: u64, draft: &Draft) -> Option<Response> {
    let id = lane.clock.id();
    let author = Shared::new(lane.bot_object.clone());
    let now_ms = lane.clock.now_ms();
    let mut written = message::blank(id, channel, author, now_ms);
    written.set("content", draft.content.clone().unwrap_or_default());
    if let Some(nonce) = &draft.nonce {
        written.set("nonce", nonce.clone());
    }
    let shown = written.without(&["channel_type"]);
    let Some(at) = lane.channel_guild(channel) else {
        direct::post(lane, written.with("channel_type", 1));
        return Some(answer(&shown));
    };
    let guild = lane.guilds[at].id;
    lane.with_guild(guild, |lane, guild| {
        written.set("guild_id", Val::Id(guild.id));
        if let Some(member) = guild.member(lane.bot_id) {
            written.set("member", member.partial());
        }
        if let Some(at) = draft.reply_to.and_then(|id| guild.message_at(id)) {
            message::reply(guild, &mut written, at);
        }
        message::post(lane, guild, written);
    });
    Some(answer(&shown))
}

fn list(lane: &mut Lane, channel: u64) -> Option<Response> {
    let at = lane.channel_guild(channel);
    let messages = match at {
        Some(at) => &lane.guilds[at].messages,
        None => &lane.direct.messages,
    };
    let newest_first: Vec<Obj> = messages
        .iter()
        .rev()
        .filter(|message| message.id("channel_id") == channel)
        .take(50)
        .map(|message| message.without(&["channel_type", "guild_id", "member"]))
        .collect();
    Some(Response::raw(200, Val::from(newest_first).to_json()))
}

fn get(lane: &mut Lane, channel: u64, id: u64) -> Option<Response> {
    let at = lane.channel_guild(channel);
    let messages = match at {
        Some(at) => &lane.guilds[at].messages,
        None => &lane.direct.messages,
    };
    let found = messages.iter().find(|message| message.id("id") == id);
    let found = found.map(|message| message.without(&["channel_type", "guild_id", "member"]));
    Some(found.map_or_else(unknown_message, |message| answer(&message)))
}

fn is_own(lane: &Lane, message: &Obj) -> bool {
    message.get("author").and_then(Val::as_obj).is_some_and(|user| user.id("id") == lane.bot_id)
}

fn edit(lane: &mut Lane, channel: u64, id: u64, draft: &Draft) -> Option<Response> {
    let guild = lane.channel_guild(channel).map(|at| lane.guilds[at].id)?;
    lane.with_guild(guild, |lane, guild| {
        let Some(at) = guild.message_at(id) else { return unknown_message() };
        if !is_own(lane, &guild.messages[at]) {
            return Response::error(403, 50005, "Cannot edit a message authored by another user");
        }
        message::edit(lane, guild, at, draft.content.clone().unwrap_or_default());
        answer(&guild.messages[at].without(&["channel_type", "guild_id", "member"]))
    })
}

fn delete(lane: &mut Lane, channel: u64, id: u64) -> Option<Response> {
    let guild = lane.channel_guild(channel).map(|at| lane.guilds[at].id)?;
    lane.with_guild(guild, |lane, guild| match guild.message_at(id) {
        Some(at) => {
            message::remove(lane, guild, at);
            Response::empty()
        }
        None => unknown_message(),
    })
}

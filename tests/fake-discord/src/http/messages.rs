//! What a bot does in a channel: it changes the world, and the gateway tells it.

use serde_json::Value;

use super::draft::Draft;
use super::{Request, Response};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Shared, Val, obj};
use crate::world::lane::Lane;
use crate::world::{channel, direct, message, people, reaction};

/// What only the gateway shows of a message.
const GATEWAY_ONLY: [&str; 3] = ["channel_type", "guild_id", "member"];
/// Messages deleted at once, at most.
const BULK_MAX: usize = 100;
/// Bytes of an emoji's name and id, at most.
const EMOJI_MAX: usize = 100;

/// What a request does to the lane that has its channel; none: the channel is not there after all.
type Act<'a> = Box<dyn FnOnce(&mut Lane) -> Option<Response> + 'a>;

/// Answers `channels/{channel}/…`; None when there is no such route.
pub(crate) fn route(
    hub: &Hub,
    request: &Request,
    channel: &str,
    rest: &[&str],
) -> Option<Response> {
    let unknown = || Response::error(404, 10003, "Unknown Channel");
    let Ok(channel) = channel.parse::<u64>() else { return Some(unknown()) };
    let act = match action(request, channel, rest)? {
        Ok(act) => act,
        Err(response) => return Some(response),
    };
    for feed in &hub.feeds {
        let lane = feed.lane();
        if lane.is_hidden(channel) {
            return Some(Response::error(403, 50001, "Missing Access"));
        }
        let held = lane.channel_guild(channel).is_some() || lane.is_direct(channel);
        drop(lane);
        if held {
            return Some(feed.act(hub, act).unwrap_or_else(unknown));
        }
    }
    Some(unknown())
}

fn action<'a>(
    request: &'a Request,
    channel: u64,
    rest: &[&'a str],
) -> Option<Result<Act<'a>, Response>> {
    let id = |text: &str| text.parse::<u64>().unwrap_or(0);
    let draft = |new| Draft::read(request, new);
    let act: Act<'a> = match (request.method.as_str(), rest) {
        ("GET", []) => Box::new(move |lane| show(lane, channel)),
        ("POST", ["typing"]) => Box::new(move |lane| type_in(lane, channel)),
        ("GET", ["messages"]) => Box::new(move |lane| list(lane, channel, request)),
        ("GET", ["pins"]) => Box::new(move |lane| pins(lane, channel)),
        ("POST", ["messages"]) => match draft(true) {
            Ok(draft) => Box::new(move |lane| post(lane, channel, &draft)),
            Err(response) => return Some(Err(response)),
        },
        ("POST", ["messages", "bulk-delete"]) => match bulk(request) {
            Ok(ids) => Box::new(move |lane| delete_all(lane, channel, &ids)),
            Err(response) => return Some(Err(response)),
        },
        (method @ ("PUT" | "DELETE"), ["pins", message] | ["messages", "pins", message]) => {
            let (message, pinned) = (id(message), method == "PUT");
            Box::new(move |lane| pin(lane, channel, message, pinned))
        }
        ("GET", ["messages", message]) => {
            let message = id(message);
            Box::new(move |lane| get(lane, channel, message))
        }
        ("PATCH", ["messages", message]) => match draft(false) {
            Ok(draft) => {
                let message = id(message);
                Box::new(move |lane| edit(lane, channel, message, &draft))
            }
            Err(response) => return Some(Err(response)),
        },
        ("DELETE", ["messages", message]) => {
            let message = id(message);
            Box::new(move |lane| delete(lane, channel, message))
        }
        (method @ ("PUT" | "DELETE"), ["messages", message, "reactions", emoji, "@me"]) => {
            let (message, added) = (id(message), method == "PUT");
            match read_emoji(emoji) {
                Some(emoji) => Box::new(move |lane| react(lane, channel, message, &emoji, added)),
                None => return Some(Err(Response::error(400, 10014, "Unknown Emoji"))),
            }
        }
        _ => return None,
    };
    Some(Ok(act))
}

fn unknown_message() -> Response {
    Response::error(404, 10008, "Unknown Message")
}

fn answer(object: &Obj) -> Response {
    Response::raw(200, Val::Obj(object.clone()).to_json())
}

/// A message as REST shows it.
fn shown(message: &Obj) -> Obj {
    message.without(&GATEWAY_ONLY)
}

fn bulk(request: &Request) -> Result<Vec<u64>, Response> {
    let body = request.json()?;
    let ids = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ids: Vec<u64> =
        ids.iter().filter_map(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok())).collect();
    if (2..=BULK_MAX).contains(&ids.len()) {
        Ok(ids)
    } else {
        Err(Response::error(400, 50016, "Provided too few or too many messages to delete."))
    }
}

/// `name:id`, or the emoji itself.
fn read_emoji(text: &str) -> Option<Obj> {
    if text.is_empty() || text.len() > EMOJI_MAX {
        return None;
    }
    Some(match text.split_once(':') {
        Some((name, id)) => {
            obj! { "id" => Val::Id(id.parse().ok()?), "name" => name.to_owned() }
        }
        None => obj! { "id" => Val::Null, "name" => text.to_owned() },
    })
}

fn show(lane: &mut Lane, channel: u64) -> Option<Response> {
    match lane.channel_guild(channel) {
        Some(at) => lane.guilds[at].channel(channel).map(answer),
        None => direct::channel_object(lane, channel).as_ref().map(answer),
    }
}

fn type_in(lane: &mut Lane, channel: u64) -> Option<Response> {
    if let Some(at) = lane.channel_guild(channel) {
        let id = lane.guilds[at].id;
        lane.with_guild(id, |lane, guild| people::bot_types(lane, guild, channel));
    }
    Some(Response::empty())
}

fn post(lane: &mut Lane, channel: u64, draft: &Draft) -> Option<Response> {
    let written = write(lane, channel, draft, |_| {});
    Some(answer(&written))
}

/// Puts the bot's message into the channel; `change` has the last word on it. What it has become.
pub(crate) fn write(
    lane: &mut Lane,
    channel: u64,
    draft: &Draft,
    change: impl FnOnce(&mut Obj),
) -> Obj {
    let mut written = unsent(lane, channel, draft);
    change(&mut written);
    let Some(at) = lane.channel_guild(channel) else {
        written.set("channel_type", channel::DIRECT);
        direct::post(lane, written.clone());
        return shown(&written);
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
        message::post(lane, guild, written.clone());
    });
    shown(&written)
}

/// The bot's message, before it is anywhere.
pub(crate) fn unsent(lane: &mut Lane, channel: u64, draft: &Draft) -> Obj {
    let id = lane.clock.id();
    let author = Shared::new(lane.bot_object.clone());
    let now_ms = lane.clock.now_ms();
    let mut written = message::blank(id, channel, author, now_ms);
    draft.apply(&mut written);
    draft.begin_poll(&mut written, now_ms);
    written
}

/// A message as REST shows it; none when there is no such message.
pub(crate) fn find(lane: &Lane, channel: u64, id: u64) -> Option<Obj> {
    messages(lane, channel).find(|message| message.id("id") == id).map(shown)
}

/// The messages of the channel, oldest first.
fn messages(lane: &Lane, channel: u64) -> impl DoubleEndedIterator<Item = &Obj> {
    let messages = match lane.channel_guild(channel) {
        Some(at) => &lane.guilds[at].messages,
        None => &lane.direct.messages,
    };
    messages.iter().filter(move |message| message.id("channel_id") == channel)
}

/// Newest first, from where the request says.
fn list(lane: &mut Lane, channel: u64, request: &Request) -> Option<Response> {
    let limit = request.number("limit").unwrap_or(50).clamp(1, 100) as usize;
    let (before, after) = (request.number("before"), request.number("after"));
    let fits = |message: &&Obj| {
        let id = message.id("id");
        before.is_none_or(|before| id < before) && after.is_none_or(|after| id > after)
    };
    let all = messages(lane, channel).filter(fits).map(shown);
    // `after` asks for the ones next to it.
    let mut page: Vec<Obj> =
        if after.is_some() { all.take(limit).collect() } else { all.rev().take(limit).collect() };
    page.sort_by_key(|message| std::cmp::Reverse(message.id("id")));
    Some(Response::raw(200, Val::from(page).to_json()))
}

fn pins(lane: &mut Lane, channel: u64) -> Option<Response> {
    let pinned = |message: &&Obj| message.get("pinned") == Some(&Val::Bool(true));
    let pinned: Vec<Obj> = messages(lane, channel).rev().filter(pinned).map(shown).collect();
    Some(Response::raw(200, Val::from(pinned).to_json()))
}

fn get(lane: &mut Lane, channel: u64, id: u64) -> Option<Response> {
    Some(find(lane, channel, id).map_or_else(unknown_message, |message| answer(&message)))
}

fn is_own(lane: &Lane, message: &Obj) -> bool {
    message.get("author").and_then(Val::as_obj).is_some_and(|user| user.id("id") == lane.bot_id)
}

fn edit(lane: &mut Lane, channel: u64, id: u64, draft: &Draft) -> Option<Response> {
    let Some(found) = messages(lane, channel).find(|message| message.id("id") == id) else {
        return Some(unknown_message());
    };
    if !is_own(lane, found) {
        let why = "Cannot edit a message authored by another user";
        return Some(Response::error(403, 50005, why));
    }
    rewrite(lane, channel, id, |message| draft.apply(message)).map(|message| answer(&message))
}

/// Changes a message of the channel and tells it. What it has become; none when there is no such message.
pub(crate) fn rewrite(
    lane: &mut Lane,
    channel: u64,
    id: u64,
    change: impl FnOnce(&mut Obj),
) -> Option<Obj> {
    find(lane, channel, id)?;
    let Some(at) = lane.channel_guild(channel) else {
        let at = lane.direct.messages.iter().position(|message| message.id("id") == id)?;
        return Some(shown(direct::edit(lane, at, change)));
    };
    let guild = lane.guilds[at].id;
    lane.with_guild(guild, |lane, guild| {
        let at = guild.message_at(id)?;
        message::edit_with(lane, guild, at, change);
        Some(shown(&guild.messages[at]))
    })
    .flatten()
}

/// Deletes a message and tells it. False: there is none.
pub(crate) fn erase(lane: &mut Lane, channel: u64, id: u64) -> bool {
    if !messages(lane, channel).any(|message| message.id("id") == id) {
        return false;
    }
    match lane.channel_guild(channel).map(|at| lane.guilds[at].id) {
        Some(guild) => {
            lane.with_guild(guild, |lane, guild| {
                if let Some(at) = guild.message_at(id) {
                    message::remove(lane, guild, at);
                }
            });
        }
        None => direct::remove(lane, id),
    }
    true
}

fn delete(lane: &mut Lane, channel: u64, id: u64) -> Option<Response> {
    let known = erase(lane, channel, id);
    Some(if known { Response::empty() } else { unknown_message() })
}

fn delete_all(lane: &mut Lane, channel: u64, ids: &[u64]) -> Option<Response> {
    let guild = lane.channel_guild(channel).map(|at| lane.guilds[at].id)?;
    lane.with_guild(guild, |lane, guild| message::remove_many(lane, guild, channel, ids));
    Some(Response::empty())
}

fn pin(lane: &mut Lane, channel: u64, id: u64, pinned: bool) -> Option<Response> {
    let guild = lane.channel_guild(channel).map(|at| lane.guilds[at].id)?;
    lane.with_guild(guild, |lane, guild| match guild.message_at(id) {
        Some(at) => {
            channel::pin(lane, guild, at, pinned);
            Response::empty()
        }
        None => unknown_message(),
    })
}

fn react(lane: &mut Lane, channel: u64, id: u64, emoji: &Obj, added: bool) -> Option<Response> {
    if !messages(lane, channel).any(|message| message.id("id") == id) {
        return Some(unknown_message());
    }
    let bot = lane.bot_id;
    let Some(guild) = lane.channel_guild(channel).map(|at| lane.guilds[at].id) else {
        direct::react(lane, channel, id, emoji, bot, added);
        return Some(Response::empty());
    };
    lane.with_guild(guild, |lane, guild| {
        if let Some(at) = guild.message_at(id) {
            if added {
                reaction::react(lane, guild, at, bot, emoji);
            } else {
                reaction::unreact(lane, guild, id, bot, emoji);
            }
        }
    });
    Some(Response::empty())
}

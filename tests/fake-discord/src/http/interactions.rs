//! A bot's answers to interactions. The token in the address is all the right they need.

use serde_json::Value;

use super::draft::Draft;
use super::{Request, Response, messages};
use crate::gateway::hub::Hub;
use crate::value::{Obj, Val, obj};
use crate::world::event::Event;
use crate::world::interaction::{Answer, Asked};
use crate::world::kind::Kind;
use crate::world::lane::Lane;

/// Type of a message that answers a command, and the flag of one that is still to come.
const COMMAND_ANSWER: i64 = 20;
const LOADING: i64 = 1 << 7;

/// Answers `interactions/…` and `webhooks/…`; None when there is no such route.
pub(crate) fn route(hub: &Hub, request: &Request, parts: &[&str]) -> Option<Response> {
    let method = request.method.as_str();
    match (method, parts) {
        ("POST", ["interactions", id, token, "callback"]) => {
            Some(callback(hub, request, id, token).unwrap_or_else(|response| response))
        }
        ("POST", ["webhooks", _, token]) => Some(
            Draft::read(request, true)
                .and_then(|draft| {
                    with_asked(hub, token, |lane, at| {
                        let asked = &lane.interactions[at];
                        let answer = say(lane, &asked.clone(), &draft, 0);
                        json(&answer)
                    })
                })
                .unwrap_or_else(|response| response),
        ),
        ("GET" | "PATCH" | "DELETE", ["webhooks", _, token, "messages", message]) => {
            let changed = change(hub, request, token, message);
            Some(changed.unwrap_or_else(|response| response))
        }
        _ => None,
    }
}

fn json(object: &Obj) -> Response {
    Response::raw(200, Val::Obj(object.clone()).to_json())
}

/// Calls `with` on the lane that asked, and the place of what it asked.
fn with_asked<T>(
    hub: &Hub,
    token: &str,
    with: impl FnOnce(&mut Lane, usize) -> T,
) -> Result<T, Response> {
    let place = |lane: &Lane| lane.interactions.iter().position(|asked| asked.token == token);
    let feed = hub.feeds.iter().find(|feed| place(&feed.lane()).is_some());
    feed.and_then(|feed| feed.act(hub, |lane| place(lane).map(|at| with(lane, at))))
        .ok_or_else(|| Response::error(404, 10062, "Unknown interaction"))
}

/// The first answer to an interaction: type 4 says something, 5 that something will be said.
fn callback(hub: &Hub, request: &Request, id: &str, token: &str) -> Result<Response, Response> {
    let body = request.json()?;
    let kind = body.get("type").and_then(Value::as_u64).unwrap_or(0);
    let data = body.get("data").cloned().unwrap_or_else(|| serde_json::json!({}));
    let mut draft = Draft::of(&data)?;
    draft.attach(request);
    with_asked(hub, token, |lane, at| {
        let asked = lane.interactions[at].clone();
        if asked.id.to_string() != id {
            return Response::error(404, 10062, "Unknown interaction");
        }
        if !matches!(asked.answer, Answer::None) {
            return Response::error(400, 40060, "Interaction has already been acknowledged.");
        }
        let said = matches!(kind, 4 | 5).then(|| {
            let said = say(lane, &asked, &draft, if kind == 5 { LOADING } else { 0 });
            lane.interactions[at].answer = if draft.is_ephemeral() {
                Answer::Private(said.clone())
            } else {
                Answer::Public(said.id("id"))
            };
            said
        });
        if request.param("with_response") == Some("true") {
            told(&asked, kind, said, draft.is_ephemeral())
        } else {
            Response::empty()
        }
    })
}

/// What a callback that wants an answer is given.
fn told(asked: &Asked, kind: u64, said: Option<Obj>, ephemeral: bool) -> Response {
    let mut interaction = obj! { "id" => Val::Id(asked.id), "type" => asked.kind };
    let mut resource = obj! { "type" => kind as i64 };
    if let Some(said) = said {
        interaction
            .set("response_message_ephemeral", ephemeral)
            .set("response_message_id", Val::Id(said.id("id")))
            .set("response_message_loading", kind == 5);
        resource.set("message", said);
    }
    json(&obj! { "interaction" => interaction, "resource" => resource })
}

/// Writes the bot's answer into the channel the interaction came from.
fn say(lane: &mut Lane, asked: &Asked, draft: &Draft, flags: i64) -> Obj {
    let application = lane.bot_id;
    let dress = |message: &mut Obj| {
        let flags = message.int("flags") | flags;
        message
            .set("application_id", Val::Id(application))
            .set("flags", flags)
            .set(
                "interaction_metadata",
                obj! {
                    "authorizing_integration_owners" => Obj::new(),
                    "id" => Val::Id(asked.id),
                    "type" => asked.kind,
                    "user" => asked.user.clone(),
                },
            )
            .set("type", COMMAND_ANSWER)
            .set("webhook_id", Val::Id(application));
    };
    if !draft.is_ephemeral() {
        return messages::write(lane, asked.channel, draft, dress);
    }
    // Nobody else sees it: it is part of no channel, and told as a direct message is (G-39).
    let mut message = messages::unsent(lane, asked.channel, draft);
    dress(&mut message);
    if lane.index == 0 {
        lane.emit(Event::direct(Kind::MESSAGE_CREATE, message.clone()));
    }
    message
}

/// Shows, edits or deletes an answer: `@original` or its id.
fn change(hub: &Hub, request: &Request, token: &str, message: &str) -> Result<Response, Response> {
    let draft = match request.method.as_str() {
        "PATCH" => Some(Draft::read(request, false)?),
        _ => None,
    };
    let deleted = request.method == "DELETE";
    with_asked(hub, token, |lane, at| {
        let unknown = || Response::error(404, 10008, "Unknown Message");
        let now_ms = lane.clock.now_ms();
        let asked = &mut lane.interactions[at];
        let id = match (message, &asked.answer) {
            ("@original", Answer::Public(id)) => Some(*id),
            ("@original", Answer::Private(held)) => Some(held.id("id")),
            ("@original", Answer::None | Answer::Deleted) => None,
            (id, _) => id.parse().ok(),
        };
        let Some(id) = id else { return unknown() };
        if let Answer::Private(held) = &mut asked.answer
            && held.id("id") == id
        {
            if let Some(draft) = &draft {
                edit(held, draft, now_ms);
            }
            let answer = if deleted { Response::empty() } else { json(held) };
            if deleted {
                asked.answer = Answer::Deleted;
            }
            return answer;
        }
        let (channel, asked) = (asked.channel, asked.id);
        let Some(found) = messages::find(lane, channel, id).filter(|it| answers(it, asked)) else {
            return unknown();
        };
        if deleted {
            messages::erase(lane, channel, id);
            return Response::empty();
        }
        match &draft {
            Some(draft) => messages::rewrite(lane, channel, id, |it| edit(it, draft, now_ms))
                .map_or_else(unknown, |message| json(&message)),
            None => json(&found),
        }
    })
}

/// Changes an answer. One that was only promised may still begin a poll.
fn edit(message: &mut Obj, draft: &Draft, now_ms: u64) {
    let flags = message.int("flags");
    message.set("flags", flags & !LOADING);
    draft.apply(message);
    if flags & LOADING != 0 {
        draft.begin_poll(message, now_ms);
    }
}

/// Whether the message was written with the token of the interaction: that gives no right to others.
fn answers(message: &Obj, asked: u64) -> bool {
    let metadata = message.get("interaction_metadata").and_then(Val::as_obj);
    metadata.is_some_and(|metadata| metadata.id("id") == asked)
}

//! What a bot wants to say: the body of a request that posts or edits a message.

use serde_json::Value;

use super::{Request, Response};
use crate::value::{Obj, Val, obj, taken_over};
use crate::world::clock::timestamp;

const CONTENT_MAX: usize = 2000;
const EMBEDS_MAX: usize = 10;
/// Nested ones counted.
const COMPONENTS_MAX: usize = 40;
/// SUPPRESS_EMBEDS, EPHEMERAL, SUPPRESS_NOTIFICATIONS and IS_COMPONENTS_V2: the flags a bot may set.
const FLAGS: u64 = 1 << 2 | 1 << 6 | 1 << 12 | 1 << 15;
/// Only who used the command sees the answer.
const EPHEMERAL: i64 = 1 << 6;

/// A message as a bot wrote it. What it left out is none.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    content: Option<String>,
    embeds: Option<Vec<Val>>,
    components: Option<Val>,
    attachments: Vec<(String, usize)>,
    poll: Option<Value>,
    flags: Option<i64>,
    tts: bool,
    nonce: Option<String>,
    pub(crate) reply_to: Option<u64>,
}

impl Draft {
    /// Reads the body of `request`. `new`: a message without anything in it is refused.
    pub(crate) fn read(request: &Request, new: bool) -> Result<Self, Response> {
        let mut draft = Self::of(&request.json()?)?;
        draft.attach(request);
        if new && draft.is_empty() {
            return Err(Response::error(400, 50006, "Cannot send an empty message"));
        }
        Ok(draft)
    }

    /// Reads a message object.
    pub(crate) fn of(body: &Value) -> Result<Self, Response> {
        let invalid = || Response::error(400, 50035, "Invalid Form Body");
        if !body.is_object() {
            return Err(invalid());
        }
        let given = |key: &str| body.get(key).filter(|value| !value.is_null());
        let text = |key: &str| match given(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let cleared = body.get("content").is_some_and(Value::is_null);
        let content = text("content").or_else(|| cleared.then(String::new));
        let embeds = match (given("embeds"), given("embed")) {
            (Some(Value::Array(list)), _) => Some(list.iter().map(embed).collect::<Vec<_>>()),
            (None, Some(one)) => Some(vec![embed(one)]),
            _ => None,
        };
        let too_long = content.as_ref().is_some_and(|it| it.chars().count() > CONTENT_MAX);
        let too_many = embeds.as_ref().is_some_and(|embeds| embeds.len() > EMBEDS_MAX)
            || given("components").map_or(0, count_components) > COMPONENTS_MAX;
        if too_long || too_many {
            return Err(invalid());
        }
        let id = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        Ok(Self {
            content,
            embeds,
            components: given("components").filter(|it| it.is_array()).map(taken_over),
            attachments: Vec::new(),
            poll: given("poll").cloned(),
            flags: given("flags").and_then(Value::as_u64).map(|flags| (flags & FLAGS) as i64),
            tts: given("tts") == Some(&Value::Bool(true)),
            nonce: text("nonce"),
            reply_to: given("message_reference").and_then(|it| it.get("message_id")).and_then(id),
        })
    }

    /// Adds the files that came with the request.
    pub(crate) fn attach(&mut self, request: &Request) {
        self.attachments = request.multipart_files();
    }

    fn is_empty(&self) -> bool {
        let none = |value: &Val| matches!(value, Val::List(list) if list.is_empty());
        self.content.as_ref().is_none_or(String::is_empty)
            && self.embeds.as_ref().is_none_or(Vec::is_empty)
            && self.components.as_ref().is_none_or(none)
            && self.attachments.is_empty()
            && self.poll.is_none()
    }

    /// Whether only one user is to see the message.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.flags.is_some_and(|flags| flags & EPHEMERAL != 0)
    }

    /// Lays what was given over `message`, but for the poll: one that began stays what it was.
    pub(crate) fn apply(&self, message: &mut Obj) {
        if let Some(content) = &self.content {
            message.set("content", content.clone());
        }
        if let Some(embeds) = &self.embeds {
            message.set("embeds", embeds.clone());
        }
        if let Some(components) = &self.components {
            message.set("components", components.clone());
        }
        if let Some(flags) = self.flags {
            message.set("flags", flags);
        }
        if self.tts {
            message.set("tts", true);
        }
        if let Some(nonce) = &self.nonce {
            message.set("nonce", nonce.clone());
        }
        if !self.attachments.is_empty() {
            let id = message.id("id");
            let list = self.attachments.iter().zip(id + 1..).map(|(file, id)| attachment(file, id));
            message.set("attachments", list.collect::<Vec<_>>());
        }
    }

    /// Has the poll that was given begin with `message`.
    pub(crate) fn begin_poll(&self, message: &mut Obj, now_ms: u64) {
        if let Some(poll) = &self.poll {
            message.set("poll", made_poll(poll, now_ms));
        }
    }
}

/// An embed as Discord gives it back.
fn embed(given: &Value) -> Val {
    match taken_over(given) {
        Val::Obj(embed) => Val::Obj(embed.with("type", "rich")),
        _ => Val::Obj(obj! { "type" => "rich" }),
    }
}

fn count_components(value: &Value) -> usize {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|part| 1 + part.get("components").map_or(0, count_components)).sum()
}

fn attachment((name, size): &(String, usize), id: u64) -> Obj {
    let url = format!("https://cdn.discordapp.com/attachments/1/{id}/{name}");
    obj! {
        "content_type" => "application/octet-stream",
        "filename" => name.clone(),
        "id" => Val::Id(id),
        "proxy_url" => url.clone(),
        "size" => *size,
        "url" => url,
    }
}

/// A poll as it begins.
fn made_poll(given: &Value, now_ms: u64) -> Obj {
    let hours = given.get("duration").and_then(Value::as_u64).unwrap_or(24).clamp(1, 768);
    let media = |value: Option<&Value>| value.map_or(Val::Null, taken_over);
    let answers = given.get("answers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let answers = answers.iter().take(10).zip(1_i64..).map(|(answer, number)| {
        obj! { "answer_id" => number, "poll_media" => media(answer.get("poll_media")) }
    });
    obj! {
        "allow_multiselect" => given.get("allow_multiselect") == Some(&Value::Bool(true)),
        "answers" => answers.collect::<Vec<_>>(),
        "expiry" => timestamp(now_ms + hours * 3_600_000),
        "layout_type" => 1,
        "question" => media(given.get("question")),
        "results" => obj! { "answer_counts" => Val::List(Vec::new()), "is_finalized" => false },
    }
}

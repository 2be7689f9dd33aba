//! Reactions to messages, and votes in polls.

use super::clock::timestamp;
use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::{message, text};
use crate::value::{Obj, Val, obj};

/// Who reacted to, or voted in, which message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) message: u64,
    pub(crate) user: u64,
    pub(crate) what: What,
}

/// A reaction's emoji, or a poll's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Reaction(Obj),
    Vote(i64),
}

/// Reactions and votes a guild remembers.
const MOST: usize = 200;

pub(crate) fn add(lane: &mut Lane, guild: &mut Guild) {
    if guild.messages.is_empty() || guild.marks.len() >= MOST {
        return remove_all(lane, guild);
    }
    let at = lane.dice.below(guild.messages.len());
    let user = guild.members[lane.dice.below(guild.members.len())].user_id;
    let emoji = emoji(lane, guild);
    react(lane, guild, at, user, &emoji);
}

/// A user reacts to the message at this place, unless it has already.
pub(crate) fn react(lane: &mut Lane, guild: &mut Guild, at: usize, user: u64, emoji: &Obj) {
    let id = guild.messages[at].id("id");
    let mark = Mark { message: id, user, what: What::Reaction(emoji.clone()) };
    if guild.marks.contains(&mark) || guild.marks.len() >= MOST * 2 {
        return;
    }
    guild.marks.push(mark);
    count(lane.bot_id, &mut guild.messages[at], user, emoji, 1);
    let message = &guild.messages[at];
    let author = message.get("author").and_then(Val::as_obj).map(|author| author.id("id"));
    let mut body = body(guild, message, user, emoji);
    body.set("message_author_id", Val::id_or_null(author));
    if let Some(member) = guild.member(user) {
        body.set("member", lane.member_object(member));
    }
    lane.emit(Event::guild(Kind::MESSAGE_REACTION_ADD, guild.id, body));
}

fn emoji(lane: &mut Lane, guild: &Guild) -> Obj {
    let dice = &mut lane.dice;
    match dice.pick(&guild.emojis) {
        Some(emoji) if dice.once_in(3) => obj! {
            "animated" => emoji.get("animated").cloned(),
            "id" => Val::Id(emoji.id("id")),
            "name" => emoji.get("name").cloned(),
        },
        _ => obj! { "id" => Val::Null, "name" => dice.one(&text::UNICODE_EMOJI) },
    }
}

fn body(guild: &Guild, message: &Obj, user: u64, emoji: &Obj) -> Obj {
    obj! {
        "burst" => false,
        "channel_id" => Val::Id(message.id("channel_id")),
        "emoji" => emoji.clone(),
        "guild_id" => Val::Id(guild.id),
        "message_id" => Val::Id(message.id("id")),
        "type" => 0,
        "user_id" => Val::Id(user),
    }
}

/// Keeps the message's own list of reactions.
fn count(bot: u64, message: &mut Obj, user: u64, emoji: &Obj, by: i64) {
    let mut list = match message.get("reactions") {
        Some(Val::List(list)) => list.clone(),
        _ => Vec::new(),
    };
    let same = |entry: &Val| {
        entry
            .as_obj()
            .and_then(|entry| entry.get("emoji")?.as_obj())
            .is_some_and(|held| held == emoji)
    };
    let at = list.iter().position(same).unwrap_or_else(|| {
        list.push(Val::Obj(obj! {
            "burst_colors" => Val::List(Vec::new()),
            "count" => 0,
            "count_details" => obj! { "burst" => 0, "normal" => 0 },
            "emoji" => emoji.clone(),
            "me" => false,
            "me_burst" => false,
        }));
        list.len() - 1
    });
    if let Val::Obj(entry) = &mut list[at] {
        let now = entry.int("count") + by;
        entry.set("count", now).set("count_details", obj! { "burst" => 0, "normal" => now });
        if user == bot {
            entry.set("me", by > 0);
        }
        if now == 0 {
            list.remove(at);
        }
    }
    if list.is_empty() {
        message.remove("reactions");
    } else {
        message.set("reactions", list);
    }
}

pub(crate) fn remove(lane: &mut Lane, guild: &mut Guild) {
    let reactions: Vec<usize> = (0..guild.marks.len())
        .filter(|at| matches!(guild.marks[*at].what, What::Reaction(_)))
        .collect();
    let Some(&at) = lane.dice.pick(&reactions) else { return add(lane, guild) };
    take_back(lane, guild, at);
}

/// A user takes a reaction back.
pub(crate) fn unreact(lane: &mut Lane, guild: &mut Guild, message: u64, user: u64, emoji: &Obj) {
    let mark = Mark { message, user, what: What::Reaction(emoji.clone()) };
    if let Some(at) = guild.marks.iter().position(|held| *held == mark) {
        take_back(lane, guild, at);
    }
}

fn take_back(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let mark = guild.marks.remove(at);
    let What::Reaction(emoji) = mark.what else { return };
    let Some(place) = guild.message_at(mark.message) else { return };
    count(lane.bot_id, &mut guild.messages[place], mark.user, &emoji, -1);
    let body = body(guild, &guild.messages[place], mark.user, &emoji);
    lane.emit(Event::guild(Kind::MESSAGE_REACTION_REMOVE, guild.id, body));
}

/// A moderator clears every reaction of a message.
pub(crate) fn remove_all(lane: &mut Lane, guild: &mut Guild) {
    clear(lane, guild, false);
}

/// As [`remove_all`], for one emoji.
pub(crate) fn remove_emoji(lane: &mut Lane, guild: &mut Guild) {
    clear(lane, guild, true);
}

fn clear(lane: &mut Lane, guild: &mut Guild, one_emoji: bool) {
    let mark = guild.marks.iter().find_map(|mark| match &mark.what {
        What::Reaction(emoji) => Some((mark.message, emoji.clone())),
        What::Vote(_) => None,
    });
    let Some((id, emoji)) = mark else { return message::create(lane, guild) };
    let goes = |mark: &Mark| match &mark.what {
        What::Reaction(held) => mark.message == id && (!one_emoji || *held == emoji),
        What::Vote(_) => false,
    };
    let gone: Vec<Mark> = guild.marks.iter().filter(|mark| goes(mark)).cloned().collect();
    guild.marks.retain(|mark| !goes(mark));
    let Some(place) = guild.message_at(id) else { return };
    for mark in gone {
        if let What::Reaction(emoji) = mark.what {
            count(lane.bot_id, &mut guild.messages[place], mark.user, &emoji, -1);
        }
    }
    let mut body = obj! {
        "channel_id" => Val::Id(guild.messages[place].id("channel_id")),
        "guild_id" => Val::Id(guild.id),
        "message_id" => Val::Id(id),
    };
    let kind = if one_emoji {
        body.set("emoji", emoji);
        Kind::MESSAGE_REACTION_REMOVE_EMOJI
    } else {
        Kind::MESSAGE_REACTION_REMOVE_ALL
    };
    lane.emit(Event::guild(kind, guild.id, body));
}

/// The poll of a new message.
pub(crate) fn poll(lane: &mut Lane) -> Obj {
    let expiry = timestamp(lane.clock.now_ms() + 86_400_000);
    let dice = &mut lane.dice;
    let answers: Vec<Obj> = (1..=dice.between(2, 5))
        .map(|answer| {
            let mut media = obj! { "text" => text::title(dice) };
            if dice.once_in(2) {
                media.set(
                    "emoji",
                    obj! { "id" => Val::Null, "name" => dice.one(&text::UNICODE_EMOJI) },
                );
            }
            obj! { "answer_id" => answer, "poll_media" => media }
        })
        .collect();
    obj! {
        "allow_multiselect" => dice.once_in(2),
        "answers" => answers,
        "expiry" => expiry,
        "layout_type" => 1,
        "question" => obj! { "text" => text::title(dice) },
        "results" => obj! { "answer_counts" => Val::List(Vec::new()), "is_finalized" => false },
    }
}

/// Somebody votes, or takes the vote back.
pub(crate) fn vote(lane: &mut Lane, guild: &mut Guild) {
    let polls: Vec<usize> =
        (0..guild.messages.len()).filter(|at| guild.messages[*at].get("poll").is_some()).collect();
    let Some(&at) = lane.dice.pick(&polls) else { return message::create_poll(lane, guild) };
    let message = guild.messages[at].id("id");
    let voters: Vec<usize> = (0..guild.marks.len())
        .filter(|at| {
            matches!(guild.marks[*at].what, What::Vote(_)) && guild.marks[*at].message == message
        })
        .collect();
    let (kind, user, answer) = match lane.dice.pick(&voters).copied() {
        Some(voter) if lane.dice.once_in(3) || guild.marks.len() >= MOST => {
            let mark = guild.marks.remove(voter);
            let What::Vote(answer) = mark.what else { return };
            (Kind::MESSAGE_POLL_VOTE_REMOVE, mark.user, answer)
        }
        _ => {
            let user = guild.members[lane.dice.below(guild.members.len())].user_id;
            let answer = lane.dice.between(1, 2);
            let mark = Mark { message, user, what: What::Vote(answer) };
            if guild.marks.contains(&mark) {
                return;
            }
            guild.marks.push(mark);
            (Kind::MESSAGE_POLL_VOTE_ADD, user, answer)
        }
    };
    let body = obj! {
        "answer_id" => answer,
        "channel_id" => Val::Id(guild.messages[at].id("channel_id")),
        "guild_id" => Val::Id(guild.id),
        "message_id" => Val::Id(message),
        "user_id" => Val::Id(user),
    };
    lane.emit(Event::guild(kind, guild.id, body));
}

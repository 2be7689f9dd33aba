//! Voice states.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::{channel, text};
use crate::value::{Obj, Val, obj};

/// Somebody joins, moves, mutes or leaves.
pub(crate) fn step(lane: &mut Lane, guild: &mut Guild) {
    match lane.dice.below(6) {
        0..=1 if guild.voice_states.len() < 25 => join(lane, guild),
        2 if !guild.voice_states.is_empty() => {
            let at = lane.dice.below(guild.voice_states.len());
            leave(lane, guild, at);
        }
        _ if !guild.voice_states.is_empty() => {
            let at = lane.dice.below(guild.voice_states.len());
            let dice = &mut lane.dice;
            let field = dice.one(&["self_mute", "self_deaf", "self_video", "mute"]);
            guild.voice_states[at].set(field, dice.once_in(2));
            tell(lane, guild, at);
        }
        _ => join(lane, guild),
    }
}

fn join(lane: &mut Lane, guild: &mut Guild) {
    let channels = guild.channels_of(&[channel::VOICE, channel::STAGE]);
    let Some(&place) = lane.dice.pick(&channels) else { return };
    let who = lane.dice.below(guild.members.len());
    let user_id = guild.members[who].user_id;
    if guild.members[who].user.is_none() {
        return;
    }
    let channel_id = guild.channels[place].id("id");
    place_user(lane, guild, user_id, channel_id, (false, false), None);
}

/// Puts a user into a channel, from wherever it is now.
pub(crate) fn place_user(
    lane: &mut Lane,
    guild: &mut Guild,
    user_id: u64,
    channel_id: u64,
    (self_mute, self_deaf): (bool, bool),
    session: Option<&str>,
) {
    let known = guild.voice_states.iter().position(|state| state.id("user_id") == user_id);
    let former = known.map(|at| guild.voice_states[at].id("channel_id"));
    let at = match known {
        Some(at) => at,
        None => {
            guild.voice_states.push(obj! {
                "deaf" => false,
                "guild_id" => Val::Id(guild.id),
                "mute" => false,
                "request_to_speak_timestamp" => Val::Null,
                "self_stream" => false,
                "self_video" => false,
                "session_id" => lane.dice.hex(32),
                "suppress" => false,
                "user_id" => Val::Id(user_id),
            });
            guild.voice_states.len() - 1
        }
    };
    guild.voice_states[at]
        .set("channel_id", Val::Id(channel_id))
        .set("self_deaf", self_deaf)
        .set("self_mute", self_mute);
    if let Some(session) = session {
        guild.voice_states[at].set("session_id", session.to_owned());
    }
    tell(lane, guild, at);
    for channel in former.into_iter().chain([channel_id]) {
        start_time(lane, guild, channel);
    }
}

/// The bot itself joins or moves (op 4): it is in voice by that session then, and is also told the voice server.
pub(crate) fn bot_joins(
    lane: &mut Lane,
    guild: &mut Guild,
    channel: u64,
    (mute, deaf): (bool, bool),
    session: &str,
) {
    let kind = guild.channel(channel).map(|channel| channel.int("type"));
    if matches!(kind, Some(channel::VOICE | channel::STAGE)) {
        place_user(lane, guild, lane.bot_id, channel, (mute, deaf), Some(session));
        server(lane, guild);
    }
}

/// The bot itself leaves (op 4).
pub(crate) fn bot_leaves(lane: &mut Lane, guild: &mut Guild) {
    let bot = lane.bot_id;
    if let Some(at) = guild.voice_states.iter().position(|state| state.id("user_id") == bot) {
        leave(lane, guild, at);
    }
}

/// One of the bot's sessions is over, and with it the bot's being in voice by it.
pub(crate) fn session_ends(lane: &mut Lane, guild: &mut Guild, session: &str) {
    let bot = lane.bot_id;
    let is_its = |state: &Obj| {
        let by = match state.get("session_id") {
            Some(Val::Str(id)) => Some(id.as_str()),
            _ => None,
        };
        state.id("user_id") == bot && by == Some(session)
    };
    if let Some(at) = guild.voice_states.iter().position(is_its) {
        leave(lane, guild, at);
    }
}

/// The member at this place of the list leaves its channel.
pub(crate) fn leave(lane: &mut Lane, guild: &mut Guild, at: usize) {
    let channel = guild.voice_states[at].id("channel_id");
    guild.voice_states[at].set("channel_id", Val::Null);
    tell(lane, guild, at);
    guild.voice_states.remove(at);
    start_time(lane, guild, channel);
}

/// Tells since when somebody is in a voice channel, if that has changed.
fn start_time(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    let used = guild.voice_states.iter().any(|state| state.id("channel_id") == channel);
    let Some(place) = guild.channels.iter_mut().find(|place| place.id("id") == channel) else {
        return;
    };
    let known = matches!(place.get("voice_start_time"), Some(Val::Int(_)));
    if used == known {
        return;
    }
    let time = used.then_some((lane.clock.now_ms() / 1000) as i64);
    place.set("voice_start_time", time);
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "id" => Val::Id(channel),
        "voice_start_time" => time,
    };
    lane.emit(Event::guild(Kind::VOICE_CHANNEL_START_TIME_UPDATE, guild.id, body));
}

fn tell(lane: &mut Lane, guild: &Guild, at: usize) {
    let mut body: Obj = guild.voice_states[at].clone();
    if let Some(member) = guild.member(body.id("user_id")) {
        body.set("member", lane.member_object(member));
    }
    lane.emit(Event::guild(Kind::VOICE_STATE_UPDATE, guild.id, body));
}

/// An emoji or a sound thrown into a voice channel.
pub(crate) fn effect(lane: &mut Lane, guild: &mut Guild) {
    let Some(state) = lane.dice.pick(&guild.voice_states) else { return };
    let dice = &mut lane.dice;
    let emoji = dice.one(&text::UNICODE_EMOJI);
    let mut body = obj! {
        "animation_id" => dice.between(0, 20),
        "animation_type" => dice.between(0, 1),
        "channel_id" => Val::Id(state.id("channel_id")),
        "emoji" => obj! { "animated" => false, "id" => Val::Null, "name" => emoji },
        "guild_id" => Val::Id(guild.id),
        "user_id" => Val::Id(state.id("user_id")),
    };
    if let Some(sound) = dice.pick(&guild.sounds).filter(|_| dice.once_in(2)) {
        body.set("sound_id", Val::Id(sound.id("sound_id"))).set("sound_volume", 0.5);
    }
    lane.emit(Event::guild(Kind::VOICE_CHANNEL_EFFECT_SEND, guild.id, body));
}

/// The bot is told which voice server to use.
pub(crate) fn server(lane: &mut Lane, guild: &mut Guild) {
    let dice = &mut lane.dice;
    let endpoint =
        (!dice.once_in(5)).then(|| format!("rotterdam{}.discord.media:443", dice.between(1, 9999)));
    let body = obj! {
        "endpoint" => endpoint,
        "guild_id" => Val::Id(guild.id),
        "token" => dice.hex(16),
    };
    lane.emit(Event::guild(Kind::VOICE_SERVER_UPDATE, guild.id, body));
}

//! The state of the world as one JSON object, for comparing with a cache.

use super::guild::Guild;
use super::lane::Lane;
use crate::gateway::hub::Hub;
use crate::value::{Key, Obj, Val, obj, write_json};

/// `{"user", "guilds": {id: {"guild", "channels", …}}}`, every collection keyed by id. With `shard`
/// only the guilds of that lane.
pub(crate) fn dump(hub: &Hub, shard: Option<u64>) -> Vec<u8> {
    let mut guilds = Vec::new();
    for (index, feed) in hub.feeds.iter().enumerate() {
        if shard.is_some_and(|shard| shard != index as u64) {
            continue;
        }
        let lane = feed.lane();
        guilds.extend(lane.guilds.iter().map(|guild| (Key::Id(guild.id), whole(&lane, guild))));
    }
    let mut out = Vec::new();
    let world = obj! { "guilds" => Obj::from_members(guilds), "user" => hub.own_user() };
    write_json(&Val::Obj(world), &mut out);
    out
}

/// A guild with everything in it.
pub(crate) fn whole(lane: &Lane, guild: &Guild) -> Val {
    let by = |objects: &[Obj], key: &'static str| -> Val {
        let members = objects.iter().map(|object| (Key::Id(object.id(key)), object.clone().into()));
        Obj::from_members(members.collect()).into()
    };
    let members = guild
        .members
        .iter()
        .map(|member| (Key::Id(member.user_id), Val::Obj(lane.member_object(member))));
    let presences = guild.members.iter().filter_map(|member| {
        let presence = member.presence.as_ref()?.object(member.user_id);
        Some((Key::Id(member.user_id), Val::Obj(presence)))
    });
    let threads: Vec<Obj> = guild.threads.iter().map(|thread| thread.fields.clone()).collect();
    let messages: Vec<Obj> = guild.messages.iter().cloned().collect();
    let mut whole = obj! {
        "automod_rules" => by(&guild.rules, "id"),
        "channels" => by(&guild.channels, "id"),
        "guild" => guild.object(),
        "integrations" => by(&guild.integrations, "id"),
        "member_count" => guild.members.len(),
        "members" => Obj::from_members(members.collect()),
        "messages" => by(&messages, "id"),
        "presences" => Obj::from_members(presences.collect()),
        "scheduled_events" => by(&guild.scheduled, "id"),
        "soundboard_sounds" => by(&guild.sounds, "sound_id"),
        "stage_instances" => by(&guild.stages, "id"),
        "threads" => by(&threads, "id"),
        "unavailable" => guild.unavailable,
        "voice_states" => by(&guild.voice_states, "user_id"),
    };
    if !guild.hidden.is_empty() {
        whole.set("hidden_channels", by(&guild.hidden, "id"));
    }
    whole.into()
}

//! What a client is told first: READY, and its guilds as they are.

use std::collections::HashSet;

use mixcord::event::{Document, Key, Map, Value, Writer, edit};
use mixcord::state::GuildSnapshot;
use mixcord::{State, atoms};

use crate::intents::Intents;
use crate::session::Session;

/// The guilds that a session begins with: those cached that are of its shard, by id.
pub(crate) fn guilds_of(
    state: &State,
    has: impl Fn(u64) -> bool,
) -> Result<Vec<u64>, mixcord::state::Error> {
    let mut guilds = Vec::new();
    for found in state.guilds() {
        let id = found?.id;
        if has(id) {
            guilds.push(id);
        }
    }
    Ok(guilds)
}

/// READY. `user` is the bot's own.
pub(crate) fn ready(
    session: &Session,
    user: &Document,
    guilds: &[u64],
    version: u8,
    url: &str,
) -> Option<Document> {
    let head = session.head();
    let id = user.get(atoms::ID).and_then(Value::as_id).unwrap_or(0);
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let guilds: Vec<_> =
        guilds.iter().map(|guild| format!(r#"{{"id":"{guild}","unavailable":true}}"#)).collect();
    let json = format!(
        r#"{{"v":{version},"user":{user},"guilds":[{guilds}],"session_id":{session},
            "resume_gateway_url":{url},"shard":[{shard},{shards}],
            "application":{{"id":"{id}","flags":0}},"session_type":"normal","private_channels":[],
            "relationships":[],"presences":[],"guild_join_requests":[],"user_settings":{{}},
            "geo_ordered_rtc_regions":[],"auth":{{}},"_trace":["[\"mixcord-proxy\"]"]}}"#,
        user = user.to_json(),
        guilds = guilds.join(","),
        session = text(session.id()),
        url = text(url),
        shard = head.shard,
        shards = head.shards,
    );
    Document::from_json(&json).ok()
}

/// GUILD_CREATE of a snapshot, as Discord would send it to whoever has these intents.
pub(crate) fn guild_create(
    snapshot: &GuildSnapshot,
    intents: Intents,
    large: u32,
    me: u64,
) -> Document {
    let mut out = Vec::new();
    let mut guild = Writer::new(&mut out).map();
    let own = snapshot.guild.value().as_map();
    for (key, value) in own.into_iter().flatten() {
        if !matches!(key, Key::Atom(atoms::LARGE | atoms::UNAVAILABLE)) {
            guild.keyed(key, value);
        }
    }
    let count = snapshot.guild.get(atoms::MEMBER_COUNT).and_then(Value::as_u64);
    let is_large = count.unwrap_or(snapshot.members.len() as u64) > u64::from(large);
    guild.entry(atoms::LARGE, is_large);
    guild.entry(atoms::UNAVAILABLE, false);
    let with_presences = intents.has(Intents::GUILD_PRESENCES);
    let voice = intents.has(Intents::GUILD_VOICE_STATES);
    let lists: [(_, &[Document], bool); 7] = [
        (atoms::CHANNELS, &snapshot.channels, true),
        (atoms::THREADS, &snapshot.threads, true),
        (atoms::PRESENCES, &snapshot.presences, with_presences),
        (atoms::VOICE_STATES, &snapshot.voice_states, voice),
        (atoms::STAGE_INSTANCES, &snapshot.stage_instances, true),
        (atoms::GUILD_SCHEDULED_EVENTS, &snapshot.scheduled_events, true),
        (atoms::SOUNDBOARD_SOUNDS, &snapshot.soundboard_sounds, true),
    ];
    for (key, documents, shown) in lists {
        let mut list = guild.list(key);
        documents.iter().filter(|_| shown).for_each(|document| list.push(document.value()));
    }
    let shown = shown_members(snapshot.voice_states.iter().map(Document::value), intents, me);
    let mut members = guild.list(atoms::MEMBERS);
    for member in &snapshot.members {
        if shown
            .as_ref()
            .is_none_or(|shown| user_of(member.value()).is_some_and(|id| shown.contains(&id)))
        {
            members.push(member.value());
        }
    }
    drop(members);
    drop(guild);
    Document::trusted(out)
}

/// Whether a guild shows less to whoever has these intents than there is.
pub(crate) const fn hides(intents: Intents) -> bool {
    !intents.has(Intents::GUILD_PRESENCES) || !intents.has(Intents::GUILD_VOICE_STATES)
}

/// The data of a GUILD_CREATE as Discord would send it to whoever has these intents.
pub(crate) fn as_shown(guild: Map<'_>, intents: Intents, me: u64) -> Vec<u8> {
    let (mut none, mut some) = (Vec::new(), Vec::new());
    Writer::new(&mut none).list().end();
    let nothing = Value::trusted(&none);
    let mut changes = Vec::new();
    let hidden = [
        (atoms::PRESENCES, Intents::GUILD_PRESENCES),
        (atoms::VOICE_STATES, Intents::GUILD_VOICE_STATES),
    ];
    for (key, needed) in hidden {
        if !intents.has(needed) && guild.contains(key) {
            changes.push((key, nothing));
        }
    }
    let list = |key| guild.get(key).and_then(Value::as_list);
    let voice = list(atoms::VOICE_STATES).into_iter().flat_map(|states| states.iter());
    if let Some(shown) = shown_members(voice, intents, me)
        && let Some(members) = list(atoms::MEMBERS)
    {
        let mut list = Writer::new(&mut some).list();
        let is_shown = |member: &Value<'_>| user_of(*member).is_some_and(|id| shown.contains(&id));
        members.iter().filter(is_shown).for_each(|member| list.push(member));
        list.end();
        changes.push((atoms::MEMBERS, Value::trusted(&some)));
    }
    let mut out = Vec::new();
    edit::with(guild, &changes, &mut out);
    out
}

/// The members that are shown, of a guild with these in voice; `None` where all are. Without either intent nobody
/// would tell the client what becomes of the others.
fn shown_members<'a>(
    voice: impl Iterator<Item = Value<'a>>,
    intents: Intents,
    me: u64,
) -> Option<HashSet<u64>> {
    let hidden = !intents.has(Intents::GUILD_PRESENCES) && !intents.has(Intents::GUILD_MEMBERS);
    let speakers = voice.filter_map(|state| state.get(atoms::USER_ID)?.as_id());
    hidden.then(|| speakers.chain([me]).collect())
}

/// The user that a member is.
pub(crate) fn user_of(member: Value<'_>) -> Option<u64> {
    member.get(atoms::USER)?.get(atoms::ID)?.as_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guild_that_comes_later_shows_what_the_intents_show() {
        let guild = Document::from_json(
            r#"{"id":"1","presences":[{"user":{"id":"5"}}],"voice_states":[{"user_id":"6"}],
                "members":[{"user":{"id":"5"}},{"user":{"id":"6"}},{"user":{"id":"9"}}]}"#,
        );
        let guild = guild.expect("json");
        let shown = |bits| {
            let intents = Intents::from_bits(bits).expect("intents");
            let map = guild.value().as_map().expect("a map");
            let document = Document::trusted(as_shown(map, intents, 9));
            let shown: serde_json::Value = serde_json::from_str(&document.to_json()).expect("json");
            let count = |key: &str| shown[key].as_array().map_or(0, Vec::len);
            (count("presences"), count("voice_states"), count("members"), hides(intents))
        };
        assert_eq!(shown(1 | 1 << 1 | 1 << 7 | 1 << 8), (1, 1, 3, false));
        assert_eq!(shown(1 | 1 << 8), (1, 0, 3, true));
        assert_eq!(shown(1 | 1 << 1), (0, 0, 3, true));
        assert_eq!(shown(1), (0, 0, 2, true), "who is in voice, and the bot");
    }
}

//! What a client is told first: READY, and its guilds as they are.

use std::collections::HashSet;

use mixcord::event::{Document, Key, Value, Writer};
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
    // Without either intent nobody would tell the client what becomes of the others.
    let shown: Option<HashSet<u64>> = (!with_presences && !intents.has(Intents::GUILD_MEMBERS))
        .then(|| {
            let speakers = snapshot.voice_states.iter();
            let ids = speakers.filter_map(|state| state.get(atoms::USER_ID)?.as_id());
            ids.chain([me]).collect()
        });
    let mut members = guild.list(atoms::MEMBERS);
    for member in &snapshot.members {
        if shown.as_ref().is_none_or(|shown| user_of(member).is_some_and(|id| shown.contains(&id)))
        {
            members.push(member.value());
        }
    }
    drop(members);
    drop(guild);
    Document::trusted(out)
}

/// The user that a member is.
pub(crate) fn user_of(member: &Document) -> Option<u64> {
    member.get(atoms::USER)?.get(atoms::ID)?.as_id()
}

//! A cache that has been given a guild with all there can be in it, for tests of queries.

use std::time::Duration;

use anyhow::Result;
use mixcord::state::Error;
use mixcord::{State, atoms};
use serde_json::{Value, json};

use crate::process::{Program, until};
use crate::shard::Shard;
use crate::stack::Stack;

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(30);
/// The guild.
pub const GUILD: u64 = 100;
/// Its channel with the messages.
pub const CHANNEL: u64 = 200;
/// Its members, whose ids begin at 1000.
pub const MEMBERS: u64 = 700;

fn guild() -> Value {
    let user = |id: u64| json!({"id": id.to_string(), "username": format!("user {id}")});
    let members: Vec<_> = (1_000..1_000 + MEMBERS)
        .map(|id| json!({"user": user(id), "nick": format!("nick {id}"), "roles": ["300"]}))
        .collect();
    json!({
        "id": "100", "name": "the guild", "owner_id": "1000", "member_count": MEMBERS,
        "roles": [{"id": "100", "name": "@everyone"}, {"id": "300", "name": "role"}],
        "emojis": [{"id": "400", "name": "emoji"}, {"id": "401", "name": "other"}],
        "stickers": [{"id": "500", "name": "sticker"}],
        "channels": [{"id": "200", "name": "channel", "type": 0}, {"id": "201", "type": 2}],
        "threads": [{"id": "210", "name": "thread", "parent_id": "200"}],
        "members": members,
        "presences": [{"user": {"id": "1001"}, "status": "idle"}],
        "voice_states": [{"user_id": "1002", "channel_id": "201", "session_id": "s"}],
        "stage_instances": [{"id": "600", "channel_id": "201"}],
        "guild_scheduled_events": [{"id": "601", "name": "event"}],
        "soundboard_sounds": [{"sound_id": "602", "name": "sound"}],
    })
}

fn message(id: u64) -> Value {
    json!({"id": id.to_string(), "channel_id": "200", "guild_id": "100",
           "author": {"id": "1000", "username": "user 1000"}, "content": format!("text {id}")})
}

/// A new name of the channel.
pub fn rename(name: &str) -> Value {
    json!({"id": "200", "guild_id": "100", "name": name})
}

/// Waits until the channel is called so.
///
/// # Errors
/// When it is not, after half a minute.
pub fn until_named(state: &State, name: &str) -> Result<()> {
    until(&format!("the channel to be called {name}"), DEADLINE, || {
        channel_name(state).is_ok_and(|found| found.as_deref() == Some(name))
    })
}

/// What the channel is called.
///
/// # Errors
/// When there is no state.
pub fn channel_name(state: &State) -> Result<Option<String>, Error> {
    let channel = state.channel(CHANNEL)?;
    Ok(channel.and_then(|channel| Some(channel.get(atoms::NAME)?.as_str()?.to_owned())))
}

/// A cache that has been given the guild and twenty messages, 1 to 20.
///
/// # Errors
/// When it does not come to know them.
pub fn furnished(stack: &Stack, options: &[&str]) -> Result<(Shard, Program, State)> {
    let mut shard = Shard::new(stack)?;
    shard.send("READY", 0, &json!({"user": {"id": "1", "username": "bot"}, "guilds": []}))?;
    shard.send("GUILD_CREATE", GUILD, &guild())?;
    shard.send("INTEGRATION_CREATE", GUILD, &json!({"id": "603", "guild_id": "100"}))?;
    shard.send("AUTO_MODERATION_RULE_CREATE", GUILD, &json!({"id": "604", "guild_id": "100"}))?;
    for id in 1..=20 {
        shard.send("MESSAGE_CREATE", GUILD, &message(id))?;
    }
    shard.send("CHANNEL_UPDATE", GUILD, &rename("ready"))?;
    let cache = stack.cache(options)?;
    let state = State::attach(stack.instance())?;
    until_named(&state, "ready")?;
    Ok((shard, cache, state))
}

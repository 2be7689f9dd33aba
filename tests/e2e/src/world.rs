//! The oracle of the state: the world of fake-discord against what the cache keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use mixcord::State;
use mixcord::event::Document;
use mixcord::state::Resource;
use serde_json::{Value, json};

/// Entities of one resource by owner and id.
type Entities = BTreeMap<(u64, u64), Value>;

/// What a gateway with certain intents is shown of the world, and so must be in the state.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The resources whose changes are shown.
    pub shown: &'static [Resource],
    /// The resources of which nothing is shown at all.
    pub hidden: &'static [Resource],
    /// Fields that only events which are not shown tell of.
    pub untold: &'static [&'static str],
}

impl View {
    /// With every intent.
    pub const WHOLE: Self = Self { shown: Resource::ALL, hidden: &[], untold: &[] };
}

/// Everything in which the state is not what a gateway was shown of the world. Messages older than the
/// bot's present membership of their guild are nobody's to know.
///
/// # Errors
/// When one of the two cannot be read.
pub fn differences(world: &Value, state: &State, view: View) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let me = state.me()?.map(|me| json_of(&me)).transpose()?;
    if me.as_ref() != Some(&world["user"]) {
        found.push(format!("the bot is {} in the world and {me:?} in the state", world["user"]));
    }
    for &resource in view.shown {
        let (mut wanted, mut stored) = (expected(world, resource)?, stored(state, resource)?);
        match resource {
            Resource::Messages => bound(world, &mut wanted, &mut stored, &mut found)?,
            // Of itself a bot knows more than others.
            Resource::Users | Resource::Members => with_own_user(&world["user"], &mut wanted)?,
            _ => {}
        }
        for entity in wanted.values_mut().chain(stored.values_mut()) {
            let fields = entity.as_object_mut().context("an object")?;
            fields.retain(|key, _| !view.untold.contains(&key.as_str()));
        }
        compare(resource, &wanted, &stored, &mut found);
    }
    for &resource in view.hidden {
        for (owner, id) in stored(state, resource)?.keys() {
            found.push(format!("{resource} {owner}/{id}: nobody could know it"));
        }
    }
    let channels = expected(world, Resource::Channels)?;
    for (guild, channel) in channels.keys().filter(|_| view.shown.contains(&Resource::Channels)) {
        if state.guild_of_channel(*channel)? != Some(*guild) {
            found.push(format!("channel {channel} is not known to be of guild {guild}"));
        }
    }
    Ok(found)
}

/// What the cache should keep of a resource.
fn expected(world: &Value, resource: Resource) -> Result<Entities> {
    let mut wanted = Entities::new();
    for (guild, whole) in by_id(&world["guilds"])? {
        match resource {
            Resource::Guilds => {
                let mut own = whole["guild"].clone();
                own["member_count"] = whole["member_count"].clone();
                if whole["unavailable"] == true {
                    own["unavailable"] = json!(true);
                }
                wanted.insert((0, guild), own);
            }
            Resource::Roles | Resource::Emojis | Resource::Stickers => {
                for item in whole["guild"][resource.name()].as_array().into_iter().flatten() {
                    wanted.insert((guild, id(&item["id"])?), item.clone());
                }
            }
            Resource::Users => {
                for (user, member) in by_id(&whole["members"])? {
                    wanted.insert((0, user), member["user"].clone());
                }
            }
            Resource::Messages => {
                for (message, content) in by_id(&whole["messages"])? {
                    wanted.insert((id(&content["channel_id"])?, message), content);
                }
            }
            _ => {
                for (id, mut entity) in by_id(&whole[resource.name()])? {
                    if matches!(resource, Resource::Members | Resource::Presences) {
                        entity["guild_id"] = json!(guild.to_string());
                    }
                    wanted.insert((guild, id), entity);
                }
            }
        }
        if resource == Resource::Channels {
            // What the bot may not see any more stays as it was last told (G-49).
            for (id, channel) in by_id(&whole["hidden_channels"])? {
                wanted.insert((guild, id), channel);
            }
        }
    }
    Ok(wanted)
}

/// Puts the bot's own user, which READY tells, in the place of the one that others see.
fn with_own_user(me: &Value, wanted: &mut Entities) -> Result<()> {
    let own = id(&me["id"])?;
    for (_, entity) in wanted.iter_mut().filter(|((_, id), _)| *id == own) {
        let user = if entity.get("user").is_some() { &mut entity["user"] } else { entity };
        user.clone_from(me);
    }
    Ok(())
}

/// Leaves of the messages what both sides must have. Both forget the oldest: the cache those beyond so
/// many in a channel, the world those beyond so many in a guild; and the world does not count those to
/// the bot alone.
fn bound(
    world: &Value,
    wanted: &mut Entities,
    stored: &mut Entities,
    found: &mut Vec<String>,
) -> Result<()> {
    const IN_A_CHANNEL: usize = 100;
    let mut kept: BTreeMap<u64, usize> = BTreeMap::new();
    stored.keys().for_each(|(channel, _)| *kept.entry(*channel).or_default() += 1);
    let beyond = kept.into_iter().filter(|(_, messages)| *messages > IN_A_CHANNEL);
    found.extend(beyond.map(|(channel, count)| format!("{count} messages of {channel} are kept")));
    let mut oldest: BTreeMap<u64, u64> = BTreeMap::new();
    for guild in by_id(&world["guilds"])?.values() {
        let first = by_id(&guild["messages"])?.into_keys().next().unwrap_or(0);
        let channels = by_id(&guild["channels"])?.into_keys();
        oldest.extend(channels.chain(by_id(&guild["threads"])?.into_keys()).map(|id| (id, first)));
    }
    stored.retain(|(channel, id), _| oldest.get(channel).is_some_and(|oldest| id >= oldest));
    let mut in_channel: BTreeMap<u64, usize> = BTreeMap::new();
    let newest: BTreeSet<_> = wanted
        .keys()
        .rev()
        .filter(|(channel, _)| {
            let kept = in_channel.entry(*channel).or_default();
            *kept += 1;
            *kept <= IN_A_CHANNEL
        })
        .copied()
        .collect();
    wanted.retain(|key, _| newest.contains(key));
    Ok(())
}

/// What the cache keeps of a resource.
fn stored(state: &State, resource: Resource) -> Result<Entities> {
    let mut entities = Entities::new();
    for found in state.entities(resource) {
        let found = found?;
        let before = entities.insert((found.owner, found.id), json_of(&found.document)?);
        ensure!(before.is_none(), "{resource} {} is there twice", found.id);
    }
    Ok(entities)
}

/// The entities must be the same, and of each every field that the world has; what the state may have
/// beside is in [`may_be_added`].
fn compare(resource: Resource, wanted: &Entities, stored: &Entities, found: &mut Vec<String>) {
    let keys: BTreeSet<_> = wanted.keys().chain(stored.keys()).collect();
    for key in keys {
        let path = format!("{resource} {}/{}", key.0, key.1);
        match (wanted.get(key), stored.get(key)) {
            (Some(world), Some(state)) => fields(resource, &path, world, state, found),
            (Some(_), None) => found.push(format!("{path} is not in the state")),
            (None, Some(state)) => found.push(format!("{path} is in the state alone: {state}")),
            (None, None) => {}
        }
    }
}

fn fields(resource: Resource, path: &str, world: &Value, state: &Value, found: &mut Vec<String>) {
    let (Some(world), Some(state)) = (world.as_object(), state.as_object()) else {
        if world != state {
            found.push(format!("{path}: the world has {world}, the state {state}"));
        }
        return;
    };
    for (key, value) in world {
        match state.get(key) {
            None => found.push(format!("{path}: the state is without {key}, which is {value}")),
            Some(kept) => fields(resource, &format!("{path}.{key}"), value, kept, found),
        }
    }
    for (key, value) in state.iter().filter(|(key, _)| !world.contains_key(*key)) {
        if !may_be_added(resource, key, value) {
            found.push(format!("{path}: {key} is in the state alone: {value}"));
        }
    }
}

/// Fields of the state that the world's own form of an entity does not have: what events carry beside.
fn may_be_added(resource: Resource, key: &str, value: &Value) -> bool {
    match resource {
        Resource::Guilds if key == "unavailable" => *value == false,
        Resource::Guilds => matches!(key, "joined_at" | "large"),
        // Threads tell the bot of its own membership.
        Resource::VoiceStates | Resource::Threads => key == "member",
        _ => false,
    }
}

fn json_of(document: &Document) -> Result<Value> {
    Ok(serde_json::from_str(&document.to_json())?)
}

/// A collection of the world, which is keyed by id.
fn by_id(collection: &Value) -> Result<BTreeMap<u64, Value>> {
    let entries = collection.as_object().into_iter().flatten();
    entries.map(|(key, value)| Ok((key.parse()?, value.clone()))).collect()
}

fn id(value: &Value) -> Result<u64> {
    value.as_str().and_then(|id| id.parse().ok()).with_context(|| format!("{value} is no id"))
}

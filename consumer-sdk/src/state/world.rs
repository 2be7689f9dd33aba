//! A state made by hand, in memory: what a test says the cache knows.

use std::collections::BTreeMap;

use mixcord_event::{Atom, Document, Map, Value, Writer, atoms, edit};
use mixcord_state::{Found, Resource, StoreError};

use super::entities::Range;
use super::look::Look;

/// Entities by resource, owner and id, as the cache keeps them: a member without its user, a guild without what
/// its GUILD_CREATE lists.
#[derive(Debug, Default)]
pub(crate) struct World {
    entities: BTreeMap<(Resource, u64, u64), Document>,
    guilds: BTreeMap<u64, Facts>,
    guild_of_channel: BTreeMap<u64, u64>,
    me: Option<Document>,
    pub(crate) shards: u16,
}

/// What is known of a guild beside its fields.
#[derive(Debug, Default)]
struct Facts {
    member_count: Option<u64>,
    /// Ids in the order of Discord's list; `None` where the guild has no such list.
    roles: Option<Vec<u64>>,
    emojis: Option<Vec<u64>>,
    stickers: Option<Vec<u64>>,
}

/// Lists of a guild's payload, whose items it owns under an id.
const LISTS: [(Atom, Resource, Atom); 9] = [
    (atoms::ROLES, Resource::Roles, atoms::ID),
    (atoms::EMOJIS, Resource::Emojis, atoms::ID),
    (atoms::STICKERS, Resource::Stickers, atoms::ID),
    (atoms::CHANNELS, Resource::Channels, atoms::ID),
    (atoms::THREADS, Resource::Threads, atoms::ID),
    (atoms::VOICE_STATES, Resource::VoiceStates, atoms::USER_ID),
    (atoms::STAGE_INSTANCES, Resource::StageInstances, atoms::ID),
    (atoms::GUILD_SCHEDULED_EVENTS, Resource::ScheduledEvents, atoms::ID),
    (atoms::SOUNDBOARD_SOUNDS, Resource::SoundboardSounds, atoms::SOUND_ID),
];

impl World {
    /// A guild and all that it lists, as GUILD_CREATE brings them.
    pub(crate) fn put_guild(&mut self, payload: Value<'_>) {
        let Some((guild, id)) = payload.as_map().zip(id_of(payload, atoms::ID)) else { return };
        let ids = |key| {
            let list = guild.get(key)?.as_list()?;
            Some(list.iter().filter_map(|item| id_of(item, atoms::ID)).collect())
        };
        let facts = Facts {
            member_count: guild.get(atoms::MEMBER_COUNT).and_then(Value::as_u64),
            roles: ids(atoms::ROLES),
            emojis: ids(atoms::EMOJIS),
            stickers: ids(atoms::STICKERS),
        };
        self.guilds.insert(id, facts);
        let mut apart: Vec<Atom> = LISTS.iter().map(|(key, ..)| *key).collect();
        apart.extend([atoms::MEMBERS, atoms::PRESENCES, atoms::MEMBER_COUNT]);
        self.insert(Resource::Guilds, 0, id, made(|out| edit::without(guild, &apart, out)));
        for (key, resource, own) in LISTS {
            for item in items(guild, key) {
                if let Some(item_id) = id_of(item, own) {
                    self.put(resource, id, item_id, item);
                }
            }
        }
        for (key, resource) in
            [(atoms::MEMBERS, Resource::Members), (atoms::PRESENCES, Resource::Presences)]
        {
            for item in items(guild, key) {
                let user = item.get(atoms::USER).and_then(|user| id_of(user, atoms::ID));
                if let Some(user) = user {
                    self.put(resource, id, user, item);
                }
            }
        }
    }

    /// One entity. A member brings its user, a role joins its guild's, an offline presence is none.
    pub(crate) fn put(&mut self, resource: Resource, owner: u64, id: u64, entity: Value<'_>) {
        let Some(map) = entity.as_map() else { return };
        let placed = || made(|out| edit::with(map, &[(atoms::GUILD_ID, Value::Id(owner))], out));
        let document = match resource {
            Resource::Channels | Resource::Threads => {
                self.guild_of_channel.insert(id, owner);
                let own = made(|out| edit::without(map, &[atoms::NEWLY_CREATED], out));
                match own.value().as_map().filter(|_| owner != 0) {
                    Some(own) => {
                        made(|out| edit::with(own, &[(atoms::GUILD_ID, Value::Id(owner))], out))
                    }
                    None => own,
                }
            }
            Resource::Members => {
                if let Some(user) = map.get(atoms::USER) {
                    self.insert(Resource::Users, 0, id, user.to_document());
                }
                made(|out| edit::without(map, &[atoms::USER, atoms::GUILD_ID], out))
            }
            Resource::Presences => {
                if map.get(atoms::STATUS).and_then(Value::as_str) == Some("offline") {
                    self.remove(resource, owner, id);
                    return;
                }
                placed()
            }
            Resource::VoiceStates
            | Resource::StageInstances
            | Resource::ScheduledEvents
            | Resource::SoundboardSounds => placed(),
            _ => entity.to_document(),
        };
        if let Some(listed) = self.listed(resource, owner)
            && !listed.contains(&id)
        {
            listed.push(id);
        }
        self.insert(resource, owner, id, document);
    }

    pub(crate) fn remove(&mut self, resource: Resource, owner: u64, id: u64) {
        if let Some(listed) = self.listed(resource, owner) {
            listed.retain(|listed| *listed != id);
        }
        if matches!(resource, Resource::Channels | Resource::Threads) {
            self.guild_of_channel.remove(&id);
        }
        self.entities.remove(&(resource, owner, id));
    }

    pub(crate) fn set_me(&mut self, user: Document) {
        self.me = Some(user);
    }

    fn listed(&mut self, resource: Resource, guild: u64) -> Option<&mut Vec<u64>> {
        let facts = self.guilds.get_mut(&guild)?;
        match resource {
            Resource::Roles => Some(facts.roles.get_or_insert_default()),
            Resource::Emojis => Some(facts.emojis.get_or_insert_default()),
            Resource::Stickers => Some(facts.stickers.get_or_insert_default()),
            _ => None,
        }
    }

    fn insert(&mut self, resource: Resource, owner: u64, id: u64, document: Document) {
        self.entities.insert((resource, owner, id), document);
    }

    fn get(&self, resource: Resource, owner: u64, id: u64) -> Option<&Document> {
        self.entities.get(&(resource, owner, id))
    }

    /// An entity as it is answered.
    fn composed(&self, resource: Resource, owner: u64, id: u64) -> Option<Document> {
        let own = self.get(resource, owner, id)?;
        let map = own.value().as_map().unwrap_or(Map::EMPTY);
        Some(match resource {
            Resource::Guilds => self.guild(id, map),
            Resource::Members => {
                let mut more = vec![(atoms::GUILD_ID, Value::Id(owner))];
                let user = self.get(Resource::Users, 0, id);
                more.extend(user.map(|user| (atoms::USER, user.value())));
                made(|out| edit::with(map, &more, out))
            }
            _ => own.clone(),
        })
    }

    fn guild(&self, id: u64, own: Map<'_>) -> Document {
        let Some(facts) = self.guilds.get(&id) else { return Value::Map(own).to_document() };
        made(|out| {
            let mut guild = Writer::new(out).map();
            for (key, value) in own {
                guild.keyed(key, value);
            }
            if let Some(count) = facts.member_count {
                guild.entry(atoms::MEMBER_COUNT, count);
            }
            for (key, resource, ids) in [
                (atoms::ROLES, Resource::Roles, &facts.roles),
                (atoms::EMOJIS, Resource::Emojis, &facts.emojis),
                (atoms::STICKERS, Resource::Stickers, &facts.stickers),
            ] {
                let Some(ids) = ids else { continue };
                let mut list = guild.list(key);
                for item in ids.iter().filter_map(|item| self.get(resource, id, *item)) {
                    list.push(item.value());
                }
            }
            guild.end();
        })
    }

    /// What a range of entities has, all at once.
    pub(super) fn list(&self, range: Range) -> Vec<Found> {
        let (resource, keys): (_, Vec<_>) = match range {
            Range::All(resource) => (resource, self.keys(resource, 0, u64::MAX)),
            Range::Of(resource, owner) => (resource, self.keys(resource, owner, owner)),
            Range::Before { channel, id, limit } => {
                let messages = self.keys(Resource::Messages, channel, channel).into_iter();
                let older = messages.rev().filter(|(_, message)| *message < id);
                (Resource::Messages, older.take(limit).collect())
            }
            Range::After { channel, id, limit } => {
                let messages = self.keys(Resource::Messages, channel, channel).into_iter();
                let newer = messages.filter(|(_, message)| *message > id);
                (Resource::Messages, newer.take(limit).collect())
            }
        };
        let found =
            |(owner, id)| Some(Found { owner, id, document: self.composed(resource, owner, id)? });
        keys.into_iter().filter_map(found).collect()
    }

    fn keys(&self, resource: Resource, first: u64, last: u64) -> Vec<(u64, u64)> {
        let range = (resource, first, 0)..=(resource, last, u64::MAX);
        self.entities.range(range).map(|((_, owner, id), _)| (*owner, *id)).collect()
    }
}

impl Look for World {
    fn entity(
        &self,
        resource: Resource,
        owner: u64,
        id: u64,
    ) -> Result<Option<Document>, StoreError> {
        Ok(self.composed(resource, owner, id))
    }

    fn channel(&self, id: u64) -> Result<Option<Document>, StoreError> {
        let Some(&guild) = self.guild_of_channel.get(&id) else { return Ok(None) };
        let channel = self.get(Resource::Channels, guild, id);
        Ok(channel.or_else(|| self.get(Resource::Threads, guild, id)).cloned())
    }

    fn guild_fields(&self, id: u64) -> Result<Option<Document>, StoreError> {
        Ok(self.get(Resource::Guilds, 0, id).cloned())
    }

    fn me(&self) -> Result<Option<Document>, StoreError> {
        Ok(self.me.clone())
    }

    fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.guild_of_channel.get(&channel).copied())
    }

    fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, StoreError> {
        let shards = self.shards.max(1);
        let shard = mixcord_event::command::shard_of(guild, shards);
        Ok(self.guilds.contains_key(&guild).then_some((shard, shards)))
    }

    fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError> {
        let cached = self.keys(Resource::Members, guild, guild).len() as u64;
        Ok(self.guilds.get(&guild).map(|facts| (facts.member_count, cached)))
    }

    fn count(&self, resource: Resource) -> Result<u64, StoreError> {
        Ok(self.keys(resource, 0, u64::MAX).len() as u64)
    }
}

fn made(write: impl FnOnce(&mut Vec<u8>)) -> Document {
    let mut bytes = Vec::new();
    write(&mut bytes);
    Document::trusted(bytes)
}

fn id_of(item: Value<'_>, key: Atom) -> Option<u64> {
    item.get(key)?.as_id()
}

fn items(of: Map<'_>, key: Atom) -> impl Iterator<Item = Value<'_>> {
    let list = of.get(key).and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter())
}

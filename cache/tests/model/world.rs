//! The state of the model: entities as JSON, and the few facts beside them.

use std::collections::{BTreeMap, BTreeSet};

use mixcord_cache::settings::Settings;
use mixcord_state::Table;
use serde_json::{Map, Value as Json, json};

use crate::HISTORY;

/// The id of a message with which those that are too old are looked for.
pub(crate) const DUE: u64 = 1021;

/// One expected output.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) kind: String,
    pub(crate) reason: Option<&'static str>,
    pub(crate) stale: bool,
    pub(crate) unchanged: bool,
    pub(crate) old: Json,
    pub(crate) data: Json,
}

/// What is known about a guild beside its fields.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    pub(crate) created: bool,
    pub(crate) pending: bool,
    pub(crate) unavailable: bool,
    pub(crate) count: Option<u64>,
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now_us: u64,
    pub(crate) me: Option<Json>,
    pub(crate) entities: BTreeMap<(Table, u64, u64), Json>,
    pub(crate) facts: BTreeMap<u64, Facts>,
    pub(crate) role_order: BTreeMap<u64, Vec<u64>>,
    /// Guild and channel or thread → `last_message_id`, if anybody said.
    pub(crate) last: BTreeMap<(u64, u64), Option<Json>>,
    pub(crate) guild_of: BTreeMap<u64, u64>,
    /// Channel and message → when it was received, and the message.
    pub(crate) messages: BTreeMap<(u64, u64), (u64, Json)>,
    pub(crate) departed: BTreeSet<(u64, u64)>,
    /// Thread → since when it is archived, and its guild.
    pub(crate) archived: BTreeMap<u64, (u64, u64)>,
    /// Members that only other events told.
    pub(crate) uncounted: BTreeSet<(u64, u64)>,
    pub(crate) member_events: bool,
    /// Whether the store is of before, and has what is known of each channel in two tables.
    pub(crate) channels_apart: bool,
    /// Derived records of members and users inside another event.
    pub(crate) behind: Vec<(&'static str, Json, Json)>,
    /// Whether the store says which resources it caches.
    pub(crate) opened: bool,
}

pub(crate) fn id(value: &Json) -> Option<u64> {
    value.as_str()?.parse().ok()
}

pub(crate) fn text(id: u64) -> Json {
    json!(id.to_string())
}

pub(crate) fn merge(base: &Json, over: &Json) -> Json {
    let mut merged = base.clone();
    for (key, value) in over.as_object().expect("an object") {
        merged[key] = value.clone();
    }
    merged
}

pub(crate) fn without(value: &Json, keys: &[&str]) -> Json {
    let mut value = value.clone();
    for key in keys {
        value.as_object_mut().expect("an object").remove(*key);
    }
    value
}

pub(crate) fn list<'a>(data: &'a Json, key: &str) -> &'a [Json] {
    data[key].as_array().map_or(&[], Vec::as_slice)
}

/// A user before and after.
pub(crate) type Change = Option<(Json, Json)>;

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now_us: 0,
            me: None,
            entities: BTreeMap::new(),
            facts: BTreeMap::new(),
            role_order: BTreeMap::new(),
            last: BTreeMap::new(),
            guild_of: BTreeMap::new(),
            messages: BTreeMap::new(),
            departed: BTreeSet::new(),
            archived: BTreeMap::new(),
            uncounted: BTreeSet::new(),
            member_events: false,
            channels_apart: false,
            behind: Vec::new(),
            opened: false,
        }
    }

    /// Another run, with other resources: those that are off are forgotten, and members and users
    /// together once users are kept in another way.
    pub(crate) fn open(&mut self, settings: Settings) {
        let apart = self.on(Table::Users);
        let switched = !self.opened || self.settings.resources() != settings.resources();
        self.settings = settings;
        self.opened = true;
        if !switched {
            return;
        }
        let anew = !self.on(Table::Members) || apart != self.on(Table::Users);
        let settings = &self.settings;
        self.entities.retain(|(table, ..), _| {
            settings.caches_table(*table)
                && !(anew && matches!(table, Table::Members | Table::Users))
        });
        if !self.on(Table::Roles) {
            self.role_order.clear();
        }
        if !self.on(Table::Messages) {
            self.messages.clear();
        }
        if anew {
            self.uncounted.clear();
        }
        if !self.on(Table::Threads) {
            self.archived.clear();
        }
        let known: Vec<_> = self.last.keys().copied().collect();
        known.into_iter().for_each(|(guild, channel)| self.forget_stray(guild, channel));
    }

    /// Entries of each table.
    pub(crate) fn counts(&self) -> Vec<(Table, usize)> {
        let count = |table| match table {
            Table::Meta => usize::from(self.me.is_some()) + usize::from(self.opened),
            Table::GuildFacts => self.facts.len(),
            Table::RoleOrder => self.role_order.len(),
            Table::ChannelFacts if self.channels_apart => self.last.len(),
            Table::ChannelFacts => {
                let is_cached = |&&(guild, channel): &&(u64, u64)| {
                    self.has(Table::Channels, guild, channel)
                        || self.has(Table::Threads, guild, channel)
                };
                self.last.len() - self.last.keys().filter(is_cached).count()
            }
            Table::ChannelMap => self.guild_of.len(),
            Table::Messages => self.messages.len(),
            Table::Departed => self.departed.len(),
            Table::Uncounted => self.uncounted.len(),
            Table::Archived => self.archived.len() * 2,
            table => self.entities.keys().filter(|(of, ..)| *of == table).count(),
        };
        Table::ALL.iter().map(|&table| (table, count(table))).collect()
    }

    pub(crate) fn on(&self, table: Table) -> bool {
        self.settings.caches_table(table)
    }

    pub(crate) fn get(&self, table: Table, owner: u64, id: u64) -> Json {
        self.entities.get(&(table, owner, id)).cloned().unwrap_or(Json::Null)
    }

    pub(crate) fn has(&self, table: Table, owner: u64, id: u64) -> bool {
        self.entities.contains_key(&(table, owner, id))
    }

    pub(crate) fn put(&mut self, table: Table, owner: u64, id: u64, value: Json) {
        if self.on(table) {
            self.entities.insert((table, owner, id), value);
        }
    }

    pub(crate) fn ids(&self, table: Table, owner: u64) -> Vec<u64> {
        let keys = self.entities.range((table, owner, 0)..=(table, owner, u64::MAX));
        keys.map(|((.., id), _)| *id).collect()
    }

    pub(crate) fn created(&self, guild: u64) -> bool {
        self.facts.get(&guild).is_some_and(|facts| facts.created)
    }

    /// Whether everybody in the guild is cached.
    pub(crate) fn knows_all(&self, guild: u64) -> bool {
        let uncounted = self.uncounted.iter().filter(|(of, _)| *of == guild).count();
        let cached = (self.ids(Table::Members, guild).len() - uncounted) as u64;
        self.facts.get(&guild).and_then(|facts| facts.count).is_some_and(|count| count <= cached)
    }

    pub(crate) fn guild(&self, guild: u64) -> Json {
        let mut all = self.get(Table::Guilds, guild, 0);
        if all.is_null() {
            return all;
        }
        let facts = self.facts[&guild];
        if facts.unavailable {
            all["unavailable"] = json!(true);
        }
        if let Some(count) = facts.count {
            all["member_count"] = json!(count);
        }
        if let Some(order) = self.role_order.get(&guild) {
            all["roles"] = order.iter().map(|&role| self.get(Table::Roles, guild, role)).collect();
        }
        for (table, key) in [(Table::Emojis, "emojis"), (Table::Stickers, "stickers")] {
            if self.has(table, guild, 0) {
                all[key] = self.get(table, guild, 0);
            }
        }
        all
    }

    pub(crate) fn channel(&self, table: Table, guild: u64, id: u64) -> Json {
        let mut channel = self.get(table, guild, id);
        if let (false, Some(Some(last))) = (channel.is_null(), self.last.get(&(guild, id))) {
            channel["last_message_id"] = last.clone();
        }
        channel
    }

    pub(crate) fn member(&self, guild: u64, user: u64) -> Json {
        let mut member = self.get(Table::Members, guild, user);
        if member.is_null() {
            return member;
        }
        member["guild_id"] = text(guild);
        if self.has(Table::Users, user, 0) {
            member["user"] = self.get(Table::Users, user, 0);
        }
        member
    }

    pub(crate) fn put_channel(&mut self, table: Table, guild: u64, channel: &Json) {
        let Some(id) = id(&channel["id"]).filter(|_| self.on(table)) else { return };
        self.move_channel(guild, id);
        self.guild_of.insert(id, guild);
        let held = self.last.get(&(guild, id)).cloned().flatten();
        self.last.insert((guild, id), channel.get("last_message_id").cloned().or(held));
        let mut own = without(channel, &["last_message_id", "newly_created"]);
        if guild != 0 {
            own["guild_id"] = text(guild);
        }
        self.put(table, guild, id, own);
        if table == Table::Threads {
            let archived = channel["thread_metadata"]["archived"] == true;
            let known = self.archived.get(&id).copied();
            if archived {
                let since = known.map_or(self.now_us, |(since, _)| since);
                self.archived.insert(id, (since, guild));
            } else if known.is_some_and(|(_, of)| of == guild) {
                self.archived.remove(&id);
            }
        }
    }

    /// Threads that were archived too long ago; some at a time.
    pub(crate) fn expire_threads(&mut self) {
        let oldest_us = self.now_us - crate::THREADS_AGE_US;
        let mut due: Vec<_> =
            self.archived.iter().map(|(id, (since, of))| (*since, *id, *of)).collect();
        due.retain(|(since, ..)| *since < oldest_us);
        due.sort_unstable();
        for (_, id, guild) in due.into_iter().take(8) {
            self.erase_channel(Table::Threads, guild, id);
        }
    }

    pub(crate) fn erase_channel(&mut self, table: Table, guild: u64, id: u64) {
        self.entities.remove(&(table, guild, id));
        if table == Table::Threads && self.archived.get(&id).is_some_and(|(_, of)| *of == guild) {
            self.archived.remove(&id);
        }
        self.last.remove(&(guild, id));
        if self.guild_of.get(&id) == Some(&guild) {
            self.guild_of.remove(&id);
            self.messages.retain(|(channel, _), _| *channel != id);
        }
    }

    /// What is known of a channel comes along to another guild; gives where it was.
    pub(crate) fn move_channel(&mut self, guild: u64, id: u64) -> Option<u64> {
        let before = self.guild_of.get(&id).copied().filter(|&before| before != guild)?;
        if let Some(last) = self.last.remove(&(before, id)) {
            self.last.insert((guild, id), last);
        }
        self.guild_of.insert(id, guild);
        Some(before)
    }

    pub(crate) fn erase_guild(&mut self, guild: u64) {
        let channels: Vec<u64> =
            self.last.range((guild, 0)..=(guild, u64::MAX)).map(|((_, id), _)| *id).collect();
        channels.iter().for_each(|&id| self.erase_channel(Table::Channels, guild, id));
        self.entities.retain(|(table, owner, _), _| *owner != guild || *table == Table::Users);
        self.facts.remove(&guild);
        self.role_order.remove(&guild);
        self.departed.retain(|(of, _)| *of != guild);
        self.uncounted.retain(|(of, _)| *of != guild);
        self.archived.retain(|_, (_, of)| *of != guild);
        self.release();
    }

    /// Users that no guild holds are forgotten.
    pub(crate) fn release(&mut self) {
        let held: BTreeSet<u64> = self
            .entities
            .keys()
            .filter(|(table, ..)| *table == Table::Members)
            .map(|(.., user)| *user)
            .collect();
        self.entities.retain(|(table, user, _), _| *table != Table::Users || held.contains(user));
    }

    /// A message that is not too old, with when it was received.
    pub(crate) fn live(&self, channel: u64, message: u64) -> Option<(u64, Json)> {
        let held = self.messages.get(&(channel, message))?;
        (held.0 >= self.now_us - crate::AGE_US).then(|| held.clone())
    }

    pub(crate) fn insert_message(&mut self, channel: u64, message: u64, data: &Json) {
        let held = self.live(channel, message).map(|(received_us, _)| received_us);
        let received_us = held.unwrap_or(self.now_us);
        self.messages.insert((channel, message), (received_us, data.clone()));
        let of = (channel, 0)..=(channel, u64::MAX);
        let mut excess = self.messages.range(of.clone()).count().saturating_sub(HISTORY as usize);
        while let Some((&key, (received_us, _))) = self.messages.range(of.clone()).next() {
            if *received_us >= self.now_us - crate::AGE_US && excess == 0 {
                break;
            }
            excess = excess.saturating_sub(1);
            self.messages.remove(&key);
        }
    }

    /// A message says in which guild its channel is: unless one is known there, it moves.
    pub(crate) fn meet(&mut self, guild: u64, channel: u64) {
        if !self.last.contains_key(&(guild, channel)) {
            self.move_channel(guild, channel);
        }
    }

    /// Messages that are too old go, whatever their channel.
    pub(crate) fn expire(&mut self) {
        let oldest_us = self.now_us - crate::AGE_US;
        let held = self.messages.iter();
        let expired = held.filter(|(_, (received_us, _))| *received_us < oldest_us);
        let channels: BTreeSet<u64> = expired.map(|((channel, _), _)| *channel).collect();
        self.messages.retain(|_, (received_us, _)| *received_us >= oldest_us);
        for channel in channels {
            let guild = self.guild_of.get(&channel).copied().unwrap_or(0);
            self.forget_stray(guild, channel);
        }
    }

    /// Of a channel that is not cached nothing is known but messages.
    pub(crate) fn forget_stray(&mut self, guild: u64, channel: u64) {
        let empty = self.messages.range((channel, 0)..=(channel, u64::MAX)).next().is_none();
        let cached =
            self.has(Table::Channels, guild, channel) || self.has(Table::Threads, guild, channel);
        if empty && !cached {
            self.last.remove(&(guild, channel));
            self.guild_of.remove(&channel);
        }
    }
}

/// The JSON of an object.
pub(crate) fn object(entries: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    Json::Object(
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

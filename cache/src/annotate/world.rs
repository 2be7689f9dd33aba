//! The state as the rows see it: entities, and the small facts beside them.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::tables::{CHANNEL_FACTS, CHANNEL_MAP, CHANNELS, GUILD_FACTS, MEMBERS, OF_GUILD};
use mixcord_state::{
    ChannelFacts, GuildFacts, Key, LastMessage, Pairs, Range, StoreError, Table, compose, meta,
};

use super::id_in;
use crate::settings::Settings;
use crate::store::Store;

/// The state and what of it is kept.
pub(super) struct World<'a> {
    pub(super) store: &'a mut dyn Store,
    pub(super) settings: &'a Settings,
    /// When the record in work was received: the only clock there is (R11).
    pub(super) now_us: u64,
    /// Whether the session that brought it is told of members by their own events.
    pub(super) member_events: bool,
    /// Bytes of changes after which the rest of a record is for another slice.
    pub(super) changes_max: usize,
}

/// What is composed to the guild itself: it goes at once, and last.
const OWN: [Table; 6] = [
    Table::Guilds,
    Table::GuildFacts,
    Table::Emojis,
    Table::Stickers,
    Table::Roles,
    Table::RoleOrder,
];
/// Entries that one slice takes at least and at most.
const SLICE_MIN: usize = 64;
const SLICE_MAX: usize = 1 << 16;

impl World<'_> {
    /// Facts of a guild whose GUILD_CREATE has come: only there entities are created.
    pub(super) fn created_guild(&self, guild: u64) -> Result<Option<GuildFacts>, StoreError> {
        Ok(compose::guild_facts(&*self.store, guild)?.filter(|facts| facts.created))
    }

    pub(super) fn put_guild_facts(&mut self, guild: u64, facts: GuildFacts) {
        self.store.put(GUILD_FACTS.at(guild), &[&facts.to_bytes()]);
    }

    /// Writes `document` unless it stands there already.
    pub(super) fn put_changed(&mut self, key: Key, document: &[u8]) -> Result<(), StoreError> {
        if self.store.get(key)? != Some(document) {
            self.store.put(key, &[document]);
        }
        Ok(())
    }

    /// The bot's own id.
    pub(super) fn own_id(&self) -> Result<Option<u64>, StoreError> {
        let me = self.store.get(meta::ME)?;
        Ok(me.and_then(|me| id_in(compose::stored_map(me), atoms::ID)))
    }

    /// Writes a channel or thread; its `last_message_id` goes to the facts, its guild to the map.
    pub(super) fn put_channel(
        &mut self,
        table: Pairs,
        guild: u64,
        channel: Map<'_>,
    ) -> Result<(), StoreError> {
        let Some(id) = id_in(channel, atoms::ID) else { return Ok(()) };
        if !self.settings.caches_table(table.table()) {
            return Ok(());
        }
        self.move_channel(CHANNEL_FACTS.at(guild, id))?;
        self.put_changed(CHANNEL_MAP.at(id), &guild.to_le_bytes())?;
        self.put_last_message(guild, id, channel.get(atoms::LAST_MESSAGE_ID))?;
        let mut own = Vec::new();
        edit::without(channel, &[atoms::LAST_MESSAGE_ID, atoms::NEWLY_CREATED], &mut own);
        let mut placed = Vec::new();
        let guild_id = (atoms::GUILD_ID, Value::Id(guild));
        // A private channel has none.
        let place: &[_] = if guild == 0 { &[] } else { &[guild_id] };
        edit::with(compose::stored_map(&own), place, &mut placed);
        self.put_changed(table.at(guild, id), &placed)
    }

    /// Writes what a channel or thread says of its last message; if it does not, at least that it is.
    fn put_last_message(
        &mut self,
        guild: u64,
        channel: u64,
        says: Option<Value<'_>>,
    ) -> Result<(), StoreError> {
        let known = compose::channel_facts(&*self.store, guild, channel)?;
        let held = known.as_ref().map(ChannelFacts::last_message);
        let last_message = match says {
            None => held.unwrap_or_default(),
            Some(id) => id.as_id().map_or(LastMessage::None, LastMessage::Id),
        };
        if held == Some(last_message) {
            return Ok(());
        }
        let mut facts = known.unwrap_or_default().into_owned();
        facts.set_last_message(last_message);
        self.store.put(CHANNEL_FACTS.at(guild, channel), &[facts.as_bytes()]);
        Ok(())
    }

    /// Has what is known about a channel or thread at `to`, its guild and its id, if it is known in
    /// another guild; says whether it was. So the map always leads to the one history there is.
    pub(super) fn move_channel(&mut self, to: Key) -> Result<bool, StoreError> {
        let held = compose::guild_of_channel(&*self.store, to.id())?;
        let Some(guild) = held.filter(|&guild| guild != to.owner()) else { return Ok(false) };
        let from = CHANNEL_FACTS.at(guild, to.id());
        if let Some(facts) = self.store.get(from)?.map(<[u8]>::to_vec) {
            self.store.put(to, &[&facts]);
            self.store.delete(from);
        }
        self.store.put(CHANNEL_MAP.at(to.id()), &[&to.owner().to_le_bytes()]);
        Ok(true)
    }

    /// Erases a channel or thread of this guild with its messages, and what is known about it.
    pub(super) fn erase_channel(
        &mut self,
        table: Pairs,
        guild: u64,
        id: u64,
    ) -> Result<(), StoreError> {
        if let Some(facts) = compose::channel_facts(&*self.store, guild, id)? {
            for message in facts.into_owned().history() {
                self.store.delete(message.key());
            }
        }
        self.store.delete(table.at(guild, id));
        self.store.delete(CHANNEL_FACTS.at(guild, id));
        if compose::guild_of_channel(&*self.store, id)? == Some(guild) {
            self.store.delete(CHANNEL_MAP.at(id));
        }
        Ok(())
    }

    /// Erases a guild and everything under it; false where the rest is for another slice. Until then the
    /// guild itself is as it was.
    pub(super) fn erase_guild(&mut self, guild: u64) -> Result<bool, StoreError> {
        let (members, all) = self.some_keys(MEMBERS.of(guild))?;
        for key in members {
            self.store.delete(key);
            self.release_user(key.id())?;
        }
        if !all {
            return Ok(false);
        }
        let mut one = false;
        for key in self.keys(CHANNEL_FACTS.of(guild))? {
            // Whatever came before, something is done of each slice.
            if std::mem::replace(&mut one, true) && self.has_enough() {
                return Ok(false);
            }
            self.erase_channel(CHANNELS, guild, key.id())?;
        }
        for table in OF_GUILD.into_iter().filter(|table| !OWN.contains(table)) {
            let (keys, all) = self.some_keys(table.of_guild(guild))?;
            keys.into_iter().for_each(|key| self.store.delete(key));
            if !all {
                return Ok(false);
            }
        }
        for table in OWN {
            self.store.delete_range(table.of_guild(guild))?;
        }
        Ok(true)
    }

    /// Whether the changes of this slice are as many as they may be.
    pub(super) fn has_enough(&self) -> bool {
        self.store.changed_bytes() >= self.changes_max
    }

    /// The first keys of a range, as many as this slice may change; whether these are all.
    fn some_keys(&self, range: Range) -> Result<(Vec<Key>, bool), StoreError> {
        let room = self.changes_max.saturating_sub(self.store.changed_bytes());
        // With each its user, or as much.
        let count_max = (room / self.store.key_bytes() / 2).clamp(SLICE_MIN, SLICE_MAX);
        let mut keys = Vec::new();
        let mut all = true;
        self.store.keys(range, &mut |key| {
            all = keys.len() < count_max;
            if all {
                keys.push(key);
            }
            all
        })?;
        Ok((keys, all))
    }

    /// The keys in a range.
    pub(super) fn keys(&self, range: Range) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        self.store.keys(range, &mut |key| {
            keys.push(key);
            true
        })?;
        Ok(keys)
    }
}

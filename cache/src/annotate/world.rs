//! The state as the rows see it: entities, and the small facts beside them.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::{ChannelFacts, GuildFacts, Key, LastMessage, StoreError, Table, compose, meta};

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
}

impl World<'_> {
    /// Facts of a guild whose GUILD_CREATE has come: only there entities are created.
    pub(super) fn created_guild(&self, guild: u64) -> Result<Option<GuildFacts>, StoreError> {
        Ok(compose::guild_facts(&*self.store, guild)?.filter(|facts| facts.created))
    }

    pub(super) fn put_guild_facts(&mut self, guild: u64, facts: GuildFacts) {
        self.store.put(Table::GuildFacts, Key::one(guild), &[&facts.to_bytes()]);
    }

    /// Writes `document` unless it stands there already.
    pub(super) fn put_changed(
        &mut self,
        table: Table,
        key: Key,
        document: &[u8],
    ) -> Result<(), StoreError> {
        if self.store.get(table, key)? != Some(document) {
            self.store.put(table, key, &[document]);
        }
        Ok(())
    }

    /// The bot's own id.
    pub(super) fn own_id(&self) -> Result<Option<u64>, StoreError> {
        let me = self.store.get(Table::Meta, meta::ME)?;
        Ok(me.and_then(|me| id_in(compose::stored_map(me), atoms::ID)))
    }

    /// Writes a channel or thread; its `last_message_id` goes to the facts, its guild to the map.
    pub(super) fn put_channel(
        &mut self,
        table: Table,
        guild: u64,
        channel: Map<'_>,
    ) -> Result<(), StoreError> {
        let Some(id) = id_in(channel, atoms::ID) else { return Ok(()) };
        if !self.settings.caches_table(table) {
            return Ok(());
        }
        self.move_channel(Key::pair(guild, id))?;
        self.put_changed(Table::ChannelMap, Key::one(id), &guild.to_le_bytes())?;
        self.put_last_message(guild, id, channel.get(atoms::LAST_MESSAGE_ID))?;
        let mut own = Vec::new();
        edit::without(channel, &[atoms::LAST_MESSAGE_ID, atoms::NEWLY_CREATED], &mut own);
        let mut placed = Vec::new();
        let guild_id = (atoms::GUILD_ID, Value::Id(guild));
        // A private channel has none.
        let place: &[_] = if guild == 0 { &[] } else { &[guild_id] };
        edit::with(compose::stored_map(&own), place, &mut placed);
        self.put_changed(table, Key::pair(guild, id), &placed)
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
        self.store.put(Table::ChannelFacts, Key::pair(guild, channel), &[facts.as_bytes()]);
        Ok(())
    }

    /// Has what is known about a channel or thread at `to`, its guild and its id, if it is known in
    /// another guild; says whether it was. So the map always leads to the one history there is.
    pub(super) fn move_channel(&mut self, to: Key) -> Result<bool, StoreError> {
        let held = compose::guild_of_channel(&*self.store, to.id())?;
        let Some(guild) = held.filter(|&guild| guild != to.owner()) else { return Ok(false) };
        let from = Key::pair(guild, to.id());
        if let Some(facts) = self.store.get(Table::ChannelFacts, from)?.map(<[u8]>::to_vec) {
            self.store.put(Table::ChannelFacts, to, &[&facts]);
            self.store.delete(Table::ChannelFacts, from);
        }
        self.store.put(Table::ChannelMap, Key::one(to.id()), &[&to.owner().to_le_bytes()]);
        Ok(true)
    }

    /// Erases a channel or thread of this guild with its messages, and what is known about it.
    pub(super) fn erase_channel(
        &mut self,
        table: Table,
        guild: u64,
        id: u64,
    ) -> Result<(), StoreError> {
        if let Some(facts) = compose::channel_facts(&*self.store, guild, id)? {
            for message in facts.into_owned().history() {
                self.store.delete(Table::Messages, message.key());
            }
        }
        self.store.delete(table, Key::pair(guild, id));
        self.store.delete(Table::ChannelFacts, Key::pair(guild, id));
        if compose::guild_of_channel(&*self.store, id)? == Some(guild) {
            self.store.delete(Table::ChannelMap, Key::one(id));
        }
        Ok(())
    }

    /// Erases a guild and everything under it.
    pub(super) fn erase_guild(&mut self, guild: u64) -> Result<(), StoreError> {
        for key in self.keys(Table::Members, guild)? {
            self.store.delete(Table::Members, key);
            self.release_user(key.id())?;
        }
        for key in self.keys(Table::ChannelFacts, guild)? {
            self.erase_channel(Table::Channels, guild, key.id())?;
        }
        for table in Table::OF_GUILD {
            self.store.delete_range(table, Key::all_of(guild))?;
        }
        Ok(())
    }

    /// The keys a guild has in a table.
    pub(super) fn keys(&self, table: Table, guild: u64) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        self.store.scan(table, Key::all_of(guild), &mut |key, _| {
            keys.push(key);
            true
        })?;
        Ok(keys)
    }
}

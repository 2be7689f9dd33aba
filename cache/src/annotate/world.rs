//! The state as the rows see it: entities, and the small facts beside them.

use mixcord_event::{Atom, Map, Value, atoms, edit};
use mixcord_state::{
    ChannelFacts, GuildFacts, Key, LastMessage, Resource, StoreError, Table, Tally, compose, meta,
};

use super::id_in;
use crate::settings::Settings;
use crate::store::Store;

/// The state and what of it is kept.
pub(super) struct World<'a> {
    pub(super) store: &'a mut dyn Store,
    pub(super) settings: &'a Settings,
}

/// A user before and after.
pub(super) struct UserChange {
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// Members of a member that are kept elsewhere or belong to the event that carried it.
const NOT_OF_MEMBER: [Atom; 4] =
    [atoms::GUILD_ID, atoms::PRESENCE, atoms::PERMISSIONS, atoms::USER];

impl World<'_> {
    /// Facts of a guild whose GUILD_CREATE has come: only there entities are created.
    pub(super) fn created_guild(&self, guild: u64) -> Result<Option<GuildFacts>, StoreError> {
        Ok(compose::guild_facts(&*self.store, guild)?.filter(|facts| facts.created))
    }

    pub(super) fn put_guild_facts(&mut self, guild: u64, facts: GuildFacts) {
        self.store.put(Table::GuildFacts, Key::one(guild), &facts.to_bytes());
    }

    /// Writes `document` unless it stands there already.
    pub(super) fn put_changed(
        &mut self,
        table: Table,
        key: Key,
        document: &[u8],
    ) -> Result<(), StoreError> {
        if self.store.get(table, key)? != Some(document) {
            self.store.put(table, key, document);
        }
        Ok(())
    }

    /// The bot's own id.
    pub(super) fn own_id(&self) -> Result<Option<u64>, StoreError> {
        let me = self.store.get(Table::Meta, meta::ME)?;
        Ok(me.and_then(|me| id_in(compose::stored_map(me), atoms::ID)))
    }

    /// Merges a user over the cached one; inserts it only with `holders` > 0, which is added to
    /// the number of guilds that hold it. Says what changed, if the user was cached and did.
    pub(super) fn put_user(
        &mut self,
        user: Map<'_>,
        holders: u32,
    ) -> Result<Option<UserChange>, StoreError> {
        let Some(id) = id_in(user, atoms::ID) else { return Ok(None) };
        if !self.settings.caches(Resource::Users) {
            return Ok(None);
        }
        let mut value = Vec::new();
        let mut change = None;
        match compose::user_tally(&*self.store, id)? {
            Some(tally) => {
                let held = compose::stored_map(tally.document);
                let holders_after = tally.holders.saturating_add(holders);
                if edit::merge_changes(held, user) {
                    let mut new = Vec::new();
                    edit::merge(held, user, &mut new);
                    Tally { holders: holders_after, document: &new }.write(&mut value);
                    change = Some(UserChange { old: tally.document.to_vec(), new });
                } else if holders > 0 {
                    Tally { holders: holders_after, ..tally }.write(&mut value);
                } else {
                    return Ok(None);
                }
            }
            None if holders > 0 => {
                Tally { holders, document: user.as_bytes() }.write(&mut value);
            }
            None => return Ok(None),
        }
        self.store.put(Table::Users, Key::one(id), &value);
        Ok(change)
    }

    /// A guild lets go of a user; the last one erases it.
    pub(super) fn release_user(&mut self, id: u64) -> Result<(), StoreError> {
        let Some(tally) = compose::user_tally(&*self.store, id)? else { return Ok(()) };
        if tally.holders <= 1 {
            self.store.delete(Table::Users, Key::one(id));
            return Ok(());
        }
        let mut value = Vec::new();
        Tally { holders: tally.holders - 1, ..tally }.write(&mut value);
        self.store.put(Table::Users, Key::one(id), &value);
        Ok(())
    }

    /// Merges a member over the cached one, and its user; with `insert` also where there is none.
    /// `facts` are the guild's, and are written by the caller if they changed.
    pub(super) fn put_member(
        &mut self,
        guild: u64,
        facts: &mut GuildFacts,
        member: Map<'_>,
        user: Map<'_>,
        insert: bool,
    ) -> Result<MemberPut, StoreError> {
        let mut put = MemberPut::default();
        let Some(user_id) = id_in(user, atoms::ID) else { return Ok(put) };
        if !self.settings.caches(Resource::Members) {
            put.user = self.put_user(user, 0)?;
            return Ok(put);
        }
        let mut own = Vec::new();
        if self.settings.caches(Resource::Users) {
            edit::without(member, &NOT_OF_MEMBER, &mut own);
        } else {
            edit::without(member, &NOT_OF_MEMBER[..3], &mut own);
            let bare = std::mem::take(&mut own);
            let member = (atoms::USER, Value::Map(user));
            edit::with(compose::stored_map(&bare), &[member], &mut own);
        }
        let own = compose::stored_map(&own);
        let key = Key::pair(guild, user_id);
        let mut holders = 0;
        let mut merged = Vec::new();
        match self.store.get(Table::Members, key)? {
            Some(held) => {
                let held = compose::stored_map(held);
                if edit::merge_changes(held, own) {
                    edit::merge(held, own, &mut merged);
                    self.store.put(Table::Members, key, &merged);
                }
            }
            None if insert => {
                self.store.put(Table::Members, key, own.as_bytes());
                facts.members_cached += 1;
                holders = 1;
                put.new = true;
            }
            None => {}
        }
        put.user = self.put_user(user, holders)?;
        Ok(put)
    }

    /// Erases a member with all that exists only with it; says whether it was cached.
    pub(super) fn erase_member(
        &mut self,
        guild: u64,
        facts: &mut GuildFacts,
        user: u64,
    ) -> Result<bool, StoreError> {
        let key = Key::pair(guild, user);
        self.store.delete(Table::Presences, key);
        self.store.delete(Table::VoiceStates, key);
        if self.store.get(Table::Members, key)?.is_none() {
            return Ok(false);
        }
        self.store.delete(Table::Members, key);
        facts.members_cached = facts.members_cached.saturating_sub(1);
        self.release_user(user)?;
        Ok(true)
    }

    /// Writes a channel or thread; its `last_message_id` goes to the facts, its guild to the map.
    pub(super) fn put_channel(
        &mut self,
        table: Table,
        guild: u64,
        channel: Map<'_>,
    ) -> Result<(), StoreError> {
        let Some(id) = id_in(channel, atoms::ID) else { return Ok(()) };
        self.put_changed(Table::ChannelMap, Key::one(id), &guild.to_le_bytes())?;
        let facts = compose::channel_facts(&*self.store, guild, id)?;
        let last_message = match channel.get(atoms::LAST_MESSAGE_ID) {
            None => facts.unwrap_or_default().last_message,
            Some(value) => value.as_id().map_or(LastMessage::None, LastMessage::Id),
        };
        let after = ChannelFacts { last_message, ..facts.unwrap_or_default() };
        if facts != Some(after) {
            self.store.put(Table::ChannelFacts, Key::pair(guild, id), &after.to_bytes());
        }
        if !self.settings.caches_table(table) {
            return Ok(());
        }
        let mut own = Vec::new();
        edit::without(channel, &[atoms::LAST_MESSAGE_ID, atoms::NEWLY_CREATED], &mut own);
        let mut placed = Vec::new();
        let guild_id = (atoms::GUILD_ID, Value::Id(guild));
        edit::with(compose::stored_map(&own), &[guild_id], &mut placed);
        self.put_changed(table, Key::pair(guild, id), &placed)
    }

    /// Erases a channel or thread with its messages, and what is known about it.
    pub(super) fn erase_channel(
        &mut self,
        table: Table,
        guild: u64,
        id: u64,
    ) -> Result<(), StoreError> {
        self.store.delete(table, Key::pair(guild, id));
        self.store.delete(Table::ChannelFacts, Key::pair(guild, id));
        self.store.delete(Table::ChannelMap, Key::one(id));
        self.store.delete_range(Table::Messages, Key::all_of(id))?;
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

/// What [`World::put_member`] did.
#[derive(Default)]
pub(super) struct MemberPut {
    /// The member was not cached before and is now.
    pub(super) new: bool,
    /// The user changed.
    pub(super) user: Option<UserChange>,
}

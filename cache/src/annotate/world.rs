//! The state as the rows see it: entities, and the small facts beside them.

use mixcord_event::{Atom, Map, Value, atoms, edit};
use mixcord_state::{
    ChannelFacts, GuildFacts, Key, LastMessage, Resource, StoreError, Table, compose, meta,
};

use super::id_in;
use crate::settings::Settings;
use crate::store::{Store, Subject};

/// The state and what of it is kept.
pub(super) struct World<'a> {
    pub(super) store: &'a mut dyn Store,
    pub(super) settings: &'a Settings,
    /// When the record in work was received: the only clock there is (R11).
    pub(super) now_us: u64,
}

/// A user before and after.
pub(super) struct UserChange {
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// Members of a member that are kept elsewhere or belong to the event that carried it.
const NOT_OF_MEMBER: [Atom; 4] =
    [atoms::GUILD_ID, atoms::PRESENCE, atoms::PERMISSIONS, atoms::USER];

/// How long it is remembered that somebody left, in microseconds, and of how many in a guild.
const DEPARTED_US: u64 = 60_000_000;
const DEPARTED_MAX: usize = 256;

fn left_at(left: &[u8]) -> u64 {
    left.first_chunk().map_or(0, |at| u64::from_le_bytes(*at))
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
        // A presence mostly names its user and says no more.
        if holders == 0 && user.iter().nth(1).is_none() {
            return Ok(None);
        }
        let (key, subject) = (Key::one(id), Subject::User(id));
        if holders == 0 && self.store.knows(subject, user, &[]) {
            return Ok(None);
        }
        let Some(tally) = compose::user_tally(&*self.store, id)? else {
            if holders > 0 {
                let mut own = Vec::new();
                edit::without(user, &[], &mut own);
                self.store.put(Table::Users, key, &[&holders.to_le_bytes(), &own]);
            } else {
                self.store.note(subject, user, &[]);
            }
            return Ok(None);
        };
        let count = tally.holders.saturating_add(holders).to_le_bytes();
        let held = compose::stored_map(tally.document);
        if edit::merge_changes(held, user) {
            let mut new = Vec::new();
            edit::merge(held, user, &mut new);
            let old = tally.document.to_vec();
            self.store.put(Table::Users, key, &[&count, &new]);
            self.store.note(subject, user, &[]);
            return Ok(Some(UserChange { old, new }));
        }
        if holders > 0 {
            let document = tally.document.to_vec();
            self.store.put(Table::Users, key, &[&count, &document]);
        }
        self.store.note(subject, user, &[]);
        Ok(None)
    }

    /// A guild lets go of a user; the last one erases it.
    pub(super) fn release_user(&mut self, id: u64) -> Result<(), StoreError> {
        let Some(tally) = compose::user_tally(&*self.store, id)? else { return Ok(()) };
        if tally.holders <= 1 {
            self.store.delete(Table::Users, Key::one(id));
            return Ok(());
        }
        let (count, document) = (tally.holders - 1, tally.document.to_vec());
        self.store.put(Table::Users, Key::one(id), &[&count.to_le_bytes(), &document]);
        Ok(())
    }

    /// Merges a member over the cached one, and its user. `facts` are the guild's, and are written by
    /// the caller if they changed.
    pub(super) fn put_member(
        &mut self,
        guild: u64,
        facts: &mut GuildFacts,
        member: Map<'_>,
        user: Map<'_>,
        insert: Insert,
    ) -> Result<MemberPut, StoreError> {
        let mut put = MemberPut::default();
        let Some(user_id) = id_in(user, atoms::ID) else { return Ok(put) };
        let key = Key::pair(guild, user_id);
        let mut holders = 0;
        if self.settings.caches(Resource::Members) && !self.merge_member(key, member, user)? {
            let inserts = match insert {
                Insert::Never => false,
                Insert::UnlessGone => !self.has_departed(guild, user_id)?,
                Insert::Always => true,
            };
            if inserts {
                let mut own = Vec::new();
                self.own_member(member, user, &mut own);
                self.store.put(Table::Members, key, &[&own]);
                facts.members_cached += 1;
                holders = 1;
                put.new = true;
            }
        }
        put.user = self.put_user(user, holders)?;
        Ok(put)
    }

    /// The same for a member inside another event (R9).
    pub(super) fn refresh_member(
        &mut self,
        guild: u64,
        member: Map<'_>,
        user: Map<'_>,
    ) -> Result<(), StoreError> {
        let Some(user_id) = id_in(user, atoms::ID) else { return Ok(()) };
        let subject = Subject::Member { guild, user: user_id };
        // Where users are not kept apart they are inside members, and no note speaks of them.
        let apart = self.settings.caches(Resource::Users);
        if apart && self.store.knows(subject, member, &NOT_OF_MEMBER) {
            return self.put_user(user, 0).map(drop);
        }
        let key = Key::pair(guild, user_id);
        let cached = self.store.get(Table::Members, key)?;
        if let Some(held) = cached.filter(|_| self.settings.caches(Resource::Members)) {
            let held = compose::stored_map(held);
            if !apart || edit::merge_changes_except(held, member, &NOT_OF_MEMBER) {
                self.merge_member(key, member, user)?;
            }
            if apart {
                // What is merged now changes nothing when it comes again.
                self.store.note(subject, member, &NOT_OF_MEMBER);
            }
            return self.put_user(user, 0).map(drop);
        }
        let Some(mut facts) = self.created_guild(guild)? else {
            return self.put_user(user, 0).map(drop);
        };
        let before = facts;
        self.put_member(guild, &mut facts, member, user, Insert::UnlessGone)?;
        if facts != before {
            self.put_guild_facts(guild, facts);
        }
        Ok(())
    }

    /// Merges a member over the cached one; false if none is cached.
    fn merge_member(
        &mut self,
        key: Key,
        member: Map<'_>,
        user: Map<'_>,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.store.get(Table::Members, key)? else { return Ok(false) };
        let held = compose::stored_map(held);
        let mut own = Vec::new();
        self.own_member(member, user, &mut own);
        let own = compose::stored_map(&own);
        if edit::merge_changes(held, own) {
            let mut merged = Vec::new();
            edit::merge(held, own, &mut merged);
            self.store.put(Table::Members, key, &[&merged]);
        }
        Ok(true)
    }

    /// What is kept under a member: its own fields, and its user where users are not kept apart.
    fn own_member(&self, member: Map<'_>, user: Map<'_>, out: &mut Vec<u8>) {
        if self.settings.caches(Resource::Users) {
            return edit::without(member, &NOT_OF_MEMBER, out);
        }
        let mut bare = Vec::new();
        edit::without(member, &NOT_OF_MEMBER[..3], &mut bare);
        edit::with(compose::stored_map(&bare), &[(atoms::USER, Value::Map(user))], out);
    }

    /// Whether somebody left the guild a moment ago: what still comes about them is late (G-46).
    pub(super) fn has_departed(&self, guild: u64, user: u64) -> Result<bool, StoreError> {
        let left = self.store.get(Table::Departed, Key::pair(guild, user))?;
        Ok(left.is_some_and(|left| self.is_recent(left_at(left))))
    }

    fn is_recent(&self, left_us: u64) -> bool {
        left_us.saturating_add(DEPARTED_US) >= self.now_us
    }

    /// Remembers for a while that somebody left; of too many, whoever left first is forgotten.
    pub(super) fn put_departed(&mut self, guild: u64, user: u64) -> Result<(), StoreError> {
        let mut known = Vec::new();
        self.store.scan(Table::Departed, Key::all_of(guild), &mut |key, left| {
            known.push((left_at(left), key));
            true
        })?;
        known.sort_unstable();
        let old = known.partition_point(|&(left, _)| !self.is_recent(left));
        let spare = (known.len() + 1).saturating_sub(DEPARTED_MAX);
        for &(_, key) in &known[..spare.max(old)] {
            self.store.delete(Table::Departed, key);
        }
        self.store.put(Table::Departed, Key::pair(guild, user), &[&self.now_us.to_le_bytes()]);
        Ok(())
    }

    /// These members are back, if they had left.
    pub(super) fn forget_departed(
        &mut self,
        guild: u64,
        members: impl Iterator<Item = u64>,
    ) -> Result<(), StoreError> {
        // Mostly nobody left of late, and members that come may be many.
        let mut some = false;
        self.store.scan(Table::Departed, Key::all_of(guild), &mut |_, _| {
            some = true;
            false
        })?;
        for key in members.filter(|_| some).map(|member| Key::pair(guild, member)) {
            if self.store.get(Table::Departed, key)?.is_some() {
                self.store.delete(Table::Departed, key);
            }
        }
        Ok(())
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
        if let Some(before) = self.move_channel(Key::pair(guild, id))? {
            self.store.delete(Table::Channels, before);
            self.store.delete(Table::Threads, before);
        }
        self.put_changed(Table::ChannelMap, Key::one(id), &guild.to_le_bytes())?;
        self.put_last_message(guild, id, channel.get(atoms::LAST_MESSAGE_ID))?;
        if !self.settings.caches_table(table) {
            return Ok(());
        }
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
    /// another guild; gives where it was. So the map always leads to the one history there is.
    pub(super) fn move_channel(&mut self, to: Key) -> Result<Option<Key>, StoreError> {
        let held = compose::guild_of_channel(&*self.store, to.id())?;
        let Some(guild) = held.filter(|&guild| guild != to.owner()) else { return Ok(None) };
        let from = Key::pair(guild, to.id());
        if let Some(facts) = self.store.get(Table::ChannelFacts, from)?.map(<[u8]>::to_vec) {
            self.store.put(Table::ChannelFacts, to, &[&facts]);
            self.store.delete(Table::ChannelFacts, from);
        }
        self.store.put(Table::ChannelMap, Key::one(to.id()), &[&to.owner().to_le_bytes()]);
        Ok(Some(from))
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

/// Whether a member that is not cached is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Insert {
    Never,
    /// Unless it left a moment ago: the event may be late.
    UnlessGone,
    Always,
}

/// What [`World::put_member`] did.
#[derive(Default)]
pub(super) struct MemberPut {
    /// The member was not cached before and is now.
    pub(super) new: bool,
    /// The user changed.
    pub(super) user: Option<UserChange>,
}

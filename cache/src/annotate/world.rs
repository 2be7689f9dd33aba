//! The state as the rows see it: entities, and the small facts beside them.

use mixcord_event::atoms;
use mixcord_state::tables::GUILD_FACTS;
use mixcord_state::{GuildFacts, Key, Range, StoreError, compose, meta};

use super::document::id_in;
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

    /// Whether the changes of this slice are as many as they may be.
    pub(super) fn has_enough(&self) -> bool {
        self.store.changed_bytes() >= self.changes_max
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

//! A guild goes, with everything under it.

use mixcord_state::tables::{CHANNEL_FACTS, CHANNELS, MEMBERS, OF_GUILD, THREADS};
use mixcord_state::{Key, Range, StoreError, Table};

use super::world::World;

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
    /// Erases a guild and everything under it; false where the rest is for another slice. Until then the
    /// guild itself is as it was.
    pub(super) fn erase_guild(&mut self, guild: u64) -> Result<bool, StoreError> {
        let (members, all) = self.some_keys(MEMBERS.of(guild), |_| true)?;
        for key in members {
            self.store.delete(key);
            self.release_user(key.id())?;
        }
        if !all {
            return Ok(false);
        }
        // Threads first, which are more than channels; last what is known by its messages alone.
        for (table, known) in [(THREADS, THREADS), (CHANNELS, CHANNELS), (CHANNELS, CHANNEL_FACTS)]
        {
            let ids = self.keys(known.of(guild))?.into_iter().map(Key::id);
            if !self.erase_channels(table, guild, ids)? {
                return Ok(false);
            }
        }
        for table in OF_GUILD.into_iter().filter(|table| !OWN.contains(table)) {
            if !self.erase_keys(table.of_guild(guild), |_| false)? {
                return Ok(false);
            }
        }
        for table in OWN {
            self.store.delete_range(table.of_guild(guild))?;
        }
        Ok(true)
    }

    /// Erases keys; false where the rest is for another slice.
    pub(super) fn erase_keys(
        &mut self,
        range: Range,
        stays: impl Fn(Key) -> bool,
    ) -> Result<bool, StoreError> {
        let (keys, all) = self.some_keys(range, |key| !stays(key))?;
        keys.into_iter().for_each(|key| self.store.delete(key));
        Ok(all)
    }

    /// The first keys of a range that are wanted, as many as this slice may change; whether these are all.
    fn some_keys(
        &self,
        range: Range,
        is_wanted: impl Fn(Key) -> bool,
    ) -> Result<(Vec<Key>, bool), StoreError> {
        let room = self.changes_max.saturating_sub(self.store.changed_bytes());
        // With each its user, or as much.
        let count_max = (room / self.store.key_bytes() / 2).clamp(SLICE_MIN, SLICE_MAX);
        let mut keys = Vec::new();
        let mut all = true;
        self.store.keys(range, &mut |key| {
            if !is_wanted(key) {
                return true;
            }
            all = keys.len() < count_max;
            if all {
                keys.push(key);
            }
            all
        })?;
        Ok((keys, all))
    }
}

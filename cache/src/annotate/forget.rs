//! What an earlier run kept and this one is told not to, or keeps in another form.

use mixcord_state::tables::{CHANNEL_FACTS, CHANNEL_MAP, GUILD_FACTS};
use mixcord_state::{
    ChannelFacts, GuildFacts, Key, Range, Resource, StoreError, Table, compose, meta,
};

use super::known;
use crate::settings::Settings;
use crate::store::{BATCH_BYTES_MAX, Tables};

/// Empties the tables of resources that are switched off (R6), and of those whose form depends on what
/// was switched since the store was opened last; makes what counts them agree.
///
/// It is done in parts. A run that is killed between two leaves word of what it was about to change: whatever
/// the next one is told, that is done again from its beginning.
///
/// # Errors
/// When the store cannot be read or written.
pub fn forget_uncached(store: &mut dyn Tables, settings: &Settings) -> Result<(), StoreError> {
    let cached = settings.resources();
    let before = store.get(meta::RESOURCES)?.and_then(|bytes| compose::ids(bytes).next());
    if before == Some(cached) {
        return Ok(());
    }
    // A store that does not say may hold members in either form.
    let before = before.unwrap_or(cached ^ 1 << Resource::Users as u64);
    let changed = (before ^ cached) & KEPT | before >> CHANGING;
    store.put(meta::RESOURCES, &[&(before & cached & KEPT | changed << CHANGING).to_le_bytes()]);
    store.settle()?;
    let is_new = |resource: Resource| changed & 1 << resource as u64 != 0;
    for table in Table::ALL {
        let stays = |resource| settings.caches(resource) && !is_new(resource);
        if !table.resource().is_none_or(stays) {
            clear(store, table)?;
        }
    }
    if !settings.caches(Resource::Roles) || is_new(Resource::Roles) {
        clear(store, Table::RoleOrder)?;
    }
    if !settings.caches(Resource::Threads) || is_new(Resource::Threads) {
        clear(store, Table::Archived)?;
    }
    // Members are what holds users; and they have theirs inside where users are not kept apart.
    let members = [Resource::Members, Resource::Users];
    if !settings.caches(Resource::Members) || members.into_iter().any(is_new) {
        for table in [Table::Members, Table::Uncounted, Table::Users] {
            clear(store, table)?;
        }
        rewrite(store, GUILD_FACTS.all(), |bytes| {
            let facts = GuildFacts::from_bytes(bytes).filter(|facts| facts.members_cached > 0)?;
            Some(GuildFacts { members_cached: 0, ..facts }.to_bytes().to_vec())
        })?;
    }
    if !settings.caches(Resource::Messages) || is_new(Resource::Messages) {
        forget_histories(store)?;
    }
    forget_strays(store)?;
    store.put(meta::RESOURCES, &[&cached.to_le_bytes()]);
    store.settle()
}

/// Bits of [`meta::RESOURCES`]: below, which resources are kept whole; from here on, which of them a run was
/// changing. Nothing is kept of which that is not known.
const CHANGING: u32 = 32;
const KEPT: u64 = (1 << CHANGING) - 1;
const _: () = assert!(Resource::ALL.len() <= CHANGING as usize);

/// Entries that are changed in one part at most.
const PART_MAX: usize = 1024;

/// Removes everything from a table.
fn clear(store: &mut dyn Tables, table: Table) -> Result<(), StoreError> {
    in_parts(
        store,
        table.all(),
        |_| Some(()),
        |store, key, ()| {
            store.delete(key);
            Ok(())
        },
    )
}

/// Replaces the values for which `change` has another one.
fn rewrite(
    store: &mut dyn Tables,
    range: Range,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), StoreError> {
    in_parts(store, range, change, |store, key, new| {
        store.put(key, &[&new]);
        Ok(())
    })
}

/// Forgets which messages there were.
fn forget_histories(store: &mut dyn Tables) -> Result<(), StoreError> {
    of_channels(store, |store, channel, facts| {
        if facts.count() > 0 {
            let mut facts = facts.into_owned();
            facts.clear_history();
            known::put(store, &facts, channel);
        }
        Ok(())
    })
}

/// Forgets what is known about channels that are not cached and have no messages; the others that are not cached are
/// known by their messages from here on.
fn forget_strays(store: &mut dyn Tables) -> Result<(), StoreError> {
    of_channels(store, |store, channel, facts| {
        let place = CHANNEL_FACTS.at(facts.guild(), channel);
        if facts.count() > 0 {
            return known::keep_stray(store, place);
        }
        if known::is_stray(store, place)? {
            known::delete(store, place);
        }
        Ok(())
    })
}

/// Does something with what is known about each channel and thread.
fn of_channels(
    store: &mut dyn Tables,
    change: impl Fn(&mut dyn Tables, u64, ChannelFacts<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    in_parts(
        store,
        CHANNEL_MAP.all(),
        |_| Some(()),
        |store, key, ()| {
            let facts = compose::facts_of_channel(store, key.owner())?;
            match facts.map(ChannelFacts::into_owned) {
                Some(facts) => change(store, key.owner(), facts),
                None => Ok(()),
            }
        },
    )
}

/// Changes those entries of a range for which `look` finds something to do, some at a time.
fn in_parts<T>(
    store: &mut dyn Tables,
    range: Range,
    look: impl Fn(&[u8]) -> Option<T>,
    change: impl Fn(&mut dyn Tables, Key, T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // An entry may change two keys, and a part is to be no more than the store takes at once.
    let part = (BATCH_BYTES_MAX / store.key_bytes() / 2).clamp(1, PART_MAX);
    let mut rest = Some(range);
    while let Some(range) = rest.take() {
        let mut found = Vec::new();
        store.scan(range, &mut |key, value| {
            found.extend(look(value).map(|what| (key, what)));
            if found.len() == part {
                rest = range.behind(key);
            }
            found.len() < part
        })?;
        for (key, what) in found {
            change(store, key, what)?;
        }
        store.settle()?;
    }
    Ok(())
}

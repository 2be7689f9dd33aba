//! What an earlier run kept and this one is told not to, or keeps in another form.

use mixcord_state::{ChannelFacts, GuildFacts, Key, Resource, StoreError, Table, compose, meta};

use crate::settings::Settings;
use crate::store::Tables;

/// Empties the tables of resources that are switched off (R6), and of those whose form depends on what
/// was switched since the store was opened last; makes what counts them agree.
///
/// # Errors
/// When the store cannot be read or written; nothing of it may be committed then.
pub fn forget_uncached(store: &mut dyn Tables, settings: &Settings) -> Result<(), StoreError> {
    let cached = settings.resources();
    let before = store.get(Table::Meta, meta::RESOURCES)?;
    let before = before.and_then(|bytes| compose::ids(bytes).next());
    if before == Some(cached) {
        return Ok(());
    }
    // A store that does not say may hold anything in either form.
    let changed = before.map_or(u64::MAX, |before| before ^ cached);
    for table in Table::ALL {
        if !settings.caches_table(table) {
            store.clear(table)?;
        }
    }
    if !settings.caches(Resource::Roles) {
        store.clear(Table::RoleOrder)?;
    }
    // Members are what holds users; and they have theirs inside where users are not kept apart.
    if !settings.caches(Resource::Members) || changed & 1 << Resource::Users as u64 != 0 {
        store.clear(Table::Members)?;
        store.clear(Table::Uncounted)?;
        store.clear(Table::Users)?;
        rewrite(store, Table::GuildFacts, |bytes| {
            let facts = GuildFacts::from_bytes(bytes).filter(|facts| facts.members_cached > 0)?;
            Some(GuildFacts { members_cached: 0, ..facts }.to_bytes().to_vec())
        })?;
    }
    if !settings.caches(Resource::Messages) {
        rewrite(store, Table::ChannelFacts, |bytes| {
            let mut facts = ChannelFacts::from_bytes(bytes).filter(|facts| facts.count() > 0)?;
            facts.clear_history();
            Some(facts.as_bytes().to_vec())
        })?;
    }
    forget_strays(store)?;
    store.set(Table::Meta, meta::RESOURCES, &cached.to_le_bytes())
}

/// Forgets what is known about channels that are not cached and have no messages.
fn forget_strays(store: &mut dyn Tables) -> Result<(), StoreError> {
    let mut next = Some(Key::one(0));
    while let Some(from) = next.take() {
        let mut known = Vec::new();
        store.scan(Table::ChannelFacts, from..=*Key::all().end(), &mut |key, bytes| {
            if known.len() == PAGE {
                next = Some(key);
                return false;
            }
            if ChannelFacts::from_bytes(bytes).is_some_and(|facts| facts.count() == 0) {
                known.push(key);
            }
            true
        })?;
        for key in known {
            let is_cached = store.get(Table::Channels, key)?.is_some()
                || store.get(Table::Threads, key)?.is_some();
            if !is_cached {
                store.remove(Table::ChannelFacts, key)?;
                store.remove(Table::ChannelMap, Key::one(key.id()))?;
            }
        }
    }
    Ok(())
}

/// Values that are replaced at once.
const PAGE: usize = 1024;

/// Replaces the values for which `change` has another one.
fn rewrite(
    store: &mut dyn Tables,
    table: Table,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let mut next = Some(Key::one(0));
    while let Some(from) = next.take() {
        let mut changed = Vec::new();
        store.scan(table, from..=*Key::all().end(), &mut |key, bytes| {
            if changed.len() == PAGE {
                next = Some(key);
                return false;
            }
            changed.extend(change(bytes).map(|new| (key, new)));
            true
        })?;
        for (key, new) in changed {
            store.set(table, key, &new)?;
        }
    }
    Ok(())
}

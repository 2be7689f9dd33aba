//! What an earlier run kept and this one is told not to.

use mixcord_state::{ChannelFacts, GuildFacts, Key, Resource, StoreError, Table};

use crate::settings::Settings;
use crate::store::Store;

/// Empties the tables of resources that are switched off (R6), and makes what counts them agree.
///
/// # Errors
/// When the store cannot be read.
pub fn forget_uncached(store: &mut dyn Store, settings: &Settings) -> Result<(), StoreError> {
    for table in Table::ALL {
        if !settings.caches_table(table) {
            store.delete_range(table, Key::all())?;
        }
    }
    if !settings.caches(Resource::Roles) {
        store.delete_range(Table::RoleOrder, Key::all())?;
    }
    if !settings.caches(Resource::Members) {
        // Members are what holds users.
        store.delete_range(Table::Users, Key::all())?;
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
    Ok(())
}

/// Replaces the values for which `change` has another one.
fn rewrite(
    store: &mut dyn Store,
    table: Table,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let mut changed = Vec::new();
    store.scan(table, Key::all(), &mut |key, bytes| {
        changed.extend(change(bytes).map(|new| (key, new)));
        true
    })?;
    for (key, new) in changed {
        store.put(table, key, &[&new]);
    }
    Ok(())
}

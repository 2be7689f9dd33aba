//! Figures of the store.

use crate::{Env, Key, Read, Resource, StoreError, Table, compose};

/// Entities and bytes of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceStats {
    /// The resource.
    pub resource: Resource,
    /// How many entities are cached.
    pub entities: u64,
    /// Bytes of the pages they take.
    pub bytes: u64,
}

/// Figures of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateStats {
    /// Each resource.
    pub resources: Vec<ResourceStats>,
    /// Bytes of the pages of everything else: maps, counts, positions.
    pub other_bytes: u64,
    /// Bytes of the file ever used; what is free inside is reused before it grows.
    pub used_bytes: u64,
}

impl StateStats {
    /// Counts. Emojis and stickers are counted guild by guild.
    pub fn count(env: &Env) -> Result<Self, StoreError> {
        let txn = env.read()?;
        let mut stats =
            Self { resources: Vec::new(), other_bytes: 0, used_bytes: env.used_bytes() };
        for table in Table::ALL {
            let (mut entities, bytes) = txn.size(table)?;
            let Some(resource) = table.resource() else {
                stats.other_bytes += bytes;
                continue;
            };
            if matches!(table, Table::Emojis | Table::Stickers) {
                entities = 0;
                txn.scan(table, Key::all(), &mut |_, list| {
                    let list = compose::stored(list).as_list();
                    entities += list.map_or(0, |list| list.len() as u64);
                    true
                })?;
            }
            stats.resources.push(ResourceStats { resource, entities, bytes });
        }
        Ok(stats)
    }

    /// Bytes of all pages in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.other_bytes + self.resources.iter().map(|stats| stats.bytes).sum::<u64>()
    }
}

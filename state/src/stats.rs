//! Figures of the store.

use crate::{Env, Key, Read, Resource, StoreError, Table, Txn, query};

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

/// Figures of the store, all of one moment but those of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateStats {
    /// Each resource.
    pub resources: Vec<ResourceStats>,
    /// Bytes of the pages of everything else: maps, counts, positions.
    pub other_bytes: u64,
    /// Bytes of the file ever used; what is free inside is reused before it grows.
    pub used_bytes: u64,
    /// Bytes of the file, allocated ahead.
    pub file_bytes: u64,
    /// The number of the last commit.
    pub commit: u64,
}

impl StateStats {
    /// Counts. Emojis and stickers are counted guild by guild.
    pub fn count(env: &Env) -> Result<Self, StoreError> {
        let txn = env.read()?;
        let mut stats = Self {
            resources: Vec::new(),
            other_bytes: 0,
            used_bytes: env.used_bytes(),
            file_bytes: env.file_bytes(),
            commit: env.last_commit(),
        };
        for &resource in Resource::ALL {
            let table = resource.table();
            let (entities, (_, bytes)) = (entities(&txn, table)?, txn.size(table)?);
            stats.resources.push(ResourceStats { resource, entities, bytes });
        }
        for table in Table::ALL.into_iter().filter(|table| table.resource().is_none()) {
            stats.other_bytes += txn.size(table)?.1;
        }
        Ok(stats)
    }

    /// Bytes of all pages in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.other_bytes + self.resources.iter().map(|stats| stats.bytes).sum::<u64>()
    }
}

/// How many entities a table holds.
pub(crate) fn entities(txn: &Txn<'_>, table: Table) -> Result<u64, StoreError> {
    if !matches!(table, Table::Emojis | Table::Stickers) {
        return Ok(txn.size(table)?.0);
    }
    let mut entities = 0;
    txn.scan(table, Key::all(), &mut |_, list| {
        entities += query::listed(list).count() as u64;
        true
    })?;
    Ok(entities)
}

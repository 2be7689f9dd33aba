//! Figures of the store.

use crate::source::Source;
use crate::tables::{EMOJIS, STICKERS};
use crate::{Arena, Read, Resource, Singles, StoreError, Table, View, query};

/// Entities and bytes of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceStats {
    /// The resource.
    pub resource: Resource,
    /// How many entities are cached.
    pub entities: u64,
    /// Bytes of memory they take, with what finds them and keeps their order.
    pub bytes: u64,
}

/// Figures of the store, each of a moment of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateStats {
    /// Each resource.
    pub resources: Vec<ResourceStats>,
    /// Bytes of everything else: maps, counts, positions.
    pub other_bytes: u64,
    /// Bytes of the file that are in use.
    pub used_bytes: u64,
    /// Bytes of the file, allocated ahead.
    pub file_bytes: u64,
    /// The number of the last commit.
    pub commit: u64,
}

impl StateStats {
    /// Counts. Emojis and stickers are counted guild by guild.
    pub(crate) fn count(source: &Source) -> Result<Self, StoreError> {
        let mut stats = Self {
            resources: Vec::new(),
            other_bytes: 0,
            used_bytes: 0,
            file_bytes: source.reader.allocated_bytes(),
            commit: source.batches().committed,
        };
        for &resource in Resource::ALL {
            let bytes = source.reader.totals_of(resource.table().id()).bytes;
            stats.resources.push(ResourceStats {
                resource,
                entities: entities(source, resource)?,
                bytes,
            });
        }
        for table in Table::ALL.into_iter().filter(|table| table.resource().is_none()) {
            stats.other_bytes += source.reader.totals_of(table.id()).bytes;
        }
        stats.used_bytes = stats.bytes();
        Ok(stats)
    }

    /// Bytes of everything that is stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.other_bytes + self.resources.iter().map(|stats| stats.bytes).sum::<u64>()
    }
}

/// How many entities of a resource there are.
pub(crate) fn entities(source: &Source, resource: Resource) -> Result<u64, StoreError> {
    match resource {
        Resource::Emojis => in_lists(source, EMOJIS),
        Resource::Stickers => in_lists(source, STICKERS),
        _ => Ok(source.reader.totals_of(resource.table().id()).values),
    }
}

fn in_lists(source: &Source, table: Singles) -> Result<u64, StoreError> {
    let (arena, mut entities) = (Arena::default(), 0);
    View::new(source, &arena).scan(table.all(), &mut |_, list| {
        entities += query::listed(list).count() as u64;
        true
    })?;
    Ok(entities)
}

//! What entities take: as events have them, in the form in which they lie, and with what is around them.

use crate::form::Formed;
use crate::source::Source;
use crate::table::at;
use crate::{Arena, Key, Read, Resource, State, StoreError, Table, View};

/// What the entities of one resource take. Where they are many, it is computed from some of them, evenly chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceSizes {
    /// The resource.
    pub resource: Resource,
    /// Bytes of their documents, as events have them: without what is composed from elsewhere.
    pub raw_bytes: u64,
    /// Bytes of them as they lie in the store.
    pub stored_bytes: u64,
    /// Bytes of memory beside these: heads, what keeps their order, and ends of places that are not used. The index, 32
    /// bytes for each value, is not in it.
    pub overhead_bytes: u64,
}

/// Values of a table that are looked at, about.
const SAMPLE: u64 = 20_000;

impl State {
    /// What the entities of each resource take. It reads the keys of all, and some of the values: seconds, where there
    /// are tens of millions.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sizes(&self) -> Result<Vec<ResourceSizes>, StoreError> {
        Resource::ALL.iter().map(|&resource| of(&self.source, resource, SAMPLE)).collect()
    }
}

pub(crate) fn of(
    source: &Source,
    resource: Resource,
    sample: u64,
) -> Result<ResourceSizes, StoreError> {
    let table = resource.table();
    let totals = source.reader.totals_of(table.id());
    let step = totals.values.div_ceil(sample).max(1);
    let (mut raw, mut stored, mut looked_at, mut number) = (0, 0, 0_u64, 0);
    let (arena, mut failed) = (Arena::default(), None);
    View::new(source, &arena).keys(table.all(), &mut |key| {
        number += 1;
        if (number - 1) % step == 0 {
            match lengths(source, key) {
                Ok(Some((of_raw, of_stored))) => {
                    (raw, stored, looked_at) = (raw + of_raw, stored + of_stored, looked_at + 1);
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    // The totals may be of another moment than the keys.
    let all = |bytes: u64| match looked_at {
        0 => 0,
        _ => (u128::from(bytes) * u128::from(totals.values) / u128::from(looked_at)) as u64,
    };
    let (raw_bytes, stored_bytes) = (all(raw), all(stored));
    let overhead_bytes = totals.bytes.saturating_sub(stored_bytes);
    Ok(ResourceSizes { resource, raw_bytes, stored_bytes, overhead_bytes })
}

/// The lengths of a value: as it was put, and as it lies there.
fn lengths(source: &Source, key: Key) -> Result<Option<(u64, u64)>, StoreError> {
    let mut value = Vec::new();
    let table: Table = key.table();
    if !source.reader.get(table.id(), at(key), &mut value)? {
        return Ok(None);
    }
    let stored = value.len();
    let raw = Formed::of(key, &value, source)?.map_or(stored, |formed| formed.len());
    Ok(Some((raw as u64, stored as u64)))
}

use mixcord_event::record::{Record, RecordError};
use mixcord_ring::Entry;

use crate::filter::Filter;

/// A record that cannot be read, found when its turn came.
pub(super) struct Damaged {
    pub(super) position: u64,
    pub(super) source: RecordError,
}

/// What a consumer wants of an entry.
pub(super) enum Wanted<'a> {
    Record(Record<'a>),
    /// To be told that its bytes are gone, whatever the filter.
    Gone,
    No,
}

/// The record of an entry, when it is wanted.
pub(super) fn wanted<'a>(entry: &Entry<'a>, filter: &Filter) -> Result<Wanted<'a>, RecordError> {
    if entry.lost {
        return Ok(Wanted::Gone);
    }
    if !filter.admits_tag(entry.tag) {
        return Ok(Wanted::No);
    }
    let record = Record::parse(entry.payload)?;
    let admitted = filter.admits(record.kind(), record.kind_name());
    Ok(if admitted { Wanted::Record(record) } else { Wanted::No })
}

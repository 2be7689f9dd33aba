use mixcord_event::{Record, RecordError, Seal};
use mixcord_ring::Entry;

use crate::Error;
use crate::filter::Filter;

/// A record that cannot be read, found when its turn came.
pub(crate) struct Damaged {
    pub(crate) position: u64,
    pub(crate) source: RecordError,
}

impl Damaged {
    /// What is said of it; `writer` is asked for the program that wrote the ring.
    pub(crate) fn error(&self, instance: &str, writer: impl FnOnce() -> Option<String>) -> Error {
        let Self { position, source } = *self;
        let instance = instance.to_owned();
        if !source.is_of_another_release() {
            return Error::Record { instance, position, source };
        }
        let writer = writer().unwrap_or_else(|| "another mixcord-cache".to_owned());
        Error::Newer { instance, position, writer, source }
    }
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
    let record = Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal))?;
    let admitted = filter.admits(record.kind(), record.kind_name());
    Ok(if admitted { Wanted::Record(record) } else { Wanted::No })
}

//! A table copied into another, step by step, while its writer goes on.
//!
//! First every bucket there is, those that come meanwhile among them; then what changed since, again and
//! again, until nothing did. Lists are values like all others.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::error::CopyError;
use crate::journal::{Overrun, Point};
use crate::key::{Key, TableId};
use crate::layout::Place;
use crate::look;
use crate::reader::Reader;
use crate::writer::Writer;

/// Values of one batch of the copy.
const BATCH: u64 = 1024;

/// Is given a copy, value by value, the last one of a key being right. Lists are values like all others.
pub(crate) trait Target {
    fn put(&mut self, table: TableId, key: Key, value: &[u8]) -> Result<(), CopyError>;
    fn delete(&mut self, table: TableId, key: Key) -> Result<(), CopyError>;
}

impl Target for Writer {
    fn put(&mut self, table: TableId, key: Key, value: &[u8]) -> Result<(), CopyError> {
        self.put_unlisted(table, key, &[value])?;
        self.commit_some()
    }

    fn delete(&mut self, table: TableId, key: Key) -> Result<(), CopyError> {
        self.delete_unlisted(table, key)?;
        self.commit_some()
    }
}

impl Writer {
    fn commit_some(&mut self) -> Result<(), CopyError> {
        if self.changes() >= BATCH {
            self.commit([0; 2])?;
        }
        Ok(())
    }
}

/// A copy on its way.
#[derive(Debug)]
pub(crate) struct Copying {
    /// Buckets before this one are copied.
    bucket: u64,
    /// The journal is read to this position.
    from: u64,
    /// Changed since it was copied, or never copied.
    changed: HashSet<(TableId, Key), RandomState>,
    /// Of more than these the values are copied at once, before the walk is over.
    changed_max: usize,
    value: Vec<u8>,
}

impl Copying {
    pub(crate) fn begin(source: &Reader) -> Result<Self, CopyError> {
        let from = source.point()?.seen;
        let (changed, changed_max) = (HashSet::default(), usize::MAX);
        Ok(Self { bucket: 0, from, changed, changed_max, value: Vec::new() })
    }

    /// In bounded memory: what is noted is no more than `changed_max` keys and one length of the journal.
    pub(crate) fn begin_bounded(source: &Reader, changed_max: usize) -> Result<Self, CopyError> {
        Ok(Self { changed_max, ..Self::begin(source)? })
    }

    /// Copies up to `buckets` buckets, or what changed. Gives the batch that the target was given, all of it
    /// and nothing else, once it was.
    pub(crate) fn step(
        &mut self,
        source: &Reader,
        target: &mut impl Target,
        buckets: u64,
    ) -> Result<Option<Point>, CopyError> {
        let walked = self.has_walked(source)?;
        if walked {
            self.look_what_changed(source)?;
            self.copy_changed(source, target)?;
        } else {
            let there = source.space.buckets().map_err(crate::ReadError::from)?;
            let behind = there.min(self.bucket + buckets);
            for bucket in self.bucket..behind {
                self.copy_bucket(source, target, bucket)?;
            }
            self.bucket = behind;
        }
        let point = self.look_what_changed(source)?;
        if !walked && self.changed.len() > self.changed_max {
            self.copy_changed(source, target)?;
        }
        let is_done = walked && self.changed.is_empty();
        Ok(is_done.then_some(point))
    }

    /// Whether every bucket there is was copied once.
    pub(crate) fn has_walked(&self, source: &Reader) -> Result<bool, CopyError> {
        Ok(self.bucket >= source.space.buckets().map_err(crate::ReadError::from)?)
    }

    fn look_what_changed(&mut self, source: &Reader) -> Result<Point, CopyError> {
        let point = source.point()?;
        let entries = source.entries(self.from, point.behind, |entry| {
            self.changed.insert((entry.table, entry.key));
        });
        entries.map_err(|Overrun| CopyError::Overrun)?;
        self.from = point.seen;
        Ok(point)
    }

    fn copy_bucket(
        &mut self,
        source: &Reader,
        target: &mut impl Target,
        bucket: u64,
    ) -> Result<(), CopyError> {
        let at = source.space.bucket(&source.fixed, bucket).map_err(crate::ReadError::from)?;
        let mut slots = Vec::new();
        let chain = source.space.chain(at, |slot| {
            if slot.place != Place::NONE {
                slots.push(slot);
            }
            true
        });
        chain.map_err(crate::ReadError::from)?;
        for slot in slots {
            self.value.clear();
            let found = look::value_in(&source.space, slot, |_| true, &mut self.value);
            // What changed or went to another bucket meanwhile is in the journal, or in that bucket.
            if let Some((table, key)) = found.map_err(crate::ReadError::from)? {
                target.put(table, key, &self.value)?;
            }
        }
        Ok(())
    }

    fn copy_changed(&mut self, source: &Reader, target: &mut impl Target) -> Result<(), CopyError> {
        for (table, key) in std::mem::take(&mut self.changed) {
            self.value.clear();
            if source.get(table, key, &mut self.value)? {
                target.put(table, key, &self.value)?;
            } else {
                target.delete(table, key)?;
            }
        }
        Ok(())
    }
}

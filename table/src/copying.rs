//! A table copied into another, step by step, while its writer goes on.
//!
//! First every bucket there is, those that come meanwhile among them; then what changed since, again and
//! again, until nothing did. Lists are values like all others.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::error::CopyError;
use crate::journal::{Overrun, Point};
use crate::key::{Key, TableId};
use crate::look;
use crate::reader::Reader;
use crate::writer::Writer;

/// Values of one batch of the copy.
const BATCH: u64 = 1024;

/// A copy on its way.
#[derive(Debug)]
pub(crate) struct Copying {
    /// Buckets before this one are copied.
    bucket: u64,
    /// The journal is read to this position.
    from: u64,
    /// Changed since it was copied, or never copied.
    changed: HashSet<(TableId, Key), RandomState>,
    value: Vec<u8>,
}

impl Copying {
    pub(crate) fn begin(source: &Reader) -> Result<Self, CopyError> {
        let from = source.point()?.seen;
        Ok(Self { bucket: 0, from, changed: HashSet::default(), value: Vec::new() })
    }

    /// Copies up to `buckets` buckets, or what changed. Gives the batch that the target holds, all of it
    /// and nothing else, once it does.
    pub(crate) fn step(
        &mut self,
        source: &Reader,
        target: &mut Writer,
        buckets: u64,
    ) -> Result<Option<Point>, CopyError> {
        let there = source.space.buckets().map_err(crate::ReadError::from)?;
        let walked = self.bucket >= there;
        if walked {
            self.look_what_changed(source)?;
            self.copy_changed(source, target)?;
        } else {
            let behind = there.min(self.bucket + buckets);
            for bucket in self.bucket..behind {
                self.copy_bucket(source, target, bucket)?;
            }
            self.bucket = behind;
        }
        let point = self.look_what_changed(source)?;
        if !walked || !self.changed.is_empty() {
            return Ok(None);
        }
        target.commit(point.note)?;
        Ok(Some(point))
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
        target: &mut Writer,
        bucket: u64,
    ) -> Result<(), CopyError> {
        let at = source.space.bucket(&source.fixed, bucket).map_err(crate::ReadError::from)?;
        let mut slots = Vec::new();
        let chain = source.space.chain(at, |slot| {
            if slot.place.0 != 0 {
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
                target.put_unlisted(table, key, &[&self.value])?;
            }
            if target.changes() >= BATCH {
                target.commit([0; 2])?;
            }
        }
        Ok(())
    }

    fn copy_changed(&mut self, source: &Reader, target: &mut Writer) -> Result<(), CopyError> {
        for (table, key) in std::mem::take(&mut self.changed) {
            self.value.clear();
            if source.get(table, key, &mut self.value)? {
                target.put_unlisted(table, key, &[&self.value])?;
            } else {
                target.delete_unlisted(table, key)?;
            }
            if target.changes() >= BATCH {
                target.commit([0; 2])?;
            }
        }
        Ok(())
    }
}

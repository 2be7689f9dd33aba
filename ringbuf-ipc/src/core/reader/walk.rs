//! Which records of a partition are taken at a time.

use super::Reader;
use crate::core::Position;
use crate::core::arming::Sleeper;
use crate::core::buffers::Limits;
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;

/// What was taken at a time.
pub(super) struct Extent {
    pub(super) records: usize,
    /// One past the last record.
    pub(super) end: Position,
    /// The next record of the partition, or how far there is none.
    pub(super) next: Position,
    pub(super) follows: u64,
}

impl Reader {
    /// Visits records of a partition, from `first` on, each a checked copy of its descriptor, until a
    /// limit is reached, there is none left, or `visit` says false.
    pub(super) fn walk(
        &self,
        partition: u16,
        first: Position,
        limits: Limits,
        visit: &mut impl FnMut(&Descriptor) -> Result<bool, TakeError>,
    ) -> Result<Extent, TakeError> {
        if self.pending.is_single() {
            self.walk_by(first, limits, |_| true, |at| self.pending.in_row(at), visit)
        } else {
            let partitions = self.seat.partitions;
            let fits = |entry: &Descriptor| entry.partition(partitions) == partition;
            self.walk_by(first, limits, fits, |at| self.pending.following(at), visit)
        }
    }

    #[inline]
    fn walk_by(
        &self,
        first: Position,
        limits: Limits,
        fits: impl Fn(&Descriptor) -> bool,
        following: impl Fn(Position) -> Option<Position>,
        visit: &mut impl FnMut(&Descriptor) -> Result<bool, TakeError>,
    ) -> Result<Extent, TakeError> {
        let core = self.core();
        let (mut records, mut bytes, mut follows) = (0, 0, self.follows);
        let (mut position, mut end) = (first, first);
        let next = loop {
            let Some(entry) = Descriptor::load(core, position).filter(&fits) else {
                if records != 0 {
                    // What stands before the damage is given first.
                    break position;
                }
                return Err(TakeError::Corrupt { position });
            };
            bytes += entry.lines();
            if records != 0 && (records >= limits.records || bytes > limits.bytes) {
                break position;
            }
            if !visit(&entry)? {
                break position;
            }
            records += 1;
            end = position + 1;
            follows = entry.end();
            match following(position) {
                Some(after) => position = after,
                None => break self.pending.scanned(),
            }
        };
        Ok(Extent { records, end, next, follows })
    }
}

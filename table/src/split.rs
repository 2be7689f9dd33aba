//! One bucket more: linear hashing, one split at a time, between batches.

use mixcord_memory::Ordering;

use crate::error::CommitError;
use crate::layout::{
    AT_BUCKETS, BUCKET, BUCKET_UNITS, CHUNK, CHUNK_BUCKETS, Place, SLOTS, bucket_of, split_from,
};
use crate::space::Slot;
use crate::writer::Writer;

impl Writer {
    /// Splits bucket number `new` off: what belongs there is copied, the number of buckets is stored,
    /// then what was copied is cleared in the old one. A writer killed before the store has done
    /// nothing; after it the next one clears.
    pub(crate) fn split(&mut self, new: u64) -> Result<(), CommitError> {
        if new / CHUNK_BUCKETS == self.index.chunks() {
            self.more_directory(new / CHUNK_BUCKETS)?;
        }
        let moving = self.moving(split_from(new), new)?;
        let slots = SLOTS as usize;
        let mut overflow = Vec::new();
        for _ in 1..moving.len().div_ceil(slots) {
            match self.take(BUCKET_UNITS) {
                Ok(place) => overflow.push(place),
                Err(error) => {
                    for place in overflow {
                        self.heap.give_back(place);
                    }
                    return Err(error);
                }
            }
        }
        let first = self.index.at(new);
        let mut links = overflow.iter().copied().chain([Place::NONE]);
        let places = std::iter::once(first).chain(overflow.iter().map(|place| place.offset()));
        let mut groups = moving.chunks(slots);
        for at in places {
            let mut words = [0; BUCKET as usize / 8];
            for (index, slot) in groups.next().unwrap_or_default().iter().enumerate() {
                (words[1 + index * 2], words[2 + index * 2]) =
                    (slot.hash, self.space.grain.word(slot.place));
            }
            words[7] = self.space.grain.word(links.next().unwrap_or(Place::NONE));
            self.space.memory().store_words(at as usize, words);
        }
        let memory = self.space.memory();
        // Who sees the number sees the new bucket. Who does not finds the old one as it was, or sees the
        // number change by the time it misses something there.
        memory.store(AT_BUCKETS, new + 1, Ordering::Release);
        self.index.set_buckets(new + 1);
        for slot in moving {
            // Behind the number: who misses the place here finds that the number changed.
            memory.store(slot.at as usize + 8, 0, Ordering::Release);
        }
        Ok(())
    }

    /// The slots of bucket `old` that belong to bucket `new` once there is one.
    fn moving(&self, old: u64, new: u64) -> Result<Vec<Slot>, CommitError> {
        let mut moving = Vec::new();
        let bucket = self.index.at(old);
        self.space.chain(bucket, |slot| {
            if slot.place != Place::NONE && bucket_of(slot.hash, new + 1) == new {
                moving.push(slot);
            }
            true
        })?;
        Ok(moving)
    }

    /// A chunk for the buckets from `index` chunks on.
    pub(crate) fn more_directory(&mut self, index: u64) -> Result<(), CommitError> {
        if index >= self.fixed.directory_entries {
            return Err(CommitError::Full { bytes_max: self.limits.bytes_max });
        }
        let chunk = match self.heap.take_chunk() {
            Some(chunk) => chunk,
            None => {
                self.grow(1)?;
                let full = CommitError::Full { bytes_max: self.limits.bytes_max };
                self.heap.take_chunk().ok_or(full)?
            }
        };
        let at = self.fixed.directory(index);
        self.space.memory().store(at as usize, chunk, Ordering::Release);
        self.index.add_chunk(chunk * CHUNK);
        Ok(())
    }
}

//! Making a table, and taking one over from a writer that is gone.

use mixcord_memory::Ordering;

use crate::batch::Batch;
use crate::error::{CommitError, Damage, OpenError};
use crate::heap::Heap;
use crate::index::Index;
use crate::layout::{
    AT_APPLIED, AT_BUCKETS, AT_COMMITTED, AT_LINK, AT_META, AT_MOVED, AT_NUMBERS, BUCKET,
    BUCKET_UNITS, CHUNK, CHUNK_BUCKETS, COUNT_MAX, Fixed, META_WORDS, Place, UNIT, bucket_of,
    split_from,
};
use crate::redo;
use crate::space::{Space, checksum};
use crate::totals::Counted;
use crate::writer::{Limits, Note, Numbers, Writer};

/// What a meta block says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Meta {
    first: u64,
    behind: u64,
    note: Note,
}

impl Writer {
    /// Makes an empty table in a block of zeros.
    pub(crate) fn create(space: Space, fixed: Fixed, limits: Limits) -> Result<Self, CommitError> {
        let first = fixed.first_chunk() + 1;
        if space.allocated() < first * CHUNK {
            let bytes = first * CHUNK - space.allocated();
            let io = |source| CommitError::NoSpace { bytes, source };
            space.allocate(first * CHUNK).map_err(io)?;
        }
        let heap = Heap::new(fixed.first_chunk(), space.allocated() / CHUNK);
        let mut writer = Self {
            space: space.of(&fixed),
            fixed,
            index: Index::default(),
            heap,
            limits,
            batch: 0,
            note: Note::default(),
            redo_next: 0,
            numbers: Numbers { next: 1, limit: 1 },
            values: 0,
            current: Batch::default(),
            counted: Counted::default(),
            steps: Vec::new(),
        };
        writer.more_directory(0)?;
        writer.index.set_buckets(1);
        let first = writer.index.at(0);
        let memory = writer.space.memory();
        memory.store_words(first as usize, [0; BUCKET as usize / 8]);
        memory.store(AT_NUMBERS, 1, Ordering::Relaxed);
        memory.store(AT_BUCKETS, 1, Ordering::Release);
        // Last: without it there is no table.
        writer.space.write_fixed(&writer.fixed);
        Ok(writer)
    }

    /// Takes over a table: stores what the last batch left to be stored, and learns what is free.
    pub(crate) fn take_over(space: Space, limits: Limits, format: u64) -> Result<Self, OpenError> {
        let fixed = space.fixed().ok_or(OpenError::Foreign)?;
        let space = space.of(&fixed);
        if fixed.format != format {
            return Err(OpenError::OtherFormat { found: fixed.format, expected: format });
        }
        let memory = space.memory();
        let committed = memory.load(AT_COMMITTED, Ordering::Acquire);
        let applied = memory.load(AT_APPLIED, Ordering::Acquire);
        if applied > committed || committed - applied > 1 || committed > COUNT_MAX {
            return Err(Damage { what: "the numbers of the last batches", at: 192 }.into());
        }
        let meta = meta_of(&space, &fixed, committed)?;
        if applied != committed {
            for position in meta.first..meta.behind {
                let entry = redo::read(&space, &fixed, position);
                let entry = entry.filter(|entry| entry.batch == committed);
                let at = fixed.redo(position);
                let entry = entry.ok_or(Damage { what: "a redo entry", at })?;
                entry.step.check(&space, &fixed)?;
                entry.step.apply(&space);
            }
            memory.store(AT_APPLIED, committed, Ordering::Release);
        }
        // A writer that went over and was killed before the other file was in place.
        memory.store(AT_MOVED, 0, Ordering::Release);
        let limit = memory.load(AT_NUMBERS, Ordering::Relaxed);
        if limit == 0 || limit > COUNT_MAX {
            return Err(Damage { what: "the numbers of values", at: AT_NUMBERS as u64 }.into());
        }
        let (index, heap, values, mut counted) = used(&space, &fixed)?;
        counted.tell(&space);
        Ok(Self {
            space,
            fixed,
            index,
            heap,
            limits,
            batch: committed,
            note: meta.note,
            redo_next: meta.behind,
            numbers: Numbers { next: limit, limit },
            values,
            current: Batch::default(),
            counted,
            steps: Vec::new(),
        })
    }
}

/// The meta block of a batch.
fn meta_of(space: &Space, fixed: &Fixed, batch: u64) -> Result<Meta, Damage> {
    if batch == 0 {
        return Ok(Meta::default());
    }
    let at = AT_META[(batch % 2) as usize];
    let words = space.memory().load_words::<META_WORDS>(at);
    let [found, first, behind, _, note, more, sum] = words;
    let sound = found == batch
        && sum == checksum(&words[..META_WORDS - 1])
        && first <= behind
        && behind <= COUNT_MAX
        && behind - first <= fixed.redo_entries;
    if sound {
        Ok(Meta { first, behind, note: [note, more] })
    } else {
        Err(Damage { what: "a meta block", at: at as u64 })
    }
}

/// What is used, as the slots say, and how many of them there are. What a split was killed at is
/// cleared on the way.
fn used(space: &Space, fixed: &Fixed) -> Result<(Index, Heap, u64, Counted), Damage> {
    let mut index = Index::default();
    let mut counted = Counted::default();
    let mut heap = Heap::new(fixed.first_chunk(), space.allocated() / CHUNK);
    let buckets = space.buckets()?;
    let overlap = |what, at| Damage { what, at };
    for chunk in 0..buckets.div_ceil(CHUNK_BUCKETS) {
        let first = space.bucket(fixed, chunk * CHUNK_BUCKETS)?;
        if !heap.claim_chunk(first / CHUNK) {
            return Err(overlap("two chunks of buckets in one place", fixed.directory(chunk)));
        }
        index.add_chunk(first);
    }
    index.set_buckets(buckets);
    let (newest, mut values) = (buckets - 1, 0);
    let split = newest.checked_ilog2().map(|_| split_from(newest));
    for bucket in 0..buckets {
        let at = index.at(bucket);
        let mut wrong = None;
        let mut links = at;
        let last = space.chain(at, |slot| {
            if slot.at < links || slot.at >= links + BUCKET {
                // The walk came to an overflow bucket.
                links = slot.at / BUCKET * BUCKET;
                if !heap.claim(Place::new(links / UNIT, BUCKET_UNITS)) {
                    wrong = Some(overlap("an overflow bucket in a place that is used", slot.at));
                }
            }
            if slot.place == Place::NONE {
                return wrong.is_none();
            }
            let belongs = bucket_of(slot.hash, buckets);
            if belongs == newest && Some(bucket) == split {
                space.memory().store(slot.at as usize + 8, 0, Ordering::Release);
            } else if belongs != bucket {
                wrong = Some(overlap("a slot in a bucket of others", slot.at));
            } else if !heap.claim(slot.place) {
                wrong = Some(overlap("two values in one place", slot.at));
            } else {
                values += 1;
                match space.value_head(slot.place) {
                    Ok(head) => counted.add(head.table, slot.place),
                    Err(damage) => wrong = Some(damage),
                }
            }
            wrong.is_none()
        })?;
        if let Some(damage) = wrong {
            return Err(damage);
        }
        // The link of the last bucket is none, or the chain would have gone on.
        debug_assert_eq!(space.memory().load((last + AT_LINK) as usize, Ordering::Relaxed), 0);
    }
    Ok((index, heap, values, counted))
}

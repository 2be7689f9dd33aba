//! Reading one value while its writer goes on: nothing is held, nothing is registered.
//!
//! A value in its place begins with a number that no other value ever has. The writer makes it 0
//! before it writes a new value over a place that is free, and stores the new number behind it; so a
//! copy between two looks at the same number is whole. That the slot still names the place then says
//! that the value was the current one.

use mixcord_memory::{Ordering, fence};

use crate::error::{Damage, ReadError};
use crate::key::{Key, TableId};
use crate::layout::{AT_BUCKETS, AT_MOVED, Fixed, Place, VALUE_HEAD, bucket_of};
use crate::space::{Slot, Space, ValueHead};

/// Looks at a value before [`ReadError::Unsettled`]. No writer changes one value in the middle of so many looks in a
/// row, and one that was stopped leaves nothing that a second look does not settle: what goes on changing is damaged,
/// and on a busy machine each look costs a turn of everybody else.
const TRIES: u32 = if cfg!(loom) { 3 } else { 200 };
/// Looks before the thread lets others run between them.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };

/// What one look saw.
enum Seen {
    Value,
    Nothing,
    /// The writer was there meanwhile.
    Change,
}

/// What a look at one slot saw.
enum InSlot {
    Value,
    /// Another key with the same hash.
    OtherKey,
    Change,
}

/// Copies the value under `key` to the end of `into`; false where there is none.
///
/// Sees the last batch that was applied before the call, or a later one.
pub(crate) fn get(
    space: &Space,
    fixed: &Fixed,
    table: TableId,
    key: Key,
    into: &mut Vec<u8>,
) -> Result<bool, ReadError> {
    let hash = fixed.hash.of(table, key);
    for tried in 0..TRIES {
        if space.memory().load(AT_MOVED, Ordering::Acquire) != 0 {
            return Err(ReadError::Moved);
        }
        match look(space, fixed, hash, (table, key), into)? {
            Seen::Value => return Ok(true),
            Seen::Nothing => return Ok(false),
            Seen::Change if tried < SPINS => std::hint::spin_loop(),
            Seen::Change => give_way(),
        }
    }
    Err(ReadError::Unsettled)
}

#[cfg(not(loom))]
fn give_way() {
    std::thread::yield_now();
}

#[cfg(loom)]
fn give_way() {
    loom::thread::yield_now();
}

fn look(
    space: &Space,
    fixed: &Fixed,
    hash: u64,
    wanted: (TableId, Key),
    into: &mut Vec<u8>,
) -> Result<Seen, Damage> {
    let buckets = space.buckets()?;
    let bucket = space.bucket(fixed, bucket_of(hash, buckets))?;
    let mut found = Ok(InSlot::OtherKey);
    space.chain(bucket, |slot| {
        if slot.hash != hash || slot.place == Place::NONE {
            return true;
        }
        found = copy(space, slot, wanted, into);
        matches!(found, Ok(InSlot::OtherKey))
    })?;
    match found? {
        InSlot::Value => Ok(Seen::Value),
        InSlot::Change => Ok(Seen::Change),
        InSlot::OtherKey => {
            // A split stores the number of buckets before it clears what it moved: unchanged, nothing
            // of this bucket had been moved away before the look.
            fence(Ordering::Acquire);
            let unchanged = space.memory().load(AT_BUCKETS, Ordering::Relaxed) == buckets;
            Ok(if unchanged { Seen::Nothing } else { Seen::Change })
        }
    }
}

/// Copies the value of a slot, if it is the wanted one.
fn copy(
    space: &Space,
    slot: Slot,
    wanted: (TableId, Key),
    into: &mut Vec<u8>,
) -> Result<InSlot, Damage> {
    Ok(match value_in(space, slot, |key| key == wanted, into)? {
        Some(key) if key == wanted => InSlot::Value,
        Some(_) => InSlot::OtherKey,
        None => InSlot::Change,
    })
}

/// Copies the value of a slot, if its key is wanted. Gives the key; `None` where the writer was there
/// meanwhile.
pub(crate) fn value_in(
    space: &Space,
    slot: Slot,
    wanted: impl Fn((TableId, Key)) -> bool,
    into: &mut Vec<u8>,
) -> Result<Option<(TableId, Key)>, Damage> {
    let (memory, at) = (space.memory(), slot.place.offset() as usize);
    // Pairs with the Release store of the slot: what was written into the place before it is seen, and
    // not what was there before that.
    fence(Ordering::Acquire);
    space.check_place(slot.place)?;
    let number = memory.load(at, Ordering::Acquire);
    if number == 0 {
        return Ok(None);
    }
    let [word, owner, id] = memory.load_words::<3>(at + 8);
    let head = ValueHead::from_words([number, word, owner, id]);
    let wanted = wanted((head.table, head.key));
    let begin = into.len();
    if wanted && head.fits(slot.place) {
        memory.append(at + VALUE_HEAD as usize, head.len as usize, into);
    }
    // Orders the loads before against the two behind.
    fence(Ordering::Acquire);
    let still = memory.load(at, Ordering::Relaxed) == number
        && memory.load(slot.at as usize + 8, Ordering::Relaxed) == space.grain.word(slot.place)
        && memory.load(slot.at as usize, Ordering::Relaxed) == slot.hash;
    if !still {
        into.truncate(begin);
        return Ok(None);
    }
    if wanted && !head.fits(slot.place) {
        return Err(Damage { what: "the length of a value", at: at as u64 });
    }
    Ok(Some((head.table, head.key)))
}

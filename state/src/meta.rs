//! Keys of the table of what belongs to no entity.

use crate::{Key, Range, Table};

const fn key(owner: u64, id: u64) -> Key {
    Key::new(Table::Meta, owner, id)
}

/// The store of another kind from which this one was copied: its id, eight bytes. What an output ring says
/// of that one holds for this.
pub const COPIED_FROM: Key = key(0, 0);
/// The bot's own user, as a document.
pub const ME: Key = key(0, 1);
/// The resources that are cached, a bit each by their number in [`Resource`](crate::Resource), eight bytes; from
/// bit 32 on those that are being switched, of which nothing holds until that is done. Absent in a store that was
/// just made.
pub const RESOURCES: Key = key(0, 2);
/// The shard count whose rings are read.
pub const SHARDS: Key = key(1, 1);
/// When what is applied was received, and until when what another shard count received is left out:
/// two numbers of microseconds since 1970, eight bytes each.
pub const TIMES: Key = key(1, 2);
/// Losses that are not told yet: shard count, shard and reason of each, eight bytes each.
pub const GAPS: Key = key(1, 3);
/// What of the state was lost and could not be asked for anew yet: shard count, shard, ring and position before which
/// it was said, eight bytes each.
pub const WISHES: Key = key(1, 4);
/// The output ring's id and tail that came with the copy of which the store was made, eight bytes each; while the store
/// says the same of itself, it is that of no ring here.
pub const LOADED: Key = key(1, 5);
/// Owner of the keys of input positions.
const INPUTS_OWNER: u64 = 2;
/// The keys of all input positions.
pub const INPUTS: Range = Range { first: key(INPUTS_OWNER, 0), last: key(INPUTS_OWNER, u64::MAX) };
/// Owner of the keys of shapes.
const SHAPES_OWNER: u64 = 3;
/// The keys of all shapes.
pub(crate) const SHAPES: Range =
    Range { first: key(SHAPES_OWNER, 0), last: key(SHAPES_OWNER, u64::MAX) };

/// The first owner of the keys of a change of the shard count; each kind of its rows has one.
const RESHARD_OWNER: u64 = 16;
/// The keys of all rows of a change of the shard count.
pub const RESHARD: Range =
    Range { first: key(RESHARD_OWNER, 0), last: key(RESHARD_OWNER + 15, u64::MAX) };

/// A row of a change of the shard count: one of sixteen kinds, and its number.
#[must_use]
pub const fn reshard(kind: u8, number: u64) -> Key {
    key(RESHARD_OWNER + (kind & 15) as u64, number)
}

/// Kind and number of such a key.
#[must_use]
pub const fn reshard_of(key: Key) -> (u8, u64) {
    ((key.owner() - RESHARD_OWNER) as u8, key.id())
}

/// The shape that documents in the store have which name this number, as
/// [`mixcord_event::shape`] writes it.
#[must_use]
pub const fn shape(number: u16) -> Key {
    key(SHAPES_OWNER, number as u64)
}

/// The position in the ring of `shard` of `shards`: ring id, position, the index of the output that comes next
/// there, and log and position of that record where it was first; eight bytes each, the last two absent in older
/// stores.
#[must_use]
pub const fn input(shard: u16, shards: u16) -> Key {
    key(INPUTS_OWNER, ((shards as u64) << 16) | shard as u64)
}

/// Shard count and shard of such a key.
#[must_use]
pub const fn input_of(key: Key) -> (u16, u16) {
    ((key.id() >> 16) as u16, key.id() as u16)
}

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
/// Owner of the keys of input positions.
const INPUTS_OWNER: u64 = 2;
/// The keys of all input positions.
pub const INPUTS: Range = Range { first: key(INPUTS_OWNER, 0), last: key(INPUTS_OWNER, u64::MAX) };

/// The position in the ring of `shard` of `shards`: ring id, position, and the index of the output
/// that comes next there, eight bytes each.
#[must_use]
pub const fn input(shard: u16, shards: u16) -> Key {
    key(INPUTS_OWNER, ((shards as u64) << 16) | shard as u64)
}

/// Shard count and shard of such a key.
#[must_use]
pub const fn input_of(key: Key) -> (u16, u16) {
    ((key.id() >> 16) as u16, key.id() as u16)
}

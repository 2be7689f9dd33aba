//! Records whose outputs are more than one batch can hold: how far they are delivered.

use std::collections::BTreeMap;

use mixcord_state::compose;

/// The record at a position of a shard's ring has outputs before `index` delivered, and others not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Partial {
    pub(super) ring: u64,
    pub(super) position: u64,
    /// The index that comes next.
    pub(super) index: u16,
}

/// Such records: at most one a shard, by (shard count, shard), since a shard's records are in order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Partials {
    shards: BTreeMap<(u16, u16), Partial>,
}

impl Partials {
    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    pub(super) fn set(&mut self, shard: (u16, u16), partial: Partial) {
        self.shards.insert(shard, partial);
    }

    /// The shard's record is delivered whole.
    pub(super) fn remove(&mut self, shard: (u16, u16)) {
        self.shards.remove(&shard);
    }

    /// The index with which the record at this place goes on; 0 when nothing of it is delivered.
    pub(super) fn next_index(&self, shard: (u16, u16), ring: u64, position: u64) -> u16 {
        let here = self.shards.get(&shard);
        let here = here.filter(|it| it.ring == ring && it.position == position);
        here.map_or(0, |it| it.index)
    }

    /// Five words a record, little-endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let words = self.shards.iter().flat_map(|(&(shards, shard), partial)| {
            let Partial { ring, position, index } = *partial;
            [shards.into(), shard.into(), ring, position, index.into()]
        });
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// What [`to_bytes`](Self::to_bytes) wrote, as far as it can be read.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = compose::ids(bytes);
        let mut next = || {
            let mut small = || u16::try_from(words.next()?).ok();
            let shard = (small()?, small()?);
            let (ring, position) = (words.next()?, words.next()?);
            let index = u16::try_from(words.next()?).ok()?;
            Some((shard, Partial { ring, position, index }))
        };
        Self { shards: std::iter::from_fn(&mut next).collect() }
    }
}

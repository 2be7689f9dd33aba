//! A record whose outputs are more than one batch can hold: how far it is delivered.

use mixcord_state::compose;

/// The record at a position of a shard's ring has outputs before `index` delivered, and others not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Partial {
    /// Shard count and shard.
    pub(super) shard: (u16, u16),
    pub(super) ring: u64,
    pub(super) position: u64,
    /// The index that comes next.
    pub(super) index: u16,
}

impl Partial {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let (shards, shard) = self.shard;
        let words = [shards.into(), shard.into(), self.ring, self.position, u64::from(self.index)];
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = compose::ids(bytes);
        let mut small = || u16::try_from(words.next()?).ok();
        let shard = (small()?, small()?);
        let (ring, position) = (words.next()?, words.next()?);
        let index = u16::try_from(words.next()?).ok()?;
        Some(Self { shard, ring, position, index })
    }

    /// The index with which the record at this place goes on.
    pub(super) fn from_of(this: Option<Self>, ring: u64, position: u64) -> u16 {
        let here = this.filter(|it| it.ring == ring && it.position == position);
        here.map_or(0, |it| it.index)
    }
}

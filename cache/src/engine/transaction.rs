//! What a batch changes of the store beside the state: positions, intended tail, losses that are not told.

use mixcord_state::{StoreError, Writer, meta};

use super::gap::Gap;
use super::reached::{Reached, gap_bytes};
use crate::kill;

/// What a batch ends with, beside the changes of its records.
pub(super) struct Ending<'a> {
    /// How far everything is once it is committed, and what the store holds of that already.
    pub(super) reached: &'a Reached,
    /// The output ring's id and the tail it is to reach.
    pub(super) output: (u64, u64),
    /// Losses that are not told yet.
    pub(super) untold: &'a [Gap],
    /// Whether the store has such.
    pub(super) had_untold: bool,
}

impl Ending<'_> {
    /// Adds it to the open batch, and makes all of that the state.
    pub(super) fn commit(self, store: &mut Writer) -> Result<(), StoreError> {
        store.mark();
        if let Err(error) = self.add(store) {
            store.take_back();
            return Err(error);
        }
        kill::point();
        store.commit(self.output)?;
        kill::point();
        Ok(())
    }

    fn add(&self, store: &mut Writer) -> Result<(), StoreError> {
        let Reached { positions, persisted, shards, times } = self.reached;
        for (shard, input) in positions {
            if persisted.get(shard) != Some(input) {
                let value = words([input.ring, input.position, input.index.into()]);
                store.put(meta::input(shard.1, shard.0), &[&value])?;
            }
        }
        for shard in persisted.keys().filter(|shard| !positions.contains_key(shard)) {
            store.delete(meta::input(shard.1, shard.0))?;
        }
        if let Some(shards) = shards {
            store.put(meta::SHARDS, &[&u64::from(*shards).to_le_bytes()])?;
        }
        store.put(meta::TIMES, &[&words([times.applied_us, times.cut_us])])?;
        if self.had_untold || !self.untold.is_empty() {
            store.put(meta::GAPS, &[&gap_bytes(self.untold)])?;
        }
        Ok(())
    }
}

fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

//! What a batch changes of the store beside the state: positions, intended tail, losses that are not told.

use mixcord_state::{StoreError, Writer, meta};

use super::beside::Beside;
use super::gap::Gap;
use super::positions::News;
use super::reached::{Reached, gap_bytes};
use super::refill::wish_bytes;
use crate::kill;

/// What a batch ends with, beside the changes of its records.
pub(super) struct Ending<'a> {
    /// How far everything is once it is committed, and what the store holds of that already.
    pub(super) reached: &'a Reached,
    /// How the one differs from the other.
    pub(super) news: &'a [News],
    /// The output ring's id and the tail it is to reach.
    pub(super) output: (u64, u64),
    /// Losses that are not told yet.
    pub(super) untold: &'a [Gap],
    /// Whether the store has such.
    pub(super) had_untold: bool,
    /// While two sets of sessions run side by side.
    pub(super) beside: Option<&'a mut Beside>,
}

impl Ending<'_> {
    /// Adds it to the open batch, and makes all of that the state.
    pub(super) fn commit(mut self, store: &mut Writer) -> Result<(), StoreError> {
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

    fn add(&mut self, store: &mut Writer) -> Result<(), StoreError> {
        let Reached { shards, times, wishes, has_wishes, .. } = self.reached;
        for (shard, input) in self.news {
            let key = meta::input(shard.1, shard.0);
            match input {
                Some(input) => {
                    store.put(key, &[&input.to_words()])?;
                }
                None => store.delete(key)?,
            }
        }
        if let Some(shards) = shards {
            store.put(meta::SHARDS, &[&u64::from(*shards).to_le_bytes()])?;
        }
        store.put(meta::TIMES, &[&words([times.applied_us, times.cut_us])])?;
        if !wishes.is_empty() {
            store.put(meta::WISHES, &[&wish_bytes(wishes)])?;
        } else if *has_wishes {
            store.delete(meta::WISHES)?;
        }
        if self.had_untold || !self.untold.is_empty() {
            store.put(meta::GAPS, &[&gap_bytes(self.untold)])?;
        }
        if let Some(beside) = &mut self.beside {
            beside.write(store)?;
        }
        Ok(())
    }
}

fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

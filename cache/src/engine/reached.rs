//! How far everything is committed: in memory, in the store, and in the output ring's checkpoint.

use mixcord_event::Reason;
use mixcord_ring::Position;
use mixcord_state::{Checkpoint, InputPosition, Inputs, Read, StoreError, compose, meta};

use super::gap::Gap;

/// How far everything is committed.
#[derive(Clone, Default, Debug)]
pub(super) struct Reached {
    /// How far each input ring is. A ring's id may be folded until the ring is seen.
    pub(super) positions: Inputs,
    /// The positions that the store holds.
    pub(super) persisted: Inputs,
    /// The shard count whose rings are read; those of another wait until these are drained.
    pub(super) shards: Option<u16>,
    pub(super) times: Times,
}

/// Receive times that decide what of another shard count is read, in microseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Times {
    /// Of the latest record that is applied; 0 if none is.
    pub(super) applied_us: u64,
    /// What the rings that are read received until then is left out; 0 if nothing is.
    pub(super) cut_us: u64,
}

impl Reached {
    /// What the output ring says without the help of a store.
    pub(super) fn of_checkpoint(checkpoint: Checkpoint) -> Self {
        let Checkpoint { inputs, shards, applied_us, cut_us, .. } = checkpoint;
        let times = Times { applied_us, cut_us };
        Self { persisted: inputs.clone(), positions: inputs, shards, times }
    }

    /// The same for the output ring, with the store's id.
    pub(super) fn to_checkpoint(&self, store: u64) -> Checkpoint {
        let Times { applied_us, cut_us } = self.times;
        // Without a store this is where the next start begins.
        let inputs = if store == 0 { &self.persisted } else { &self.positions };
        Checkpoint { store, inputs: inputs.clone(), shards: self.shards, applied_us, cut_us }
    }

    /// All of it is committed; but without a store, a loss that is `untold` leaves its shard where a next
    /// start finds the loss again.
    pub(super) fn committed(&mut self, untold: &[Gap]) {
        let before = std::mem::take(&mut self.persisted);
        self.persisted.clone_from(&self.positions);
        for shard in untold.iter().map(|gap| gap.shard) {
            match before.get(&shard) {
                Some(input) => self.persisted.insert(shard, *input),
                None => self.persisted.remove(&shard),
            };
        }
    }
}

/// What the store says about the rings.
#[derive(Default, Debug)]
pub(super) struct Stored {
    /// The output ring's id and the tail it was to reach.
    pub(super) output: Option<(u64, Position)>,
    pub(super) reached: Reached,
    /// Losses that were not told yet.
    pub(super) gaps: Vec<Gap>,
}

impl Stored {
    pub(super) fn read(store: &impl Read, output: (u64, Position)) -> Result<Self, StoreError> {
        let pair = |key| -> Result<_, StoreError> {
            let Some(bytes) = store.get(key)? else { return Ok(None) };
            let mut words = compose::ids(bytes);
            Ok(words.next().zip(words.next()))
        };
        let shards = store.get(meta::SHARDS)?;
        let shards = shards.and_then(|bytes| compose::ids(bytes).next());
        let (applied_us, cut_us) = pair(meta::TIMES)?.unwrap_or_default();
        let mut positions = Inputs::new();
        store.scan(meta::INPUTS, &mut |key, bytes| {
            positions.extend(input(bytes).map(|input| (meta::input_of(key), input)));
            true
        })?;
        let reached = Reached {
            persisted: positions.clone(),
            positions,
            shards: shards.and_then(|shards| u16::try_from(shards).ok()),
            times: Times { applied_us, cut_us },
        };
        let gaps = gaps(store.get(meta::GAPS)?.unwrap_or_default());
        Ok(Self { output: (output.0 != 0).then_some(output), reached, gaps })
    }
}

fn input(bytes: &[u8]) -> Option<InputPosition> {
    let mut words = compose::ids(bytes);
    let (ring, position) = (words.next()?, words.next()?);
    let index = words.next().and_then(|index| u16::try_from(index).ok())?;
    Some(InputPosition { ring, position, index })
}

/// Losses as the store keeps them.
pub(super) fn gap_bytes(gaps: &[Gap]) -> Vec<u8> {
    let words = |gap: &Gap| [gap.shard.0.into(), gap.shard.1.into(), u64::from(gap.reason as u8)];
    gaps.iter().flat_map(words).flat_map(u64::to_le_bytes).collect()
}

fn gaps(bytes: &[u8]) -> Vec<Gap> {
    let words: Vec<u64> = compose::ids(bytes).collect();
    let gaps = words.as_chunks().0.iter().map(|&[shards, shard, reason]| Gap {
        shard: (shards as u16, shard as u16),
        reason: Reason::from_number(reason as u8),
    });
    gaps.collect()
}

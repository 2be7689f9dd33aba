//! How far everything is committed: in memory, in the store, and in the output ring's checkpoint.

use mixcord_event::Reason;
use mixcord_ring::Position;
use mixcord_state::{Checkpoint, InputPosition, Inputs, Read, StoreError, compose, meta};

use super::gap::Gap;
use super::positions::{News, Positions};
use super::refill::{self, Wishes};

/// How far everything is committed.
#[derive(Clone, Default, Debug)]
pub(super) struct Reached {
    pub(super) positions: Positions,
    /// The shard count whose rings are read; those of another wait until these are drained.
    pub(super) shards: Option<u16>,
    pub(super) times: Times,
    /// What of a lost state could not be asked for yet.
    pub(super) wishes: Wishes,
    /// Whether the store holds such.
    pub(super) has_wishes: bool,
    /// A ring was let go, and that is not committed.
    pub(super) has_ended: bool,
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
        Self { positions: Positions::all_held(inputs), shards, times, ..Self::default() }
    }

    /// The same for the output ring, with the store's id: at most `limit` bytes.
    pub(super) fn checkpoint(&mut self, store: u64, limit: usize) -> Vec<u8> {
        let Times { applied_us, cut_us } = self.times;
        // Without a store this is where the next start begins.
        let inputs = self.positions.lend(store == 0);
        let lent = std::mem::take(inputs);
        let checkpoint =
            Checkpoint { store, inputs: lent, shards: self.shards, applied_us, cut_us };
        let bytes = checkpoint.to_bytes(limit);
        *inputs = checkpoint.inputs;
        bytes
    }

    /// All of it is committed, with its [`news`](Positions::news); but without a store, a loss that is `untold` leaves
    /// its shard where a next start finds the loss again.
    pub(super) fn committed(&mut self, news: &[News], untold: &[Gap]) {
        self.has_wishes = !self.wishes.is_empty();
        self.has_ended = false;
        self.positions.committed(news, |shard| untold.iter().any(|gap| gap.shard == shard));
    }
}

/// What the store says about the rings.
#[derive(Default, Debug)]
pub(super) struct Stored {
    /// The output ring's id and the tail it was to reach.
    pub(super) output: Option<(u64, Position)>,
    pub(super) reached: Reached,
    /// Whether it is a copy, and no cache has begun with it yet.
    pub(super) is_loaded: bool,
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
            let input = InputPosition::from_words(bytes);
            positions.extend(input.map(|input| (meta::input_of(key), input)));
            true
        })?;
        let wishes = refill::wishes(store.get(meta::WISHES)?.unwrap_or_default());
        let reached = Reached {
            positions: Positions::all_held(positions),
            shards: shards.and_then(|shards| u16::try_from(shards).ok()),
            times: Times { applied_us, cut_us },
            has_wishes: !wishes.is_empty(),
            has_ended: false,
            wishes,
        };
        let is_loaded = pair(meta::LOADED)? == Some(output);
        let gaps = gaps(store.get(meta::GAPS)?.unwrap_or_default());
        Ok(Self { output: (output.0 != 0).then_some(output), reached, is_loaded, gaps })
    }
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

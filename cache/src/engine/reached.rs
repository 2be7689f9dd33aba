//! How far everything is committed: in memory, in the store, and in the output ring's checkpoint.

use std::iter;

use mixcord_event::Reason;
use mixcord_ring::Position;
use mixcord_state::{Checkpoint, InputPosition, Inputs, Read, StoreError, compose, meta};

use super::gap::Gap;
use super::pass::Shard;
use super::refill::{self, Wishes};

/// A shard and its position; `None` where it has none any more.
pub(super) type News = (Shard, Option<InputPosition>);

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
        Self { persisted: inputs.clone(), positions: inputs, shards, times, ..Self::default() }
    }

    /// The same for the output ring, with the store's id: at most `limit` bytes.
    pub(super) fn checkpoint(&mut self, store: u64, limit: usize) -> Vec<u8> {
        let Times { applied_us, cut_us } = self.times;
        // Without a store this is where the next start begins.
        let inputs = if store == 0 { &mut self.persisted } else { &mut self.positions };
        // Lent, and not copied: there may be a thousand.
        let lent = std::mem::take(inputs);
        let checkpoint =
            Checkpoint { store, inputs: lent, shards: self.shards, applied_us, cut_us };
        let bytes = checkpoint.to_bytes(limit);
        *inputs = checkpoint.inputs;
        bytes
    }

    /// Shards whose position is not the one that is held, in their order.
    pub(super) fn news(&self) -> impl Iterator<Item = News> + '_ {
        let (mut now, mut held) =
            (self.positions.iter().peekable(), self.persisted.iter().peekable());
        // Of many shards few have news: both are walked at once, and nothing is looked up.
        iter::from_fn(move || {
            loop {
                match (now.peek(), held.peek()) {
                    (Some((shard, _)), Some((of, _))) if of < shard => {
                        return held.next().map(|(of, _)| (*of, None));
                    }
                    (Some((shard, input)), Some((of, same))) if of == shard => {
                        let (shard, input) = (**shard, (input != same).then_some(**input));
                        now.next();
                        held.next();
                        if input.is_some() {
                            return Some((shard, input));
                        }
                    }
                    (Some(_), _) => {
                        return now.next().map(|(shard, input)| (*shard, Some(*input)));
                    }
                    (None, _) => return held.next().map(|(of, _)| (*of, None)),
                }
            }
        })
    }

    /// All of it is committed, with its [`news`](Self::news); but without a store, a loss that is `untold` leaves its
    /// shard where a next start finds the loss again.
    pub(super) fn committed(&mut self, news: &[News], untold: &[Gap]) {
        self.has_wishes = !self.wishes.is_empty();
        self.has_ended = false;
        for &(shard, input) in news {
            if untold.iter().any(|gap| gap.shard == shard) {
                continue;
            }
            match input {
                Some(input) => self.persisted.insert(shard, input),
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
            persisted: positions.clone(),
            positions,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is held, and whatever is reached.
    #[test]
    fn news_are_what_differs_and_nothing_else() {
        let at = |position| (position > 0).then(|| InputPosition::whole(7, position));
        let inputs = |of: [u64; 3]| -> Inputs {
            let all = of.into_iter().zip(0..);
            all.filter_map(|(position, shard)| Some(((3, shard), at(position)?))).collect()
        };
        let all = (0..27).map(|n| [n % 3, n / 3 % 3, n / 9]);
        for (positions, held) in
            all.clone().flat_map(|one| all.clone().map(move |other| (one, other)))
        {
            let mut reached = Reached {
                positions: inputs(positions),
                persisted: inputs(held),
                ..Reached::default()
            };
            let news: Vec<_> = reached.news().collect();
            let differ = (0..3).filter(|&shard| positions[shard] != held[shard]);
            let expected: Vec<_> =
                differ.map(|shard| ((3, shard as u16), at(positions[shard]))).collect();
            assert_eq!(news, expected);
            let untold = Gap { shard: (3, 1), reason: Reason::RingLost };
            reached.committed(&news, &[untold]);
            assert_eq!(reached.persisted, inputs([positions[0], held[1], positions[2]]));
        }
    }
}

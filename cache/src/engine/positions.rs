//! How far the inputs were read, and what of that the store does not hold yet.

use std::collections::BTreeSet;
use std::ops::Deref;

use mixcord_state::{InputPosition, Inputs};

use super::pass::Shard;

/// A shard and its position; `None` where it has none any more.
pub(super) type News = (Shard, Option<InputPosition>);

/// How far each input was read. It is read as [`Inputs`], and changed by what notes the change: of many shards few have
/// news with a commit, and the others are not looked at.
#[derive(Clone, Default, Debug)]
pub(super) struct Positions {
    /// A ring's id may be folded until the ring is seen.
    reached: Inputs,
    /// Those that the store holds.
    held: Inputs,
    /// Shards of which the two may differ.
    touched: BTreeSet<Shard>,
}

impl Deref for Positions {
    type Target = Inputs;

    fn deref(&self) -> &Inputs {
        &self.reached
    }
}

impl Positions {
    /// The store holds all of them.
    pub(super) fn all_held(reached: Inputs) -> Self {
        Self { held: reached.clone(), reached, touched: BTreeSet::new() }
    }

    /// Those that the store holds.
    pub(super) const fn held(&self) -> &Inputs {
        &self.held
    }

    /// Gives what was there before.
    pub(super) fn insert(&mut self, shard: Shard, input: InputPosition) -> Option<InputPosition> {
        self.touched.insert(shard);
        self.reached.insert(shard, input)
    }

    pub(super) fn remove(&mut self, shard: Shard) {
        self.touched.insert(shard);
        self.reached.remove(&shard);
    }

    /// To change one that is there.
    pub(super) fn get_mut(&mut self, shard: Shard) -> Option<&mut InputPosition> {
        self.touched.insert(shard);
        self.reached.get_mut(&shard)
    }

    /// To change any of them.
    pub(super) fn change_all(&mut self, change: impl FnOnce(&mut Inputs)) {
        self.touched.extend(self.reached.keys());
        change(&mut self.reached);
        self.touched.extend(self.reached.keys());
    }

    /// The store has lost what it held.
    pub(super) fn hold_none(&mut self) {
        self.touched.extend(self.held.keys().chain(self.reached.keys()));
        self.held.clear();
    }

    /// Shards whose position is not the one that is held, in their order.
    pub(super) fn news(&self) -> impl Iterator<Item = News> + '_ {
        debug_assert!(self.has_noted_all());
        let touched = self.touched.iter();
        let both = touched.map(|shard| (*shard, self.reached.get(shard), self.held.get(shard)));
        both.filter(|(_, reached, held)| reached != held)
            .map(|(shard, reached, _)| (shard, reached.copied()))
    }

    /// The store holds these now.
    pub(super) fn committed(&mut self, news: &[News], is_held_back: impl Fn(Shard) -> bool) {
        self.touched.retain(|shard| is_held_back(*shard));
        for &(shard, input) in news.iter().filter(|(shard, _)| !is_held_back(*shard)) {
            match input {
                Some(input) => self.held.insert(shard, input),
                None => self.held.remove(&shard),
            };
        }
    }

    /// To lend those that a checkpoint is about, and not copy them: there may be a thousand.
    pub(super) const fn lend(&mut self, held: bool) -> &mut Inputs {
        if held { &mut self.held } else { &mut self.reached }
    }

    fn has_noted_all(&self) -> bool {
        let all = self.reached.keys().chain(self.held.keys());
        let mut differ = all.filter(|shard| self.reached.get(shard) != self.held.get(shard));
        differ.all(|shard| self.touched.contains(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: u16 = 3;

    fn at(position: u64) -> Option<InputPosition> {
        (position > 0).then(|| InputPosition::whole(7, position))
    }

    fn inputs(of: [u64; SHARDS as usize]) -> Inputs {
        let all = of.into_iter().zip(0..);
        all.filter_map(|(position, shard)| Some(((SHARDS, shard), at(position)?))).collect()
    }

    /// Whatever is held, and whatever is reached, by each way there is.
    #[test]
    fn news_are_what_differs_and_nothing_else() {
        let all = (0..27).map(|n| [n % 3, n / 3 % 3, n / 9]);
        let pairs = all.clone().flat_map(|one| all.clone().map(move |other| (one, other)));
        for (reached, held) in pairs {
            let changed = [one_by_one, at_once, as_lost];
            for mut positions in changed.map(|change| change(held, reached)) {
                let news: Vec<_> = positions.news().collect();
                let all = reached.map(at).into_iter().zip(0..);
                let all = all.map(|(input, shard)| ((SHARDS, shard), input));
                let expected: Vec<_> =
                    all.filter(|(of, input)| positions.held.get(of) != input.as_ref()).collect();
                assert_eq!(news, expected);
                let before = positions.held.get(&(SHARDS, 1)).copied();
                positions.committed(&news, |shard| shard == (SHARDS, 1));
                let now: Vec<_> =
                    (0..SHARDS).map(|n| positions.held.get(&(SHARDS, n)).copied()).collect();
                assert_eq!(now, [at(reached[0]), before, at(reached[2])]);
                let left: Vec<_> = positions.news().collect();
                let expected: Vec<_> = news.into_iter().filter(|(shard, _)| shard.1 == 1).collect();
                assert_eq!(left, expected, "what is held back is news yet");
            }
        }
    }

    fn one_by_one(held: [u64; 3], reached: [u64; 3]) -> Positions {
        let mut positions = Positions::all_held(inputs(held));
        for (position, shard) in reached.into_iter().zip(0..) {
            match (at(position), positions.get_mut((SHARDS, shard))) {
                (Some(input), Some(there)) => *there = input,
                (Some(input), None) => {
                    positions.insert((SHARDS, shard), input);
                }
                (None, _) => positions.remove((SHARDS, shard)),
            }
        }
        positions
    }

    fn at_once(held: [u64; 3], reached: [u64; 3]) -> Positions {
        let mut positions = Positions::all_held(inputs(held));
        positions.change_all(|all| *all = inputs(reached));
        positions
    }

    /// Here nothing is held.
    fn as_lost(_: [u64; 3], reached: [u64; 3]) -> Positions {
        let mut positions = Positions::all_held(inputs(reached));
        positions.hold_none();
        positions
    }
}

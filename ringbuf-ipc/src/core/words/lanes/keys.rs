//! Which lane has a key: open addressing in one array, since it is asked for each record.

use super::Key;

/// No lane has this number.
const NONE: u32 = u32::MAX;
/// Places of the smallest table.
const SMALLEST: usize = 64;

/// A table from keys, which are hashes or numbers in a row, to lanes. At most half of its places are taken; none is
/// given up but by [`rebuild`](Self::rebuild).
#[derive(Debug)]
pub(super) struct Keys {
    /// A power of two of places: a key and its lane. A key stands in the place of its low bits, or in the first that
    /// was free behind that.
    places: Box<[(Key, u32)]>,
    taken: usize,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { places: vec![(0, NONE); SMALLEST].into(), taken: 0 }
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<u32> {
        match self.places[self.place(key)].1 {
            NONE => None,
            lane => Some(lane),
        }
    }

    /// Whether it has to be [rebuilt](Self::rebuild) before another key.
    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        2 * self.taken >= self.places.len()
    }

    /// Notes a key that is not there.
    #[inline]
    pub(super) fn insert(&mut self, key: Key, lane: u32) {
        debug_assert!(!self.is_full() && lane != NONE);
        let at = self.place(key);
        debug_assert_eq!(self.places[at].1, NONE);
        self.places[at] = (key, lane);
        self.taken += 1;
    }

    /// Forgets all keys but these, `count` of them; at least as many find room then.
    #[cold]
    pub(super) fn rebuild(&mut self, count: usize, keys: impl Iterator<Item = (Key, u32)>) {
        let wanted = (4 * count).next_power_of_two().max(self.places.len());
        if wanted == self.places.len() {
            self.clear();
        } else {
            *self = Self { places: vec![(0, NONE); wanted].into(), taken: 0 };
        }
        keys.for_each(|(key, lane)| self.insert(key, lane));
    }

    pub(super) fn clear(&mut self) {
        self.places.fill((0, NONE));
        self.taken = 0;
    }

    /// Where a key stands, or would. Some place is always free.
    #[inline]
    fn place(&self, key: Key) -> usize {
        let mask = self.places.len() - 1;
        let mut at = key as usize & mask;
        while self.places[at].0 != key && self.places[at].1 != NONE {
            at = (at + 1) & mask;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Held against the standard map, with keys that crowd: few, in rows, and of one residue.
    #[test]
    fn it_does_as_the_standard_map_does() {
        for stride in [1_u32, 64, 1 << 20, 0x9E37_79B9] {
            let (mut ours, mut theirs) = (Keys::new(), HashMap::new());
            let mut seed = u64::from(stride);
            for lane in 0..20_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(lane);
                let key = ((seed >> 40) as u32 % 3000).wrapping_mul(stride);
                assert_eq!(ours.get(key), theirs.get(&key).copied());
                if theirs.contains_key(&key) {
                    continue;
                }
                if ours.is_full() {
                    // Half of them go.
                    theirs.retain(|_, lane| *lane % 2 == 0);
                    let kept: Vec<_> = theirs.iter().map(|(&key, &lane)| (key, lane)).collect();
                    ours.rebuild(kept.len(), kept.into_iter());
                    assert!(!ours.is_full());
                }
                ours.insert(key, lane as u32);
                theirs.insert(key, lane as u32);
            }
            for key in (0..3000_u32).map(|n| n.wrapping_mul(stride)) {
                assert_eq!(ours.get(key), theirs.get(&key).copied());
            }
            ours.clear();
            assert_eq!((ours.get(0), ours.is_full()), (None, false));
        }
    }
}

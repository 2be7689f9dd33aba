//! A map whose keys are numbers in a row, or hashes: open addressing in one array, since several look-ups are made
//! for each record.

/// No key is this number.
const NONE: u64 = u64::MAX;
/// Places of the smallest map.
const SMALLEST: usize = 64;

/// A map from numbers below [`u64::MAX`]. At most half of its places are taken, and it never shrinks: its owner
/// keeps as many entries as a ring has slots, at most.
#[derive(Debug)]
pub(crate) struct Numbers<V> {
    /// A power of two of places. A key stands in its own, or in the first that was free behind that.
    places: Box<[(u64, V)]>,
    len: usize,
}

impl<V: Copy + Default> Numbers<V> {
    pub(crate) fn new() -> Self {
        Self { places: vec![(NONE, V::default()); SMALLEST].into(), len: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<V> {
        self.find(key).map(|at| self.places[at].1)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.find(key).map(|at| &mut self.places[at].1)
    }

    #[inline]
    pub(crate) fn contains(&self, key: u64) -> bool {
        self.len != 0 && self.find(key).is_some()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().filter(|(key, _)| *key != NONE).map(|(_, value)| value)
    }

    /// The value of a key, and whether it is `made` just now.
    #[inline]
    pub(crate) fn entry(&mut self, key: u64, made: V) -> (&mut V, bool) {
        debug_assert_ne!(key, NONE);
        if 2 * self.len >= self.places.len() {
            self.grow();
        }
        let at = self.place(key);
        let new = self.places[at].0 == NONE;
        if new {
            self.places[at] = (key, made);
            self.len += 1;
        }
        (&mut self.places[at].1, new)
    }

    #[inline]
    pub(crate) fn insert(&mut self, key: u64, value: V) {
        *self.entry(key, value).0 = value;
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: u64) {
        if let Some(at) = self.find(key) {
            self.remove_at(at);
        }
    }

    /// What `change` makes of the value of a key, which goes if that says false.
    #[inline]
    pub(crate) fn change(&mut self, key: u64, change: impl FnOnce(&mut V) -> bool) {
        if let Some(at) = self.find(key)
            && !change(&mut self.places[at].1)
        {
            self.remove_at(at);
        }
    }

    /// Those behind it move up, so that nothing has to be remembered of it.
    fn remove_at(&mut self, mut hole: usize) {
        let mask = self.places.len() - 1;
        let mut next = (hole + 1) & mask;
        while self.places[next].0 != NONE {
            let own = self.own_place(self.places[next].0);
            // It may go into the hole unless its own place lies behind that.
            if (next.wrapping_sub(own) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.places[hole] = self.places[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.places[hole].0 = NONE;
        self.len -= 1;
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill((NONE, V::default()));
        self.len = 0;
    }

    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        let at = self.place(key);
        (self.places[at].0 == key).then_some(at)
    }

    /// Where a key stands, or would. Some place is always free.
    #[inline]
    fn place(&self, key: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut at = self.own_place(key);
        while self.places[at].0 != key && self.places[at].0 != NONE {
            at = (at + 1) & mask;
        }
        at
    }

    /// From the high bits of a product, which all bits of the key have a part in: keys of one residue do not meet.
    #[inline]
    const fn own_place(&self, key: u64) -> usize {
        let product = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (product >> (64 - self.places.len().trailing_zeros())) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![(NONE, V::default()); self.places.len() * 2].into();
        let old = std::mem::replace(&mut self.places, larger);
        self.len = 0;
        for &(key, value) in old.iter().filter(|(key, _)| *key != NONE) {
            self.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Held against the standard map, with keys that crowd: few, in rows, and of one residue.
    #[test]
    fn it_does_as_the_standard_map_does() {
        for stride in [1_u64, 64, 1 << 20, 0x9E37_79B9] {
            let (mut ours, mut theirs) = (Numbers::new(), HashMap::new());
            let mut seed: u64 = stride;
            for step in 0..20_000u64 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
                let key = (seed >> 40) % 300 * stride;
                match seed >> 62 {
                    0 | 1 => {
                        ours.insert(key, step);
                        theirs.insert(key, step);
                    }
                    2 => {
                        ours.remove(key);
                        theirs.remove(&key);
                    }
                    _ => {
                        let made = !theirs.contains_key(&key);
                        let value = *theirs.entry(key).or_insert(step);
                        assert_eq!(ours.entry(key, step), (&mut value.clone(), made));
                    }
                }
                assert_eq!(ours.len, theirs.len());
                assert_eq!(ours.get(key), theirs.get(&key).copied());
            }
            for key in (0..300).map(|n| n * stride) {
                assert_eq!(ours.get(key), theirs.get(&key).copied());
                assert_eq!(ours.contains(key), theirs.contains_key(&key));
            }
            ours.clear();
            assert_eq!((ours.len, ours.get(0)), (0, None));
        }
    }
}

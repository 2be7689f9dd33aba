//! Which places are free: the writer's own knowledge, rebuilt from the slots at each start.
//!
//! A chunk holds buckets, or values of one size class, or is part of a run that holds one large value.
//! A chunk of which nothing is used any more is free for any of these.

use std::collections::BTreeSet;

use crate::layout::{CHUNK_UNITS, Place};

/// Units of the size classes: exact for small values, then as many as fit into a chunk.
const CLASSES: [u16; 40] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40,
    46, 51, 56, 64, 73, 85, 102, 128, 146, 170, 204, 256, 341, 512,
];

/// The smallest class that holds so many units.
const CLASS_OF: [u8; LARGEST as usize + 1] = {
    let mut table = [0; LARGEST as usize + 1];
    let (mut units, mut class) = (0, 0);
    while units < table.len() {
        if units > CLASSES[class] as usize {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};
const LARGEST: u64 = CLASSES[CLASSES.len() - 1] as u64;

/// The smallest class that holds `units`; `None` where a run of chunks is to be taken.
#[inline]
fn class_for(units: u64) -> Option<usize> {
    Some(usize::from(*CLASS_OF.get(units as usize)?))
}

/// Places of a class that are remembered to be taken first.
const RECENT_MAX: usize = 1 << 14;

/// What a chunk is used for.
#[derive(Debug)]
enum Chunk {
    Free,
    /// The header, the directory, the redo ring, or buckets: never given back.
    Fixed,
    Values(Box<Slab>),
    /// A large value: the first of its chunks knows how many they are.
    Run(u64),
    RunRest,
}

/// A chunk of places of one class.
#[derive(Debug)]
struct Slab {
    class: usize,
    used: u64,
    /// A bit for each place, set where it is used.
    map: [u64; CHUNK_UNITS as usize / 64],
    /// Words of the map before this one have no place that is free.
    full: usize,
    /// Whether it stands in the list of those with room.
    listed: bool,
}

impl Slab {
    fn new(class: usize) -> Box<Self> {
        let map = [0; CHUNK_UNITS as usize / 64];
        Box::new(Self { class, used: 0, map, full: 0, listed: false })
    }

    fn size(&self) -> u64 {
        u64::from(CLASSES[self.class])
    }

    fn places(&self) -> u64 {
        CHUNK_UNITS / self.size()
    }

    fn take_lowest(&mut self) -> Option<u64> {
        let bits = self.map.get(self.full..)?;
        let Some(word) = bits.iter().position(|bits| *bits != u64::MAX) else {
            self.full = self.map.len();
            return None;
        };
        self.full += word;
        let bits = &mut self.map[self.full];
        let index = self.full as u64 * 64 + u64::from(bits.trailing_ones());
        if index >= CHUNK_UNITS / u64::from(CLASSES[self.class]) {
            return None;
        }
        *bits |= 1 << (index % 64);
        self.used += 1;
        Some(index)
    }

    /// Changes whether a place is used; false when it was so already.
    fn set(&mut self, index: u64, used: bool) -> bool {
        let (word, bit) = (&mut self.map[(index / 64) as usize], 1 << (index % 64));
        if (*word & bit != 0) == used {
            return false;
        }
        *word ^= bit;
        if used {
            self.used += 1;
        } else {
            self.used -= 1;
            self.full = self.full.min((index / 64) as usize);
        }
        true
    }
}

/// The places of a file.
#[derive(Debug)]
pub(crate) struct Heap {
    chunks: Vec<Chunk>,
    free: BTreeSet<u64>,
    /// By class: chunks that may have room.
    open: [Vec<u64>; CLASSES.len()],
    /// By class: places given back of late, as (chunk, number in it); some are taken again by now. Their
    /// lines are the likeliest to be near.
    recent: [Vec<(u32, u32)>; CLASSES.len()],
    /// Units that values take, the rest of their places among them.
    used_units: u64,
}

impl Heap {
    /// Everything free but the first `fixed` chunks.
    pub(crate) fn new(fixed: u64, chunks: u64) -> Self {
        let open = std::array::from_fn(|_| Vec::new());
        let recent = std::array::from_fn(|_| Vec::new());
        let mut heap =
            Self { chunks: Vec::new(), free: BTreeSet::new(), open, recent, used_units: 0 };
        heap.chunks.extend((0..fixed.min(chunks)).map(|_| Chunk::Fixed));
        heap.grow(chunks);
        heap
    }

    /// The file has `chunks` chunks now.
    pub(crate) fn grow(&mut self, chunks: u64) {
        for chunk in self.chunks.len() as u64..chunks {
            self.chunks.push(Chunk::Free);
            self.free.insert(chunk);
        }
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    pub(crate) fn free_chunks(&self) -> u64 {
        self.free.len() as u64
    }

    pub(crate) fn used_units(&self) -> u64 {
        self.used_units
    }

    /// A place for `units` units, if there is one.
    pub(crate) fn take(&mut self, units: u64) -> Option<Place> {
        let unit = match class_for(units) {
            Some(class) => self.take_of_class(class)?,
            None => self.take_run(units.div_ceil(CHUNK_UNITS))? * CHUNK_UNITS,
        };
        self.used_units += granted(units);
        Some(Place::new(unit, units))
    }

    /// A chunk for buckets, never given back.
    pub(crate) fn take_chunk(&mut self) -> Option<u64> {
        let chunk = self.free.pop_first()?;
        self.chunks[chunk as usize] = Chunk::Fixed;
        Some(chunk)
    }

    /// Where the next value of as many units is likely to lie.
    #[inline]
    pub(crate) fn next(&self, units: u64) -> Option<u64> {
        let class = class_for(units)?;
        let (chunk, index) = *self.recent[class].last()?;
        Some(unit_of(chunk, index, u64::from(CLASSES[class])))
    }

    fn take_of_class(&mut self, class: usize) -> Option<u64> {
        while let Some((chunk, index)) = self.recent[class].pop() {
            if let Some(Chunk::Values(slab)) = self.chunks.get_mut(chunk as usize)
                && slab.class == class
                && slab.set(u64::from(index), true)
            {
                return Some(unit_of(chunk, index, slab.size()));
            }
        }
        while let Some(&chunk) = self.open[class].last() {
            if let Chunk::Values(slab) = &mut self.chunks[chunk as usize]
                && slab.class == class
            {
                if let Some(index) = slab.take_lowest() {
                    return Some(chunk * CHUNK_UNITS + index * slab.size());
                }
                slab.listed = false;
            }
            self.open[class].pop();
        }
        let chunk = self.free.pop_first()?;
        let mut slab = Slab::new(class);
        let index = slab.take_lowest()?;
        slab.listed = true;
        self.open[class].push(chunk);
        let unit = chunk * CHUNK_UNITS + index * slab.size();
        self.chunks[chunk as usize] = Chunk::Values(slab);
        Some(unit)
    }

    fn take_run(&mut self, count: u64) -> Option<u64> {
        let mut first = None;
        let mut length = 0;
        for &chunk in &self.free {
            match first {
                Some(begin) if begin + length == chunk => length += 1,
                _ => (first, length) = (Some(chunk), 1),
            }
            if length == count {
                break;
            }
        }
        let first = first.filter(|_| length == count)?;
        self.mark_run(first, count);
        Some(first)
    }

    /// Free chunks at the end of the file: what a run can have without the file getting longer.
    pub(crate) fn free_at_end(&self) -> u64 {
        let ends = self.free.iter().rev().zip((0..self.chunks()).rev());
        ends.take_while(|(chunk, expected)| *chunk == expected).count() as u64
    }

    fn mark_run(&mut self, first: u64, count: u64) {
        for chunk in first..first + count {
            self.free.remove(&chunk);
            self.chunks[chunk as usize] = Chunk::RunRest;
        }
        self.chunks[first as usize] = Chunk::Run(count);
    }

    /// Gives a place back; false, and nothing is changed, where it was not taken.
    pub(crate) fn give_back(&mut self, place: Place) -> bool {
        let (first, units) = (place.unit() / CHUNK_UNITS, place.units());
        let Some(chunk) = self.chunks.get_mut(first as usize) else { return false };
        match (chunk, class_for(units)) {
            (Chunk::Values(slab), Some(class)) if slab.class == class => {
                let (within, size) = ((place.unit() % CHUNK_UNITS) as u32, slab.size() as u32);
                let index = within / size;
                if index * size != within || !slab.set(u64::from(index), false) {
                    return false;
                }
                if self.recent[slab.class].len() < RECENT_MAX {
                    self.recent[slab.class].push((first as u32, index));
                }
                if slab.used == 0 {
                    self.chunks[first as usize] = Chunk::Free;
                    self.free.insert(first);
                } else if !slab.listed {
                    slab.listed = true;
                    self.open[class].push(first);
                }
            }
            (Chunk::Run(count), None) if *count == units.div_ceil(CHUNK_UNITS) => {
                for chunk in first..first + units.div_ceil(CHUNK_UNITS) {
                    self.chunks[chunk as usize] = Chunk::Free;
                    self.free.insert(chunk);
                }
            }
            _ => return false,
        }
        self.used_units -= granted(units);
        true
    }

    /// At a start: a slot says that this place is used. False where that cannot be: it lies outside, or
    /// over another, or in a chunk of other sizes.
    pub(crate) fn claim(&mut self, place: Place) -> bool {
        let (first, units) = (place.unit() / CHUNK_UNITS, place.units());
        if units == 0 || first >= self.chunks() {
            return false;
        }
        let claimed = match class_for(units) {
            Some(class) => self.claim_in_class(place, first, class),
            None => self.claim_run(place, first, units.div_ceil(CHUNK_UNITS)),
        };
        if claimed {
            self.used_units += granted(units);
        }
        claimed
    }

    /// The same of a whole chunk, for buckets.
    pub(crate) fn claim_chunk(&mut self, chunk: u64) -> bool {
        if !self.free.remove(&chunk) {
            return false;
        }
        self.chunks[chunk as usize] = Chunk::Fixed;
        true
    }

    fn claim_in_class(&mut self, place: Place, chunk: u64, class: usize) -> bool {
        if self.free.remove(&chunk) {
            let mut slab = Slab::new(class);
            slab.listed = true;
            self.open[class].push(chunk);
            self.chunks[chunk as usize] = Chunk::Values(slab);
        }
        let Chunk::Values(slab) = &mut self.chunks[chunk as usize] else { return false };
        let (within, size) = (place.unit() % CHUNK_UNITS, slab.size());
        let fits =
            slab.class == class && within.is_multiple_of(size) && within / size < slab.places();
        fits && slab.set(within / size, true)
    }

    fn claim_run(&mut self, place: Place, first: u64, count: u64) -> bool {
        let aligned = place.unit().is_multiple_of(CHUNK_UNITS);
        if !aligned || !(first..first + count).all(|chunk| self.free.contains(&chunk)) {
            return false;
        }
        self.mark_run(first, count);
        true
    }
}

fn unit_of(chunk: u32, index: u32, size: u64) -> u64 {
    u64::from(chunk) * CHUNK_UNITS + u64::from(index) * size
}

/// Units a value of `units` really takes.
fn granted(units: u64) -> u64 {
    match class_for(units) {
        Some(class) => u64::from(CLASSES[class]),
        None => units.next_multiple_of(CHUNK_UNITS),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_are_sorted_and_waste_little() {
        assert!(CLASSES.is_sorted());
        for units in 1..=512u64 {
            let size = u64::from(CLASSES[class_for(units).unwrap()]);
            assert!(size >= units && size - units <= units / 2, "{units} in {size}");
        }
        assert_eq!(class_for(513), None);
        for size in CLASSES {
            assert!(CHUNK_UNITS % u64::from(size) <= CHUNK_UNITS / 12, "{size}");
        }
    }

    #[test]
    fn a_place_outside_another_or_of_another_size_is_not_claimed() {
        let mut heap = Heap::new(1, 4);
        let unit = CHUNK_UNITS;
        assert!(heap.claim(Place::new(unit, 3)));
        assert!(!heap.claim(Place::new(unit, 3)), "twice");
        assert!(!heap.claim(Place::new(unit + 1, 3)), "across");
        assert!(!heap.claim(Place::new(unit + 8, 4)), "another size");
        assert!(!heap.claim(Place::new(0, 3)), "the header");
        assert!(!heap.claim(Place::new(4 * unit, 3)), "behind the end");
        assert!(!heap.claim(Place::new(2 * unit, 3 * unit)), "longer than the file");
        assert!(heap.claim(Place::new(2 * unit, 2 * unit)));
        assert!(!heap.claim_chunk(3), "a run's");
        assert!(!heap.claim(Place::new(unit, 0)), "nothing");
        assert!(!heap.give_back(Place::new(2 * unit, unit)), "half a run");
        assert!(!heap.give_back(Place::new(unit + 3, 3)), "not taken");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn places_never_overlap_and_a_rebuilt_heap_is_the_same(
            steps in proptest::collection::vec((any::<bool>(), 1u64..3000), 1..120)
        ) {
            let mut heap = Heap::new(2, 60);
            let mut taken: Vec<Place> = Vec::new();
            let mut owner: HashMap<u64, Place> = HashMap::new();
            for (take, units) in steps {
                if take || taken.is_empty() {
                    let Some(place) = heap.take(units) else { continue };
                    for unit in place.unit()..place.unit() + units {
                        prop_assert!((2 * CHUNK_UNITS..60 * CHUNK_UNITS).contains(&unit));
                        prop_assert_eq!(owner.insert(unit, place), None);
                    }
                    taken.push(place);
                } else {
                    let place = taken.swap_remove(units as usize % taken.len());
                    prop_assert!(heap.give_back(place));
                    prop_assert!(!heap.give_back(place));
                    owner.retain(|_, other| *other != place);
                }
            }
            let mut rebuilt = Heap::new(2, 60);
            for place in &taken {
                prop_assert!(rebuilt.claim(*place));
            }
            prop_assert_eq!(rebuilt.used_units(), heap.used_units());
            prop_assert_eq!(rebuilt.free_chunks(), heap.free_chunks());
            for place in taken {
                prop_assert!(heap.give_back(place) && rebuilt.give_back(place));
            }
            prop_assert_eq!((heap.used_units(), heap.free_chunks()), (0, 58));
        }
    }
}

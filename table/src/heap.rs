//! Which places are free: the writer's own knowledge, rebuilt from the slots at each start.
//!
//! A chunk holds buckets, or values of one size class, or is part of a run that holds one large value.
//! A chunk of which nothing is used any more is free for any of these.
//!
//! Each event's values are somewhere else, and so is what is known of their chunks: so it lies close together,
//! a line of bits for a chunk and a few bytes beside.

use std::collections::BTreeSet;

use crate::layout::{CHUNK_UNITS, Place};
use crate::sizes::{CLASSES, class_for, granted, size_of};

/// Places of a class that are remembered to be taken first.
const RECENT_MAX: usize = 1 << 14;

/// Words of a chunk's map: a bit for each place, set where it is used.
const WORDS: usize = CHUNK_UNITS as usize / 64;
type Map = [u64; WORDS];

/// What a chunk is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    Free,
    /// The header, the directory, the redo ring, or buckets: never given back.
    Fixed,
    /// Values of a class.
    Values(u8),
    /// A large value: the first of its chunks knows how many they are.
    Run(u32),
    RunRest,
}

/// Of a chunk of values.
#[derive(Clone, Copy, Default, Debug)]
struct Slab {
    used: u16,
    /// Words of the map before this one have no place that is free.
    full: u8,
    /// Whether it stands in the list of those with room.
    listed: bool,
}

/// The places of a file.
#[derive(Debug)]
pub(crate) struct Heap {
    // Three of a chunk each, apart: mostly one of them decides.
    chunks: Vec<Chunk>,
    slabs: Vec<Slab>,
    maps: Vec<Map>,
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
        let mut heap = Self {
            chunks: Vec::new(),
            slabs: Vec::new(),
            maps: Vec::new(),
            free: BTreeSet::new(),
            open: std::array::from_fn(|_| Vec::new()),
            recent: std::array::from_fn(|_| Vec::new()),
            used_units: 0,
        };
        heap.grow(chunks);
        for chunk in 0..fixed.min(chunks) {
            heap.claim_chunk(chunk);
        }
        heap
    }

    /// The file has `chunks` chunks now.
    pub(crate) fn grow(&mut self, chunks: u64) {
        self.free.extend(self.chunks()..chunks);
        let chunks = chunks as usize;
        self.chunks.resize(chunks, Chunk::Free);
        self.slabs.resize(chunks, Slab::default());
        self.maps.resize(chunks, [0; WORDS]);
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
    #[inline]
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
        let (chunk, index) = *self.recent[usize::from(class)].last()?;
        Some(unit_of(chunk.into(), index.into(), class))
    }

    /// Says that a place will be given back soon: what is known of its chunk is sent for.
    #[inline]
    pub(crate) fn expect(&self, place: Place) {
        if let Some(map) = self.maps.get((place.unit() / CHUNK_UNITS) as usize) {
            mixcord_memory::expect(map);
        }
    }

    #[inline]
    fn take_of_class(&mut self, class: u8) -> Option<u64> {
        while let Some((chunk, index)) = self.recent[usize::from(class)].pop() {
            let holds = self.chunks.get(chunk as usize) == Some(&Chunk::Values(class));
            if holds && self.set(chunk.into(), index.into(), true) {
                return Some(unit_of(chunk.into(), index.into(), class));
            }
        }
        self.take_fresh(class)
    }

    fn take_fresh(&mut self, class: u8) -> Option<u64> {
        let of_class = usize::from(class);
        while let Some(&chunk) = self.open[of_class].last() {
            if self.chunks[chunk as usize] == Chunk::Values(class) {
                if let Some(index) = self.take_lowest(chunk, class) {
                    return Some(unit_of(chunk, index, class));
                }
                self.slabs[chunk as usize].listed = false;
            }
            self.open[of_class].pop();
        }
        let chunk = self.free.pop_first()?;
        self.make_slab(chunk, class);
        let index = self.take_lowest(chunk, class)?;
        Some(unit_of(chunk, index, class))
    }

    fn make_slab(&mut self, chunk: u64, class: u8) {
        self.chunks[chunk as usize] = Chunk::Values(class);
        self.slabs[chunk as usize] = Slab { listed: true, ..Slab::default() };
        self.open[usize::from(class)].push(chunk);
    }

    fn take_lowest(&mut self, chunk: u64, class: u8) -> Option<u64> {
        let (slab, map) = (&mut self.slabs[chunk as usize], &mut self.maps[chunk as usize]);
        let from = usize::from(slab.full);
        let Some(word) = map[from..].iter().position(|bits| *bits != u64::MAX) else {
            slab.full = WORDS as u8;
            return None;
        };
        let word = from + word;
        slab.full = word as u8;
        let index = word as u64 * 64 + u64::from(map[word].trailing_ones());
        if index >= CHUNK_UNITS / size_of(class) {
            return None;
        }
        map[word] |= 1 << (index % 64);
        slab.used += 1;
        Some(index)
    }

    /// Changes whether a place is used; false when it was so already.
    #[inline]
    fn set(&mut self, chunk: u64, index: u64, used: bool) -> bool {
        let slab = &mut self.slabs[chunk as usize];
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        let bits = &mut self.maps[chunk as usize][word];
        if (*bits & bit != 0) == used {
            return false;
        }
        *bits ^= bit;
        if used {
            slab.used += 1;
        } else {
            slab.used -= 1;
            slab.full = slab.full.min(word as u8);
        }
        true
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
        self.chunks[first as usize] = Chunk::Run(count as u32);
    }

    /// Gives a place back; false, and nothing is changed, where it was not taken.
    #[inline]
    pub(crate) fn give_back(&mut self, place: Place) -> bool {
        let (first, units) = (place.unit() / CHUNK_UNITS, place.units());
        let Some(chunk) = self.chunks.get(first as usize) else { return false };
        match (*chunk, class_for(units)) {
            (Chunk::Values(class), Some(of_units)) if class == of_units => {
                let (within, size) = ((place.unit() % CHUNK_UNITS) as u32, size_of(class) as u32);
                let index = within / size;
                if index * size != within || !self.set(first, index.into(), false) {
                    return false;
                }
                let recent = &mut self.recent[usize::from(class)];
                if recent.len() < RECENT_MAX {
                    recent.push((first as u32, index));
                }
                let slab = &mut self.slabs[first as usize];
                if slab.used == 0 {
                    self.chunks[first as usize] = Chunk::Free;
                    self.free.insert(first);
                } else if !slab.listed {
                    slab.listed = true;
                    self.open[usize::from(class)].push(first);
                }
            }
            (Chunk::Run(count), None) if u64::from(count) == units.div_ceil(CHUNK_UNITS) => {
                for chunk in first..first + u64::from(count) {
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

    fn claim_in_class(&mut self, place: Place, chunk: u64, class: u8) -> bool {
        if self.free.remove(&chunk) {
            self.make_slab(chunk, class);
        }
        let (within, size) = (place.unit() % CHUNK_UNITS, size_of(class));
        let fits = self.chunks[chunk as usize] == Chunk::Values(class)
            && within.is_multiple_of(size)
            && within / size < CHUNK_UNITS / size;
        fits && self.set(chunk, within / size, true)
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

#[inline]
fn unit_of(chunk: u64, index: u64, class: u8) -> u64 {
    chunk * CHUNK_UNITS + index * size_of(class)
}

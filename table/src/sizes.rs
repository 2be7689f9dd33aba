//! The sizes that places have.

use crate::layout::CHUNK_UNITS;

/// Units of the size classes: exact for small values, then as many as fit into a chunk.
pub(crate) const CLASSES: [u16; 48] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 32, 36, 40,
    44, 48, 52, 56, 60, 64, 72, 80, 92, 102, 112, 128, 146, 170, 204, 256, 292, 340, 408, 512, 682,
    1024,
];
const LARGEST: u64 = CLASSES[CLASSES.len() - 1] as u64;

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

/// The smallest class that holds `units`; `None` where a run of chunks is to be taken.
#[inline]
pub(crate) fn class_for(units: u64) -> Option<u8> {
    CLASS_OF.get(units as usize).copied()
}

/// Units of a place of a class.
#[inline]
pub(crate) const fn size_of(class: u8) -> u64 {
    CLASSES[class as usize] as u64
}

/// Units that a value of `units` really takes.
#[inline]
pub(crate) fn granted(units: u64) -> u64 {
    match class_for(units) {
        Some(class) => size_of(class),
        None => units.next_multiple_of(CHUNK_UNITS),
    }
}

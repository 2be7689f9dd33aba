//! The hash behind the key and kind tables. Shared with `build.rs`, which searches for
//! displacements that make it perfect.

/// The ends of a name: for up to 16 bytes they and the length identify it.
#[inline]
pub(crate) fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    }
    match *name {
        [] => (0, 0),
        [a] => (u64::from(a), 0),
        [a, b] => (u64::from(a) | u64::from(b) << 8, 0),
        [a, b, c, ..] => (u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16, 0),
    }
}

/// Mixes the ends and the length.
#[inline]
pub(crate) fn mix(first: u64, last: u64, len: usize) -> u64 {
    let x = (first ^ last.rotate_left(29)).wrapping_add(len as u64);
    let x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Which of 256 displacements applies.
#[inline]
pub(crate) fn bucket(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// The place in a table of `1 << bits` slots.
#[inline]
pub(crate) fn slot(hash: u64, displacement: u16, bits: u32) -> usize {
    let x = (hash as u32 ^ u32::from(displacement)).wrapping_mul(0x9E37_79B1);
    (x >> (32 - bits)) as usize
}

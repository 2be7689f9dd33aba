//! The hash behind the key and kind tables. Shared with `build.rs`, which searches for the seed
//! and the displacements that make it perfect.

/// Two words that, with the length, stand for a name: its first 16 bytes, zero-padded, or of a
/// longer one the first and the last 8.
///
/// The name is the first `len` bytes of `bytes`; what follows it only makes the reads cheap.
#[inline(always)]
pub(crate) fn words(bytes: &[u8], len: usize) -> Option<(u64, u64)> {
    if let (Some(chunk), Some(&(low_mask, high_mask))) = (bytes.first_chunk::<16>(), MASKS.get(len))
    {
        let (low, high) = halves(chunk);
        return Some((low & low_mask, high & high_mask));
    }
    if len > 16 {
        let name = bytes.get(..len)?;
        let (first, last) = (name.first_chunk()?, name.last_chunk()?);
        return Some((u64::from_le_bytes(*first), u64::from_le_bytes(*last)));
    }
    words_at_the_end(bytes.get(..len)?)
}

/// [`words`] of a name with less than 16 bytes from its start to the end.
#[cold]
#[inline(never)]
fn words_at_the_end(name: &[u8]) -> Option<(u64, u64)> {
    let mut padded = [0; 16];
    padded.get_mut(..name.len())?.copy_from_slice(name);
    Some(halves(&padded))
}

/// Two more words of a name of 17 to 32 bytes: what lies between its [`words`]. Zeros for others.
#[inline(always)]
pub(crate) fn middle(bytes: &[u8], len: usize) -> Option<(u64, u64)> {
    if !(17..=32).contains(&len) {
        return Some((0, 0));
    }
    let name = bytes.get(..len)?;
    let (first, last) = (name.first_chunk::<16>()?, name.last_chunk::<16>()?);
    Some((halves(first).1, halves(last).0))
}

/// Mixes the words of a name; the high bits are the good ones.
#[inline(always)]
pub(crate) fn mix((low, high): (u64, u64), len: usize, seed: u64) -> u64 {
    (low ^ high.rotate_left(23) ^ len as u64).wrapping_mul(seed)
}

/// Which of the 256 displacements applies.
#[inline(always)]
pub(crate) fn bucket(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// The place in a table of so many slots, a power of two.
#[inline(always)]
pub(crate) fn slot(hash: u64, displacement: u16, slots: usize) -> usize {
    ((hash >> 40) as usize ^ usize::from(displacement)) & (slots - 1)
}

#[inline(always)]
fn halves(chunk: &[u8; 16]) -> (u64, u64) {
    let word = u128::from_le_bytes(*chunk);
    (word as u64, (word >> 64) as u64)
}

/// Which bits of the first 16 bytes belong to a name of so many.
const MASKS: [(u64, u64); 17] = {
    let mut masks = [(u64::MAX, u64::MAX); 17];
    let mut len = 0;
    while len < 16 {
        let mask = (1_u128 << (8 * len)) - 1;
        masks[len] = (mask as u64, (mask >> 64) as u64);
        len += 1;
    }
    masks
};

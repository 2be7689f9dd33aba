//! Reading ahead in windows of fixed length, which need no further checks. The last bytes of an input are
//! read from a copy that has zeros behind it.

/// Bytes of a window: a key, and the value behind it as far as the short way looks. A power of two, so
/// that what is read is cut to it by a mask.
pub(super) const WINDOW: usize = 128;
/// The longest key, with what stands around it, behind which a value still lies in the window.
pub(super) const KEY_MAX: usize = 63;

const _: () = assert!(WINDOW.is_power_of_two());

pub(super) type Window = [u8; WINDOW];

/// Room for the last bytes of an input, with zeros behind it.
#[derive(Debug)]
pub(crate) struct End([u8; 2 * WINDOW]);

impl End {
    pub(crate) const fn new() -> Self {
        Self([0; 2 * WINDOW])
    }

    #[inline]
    pub(crate) fn copy(&mut self, input: &[u8]) {
        let (last, _) = self.0.split_at_mut(WINDOW);
        match input.last_chunk::<WINDOW>() {
            Some(chunk) => last.copy_from_slice(chunk),
            None => last[WINDOW - input.len()..].copy_from_slice(input),
        }
    }

    /// The last `left` bytes of the input, which are no more than a window, and the zeros.
    #[inline]
    pub(super) fn from(&self, left: usize) -> &[u8] {
        &self.0[WINDOW - left..]
    }
}

/// Eight bytes of a window, the first one lowest.
#[inline(always)]
pub(super) fn word<const N: usize>(window: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(part(window, at))
}

/// Some bytes of a window.
#[inline(always)]
pub(super) fn part<const N: usize, const M: usize>(window: &[u8; M], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&window[at..at + N]);
    part
}

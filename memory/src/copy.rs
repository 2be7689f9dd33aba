//! Copies between private memory and memory another process may be writing.
//!
//! Such a race is no data race of the language only if the compiler does not see the access: so the
//! moves are in inline assembly on x86-64, and relaxed byte atomics elsewhere. Under `cfg(ring_plain)`
//! (the sanitizers, over a heap block) they are ordinary copies, so that a race is seen.

#[cfg(all(not(ring_plain), target_arch = "x86_64"))]
pub(super) use x86_64::{copy, prefetch, prefetch_for_write};

#[cfg(any(ring_plain, not(target_arch = "x86_64")))]
pub(super) use portable::{copy, prefetch, prefetch_for_write};

#[cfg(all(not(ring_plain), target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod x86_64 {
    use std::arch::asm;

    /// From here on the processor's own string move wins: it fetches no line that it overwrites whole,
    /// which between two cores makes 256 KiB five times as fast as a loop of vector moves.
    const STRING_FROM: usize = 1024;

    /// Copies `len` bytes.
    ///
    /// # Safety
    /// `from` must be good for `len` bytes of reads and `to` for `len` bytes of writes; at least one of
    /// the two ranges must be private to the caller, and they must not overlap.
    #[inline]
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        if len >= STRING_FROM {
            // SAFETY: the caller's contract.
            unsafe { long(to, from, len) };
        } else if len >= 16 {
            // SAFETY: the caller's contract.
            unsafe { vectors(to, from, len) };
        } else {
            // SAFETY: the caller's contract.
            unsafe { small(to, from, len) };
        }
    }

    /// # Safety
    /// As for [`copy`]; `len` is at least 16.
    #[inline(never)]
    unsafe fn long(to: *mut u8, from: *const u8, len: usize) {
        if string_moves_are_fast(to as usize, from as usize) {
            // SAFETY: the caller's contract.
            unsafe { string_move(to, from, len) };
        } else {
            // SAFETY: the caller's contract.
            unsafe { vectors(to, from, len) };
        }
    }

    /// Not on processors without the feature, and not where the target lies up to a line behind the
    /// source, modulo a page: AMD's are many times slower there.
    fn string_moves_are_fast(to: usize, from: usize) -> bool {
        !(1..64).contains(&(to.wrapping_sub(from) % 4096))
            && std::arch::is_x86_feature_detected!("ermsb")
    }

    /// # Safety
    /// As for [`copy`].
    unsafe fn string_move(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: exactly the ranges of the contract; the direction flag is clear, as the ABI wants.
        unsafe {
            asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
    }

    /// Whole lines, whole vectors, then the last sixteen bytes once more.
    ///
    /// # Safety
    /// As for [`copy`]; `len` is at least 16.
    #[inline]
    unsafe fn vectors(mut to: *mut u8, mut from: *const u8, len: usize) {
        let lines = len / 64;
        if lines != 0 {
            // SAFETY: `lines * 64 <= len`, so every access is inside the ranges of the contract; the
            // block changes nothing but the named registers, flags and those bytes.
            unsafe {
                asm!(
                    "2:",
                    "movups {a}, [{from}]",
                    "movups {b}, [{from} + 16]",
                    "movups {c}, [{from} + 32]",
                    "movups {d}, [{from} + 48]",
                    "movups [{to}], {a}",
                    "movups [{to} + 16], {b}",
                    "movups [{to} + 32], {c}",
                    "movups [{to} + 48], {d}",
                    "add {from}, 64",
                    "add {to}, 64",
                    "dec {lines}",
                    "jnz 2b",
                    from = inout(reg) from,
                    to = inout(reg) to,
                    lines = inout(reg) lines => _,
                    a = out(xmm_reg) _,
                    b = out(xmm_reg) _,
                    c = out(xmm_reg) _,
                    d = out(xmm_reg) _,
                    options(nostack),
                );
            }
        }
        let mut rest = len % 64;
        while rest >= 16 {
            // SAFETY: 16 bytes of the ranges are left.
            unsafe { vector(to, from) };
            (to, from) = (to.wrapping_add(16), from.wrapping_add(16));
            rest -= 16;
        }
        if rest != 0 {
            let back = 16 - rest;
            // SAFETY: the ranges are at least 16 bytes long, and these are their last 16.
            unsafe { vector(to.wrapping_sub(back), from.wrapping_sub(back)) };
        }
    }

    /// # Safety
    /// As for [`copy`] of 16 bytes.
    #[inline]
    unsafe fn vector(to: *mut u8, from: *const u8) {
        // SAFETY: the caller's contract.
        unsafe {
            asm!(
                "movups {a}, [{from}]",
                "movups [{to}], {a}",
                from = in(reg) from,
                to = in(reg) to,
                a = out(xmm_reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    /// # Safety
    /// As for [`copy`]; meant for fewer than 16 bytes.
    #[inline]
    unsafe fn small(mut to: *mut u8, mut from: *const u8, mut len: usize) {
        if len >= 8 {
            // SAFETY: 8 bytes of the ranges are left.
            unsafe {
                asm!(
                    "mov {a}, [{from}]",
                    "mov [{to}], {a}",
                    from = in(reg) from,
                    to = in(reg) to,
                    a = out(reg) _,
                    options(nostack, preserves_flags),
                );
            }
            (to, from, len) = (to.wrapping_add(8), from.wrapping_add(8), len - 8);
        }
        while len != 0 {
            // SAFETY: one byte of the ranges is left.
            unsafe {
                asm!(
                    "mov {a}, byte ptr [{from}]",
                    "mov byte ptr [{to}], {a}",
                    from = in(reg) from,
                    to = in(reg) to,
                    a = out(reg_byte) _,
                    options(nostack, preserves_flags),
                );
            }
            (to, from, len) = (to.wrapping_add(1), from.wrapping_add(1), len - 1);
        }
    }

    /// Has the line of an address come, to be read. Any address will do.
    #[inline]
    pub(crate) fn prefetch(at: *const u8) {
        // SAFETY: a hint; it reads nothing and faults nowhere.
        unsafe {
            asm!("prefetcht0 [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
        }
    }

    /// The same, to be written.
    #[inline]
    pub(crate) fn prefetch_for_write(at: *const u8) {
        // SAFETY: a hint; it writes nothing and faults nowhere, and processors without it skip it.
        unsafe {
            asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
        }
    }
}

#[cfg(any(ring_plain, not(target_arch = "x86_64")))]
#[allow(unsafe_code)]
mod portable {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Copies `len` bytes.
    ///
    /// # Safety
    /// `from` must be good for `len` bytes of reads and `to` for `len` bytes of writes; at least one of
    /// the two ranges must be private to the caller, and they must not overlap.
    #[inline]
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        if cfg!(ring_plain) {
            // SAFETY: the caller's contract.
            unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
            return;
        }
        for i in 0..len {
            // SAFETY: inside the range of the contract.
            let source = unsafe { from.add(i) }.cast_mut();
            // SAFETY: valid for reads; only ever loaded.
            let byte = unsafe { AtomicU8::from_ptr(source) }.load(Ordering::Relaxed);
            // SAFETY: inside the range of the contract.
            let target = unsafe { to.add(i) };
            // SAFETY: valid for writes.
            unsafe { AtomicU8::from_ptr(target) }.store(byte, Ordering::Relaxed);
        }
    }

    /// No hint.
    pub(crate) const fn prefetch(_: *const u8) {}

    /// No hint.
    pub(crate) const fn prefetch_for_write(_: *const u8) {}
}

#[cfg(test)]
mod tests {
    use super::copy;

    #[test]
    fn every_length_and_offset_arrives_and_nothing_beside_it() {
        let source: Vec<u8> = (0..6000u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (0..200).chain([255, 256, 257, 320, 1023, 1024, 1025, 2048, 5000]) {
            for (shift, skip) in [(0, 0), (1, 0), (8, 3), (15, 64), (64, 1), (200, 17)] {
                let mut target = vec![0xAAu8; 6000];
                let to = target[shift..shift + len].as_mut_ptr();
                let from = source[skip..skip + len].as_ptr();
                // SAFETY: both are slices of `len` bytes, of different vectors.
                #[allow(unsafe_code)]
                unsafe {
                    copy(to, from, len);
                };
                assert_eq!(target[shift..shift + len], source[skip..skip + len]);
                assert!(target[..shift].iter().all(|&b| b == 0xAA));
                assert!(target[shift + len..].iter().all(|&b| b == 0xAA));
            }
        }
    }
}

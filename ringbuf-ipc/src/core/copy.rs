//! Copies between private memory and memory another process may be writing.
//!
//! Such a race is no data race of the language only if the compiler does not see the access: so the
//! moves are in inline assembly on x86-64, and relaxed byte atomics elsewhere. Under `cfg(ring_plain)`
//! (the sanitizers, over a heap block) they are ordinary copies, so that a race is seen.

/// Copies `len` bytes.
///
/// # Safety
/// `from` must be good for `len` bytes of reads and `to` for `len` bytes of writes; at least one of
/// the two ranges must be private to the caller, and they must not overlap.
#[cfg(ring_plain)]
#[allow(unsafe_code)]
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
}

/// Copies `len` bytes.
///
/// # Safety
/// `from` must be good for `len` bytes of reads and `to` for `len` bytes of writes; at least one of
/// the two ranges must be private to the caller, and they must not overlap.
#[cfg(all(not(ring_plain), target_arch = "x86_64"))]
#[allow(unsafe_code)]
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    use std::arch::asm;
    let lines = len / 64;
    let mut rest = len % 64;
    let (mut to, mut from) = (to, from);
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
    while rest >= 16 {
        // SAFETY: 16 bytes of the ranges are left.
        unsafe {
            asm!(
                "movups {a}, [{from}]",
                "movups [{to}], {a}",
                "add {from}, 16",
                "add {to}, 16",
                from = inout(reg) from,
                to = inout(reg) to,
                a = out(xmm_reg) _,
                options(nostack),
            );
        }
        rest -= 16;
    }
    if rest >= 8 {
        // SAFETY: 8 bytes of the ranges are left.
        unsafe {
            asm!(
                "mov {a}, [{from}]",
                "mov [{to}], {a}",
                "add {from}, 8",
                "add {to}, 8",
                from = inout(reg) from,
                to = inout(reg) to,
                a = out(reg) _,
                options(nostack),
            );
        }
        rest -= 8;
    }
    while rest != 0 {
        // SAFETY: one byte of the ranges is left.
        unsafe {
            asm!(
                "mov {a}, byte ptr [{from}]",
                "mov byte ptr [{to}], {a}",
                "inc {from}",
                "inc {to}",
                from = inout(reg) from,
                to = inout(reg) to,
                a = out(reg_byte) _,
                options(nostack),
            );
        }
        rest -= 1;
    }
}

/// Copies `len` bytes.
///
/// # Safety
/// `from` must be good for `len` bytes of reads and `to` for `len` bytes of writes; at least one of
/// the two ranges must be private to the caller, and they must not overlap.
#[cfg(all(not(ring_plain), not(target_arch = "x86_64")))]
#[allow(unsafe_code)]
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    use std::sync::atomic::{AtomicU8, Ordering};
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

#[cfg(test)]
mod tests {
    use super::copy;

    #[test]
    fn every_length_and_offset_arrives_and_nothing_beside_it() {
        let source: Vec<u8> = (0..400u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (0..200).chain([255, 256, 257, 320]) {
            for shift in [0, 1, 8, 15] {
                let mut target = vec![0xAAu8; 400];
                let to = target[shift..shift + len].as_mut_ptr();
                let from = source[shift..shift + len].as_ptr();
                // SAFETY: both are slices of `len` bytes, of different vectors.
                #[allow(unsafe_code)]
                unsafe {
                    copy(to, from, len);
                };
                assert_eq!(target[shift..shift + len], source[shift..shift + len]);
                assert!(target[..shift].iter().all(|&b| b == 0xAA));
                assert!(target[shift + len..].iter().all(|&b| b == 0xAA));
            }
        }
    }
}

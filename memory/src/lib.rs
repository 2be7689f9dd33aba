//! The only way to the bytes of a shared segment: words by offset, payload by copy.
//!
//! A protocol that several processes speak over one block of memory is written against [`Memory`] and
//! then runs, unchanged,
//! * on a mapped file, at the speed of plain atomics,
//! * on the heap, where ThreadSanitizer and AddressSanitizer can watch it (`--cfg ring_plain` makes
//!   payload copies plain, so that a copy that races is seen),
//! * under loom (`--cfg loom`), where each word is one of loom's atomics,
//! * in a process that is killed right after its n-th store (the feature `kill-points`, for tests).
//!
//! A word is a 64-bit atomic at a multiple of 8, or a 32-bit one, on which a process can sleep, at a
//! multiple of 4. No reference into the block is ever formed but to atomics.

#[doc(hidden)]
#[path = "kill.rs"]
pub mod __kill;
#[cfg(not(loom))]
mod copy;
mod heap;
#[cfg(loom)]
mod modelled;
#[cfg(not(loom))]
mod shared;

pub use std::sync::atomic::Ordering;

pub use heap::Heap;
#[cfg(loom)]
pub use modelled::{Memory, Weaken, fence};
#[cfg(not(loom))]
pub use shared::{Memory, fence};

/// Has the line come in which a value of this process begins, to be read. A hint, whose only effect is time.
#[inline]
pub fn expect<T>(value: &T) {
    #[cfg(not(loom))]
    copy::prefetch(std::ptr::from_ref(value).cast());
    #[cfg(loom)]
    let _ = value;
}

/// What keeps the bytes of a [`Memory`] alive.
///
/// # Safety
/// As long as the block lives, `base` must give the same address, aligned to 64, and be valid for
/// `len` bytes of reads and writes by atomics and copies, from any thread. Pages may be mapped
/// read-only if the owner of the [`Memory`] never writes to them.
#[allow(unsafe_code)]
pub unsafe trait Block: Send + Sync + std::fmt::Debug {
    /// The first byte.
    fn base(&self) -> *mut u8;
    /// Bytes in the block.
    fn len(&self) -> usize;
    /// Whether there is no byte in the block.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Has the pages from `offset` on mapped now, rather than by a fault at the first touch of each.
    fn populate(&self, _offset: usize, _for_writing: bool) {}
}

//! The only way to the bytes of a segment: words by offset, payload by copy.
//!
//! A word is a 64-bit atomic at a multiple of 8; nothing here ever hands out a reference into the
//! block. Under `cfg(loom)` each word is one of loom's atomics, so the protocol's own code is what
//! loom explores. The block behind it is a mapped file, or the heap for the sanitizers.

#[cfg(any(test, loom))]
pub(crate) mod heap;
#[cfg(loom)]
mod modelled;
#[cfg(not(loom))]
mod shared;

#[cfg(loom)]
pub(crate) use modelled::{Memory, Weaken, fence};
#[cfg(not(loom))]
pub(crate) use shared::{Memory, fence};
pub(crate) use std::sync::atomic::Ordering;

/// What keeps the bytes of a [`Memory`] alive.
pub(crate) trait Block: Send + Sync + std::fmt::Debug {
    /// First byte; aligned to 64, valid for `len` bytes of reads and writes by atomics and copies
    /// as long as the block lives. Pages that are mapped read-only are never written by the caller.
    fn base(&self) -> *mut u8;
    /// Bytes in the block.
    fn len(&self) -> usize;
    /// Has the pages from `offset` on mapped now, rather than by a fault at the first touch of each.
    fn populate(&self, _offset: usize, _for_writing: bool) {}
}

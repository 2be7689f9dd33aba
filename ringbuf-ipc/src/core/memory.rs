//! The facade to shared memory, for segments of this layout.

#[cfg(loom)]
pub(crate) use mixcord_memory::Weaken;
pub(crate) use mixcord_memory::{Block, Ordering, fence};

use super::layout::FIXED;

/// A segment; a word of its fixed part is reached without a check.
pub(crate) type Memory = mixcord_memory::Memory<FIXED>;

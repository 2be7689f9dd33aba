//! What a set of sessions is to the bot, while the shard count changes.

use std::sync::atomic::{AtomicBool, Ordering};

/// A set runs, or runs beside another one whose place it is to take, or has lost its place to another one.
#[derive(Debug, Default)]
pub struct Standing {
    is_beside: AtomicBool,
    is_retired: AtomicBool,
}

impl Standing {
    /// Of a set that is to take another one's place.
    #[must_use]
    pub fn beside() -> Self {
        Self { is_beside: true.into(), is_retired: false.into() }
    }

    /// It has taken that place.
    pub fn settle(&self) {
        self.is_beside.store(false, Ordering::Relaxed);
    }

    /// Whether it is to take another one's place.
    pub fn is_beside(&self) -> bool {
        self.is_beside.load(Ordering::Relaxed)
    }

    /// When it is told to stop, its sessions end for good.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    /// Whether they do.
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }
}

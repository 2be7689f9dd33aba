//! What a set of sessions is to the bot, while the shard count changes.

use std::sync::atomic::{AtomicBool, Ordering};

use mixcord_event::reshard::Stage;
use tokio::sync::watch;

/// How far a change of the shard count is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The shard count before.
    pub from: u16,
    /// And the one that it is changed to.
    pub to: u16,
    /// What is committed of it.
    pub stage: Stage,
}

/// A set runs, or runs beside another one whose place it is to take, or has lost its place to another one.
#[derive(Debug, Default)]
pub struct Standing {
    is_beside: AtomicBool,
    is_retired: AtomicBool,
    /// The change that this set was told of last.
    phase: watch::Sender<Option<Phase>>,
}

impl Standing {
    /// Of a set that is to take another one's place.
    #[must_use]
    pub fn beside() -> Self {
        Self { is_beside: true.into(), ..Self::default() }
    }

    /// It has taken that place.
    pub fn settle(&self) {
        self.is_beside.store(false, Ordering::Relaxed);
    }

    /// Whether it is to take another one's place.
    pub fn is_beside(&self) -> bool {
        self.is_beside.load(Ordering::Relaxed)
    }

    /// The change went on: the shards say so in their streams.
    pub fn tell(&self, phase: Phase) {
        self.phase.send_if_modified(|told| told.replace(phase) != Some(phase));
    }

    /// What it is told from now on, and was last.
    pub fn phases(&self) -> watch::Receiver<Option<Phase>> {
        self.phase.subscribe()
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

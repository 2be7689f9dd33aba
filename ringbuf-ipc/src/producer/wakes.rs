//! Wakes that are put off until several rings have news.

use std::sync::Arc;

use crate::core::{Core, Position};

/// Whoever sleeps on what [`Producer::publish_quietly`](super::Producer::publish_quietly) made visible. They are woken when
/// this is dropped, on whatever thread; until then they sleep, for 100 ms at most.
#[derive(Debug)]
#[must_use = "whoever sleeps is woken when it is dropped"]
pub struct Wakes {
    core: Arc<Core>,
    /// The first record that they are woken for.
    from: Position,
}

impl Wakes {
    pub(super) const fn new(core: Arc<Core>, from: Position) -> Self {
        Self { core, from }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        // The tail was stored before this was made, so also before whatever handed it to this thread: the fence stands
        // between that store and the look for sleepers, as in a publish.
        self.core.wake_counted(self.core.tail().saturating_sub(self.from));
    }
}

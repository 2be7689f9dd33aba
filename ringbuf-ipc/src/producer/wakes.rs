//! Wakes that are put off until several rings have news.

use std::ops::Range;
use std::sync::Arc;

use crate::core::{Core, Position};

/// Whoever sleeps on what [`Producer::publish_quietly`](super::Producer::publish_quietly) made visible. They are woken when
/// this is dropped, on whatever thread; until then they sleep, until they look by themselves ([`Member::tick`]).
///
/// [`Member::tick`]: crate::Member::tick
#[derive(Debug)]
#[must_use = "whoever sleeps is woken when it is dropped"]
pub struct Wakes {
    core: Arc<Core>,
    /// The records that they are woken for.
    news: Range<Position>,
}

impl Wakes {
    pub(super) const fn new(core: Arc<Core>, news: Range<Position>) -> Self {
        Self { core, news }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        // The tail was stored before this was made, so also before whatever handed it to this thread: the fence stands
        // between that store and the look for sleepers, as in a publish.
        self.core.wake_counted(self.news.clone());
    }
}

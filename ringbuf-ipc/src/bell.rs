//! A process's bell.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::Backoff;

use crate::system::bells::Bells;

/// The word this process sleeps on. A clone is the same bell; it is given back with the last clone.
#[derive(Debug, Clone)]
pub struct Bell {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bells: Arc<Bells>,
    index: u32,
    /// Holds the lock of the place.
    _lock: File,
}

/// What a bell showed at one moment: a ring after it ends a wait with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The bell was rung since the ticket was taken; there may be news or not.
    Rung,
    /// It was not.
    TimedOut,
}

impl Bell {
    pub(crate) fn claim(bells: Arc<Bells>) -> Result<Self, crate::BellError> {
        let (index, lock) = bells.claim()?;
        Ok(Self { inner: Arc::new(Inner { bells, index, _lock: lock }) })
    }

    /// The number ring segments of the namespace of `bells` know it by; `None` when it is a bell of
    /// another namespace, or of one that was removed and made again.
    pub(crate) fn index_in(&self, bells: &Bells) -> Option<u64> {
        self.inner.bells.is_same(bells).then(|| self.inner.index.into())
    }

    /// Take it before arming: a ring in between is then not missed.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.inner.bells.ticket(self.inner.index))
    }

    /// Sleeps until the bell is rung after `ticket` was taken, at most `timeout`.
    ///
    /// The order that misses nothing: ticket, `arm` of every reader, look for work, wait. A ringer
    /// that is killed before it rings is made up for by nobody but the timeout.
    pub fn wait(&self, ticket: Ticket, timeout: Duration) -> Woken {
        if self.inner.bells.wait(self.inner.index, ticket.0, timeout) {
            Woken::Rung
        } else {
            Woken::TimedOut
        }
    }

    /// Rings it, for news that come from elsewhere (a shutdown, another queue).
    pub fn ring(&self) {
        self.inner.bells.ring(self.inner.index.into());
    }
}

/// How long to look before sleeping: long enough to meet news that come at once, not at all where
/// looking has not paid lately. And how long not to look at all: a reader at the heels of its producer
/// takes from it, with each look, the very lines it is about to write; both are faster apart.
#[derive(Debug)]
pub(crate) struct Spin {
    /// Tries granted, 0 to `MOST`.
    budget: u32,
    /// Pauses of the processor before news are looked at, 0 to `APART`.
    apart: u32,
    single_core: bool,
}

impl Spin {
    const MOST: u32 = 8;
    /// Under a microsecond on current processors.
    const APART: u32 = 16;
    /// Records at a time from which a reader is far enough behind. One alone is no stream: its sender
    /// may be waiting for the answer.
    const HEELS: std::ops::Range<usize> = 2..16;

    pub(crate) fn new() -> Self {
        let single_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        Self { budget: Self::MOST / 2, apart: 0, single_core }
    }

    /// Looks a few times, after `drained` records were all there was the last time.
    pub(crate) fn look_after(&mut self, drained: usize, ready: impl FnMut() -> bool) -> bool {
        if Self::HEELS.contains(&drained) && !self.single_core {
            self.apart = (self.apart * 2).clamp(1, Self::APART);
            for _ in 0..self.apart {
                std::hint::spin_loop();
            }
        } else if drained != 0 {
            self.apart /= 2;
        }
        self.look(ready)
    }

    /// Looks a few times, letting others run in between.
    pub(crate) fn look(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let backoff = Backoff::new();
        for _ in 0..self.budget.max(1) {
            if ready() {
                self.budget = (self.budget + 1).min(Self::MOST);
                return true;
            }
            if self.single_core {
                std::thread::yield_now();
            } else {
                backoff.snooze();
            }
        }
        self.budget = self.budget.saturating_sub(1);
        ready()
    }
}

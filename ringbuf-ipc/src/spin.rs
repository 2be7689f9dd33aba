//! How long to look before sleeping, and how long not to look at all.

use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use crate::bell::{Bell, Ticket};

/// Looks for news long enough to meet those that come at once, hardly where looking has not paid lately.
///
/// And keeps a reader off the heels of its producer: with each look it takes from it the very lines that
/// are written next, and both are faster apart.
#[derive(Debug)]
pub(crate) struct Spin {
    /// Looks granted, 1 to `MOST`.
    budget: u32,
    /// Pauses of the processor before news are looked at, 0 to `APART`.
    apart: u32,
    single_core: bool,
}

impl Spin {
    /// Looks with one pause in between, under a microsecond together. Those after are further and
    /// further apart, and the last ones let others run: some ten microseconds in all, a fraction of what
    /// a sleep and a wake cost.
    const CLOSE: u32 = 16;
    const MOST: u32 = Self::CLOSE + 24;
    /// Some three microseconds on current processors.
    const APART: u32 = 64;
    /// Records at a time from which a reader is far enough behind. One alone is no stream: its sender
    /// may be waiting for the answer.
    const HEELS: std::ops::Range<usize> = 2..32;
    /// A sleep that was over so soon cost more than to look on would have.
    const SHORT: Duration = Duration::from_micros(100);

    pub(crate) fn new() -> Self {
        let single_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        Self { budget: Self::MOST, apart: 0, single_core }
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

    /// Looks a few times.
    pub(crate) fn look(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let backoff = Backoff::new();
        for look in 0..self.budget {
            if ready() {
                self.budget = (self.budget + 1).min(Self::MOST);
                return true;
            }
            if self.single_core {
                std::thread::yield_now();
            } else if look < Self::CLOSE {
                std::hint::spin_loop();
            } else {
                backoff.snooze();
            }
        }
        self.budget = (self.budget - 1).max(1);
        ready()
    }

    /// Looks on for so long, at some two looks a microsecond.
    pub(crate) fn linger(&self, longest: Duration, mut ready: impl FnMut() -> bool) -> bool {
        if longest.is_zero() || self.single_core {
            return false;
        }
        let begun = Instant::now();
        while begun.elapsed() < longest {
            for _ in 0..Self::CLOSE {
                std::hint::spin_loop();
            }
            if ready() {
                return true;
            }
        }
        false
    }

    /// Sleeps, and learns from it whether to look longer the next time.
    pub(crate) fn sleep(&mut self, bell: &Bell, ticket: Ticket, timeout: Duration) {
        let begun = Instant::now();
        bell.wait(ticket, timeout);
        if begun.elapsed() < Self::SHORT {
            self.budget = (self.budget * 2).min(Self::MOST);
        }
    }
}

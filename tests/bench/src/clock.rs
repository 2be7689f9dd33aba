//! Wall time and CPU time of a piece of work.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// What one round of one contender did, and what it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Units of work done (events, messages, …).
    pub(crate) units: u64,
    /// CPU time used, by every thread and process that took part.
    pub(crate) cpu: Duration,
    /// Wall time from first to last unit.
    pub(crate) wall: Duration,
}

impl Sample {
    /// Units for each second of CPU time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.units as f64 / self.cpu.as_secs_f64()
    }

    /// Units for each second of wall time.
    pub(crate) fn per_second(&self) -> f64 {
        self.units as f64 / self.wall.as_secs_f64()
    }
}

/// Runs `work`, which returns the units it did, and measures this process around it.
pub(crate) fn measure(work: impl FnOnce() -> u64) -> Sample {
    let cpu = process_cpu();
    let wall = Instant::now();
    let units = work();
    Sample { units, cpu: process_cpu() - cpu, wall: wall.elapsed() }
}

/// Runs `work`, which returns the units it did, and measures this thread around it.
pub(crate) fn measure_thread(work: impl FnOnce() -> u64) -> Sample {
    let cpu = thread_cpu();
    let wall = Instant::now();
    let units = work();
    Sample { units, cpu: thread_cpu() - cpu, wall: wall.elapsed() }
}

impl std::ops::AddAssign for Sample {
    fn add_assign(&mut self, more: Self) {
        self.units += more.units;
        self.cpu += more.cpu;
        self.wall += more.wall;
    }
}

/// CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn process_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

//! How far apart the two cores are: a line of memory there and back between two threads. A virtual machine moves
//! its cores about, so this is measured around every round, and rounds are told apart by it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::process::pin;

/// A line to itself, and its neighbour, which some processors fetch with it.
#[repr(align(128))]
struct Line(AtomicU64);

/// Round trips of one measurement, of which the best counts: what a neighbour interrupts is no distance.
const TRIPS: u64 = 500;
const MEASUREMENTS: usize = 8;

/// Two cores that are nearer than this share a cache; others speak through the memory's network.
pub(crate) const NEAR_NS: f64 = 130.0;

/// Nanoseconds of a line's round trip between the cores that rounds are run on.
pub(crate) fn round_trip_ns() -> f64 {
    let line = Line(AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            for turn in 0..TRIPS * MEASUREMENTS as u64 {
                await_turn(&line, 2 * turn + 1);
                line.0.store(2 * turn + 2, Ordering::Release);
            }
        });
        let probe = scope.spawn(|| {
            pin(0);
            let mut best = f64::MAX;
            for measurement in 0..MEASUREMENTS as u64 {
                let begun = Instant::now();
                for turn in measurement * TRIPS..(measurement + 1) * TRIPS {
                    line.0.store(2 * turn + 1, Ordering::Release);
                    await_turn(&line, 2 * turn + 2);
                }
                best = best.min(begun.elapsed().as_nanos() as f64 / TRIPS as f64);
            }
            best
        });
        probe.join().unwrap_or(f64::MAX)
    })
}

fn await_turn(line: &Line, turn: u64) {
    let mut looks = 0_u32;
    while line.0.load(Ordering::Acquire) != turn {
        std::hint::spin_loop();
        looks += 1;
        // Who else runs on the other's core is not to be waited out on this one.
        if looks.is_multiple_of(10_000) {
            std::thread::yield_now();
        }
    }
}

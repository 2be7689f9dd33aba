//! A batch's changes come into the table one after the other, in some microseconds. Who saw one of them asks for
//! another and must not miss it: so a query waits until the batch that it may know of is there, all of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mixcord_table::{Batches, Reader};

/// Looks between which others may run: more than a batch needs whose writer has a processor.
const YIELDS: u32 = 100;
/// Then looks between which they are given time, each pause twice as long as the one before: half a second in all.
/// A writer that got no processor for so long was stopped or killed in its batch.
const PAUSES: u32 = 13;
const PAUSE: Duration = Duration::from_micros(50);

/// The batch that was last given up. The queries behind do not wait for it again.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

/// Waits until the batches that are committed by now are stored; not for a writer that was stopped or killed
/// while it did that, whose batch is seen in part until it goes on.
pub(crate) fn settle(reader: &Reader) {
    // Ids of stores are random, so this tells batches of all stores of a process apart.
    wait(|| reader.batches(), |batch| batch ^ reader.id(), thread::sleep, &GIVEN_UP);
}

fn wait(
    batches: impl Fn() -> Batches,
    name: impl Fn(u64) -> u64,
    pause: impl Fn(Duration),
    given_up: &AtomicU64,
) {
    let known = batches().committed;
    for look in 0..YIELDS + PAUSES {
        if batches().applied >= known {
            return;
        }
        if look < YIELDS {
            thread::yield_now();
            continue;
        }
        // Relaxed: it orders nothing, and whoever reads it late only waits once more.
        if given_up.load(Ordering::Relaxed) == name(known) {
            return;
        }
        pause(PAUSE * (1 << (look - YIELDS)));
    }
    given_up.store(name(known), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Looks and pauses, where batch 5 is committed and stored after so many looks, and others go on.
    fn looks(stored_at: u32, given_up: &AtomicU64) -> (u32, Vec<Duration>) {
        let (looks, pauses) = (Cell::new(0), Cell::new(Vec::new()));
        let batches = || {
            let look = looks.replace(looks.get() + 1);
            let applied = if look < stored_at { 4 } else { 5 };
            Batches { applied, committed: 5 + u64::from(look) }
        };
        let pause = |pause| {
            let mut all = pauses.take();
            all.push(pause);
            pauses.set(all);
        };
        wait(batches, |batch| batch ^ 8, pause, given_up);
        (looks.get(), pauses.take())
    }

    #[test]
    fn what_is_known_is_waited_for_and_nothing_else() {
        let given_up = AtomicU64::new(0);
        assert_eq!(looks(0, &given_up), (2, vec![]), "stored already");
        let later = looks(7, &given_up);
        assert_eq!(later, (8, vec![]), "stored at a later look, and not what was committed since");
        let paused = vec![PAUSE, PAUSE * 2, PAUSE * 4];
        assert_eq!(looks(YIELDS + 4, &given_up), (YIELDS + 5, paused));
        assert_eq!(given_up.into_inner(), 0);
    }

    #[test]
    fn a_writer_that_stands_still_holds_nobody_up_but_once() {
        let given_up = AtomicU64::new(0);
        let (first, pauses) = looks(u32::MAX, &given_up);
        assert_eq!(first, 1 + YIELDS + PAUSES);
        let all: Duration = pauses.iter().sum();
        assert!((400..500).contains(&all.as_millis()), "{all:?}");
        assert_eq!(looks(u32::MAX, &given_up), (2 + YIELDS, vec![]), "known to stand still");
        given_up.store(4 ^ 8, Ordering::Relaxed);
        assert_eq!(looks(u32::MAX, &given_up).0, first, "another batch is waited for");
    }
}

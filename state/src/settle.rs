//! A batch's changes come into the table one after the other, in some microseconds. Who saw one of them asks for
//! another and must not miss it: so a query waits until the batch that it may know of is there, all of it.

use std::thread;
use std::time::Duration;

use mixcord_table::{Batches, Reader};

/// Looks at which others may run, and then at which they are given time: more than a batch needs whose writer
/// has a processor, and not so many that one that was stopped or killed in a batch holds a query up.
const YIELDS: u32 = 100;
const PAUSES: u32 = 100;
const PAUSE: Duration = Duration::from_micros(50);

/// Waits until the batches that are committed by now are stored; not for a writer that was stopped or killed
/// while it did that, whose batch is seen in part until it goes on.
pub(crate) fn settle(reader: &Reader) {
    wait(|| reader.batches(), thread::sleep);
}

fn wait(batches: impl Fn() -> Batches, pause: impl Fn(Duration)) {
    let known = batches().committed;
    for look in 0..YIELDS + PAUSES {
        if batches().applied >= known {
            return;
        }
        match look < YIELDS {
            true => thread::yield_now(),
            false => pause(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Looks and pauses, where batch 5 is committed and stored after so many looks, and others go on.
    fn looks(stored_at: u32) -> (u32, u32) {
        let (looks, pauses) = (Cell::new(0), Cell::new(0));
        let batches = || {
            let look = looks.replace(looks.get() + 1);
            let applied = if look < stored_at { 4 } else { 5 };
            Batches { applied, committed: 5 + u64::from(look) }
        };
        wait(batches, |_| pauses.set(pauses.get() + 1));
        (looks.get(), pauses.get())
    }

    #[test]
    fn what_is_known_is_waited_for_and_nothing_else() {
        assert_eq!(looks(0), (2, 0), "stored already");
        assert_eq!(looks(7), (8, 0), "stored at a later look, and not what was committed since");
        assert_eq!(looks(YIELDS + 10), (YIELDS + 11, 9));
    }

    #[test]
    fn a_writer_that_stands_still_holds_nobody_up() {
        assert_eq!(looks(u32::MAX), (1 + YIELDS + PAUSES, PAUSES));
    }
}

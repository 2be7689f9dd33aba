use std::sync::atomic::{AtomicBool, Ordering};

use mixcord_ring::Bell;

/// Wakes the consumer of this process that waits for records or for its handlers.
pub(crate) struct Doorbell {
    pub(crate) bell: Bell,
    waiting: AtomicBool,
}

impl Doorbell {
    pub(crate) fn new(bell: Bell) -> Self {
        Self { bell, waiting: AtomicBool::new(false) }
    }

    /// The consumer is about to wait; it looks once more after this call. Pairs with [`Self::ring`]:
    /// of the two orders of these operations one sees the change, the other sees the flag.
    pub(crate) fn arm(&self) {
        self.waiting.store(true, Ordering::SeqCst);
    }

    /// Something changed for the consumer. Costs no system call when it is not waiting.
    pub(crate) fn ring(&self) {
        if self.waiting.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }
}

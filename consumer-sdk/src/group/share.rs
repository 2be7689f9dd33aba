//! The share of a member of a sticky group: it is kept an equal one, and the program is told of each change.

use std::sync::{MutexGuard, TryLockError};

use super::Team;
use super::out::lock;
use crate::rebalance::Rebalance;

/// Whom a new share concerns.
pub(crate) type OnRebalance = Box<dyn Fn(&Rebalance) + Send + Sync>;

impl Team {
    /// Gives up and takes partitions until this member's share is an equal one, and tells of it. What is returned is
    /// held over the take behind it: nothing is given of partitions whose gain is being told elsewhere.
    pub(super) fn settle_share(&self) -> Option<MutexGuard<'_, ()>> {
        let told = self.on_rebalance.as_ref()?;
        let telling = lock(&self.telling);
        self.rebalance(told);
        Some(telling)
    }

    /// The same by who has something else to do: whoever tells just now does it, too.
    pub(super) fn settle_share_if_free(&self) {
        let Some(told) = &self.on_rebalance else { return };
        let telling = match self.telling.try_lock() {
            Ok(telling) => telling,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.rebalance(told);
        drop(telling);
    }

    fn rebalance(&self, told: &OnRebalance) {
        loop {
            // The program's own code is told without the lock.
            let change = lock(&self.worker).as_mut().and_then(mixcord_ring::Worker::rebalance);
            let Some(change) = change else { return };
            told(&Rebalance::new(&self.ring, change.gained, change.lost));
        }
    }

    /// How many it has; `None` where the group is not sticky, or was left.
    pub(super) fn partitions(&self) -> Option<usize> {
        self.on_rebalance.as_ref()?;
        lock(&self.worker).as_ref().map(|worker| worker.partitions().len())
    }

    /// All that a member has which leaves: nothing of it is out any more.
    pub(super) fn tell_all_lost(&self, partitions: Vec<u16>) {
        if let Some(told) = &self.on_rebalance
            && !partitions.is_empty()
        {
            told(&Rebalance::new(&self.ring, Vec::new(), partitions));
        }
    }
}

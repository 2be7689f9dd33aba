//! The thread that looks after what is out: it warns of handlers that take long, ends those that take too long, and
//! keeps the group's place in the ring moving while its program does something else.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Team;
use super::out::{Out, lock};

/// How often it looks while something is out.
const EVERY: Duration = Duration::from_millis(100);

/// Goes on until the member leaves.
pub(super) fn begin(team: &Arc<Team>) -> std::io::Result<JoinHandle<()>> {
    let team = Arc::clone(team);
    let thread = std::thread::Builder::new().name("mixcord-care".to_owned());
    thread.spawn(move || while team.care() {})
}

impl Team {
    /// Waits for something to look after, and looks after it once; `false` when the member left.
    fn care(&self) -> bool {
        let mut roll = lock(&self.out);
        // Of a sticky group's share others wait for a part at any time.
        roll.rests = roll.is_quiet() && self.on_rebalance.is_none();
        while roll.rests && !roll.left {
            roll = self.changed.wait(roll).unwrap_or_else(PoisonError::into_inner);
        }
        // A member that leaves ends the wait.
        let until = Instant::now() + self.look_every();
        while !roll.left {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            roll = self.changed.wait_timeout(roll, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if roll.left {
            return false;
        }
        // Let go of behind the lock only: the last hold on an event settles it.
        let out: Vec<Arc<Out>> =
            roll.events.values().filter_map(std::sync::Weak::upgrade).collect();
        drop(roll);
        if let Some(timeout) = self.policy.handler_timeout {
            out.iter().for_each(|out| out.watch(timeout));
        }
        drop(out);
        self.settle_share_if_free();
        // Whoever has the worker now moves the place himself.
        if let Ok(mut worker) = self.worker.try_lock()
            && let Some(worker) = worker.as_mut()
        {
            worker.tend();
        }
        true
    }

    fn look_every(&self) -> Duration {
        let timeout = self.policy.handler_timeout.unwrap_or(Duration::MAX);
        EVERY.min(timeout / 8).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::super::Roll;

    /// Whoever gives an event wakes who rests. Where events come and go that would be once for each of them.
    #[test]
    fn it_rests_only_after_a_look_between_which_and_the_one_before_nothing_was_given() {
        let mut roll = Roll::default();
        assert!(roll.is_quiet());
        roll.give(1, Weak::new());
        assert!(!roll.is_quiet(), "it is out");
        roll.give(2, Weak::new());
        roll.events.clear();
        assert!(!roll.is_quiet(), "both came and went, and so may others");
        assert!(roll.is_quiet(), "nothing came since");
    }
}

//! Notices a handler that does not return while its thread has the events of others to give.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Which call of a handler the thread that gives events is in.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The number of the call, from 1; 0 is none.
    call: AtomicU64,
    calls: AtomicU64,
    /// Nobody looks, since nothing was called for a while.
    rests: AtomicBool,
}

/// One that looks at a [`Watch`] now and then.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    seen: u64,
    called: u64,
}

/// What is seen of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing was called since the last look: the next call says so.
    Idle,
    /// Calls come and go, and none is at work now.
    Quick,
    /// One is at work, and was not at the last look.
    Busy,
    /// One did not return since the last look, and others wait behind it.
    Stuck,
}

impl Sight {
    /// How long until the next look, without end where the next call says so. A look is a wake, and handlers that
    /// return at once are the rule: they are looked at seldom, and often only while one does not.
    pub(super) const fn next_look(&self) -> Option<Duration> {
        match self {
            Self::Idle => None,
            Self::Quick => Some(Duration::from_millis(100)),
            Self::Busy | Self::Stuck => Some(Duration::from_millis(20)),
        }
    }
}

impl Watch {
    /// A handler is called. `true` when whoever looks has to be told.
    pub(super) fn begin(&self) -> (u64, bool) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.call.store(call, Ordering::SeqCst);
        (call, self.rests.load(Ordering::SeqCst) && self.rests.swap(false, Ordering::SeqCst))
    }

    /// It returned.
    pub(super) fn end(&self, call: u64) {
        // Another thread may give events meanwhile, and be in a call of its own.
        let _ = self.call.compare_exchange(call, 0, Ordering::Release, Ordering::Relaxed);
    }
}

impl Watcher {
    /// Looks.
    pub(super) fn look(&mut self, watch: &Watch) -> Sight {
        let call = watch.call.load(Ordering::SeqCst);
        let calls = watch.calls.load(Ordering::Relaxed);
        let (seen, called) = (std::mem::replace(&mut self.seen, call), self.called);
        self.called = calls;
        if call != 0 {
            return if call == seen { Sight::Stuck } else { Sight::Busy };
        }
        if calls != called {
            return Sight::Quick;
        }
        watch.rests.store(true, Ordering::SeqCst);
        // A call that began before it could see that is seen here, in the order of these four.
        if watch.call.load(Ordering::SeqCst) == 0 { Sight::Idle } else { Sight::Busy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_return_is_noticed_at_the_second_look() {
        let (watch, mut watcher) = (Watch::default(), Watcher::default());
        assert_eq!(watcher.look(&watch), Sight::Idle);
        let (call, tell) = watch.begin();
        assert!(tell);
        assert_eq!(watcher.look(&watch), Sight::Busy);
        assert_eq!(watcher.look(&watch), Sight::Stuck);
        let (other, tell) = watch.begin();
        assert!(!tell, "somebody looks");
        watch.end(call);
        assert_eq!(watcher.look(&watch), Sight::Busy, "another thread is in another call");
        watch.end(other);
        assert_eq!(watcher.look(&watch), Sight::Idle);
    }

    #[test]
    fn quick_calls_are_no_idleness() {
        let (watch, mut watcher) = (Watch::default(), Watcher::default());
        for _ in 0..3 {
            let (call, _) = watch.begin();
            watch.end(call);
            assert_eq!(watcher.look(&watch), Sight::Quick);
        }
        assert_eq!(watcher.look(&watch), Sight::Idle);
    }
}

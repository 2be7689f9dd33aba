//! Asking for bells before a sleep: of one ring, or of many with one fence for all of them.

use std::time::Duration;

use super::Core;

/// Who waits for news, and may ask for a bell.
pub(crate) trait Sleeper {
    fn core(&self) -> &Core;
    /// Says that it sleeps, to those who bring news from now on. A heavy fence is to follow.
    fn announce(&mut self);
    /// What has to be done behind that fence, at `now_ms` of the common clock.
    fn settle(&mut self, now_ms: u64);
    /// Whether there is something to do, be it to tell an error.
    fn has_work(&mut self) -> bool;
    /// The longest sleep, after which to look again, bell or no bell.
    fn tick(&self) -> Duration;
    /// Records of the last look, if it left nothing behind; 0 if it did, or nobody counted.
    fn drained(&self) -> usize {
        0
    }
}

/// Asks for the bell of one.
pub(crate) fn arm(sleeper: &mut dyn Sleeper) {
    sleeper.announce();
    sleeper.core().heavy_fence();
    sleeper.settle(now_ms(sleeper.core()));
}

/// Asks for the bells of all that `all` visits, which it does twice, with one fence in between.
pub(crate) fn arm_all(mut all: impl FnMut(&mut dyn FnMut(&mut dyn Sleeper))) {
    all(&mut |sleeper| sleeper.announce());
    let mut fenced = None;
    all(&mut |sleeper| {
        let core = sleeper.core();
        let (everywhere, now_ms) =
            *fenced.get_or_insert_with(|| (core.heavy_fence(), now_ms(core)));
        if !everywhere {
            // It did not fence for this one's ring either.
            core.fences_alone();
        }
        sleeper.settle(now_ms);
    });
}

fn now_ms(core: &Core) -> u64 {
    core.environment.now_ns() / 1_000_000
}

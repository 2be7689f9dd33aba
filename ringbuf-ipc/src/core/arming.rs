//! Asking for bells before a sleep: of one ring, or of many with one fence for all of them.

use std::time::Duration;

use super::Core;

/// Who waits for news, and may ask for a bell.
pub(crate) trait Sleeper {
    fn core(&self) -> &Core;
    /// Says that it sleeps, to those who bring news from now on. A heavy fence is to follow.
    fn announce(&mut self);
    /// What has to be done behind that fence.
    fn settle(&mut self);
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
    sleeper.settle();
}

/// Asks for the bells of all that `all` visits, which it does twice, with one fence in between.
pub(crate) fn arm_all(mut all: impl FnMut(&mut dyn FnMut(&mut dyn Sleeper))) {
    all(&mut |sleeper| sleeper.announce());
    let mut fenced = None;
    all(&mut |sleeper| {
        match fenced {
            None => fenced = Some(sleeper.core().heavy_fence()),
            // It did not fence for this one's ring either.
            Some(false) => sleeper.core().fences_alone(),
            Some(true) => {}
        }
        sleeper.settle();
    });
}

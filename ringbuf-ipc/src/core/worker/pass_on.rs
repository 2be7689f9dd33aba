//! Waking another member for what this one does not come to.
//!
//! A wake costs more than a quick handler. So a member whose handlers are quick takes what is there one by one, and
//! wakes another only where there is more and more: nobody waits then who would be served sooner. Slow or quick is
//! learned from what lies between two takes. Whoever was quick, and now is not, has the next record that is published
//! wake another member, and those who sleep look by themselves at their [tick](super::Sleeper::tick).

use super::Worker;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::peers::Peers;

/// A record whose turn comes so soon waits less than another member takes to wake.
const SOON_NS: u64 = 50_000;
/// Who has had more than it could take for so long has another one help.
const TOO_MUCH_NS: u64 = 1_000_000;

/// How soon a member comes to the next record, in a row of takes of which each left some.
#[derive(Debug)]
pub(super) struct Speed {
    /// Nanoseconds a record, lately.
    each_ns: u64,
    /// When it was looked at last; `None` where nothing was left since.
    looked_at: Option<u64>,
    /// Records taken since.
    taken: u64,
    /// Since when there was always more, or since another was woken.
    busy_since: u64,
}

impl Default for Speed {
    /// Slow, until it is known.
    fn default() -> Self {
        Self { each_ns: 1_000_000_000, looked_at: None, taken: 0, busy_since: 0 }
    }
}

impl Speed {
    /// Nothing is left: what comes next is not waited for by others.
    pub(super) const fn rests(&mut self) {
        self.looked_at = None;
        self.taken = 0;
    }

    /// So many were taken, and there are more: whether another member is to be woken.
    fn is_short(&mut self, taken: usize, now: u64) -> bool {
        let Some(looked_at) = self.looked_at.replace(now) else {
            (self.taken, self.busy_since) = (taken as u64, now);
            return self.each_ns > SOON_NS;
        };
        let each_ns = now.saturating_sub(looked_at) / self.taken.max(1);
        self.taken = taken as u64;
        // A slow one is believed at once.
        self.each_ns = each_ns.max(self.each_ns.saturating_sub(self.each_ns / 8));
        let is_short = self.each_ns > SOON_NS || now.saturating_sub(self.busy_since) > TOO_MUCH_NS;
        if is_short {
            self.busy_since = now;
        }
        is_short
    }
}

impl Worker {
    /// Wakes another member when there is more than this one has taken, and it would wait for this one.
    pub(super) fn hand_on_if_slow(&mut self, taken: usize) {
        if !self.leaves_some() || !self.is_anybody_asleep() {
            self.speed.taken += taken as u64;
            return;
        }
        let now = self.neighbours.now_ns();
        if self.speed.is_short(taken, now) {
            self.hand_on();
        }
    }

    /// Wakes another member when there is more than this one has taken.
    pub(crate) fn hand_on(&self) {
        if !self.leaves_some() {
            return;
        }
        let seat = &self.post.seat;
        seat.core.light_fence();
        if self.is_anybody_asleep() {
            seat.core.count(seat.group, group::HANDED, 1);
            seat.core.wake_some(seat.group, 1);
        }
    }

    /// In a sticky group nobody else may have it.
    fn leaves_some(&self) -> bool {
        self.desk.lanes.is_any_ready() && !self.share.is_sticky()
    }

    fn is_anybody_asleep(&self) -> bool {
        let seat = &self.post.seat;
        let sleepers = seat.core.layout.group(seat.group) + group::SLEEPERS;
        seat.core.memory.load(sleepers, Ordering::Relaxed) != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::core::arming::Sleeper;
    use crate::core::worker::WorkerTerms;
    use crate::core::worker::tests::Scene;

    /// Takes records one by one, each so long after the one before; how many had another member woken.
    fn woken(speed: &mut Speed, from: &mut u64, records: u64, apart_ns: u64) -> u64 {
        (0..records)
            .map(|_| {
                *from += apart_ns;
                u64::from(speed.is_short(1, *from))
            })
            .sum()
    }

    #[test]
    fn others_are_woken_for_what_waits_for_slow_handlers_and_not_for_quick_ones() {
        let (mut speed, mut now) = (Speed::default(), 0);
        assert_eq!(woken(&mut speed, &mut now, 10, 100_000_000), 10, "slow");
        assert!(woken(&mut speed, &mut now, 300, 2_000) > 50, "that it is quick has to be learned");
        speed.rests();
        assert_eq!(woken(&mut speed, &mut now, 300, 2_000), 0, "quick");
        // Of a row that ended nothing is known.
        now += 5_000_000_000;
        speed.rests();
        assert_eq!(woken(&mut speed, &mut now, 300, 2_000), 0, "still");
        assert_eq!(woken(&mut speed, &mut now, 1, 1_000_000), 1, "one that was slow is believed");
    }

    #[test]
    fn who_always_has_more_than_it_takes_has_help_now_and_then() {
        let mut speed = Speed { each_ns: 0, ..Speed::default() };
        let mut now = 0;
        let woken = woken(&mut speed, &mut now, 5_000, 2_000);
        assert!((8..=10).contains(&woken), "{woken} in 10 ms");
    }

    /// Nobody is woken for what a quick one leaves, unless it says that it takes no more.
    #[test]
    fn a_take_that_leaves_some_wakes_a_sleeper_where_handlers_are_slow() {
        let mut scene = Scene::of("pass-on", 16);
        let join = |scene: &Scene| {
            let terms = WorkerTerms { attempts: 0, once: false, key: None, tags: None };
            Worker::join(scene.producer.ring().core(), &scene.group, Some(1), terms).unwrap()
        };
        let (mut worker, mut sleeper) = (join(&scene), join(&scene));
        let core = scene.producer.ring().core().clone();
        let handed = core.layout.group(0) + group::HANDED;
        let mut passed = |scene: &mut Scene, worker: &mut Worker, is_quick: bool| {
            (0..3).for_each(|key| assert!(scene.put(key)));
            sleeper.announce();
            let each_ns = if is_quick { 0 } else { SOON_NS + 1 };
            worker.speed = Speed { each_ns, ..Speed::default() };
            let before = core.memory.load(handed, Ordering::Relaxed);
            let mut taken = Vec::new();
            assert!(worker.take(1, &mut taken).unwrap().is_some());
            let by_take = core.memory.load(handed, Ordering::Relaxed) - before;
            worker.hand_on();
            (by_take, core.memory.load(handed, Ordering::Relaxed) - before)
        };
        assert_eq!(passed(&mut scene, &mut worker, true), (0, 1), "quick");
        assert_eq!(passed(&mut scene, &mut worker, false).0, 1, "slow");
    }

    #[test]
    fn records_taken_together_are_quick_together() {
        let mut speed = Speed { each_ns: 0, ..Speed::default() };
        assert!(!speed.is_short(64, 0));
        assert!(!speed.is_short(64, 640_000), "10 microseconds each");
        assert_eq!(speed.each_ns, 10_000);
    }
}

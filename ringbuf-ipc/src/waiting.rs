//! Waiting for one ring, and asking for bells of many.

use std::fmt;
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::core::arming::{self, Sleeper};
use crate::pace::{Pace, Pacer};
use crate::ring::Ring;
use crate::spin::Spin;
use crate::{Member, Observer, Worker};

/// A reader of any kind that is about to sleep, for [`arm_all`].
pub struct Sleeping<'a>(&'a mut dyn Sleeper);

impl fmt::Debug for Sleeping<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sleeping").finish_non_exhaustive()
    }
}

impl<'a> From<&'a mut Member> for Sleeping<'a> {
    fn from(member: &'a mut Member) -> Self {
        Self(&mut member.reader)
    }
}

impl<'a> From<&'a mut Worker> for Sleeping<'a> {
    fn from(worker: &'a mut Worker) -> Self {
        Self(&mut worker.inner)
    }
}

impl<'a> From<&'a mut Observer> for Sleeping<'a> {
    fn from(observer: &'a mut Observer) -> Self {
        Self(&mut observer.watcher)
    }
}

/// Has bells rung at the next news for any of many readers: as `arm` of each, but with one barrier of the
/// kernel for all of them, since each interrupts every processor that runs a program of any namespace.
///
/// `visit` gives every reader to its argument. It is called twice, and visits the same ones both times.
/// Look for work of each once more before waiting: what was there already rings no bell.
///
/// ```no_run
/// # use mixcord_ring::{Bell, Member, arm_all};
/// # fn example(bell: &Bell, members: &mut [Member]) {
/// let ticket = bell.ticket();
/// arm_all(|arm| members.iter_mut().for_each(|member| arm(member.into())));
/// if !members.iter_mut().any(Member::has_work) {
///     let tick = members.iter().map(Member::tick).min();
///     bell.wait(ticket, tick.unwrap_or_default());
/// }
/// # }
/// ```
pub fn arm_all(mut visit: impl FnMut(&mut dyn FnMut(Sleeping<'_>))) {
    arming::arm_all(|each| visit(&mut |sleeping: Sleeping<'_>| each(sleeping.0)));
}

/// Whether a ring's producer lives, asked of the kernel once a tick at most: for those who look at every turn
/// of a loop.
#[derive(Debug, Default)]
pub struct Pulse {
    /// When a producer was there last.
    felt: Option<Instant>,
}

impl Pulse {
    /// How long it holds that a producer lives.
    pub const TICK: Duration = Duration::from_millis(100);

    /// Knows nothing yet: the first look asks.
    pub const fn new() -> Self {
        Self { felt: None }
    }

    /// Whether the ring has no producer: true is so now, false may be a [tick](Self::TICK) old.
    pub fn is_gone(&mut self, ring: &Ring) -> bool {
        let now = Instant::now();
        if self.felt.is_some_and(|felt| now.saturating_duration_since(felt) < Self::TICK) {
            return false;
        }
        self.felt = ring.producer_alive().then_some(now);
        self.felt.is_none()
    }
}

/// How one reader waits for its ring.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) pacer: Pacer,
    spin: Spin,
    bell: Bell,
}

impl Waiting {
    pub(crate) fn new(bell: &Bell) -> Self {
        Self { pacer: Pacer::default(), spin: Spin::new(), bell: bell.clone() }
    }

    /// Waits until there is work, or `timeout` is over; whether there is work.
    pub(crate) fn wait(&mut self, reader: &mut dyn Sleeper, timeout: Duration) -> bool {
        let end = Instant::now().checked_add(timeout);
        let left =
            || end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        loop {
            let nap = self.rest(reader);
            if nap.is_none() && self.look(reader) {
                return true;
            }
            let ticket = self.bell.ticket();
            if nap.is_none() {
                arming::arm(reader);
            }
            if reader.has_work() {
                return true;
            }
            let left = left();
            if left.is_zero() {
                return false;
            }
            match nap {
                // Of what was not asked for, nobody rings; a stop, or another ring's news, still do.
                Some(nap) => drop(self.bell.wait(ticket, left.min(nap))),
                None => self.spin.sleep(&self.bell, ticket, left.min(reader.tick())),
            }
        }
    }

    /// Waits until there is work. `bell` must be over this reader's bell.
    #[cfg(feature = "tokio")]
    pub(crate) async fn ready(
        &mut self,
        reader: &mut (dyn Sleeper + Send),
        bell: &crate::AsyncBell,
    ) {
        while !reader.has_work() {
            let ticket = bell.ticket();
            let nap = self.rest(reader);
            if nap.is_none() {
                arming::arm(reader);
                if reader.has_work() {
                    return;
                }
            }
            bell.notified_within(ticket, nap.unwrap_or_else(|| reader.tick())).await;
        }
    }

    fn rest(&mut self, reader: &dyn Sleeper) -> Option<Duration> {
        if reader.core().producer_waits() {
            self.pacer.hurry();
        }
        self.pacer.rest()
    }

    /// Looks for a while before a sleep.
    fn look(&mut self, reader: &mut dyn Sleeper) -> bool {
        if self.pacer.pace() == Pace::LowCpu {
            return reader.has_work();
        }
        let drained = reader.drained();
        self.spin.look_after(drained, || reader.has_work())
            || self.spin.linger(self.pacer.linger(), || reader.has_work())
    }
}

//! One event that is out with a handler, and what becomes of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use mixcord_event::Kind;
use mixcord_ring::{Delivery, Records, Settle, SettleError, Settled};

use super::meter::count;
use super::policy::Mode;
use super::{Corpse, Team};
use crate::received::Identity;

/// Shared by all clones of the event. When the last is dropped and it is not settled, it failed.
pub(crate) struct Out {
    team: Arc<Team>,
    number: u64,
    records: Arc<Records>,
    /// `None` once it is settled.
    delivery: Mutex<Option<Delivery>>,
    kind: Kind,
    identity: Identity,
    attempt: u32,
    given: Instant,
    /// When its handler last said that it works on, in milliseconds since `given`.
    renewed_ms: AtomicU64,
    warned: AtomicBool,
    expired: AtomicBool,
    keeper: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// Who has the event, and so what its timeout can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The program itself, which called `next`: it is taken back.
    Program = 0,
    /// A task, whose future is dropped.
    Task = 1,
    /// A thread, which cannot be ended: it keeps its key until it returns.
    Thread = 2,
    /// Nobody yet: it waits for its task or thread. After as long as its handler may have it is given back, for
    /// a member that has one.
    Queue = 3,
}

/// What is to become of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How<'a> {
    Ack,
    /// After the policy's pause.
    Fail(&'a str),
    Retry(Duration, &'a str),
    GiveUp(&'a str),
    /// Its consumer ends. Counted as given, but never the last straw.
    Leave,
}

impl Out {
    pub(super) fn new(
        team: &Arc<Team>,
        number: u64,
        delivery: Delivery,
        kind: Kind,
        identity: Identity,
    ) -> Self {
        Self {
            team: Arc::clone(team),
            number,
            records: delivery.records(),
            attempt: delivery.attempt().into(),
            delivery: Mutex::new(Some(delivery)),
            kind,
            identity,
            given: Instant::now(),
            renewed_ms: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            keeper: AtomicU8::new(Keeper::Program as u8),
            waker: Mutex::new(None),
        }
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.records.get(0).map_or(&[], |entry| entry.payload)
    }

    pub(crate) fn position(&self) -> Option<u64> {
        Some(self.records.get(0)?.position)
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(super) fn given(&self) -> Instant {
        self.given
    }

    /// Passes it on; its time begins anew. False where it was taken back by then, so that nobody is to handle it.
    pub(crate) fn keep_as(&self, keeper: Keeper) -> bool {
        // Under the lock: it is not taken back between the look and the change.
        let delivery = lock(&self.delivery);
        self.renew();
        self.keeper.store(keeper as u8, Ordering::Release);
        delivery.is_some()
    }

    /// Gives it back as it came, if nobody has begun with it.
    fn take_back(&self, reason: &str) {
        let mut delivery = lock(&self.delivery);
        if self.keeper.load(Ordering::Acquire) != Keeper::Queue as u8 {
            return;
        }
        let Some(taken) = delivery.take() else { return };
        drop(delivery);
        self.team.strike(self.number);
        let Self { kind, identity, attempt, .. } = self;
        let (group, kind) = (self.team.group(), kind.name());
        tracing::warn!(group, kind, %identity, attempt, reason, "an event is given back");
        // Dropped without a word, anybody may have it at once, and nothing is counted.
        drop(taken);
        self.team.ring();
    }

    /// Settles the event; only the first call counts. `true` when this one did.
    pub(crate) fn settle(&self, how: How<'_>) -> bool {
        let Some(delivery) = lock(&self.delivery).take() else { return false };
        self.team.strike(self.number);
        self.finish(delivery, how);
        self.team.ring();
        true
    }

    /// The handler is still at work: its time begins anew.
    pub(crate) fn renew(&self) {
        let since = u64::try_from(self.given.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.renewed_ms.store(since, Ordering::Relaxed);
        self.warned.store(false, Ordering::Relaxed);
    }

    /// Whether its handler is to be given up.
    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire) && lock(&self.delivery).is_some()
    }

    /// Wakes this task when the event's time is up.
    pub(crate) fn wake_with(&self, waker: &Waker) {
        let mut known = lock(&self.waker);
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Looks whether its handler takes too long.
    pub(super) fn watch(&self, timeout: Duration) {
        let keeper = self.keeper.load(Ordering::Acquire);
        let renewed = Duration::from_millis(self.renewed_ms.load(Ordering::Relaxed));
        let at_work = self.given.elapsed().saturating_sub(renewed);
        if at_work < timeout / 2 || lock(&self.delivery).is_none() {
            return;
        }
        let Self { kind, identity, attempt, .. } = self;
        let (group, seconds) = (self.team.group(), at_work.as_secs_f32());
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                group, kind = kind.name(), %identity, attempt, seconds, timeout = ?timeout,
                "a handler is still at work, or does not come to it; what comes after its event waits"
            );
        }
        if at_work < timeout || self.expired.load(Ordering::Relaxed) {
            return;
        }
        match keeper {
            keeper if keeper == Keeper::Queue as u8 => {
                self.take_back("no task or thread came to handle it within its time");
            }
            keeper if keeper == Keeper::Task as u8 => {
                self.expired.store(true, Ordering::Release);
                if let Some(waker) = lock(&self.waker).take() {
                    waker.wake();
                }
            }
            keeper if keeper == Keeper::Thread as u8 => {
                self.expired.store(true, Ordering::Release);
                tracing::error!(
                    group, kind = kind.name(), %identity, attempt, seconds,
                    "a handler outlived its timeout; a thread cannot be ended, so its key waits until it returns"
                );
            }
            _ => {
                self.settle(How::Fail(&format!("not settled within {timeout:?}")));
            }
        }
    }

    fn finish(&self, delivery: Delivery, how: How<'_>) {
        let (team, policy) = (&self.team, &self.team.policy);
        let counters = &team.counters;
        let position = delivery.position();
        let at_limit = policy.attempts != 0 && self.attempt >= policy.attempts.into();
        let failed = |after, reason| Settle::Retry { after, reason };
        let settle = match how {
            How::Ack => Settle::Ack,
            How::Leave if policy.mode == Mode::AtMostOnce => Settle::Ack,
            How::Leave if at_limit => Settle::Back,
            How::Leave => failed(Duration::ZERO, "its consumer ended while it was out"),
            How::Fail(reason) => failed(policy.pause(self.attempt), reason),
            How::Retry(after, reason) => failed(after, reason),
            How::GiveUp(reason) => Settle::Dead { reason },
        };
        let Self { kind, identity, attempt, .. } = self;
        let (group, kind) = (team.group(), kind.name());
        if let How::Fail(reason) | How::Retry(_, reason) = how {
            count(&counters.failed);
            tracing::warn!(group, kind, %identity, attempt, reason, "the handler failed");
        }
        let settle = match settle {
            Settle::Retry { .. } if policy.mode == Mode::AtMostOnce => Settle::Ack,
            settle => settle,
        };
        match delivery.settle(settle) {
            Ok(Settled::Done) if matches!(how, How::Ack) => count(&counters.handled),
            Ok(Settled::Dead { dropped }) => {
                let (How::Fail(reason) | How::Retry(_, reason) | How::GiveUp(reason)) = how else {
                    return;
                };
                count(&counters.dead);
                tracing::error!(
                    group, kind, %identity, attempt, reason,
                    "given up: kept as a dead letter; see `mixcord groups dead {group}`"
                );
                team.tell_dropped(&dropped);
                let records = Arc::clone(&self.records);
                team.bury(Corpse { records, attempt: *attempt, reason });
            }
            Ok(_) => {}
            Err(SettleError::Removed) => {
                tracing::debug!(group, kind, %identity, "settled too late: its group was removed or moved");
            }
            Err(error) => {
                tracing::error!(group, kind, %identity, position, %error, "an event could not be settled");
            }
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.settle(How::Fail("dropped without being acknowledged"));
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out").field("identity", &self.identity).finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Identify permits: one queue per token, in this process and across processes (G-13 to G-16).
//!
//! Inside the process the shards of a bucket are served in the order of their numbers; between
//! processes whoever comes first to the common book is served first.

mod book;
mod file;
mod shared;
mod spare;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mixcord_event::figures::Budget;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::discovery::StartLimit;
pub use book::{Book, Claim, Rules, Wish};
pub use file::{BookFile, Permit};
pub use shared::Shared;
use shared::SharedPermit;

/// How long a shard waits for lower ones that were announced and have not come.
const COURTESY: Duration = Duration::from_secs(5);

/// How long another process may have the queue before that is told, and how often it is told then.
const HELD_FOR: Duration = Duration::from_secs(3);
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The queue of this process.
#[derive(Debug)]
pub struct Gate {
    file: BookFile,
    /// Where gateways of other machines use the token, too.
    shared: Option<Shared>,
    /// Time between two identifies of a bucket.
    spacing: Duration,
    /// What Discord said last; before that nobody may identify.
    told: Mutex<Option<Told>>,
    /// Shards that wait (true) or are expected to (false).
    waiting: Mutex<BTreeMap<u16, bool>>,
    moved: Notify,
    doubt: Notify,
    /// When it was told last that another process has the queue.
    told_held: Mutex<Option<Instant>>,
    /// What is left, as Discord said last, less what was granted here since. For people: the book decides.
    budget: Mutex<Option<Budget>>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    rules: Rules,
    /// Until then shards that are expected are waited for.
    patient_until: Instant,
    /// How often Discord said something.
    heard: u64,
}

impl Gate {
    /// A queue in which `expected` shards will ask for their first permit soon. Nobody gets one before
    /// [`tell`](Self::tell).
    pub fn new(file: BookFile, spacing: Duration, expected: impl IntoIterator<Item = u16>) -> Self {
        Self {
            file,
            shared: None,
            spacing,
            told: Mutex::new(None),
            waiting: Mutex::new(expected.into_iter().map(|shard| (shard, false)).collect()),
            moved: Notify::new(),
            doubt: Notify::new(),
            told_held: Mutex::new(None),
            budget: Mutex::new(None),
        }
    }

    /// Takes over what `GET /gateway/bot` says of the budget: also of what others have used.
    ///
    /// # Errors
    /// When the common book cannot be used.
    pub async fn tell(&self, limit: &StartLimit) -> io::Result<()> {
        let rules = Rules {
            max_concurrency: limit.max_concurrency,
            total: limit.total,
            spacing: self.spacing,
        };
        let (file, remaining) = (self.file.clone(), limit.remaining);
        let reset_after = Duration::from_millis(limit.reset_after);
        // The book first: whoever waits asks it as soon as there are rules.
        let told = tokio::task::spawn_blocking(move || file.tell(remaining, reset_after, &rules));
        if !told.await.map_err(io::Error::other)?? {
            tracing::warn!(
                "another process holds the common identify queue and does not let go (is a mixcord-gateway \
                 stopped?): identifies wait for it"
            );
        }
        let (at_us, whole_in) = (crate::shard::now_us(), Duration::from_millis(limit.reset_after));
        let whole_us =
            at_us.saturating_add(u64::try_from(whole_in.as_micros()).unwrap_or(u64::MAX));
        *lock(&self.budget) =
            Some(Budget { at_us, left: limit.remaining, total: limit.total, whole_us });
        self.set_rules(rules);
        Ok(())
    }

    /// What is left of the day's identifies, as far as this process knows.
    pub fn budget(&self) -> Option<Budget> {
        *lock(&self.budget)
    }

    fn set_rules(&self, rules: Rules) {
        let mut told = lock(&self.told);
        let first = || Instant::now() + COURTESY.min(self.spacing);
        let patient_until = told.map_or_else(first, |told| told.patient_until);
        let heard = told.map_or(1, |told| told.heard + 1);
        *told = Some(Told { rules, patient_until, heard });
        drop(told);
        self.moved.notify_waiters();
    }

    /// Waits until `shard` may identify. Dropping the future gives the place up.
    ///
    /// # Errors
    /// When the common book cannot be used.
    pub async fn permit(&self, shard: u16, failures: u32) -> io::Result<Permit> {
        let mut warned = false;
        let wish = Wish { shard, failures, keep: 0 };
        let mut held_since = None;
        let mut shared = None;
        loop {
            let place = Place::take(self, shard);
            let told = self.turn(shard, ..shard, &mut shared).await;
            match self.claim(wish, told.rules, &mut shared).await? {
                Ok(permit) => {
                    self.count_granted();
                    return Ok(permit);
                }
                Err(Claim::Granted) => {}
                Err(claim @ Claim::Wait(wait)) => {
                    if claim == file::HELD {
                        self.tell_held(shard, *held_since.get_or_insert_with(Instant::now));
                    } else {
                        held_since = None;
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(claim @ (Claim::Paced(wait) | Claim::Spent(wait))) => {
                    drop(place);
                    if !std::mem::replace(&mut warned, true) {
                        warn(shard, claim, wait);
                    }
                    self.doubt.notify_one();
                    self.rest(wait, told).await;
                }
            }
        }
    }

    fn count_granted(&self) {
        if let Some(budget) = lock(&self.budget).as_mut() {
            budget.left = budget.left.saturating_sub(1);
            budget.at_us = crate::shard::now_us();
        }
    }

    /// Tells of a lock that another process does not let go.
    fn tell_held(&self, shard: u16, since: Instant) {
        let mut told = lock(&self.told_held);
        let now = Instant::now();
        let lately = told.is_some_and(|told| now.duration_since(told) < TELL_EVERY);
        if lately || now.duration_since(since) < HELD_FOR {
            return;
        }
        *told = Some(now);
        drop(told);
        let (file, held_s) = (self.file.path().display(), now.duration_since(since).as_secs());
        tracing::warn!(
            shard, held_s, %file,
            "another process holds the lock on the common identify queue and does not let go: look for a stopped \
             mixcord-gateway (`fuser` names it) and continue or end it; identifies wait for it"
        );
    }

    /// Until a shard is held up by what Discord said: it may say something else by now.
    pub async fn doubt(&self) {
        self.doubt.notified().await;
    }

    /// Waits for minutes, maybe, without a place in the queue: whoever has not failed goes first. Ends
    /// early when Discord says something new: anything after `told`, by which the book was asked, for
    /// its answer may be older than what Discord said meanwhile.
    async fn rest(&self, wait: Duration, told: Told) {
        let news = async {
            loop {
                let moved = self.moved.notified();
                if lock(&self.told).is_some_and(|latest| latest.heard != told.heard) {
                    return;
                }
                moved.await;
            }
        };
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Waits until Discord said how many may identify, and none of `before` is in the queue of `shard`'s bucket. What
    /// other machines gave is given back before that is waited for: those of `before` need it themselves.
    async fn turn(
        &self,
        shard: u16,
        before: impl RangeBounds<u16> + Copy,
        shared: &mut Option<SharedPermit>,
    ) -> Told {
        loop {
            let moved = self.moved.notified();
            let Some(told) = *lock(&self.told) else {
                moved.await;
                continue;
            };
            let patient = Instant::now() < told.patient_until;
            if self.is_first(shard, before, &told.rules, patient) {
                return told;
            }
            *shared = None;
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(told.patient_until), if patient => {}
            }
        }
    }

    /// Asks the other machines first: their answer may take long, and until then nothing of this one is taken. What
    /// they gave is in `shared` then, and [`Claim::Granted`] the answer: come again with it, as by now it may be another
    /// one's turn, and Discord may have said something else.
    async fn claim(
        &self,
        wish: Wish,
        rules: Rules,
        shared: &mut Option<SharedPermit>,
    ) -> io::Result<Result<Permit, Claim>> {
        if let Some(others) = &self.shared
            && !shared.as_ref().is_some_and(|permit| permit.serves(wish.shard, &rules))
        {
            *shared = None;
            // Nobody elsewhere waits for what is refused here.
            let claim = self.look(wish, rules).await?;
            if claim == Claim::Granted {
                *shared = Some(others.permit(wish.shard, &rules).await);
            }
            return Ok(Err(claim));
        }
        let file = self.file.clone();
        let claim = move || file.claim(wish, &rules);
        let claim = tokio::task::spawn_blocking(claim).await.map_err(io::Error::other)??;
        let is_kept = |refused: &Claim| {
            *refused == file::HELD && shared.as_ref().is_some_and(SharedPermit::is_new)
        };
        if claim.as_ref().is_err_and(|refused| !is_kept(refused)) {
            *shared = None;
        }
        Ok(claim.map(|permit| permit.with(shared.take())))
    }

    /// What [`Self::claim`] would be told here now.
    async fn look(&self, wish: Wish, rules: Rules) -> io::Result<Claim> {
        let file = self.file.clone();
        let look = move || file.look(wish, &rules);
        tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
    }

    /// Is none of `before` in the queue of `shard`'s bucket?
    fn is_first(
        &self,
        shard: u16,
        before: impl RangeBounds<u16>,
        rules: &Rules,
        patient: bool,
    ) -> bool {
        let concurrency = rules.max_concurrency.max(1);
        let bucket = |id: u16| u32::from(id) % concurrency;
        !lock(&self.waiting)
            .range(before)
            .any(|(other, present)| bucket(*other) == bucket(shard) && (*present || patient))
    }
}

fn warn(shard: u16, claim: Claim, wait: Duration) {
    let why = match claim {
        Claim::Paced(_) => {
            "sessions of this token do not last: identifies after failures are paced"
        }
        _ => "the day's budget of identifies is used up: the shard waits until it is whole again",
    };
    tracing::warn!(shard, wait_s = wait.as_secs(), "{why}");
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    gate: &'a Gate,
    shard: u16,
}

impl<'a> Place<'a> {
    fn take(gate: &'a Gate, shard: u16) -> Self {
        lock(&gate.waiting).insert(shard, true);
        Self { gate, shard }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.gate.waiting).remove(&self.shard);
        self.gate.moved.notify_waiters();
    }
}

/// A panic elsewhere leaves these small tables whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

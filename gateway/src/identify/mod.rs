//! Identify permits: one queue per token, in this process and across processes (G-13 to G-16).
//!
//! Inside the process the shards of a bucket are served in the order of their numbers; between
//! processes whoever comes first to the common book is served first.

mod book;
mod file;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::discovery::StartLimit;
pub use book::{Book, Claim, Rules};
pub use file::BookFile;

/// How long a shard waits for lower ones that were announced and have not come.
const COURTESY: Duration = Duration::from_secs(5);

/// The queue of this process.
#[derive(Debug)]
pub struct Gate {
    file: BookFile,
    rules: Mutex<Rules>,
    /// Shards that wait (true) or are expected to (false).
    waiting: Mutex<BTreeMap<u16, bool>>,
    moved: Notify,
    until: Instant,
}

impl Gate {
    /// A queue in which `expected` shards will ask for their first permit soon.
    pub fn new(file: BookFile, rules: Rules, expected: impl IntoIterator<Item = u16>) -> Self {
        Self {
            file,
            rules: Mutex::new(rules),
            waiting: Mutex::new(expected.into_iter().map(|shard| (shard, false)).collect()),
            moved: Notify::new(),
            until: Instant::now() + COURTESY.min(rules.spacing),
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
            spacing: self.rules().spacing,
        };
        self.set_rules(rules);
        let (file, remaining) = (self.file.clone(), limit.remaining);
        let reset_after = Duration::from_millis(limit.reset_after);
        tokio::task::spawn_blocking(move || file.tell(remaining, reset_after, &rules))
            .await
            .map_err(io::Error::other)?
    }

    fn set_rules(&self, rules: Rules) {
        *lock(&self.rules) = rules;
        self.moved.notify_waiters();
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        *lock(&self.rules)
    }

    /// Waits until `shard` may identify. Dropping the future gives the place up.
    ///
    /// # Errors
    /// When the common book cannot be used.
    pub async fn permit(&self, shard: u16, failures: u32) -> io::Result<()> {
        loop {
            let place = Place::take(self, shard);
            self.turn(shard).await;
            match self.claim(shard, failures).await? {
                Claim::Granted => return Ok(()),
                Claim::Wait(wait) => tokio::time::sleep(wait).await,
                Claim::Spent(wait) => {
                    // Hours, maybe: whoever has not failed goes first until then.
                    drop(place);
                    tracing::warn!(
                        shard,
                        wait_s = wait.as_secs(),
                        "the day's budget of identifies, or the part of it for sessions that do not last, is used up"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Waits until nobody of the bucket is before `shard`.
    async fn turn(&self, shard: u16) {
        loop {
            let moved = self.moved.notified();
            if self.is_first(shard) {
                return;
            }
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep_until(self.until), if Instant::now() < self.until => {}
            }
        }
    }

    async fn claim(&self, shard: u16, failures: u32) -> io::Result<Claim> {
        let (file, rules) = (self.file.clone(), self.rules());
        let claim = tokio::task::spawn_blocking(move || file.claim(shard, failures, &rules)).await;
        claim.map_err(io::Error::other)?
    }

    /// The shard expects no first permit after all: it resumes.
    pub fn unexpect(&self, shard: u16) {
        let mut waiting = lock(&self.waiting);
        if waiting.get(&shard) == Some(&false) {
            waiting.remove(&shard);
        }
        drop(waiting);
        self.moved.notify_waiters();
    }

    /// Is nobody with a lower number before `shard` in its bucket?
    fn is_first(&self, shard: u16) -> bool {
        let concurrency = self.rules().max_concurrency.max(1);
        let bucket = |id: u16| u32::from(id) % concurrency;
        let patient = Instant::now() < self.until;
        !lock(&self.waiting)
            .range(..shard)
            .any(|(other, present)| bucket(*other) == bucket(shard) && (*present || patient))
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Fingerprint;

    fn gate(folder: &std::path::Path, max_concurrency: u32, expected: &[u16]) -> Arc<Gate> {
        let file = BookFile::new(&folder.join("book"), Fingerprint([7; 16])).expect("made");
        let rules = Rules { max_concurrency, spacing: Duration::from_millis(30), total: 1_000 };
        Arc::new(Gate::new(file, rules, expected.iter().copied()))
    }

    /// §15 line 12: buckets in order, 0…c-1, then c…2c-1.
    #[tokio::test]
    async fn g14_lower_shards_identify_first_whoever_asks_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path(), 2, &[0, 1, 2, 3, 4, 5]);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [5, 4, 3, 2, 1, 0]
            .map(|shard| {
                let (gate, order) = (gate.clone(), order.clone());
                tokio::spawn(async move {
                    gate.permit(shard, 0).await.expect("granted");
                    lock(&order).push(shard);
                })
            })
            .into();
        for task in tasks {
            task.await.expect("no panic");
        }
        let order = lock(&order).clone();
        for bucket in 0..2 {
            let of_bucket: Vec<_> = order.iter().copied().filter(|s| s % 2 == bucket).collect();
            assert!(of_bucket.is_sorted(), "{order:?}");
        }
    }

    #[tokio::test]
    async fn a_shard_that_never_comes_or_leaves_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path(), 1, &[0, 1, 2]);
        gate.unexpect(0);
        // Shard 1 asks and goes away again.
        let given_up = tokio::time::timeout(Duration::ZERO, gate.permit(1, 0)).await;
        let _ = given_up;
        gate.permit(2, 0).await.expect("granted");
    }

    /// A shard whose failures have used up the budget waits for hours, and nobody behind it does.
    #[tokio::test]
    async fn g16_a_shard_that_waits_for_the_budget_lets_others_of_its_bucket_pass() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path(), 1, &[]);
        gate.set_rules(Rules { total: 4, ..gate.rules() });
        gate.permit(0, 1).await.expect("the only identify for failures");
        let spent = tokio::spawn({
            let gate = gate.clone();
            async move { gate.permit(0, 1).await }
        });
        while !lock(&gate.waiting).contains_key(&0) {
            tokio::task::yield_now().await;
        }
        tokio::time::timeout(Duration::from_secs(30), gate.permit(1, 0))
            .await
            .expect("shard 1 does not wait for shard 0")
            .expect("granted");
        assert!(!spent.is_finished());
        spent.abort();
    }
}

//! The identify budget of the token (G-13, G-14), and what `/gateway/bot` says of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Config;

/// After this time the budget is whole again.
const DAY: Duration = Duration::from_secs(86_400);
/// Discord's smallest budget.
const TOTAL: u64 = 1_000;

/// The budget, shared by all connections.
#[derive(Debug)]
pub(crate) struct Budget {
    account: Mutex<Account>,
    /// How long a bucket stays closed after an IDENTIFY.
    pause: Duration,
}

/// What is left of the budget, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// IDENTIFYs a day.
    pub(crate) total: u64,
    /// Those that are left of them.
    pub(crate) remaining: u64,
    /// When all of them are left again.
    pub(crate) whole_at: Instant,
    /// Buckets: IDENTIFYs at once.
    pub(crate) max_concurrency: u64,
    /// The last IDENTIFY of each bucket.
    used: HashMap<u64, Instant>,
}

impl Budget {
    pub(crate) fn new(config: &Config) -> Self {
        let account = Account {
            total: config.identifies.max(TOTAL),
            remaining: config.identifies,
            whole_at: Instant::now() + DAY,
            max_concurrency: config.max_concurrency,
            used: HashMap::new(),
        };
        let pause = Duration::try_from_secs_f64(config.identify_seconds).unwrap_or_default();
        Self { account: Mutex::new(account), pause }
    }

    /// The account as it is now.
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now >= account.whole_at {
            account.remaining = account.total;
            account.whole_at = now + DAY;
        }
        account
    }

    /// Takes an identify permit for the shard; false when it comes too soon (G-14).
    pub(crate) fn take(&self, shard: u64) -> bool {
        let mut account = self.account();
        let key = shard % account.max_concurrency.max(1);
        let now = Instant::now();
        if account.used.get(&key).is_some_and(|last| now.duration_since(*last) < self.pause) {
            return false;
        }
        account.used.insert(key, now);
        account.remaining = account.remaining.saturating_sub(1);
        true
    }
}

//! Receivers, as they tell in the bucket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_bridge::floors::{End, Floors, Report, Trim};
use mixcord_bridge::names;
use tokio::sync::watch;

use super::setting::Setting;
use crate::broker::{self, Bucket, Problem};
use crate::copying::Keeps;
use crate::failure::Failure;

/// How often receivers are asked for.
const LOOK: Duration = Duration::from_secs(1);

/// The most that a look counts for: while the broker is away nobody can tell anything, and grows no older.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// Before that nothing is trimmed: receivers that waited for the bucket say first that they are there.
const NEW_MS: u64 = 5_000;

/// Who receives, and how far they are.
#[derive(Debug)]
pub(super) struct Board {
    absence: Duration,
    /// `None` until the bucket was read once: before that nothing is trimmed.
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    floors: Floors,
    /// The time in which receivers could tell something, in milliseconds.
    clock_ms: u64,
    looked: Instant,
}

impl Board {
    pub(super) const fn new(absence: Duration) -> Self {
        Self { absence, known: Mutex::new(None) }
    }

    /// What of a stream may be trimmed; `None` where that is not known yet.
    pub(super) fn trim(&self, stream: &str, created: i64, ends: &[End]) -> Option<Trim> {
        let mut known = self.known();
        let known = known.as_mut().filter(|known| known.clock_ms >= NEW_MS)?;
        Some(known.floors.trim(known.clock_ms, stream, created, ends))
    }

    /// Whether that receiver is known: what it needs is not trimmed.
    fn knows(&self, receiver: &str) -> bool {
        self.known().as_ref().is_some_and(|known| known.floors.knows(receiver))
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what receivers told since the last time, and gives the names of those who are let go.
    fn heard(&self, reports: Vec<(String, Report)>) -> Vec<String> {
        let mut known = self.known();
        let known = known.get_or_insert_with(|| Known {
            floors: Floors::new(milliseconds(self.absence)),
            clock_ms: 0,
            looked: Instant::now(),
        });
        known.clock_ms += milliseconds(known.looked.elapsed().min(LOOK_MAX));
        known.looked = Instant::now();
        for (receiver, report) in reports {
            known.floors.heard(known.clock_ms, &receiver, report);
        }
        known.floors.silent(known.clock_ms)
    }
}

impl Keeps for Setting {
    /// All that the state does not have yet was in the rings when the receiver was known.
    fn keep(self: Arc<Self>, receiver: &str) -> Option<Box<dyn Send + Sync>> {
        self.board.knows(receiver).then(|| Box::new(()) as Box<dyn Send + Sync>)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the bucket until `stop` says so.
pub(super) async fn listen(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut seen = BTreeMap::new();
    let mut bucket = None;
    loop {
        if let Err(problem) = read(&setting, &mut bucket, &mut seen).await {
            bucket = None;
            tracing::debug!("floors: {problem}");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Takes in what is new since the last time.
async fn read(
    setting: &Setting,
    bucket: &mut Option<Bucket>,
    seen: &mut BTreeMap<String, u64>,
) -> Result<(), Problem> {
    let bucket = match bucket {
        Some(bucket) => bucket,
        None => {
            let about = format!("how far receivers of Mixcord instance {} are", setting.bot);
            let (name, replicas) = (names::floors(&setting.bot), setting.options.replicas);
            // Without it no receiver begins.
            let made = broker::create_bucket(&setting.broker, name, &about, replicas).await?;
            bucket.insert(made)
        }
    };
    let mut reports = Vec::new();
    for held in bucket.all().await? {
        if seen.insert(held.key.clone(), held.revision) == Some(held.revision) {
            continue;
        }
        match serde_json::from_slice(&held.value) {
            Ok(report) => reports.push((held.key, report)),
            Err(error) => {
                tracing::warn!(key = held.key, "what a receiver tells cannot be read: {error}");
            }
        }
    }
    for key in setting.board.heard(reports) {
        tracing::warn!(
            receiver = key,
            "silent for longer than --max-absence: it holds the log no longer, and is told what it lost when it \
             comes back"
        );
        seen.remove(&key);
        bucket.store.purge(&key).await.map_err(Problem::broker)?;
    }
    Ok(())
}

//! How far this process is, told to the senders.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_bridge::floors::Report;
use mixcord_bridge::names::{Lane, Shards};
use mixcord_bridge::place::Place;
use mixcord_event::topology;
use mixcord_ring::{Namespace, Ring};
use tokio::sync::watch;

use super::Setting;
use crate::broker::{self, Log, Problem, REMIND};
use crate::failure::Failure;

/// How often it is told, changed or not: who is silent is let go.
const TELL: Duration = Duration::from_millis(500);

/// What is told, and how much of it was.
#[derive(Debug)]
pub(super) struct Reporter {
    /// This receiver's number, the same over restarts.
    pub(super) id: u64,
    now: Mutex<Now>,
    /// Counts the changes that are stored.
    told: watch::Sender<u64>,
}

#[derive(Debug)]
struct Now {
    report: Report,
    changes: u64,
}

impl Reporter {
    /// As the mirrors that are there were written, or under a new number.
    pub(super) fn new(namespace: &Namespace, instance: &str, shards: Shards) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let place = format!("{instance} on {}", host.trim());
        let report = Report { place, shards: Some(shards), ..Report::default() };
        let now = Now { report, changes: 0 };
        let id = known(namespace).unwrap_or_else(random);
        Self { id, now: Mutex::new(now), told: watch::Sender::new(0) }
    }

    /// The key in the bucket.
    fn key(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// A lane is read up to this message of its log. Gives the change's number.
    pub(super) fn reached(&self, log: &Log, lane: Lane, sequence: u64) -> u64 {
        let mut now = self.now();
        let stream = now.report.streams.entry(log.name.clone()).or_default();
        if stream.created != log.created {
            (stream.created, stream.lanes) = (log.created, Default::default());
        }
        let before = stream.lanes.insert(lane.to_string(), sequence);
        if before != Some(sequence) {
            now.changes += 1;
        }
        now.changes
    }

    /// Waits until the change of that number is stored.
    pub(super) async fn stored(&self, change: u64) {
        let _ = self.told.subscribe().wait_for(|told| *told >= change).await;
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number under which this machine's mirrors were written before.
fn known(namespace: &Namespace) -> Option<u64> {
    let names = namespace.rings().ok()?;
    let rings = names.iter().filter(|name| topology::parse_shard_ring(name).is_some());
    let places =
        rings.filter_map(|name| Place::decode(&Ring::attach(namespace, name).ok()?.checkpoint()?));
    places.map(|place| place.receiver).find(|id| *id != 0)
}

/// A number that no other receiver has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Seeded by the system's randomness.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish() | 1
}

/// Tells it on a timer, for who has nothing new must be heard too, until `stop` says so.
pub(super) async fn tell(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut bucket = None;
    let mut reminded = Instant::now();
    loop {
        let reporter = &setting.reporter;
        let (report, changes) = {
            let now = reporter.now();
            (now.report.clone(), now.changes)
        };
        // From the start, before there is anything to read: so the log keeps what this machine has yet to find.
        match put(&setting, &mut bucket, &report).await {
            Ok(()) => {
                reporter.told.send_replace(changes);
            }
            Err(problem) => {
                bucket = None;
                if changes > 0 && reminded.elapsed() >= REMIND {
                    reminded = Instant::now();
                    tracing::warn!(
                        "how far this machine is cannot be told; shards that begin wait for that: {problem}"
                    );
                }
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(TELL) => {}
        }
    }
}

async fn put(
    setting: &Setting,
    bucket: &mut Option<async_nats::jetstream::kv::Store>,
    report: &Report,
) -> Result<(), Problem> {
    let store = match bucket {
        Some(store) => store,
        None => match broker::bucket(&setting.broker, &setting.bot).await? {
            Some(store) => bucket.insert(store),
            None => return Err(Problem::Broker("no sender has made the bucket yet".to_owned())),
        },
    };
    let value = serde_json::to_vec(report).map_err(Problem::broker)?;
    let put = store.put(setting.reporter.key(), value.into());
    put.await.map(drop).map_err(Problem::broker)
}

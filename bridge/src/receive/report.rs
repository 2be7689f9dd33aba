//! How far this process is, told to the senders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_bridge::floors::Report;
use mixcord_bridge::names::{self, Lane, Shards};
use mixcord_bridge::place::Place;
use mixcord_event::topology;
use mixcord_process::folder;
use mixcord_ring::{Namespace, Ring};
use tokio::sync::watch;

use crate::broker::{self, Broker, Bucket, Log, Problem, REMIND};
use crate::copying::Keeps;
use crate::failure::Failure;
use crate::{place, random};

/// How often it is told, changed or not: who is silent is let go.
const TELL: Duration = Duration::from_millis(500);

/// The file with this machine's number.
const NUMBER: &str = "receiver";

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
    /// Floors that are told no higher, while so many copies are given.
    held: Option<(Report, usize)>,
}

/// The change that says that this receiver is there.
pub(super) const FIRST: u64 = 1;

impl Reporter {
    /// As the mirrors that are there were written, or under a new number.
    pub(super) fn new(namespace: &Namespace, instance: &str, shards: Shards) -> Self {
        let report = Report { place: place(instance), shards: Some(shards), ..Report::default() };
        let now = Now { report, changes: FIRST, held: None };
        let id = number(namespace, &bridge_dir(instance));
        Self { id, now: Mutex::new(now), told: watch::Sender::new(0) }
    }

    /// The key in the bucket.
    pub(super) fn key(&self) -> String {
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

    /// A lane is this machine's own: it holds nothing of any log.
    pub(super) fn needs_nothing(&self, logs: &[Log], lane: Lane) {
        for log in logs {
            self.reached(log, lane, u64::MAX);
        }
    }

    /// Waits until the change of that number is stored.
    pub(super) async fn stored(&self, change: u64) {
        let _ = self.told.subscribe().wait_for(|told| *told >= change).await;
    }

    /// What is to be told, and up to which change that is.
    fn report(&self) -> (Report, u64) {
        let now = self.now();
        let mut report = now.report.clone();
        if let Some((held, _)) = &now.held {
            report.hold(held);
        }
        (report, now.changes)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Floors are held while it is there.
struct Held(Arc<Reporter>);

impl Keeps for Reporter {
    fn keep(self: Arc<Self>, _receiver: &str) -> Option<Box<dyn Send + Sync>> {
        let mut now = self.now();
        let report = now.report.clone();
        now.held.get_or_insert((report, 0)).1 += 1;
        drop(now);
        Some(Box::new(Held(self)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.held = now.held.take().and_then(|(report, copies)| {
            copies.checked_sub(1).filter(|copies| *copies > 0).map(|copies| (report, copies))
        });
    }
}

fn bridge_dir(instance: &str) -> PathBuf {
    topology::bridge_dir(instance).into()
}

/// This machine's number. Before any ring has it, it is kept in a file: who is killed meanwhile and comes back under
/// another one would hold the log as two.
fn number(namespace: &Namespace, dir: &Path) -> u64 {
    if let Some(id) = known(namespace) {
        return id;
    }
    let kept = || -> io::Result<u64> {
        folder::make(dir)?;
        let file = dir.join(NUMBER);
        let number = fs::read_to_string(&file).ok();
        if let Some(id) = number.and_then(|number| u64::from_str_radix(&number, 16).ok()) {
            return Ok(id);
        }
        let id = random();
        folder::put(&file, format!("{id:016x}").as_bytes())?;
        Ok(id)
    };
    kept().unwrap_or_else(|error| {
        tracing::warn!("the number of this machine is another one after a restart: {error}");
        random()
    })
}

/// Removes the file of the number once a ring has it.
pub(super) fn tidy(namespace: &Namespace, instance: &str) {
    if known(namespace).is_some() {
        let _ = fs::remove_file(bridge_dir(instance).join(NUMBER));
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

/// Tells it on a timer, for who has nothing new must be heard too, until `stop` says so.
pub(super) async fn tell(
    (broker, bot, reporter): (Broker, String, Arc<Reporter>),
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut bucket = None;
    let mut reminded = Instant::now();
    loop {
        let (report, changes) = reporter.report();
        // From the start, before there is anything to read: so the log keeps what this machine has yet to find.
        match put((&broker, &bot), &mut bucket, (reporter.key(), &report)).await {
            Ok(()) => {
                reporter.told.send_replace(changes);
            }
            Err(problem) => {
                bucket = None;
                if changes > FIRST && reminded.elapsed() >= REMIND {
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
    (broker, bot): (&Broker, &str),
    bucket: &mut Option<Bucket>,
    (key, report): (String, &Report),
) -> Result<(), Problem> {
    let bucket = match bucket {
        Some(bucket) => bucket,
        None => match broker::bucket(broker, names::floors(bot)).await? {
            Some(found) => bucket.insert(found),
            None => return Err(Problem::Broker("no sender has made the bucket yet".to_owned())),
        },
    };
    let value = serde_json::to_vec(report).map_err(Problem::broker)?;
    let put = bucket.store.put(key, value.into());
    put.await.map(drop).map_err(Problem::broker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_rings_has_the_same_number_after_a_restart() {
        let name = format!("t{}-b-number", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&name)).expect("a name");
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().join("bridge");
        let first = number(&namespace, &dir);
        assert_eq!(number(&namespace, &dir), first);
        fs::remove_file(dir.join(NUMBER)).expect("there");
        assert_ne!(number(&namespace, &dir), first);
    }
}

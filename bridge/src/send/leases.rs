//! The claims on this machine's streams, kept in the bucket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mixcord_bridge::lease::{
    Blocked, Changes, Claim, Lease, RENEW_MS, Source, Step, Tenure, Wanted,
};
use mixcord_bridge::names::{self, Lane};
use tokio::sync::{Notify, watch};

use super::setting::Setting;
use crate::broker::{self, Bucket, Problem};
use crate::clock::now_ms;
use crate::failure::Failure;
use crate::random;

/// How often the bucket is read where nothing is new here.
const LOOK: Duration = Duration::from_millis(RENEW_MS / 2);
/// The same, while there is something to claim.
const LOOK_SOON: Duration = Duration::from_millis(100);

/// What this process claims.
#[derive(Debug)]
pub(super) struct Leases {
    writer: u64,
    place: String,
    streams: Mutex<BTreeMap<String, Stream>>,
    /// Gateways that take commands.
    gateways: Mutex<Vec<Lane>>,
    /// Something is to be claimed.
    news: Notify,
}

#[derive(Debug)]
struct Stream {
    lease: Lease,
    sources: Vec<Source>,
    blocked: Vec<Blocked>,
}

impl Leases {
    pub(super) fn new(place: String) -> Self {
        let (streams, gateways) = (Mutex::default(), Mutex::default());
        Self { writer: random(), place, streams, gateways, news: Notify::new() }
    }

    /// These rings are to be sent in a stream. Gives what may be.
    pub(super) fn want(&self, stream: &str, sources: Vec<Source>) -> BTreeMap<Lane, u64> {
        let mut streams = self.streams();
        let known = match streams.get_mut(stream) {
            Some(known) => known,
            // What others send is theirs to claim.
            None if sources.is_empty() => return BTreeMap::new(),
            None => streams.entry(stream.to_owned()).or_insert_with(|| Stream {
                lease: Lease::new(self.writer, self.place.clone()),
                sources: Vec::new(),
                blocked: Vec::new(),
            }),
        };
        let listed = known.lease.tenure().lanes;
        let since = |source: &Source| {
            let claimed = listed.get(&source.lane).filter(|lane| lane.log == source.log);
            claimed.map(|claimed| (source.lane, claimed.since))
        };
        let may = sources.iter().filter_map(since).collect();
        if known.sources != sources {
            known.sources = sources;
            self.news.notify_one();
        }
        may
    }

    /// The process, by a random number.
    pub(super) const fn writer(&self) -> u64 {
        self.writer
    }

    /// Whether anything may be written into a stream now.
    pub(super) fn holds(&self, stream: &str) -> bool {
        let until =
            self.streams().get(stream).map_or_else(Tenure::default, |known| known.lease.tenure());
        now_ms() < until.until_ms
    }

    /// Whether the ring of a gateway's first shard is sent.
    pub(super) fn sends(&self, lane: Lane) -> bool {
        self.streams().values().any(|known| known.lease.tenure().lanes.contains_key(&lane))
    }

    /// Until when a lane may be sent; `None` where it may not at all.
    pub(super) fn until_ms(&self, lane: Lane) -> Option<u64> {
        let streams = self.streams();
        let mut tenures = streams.values().map(|known| known.lease.tenure());
        tenures.find(|tenure| tenure.lanes.contains_key(&lane)).map(|tenure| tenure.until_ms)
    }

    /// Whether a stream is claimed, or is to be.
    pub(super) fn wants(&self, stream: &str) -> bool {
        self.streams().contains_key(stream)
    }

    /// These gateways take commands.
    pub(super) fn serves(&self, gateways: Vec<Lane>) {
        let mut known = self.gateways();
        if *known != gateways {
            *known = gateways;
            self.news.notify_one();
        }
    }

    fn gateways(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some lane waits for its turn.
    fn is_pending(&self) -> bool {
        self.streams().values().any(|known| {
            let listed = known.lease.tenure().lanes;
            let is_listed = |source: &Source| {
                listed.get(&source.lane).is_some_and(|lane| lane.log == source.log)
                    || known.blocked.iter().any(|blocked| blocked.lane == source.lane)
            };
            !known.sources.iter().all(is_listed)
        })
    }
}

/// Takes and renews claims until `stop` says so.
///
/// # Errors
/// Another process writes a stream of this one.
pub(super) async fn keep(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut seen = Changes::default();
    loop {
        match look(&setting, &mut seen).await {
            Ok(()) => {}
            Err(Problem::Unfit(why)) => {
                setting.standing.lose(&why).await;
                return Err(Failure::Configuration(why));
            }
            Err(problem) => tracing::debug!("leases: {problem}"),
        }
        let pause = if setting.leases.is_pending() { LOOK_SOON } else { LOOK };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = setting.leases.news.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads the bucket once, and puts what is due.
async fn look(setting: &Setting, seen: &mut Changes) -> Result<(), Problem> {
    let leases = &setting.leases;
    if leases.streams().is_empty() {
        return Ok(());
    }
    let bucket = bucket(setting).await?;
    let entries = broker::claims(&bucket).await?;
    let now_ms = now_ms();
    seen.take_in(now_ms, &entries);
    setting.notice.leases(leases.writer, seen.views(now_ms, &entries));
    let writers = seen.living(now_ms, &entries).map(|claim| claim.writer);
    setting.permits.heard(writers, leases.writer);
    let gateways = leases.gateways().clone();
    let mut puts = Vec::new();
    for (name, known) in leases.streams().iter_mut() {
        let rivals = seen.rivals(now_ms, &entries, (leases.writer, name));
        let wanted = Wanted { sources: &known.sources, gateways: &gateways };
        let (step, blocked) =
            known.lease.step(now_ms, bucket.created, entries.get(name), wanted, &rivals);
        for Blocked { lane: Lane { shard, count }, by } in
            blocked.iter().filter(|blocked| !known.blocked.contains(blocked))
        {
            tracing::error!(
                shard,
                count,
                "the shard is not sent: the bridge of {by} sends it. Two gateways run it: divide the shards with \
                 --shards, and `mixcord rm` its ring where it is not run any more"
            );
        }
        known.blocked = blocked;
        match step {
            Step::Wait => {}
            Step::Put { expected, claim } => puts.push((name.clone(), expected, claim)),
            Step::Refused { by } => {
                return Err(Problem::Unfit(format!(
                    "the bridge of {by} sends stream {name}, and goes on: machines of one bot divide its shards \
                     (mixcord-gateway --shards A..B/N); another bot needs another --bot"
                )));
            }
            Step::Lost { by } => {
                return Err(Problem::Unfit(format!(
                    "the bridge of {by} has taken over stream {name}: this one stops for good"
                )));
            }
        }
    }
    join_all(
        puts.into_iter()
            .map(|(name, expected, claim)| put(setting, &bucket, name, expected, claim)),
    )
    .await
    .into_iter()
    .collect()
}

async fn put(
    setting: &Setting,
    bucket: &Bucket,
    name: String,
    expected: u64,
    claim: Claim,
) -> Result<(), Problem> {
    let leases = &setting.leases;
    let sent_ms = now_ms();
    let value = serde_json::to_vec(&claim).map_err(Problem::broker)?;
    if let Some(revision) = bucket.replace(&name, expected, value.into()).await?
        && let Some(known) = leases.streams().get_mut(&name)
    {
        known.lease.put(sent_ms, claim, revision, bucket.created);
    }
    Ok(())
}

/// Says that nobody has to wait for these streams: everything was sent that will be.
pub(super) async fn end(setting: &Setting) -> Result<(), Problem> {
    let ends: Vec<_> = {
        let streams = setting.leases.streams();
        let ends = streams.iter();
        ends.filter_map(|(name, known)| Some((name.clone(), known.lease.end()?))).collect()
    };
    if ends.is_empty() {
        return Ok(());
    }
    let bucket = bucket(setting).await?;
    let puts = ends
        .into_iter()
        .map(|(name, (expected, claim))| put(setting, &bucket, name, expected, claim));
    join_all(puts).await.into_iter().collect()
}

async fn bucket(setting: &Setting) -> Result<Bucket, Problem> {
    let about = format!("who writes the streams of Mixcord instance {}", setting.bot);
    let name = names::leases(&setting.bot);
    broker::create_bucket(&setting.broker, name, &about, setting.options.replicas).await
}

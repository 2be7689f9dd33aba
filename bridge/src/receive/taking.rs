//! The shards of a machine that died, for a gateway of this one ([`mixcord_bridge::takeover`]): what it wants, and the
//! leases of the streams in which they are.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mixcord_bridge::lease::{Changes, Claim, ClaimedLane, Lease, Rivals, Step, Wanted};
use mixcord_bridge::names::{self, Lane};
use mixcord_bridge::takeover::Ended;
use mixcord_event::permit::{Answer, Ask, PACKET_MAX};
use mixcord_event::topology;
use mixcord_process::packets::{self, PacketServer};
use tokio::sync::watch;

use super::Setting;
use super::wishes::{self, Wishes};
use crate::asking::{Asking, State};
use crate::broker::{self, Bucket, Problem};
use crate::clock::now_ms;
use crate::failure::Failure;
use crate::{place, random};

/// How often the bucket is read while a gateway waits.
const LOOK: Duration = Duration::from_millis(250);
/// When a gateway asks again, in milliseconds.
const AGAIN_MS: u64 = 200;
/// Replicas of a bucket that is made here: the leases', where they can be had.
const REPLICAS: u8 = 1;

/// What a gateway of this machine wants to take over.
#[derive(Debug)]
pub(super) struct Taker {
    writer: u64,
    place: String,
    now: Mutex<Now>,
    /// Counts the looks, each of which may let a lane go on.
    looks: watch::Sender<u64>,
    asking: Asking,
}

#[derive(Debug, Default)]
struct Now {
    wishes: Wishes,
    streams: BTreeMap<String, Stream>,
    /// Lanes that living processes of others send, with the stream, and where they run.
    rivals: Vec<(Lane, String, String)>,
    /// Lanes whose ring is the gateway's.
    taken: BTreeSet<Lane>,
    /// Lanes that the broker has; `None` until it was asked.
    known: Option<BTreeSet<Lane>>,
}

#[derive(Debug)]
struct Stream {
    lease: Lease,
    /// The generation with which it was taken.
    generation: Option<u64>,
    /// What it is taken for.
    lanes: BTreeSet<Lane>,
    /// What was taken, for the sender of this machine.
    handed: BTreeMap<Lane, ClaimedLane>,
}

impl Taker {
    pub(super) fn new(instance: &str) -> Self {
        let (now, looks) = (Mutex::default(), watch::Sender::new(0));
        Self { writer: random(), place: place(instance), now, looks, asking: Asking::default() }
    }

    /// The process, by a random number.
    pub(super) const fn writer(&self) -> u64 {
        self.writer
    }

    /// Rings at each look.
    pub(super) fn looks(&self) -> watch::Receiver<u64> {
        self.looks.subscribe()
    }

    /// Whether a gateway of this machine waits for a lane.
    pub(super) fn wants(&self, lane: Lane) -> bool {
        self.now().wishes.want(lane)
    }

    /// Takes the stream's lease for a lane, once that is possible. Gives the generation with which it is held.
    pub(super) fn hold(&self, stream: &str, lane: Lane) -> Option<u64> {
        let mut now = self.now();
        let mut rivals = now.rivals.iter();
        let rival = rivals.find(|(of, name, _)| *of == lane && name != stream);
        if let Some((.., by)) = rival {
            let why = format!("the bridge of {by} sends its shards in another stream");
            now.wishes.wait_for(lane, &why);
            return None;
        }
        let known = now.streams.entry(stream.to_owned()).or_insert_with(|| self.stream());
        known.lanes.insert(lane);
        known.held()
    }

    fn stream(&self) -> Stream {
        let lease = Lease::new(self.writer, self.place.clone()).patient();
        Stream { lease, generation: None, lanes: BTreeSet::new(), handed: BTreeMap::new() }
    }

    /// Whether it is held with that generation still.
    pub(super) fn holds(&self, stream: &str, generation: u64) -> bool {
        let now = self.now();
        now.streams.get(stream).and_then(Stream::held) == Some(generation)
    }

    /// Says why a lane is not taken over yet.
    pub(super) fn waits(&self, lane: Lane, why: &str) {
        self.now().wishes.wait_for(lane, why);
    }

    /// Says why none is.
    fn all_wait(&self, why: &str) {
        self.now().wishes.all_wait_for(why);
    }

    /// The lane's ring, which is `log`, was handed over to the gateway.
    pub(super) fn hand(&self, lane: Lane, log: u64) {
        let mut now = self.now();
        for stream in now.streams.values_mut() {
            if let Some(since) = stream.generation.filter(|_| stream.lanes.contains(&lane)) {
                stream.handed.insert(lane, ClaimedLane { log, since, written: false });
            }
        }
    }

    /// The lane's ring is the gateway's from now on.
    pub(super) fn done(&self, lane: Lane) {
        let mut now = self.now();
        now.taken.insert(lane);
        for stream in now.streams.values_mut() {
            stream.lanes.remove(&lane);
        }
    }

    /// The broker has these lanes, of those that are received here.
    pub(super) fn known(&self, lanes: impl Iterator<Item = Lane>) {
        self.now().known = Some(lanes.collect());
    }

    /// Whether the lane's ring is the gateway's.
    pub(super) fn is_taken(&self, lane: Lane) -> bool {
        self.now().taken.contains(&lane)
    }

    /// What is noted of a log that this machine goes on from.
    pub(super) fn ended(&self, position: u64, generation: u64) -> Ended {
        Ended { position, generation, place: self.place.clone() }
    }

    fn answer(&self, packet: &[u8]) -> Answer {
        let Some(Ask::TakeOver(shards)) = Ask::decode(packet) else { return Answer::Unknown };
        let mut guard = self.now();
        let now = &mut *guard;
        let why = now.wishes.ask(shards);
        let is_its = |lane: &&Lane| wishes::has(shards, **lane);
        let its: Option<Vec<&Lane>> =
            now.known.as_ref().map(|all| all.iter().filter(is_its).collect());
        match its {
            Some(its) if its.is_empty() => {
                self.asking.told(shards, State::Standby, "nothing was sent of its shards");
                Answer::Noted
            }
            Some(its) if its.iter().all(|lane| now.taken.contains(lane)) => {
                self.asking.done(shards);
                Answer::Noted
            }
            _ => {
                self.asking.told(shards, State::Standby, why);
                Answer::Wait { ms: AGAIN_MS, why: Some(why.to_owned()) }
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn held(&self) -> Option<u64> {
        self.generation.filter(|_| now_ms() < self.lease.tenure().until_ms)
    }
}

/// Answers gateways of this machine until `stop` says so.
pub(super) async fn serve(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let path = topology::takeover_socket(&setting.instance);
    // Of a process of the release before, which let others receive into its instance: it is asked then.
    if packets::listens(Path::new(&path)) {
        tracing::info!("another mixcord-bridge receive answers the gateways here");
        return Ok(());
    }
    let server = match PacketServer::bind(path.into(), PACKET_MAX) {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!("no gateway of this machine can take shards over: {error}");
            return Ok(());
        }
    };
    let taker = Arc::clone(&setting);
    let answer = move |packet: Vec<u8>| {
        let answer = taker.taker.answer(&packet).encode();
        async move { Some(answer) }
    };
    tokio::select! {
        () = server.serve(answer) => Ok(()),
        never = keep(setting) => match never {},
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    }
}

/// Takes the leases that are wanted, and lets go of those that are not.
async fn keep(setting: Arc<Setting>) -> Infallible {
    let mut changes = Changes::default();
    loop {
        if let Err(problem) = look(&setting, &mut changes).await {
            setting.taker.all_wait(&problem.to_string());
        }
        setting.notice.gateways(setting.taker.asking.figures());
        setting.taker.looks.send_modify(|looks| *looks += 1);
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(setting: &Setting, changes: &mut Changes) -> Result<(), Problem> {
    let taker = &setting.taker;
    let is_idle = {
        let mut now = taker.now();
        now.wishes.expire();
        now.wishes.is_empty() && now.streams.is_empty()
    };
    if is_idle {
        return Ok(());
    }
    let Some(bucket) = broker::bucket(&setting.broker, names::leases(&setting.bot)).await? else {
        taker.all_wait("no mixcord-bridge send ever ran");
        return Ok(());
    };
    let entries = broker::claims(&bucket).await?;
    let now_ms = now_ms();
    changes.take_in(now_ms, &entries);
    let puts = {
        let mut guard = taker.now();
        let now = &mut *guard;
        let living = changes.living_streams(now_ms, &entries);
        let others = living.filter(|(_, claim)| claim.writer != taker.writer);
        now.rivals = others
            .flat_map(|(name, claim)| {
                claim.lanes.keys().map(move |lane| (*lane, name.clone(), claim.place.clone()))
            })
            .collect();
        let mut puts = Vec::new();
        let wanted: BTreeSet<Lane> = now
            .streams
            .values()
            .flat_map(|stream| stream.lanes.iter().copied())
            .filter(|lane| now.wishes.want(*lane))
            .collect();
        let wishes = &mut now.wishes;
        now.streams.retain(|name, stream| {
            stream.lanes.retain(|lane| wanted.contains(lane));
            if stream.lanes.is_empty() {
                // All of it is done, or nobody wants it any more: it is for the sender of this machine, or for anybody.
                let handed = std::mem::take(&mut stream.handed);
                let last = match handed.is_empty() {
                    true => stream.lease.end(),
                    false => stream.lease.hand_over(handed),
                };
                puts.extend(last.map(|(expected, claim)| (name.clone(), expected, claim)));
                return false;
            }
            let none = (Wanted::default(), Rivals::default());
            let found = entries.get(name);
            let mut wait = |why: String| {
                stream.lanes.iter().for_each(|lane| wishes.wait_for(*lane, &why));
            };
            match stream.lease.step(now_ms, bucket.created, found, none.0, &none.1).0 {
                Step::Wait if stream.generation.is_none() => {
                    let by = found.map_or("nobody", |entry| &*entry.claim.place);
                    wait(format!("the lease of {by} has yet to lapse"));
                }
                Step::Wait => {}
                Step::Put { expected, claim } => puts.push((name.clone(), expected, claim)),
                Step::Refused { by } | Step::Lost { by } => {
                    wait(format!("the bridge of {by} sends its shards, and lives"));
                    *stream = Stream { lanes: std::mem::take(&mut stream.lanes), ..taker.stream() };
                }
            }
            true
        });
        puts
    };
    for (name, expected, claim) in puts {
        put(taker, &bucket, name, expected, claim).await?;
    }
    Ok(())
}

async fn put(
    taker: &Taker,
    bucket: &Bucket,
    name: String,
    expected: u64,
    claim: Claim,
) -> Result<(), Problem> {
    let sent_ms = now_ms();
    let value = serde_json::to_vec(&claim).map_err(Problem::broker)?;
    let Some(revision) = bucket.replace(&name, expected, value.into()).await? else {
        return Ok(());
    };
    if let Some(stream) = taker.now().streams.get_mut(&name) {
        stream.lease.put(sent_ms, claim, revision, bucket.created);
        let generation = stream.lease.tenure().generation;
        if stream.generation.is_none() {
            tracing::info!(
                stream = name,
                generation,
                "its sender is gone: this machine has the lease"
            );
        }
        stream.generation.get_or_insert(generation);
    }
    Ok(())
}

/// Notes that a log ended.
pub(super) async fn note(setting: &Setting, log: u64, ended: &Ended) -> Result<(), Problem> {
    let about = format!("logs of Mixcord instance {} that were taken over", setting.bot);
    let name = names::ends(&setting.bot);
    let leases = broker::bucket(&setting.broker, names::leases(&setting.bot)).await?;
    let replicas = leases.map(|leases| leases.store.stream.cached_info().config.num_replicas);
    let replicas = replicas.and_then(|replicas| u8::try_from(replicas).ok()).unwrap_or(REPLICAS);
    let bucket = broker::create_bucket(&setting.broker, name, &about, replicas).await?;
    let value = serde_json::to_vec(ended).map_err(Problem::broker)?;
    bucket.put(&names::log_key(log), value.into()).await
}

#[cfg(test)]
mod tests;

//! Identify permits for the gateways of this machine, by [`mixcord_bridge::permits`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mixcord_bridge::names;
use mixcord_bridge::permits::{
    Contact, Entry, Roster, ServerClock, Slot, State, VALID_MS, Way, slot,
};
use mixcord_event::permit::{Answer, Ask, Bucket, PACKET_MAX};
use mixcord_event::topology;
use mixcord_process::packets::{self, PacketServer};
use tokio::sync::watch;

use super::setting::Setting;
use crate::broker::{self, PAUSE, Problem};
use crate::clock::now_ms;
use crate::failure::Failure;
use crate::random;

/// When who was as quick as another one asks again, in milliseconds.
const AGAIN_MS: u64 = 50;
/// The longest wait that is told: meanwhile more may become known.
const WAIT_MS_MAX: u64 = 5_000;
/// How long it matters what became of a permit: until it is over, and a while for who tells it.
const NOTED_MS: u64 = 2 * VALID_MS;
/// How often it is looked whether another process of this machine still gives permits.
const LOOK: Duration = Duration::from_secs(1);
/// A key that everybody puts, to hear the server's time.
const CLOCK: &str = "clock";

/// What this process knows of permits.
#[derive(Debug, Default)]
pub(super) struct Permits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    contact: Contact,
    clock: ServerClock,
    roster: Option<Roster>,
    /// Permits that were given lately: the entry's number at the broker, and when.
    given: BTreeMap<u64, (u64, u64)>,
    /// The last turn in which a bucket got one.
    turns: BTreeMap<Bucket, u64>,
}

impl Known {
    /// Notes a permit. What became of one is told soon, unless its gateway died with it: then never.
    fn give(&mut self, permit: u64, revision: u64, now_ms: u64) {
        self.given.retain(|_, (_, given_ms)| now_ms.saturating_sub(*given_ms) < NOTED_MS);
        self.given.insert(permit, (revision, now_ms));
    }
}

impl Permits {
    /// The broker answered: these processes send, this one among them.
    pub(super) fn heard(&self, writers: impl IntoIterator<Item = u64>, own: u64) {
        let mut known = self.known();
        known.contact.heard(now_ms());
        if let Some(roster) = Roster::of(writers, own) {
            known.roster = Some(roster);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process's turn for a bucket.
    fn turn(&self, bucket: Bucket, spacing_ms: u64) -> Result<Slot, u64> {
        let known = self.known();
        let (Some(at_ms), Some(roster)) = (known.clock.at(now_ms()), known.roster) else {
            return Err(WAIT_MS_MAX);
        };
        let turn = slot(at_ms, spacing_ms, roster)?;
        if known.turns.get(&bucket) == Some(&turn.number) {
            return Err(spacing_ms);
        }
        Ok(turn)
    }
}

/// Answers the gateways of this machine until `stop` says so.
pub(super) async fn give(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let path = PathBuf::from(topology::permit_socket(&setting.instance));
    let bound = tokio::select! {
        bound = bind(&path) => bound,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let server = match bound {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!("gateways here get no permits of the broker: {error}");
            return Ok(());
        }
    };
    let answer = move |packet: Vec<u8>| {
        let setting = Arc::clone(&setting);
        async move { Some(answer(&setting, &packet).await.encode()) }
    };
    tokio::select! {
        () = server.serve(answer) => Ok(()),
        _ = stop.wait_for(|stop| *stop) => Ok(()),
    }
}

/// Listens at `path` once nobody else does: a second process on this machine would take the gateways away from the
/// first, and soon end.
async fn bind(path: &Path) -> io::Result<PacketServer> {
    let mut told = false;
    while packets::listens(path) {
        if !std::mem::replace(&mut told, true) {
            tracing::info!("another mixcord-bridge gives the gateways here their permits");
        }
        tokio::time::sleep(LOOK).await;
    }
    PacketServer::bind(path.to_owned(), PACKET_MAX)
}

async fn answer(setting: &Arc<Setting>, packet: &[u8]) -> Answer {
    match Ask::decode(packet) {
        Some(Ask::Claim { bucket, spacing_ms }) => claim(setting, bucket, spacing_ms).await,
        Some(Ask::Used { bucket, permit }) => settle(setting, bucket, permit, State::Used),
        Some(Ask::Unused { bucket, permit }) => settle(setting, bucket, permit, State::Free),
        Some(Ask::Run(shards)) => setting.standing.answer(&setting.leases, shards),
        Some(Ask::TakeOver(_)) | None => Answer::Unknown,
    }
}

async fn claim(setting: &Setting, bucket: Bucket, spacing_ms: u64) -> Answer {
    let permits = &setting.permits;
    match by_broker(setting, bucket, spacing_ms).await {
        Ok(answer) => answer,
        Err(problem) => {
            let why = Some(format!("{problem}; sessions are resumed"));
            let alone_in = permits.known().contact.alone_in(now_ms(), spacing_ms);
            let wait = |ms: u64, why| Answer::Wait { ms: ms.clamp(1, WAIT_MS_MAX), why };
            match alone_in {
                Some(0) => match permits.turn(bucket, spacing_ms) {
                    Ok(turn) => granted(permits, bucket, turn, None),
                    Err(ms) => wait(ms, why),
                },
                Some(ms) => wait(ms, why),
                None => wait(WAIT_MS_MAX, why),
            }
        }
    }
}

async fn by_broker(setting: &Setting, bucket: Bucket, spacing_ms: u64) -> Result<Answer, Problem> {
    let permits = &setting.permits;
    let store = store(setting).await?;
    let key = key(bucket);
    store.put(CLOCK, Bytes::new()).await?;
    if let Some(clock) = store.get(CLOCK).await? {
        permits.known().clock.hear(clock.put_ms, now_ms());
    }
    let found = store.get(&key).await?;
    // Before it is asked how: it may be the first answer for long.
    permits.known().contact.heard(now_ms());
    let entry = found.as_ref().and_then(|held| {
        let entry: Entry = serde_json::from_slice(&held.value).ok()?;
        Some((entry, held.put_ms))
    });
    let wait = |ms: u64| Ok(Answer::Wait { ms: ms.clamp(1, WAIT_MS_MAX), why: None });
    let now_server_ms = permits.known().clock.at(now_ms()).unwrap_or(0);
    if let Some((entry, put_ms)) = entry {
        let free_ms = entry.free_at_ms(put_ms, spacing_ms);
        if now_server_ms < free_ms {
            return wait(free_ms - now_server_ms);
        }
    }
    let way = permits.known().contact.way(now_ms());
    let turn = match way {
        Way::Broker => Slot { number: 0, valid_ms: VALID_MS },
        Way::Both => match permits.turn(bucket, spacing_ms) {
            Ok(turn) => turn,
            Err(ms) => return wait(ms),
        },
    };
    let (sent_ms, permit) = (now_ms(), random());
    let entry = Entry { by: setting.leases.writer(), permit, state: State::Granted, spacing_ms };
    let value = serde_json::to_vec(&entry).map_err(Problem::broker)?;
    let expected = found.map_or(0, |held| held.revision);
    let Some(revision) = store.replace(&key, expected, value.into()).await? else {
        return wait(AGAIN_MS);
    };
    let valid_ms = turn.valid_ms.saturating_sub(now_ms().saturating_sub(sent_ms));
    let turn = Slot { valid_ms, ..turn };
    if way == Way::Both {
        permits.known().turns.insert(bucket, turn.number);
    }
    Ok(granted(permits, bucket, turn, Some((permit, revision))))
}

fn granted(permits: &Permits, bucket: Bucket, turn: Slot, given: Option<(u64, u64)>) -> Answer {
    let mut known = permits.known();
    let permit = match given {
        Some((permit, revision)) => {
            known.give(permit, revision, now_ms());
            permit
        }
        None => {
            known.turns.insert(bucket, turn.number);
            random()
        }
    };
    Answer::Granted { permit, valid_ms: turn.valid_ms }
}

/// Tells the broker what became of a permit, as soon as it can be told: until then the bucket stays closed.
fn settle(setting: &Arc<Setting>, bucket: Bucket, permit: u64, state: State) -> Answer {
    let given = setting.permits.known().given.remove(&permit);
    if let Some((revision, _)) = given {
        let setting = Arc::clone(setting);
        let tell = async move {
            while let Err(problem) = put(&setting, bucket, (permit, revision), state).await {
                tracing::debug!("permits: {problem}");
                tokio::time::sleep(PAUSE).await;
            }
        };
        // Later than that the entry says nothing any more.
        tokio::spawn(tokio::time::timeout(Duration::from_millis(VALID_MS), tell));
    }
    Answer::Noted
}

async fn put(
    setting: &Setting,
    bucket: Bucket,
    (permit, revision): (u64, u64),
    state: State,
) -> Result<(), Problem> {
    let store = store(setting).await?;
    let key = key(bucket);
    let Some(found) = store.get(&key).await?.filter(|held| held.revision == revision) else {
        return Ok(());
    };
    let entry: Entry = serde_json::from_slice(&found.value).map_err(Problem::broker)?;
    let value = serde_json::to_vec(&Entry { permit, state, ..entry }).map_err(Problem::broker)?;
    store.replace(&key, revision, value.into()).await.map(drop)
}

fn key(bucket: Bucket) -> String {
    let token: String = bucket.token.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{token}.{}", bucket.number)
}

async fn store(setting: &Setting) -> Result<broker::Bucket, Problem> {
    let about = format!("who may identify for Mixcord instance {}", setting.bot);
    let name = names::permits(&setting.bot);
    broker::create_bucket(&setting.broker, name, &about, setting.options.replicas).await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use mixcord_process::packets::Asked;

    use super::*;

    #[test]
    fn p7_a_permit_that_nobody_tells_of_is_forgotten() {
        let mut known = Known::default();
        for permit in 0..1_000 {
            known.give(permit, 7, permit * 1_000);
        }
        assert_eq!(known.given.len() as u64, NOTED_MS / 1_000);
        assert_eq!(known.given.get(&999), Some(&(7, 999_000)));
    }

    #[tokio::test]
    async fn a_second_process_takes_no_gateway_away_from_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("permits");
        let first = bind(&path).await.expect("nobody else");
        let serving = tokio::spawn(first.serve(|packet| async move { Some(packet) }));
        assert!(bind(&path).now_or_never().is_none(), "it waits");
        let patience = Duration::from_secs(10);
        let answer = packets::ask(&path, b"a", PACKET_MAX, patience).await;
        assert_eq!(answer, Asked::Answered(b"a".to_vec()));
        serving.abort();
        assert!(serving.await.is_err_and(|error| error.is_cancelled()));
        bind(&path).await.expect("its turn");
    }
}

//! What goes wrong, on demand (`/fake/fault`) or by itself (`--faults`), always from the seed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::gateway::connection::Command;
use crate::gateway::hub::{Hub, Whom};
use crate::journal::What;
use crate::world::dice::Dice;
use crate::world::guild::Guild;
use mixcord_wire::Close;

/// Close codes that do not end a client for good.
const PASSING: [u16; 10] = [1000, 1001, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009];

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// TCP ends without a close frame.
    Cut,
    Reconnect,
    InvalidSession(bool),
    /// With a code, or a random one that a client gets over.
    Close(Option<u16>),
    /// Nothing is read or written for a while.
    Stall,
    MissAcks,
    /// The next dispatch is sent twice.
    Duplicate,
    /// The next RESUME leaves one event out.
    Hole,
    /// The next handshake takes a while.
    SlowAccept,
    /// Everything is cut and nothing accepted for a while; sessions stay.
    Restart,
    /// The same, but sessions are lost.
    RestartFresh,
    /// A guild becomes unavailable and comes back after a while.
    Outage,
    /// The same for the sessions of one number of shards alone.
    SetOutage,
}

impl Fault {
    const NAMES: [(&'static str, Self); 14] = [
        ("cut", Self::Cut),
        ("op7", Self::Reconnect),
        ("op9true", Self::InvalidSession(true)),
        ("op9false", Self::InvalidSession(false)),
        ("close", Self::Close(None)),
        ("stall", Self::Stall),
        ("miss-acks", Self::MissAcks),
        ("duplicate", Self::Duplicate),
        ("hole", Self::Hole),
        ("slow-accept", Self::SlowAccept),
        ("restart", Self::Restart),
        ("restart-fresh", Self::RestartFresh),
        ("outage", Self::Outage),
        ("set-outage", Self::SetOutage),
    ];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|known| known.0 == name);
        found.map(|known| known.1).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|known| known.0).collect();
            format!("no fault is called {name:?}; known: {}", names.join(", "))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Close(_) => "close",
            _ => Self::NAMES.iter().find(|known| known.1 == self).map_or("", |known| known.0),
        }
    }
}

/// Weighted faults, as `cut=3,op7=1`.
#[derive(Clone, Debug)]
pub(crate) struct Plan(Vec<Fault>);

impl Plan {
    /// None for an empty text.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut faults = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight: usize = weight.parse().map_err(|_| format!("{weight:?} is no weight"))?;
            faults.extend(std::iter::repeat_n(Fault::parse(name)?, weight.min(1000)));
        }
        Ok((!faults.is_empty()).then_some(Self(faults)))
    }
}

/// Brings one fault after another, `every` apart, unless the world has been told to stand still.
pub(crate) async fn run(hub: Arc<Hub>, plan: Plan, every: Duration) {
    let mut dice = Dice::derived(hub.config.seed, 0xfa17);
    loop {
        tokio::time::sleep(every).await;
        if hub.paused.load(Ordering::Relaxed) {
            continue;
        }
        let fault = dice.one(&plan.0);
        let whom = someone(&hub, &mut dice);
        // What lasts, lasts a quarter to three quarters of the time to the next fault.
        let time = every / 4 + every * dice.below(512) as u32 / 1024;
        let code = dice.one(&PASSING);
        let fault = if fault == Fault::Close(None) { Fault::Close(Some(code)) } else { fault };
        bring(&hub, fault, whom, time);
    }
}

/// A shard that has a session, of whatever set.
fn someone(hub: &Hub, dice: &mut Dice) -> Whom {
    let sessions = hub.live_sessions();
    let mut all: Vec<Whom> = sessions.iter().map(|session| Whom::of(session)).collect();
    all.sort_unstable();
    all.dedup();
    dice.pick(&all).copied().unwrap_or_default()
}

/// Brings a fault to somebody's connections. `time` is how long it lasts, where it does. Returns how
/// many connections it met.
pub(crate) fn bring(hub: &Arc<Hub>, fault: Fault, whom: Whom, time: Duration) -> usize {
    // What a connection obeys it logs itself.
    let log = || hub.log.add(whom.shard, None, What::Fault(fault.name()));
    let command = match fault {
        Fault::Cut => Command::Cut,
        Fault::Reconnect => Command::Reconnect,
        Fault::InvalidSession(resumable) => Command::InvalidSession(resumable),
        Fault::Close(code) => Command::Close(Close::Other(code.unwrap_or(4000))),
        Fault::Stall => Command::Stall(time),
        Fault::MissAcks => Command::MissAcks(3),
        Fault::Duplicate => Command::Duplicate,
        Fault::Hole => {
            log();
            let chosen = hub.live_sessions();
            let chosen = chosen.iter().filter(|session| whom.is(session));
            return chosen.map(|session| session.make_hole()).count();
        }
        Fault::SlowAccept => {
            log();
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            hub.slow_accept_ms.store(millis, Ordering::Relaxed);
            return 0;
        }
        Fault::Restart | Fault::RestartFresh => {
            log();
            return restart(hub, fault, time);
        }
        Fault::Outage => {
            log();
            return outage(hub, whom, None, time);
        }
        Fault::SetOutage => {
            log();
            let shards = whom.shards.unwrap_or(hub.feeds.len() as u64);
            return outage(hub, whom, Some(shards), time);
        }
    };
    hub.tell(whom, command)
}

fn restart(hub: &Arc<Hub>, fault: Fault, time: Duration) -> usize {
    hub.down.store(true, Ordering::Relaxed);
    let told = hub.tell(Whom::default(), Command::Cut);
    if fault == Fault::RestartFresh {
        for session in hub.live_sessions() {
            hub.end_session(&session);
        }
    }
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        hub.down.store(false, Ordering::Relaxed);
    });
    told
}

/// Takes one of somebody's guilds away for a while: from everybody, or from the sessions of `shards`.
fn outage(hub: &Arc<Hub>, whom: Whom, shards: Option<u64>, time: Duration) -> usize {
    let found = hub.feeds.iter().find_map(|feed| {
        let lane = feed.lane();
        let is_of = |id| whom.has(id, hub.feeds.len() as u64);
        let away_before = |id| shards.is_some_and(|shards| hub.sets.is_away(shards, id));
        let there =
            |guild: &&Guild| !guild.unavailable && is_of(guild.id) && !away_before(guild.id);
        lane.guilds.iter().find(there).map(|guild| guild.id)
    });
    let Some(guild) = found else { return 0 };
    let change = move |hub: &Hub, away| match shards {
        None => hub.outage(guild, away),
        Some(shards) => hub.outage_of(shards, guild, away),
    };
    change(hub, true);
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        change(&hub, false);
    });
    1
}

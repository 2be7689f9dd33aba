//! `mixcord-bridge receive`: what other machines send into shard rings of this one.

mod lane;
mod mirror;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mixcord_bridge::names::Lane;
use mixcord_event::topology;
use mixcord_process::service::Service;
use mixcord_ring::{AsyncBell, Geometry, Namespace};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::lane::LaneTask;
use self::report::Reporter;
use crate::Names;
use crate::broker::{self, Broker, Problem};
use crate::failure::Failure;
use crate::options::{BrokerOptions, ReceiveOptions};

/// How often streams and lanes that are new are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// When it is said that there is nothing to receive.
const REMIND: Duration = Duration::from_secs(30);
/// As the gateway makes its rings.
const RING_GROUPS: u16 = 4;
const RING_MEMBERS: u16 = 8;

/// What all lanes have in common.
#[derive(Debug)]
struct Setting {
    instance: String,
    bot: String,
    feeds: Vec<String>,
    namespace: Namespace,
    geometry: Geometry,
    bell: AsyncBell,
    broker: Broker,
    reporter: Arc<Reporter>,
}

/// Receives until `stop` says so.
pub(crate) async fn run(
    Names { instance, bot }: Names,
    broker: &BrokerOptions,
    options: ReceiveOptions,
    service: Service,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let wrong = |why: String| Failure::Configuration(why);
    let namespace = Namespace::new(&topology::namespace(&instance))
        .map_err(|error| wrong(error.to_string()))?;
    let geometry =
        Geometry::new(options.ring_slots, options.ring_bytes, RING_GROUPS, 1, RING_MEMBERS)
            .map_err(|error| wrong(format!("--ring-bytes, --ring-slots: {error}")))?;
    for feed in &options.feeds {
        mixcord_ring::GroupSpec::durable(feed)
            .check()
            .map_err(|error| wrong(format!("--feeds: {error}")))?;
    }
    if options.feeds.len() > usize::from(RING_GROUPS) {
        return Err(wrong(format!("--feeds: a shard ring has room for {RING_GROUPS} groups")));
    }
    let name = format!("mixcord-bridge receive {instance}");
    let broker = tokio::select! {
        broker = broker::connect(&name, broker) => broker?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    broker.announce();
    let bell = namespace.bell().map_err(|error| Failure::Trouble(error.to_string()))?;
    let bell = AsyncBell::new(bell).map_err(|error| Failure::Trouble(error.to_string()))?;
    let reporter = Arc::new(Reporter::new(&namespace, &instance, options.shards));
    let feeds = options.feeds.clone();
    let setting =
        Arc::new(Setting { instance, bot, feeds, namespace, geometry, bell, broker, reporter });
    let mut tasks = JoinSet::new();
    tasks.spawn(report::tell(Arc::clone(&setting), stop.clone()));
    let mut lanes: BTreeMap<Lane, String> = BTreeMap::new();
    service.ready();
    let mut waited = Duration::ZERO;
    loop {
        match found(&setting).await {
            Ok(found) => {
                for (lane, log) in found {
                    if !options.shards.has(lane) {
                        continue;
                    }
                    if let Some(first) = lanes.get(&lane) {
                        if *first != log.name {
                            tracing::warn!(
                                shard = lane.shard,
                                count = lane.count,
                                "the shard is in two streams, {first} and {}: the first is read. Remove the one \
                                 that nobody sends to any more, and start again",
                                log.name
                            );
                        }
                        continue;
                    }
                    lanes.insert(lane, log.name.clone());
                    let task = LaneTask::new(Arc::clone(&setting), lane, log);
                    tasks.spawn(task.run(stop.clone()));
                }
            }
            Err(problem) => tracing::debug!("streams: {problem}"),
        }
        if lanes.is_empty() {
            if waited.is_zero() || waited >= REMIND {
                waited = Duration::ZERO;
                tracing::info!(
                    "waiting for mixcord-bridge send on the gateway's machine; the bot is called {}",
                    setting.bot
                );
            }
            waited += LOOK;
        }
        service.status(format!("receives {} shards", lanes.len()));
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                ended.map_err(|error| Failure::Trouble(error.to_string()))??;
            }
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
    tracing::info!("stopped");
    Ok(())
}

/// Every lane of every stream of the instance.
async fn found(setting: &Setting) -> Result<Vec<(Lane, broker::Log)>, Problem> {
    let mut found = Vec::new();
    for name in broker::streams(&setting.broker, &setting.bot).await? {
        let Some(log) = broker::find(&setting.broker, &name).await? else { continue };
        found.extend(log.lanes().await?.into_iter().map(|lane| (lane, log.clone())));
    }
    Ok(found)
}

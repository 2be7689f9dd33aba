//! `mixcord-bridge receive`: what other machines send into shard rings of this one.

mod commands;
mod lane;
mod mirror;
mod origin;
mod report;
mod sole;
mod takeover;
mod taking;
mod wishes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mixcord_bridge::copies::Origins;
use mixcord_bridge::names::{Lane, Shards};
use mixcord_event::topology;
use mixcord_process::service::Service;
use mixcord_ring::{AsyncBell, Geometry, Namespace};
use tokio::sync::watch;

use self::lane::LaneTask;
use self::report::{FIRST, Reporter};
use self::taking::Taker;
use crate::Names;
use crate::broker::{self, Broker, Log, Problem};
use crate::copying::{Arrival, Copied, Fetch, Giver};
use crate::crew::Crew;
use crate::failure::Failure;
use crate::notice::{self, Notice, Who};
use crate::options::{BrokerOptions, NOBODY, ReceiveOptions};

/// How often streams and lanes that are new are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Who waits for so long before there is anything to receive says so.
const SILENCE: Duration = Duration::from_secs(3);
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
    notice: Arc<Notice>,
    taker: Taker,
    /// Where lanes go on whose state was copied.
    copied: Copied,
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
    let feeds = feeds(&options.feeds);
    for feed in &feeds {
        mixcord_ring::GroupSpec::durable(feed)
            .check()
            .map_err(|error| wrong(format!("--feeds: {error}")))?;
    }
    if feeds.len() > usize::from(RING_GROUPS) {
        return Err(wrong(format!("--feeds: a shard ring has room for {RING_GROUPS} groups")));
    }
    let _sole = tokio::select! {
        sole = sole::sole(&instance) => sole?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    // A broker that is away is waited for; a service manager would give up.
    service.ready();
    service.status("waits for the broker");
    let name = format!("mixcord-bridge receive {instance}");
    let broker = tokio::select! {
        broker = broker::connect(&name, broker) => broker?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    broker.announce();
    let bell = namespace.bell().map_err(|error| Failure::Trouble(error.to_string()))?;
    let bell = AsyncBell::new(bell).map_err(|error| Failure::Trouble(error.to_string()))?;
    let reporter = Arc::new(Reporter::new(&namespace, &instance, options.shards));
    let mut crew = Crew::new(service.clone(), stop.clone());
    let told = (broker.clone(), bot.clone(), Arc::clone(&reporter));
    crew.spawn(|stop| report::tell(told, stop));
    let (notice, client) = (Arc::new(Notice::default()), broker.jetstream.client());
    let who =
        Who { instance: instance.clone(), bot: bot.clone(), end: "receive", window: 0, client };
    let shown = Arc::clone(&notice);
    crew.spawn(|stop| notice::put_up(shown, who, stop));
    let copied = tokio::select! {
        copied = begin(&options, (&instance, &bot), (&broker, &namespace), (&*reporter, &service)) => copied?,
        _ = stop.wait_for(|stop| *stop) => {
            crew.end().await;
            return Ok(());
        }
    };
    let (keeps, dir) = (Arc::clone(&reporter), options.copy_dir.clone());
    let giver = Giver::new(broker.jetstream.client(), (&instance, &bot), &namespace, dir, keeps);
    let taker = Taker::new(&instance);
    let setting = Setting {
        instance,
        bot,
        feeds,
        namespace,
        geometry,
        bell,
        broker,
        reporter,
        notice,
        taker,
        copied,
    };
    let setting = Arc::new(setting);
    crew.spawn(|stop| giver.give(stop));
    crew.spawn(|stop| commands::offer(Arc::clone(&setting), options.shards, stop));
    crew.spawn(|stop| taking::serve(Arc::clone(&setting), stop));
    let mut lanes: BTreeMap<Lane, watch::Sender<Vec<Log>>> = BTreeMap::new();
    loop {
        match found(&setting, options.shards).await {
            Ok(found) => {
                // One that ended may begin again.
                lanes.retain(|lane, told| {
                    if !found.contains_key(lane) {
                        told.send_if_modified(|before| !std::mem::take(before).is_empty());
                    }
                    !told.is_closed()
                });
                setting.taker.known(found.keys().copied());
                for (lane, logs) in found {
                    if setting.taker.is_taken(lane) {
                        setting.reporter.needs_nothing(&logs, lane);
                        continue;
                    }
                    match lanes.get(&lane) {
                        Some(told) => {
                            told.send_if_modified(|before| {
                                let changed = *before != logs;
                                *before = logs;
                                changed
                            });
                        }
                        None => {
                            let (told, listening) = watch::channel(logs);
                            lanes.insert(lane, told);
                            let task = LaneTask::new(Arc::clone(&setting), lane, listening);
                            crew.spawn(|stop| task.run(stop));
                        }
                    }
                }
            }
            Err(problem) => tracing::debug!("streams: {problem}"),
        }
        if lanes.is_empty() && crew.idles(LOOK) {
            tracing::info!(
                "waiting for mixcord-bridge send on the gateway's machine; the bot is called {}",
                setting.bot
            );
        }
        if !crew.goes_on(LOOK, format!("receives {} shards", lanes.len())).await? {
            break;
        }
    }
    report::tidy(&setting.namespace, &setting.instance);
    crew.end().await;
    tracing::info!("stopped");
    Ok(())
}

/// The groups of a mirror. What is received is not sent again, and a group that nobody joins would hold the ring: a standby
/// has the gateway's variable for both.
fn feeds(told: &[String]) -> Vec<String> {
    told.iter().filter(|feed| *feed != topology::BRIDGE_GROUP).cloned().collect()
}

/// Has the state of another machine come, where that is wanted and this one has nothing yet.
async fn begin(
    options: &ReceiveOptions,
    (instance, bot): (&str, &str),
    (broker, namespace): (&Broker, &Namespace),
    (reporter, service): (&Reporter, &Service),
) -> Result<Copied, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::Configuration(format!("the copy of the state cannot be kept: {error}"))
    };
    let arrival = Arrival::new(instance, options.shards);
    if let Some(origins) = arrival.origins().map_err(unusable)? {
        return Ok(Copied::new(arrival, origins));
    }
    let names = namespace.rings().map_err(|error| Failure::Trouble(error.to_string()))?;
    let has_rings = names.iter().any(|name| topology::parse_shard_ring(name).is_some());
    if options.state_from == NOBODY || has_rings {
        return Ok(Copied::new(arrival, Origins::default()));
    }
    arrival.make().map_err(unusable)?;
    // From then on the log keeps all that the copy may not have.
    service.status("waits until it can tell the senders that it is there");
    let stored = reporter.stored(FIRST);
    tokio::pin!(stored);
    if tokio::time::timeout(SILENCE, &mut stored).await.is_err() {
        tracing::warn!(
            "the state of another machine is not asked for before this one can tell the senders that it is there: start \
             mixcord-bridge send where the gateway runs"
        );
        stored.await;
    }
    let fetch = Fetch {
        broker,
        bot,
        from: &options.state_from,
        receiver: reporter.key(),
        arrival: &arrival,
        service,
    };
    let origins = fetch.run().await?;
    Ok(Copied::new(arrival, origins))
}

/// The streams of each lane that is received. A shard that moved to another machine has several.
async fn found(setting: &Setting, shards: Shards) -> Result<BTreeMap<Lane, Vec<Log>>, Problem> {
    let mut found: BTreeMap<Lane, Vec<Log>> = BTreeMap::new();
    for name in broker::streams(&setting.broker, &setting.bot).await? {
        let Some(log) = broker::find(&setting.broker, &name).await? else { continue };
        let info = log.stream.cached_info();
        setting.notice.stream(&name, info.state.bytes, info.config.max_bytes);
        for lane in log.lanes().await?.into_iter().filter(|lane| shards.has(*lane)) {
            found.entry(lane).or_default().push(log.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mirror_has_a_group_that_nobody_joins() {
        let told = ["cache", "bridge", "journal"].map(str::to_owned);
        assert_eq!(feeds(&told), ["cache", "journal"]);
    }
}

//! `mixcord-bridge send`: every shard ring of this machine into the log.

mod board;
mod commands;
mod feed;
mod lane;
mod leases;
mod look;
mod permits;
mod setting;
mod standing;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mixcord_bridge::names::Lane;
use mixcord_event::topology;
use mixcord_process::service::Service;
use mixcord_ring::{AsyncBell, Namespace};
use tokio::sync::watch;

use self::board::Board;
use self::leases::Leases;
use self::permits::Permits;
use self::setting::Setting;
use self::standing::Standing;
use self::stream::StreamTask;
use crate::copying::Giver;
use crate::crew::Crew;
use crate::failure::Failure;
use crate::notice::{self, Notice, Who};
use crate::options::{BrokerOptions, SendOptions};
use crate::{Names, broker, place};

/// How often new rings are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Lanes of one count and one block, which share a stream.
type Blocks<T> = BTreeMap<(u16, u16), T>;

/// Sends until `stop` says so.
pub(crate) async fn run(
    Names { instance, bot }: Names,
    broker: &BrokerOptions,
    options: SendOptions,
    service: Service,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    if options.retain >= options.stream_bytes {
        return Err(Failure::Configuration(
            "--retain has to be less than --stream-bytes: a full stream takes nothing".to_owned(),
        ));
    }
    let namespace = Namespace::new(&topology::namespace(&instance))
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    // A broker that is away is waited for; a service manager would give up.
    service.ready();
    service.status("waits for the broker");
    let name = format!("mixcord-bridge send {instance}");
    let broker = tokio::select! {
        broker = broker::connect(&name, broker) => broker?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    broker.announce();
    let bell = namespace.bell().map_err(|error| Failure::Trouble(error.to_string()))?;
    let bell = AsyncBell::new(bell).map_err(|error| Failure::Trouble(error.to_string()))?;
    let (board, leases) = (Board::new(options.max_absence), Leases::new(place(&instance)));
    let (permits, standing) = (Permits::default(), Standing::default());
    let setting = Arc::new(Setting {
        instance,
        bot,
        options,
        namespace,
        bell,
        broker,
        board,
        leases,
        permits,
        standing,
        notice: Arc::new(Notice::default()),
    });
    let mut crew = Crew::new(service, stop);
    crew.spawn(|stop| board::listen(Arc::clone(&setting), stop));
    crew.spawn(|stop| leases::keep(Arc::clone(&setting), stop));
    crew.spawn(|stop| commands::carry(Arc::clone(&setting), stop));
    crew.spawn(|stop| permits::give(Arc::clone(&setting), stop));
    let who = Who {
        instance: setting.instance.clone(),
        bot: setting.bot.clone(),
        end: "send",
        window: setting.options.window,
        client: setting.broker.jetstream.client(),
    };
    crew.spawn(|stop| notice::put_up(Arc::clone(&setting.notice), who, stop));
    let (names, dir) = ((&*setting.instance, &*setting.bot), setting.options.copy_dir.clone());
    let (client, keeps) = (setting.broker.jetstream.client(), Arc::clone(&setting));
    let giver = Giver::new(client, names, &setting.namespace, dir, keeps);
    crew.spawn(|stop| giver.give(stop));
    let mut blocks: Blocks<watch::Sender<Vec<Lane>>> = BTreeMap::new();
    loop {
        for (block, lanes) in lanes(&setting.namespace)? {
            match blocks.get(&block) {
                Some(told) => {
                    told.send_if_modified(|before| {
                        let changed = *before != lanes;
                        *before = lanes;
                        changed
                    });
                }
                None => {
                    let first = lanes.first().copied().unwrap_or(Lane { shard: 0, count: 1 });
                    let (told, listening) = watch::channel(lanes);
                    blocks.insert(block, told);
                    let task = StreamTask::new(Arc::clone(&setting), first, listening);
                    crew.spawn(|stop| task.run(stop));
                }
            }
        }
        setting.notice.gateways(setting.standing.asking.figures());
        if blocks.is_empty() && crew.idles(LOOK) {
            tracing::info!("waiting for mixcord-gateway --instance {}", setting.instance);
        }
        if !crew.goes_on(LOOK, format!("sends {} streams", blocks.len())).await? {
            break;
        }
    }
    crew.end().await;
    if let Err(problem) = leases::end(&setting).await {
        tracing::debug!("leases: {problem}");
    }
    tracing::info!("stopped");
    Ok(())
}

/// The lanes of the rings that are there, by stream.
fn lanes(namespace: &Namespace) -> Result<Blocks<Vec<Lane>>, Failure> {
    let names = namespace.rings().map_err(|error| Failure::Trouble(error.to_string()))?;
    let mut blocks: Blocks<Vec<Lane>> = BTreeMap::new();
    for (shard, count) in names.iter().filter_map(|name| topology::parse_shard_ring(name)) {
        let lane = Lane { shard, count };
        blocks.entry(lane.block()).or_default().push(lane);
    }
    blocks.values_mut().for_each(|lanes| lanes.sort());
    Ok(blocks)
}

//! `mixcord-bridge send`: every shard ring of this machine into the log.

mod board;
mod feed;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mixcord_bridge::names::Lane;
use mixcord_event::topology;
use mixcord_process::service::Service;
use mixcord_ring::{AsyncBell, Namespace};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::board::Board;
use self::stream::{Setting, StreamTask};
use crate::Names;
use crate::broker;
use crate::failure::Failure;
use crate::options::{BrokerOptions, SendOptions};

/// How often new rings are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// When it is said that there is nothing to send.
const REMIND: Duration = Duration::from_secs(30);

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
    let name = format!("mixcord-bridge send {instance}");
    let broker = tokio::select! {
        broker = broker::connect(&name, broker) => broker?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    broker.announce();
    let bell = namespace.bell().map_err(|error| Failure::Trouble(error.to_string()))?;
    let bell = AsyncBell::new(bell).map_err(|error| Failure::Trouble(error.to_string()))?;
    let board = Board::new(options.max_absence);
    let setting = Arc::new(Setting { instance, bot, options, namespace, bell, broker, board });
    let mut tasks = JoinSet::new();
    tasks.spawn(board::listen(Arc::clone(&setting), stop.clone()));
    let mut blocks: BTreeMap<u16, watch::Sender<Vec<Lane>>> = BTreeMap::new();
    service.ready();
    let mut waited = Duration::ZERO;
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
                    let (told, listening) = watch::channel(lanes);
                    blocks.insert(block, told);
                    let task = StreamTask::new(Arc::clone(&setting), block, listening);
                    tasks.spawn(task.run(stop.clone()));
                }
            }
        }
        if blocks.is_empty() {
            if waited.is_zero() || waited >= REMIND {
                waited = Duration::ZERO;
                tracing::info!("waiting for mixcord-gateway --instance {}", setting.instance);
            }
            waited += LOOK;
        }
        service.status(format!("sends {} streams", blocks.len()));
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

/// The lanes of the rings that are there, by stream.
fn lanes(namespace: &Namespace) -> Result<BTreeMap<u16, Vec<Lane>>, Failure> {
    let names = namespace.rings().map_err(|error| Failure::Trouble(error.to_string()))?;
    let mut blocks: BTreeMap<u16, Vec<Lane>> = BTreeMap::new();
    for (shard, count) in names.iter().filter_map(|name| topology::parse_shard_ring(name)) {
        let lane = Lane { shard, count };
        blocks.entry(lane.block()).or_default().push(lane);
    }
    blocks.values_mut().for_each(|lanes| lanes.sort());
    Ok(blocks)
}

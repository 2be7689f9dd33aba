//! Command sockets for the gateways of other machines, as consumers here look for them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Request, RequestErrorKind};
use mixcord_bridge::commands::{Outcome, Ticket};
use mixcord_bridge::lease::{Changes, RENEW_MS};
use mixcord_bridge::names::{self, Lane, Shards};
use mixcord_event::command::{PACKET_MAX, Refusal, Reply};
use mixcord_event::topology;
use mixcord_process::packets::{self, PacketServer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Setting;
use crate::broker::{self, PATIENCE, Problem};
use crate::clock::now_ms;
use crate::failure::Failure;

/// How often it is looked for which gateways there are.
const LOOK: Duration = Duration::from_millis(RENEW_MS);
/// How long a gateway may take to answer, beyond which consumers wait no longer.
const PATIENCE_ANSWER: Duration = Duration::from_secs(10);
/// When a command that was not sent may be tried again, in milliseconds.
const RETRY_MS: u64 = 500;

/// Offers sockets until `stop` says so.
pub(super) async fn offer(
    setting: Arc<Setting>,
    shards: Shards,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut offered: BTreeMap<Lane, JoinHandle<()>> = BTreeMap::new();
    let mut changes = Changes::default();
    loop {
        match gateways(&setting, shards, &mut changes, now_ms()).await {
            Ok(gateways) => {
                offered.retain(|gateway, task| {
                    let stays = gateways.contains(gateway) && !task.is_finished();
                    if !stays {
                        task.abort();
                    }
                    stays
                });
                for gateway in gateways {
                    if !offered.contains_key(&gateway)
                        && let Some(task) = open(&setting, gateway)
                    {
                        offered.insert(gateway, task);
                    }
                }
            }
            Err(problem) => tracing::debug!("gateways of other machines: {problem}"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    // Their sockets go with them.
    for task in offered.into_values() {
        task.abort();
        let _ = task.await;
    }
    Ok(())
}

/// The gateways that take commands, by first shard and count, of the shards that are received here.
async fn gateways(
    setting: &Setting,
    shards: Shards,
    changes: &mut Changes,
    now_ms: u64,
) -> Result<Vec<Lane>, Problem> {
    let Some(bucket) = broker::bucket(&setting.broker, names::leases(&setting.bot)).await? else {
        return Ok(Vec::new());
    };
    let entries = broker::claims(&bucket).await?;
    changes.take_in(now_ms, &entries);
    setting.notice.leases(setting.taker.writer(), changes.views(now_ms, &entries));
    let mut gateways = Vec::new();
    for claim in changes.living(now_ms, &entries) {
        if claim.lanes.keys().any(|lane| shards.has(*lane)) {
            gateways.extend(claim.gateways.iter().copied());
        }
    }
    gateways.sort();
    gateways.dedup();
    Ok(gateways)
}

/// Listens where the gateway would; `None` where one of this machine does.
fn open(setting: &Setting, gateway: Lane) -> Option<JoinHandle<()>> {
    let Lane { shard, count } = gateway;
    let path = PathBuf::from(topology::command_socket(&setting.instance, shard, count));
    if packets::listens(&path) {
        return None;
    }
    let server = match PacketServer::bind(path, PACKET_MAX) {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(
                shard,
                count,
                "commands to the gateway of another machine are not taken: {error}"
            );
            return None;
        }
    };
    let (client, bot) = (setting.broker.jetstream.client(), setting.bot.clone());
    let answer = move |packet: Vec<u8>| {
        let (client, bot) = (client.clone(), bot.clone());
        async move { answer(&client, &bot, gateway, &packet).await }
    };
    Some(tokio::spawn(server.serve(answer)))
}

/// What the consumer is told; `None` ends the connection, which says that the command may have been sent.
async fn answer(client: &Client, bot: &str, gateway: Lane, packet: &[u8]) -> Option<Vec<u8>> {
    let refusal = match ask(client, bot, gateway, packet).await {
        Outcome::Answered(answer) => return Some(answer),
        Outcome::Unknown => return None,
        Outcome::NotSent if packet.len() > PACKET_MAX => Refusal::Malformed,
        Outcome::NotSent => Refusal::Other {
            why:
                "the gateway is on another machine, and cannot be reached for now: nothing was sent"
                    .to_owned(),
            retry_after_ms: Some(RETRY_MS),
        },
    };
    Reply::Refused(refusal).encode()
}

/// Asks for a ticket, then with it. Never twice.
async fn ask(client: &Client, bot: &str, gateway: Lane, packet: &[u8]) -> Outcome {
    if packet.len() > PACKET_MAX || client.connection_state() != State::Connected {
        return Outcome::NotSent;
    }
    let request = Request::new().timeout(Some(PATIENCE));
    let Ok(given) = client.send_request(names::commands(bot, gateway), request).await else {
        return Outcome::NotSent;
    };
    let Some((ticket, _)) = Ticket::decode(&given.payload) else { return Outcome::NotSent };
    let mut payload = ticket.encode();
    payload.extend_from_slice(packet);
    let request = Request::new().payload(payload.into()).timeout(Some(PATIENCE_ANSWER));
    match client.send_request(names::command_counter(bot, ticket.giver), request).await {
        Ok(answer) => Outcome::decode(&answer.payload),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Outcome::NotSent,
        Err(_) => Outcome::Unknown,
    }
}

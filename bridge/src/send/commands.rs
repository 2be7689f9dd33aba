//! Commands from other machines, carried to the gateways of this one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use mixcord_bridge::commands::{Outcome, TICKET_BYTES, Ticket, Tickets};
use mixcord_bridge::names::{self, Lane};
use mixcord_event::command::PACKET_MAX;
use mixcord_event::topology;
use mixcord_process::packets::{self, Asked};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use super::setting::Setting;
use crate::failure::Failure;
use crate::random;

/// How often the gateways' sockets are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How long a gateway may take, a little less than consumers wait.
const PATIENCE: Duration = Duration::from_secs(9);
/// Commands at once.
const COMMANDS_MAX: usize = 64;
/// How long to try to say that there is no room.
const ANSWER: Duration = Duration::from_secs(1);

/// Who answers.
struct Counter {
    client: Client,
    bot: String,
    instance: String,
    began: Instant,
    tickets: Mutex<Tickets<Lane>>,
    room: Arc<Semaphore>,
}

impl Counter {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn give(&self, gateway: Lane) -> Ticket {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.give(self.now_ms(), gateway)
    }

    fn take(&self, ticket: Ticket) -> Option<Lane> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.take(self.now_ms(), ticket)
    }

    /// Answers with a ticket for a gateway.
    async fn hand_out(self: Arc<Self>, gateway: Lane, mut requests: Subscriber) {
        while let Some(request) = requests.next().await {
            self.answer(&request, self.give(gateway).encode()).await;
        }
    }

    /// Takes a command on, or says that it was not sent. Commands that wait would take the memory of this machine, as
    /// many as anybody sends.
    async fn receive(self: &Arc<Self>, request: Message) {
        match admit(&self.room, request.payload.len()) {
            Some(room) => {
                tokio::spawn(Arc::clone(self).carry_out(request, room));
            }
            // While the broker is away nothing comes, and nothing is waited for.
            None => {
                let answer = self.answer(&request, Outcome::NotSent.encode());
                let _ = tokio::time::timeout(ANSWER, answer).await;
            }
        }
    }

    /// Carries a command out that comes with a ticket.
    async fn carry_out(self: Arc<Self>, request: Message, _room: OwnedSemaphorePermit) {
        let valid = Ticket::decode(&request.payload)
            .and_then(|(ticket, packet)| Some((self.take(ticket)?, packet)));
        let outcome = match valid {
            Some((Lane { shard, count }, packet)) => {
                let path = topology::command_socket(&self.instance, shard, count);
                match packets::ask(Path::new(&path), packet, PACKET_MAX, PATIENCE).await {
                    Asked::Answered(answer) => Outcome::Answered(answer),
                    Asked::Nobody => Outcome::NotSent,
                    Asked::Unknown => Outcome::Unknown,
                }
            }
            None => Outcome::NotSent,
        };
        self.answer(&request, outcome.encode()).await;
    }

    async fn answer(&self, request: &Message, answer: Vec<u8>) {
        if let Some(reply) = &request.reply
            && let Err(error) = self.client.publish(reply.clone(), answer.into()).await
        {
            tracing::debug!("an answer to a command is lost: {error}");
        }
    }
}

/// Room for a command of so many bytes; `None` where too many are under way, or it is larger than any.
fn admit(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let fits = bytes <= TICKET_BYTES + PACKET_MAX;
    Arc::clone(room).try_acquire_owned().ok().filter(|_| fits)
}

/// Carries commands until `stop` says so.
pub(super) async fn carry(
    setting: Arc<Setting>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let giver = random();
    let counter = Arc::new(Counter {
        client: setting.broker.jetstream.client(),
        bot: setting.bot.clone(),
        instance: setting.instance.clone(),
        began: Instant::now(),
        tickets: Mutex::new(Tickets::new(giver)),
        room: Arc::new(Semaphore::new(COMMANDS_MAX)),
    });
    let mut commands = subscribe(&counter, names::command_counter(&setting.bot, giver)).await?;
    let mut gateways: BTreeMap<Lane, JoinHandle<()>> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            Some(request) = commands.next() => counter.receive(request).await,
            _ = look.tick() => {
                let found = found(&setting);
                gateways.retain(|gateway, task| {
                    let stays = found.contains(gateway);
                    if !stays {
                        task.abort();
                    }
                    stays
                });
                for gateway in &found {
                    if !gateways.contains_key(gateway) {
                        let subject = names::commands(&counter.bot, *gateway);
                        let requests = subscribe(&counter, subject).await?;
                        let task = Arc::clone(&counter).hand_out(*gateway, requests);
                        gateways.insert(*gateway, tokio::spawn(task));
                    }
                }
                setting.leases.serves(found);
            }
        }
    }
    gateways.into_values().for_each(|task| task.abort());
    Ok(())
}

async fn subscribe(counter: &Counter, subject: String) -> Result<Subscriber, Failure> {
    counter.client.subscribe(subject).await.map_err(|error| Failure::Trouble(error.to_string()))
}

/// The gateways of this machine whose rings are sent, by first shard and count, in order.
fn found(setting: &Setting) -> Vec<Lane> {
    let Ok(names) = std::fs::read_dir(mixcord_ring::Namespace::directory()) else {
        return Vec::new();
    };
    let mut found: Vec<Lane> = names
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let (shard, count) = topology::parse_command_socket(&setting.instance, name.to_str()?)?;
            Some(Lane { shard, count })
        })
        // Others are offered here for a gateway of another machine.
        .filter(|gateway| setting.leases.sends(*gateway))
        .filter(|Lane { shard, count }| {
            packets::listens(Path::new(&topology::command_socket(
                &setting.instance,
                *shard,
                *count,
            )))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_what_has_no_room_does_not_wait_for_it() {
        let room = Arc::new(Semaphore::new(COMMANDS_MAX));
        let largest = TICKET_BYTES + PACKET_MAX;
        assert!(admit(&room, largest + 1).is_none(), "it could never be carried out");
        let held: Vec<_> = (0..COMMANDS_MAX).map_while(|_| admit(&room, largest)).collect();
        assert_eq!(held.len(), COMMANDS_MAX);
        assert!(admit(&room, 1).is_none());
        drop(held);
        assert!(admit(&room, 1).is_some());
    }
}

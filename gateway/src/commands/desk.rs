//! Which shard a request goes to.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mixcord_event::command::{Command, Refusal, Reply, Request, Target, shard_of};
use tokio::sync::{mpsc, oneshot};

use crate::config::ShardSet;

/// Requests that wait for one shard; more are told to come again.
const WAITING_MAX: usize = 32;
/// What a full queue answers.
const RETRY_MS: u64 = 100;

/// A request at its shard.
#[derive(Debug)]
pub struct Ask {
    /// What to send.
    pub command: Command,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Reply>,
}

/// Where requests meet the shards of this process.
#[derive(Debug)]
pub struct Desk {
    shards: ShardSet,
    queues: Mutex<BTreeMap<u16, mpsc::Sender<Ask>>>,
}

impl Desk {
    /// For these shards.
    pub fn new(shards: ShardSet) -> Self {
        Self { shards, queues: Mutex::default() }
    }

    /// The queue of `shard`, which replaces the one before it.
    pub fn open(&self, shard: u16) -> mpsc::Receiver<Ask> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, sender);
        receiver
    }

    /// Carries out a request.
    pub async fn handle(&self, request: Request) -> Reply {
        let shards = match self.route(&request) {
            Ok(shards) => shards,
            Err(refusal) => return Reply::Refused(refusal),
        };
        let asked = shards.len();
        let mut refused = Vec::new();
        for shard in shards {
            if let Err(refusal) = self.ask(shard, request.command.clone()).await {
                refused.push((shard, refusal));
            }
        }
        summary(asked, refused)
    }

    fn route(&self, request: &Request) -> Result<Vec<u16>, Refusal> {
        request.command.check()?;
        let guilds = request.command.guilds();
        let of_guild = |guild: &u64| shard_of(*guild, self.shards.count);
        let shards = match (request.target, guilds.first()) {
            (Target::All, None) => return Ok(self.shards.ids().collect()),
            (Target::Shard(shard), None) => shard,
            (Target::Guild, None) => {
                return Err(Refusal::Invalid("the command names no guild: say which shard".into()));
            }
            (Target::Shard(shard), Some(_)) if guilds.iter().any(|g| of_guild(g) != shard) => {
                return Err(Refusal::Invalid(format!("not all guilds are of shard {shard}")));
            }
            (_, Some(first)) => {
                let shard = of_guild(first);
                if guilds.iter().any(|guild| of_guild(guild) != shard) {
                    return Err(Refusal::Invalid(
                        "guilds of several shards: one request for each".into(),
                    ));
                }
                shard
            }
            (_, None) => return Err(Refusal::Malformed),
        };
        if self.shards.ids().contains(&shards) {
            Ok(vec![shards])
        } else {
            Err(Refusal::WrongShard { shard: shards })
        }
    }

    async fn ask(&self, shard: u16, command: Command) -> Result<(), Refusal> {
        let absent = Refusal::NotConnected { shard };
        let queue = self
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&shard)
            .cloned()
            .ok_or_else(|| absent.clone())?;
        let (reply, answer) = oneshot::channel();
        match queue.try_send(Ask { command, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                return Err(Refusal::RateLimited { retry_after_ms: RETRY_MS });
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(absent),
        }
        match answer.await {
            Ok(Reply::Refused(refusal)) => Err(refusal),
            Ok(_) => Ok(()),
            Err(_) => Err(absent),
        }
    }
}

/// What to answer when of so many shards these refused.
fn summary(asked: usize, refused: Vec<(u16, Refusal)>) -> Reply {
    let Some((_, last)) = refused.last().cloned() else { return Reply::Accepted };
    if refused.len() == asked {
        return Reply::Refused(last);
    }
    let reply = Reply::Partly { refused };
    // A list too long for a packet: to send it twice is better than to call it sent.
    if reply.encode().is_some() { reply } else { Reply::Refused(last) }
}

#[cfg(test)]
mod tests {
    use mixcord_event::send::{PresenceUpdate, RequestSounds};

    use super::*;

    fn desk() -> Desk {
        Desk::new(ShardSet { first: 2, last: 3, count: 4 })
    }

    fn sounds(guilds: &[u64]) -> Command {
        Command::RequestSounds(RequestSounds {
            guild_ids: guilds.iter().map(|g| g << 22).collect(),
        })
    }

    fn presence() -> Command {
        let status = "idle".to_owned();
        Command::Presence(PresenceUpdate { since: None, activities: vec![], status, afk: false })
    }

    fn route(target: Target, command: Command) -> Result<Vec<u16>, Refusal> {
        desk().route(&Request { target, command })
    }

    #[test]
    fn g39_requests_go_to_the_shard_of_their_guild() {
        assert_eq!(route(Target::Guild, sounds(&[2, 6])), Ok(vec![2]));
        assert_eq!(route(Target::Guild, sounds(&[5])), Err(Refusal::WrongShard { shard: 1 }));
        assert!(matches!(route(Target::Guild, sounds(&[2, 3])), Err(Refusal::Invalid(_))));
        assert!(matches!(route(Target::Shard(3), sounds(&[2])), Err(Refusal::Invalid(_))));
        assert!(matches!(route(Target::Guild, sounds(&[])), Err(Refusal::Invalid(_))));
        assert_eq!(route(Target::All, presence()), Ok(vec![2, 3]));
        assert_eq!(route(Target::Shard(3), presence()), Ok(vec![3]));
        assert!(matches!(route(Target::Guild, presence()), Err(Refusal::Invalid(_))));
    }

    #[tokio::test]
    async fn a_shard_that_is_not_there_or_too_busy_says_so() {
        let desk = desk();
        let request = Request { target: Target::Shard(2), command: presence() };
        let absent = Reply::Refused(Refusal::NotConnected { shard: 2 });
        assert_eq!(desk.handle(request.clone()).await, absent);
        let mut queue = desk.open(2);
        let answered = tokio::join!(desk.handle(request.clone()), async {
            let ask = queue.recv().await.expect("an ask");
            ask.reply.send(Reply::Accepted).expect("somebody waits");
        });
        assert_eq!(answered.0, Reply::Accepted);
        drop(queue);
        assert_eq!(desk.handle(request).await, absent);
    }

    /// Who asks again has to know where it was sent already.
    #[tokio::test]
    async fn of_all_shards_those_that_refused_are_named() {
        let desk = desk();
        let mut queue = desk.open(3);
        let request = Request { target: Target::All, command: presence() };
        let (reply, ()) = tokio::join!(desk.handle(request.clone()), async {
            let ask = queue.recv().await.expect("an ask");
            ask.reply.send(Reply::Accepted).expect("somebody waits");
        });
        let absent = |shard| Refusal::NotConnected { shard };
        assert_eq!(reply, Reply::Partly { refused: vec![(2, absent(2))] });
        drop(queue);
        assert_eq!(desk.handle(request).await, Reply::Refused(absent(3)));
        let many: Vec<_> = (0..20_000).map(|shard| (shard, absent(shard))).collect();
        assert_eq!(summary(30_000, many), Reply::Refused(absent(19_999)));
    }
}

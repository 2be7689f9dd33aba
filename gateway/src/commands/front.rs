//! Where commands of consumers come in, while one set of sessions runs and while two do.

use std::sync::{Arc, Mutex, PoisonError};

use mixcord_event::command::{Command, Refusal, Reply, Request, Target};

use super::Desk;

/// The set that commands go to, and one that is to take its place.
///
/// Commands go to the set that consumers know: voice and requests until its place is taken. What is for all shards, such
/// as a presence or a pause, goes to both.
#[derive(Debug)]
pub struct Front {
    desks: Mutex<(Arc<Desk>, Option<Arc<Desk>>)>,
}

impl Front {
    /// Of one set.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desks: Mutex::new((desk, None)) }
    }

    /// From now on these sets run.
    pub fn change(&self, desk: Arc<Desk>, beside: Option<Arc<Desk>>) {
        *self.desks.lock().unwrap_or_else(PoisonError::into_inner) = (desk, beside);
    }

    /// Answers a packet; `None` where the answer is none that can be sent.
    pub async fn answer(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let reply = match Request::decode(packet) {
            Some(request) => self.handle(request).await,
            None => Reply::Refused(Refusal::Malformed),
        };
        reply.encode()
    }

    async fn handle(&self, request: Request) -> Reply {
        let (desk, beside) = self.desks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let beside = beside.filter(|_| is_for_both(&request));
        let again = beside.is_some().then(|| request.clone());
        let reply = desk.handle(request).await;
        match (beside, again) {
            (Some(beside), Some(request)) if reply == Reply::Accepted => {
                in_short(beside.handle(request).await)
            }
            _ => reply,
        }
    }
}

fn is_for_both(request: &Request) -> bool {
    request.target == Target::All
        && matches!(
            request.command,
            Command::Presence(_) | Command::Reconnect | Command::Pause { .. }
        )
}

/// What came of it at a set whose shards whoever asked does not know: worth another try as a whole, or done. A shard that
/// has no session yet has nothing to give up.
fn in_short(reply: Reply) -> Reply {
    let refused = match reply {
        Reply::Refused(refusal) => vec![refusal],
        Reply::Partly { refused } => refused.into_iter().map(|(_, refusal)| refusal).collect(),
        _ => Vec::new(),
    };
    let again = refused.into_iter().find(|refusal| {
        matches!(
            refusal,
            Refusal::RateLimited { .. } | Refusal::Other { retry_after_ms: Some(_), .. }
        )
    });
    again.map_or(Reply::Accepted, Reply::Refused)
}

#[cfg(test)]
mod tests {
    use mixcord_event::send::{PresenceUpdate, VoiceState};
    use tokio::sync::mpsc;

    use super::*;
    use crate::commands::Ask;
    use crate::config::ShardSet;

    fn desk(count: u16) -> Arc<Desk> {
        Arc::new(Desk::new(ShardSet::whole(count)))
    }

    /// Takes commands of a shard, and counts them.
    fn shard(desk: &Desk, reply: Reply) -> mpsc::UnboundedReceiver<Command> {
        let mut asks = desk.open(0);
        let (told, taken) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ask { command, reply: to }) = asks.recv().await {
                let _ = told.send(command);
                let _ = to.send(reply.clone());
            }
        });
        taken
    }

    fn presence(target: Target) -> Request {
        let status = "idle".to_owned();
        let shown = PresenceUpdate { since: None, activities: vec![], status, afk: false };
        Request { target, command: Command::Presence(shown) }
    }

    fn voice() -> Request {
        let leave =
            VoiceState { guild_id: 1 << 22, channel_id: None, self_mute: false, self_deaf: false };
        Request { target: Target::Guild, command: Command::VoiceState(leave) }
    }

    #[tokio::test]
    async fn a_presence_goes_to_both_sets_and_voice_to_the_one_that_delivers() {
        let (old, new) = (desk(1), desk(1));
        let (mut by_old, mut by_new) = (shard(&old, Reply::Accepted), shard(&new, Reply::Accepted));
        let front = Front::new(old.clone());
        front.change(old, Some(new.clone()));
        for request in [presence(Target::All), presence(Target::Shard(0)), voice()] {
            assert_eq!(front.handle(request).await, Reply::Accepted);
        }
        assert_eq!(by_old.len(), 3);
        assert!(matches!(by_new.try_recv(), Ok(Command::Presence(_))));
        assert!(by_new.try_recv().is_err(), "nothing else");
        // Its place is taken.
        front.change(new, None);
        assert_eq!(front.handle(voice()).await, Reply::Accepted);
        assert!(matches!(by_new.try_recv(), Ok(Command::VoiceState(_))));
        assert_eq!(by_old.len(), 3);
        by_old.close();
    }

    /// Whoever asks knows no shard of the other set.
    #[tokio::test]
    async fn what_the_other_set_refuses_for_now_is_asked_again_as_a_whole() {
        let (old, new) = (desk(1), desk(1));
        let _by_old = shard(&old, Reply::Accepted);
        let refusal = Refusal::RateLimited { retry_after_ms: 7 };
        let _by_new = shard(&new, Reply::Refused(refusal.clone()));
        let front = Front::new(old.clone());
        front.change(old.clone(), Some(new.clone()));
        assert_eq!(front.handle(presence(Target::All)).await, Reply::Refused(refusal));
        // One that has not begun yet refuses nothing.
        front.change(old, Some(desk(1)));
        assert_eq!(front.handle(presence(Target::All)).await, Reply::Accepted);
    }
}

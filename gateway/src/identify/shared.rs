//! Permits that gateways of one token on several machines share, through the bridge of each.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mixcord_event::permit::{Answer, Ask, Bucket, PACKET_MAX};
use mixcord_event::topology;
use mixcord_process::packets::{self, Asked};
use tokio::runtime::Handle;

use super::{Gate, Rules};
use crate::config::Fingerprint;

/// How long the bridge may take: it asks the broker several times.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon to ask again where nobody answers.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said that a permit is waited for, and from when on.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// So often it is tried to tell what became of a permit, which is over by itself some time.
const TRIES: u32 = 20;

/// Where permits are asked for.
#[derive(Debug)]
pub struct Shared {
    socket: PathBuf,
    token: [u8; 16],
}

/// A permit of the broker, or a turn without it. Given up when it is dropped.
#[derive(Debug)]
pub(super) struct SharedPermit {
    socket: PathBuf,
    bucket: Bucket,
    permit: u64,
    until: Instant,
    is_used: bool,
}

impl Gate {
    /// The same, where gateways of other machines use the token, too.
    #[must_use]
    pub fn shared(mut self, shared: Option<Shared>) -> Self {
        self.shared = shared;
        self
    }
}

impl Shared {
    /// At the bridge of this instance, for the token with this fingerprint.
    pub fn new(instance: &str, token: Fingerprint) -> Self {
        Self { socket: topology::permit_socket(instance).into(), token: token.0 }
    }

    /// Waits until `shard` may identify.
    pub(super) async fn permit(&self, shard: u16, rules: &Rules) -> SharedPermit {
        let number = u32::from(shard) % rules.max_concurrency.max(1);
        let bucket = Bucket { token: self.token, number };
        let spacing_ms = u64::try_from(rules.spacing.as_millis()).unwrap_or(u64::MAX);
        let mut told = Instant::now();
        loop {
            let asked = Instant::now();
            let claim = Ask::Claim { bucket, spacing_ms };
            let (pause, why) = match ask(&self.socket, claim).await {
                Some(Answer::Granted { permit, valid_ms }) => {
                    return SharedPermit {
                        socket: self.socket.clone(),
                        bucket,
                        permit,
                        until: asked + Duration::from_millis(valid_ms),
                        is_used: false,
                    };
                }
                Some(Answer::Wait { ms, why }) => (Duration::from_millis(ms), why),
                Some(_) => (PAUSE, Some("the bridge is of another release".to_owned())),
                None => (PAUSE, Some("no mixcord-bridge send runs here".to_owned())),
            };
            if let Some(why) = why
                && told.elapsed() >= TELL_EVERY
            {
                told = Instant::now();
                tracing::warn!(shard, "no permit to identify from the bridge yet: {why}");
            }
            tokio::time::sleep(pause).await;
        }
    }
}

impl SharedPermit {
    /// Whether IDENTIFY may be written still.
    pub(super) fn is_valid(&self) -> bool {
        Instant::now() < self.until
    }

    /// It was.
    pub(super) fn used(mut self) {
        self.is_used = true;
        self.tell(Ask::Used { bucket: self.bucket, permit: self.permit });
    }

    fn tell(&self, what: Ask) {
        let socket = self.socket.clone();
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            for _ in 0..TRIES {
                if ask(&socket, what).await.is_some() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

impl Drop for SharedPermit {
    fn drop(&mut self) {
        if !self.is_used {
            self.tell(Ask::Unused { bucket: self.bucket, permit: self.permit });
        }
    }
}

async fn ask(socket: &Path, what: Ask) -> Option<Answer> {
    match packets::ask(socket, &what.encode(), PACKET_MAX, PATIENCE).await {
        Asked::Answered(answer) => Answer::decode(&answer),
        Asked::Nobody | Asked::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use mixcord_process::packets::PacketServer;

    use super::super::tests::gate;
    use super::*;

    const RULES: Rules =
        Rules { max_concurrency: 4, spacing: Duration::from_millis(30), total: 1_000 };

    /// A bridge that lets whoever asks wait once, and what it was asked.
    fn bridge(shared: &Shared) -> Arc<Mutex<Vec<Ask>>> {
        let server = PacketServer::bind(shared.socket.clone(), PACKET_MAX).expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&asked);
        tokio::spawn(server.serve(move |packet| {
            let ask = Ask::decode(&packet).expect("a question");
            let mut known = known.lock().expect("whole");
            known.push(ask);
            let answer = match (ask, known.len()) {
                (Ask::Claim { .. }, 1) => Answer::Wait { ms: 1, why: None },
                (Ask::Claim { .. }, _) => Answer::Granted { permit: 9, valid_ms: 60_000 },
                _ => Answer::Noted,
            };
            async move { Some(answer.encode()) }
        }));
        asked
    }

    async fn until(asked: &Mutex<Vec<Ask>>, count: usize) -> Ask {
        loop {
            if let Some(last) = asked.lock().expect("whole").get(count - 1) {
                return *last;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn g14_other_machines_are_waited_for_and_told_what_became_of_it() {
        let instance = format!("t{}-g-permits", std::process::id());
        let shared = Shared::new(&instance, Fingerprint([7; 16]));
        let asked = bridge(&shared);
        let bucket = Bucket { token: [7; 16], number: 2 };
        let permit = shared.permit(6, &RULES).await;
        assert_eq!(until(&asked, 2).await, Ask::Claim { bucket, spacing_ms: 30 });
        assert!(permit.is_valid());
        permit.used();
        assert_eq!(until(&asked, 3).await, Ask::Used { bucket, permit: 9 });
        // A shard that goes away gives its permit back.
        drop(shared.permit(6, &RULES).await);
        assert_eq!(until(&asked, 5).await, Ask::Unused { bucket, permit: 9 });
        let over = SharedPermit {
            socket: shared.socket.clone(),
            bucket,
            permit: 1,
            until: Instant::now(),
            is_used: true,
        };
        assert!(!over.is_valid(), "it is not waited for without end");
    }

    /// It may take hours, and would cost an identify of the day each time that it is given up.
    #[tokio::test]
    async fn g14_who_waits_for_other_machines_takes_nothing_of_this_one() {
        let instance = format!("t{}-g-waits", std::process::id());
        let shared = Shared::new(&instance, Fingerprint([7; 16]));
        let server = PacketServer::bind(shared.socket.clone(), PACKET_MAX).expect("bound");
        let asked = Arc::new(tokio::sync::Notify::new());
        let heard = Arc::clone(&asked);
        tokio::spawn(server.serve(move |_| {
            heard.notify_one();
            async { Some(Answer::Wait { ms: 600_000, why: None }.encode()) }
        }));
        let folder = tempfile::tempdir().expect("a folder");
        let waits = gate(folder.path(), 1, &[]);
        let waits = Arc::into_inner(waits).expect("nobody else's").shared(Some(shared));
        let waits = tokio::spawn(async move { waits.permit(3, 0).await });
        asked.notified().await;
        let alone = gate(folder.path(), 1, &[]);
        let granted = tokio::time::timeout(Duration::from_secs(10), alone.permit(7, 0)).await;
        granted.expect("the bucket is free").expect("granted");
        assert!(!waits.is_finished());
        waits.abort();
    }
}

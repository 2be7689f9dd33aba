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
/// A permit is kept for so long while another gateway of this machine has the bucket: longer than it takes to write
/// IDENTIFY, unless that gateway is stopped.
const MOMENT: Duration = Duration::from_secs(1);
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
    had: Instant,
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
        let bucket = Bucket { token: self.token, number: number(shard, rules) };
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
                        had: Instant::now(),
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

    /// Whether it is one for that shard, too, as Discord's rules are now.
    pub(super) fn serves(&self, shard: u16, rules: &Rules) -> bool {
        self.is_valid() && self.bucket.number == number(shard, rules)
    }

    /// Whether it may be kept while another gateway of this machine has the bucket: other machines wait for it.
    pub(super) fn is_new(&self) -> bool {
        self.had.elapsed() < MOMENT
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

/// Of the bucket.
fn number(shard: u16, rules: &Rules) -> u32 {
    u32::from(shard) % rules.max_concurrency.max(1)
}

async fn ask(socket: &Path, what: Ask) -> Option<Answer> {
    match packets::ask(socket, &what.encode(), PACKET_MAX, PATIENCE).await {
        Asked::Answered(answer) => Answer::decode(&answer),
        Asked::Nobody | Asked::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    use mixcord_process::packets::PacketServer;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::super::tests::gate;
    use super::super::{Permit, Place};
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
            had: Instant::now(),
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

    const DEADLINE: Duration = Duration::from_secs(10);
    /// Far longer than the spacing that the book knows.
    const WHILE: Duration = Duration::from_millis(300);

    /// Two gateways of one machine, one of which asks a bridge that grants nothing until it is told to.
    struct Machine {
        shares: Arc<Gate>,
        alone: Arc<Gate>,
        asked: Arc<Mutex<Vec<Ask>>>,
        grants: Arc<AtomicBool>,
        _folder: tempfile::TempDir,
    }

    impl Machine {
        fn new(name: &str) -> Self {
            let instance = format!("t{}-g-{name}", std::process::id());
            let shared = Shared::new(&instance, Fingerprint([7; 16]));
            let server = PacketServer::bind(shared.socket.clone(), PACKET_MAX).expect("bound");
            let (asked, grants) = (Arc::<Mutex<Vec<Ask>>>::default(), Arc::default());
            let (known, open) = (Arc::clone(&asked), Arc::<AtomicBool>::clone(&grants));
            tokio::spawn(server.serve(move |packet| {
                let ask = Ask::decode(&packet).expect("a question");
                known.lock().expect("whole").push(ask);
                let answer = match ask {
                    Ask::Claim { .. } if open.load(Ordering::Relaxed) => {
                        Answer::Granted { permit: 9, valid_ms: 60_000 }
                    }
                    Ask::Claim { .. } => Answer::Wait { ms: 1, why: None },
                    _ => Answer::Noted,
                };
                async move { Some(answer.encode()) }
            }));
            let folder = tempfile::tempdir().expect("a folder");
            let gate = || gate(folder.path(), 1, &[]);
            let shares = Arc::into_inner(gate()).expect("nobody else's").shared(Some(shared));
            Self { shares: Arc::new(shares), alone: gate(), asked, grants, _folder: folder }
        }

        fn permit(&self, shard: u16) -> JoinHandle<io::Result<Permit>> {
            let gate = Arc::clone(&self.shares);
            tokio::spawn(async move { gate.permit(shard, 0).await })
        }

        /// As of a shard that has a session.
        fn spare_permit(&self, shard: u16) -> JoinHandle<io::Result<Permit>> {
            let gate = Arc::clone(&self.shares);
            tokio::spawn(async move { gate.spare_permit(shard, 0, 0).await })
        }

        fn grant(&self) {
            self.grants.store(true, Ordering::Relaxed);
        }

        fn asked(&self) -> Vec<Ask> {
            self.asked.lock().expect("whole").clone()
        }

        /// Until the bridge was asked something like that.
        async fn until_asked(&self, what: impl Fn(&Ask) -> bool) {
            let asked = async {
                while !self.asked().iter().any(&what) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(DEADLINE, asked).await.expect("asked");
        }
    }

    const fn bucket(number: u32) -> Bucket {
        Bucket { token: [7; 16], number }
    }

    const fn is_claim(ask: &Ask) -> bool {
        matches!(ask, Ask::Claim { .. })
    }

    const fn is_unused(ask: &Ask) -> bool {
        matches!(ask, Ask::Unused { .. })
    }

    async fn granted(waits: JoinHandle<io::Result<Permit>>) -> Permit {
        timeout(DEADLINE, waits).await.expect("in time").expect("no panic").expect("granted")
    }

    /// It may be hours, and the shard of another bucket by then.
    #[tokio::test]
    async fn g14_who_waited_for_other_machines_goes_by_the_rules_of_now() {
        let machine = Machine::new("rules");
        let waits = machine.permit(3);
        machine.until_asked(is_claim).await;
        machine.shares.set_rules(Rules { max_concurrency: 2, ..RULES });
        machine.grant();
        granted(waits).await.used().expect("written");
        machine.until_asked(is_unused).await;
        machine.until_asked(|ask| matches!(ask, Ask::Used { .. })).await;
        let settled: Vec<_> = machine.asked().into_iter().filter(|ask| !is_claim(ask)).collect();
        let (unused, used) = (bucket(0), bucket(1));
        assert!(settled.contains(&Ask::Unused { bucket: unused, permit: 9 }), "{settled:?}");
        assert!(settled.contains(&Ask::Used { bucket: used, permit: 9 }), "{settled:?}");
        assert_eq!(settled.len(), 2, "{settled:?}");
    }

    #[tokio::test]
    async fn g14_who_waited_for_other_machines_lets_those_go_first_that_came_meanwhile() {
        for (name, is_spare, first) in [("before", false, 3), ("needs", true, 9)] {
            let machine = Machine::new(name);
            let waits = if is_spare { machine.spare_permit(7) } else { machine.permit(7) };
            machine.until_asked(is_claim).await;
            let first = Place::take(&machine.shares, first);
            machine.grant();
            machine.until_asked(is_unused).await;
            assert!(!waits.is_finished());
            drop(first);
            granted(waits).await;
        }
    }

    /// A gateway that is stopped has the bucket here for as long as it is.
    #[tokio::test]
    async fn g14_nothing_is_asked_of_other_machines_that_cannot_be_used_here() {
        let machine = Machine::new("stopped");
        let stopped = machine.alone.permit(7, 0).await.expect("granted");
        machine.grant();
        let mut waits = machine.permit(3);
        assert!(timeout(WHILE, &mut waits).await.is_err());
        assert_eq!(machine.asked(), []);
        drop(stopped);
        granted(waits).await;
    }

    #[tokio::test]
    async fn g14_what_other_machines_gave_is_given_back_where_the_bucket_here_is_held() {
        let machine = Machine::new("held");
        let mut waits = machine.permit(3);
        machine.until_asked(is_claim).await;
        let stopped = machine.alone.permit(7, 0).await.expect("granted");
        machine.grant();
        machine.until_asked(is_unused).await;
        // Nor is it asked for again.
        let asked = machine.asked().len();
        assert!(timeout(WHILE, &mut waits).await.is_err());
        assert_eq!(machine.asked().len(), asked);
        drop(stopped);
        granted(waits).await;
    }
}

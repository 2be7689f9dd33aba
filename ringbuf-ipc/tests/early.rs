//! Programs that die before they have settled anything, each start a process of its own that ends by SIGKILL.

mod common;

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Instance, one_partition, put};
use mixcord_ring::{GroupSpec, Order, Producer, Ring, Settle, Start, Worker, WorkerOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PREFIX: &str = "RING_EARLY_PREFIX";
const KILLS: &str = "RING_EARLY_KILLS";
const ATTEMPTS: u8 = 2;
/// Where the first group is.
const GROUP: u64 = 65_536 + 896;
/// A key whose records have a tag that the program does not want.
const UNWANTED: u64 = 6;
/// A key of no record: what is taken fails, and then the program dies, of nothing.
const RETRY: u64 = u64::MAX;

fn group() -> GroupSpec {
    GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key)
}

/// Run by the tests below in a process of its own: handles all there is, and dies of the keys it is told to die of.
#[test]
fn child() {
    let Ok(prefix) = std::env::var(PREFIX) else { return };
    let kills = std::env::var(KILLS).unwrap();
    let kills: Vec<u64> = kills.split(' ').map(|key| key.parse().unwrap()).collect();
    let namespace = mixcord_ring::Namespace::new(&prefix).unwrap();
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(&namespace, "r").unwrap();
    let options = WorkerOptions::new().attempts(ATTEMPTS).tags(|tag| tag != UNWANTED % 5);
    let mut worker = ring.work(&group(), &bell, options).unwrap();
    if kills == [RETRY] {
        let again = Settle::Retry { after: Duration::from_secs(60), reason: "not yet" };
        worker.take().unwrap().expect("one is there").settle(again).unwrap();
        kill(Pid::this(), Signal::SIGKILL).unwrap();
    }
    loop {
        // As a program does that handles several at a time.
        let out: Vec<_> = std::iter::from_fn(|| worker.take().unwrap()).take(3).collect();
        if out.is_empty() {
            return;
        }
        if out.iter().any(|delivery| kills.contains(&delivery.entry().key)) {
            kill(Pid::this(), Signal::SIGKILL).unwrap();
        }
        out.into_iter().for_each(|delivery| assert!(delivery.settle(Settle::Ack).is_ok()));
    }
}

struct Scene {
    instance: Instance,
    producer: Producer,
}

impl Scene {
    fn new(test: &str, keys: &[u64]) -> Self {
        let instance = Instance::new(test);
        let bell = instance.namespace.bell().unwrap();
        let (namespace, geometry) = (&instance.namespace, one_partition());
        let mut producer = Producer::create(namespace, "r", geometry, &[group()], &bell).unwrap();
        for &key in keys {
            put(&mut producer, key);
        }
        producer.publish();
        Self { instance, producer }
    }

    /// Whether the program ended well.
    fn start(&self, kills: &str) -> bool {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(PREFIX, self.instance.namespace.prefix())
            .env(KILLS, kills)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let read = child.stdout.take().unwrap().read_to_string(&mut said);
        let ended = child.wait().unwrap();
        read.unwrap();
        assert!(ended.success() || ended.signal() == Some(9), "{ended}: {said}");
        ended.success()
    }

    /// What the group remembers, where `LAYOUT.md` draws it.
    fn fear(&self) -> u64 {
        self.word(GROUP + 496)
    }

    fn word(&self, at: u64) -> u64 {
        let file = std::fs::File::open(self.instance.path("r")).unwrap();
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn join(&self) -> Worker {
        let bell = self.instance.namespace.bell().unwrap();
        self.producer.ring().work(&group(), &bell, WorkerOptions::new()).unwrap()
    }

    /// Starts the program until it ends well: how many died before.
    fn starts(&self, kills: &str) -> u32 {
        (0..60).find(|_| self.start(kills)).expect("it ends well sometime")
    }

    fn dead(&self) -> Vec<u64> {
        let letters = self.producer.ring().dead_letters("bot").unwrap();
        letters.iter().map(|letter| letter.position).collect()
    }
}

#[test]
fn an_event_that_kills_its_process_is_given_up_though_nothing_else_comes() {
    let scene = Scene::new("early", &[7]);
    // Five in a row, two of which nobody is sure, and as many attempts as it has.
    assert_eq!(scene.starts("7"), 5 + 2 + u32::from(ATTEMPTS));
    assert_eq!(scene.dead(), [0]);
}

/// What the group's filter passes is handled by nobody, and proves nothing when it comes between two starts.
#[test]
fn what_is_not_wanted_is_no_other_record() {
    let mut scene = Scene::new("unwanted", &[7]);
    let died = (0..60).find(|_| {
        put(&mut scene.producer, UNWANTED);
        scene.producer.publish();
        scene.start("7")
    });
    assert_eq!((died, scene.dead()), (Some(5 + 2 + usize::from(ATTEMPTS)), vec![0]));
}

#[test]
fn one_beside_others_is_given_up_alone() {
    let scene = Scene::new("beside", &[7, 8, 9, 10]);
    scene.starts("8");
    assert_eq!(scene.dead(), [1]);
}

/// A release that cannot handle anything is rolled back, and everything is there still.
#[test]
fn a_program_that_dies_of_everything_has_nothing_given_up() {
    let scene = Scene::new("broken", &[7, 8]);
    for _ in 0..40 {
        assert!(!scene.start("7 8"));
    }
    assert_eq!(scene.dead(), [0; 0]);
    assert_eq!(scene.starts("0"), 0);
    assert_eq!((scene.dead(), scene.producer.ring().groups()[0].lag), (vec![], 0));
}

/// The same where all that waits is of one key, and only the first of it can be offered.
#[test]
fn a_program_that_dies_of_everything_has_nothing_of_one_key_given_up() {
    let scene = Scene::new("onekey", &[7, 7]);
    for _ in 0..40 {
        assert!(!scene.start("7"));
    }
    assert_eq!(scene.dead(), [0; 0]);
    assert_eq!(scene.starts("0"), 0);
    assert_eq!((scene.dead(), scene.producer.ring().groups()[0].lag), (vec![], 0));
}

/// Once a member works, the next ones begin as ever.
#[test]
fn a_record_that_killed_and_was_settled_is_forgotten() {
    let scene = Scene::new("forgotten", &[7]);
    assert!(!scene.start("7"));
    drop(scene.join());
    assert_eq!(scene.fear(), 1 << 8 | 1);
    assert!(scene.start("0"));
    assert_eq!(scene.fear(), 0);
}

/// What is remembered of it is where `LAYOUT.md` draws it.
#[test]
fn what_members_died_with_is_where_it_is_drawn() {
    let scene = Scene::new("drawn", &[7]);
    for _ in 0..3 {
        assert!(!scene.start("7"));
    }
    // The third died and nobody came since who counts it.
    assert_eq!(scene.fear(), 1 << 8 | 2, "record 0, twice in a row");
    assert_eq!(scene.word(GROUP + 512 + 48), 1, "record 0 is all it took");
    let _next = scene.join();
    assert_eq!((scene.fear(), scene.word(GROUP + 512 + 48)), (1 << 8 | 3, 0));
}

/// Several were out, so it is laid to none; and once the program works, nobody goes one by one for it any more.
#[test]
fn what_nobody_is_to_blame_for_is_forgotten_when_something_is_settled() {
    let scene = Scene::new("calm", &[7, 8]);
    assert!(!scene.start("7 8"));
    drop(scene.join());
    assert_eq!(scene.fear(), 1);
    assert!(scene.start("0"));
    assert_eq!(scene.fear(), 0);
}

/// What waits for another try is not what its process died with.
#[test]
fn a_death_is_not_laid_to_what_waited_for_another_try() {
    let scene = Scene::new("retry", &[7]);
    assert!(!scene.start(&RETRY.to_string()));
    drop(scene.join());
    assert_eq!(scene.fear(), 0);
}

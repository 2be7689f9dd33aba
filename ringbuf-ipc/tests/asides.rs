//! The file of a group: what is given from there, what is given once, and what becomes of it when it is damaged.

mod common;
#[path = "common/scene.rs"]
mod scene;

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mixcord_ring::{
    Delivery, GroupSpec, Meta, Namespace, Order, Ring, Settle, SettleError, Settled, Start,
    TakeError, Worker, WorkerOptions,
};
use scene::Scene;

const LONG: Duration = Duration::from_secs(30);
const PREFIX: &str = "RING_ASIDES_PREFIX";

impl Scene {
    /// Publishes records of another key and settles them, until the first of key 1 are set aside.
    fn fill(&mut self, worker: &mut Worker) {
        let end = Instant::now() + LONG;
        let before = self.producer.ring().groups()[0].figures.aside;
        while self.producer.ring().groups()[0].figures.aside == before {
            assert!(Instant::now() < end, "nothing is set aside");
            while self.put(2, 0) {}
            while let Some(delivery) = worker.take().unwrap() {
                assert_eq!(delivery.entry().key, 2);
                delivery.settle(Settle::Ack).unwrap();
            }
            worker.tend();
        }
    }

    fn letters(&self) -> PathBuf {
        let id = self.producer.ring().id();
        self.instance.path(&format!("r.letters-{:016x}-0", id.0))
    }
}

fn once() -> WorkerOptions {
    WorkerOptions::new().at_most_once()
}

fn taken(worker: &mut Worker) -> Delivery {
    let end = Instant::now() + LONG;
    loop {
        if let Some(delivery) = worker.take().unwrap() {
            return delivery;
        }
        assert!(Instant::now() < end, "there is none");
        worker.wait(Duration::from_millis(10));
    }
}

/// Run by the test below in a process of its own: takes one record of the file, and waits to be killed.
#[test]
fn child() {
    let Ok(prefix) = std::env::var(PREFIX) else { return };
    let namespace = Namespace::new(&prefix).unwrap();
    let bell = namespace.bell().unwrap();
    let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key);
    let ring = Ring::attach(&namespace, "r").unwrap();
    let mut worker = ring.work(&group, &bell, once()).unwrap();
    let delivery = taken(&mut worker);
    println!("\nhas {}", delivery.position());
    loop {
        std::thread::park();
    }
}

struct Holder(Child);

impl Holder {
    /// A process that has a record, and which.
    fn start(scene: &Scene) -> (Self, u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(PREFIX, scene.instance.namespace.prefix())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let holder = Self(child);
        let has =
            lines.map(Result::unwrap).find_map(|line| line.strip_prefix("has ")?.parse().ok());
        (holder, has.expect("it says what it has"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// P10: a handler that hangs with what is given once holds up its own key, and nothing beside it.
#[test]
fn the_next_of_a_key_waits_for_one_that_is_given_once_and_was_set_aside() {
    let mut scene = Scene::new("once", 64, Order::Key);
    let mut worker = scene.worker(once());
    scene.put(1, 0);
    let hangs = taken(&mut worker);
    scene.put(1, 0);
    scene.fill(&mut worker);
    let mut other = scene.worker(once());
    for worker in [&mut worker, &mut other] {
        while let Some(delivery) = worker.take().unwrap() {
            assert_eq!(delivery.entry().key, 2, "beside the first of its key");
            delivery.settle(Settle::Ack).unwrap();
        }
    }
    hangs.settle(Settle::Ack).unwrap();
    assert_eq!(taken(&mut other).position(), 1);
}

#[test]
fn what_was_given_once_is_not_given_again_from_the_file_when_its_process_is_killed() {
    let mut scene = Scene::new("killed", 64, Order::Key);
    let mut worker = scene.worker(once());
    (0..3).for_each(|_| assert!(scene.put(1, 0)));
    let hangs = taken(&mut worker);
    scene.fill(&mut worker);
    hangs.settle(Settle::Ack).unwrap();
    drop(worker);
    while scene.producer.ring().groups()[0].lag > 0 {
        let mut worker = scene.worker(once());
        while let Some(delivery) = worker.take().unwrap() {
            if delivery.entry().key == 1 {
                // Given back as it was: it is in the file still.
                break;
            }
            delivery.settle(Settle::Ack).unwrap();
        }
    }
    let (holder, has) = Holder::start(&scene);
    assert_eq!(has, 1);
    drop(holder);
    let mut worker = scene.worker(once());
    let next = taken(&mut worker);
    assert_eq!(next.position(), 2, "the first was given for the first and last time");
    next.settle(Settle::Ack).unwrap();
    assert!(worker.take().unwrap().is_none());
}

/// Members that have enough to do take nothing; what holds up the ring goes aside all the same.
#[test]
fn a_worker_that_only_tends_sets_aside_what_it_never_saw() {
    let mut scene = Scene::new("tends", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    scene.put(1, 0);
    let hangs = taken(&mut worker);
    let end = Instant::now() + LONG;
    for _ in 0..200 {
        while !scene.put(1, 0) {
            assert!(Instant::now() < end, "the ring is held up");
            worker.tend();
        }
    }
    hangs.settle(Settle::Ack).unwrap();
    for position in 1..=200 {
        let next = taken(&mut worker);
        assert_eq!(next.position(), position);
        next.settle(Settle::Ack).unwrap();
    }
}

/// P8: what was damaged is told once, by each member, and everything else goes on.
#[test]
fn damage_in_the_file_costs_what_was_damaged_and_is_told() {
    let mut scene = Scene::new("damage", 64, Order::None);
    (0..6).for_each(|key| assert!(scene.put(key, 0)));
    let mut worker = scene.worker(WorkerOptions::new());
    let mut other = scene.worker(WorkerOptions::new());
    for _ in 0..6 {
        taken(&mut worker).settle(Settle::Dead { reason: "no use" }).unwrap();
    }
    // Another process opens the file, which is damaged by now.
    let mut bytes = std::fs::read(scene.letters()).unwrap();
    let entry = 64 + 2 * 128;
    bytes[entry + 40] ^= 0xFF;
    std::fs::write(scene.letters(), &bytes).unwrap();
    let ring = Ring::attach(&scene.instance.namespace, "r").unwrap();
    let letters = ring.dead_letters("bot").unwrap();
    assert_eq!(letters.iter().map(|letter| letter.position).collect::<Vec<_>>(), [0, 1, 3, 4, 5]);
    let figures = ring.groups()[0].figures;
    assert_eq!((figures.damaged, figures.damaged_lost), (1, 1));
    let kept = scene.letters().with_file_name(
        scene.letters().file_name().unwrap().to_str().unwrap().to_owned() + ".damaged",
    );
    assert_eq!(std::fs::read(kept).unwrap(), bytes, "what it was is kept");
    for worker in [&mut worker, &mut other] {
        let told = worker.take().unwrap_err();
        assert!(matches!(told, TakeError::LettersDamaged { lost: 1, .. }), "{told}");
        assert!(worker.take().unwrap().is_none(), "told once");
    }
    scene.put(9, 0);
    taken(&mut other).settle(Settle::Dead { reason: "goes on" }).unwrap();
    assert_eq!(ring.dead_letters("bot").unwrap().len(), 6);
    drop((worker, other));
    scene.producer.ring().remove_group("bot").unwrap();
    let left = scene.instance.files().into_iter().find(|name| name.contains("letters"));
    assert_eq!(left, None, "it goes with its group");
}

/// Its entry, the oldest of the dead by then, goes for the letter with its reason.
#[test]
fn what_dies_in_a_full_file_is_not_told_to_have_gone_for_itself() {
    let reason = "why ".repeat(2 << 10);
    let mut scene = Scene::new("full-file", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    scene.put(1, 0);
    let hangs = taken(&mut worker);
    scene.fill(&mut worker);
    let die = |delivery: Delivery| match delivery.settle(Settle::Dead { reason: &reason }) {
        Ok(Settled::Dead { dropped }) => dropped,
        other => panic!("{other:?}"),
    };
    while {
        assert!(scene.put(3, 0));
        die(taken(&mut worker)).is_empty()
    } {}
    assert_eq!(hangs.position(), 0);
    let dropped = die(hangs);
    assert!(dropped.iter().all(|dropped| dropped.position != 0), "{dropped:?}");
    let letters = scene.producer.ring().dead_letters("bot").unwrap();
    assert_eq!(letters.last().unwrap().position, 0);
}

/// A file full of records that are out has no room for a letter: that is told, and the letter is written once there is.
#[test]
fn what_dies_and_finds_no_room_is_told_and_written_later() {
    let mut scene = Scene::new("no-room", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    let mut put = |scene: &mut Scene, key| {
        let meta = Meta { key, ..Meta::default() };
        scene.producer.stage(&meta, &[&[0; 7 << 10]]).unwrap();
        scene.producer.publish();
        taken(&mut worker)
    };
    let hang: Vec<_> = (10..18).map(|key| put(&mut scene, key)).collect();
    let mut tends = scene.worker(WorkerOptions::new());
    while scene.producer.ring().groups()[0].figures.aside < hang.len() as u64 {
        scene.fill(&mut tends);
    }
    let dies = put(&mut scene, 3);
    let refused = dies.settle(Settle::Dead { reason: &"why ".repeat(100) });
    assert!(
        matches!(&refused, Err(SettleError::Letters(error)) if error.kind() == ErrorKind::StorageFull),
        "{refused:?}"
    );
    assert!(scene.producer.ring().dead_letters("bot").unwrap().is_empty());
    hang.into_iter().for_each(|delivery| drop(delivery.settle(Settle::Ack).unwrap()));
    let end = Instant::now() + LONG;
    while scene.producer.ring().dead_letters("bot").unwrap().is_empty() {
        assert!(Instant::now() < end, "nobody writes it");
        assert!(tends.take().unwrap().is_none());
        tends.wait(Duration::from_millis(10));
    }
}

/// Many handlers that hang hold the ring no longer than one does.
#[test]
fn all_that_hang_are_set_aside_at_once() {
    const HANG: u64 = 20;
    let mut scene = Scene::new("many", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    (10..10 + HANG).for_each(|key| assert!(scene.put(key, 0)));
    let hang: Vec<_> = (0..HANG).map(|_| taken(&mut worker)).collect();
    while scene.put(2, 0) {}
    let end = Instant::now() + LONG;
    let aside = |scene: &Scene| scene.producer.ring().groups()[0].figures.aside;
    while aside(&scene) == 0 {
        assert!(Instant::now() < end, "nothing is set aside");
        worker.tend();
    }
    // As many as stand before a ring that is less than three quarters full.
    assert!(aside(&scene) >= 64 - 48, "{}", aside(&scene));
    drop(hang);
}

/// P10: a group whose floor stands though its members move, since one is stopped or no more can be set aside, is
/// evicted as its policy says.
#[test]
fn a_group_whose_floor_stands_gives_way_after_its_max_absence() {
    let instance = common::Instance::new("stands");
    let bell = instance.namespace.bell().unwrap();
    let geometry = mixcord_ring::Geometry::new(16, 64 << 10, 4, 4, 8).unwrap();
    // Of one key: what hangs can not be set aside.
    let group = GroupSpec::durable("bot")
        .from(Start::Earliest)
        .any_order(Order::Ring)
        .max_absence(Duration::from_millis(50));
    let groups = std::slice::from_ref(&group);
    let mut producer =
        mixcord_ring::Producer::create(&instance.namespace, "r", geometry, groups, &bell).unwrap();
    let mut worker = producer.ring().work(&group, &bell, WorkerOptions::new()).unwrap();
    let put = |producer: &mut mixcord_ring::Producer| {
        let staged = producer.stage(&mixcord_ring::Meta::default(), &[b"x"]).is_ok();
        producer.publish();
        staged
    };
    assert!(put(&mut producer));
    let hangs = taken(&mut worker);
    let end = Instant::now() + LONG;
    for _ in 0..32 {
        while !put(&mut producer) {
            assert!(Instant::now() < end, "the ring is held up for ever");
            // The member itself is as alive as can be.
            worker.tend();
            producer.wait_space(8, Duration::from_millis(1));
        }
    }
    assert!(matches!(worker.take(), Err(TakeError::Removed)), "it was evicted");
    drop(hangs);
}

//! What becomes of the work of a member that is killed, by policy. (Kills at every single store are in
//! `kill_points`, kills at random in `soak`.)

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Instance, drain, one_partition, put};
use mixcord_ring::{Geometry, GroupSpec, Limits, Namespace, Producer, Ring, Start, TakeError};

const LONG: Duration = Duration::from_secs(20);
const PREFIX: &str = "RING_DEATH_PREFIX";
const GROUP: &str = "RING_DEATH_GROUP";

fn spec(kind: &str) -> GroupSpec {
    match kind {
        "ephemeral" => GroupSpec::ephemeral("g"),
        "absent" => GroupSpec::durable("g").max_absence(Duration::from_millis(1)),
        _ => GroupSpec::durable("g"),
    }
    .from(Start::Earliest)
}

/// Run by the tests below in a process of its own: joins, takes two records, and waits to be killed.
#[test]
fn child() {
    let (Ok(prefix), Ok(kind)) = (std::env::var(PREFIX), std::env::var(GROUP)) else { return };
    let namespace = Namespace::new(&prefix).unwrap();
    let bell = namespace.bell().unwrap();
    let mut member = Ring::attach(&namespace, "r").unwrap().join(&spec(&kind), &bell).unwrap();
    let batch = member.take(Limits { records: 2, bytes: 4096 }).unwrap().unwrap();
    println!("\nholding {}", batch.len());
    loop {
        std::thread::park();
    }
}

/// A process with the lock of a member and the hold on a partition.
struct Holder(Child);

impl Holder {
    fn start(instance: &Instance, kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(PREFIX, instance.namespace.prefix())
            .env(GROUP, kind)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "holding 2"));
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A ring that is full, and a member of its group that holds the first two records; or a ring whose group
/// was evicted for that when it became full.
fn full_ring(instance: &Instance, kind: &str) -> (Producer, Holder) {
    let bell = instance.namespace.bell().unwrap();
    let groups = [spec(kind)];
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &groups, &bell).unwrap();
    for _ in 0..2 {
        put(&mut producer, 1);
    }
    producer.publish();
    let holder = Holder::start(instance, kind);
    while producer.has_space(105) && !producer.ring().groups()[0].evicted {
        put(&mut producer, 1);
        producer.publish();
    }
    (producer, holder)
}

#[test]
fn a_durable_group_gets_the_batch_of_a_killed_member_again() {
    let instance = Instance::new("again");
    let (producer, holder) = full_ring(&instance, "durable");
    let bell = instance.namespace.bell().unwrap();
    let mut survivor = producer.ring().join(&spec("durable"), &bell).unwrap();
    assert!(!survivor.wait(Duration::from_millis(30)), "a living member is not robbed");
    holder.kill();
    assert!(survivor.wait(LONG));
    let seen: Vec<_> = drain(&mut survivor).iter().map(|seen| seen.0).collect();
    assert_eq!(seen, (0..producer.tail()).collect::<Vec<_>>());
}

#[test]
fn an_ephemeral_group_whose_last_member_was_killed_gives_way_to_need() {
    let instance = Instance::new("way");
    let (mut producer, holder) = full_ring(&instance, "ephemeral");
    assert!(!producer.wait_space(105, Duration::from_millis(30)));
    holder.kill();
    assert_eq!(producer.ring().groups().len(), 1, "only when its space is needed");
    assert!(producer.wait_space(105, LONG));
    assert_eq!(producer.ring().groups(), []);
}

#[test]
fn a_group_whose_members_are_dead_or_do_not_move_is_evicted_after_its_absence() {
    for killed in [true, false] {
        let instance = Instance::new("absence");
        let (mut producer, holder) = full_ring(&instance, "absent");
        let tail = producer.tail();
        // One that lives and does not move, though there is something to do, is no better than a dead one.
        let _holder = if killed {
            holder.kill();
            None
        } else {
            Some(holder)
        };
        assert!(producer.wait_space(105, LONG));
        assert!(producer.ring().groups()[0].evicted);
        put(&mut producer, 1);
        producer.publish();
        let bell = instance.namespace.bell().unwrap();
        let mut member = producer.ring().join(&spec("absent"), &bell).unwrap();
        let kept = producer.earliest();
        let Err(TakeError::Evicted { lost, .. }) = member.take(Limits::default()) else { panic!() };
        assert_eq!(lost, 0..kept);
        assert_eq!(drain(&mut member).len() as u64, tail + 1 - kept);
    }
}

#[test]
fn a_killed_holder_of_a_durable_group_without_absence_holds_the_ring() {
    let instance = Instance::new("holds");
    let (mut producer, holder) = full_ring(&instance, "durable");
    let tail = producer.tail();
    holder.kill();
    assert!(!producer.wait_space(105, Duration::from_millis(100)));
    let bell = instance.namespace.bell().unwrap();
    let mut member = producer.ring().join(&spec("durable"), &bell).unwrap();
    assert_eq!(drain(&mut member).len() as u64, tail);
    assert!(producer.wait_space(105, LONG));
}

/// Only who is in the way gives way.
#[test]
fn an_absent_group_in_nobodys_way_is_kept() {
    let instance = Instance::new("in-the-way");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(16, 4096, 3, 1, 4).unwrap();
    let slow = GroupSpec::durable("slow").from(Start::Earliest);
    let absence = Duration::from_millis(1);
    let away = GroupSpec::durable("away").from(Start::Earliest).max_absence(absence);
    let groups = [slow.clone(), away.clone()];
    let mut producer =
        Producer::create(&instance.namespace, "r", geometry, &groups, &bell).unwrap();
    let ring = producer.ring();
    let mut living = ring.join(&slow, &bell).unwrap();
    while put(&mut producer, 1) < 14 {}
    producer.publish();
    let mut member = ring.join(&away, &bell).unwrap();
    member.take(Limits { records: 14, bytes: 1 << 20 }).unwrap().unwrap().ack();
    drop(member);
    let evicted =
        |name: &str| ring.groups().into_iter().find(|info| info.name == name).unwrap().evicted;
    let since = std::time::Instant::now();
    while since.elapsed() < Duration::from_millis(50) {
        while producer.has_space(8) {
            put(&mut producer, 1);
            producer.publish();
        }
    }
    assert!(!evicted("away"), "what it holds is in nobody's way");
    // The slow one goes on; now the other is in the way, for longer than it may.
    drain(&mut living);
    while !evicted("away") {
        if producer.has_space(8) {
            put(&mut producer, 1);
            producer.publish();
        }
        drain(&mut living);
    }
}

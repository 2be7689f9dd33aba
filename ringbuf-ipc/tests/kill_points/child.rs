//! What the children do. Each ends with `end` unless it is killed before.

use std::io::Write;

use mixcord_memory::__kill::SHARED;
use mixcord_ring::{
    Delivery, Fit, Geometry, GroupSpec, Limits, Member, Meta, Namespace, Order, Producer, Ring,
    Settle, Start, TakeError, Worker, WorkerOptions,
};

pub(crate) const ROLE: &str = "RING_KILL_ROLE";
pub(crate) const PREFIX: &str = "RING_KILL_PREFIX";
pub(crate) const LAST: &str = "RING_KILL_LAST";

pub(crate) const RING: &str = "ring";
pub(crate) const BATCH: u64 = 3;
pub(crate) const BATCHES: u64 = 5;
/// Four at a time, so that a partition takes more than one batch.
pub(crate) const LIMITS: Limits = Limits { records: 4, bytes: 4096 };

pub(crate) fn geometry(partitions: u16) -> Geometry {
    Geometry::new(32, 8192, 3, partitions, 4).unwrap()
}

pub(crate) fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

pub(crate) fn any_order() -> GroupSpec {
    GroupSpec::durable("w").from(Start::Earliest).any_order(Order::Key)
}

/// The payload of a position: every seventh is too long for the ring.
pub(crate) fn payload(position: u64) -> Vec<u8> {
    let length = if position % 7 == 6 { 2100 } else { 8 + position * 37 % 200 };
    (0..length).map(|i| (position * 131 + i) as u8).collect()
}

/// Stages the next record.
pub(crate) fn stage(producer: &mut Producer) -> Result<u64, mixcord_ring::StageError> {
    let position = producer.staged_tail();
    let bytes = payload(position);
    let (a, b) = bytes.split_at(bytes.len() / 3);
    producer.stage(
        &Meta { key: position % 5, tag: position, source: position + 1, ..Meta::default() },
        &[a, b],
    )
}

fn say(word: &str, numbers: &[u64]) {
    let numbers: String = numbers.iter().map(|n| format!(" {n}")).collect();
    let mut out = std::io::stdout().lock();
    // One write, so that it is said whole or not at all.
    out.write_all(format!("\n@{word}{numbers};\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
fn process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let namespace = Namespace::new(&std::env::var(PREFIX).unwrap()).unwrap();
    let last: u64 = std::env::var(LAST).unwrap().parse().unwrap();
    match &*role {
        "worker" => worker(&namespace, last),
        "asider" => asider(&namespace, last),
        "mover" => mover(&namespace, last),
        "maker" => maker(&namespace, last),
        "refitter" => refitter(&namespace, last),
        "creator" => creator(&namespace, last),
        "producer" => producer(&namespace, last, None),
        "recorder" => recorder(&namespace, last),
        "filler" => filler(&namespace, last),
        "companion" => producer(&namespace, last, Some(24)),
        "colleague" => member(&namespace, last, &group(), true),
        "demolisher" => demolisher(&namespace, last),
        "restager" => restager(&namespace, last),
        "overwriter" => overwriter(&namespace, last),
        "member" | "member_of_one" => member(&namespace, last, &group(), false),
        "lessee" => lessee(&namespace, last),
        "thief" => member(&namespace, last, &group(), false),
        "joiner" => {
            member(&namespace, last, &GroupSpec::durable("new").from(Start::Earliest), false);
        }
        "passer_by" => {
            member(&namespace, last, &GroupSpec::ephemeral("e").from(Start::Earliest), false);
        }
        "returner" => member(&namespace, last, &group(), false),
        "careless" => careless(&namespace, last),
        "holder" => holder(&namespace),
        "remover" => remover(&namespace, last),
        "evictor" => producer(&namespace, last, Some(40)),
        other => panic!("no role {other}"),
    }
    say("end", &[SHARED.count()]);
}

/// Makes everything there is, from the bells on.
fn creator(namespace: &Namespace, last: u64) {
    SHARED.arm(last);
    let bell = namespace.bell().unwrap();
    let groups = [group(), GroupSpec::durable("h").from(Start::Earliest)];
    let mut producer =
        Producer::create(namespace, RING, Geometry::new(8, 1024, 2, 2, 2).unwrap(), &groups, &bell)
            .unwrap();
    say("created", &[producer.id().0]);
    stage(&mut producer).unwrap();
    producer.publish();
    say("published", &[producer.tail()]);
}

/// Publishes batches with a checkpoint each. With a `target`, until the tail is there, whoever is in
/// the way.
fn producer(namespace: &Namespace, last: u64, target: Option<u64>) {
    let bell = namespace.bell().unwrap();
    SHARED.arm(last);
    let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
    let target = target.unwrap_or_else(|| producer.tail() + BATCH * BATCHES);
    while producer.tail() < target {
        for _ in 0..BATCH {
            while stage(&mut producer).is_err() {
                // Only an absent group is in the way, and its time is over at once.
                producer.wait_space(2100, std::time::Duration::from_millis(15));
            }
        }
        let intended = producer.staged_tail();
        producer.set_checkpoint(&intended.to_le_bytes().repeat(3)).unwrap();
        say("staged", &[intended]);
        producer.publish();
        say("published", &[intended]);
    }
}

/// What a checkpoint of that number holds; longer for some, so that one shows through another.
pub(crate) fn checkpoint(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(2 + number as usize % 3)
}

/// Publishes checkpoints with records and without, and records without checkpoints.
fn recorder(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    SHARED.arm(last);
    let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
    for (number, records) in [(2, 1), (3, 0), (4, 0), (5, 2), (0, 1), (6, 0)] {
        for _ in 0..records {
            stage(&mut producer).unwrap();
        }
        if number != 0 {
            producer.set_checkpoint(&checkpoint(number)).unwrap();
            say("setting", &[number]);
        }
        producer.publish();
        if number != 0 {
            say("set", &[number]);
        }
    }
}

/// Fills the ring up beyond the tail, and publishes nothing.
fn filler(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    SHARED.arm(last);
    let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
    while stage(&mut producer).is_ok() {
        say("staged", &[producer.staged_tail()]);
    }
}

/// Removes a ring with large records.
fn demolisher(namespace: &Namespace, last: u64) {
    SHARED.arm(last);
    namespace.remove_ring(RING).unwrap();
    say("removed", &[]);
}

/// Finds records staged by a predecessor, adopts them, and goes on.
fn restager(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    SHARED.arm(last);
    let mut producer = Producer::attach(namespace, RING, &bell).unwrap();
    let intended = producer.tail() + BATCH;
    producer.restage(intended).unwrap();
    producer.publish();
    say("published", &[intended]);
    for _ in 0..BATCH {
        stage(&mut producer).unwrap();
    }
    producer.set_checkpoint(&producer.staged_tail().to_le_bytes().repeat(3)).unwrap();
    producer.publish();
    say("published", &[intended + BATCH]);
}

/// Overwrites a ring that nobody holds, several times round.
fn overwriter(namespace: &Namespace, last: u64) {
    producer(namespace, last, Some(24 + 4 * BATCH));
}

/// Takes and acknowledges what there is; goes on without an `end` where others bring more.
fn member(namespace: &Namespace, last: u64, group: &GroupSpec, endless: bool) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    say("joining", &[]);
    let mut member = ring.join(group, &bell).unwrap();
    say("joined", &[]);
    loop {
        match member.take(LIMITS) {
            Ok(Some(batch)) => {
                let positions: Vec<u64> = batch.records().map(|entry| entry.position).collect();
                for entry in batch.records() {
                    assert_eq!(entry.payload, payload(entry.position));
                }
                say("given", &positions);
                say("acknowledging", &positions);
                batch.ack();
                say("acknowledged", &positions);
            }
            Ok(None) => {
                member.arm();
                if endless {
                    member.wait(std::time::Duration::from_millis(20));
                } else if !member.has_work() {
                    break;
                }
            }
            Err(TakeError::Evicted { lost, .. }) => say("lost", &[lost.start, lost.end]),
            Err(error) => panic!("{error}"),
        }
    }
    member.leave();
    say("left", &[]);
}

/// A member that leaves the records where they are.
fn lessee(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    let mut member = ring.join(&group(), &bell).unwrap();
    while let Some(lease) = member.lease(LIMITS).unwrap() {
        let positions: Vec<u64> = lease.records().map(|view| view.position()).collect();
        for view in lease.records() {
            let mut copied = Vec::new();
            view.copy_to(&mut copied).unwrap();
            assert_eq!(copied, payload(view.position()));
        }
        say("given", &positions);
        say("acknowledging", &positions);
        lease.ack();
        say("acknowledged", &positions);
    }
    member.leave();
    say("left", &[]);
}

/// Takes, acknowledges half, drops the rest, takes at most once, leaves.
fn careless(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    let mut member: Member = ring.join(&group(), &bell).unwrap();
    let mut batch = member.take(LIMITS).unwrap().unwrap();
    let positions: Vec<u64> = batch.records().map(|entry| entry.position).collect();
    say("given", &positions);
    let half = &positions[..positions.len() / 2];
    say("acknowledging", half);
    batch.ack_through(*half.last().unwrap());
    say("acknowledged", half);
    drop(batch);
    say("acknowledging_any", &[]);
    let batch = member.take_at_most_once(LIMITS).unwrap().unwrap();
    let positions: Vec<u64> = batch.records().map(|entry| entry.position).collect();
    say("given", &positions);
    say("acknowledging", &positions);
    say("acknowledged", &positions);
    drop(batch);
}

/// Takes every partition there is, and dies with them.
fn holder(namespace: &Namespace) {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    let mut member = ring.join(&group(), &bell).unwrap();
    let mut held = Vec::new();
    while let Some(batch) = member.take(LIMITS).unwrap() {
        held.push(batch);
    }
    assert!(!held.is_empty());
    SHARED.arm(1);
    member.arm();
    unreachable!();
}

fn remover(namespace: &Namespace, last: u64) {
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    ring.remove_group("g").unwrap();
    say("removed", &[]);
    ring.declare_group(&GroupSpec::durable("other").from(Start::Earliest)).unwrap();
    say("declared", &[]);
}

fn work(namespace: &Namespace, last: u64) -> Worker {
    let bell = namespace.bell().unwrap();
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    ring.work(&any_order(), &bell, WorkerOptions::new()).unwrap()
}

fn acknowledge(delivery: Delivery) {
    let position = [delivery.position()];
    say("acknowledging", &position);
    delivery.settle(Settle::Ack).unwrap();
    say("acknowledged", &position);
}

/// Takes everything, several at a time; some fail at first, some are given up.
fn worker(namespace: &Namespace, last: u64) {
    let mut worker = work(namespace, last);
    let mut out = Vec::new();
    loop {
        while out.len() < 3
            && let Some(delivery) = worker.take().unwrap()
        {
            assert_eq!(delivery.entry().payload, payload(delivery.position()));
            out.push(delivery);
        }
        if out.is_empty() {
            break;
        }
        let delivery = out.swap_remove(out.len() / 2);
        let position = delivery.position();
        match position % 6 {
            1 if delivery.attempt() == 1 => {
                let after = std::time::Duration::ZERO;
                delivery.settle(Settle::Retry { after, reason: "not yet" }).unwrap();
            }
            4 => {
                delivery.settle(Settle::Dead { reason: "no use" }).unwrap();
                say("buried", &[position]);
            }
            _ => acknowledge(delivery),
        }
    }
    worker.leave();
}

/// Keeps the first record until the ring is full behind it.
fn asider(namespace: &Namespace, last: u64) {
    let mut worker = work(namespace, last);
    let stuck = worker.take().unwrap().unwrap();
    assert_eq!(stuck.position(), 0);
    worker.tend();
    for _ in 0..6 {
        acknowledge(worker.take().unwrap().unwrap());
    }
    acknowledge(stuck);
    while let Some(delivery) = worker.take().unwrap() {
        if delivery.position() == 10 {
            delivery.settle(Settle::Dead { reason: "no use" }).unwrap();
            say("buried", &[10]);
        } else {
            acknowledge(delivery);
        }
    }
    worker.leave();
}

/// Moves a group forward.
fn mover(namespace: &Namespace, last: u64) {
    let ring = Ring::attach(namespace, RING).unwrap();
    SHARED.arm(last);
    ring.reset_group("w", Start::At(10)).unwrap();
    say("moved", &[]);
}

/// Makes a group, takes, has it evicted and back, and removes it.
fn maker(namespace: &Namespace, last: u64) {
    let ring = Ring::attach(namespace, RING).unwrap();
    let mut worker = work(namespace, last);
    acknowledge(worker.take().unwrap().unwrap());
    worker.leave();
    ring.evict_group("w").unwrap();
    ring.declare_group(&any_order()).unwrap();
    say("removing", &[]);
    ring.remove_group("w").unwrap();
    say("removed", &[]);
}

/// Has a drained ring go over into a larger one.
fn refitter(namespace: &Namespace, last: u64) {
    let bell = namespace.bell().unwrap();
    SHARED.arm(last);
    let (mut producer, fit) =
        Producer::create_or_fit(namespace, RING, larger(), &[], &bell).unwrap();
    assert!(matches!(fit, Fit::Changed { .. }), "{fit:?}");
    say("changed", &[producer.id().0]);
    stage(&mut producer).unwrap();
    producer.publish();
    say("published", &[producer.tail()]);
}

pub(crate) fn larger() -> Geometry {
    Geometry::new(64, 16_384, 3, 2, 4).unwrap()
}

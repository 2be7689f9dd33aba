//! Workers: records taken one by one, settled in any order.

mod common;
#[path = "common/scene.rs"]
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mixcord_ring::{
    Deliveries, Delivery, Geometry, GroupError, GroupSpec, JoinError, Limits, Meta, Mode, Order,
    Producer, Settle, SettleError, Settled, Start, State, TakeError, Worker, WorkerOptions,
};
use scene::Scene;

const ACK: Settle<'_> = Settle::Ack;
const NOW: Settle<'_> = Settle::Retry { after: Duration::ZERO, reason: "not yet" };

fn taken(worker: &mut Worker) -> Delivery {
    let delivery = worker.take().unwrap().expect("there is one");
    assert_eq!(delivery.entry().payload, delivery.position().to_le_bytes());
    delivery
}

fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(Delivery::position).collect()
}

fn take_all(worker: &mut Worker) -> Vec<Delivery> {
    std::iter::from_fn(|| worker.take().unwrap()).collect()
}

#[test]
fn records_of_different_keys_are_out_side_by_side_and_come_back_in_any_order() {
    let mut scene = Scene::new("side", 64, Order::Key);
    for key in [1, 2, 1, 3, 2] {
        assert!(scene.put(key, 0));
    }
    let mut worker = scene.worker(WorkerOptions::new());
    let mut out = take_all(&mut worker);
    assert_eq!(positions(&out), [0, 1, 3], "the first of each key");
    assert_eq!((worker.out(), worker.lag()), (3, 5));
    out.pop().unwrap().settle(ACK).unwrap();
    assert!(worker.take().unwrap().is_none(), "nothing waited for that");
    out.pop().unwrap().settle(ACK).unwrap();
    let next = taken(&mut worker);
    assert_eq!(next.position(), 4);
    next.settle(ACK).unwrap();
    assert_eq!(worker.floor(), 0, "the first holds the cursor");
    out.pop().unwrap().settle(ACK).unwrap();
    taken(&mut worker).settle(ACK).unwrap();
    assert_eq!((worker.lag(), worker.floor()), (0, 5));
}

#[test]
fn the_order_key_decides_who_waits_for_whom() {
    let with = |order: Order, test: &str| {
        let mut scene = Scene::new(test, 64, order);
        for (key, finer) in [(1, 10), (1, 11), (1, 10), (2, 0), (2, 0)] {
            scene.put(key, finer);
        }
        let options = WorkerOptions::new().key(|entry| entry.payload[0].into());
        let mut worker = scene.worker(options);
        positions(&take_all(&mut worker))
    };
    assert_eq!(with(Order::Key, "key"), [0, 3]);
    assert_eq!(with(Order::Finer, "finer"), [0, 1, 3]);
    assert_eq!(with(Order::None, "none"), [0, 1, 2, 3, 4]);
    assert_eq!(with(Order::Ring, "ring"), [0]);
    assert_eq!(with(Order::Own(7), "own"), [0, 1, 2, 3, 4]);
}

#[test]
fn a_group_keeps_its_mode_and_order() {
    let scene = Scene::new("mode", 64, Order::Key);
    let ring = scene.producer.ring();
    let other = GroupSpec::durable("bot").any_order(Order::Finer);
    let refused = ring.work(&other, &scene.bell, WorkerOptions::new()).unwrap_err();
    assert!(matches!(refused, JoinError::Group(GroupError::Mode { .. })), "{refused}");
    let refused = ring.join(&GroupSpec::durable("bot"), &scene.bell).unwrap_err();
    assert!(matches!(refused, JoinError::Group(GroupError::Mode { .. })), "{refused}");
    assert!(ring.declare_group(&GroupSpec::durable("bot").follow()).is_err());
}

#[test]
fn a_follow_group_has_one_member_and_the_order_of_the_ring() {
    let mut scene = Scene::new("follow", 64, Order::Key);
    let spec = GroupSpec::durable("stage").from(Start::Earliest).follow();
    let ring = scene.producer.ring();
    let mut member = ring.join(&spec, &scene.bell).unwrap();
    let second = ring.join(&spec, &scene.bell).unwrap_err();
    assert!(matches!(second, JoinError::Full { limit: 1 }), "{second}");
    for key in 0..20 {
        scene.put(key, 0);
    }
    let batch = member.take(Limits::default()).unwrap().unwrap();
    let seen: Vec<_> = batch.records().map(|entry| entry.position).collect();
    assert_eq!(seen, (0..20).collect::<Vec<_>>(), "whatever the partition");
    batch.ack();
    assert_eq!(member.floor(), 20);
}

#[test]
fn what_fails_is_given_again_and_counted_until_it_is_dead() {
    let mut scene = Scene::new("fails", 64, Order::Key);
    scene.put(1, 0);
    scene.put(1, 0);
    scene.put(2, 0);
    let mut worker = scene.worker(WorkerOptions::new().attempts(3));
    let other = {
        let first = taken(&mut worker);
        let other = taken(&mut worker);
        assert_eq!((first.position(), first.attempt()), (0, 1));
        assert_eq!(first.settle(NOW).unwrap(), Settled::Again);
        other
    };
    let again = taken(&mut worker);
    assert_eq!((again.position(), again.attempt()), (0, 2));
    // It outlives its worker, as does what it was given in vain.
    let later = Settle::Retry { after: Duration::from_secs(3600), reason: "later" };
    again.settle(later).unwrap();
    assert!(worker.take().unwrap().is_none(), "later, and what is behind it waits");
    other.settle(ACK).unwrap();
    drop(worker);
    let mut worker = scene.worker(WorkerOptions::new().attempts(3));
    let last = taken(&mut worker);
    assert_eq!((last.position(), last.attempt()), (0, 3), "its worker left: anybody may try");
    assert_eq!(last.settle(NOW).unwrap(), Settled::Dead { dropped: Vec::new() });
    let next = taken(&mut worker);
    assert_eq!((next.position(), next.attempt()), (1, 1));
    next.settle(ACK).unwrap();
    assert_eq!(worker.lag(), 0);
    let files = scene.instance.files();
    assert!(files.iter().any(|file| file.contains(".letters-")), "{files:?}");
    drop(worker);
    scene.producer.ring().remove_group("bot").unwrap();
    assert_eq!(scene.instance.files(), ["r"], "the file goes with the group");
}

#[test]
fn what_is_dropped_or_given_back_counts_for_nothing() {
    let mut scene = Scene::new("back", 64, Order::Key);
    scene.put(1, 0);
    let mut worker = scene.worker(WorkerOptions::new());
    drop(taken(&mut worker));
    taken(&mut worker).settle(Settle::Back).unwrap();
    let delivery = taken(&mut worker);
    assert_eq!(delivery.attempt(), 1);
    // A delivery outlives its worker; nobody else has the record meanwhile.
    drop(worker);
    let mut second = scene.worker(WorkerOptions::new());
    assert!(second.take().unwrap().is_none());
    delivery.settle(ACK).unwrap();
    assert_eq!(second.lag(), 0);
}

/// One key is stuck while the ring goes round many times: nobody else waits, and its records come in order
/// when it goes on.
#[test]
fn a_stuck_key_is_set_aside_and_holds_up_nobody() {
    let mut scene = Scene::new("aside", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    scene.put(1, 0);
    let stuck = taken(&mut worker);
    let (mut of_one, mut handled) = (BTreeSet::new(), 0);
    for round in 0..640 {
        let key = if round % 7 == 0 { 1 } else { 2 + round % 5 };
        if key == 1 {
            of_one.insert(scene.producer.staged_tail());
        }
        // A ring that fills waits a moment for the record at its floor.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !scene.put(key, 0) {
            assert!(Instant::now() < deadline, "round {round}: the ring is held up");
            worker.tend();
            std::thread::yield_now();
        }
        for delivery in take_all(&mut worker) {
            assert_ne!(delivery.entry().key, 1, "before {}", stuck.position());
            delivery.settle(ACK).unwrap();
            handled += 1;
        }
    }
    assert!(scene.producer.tail() > 600 && handled > 500);
    stuck.settle(ACK).unwrap();
    let mut seen = Vec::new();
    while let Some(delivery) = worker.take().unwrap() {
        assert_eq!(delivery.entry().key, 1);
        assert_eq!(delivery.entry().payload, delivery.position().to_le_bytes());
        assert!(worker.take().unwrap().is_none(), "one at a time");
        seen.push(delivery.position());
        delivery.settle(ACK).unwrap();
    }
    assert_eq!(seen, of_one.iter().copied().collect::<Vec<_>>(), "all, in order");
    assert_eq!(worker.lag(), 0);
}

/// The same while its handler fails: given again from the file, counted on, and dead at last.
#[test]
fn what_is_aside_is_retried_dies_and_is_taken_over_like_any_other() {
    let mut scene = Scene::new("aside-fails", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new().attempts(4));
    scene.put(1, 0);
    scene.put(1, 0);
    taken(&mut worker).settle(NOW).unwrap();
    let stuck = taken(&mut worker);
    assert_eq!(stuck.attempt(), 2);
    let deadline = Instant::now() + Duration::from_secs(30);
    for _ in 0..200 {
        while !scene.put(2, 0) {
            assert!(Instant::now() < deadline, "the ring is held up");
            worker.tend();
        }
        taken(&mut worker).settle(ACK).unwrap();
    }
    stuck.settle(NOW).unwrap();
    let again = taken(&mut worker);
    assert_eq!((again.position(), again.attempt()), (0, 3), "from the file");
    drop(again);
    // What a worker has when it leaves, another may have.
    drop(worker);
    let mut worker = scene.worker(WorkerOptions::new().attempts(4));
    let again = taken(&mut worker);
    assert_eq!((again.position(), again.attempt()), (0, 3));
    again.settle(NOW).unwrap();
    let last = taken(&mut worker);
    assert_eq!(last.attempt(), 4);
    assert!(matches!(last.settle(NOW).unwrap(), Settled::Dead { .. }));
    let next = taken(&mut worker);
    assert_eq!((next.position(), next.attempt()), (1, 1));
    next.settle(Settle::Dead { reason: "no" }).unwrap();
    assert!(worker.take().unwrap().is_none());
    assert_eq!(worker.lag(), 0);
}

/// One that waits long for another try is set aside like any other, and what came behind it is not forgotten.
#[test]
fn what_is_set_aside_while_it_waits_for_its_time_is_followed_by_the_newer_of_its_key() {
    let mut scene = Scene::new("aside-waits", 16, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    scene.put(1, 0);
    let later = Settle::Retry { after: Duration::from_secs(3_600), reason: "not yet" };
    taken(&mut worker).settle(later).unwrap();
    (0..12).for_each(|_| assert!(scene.put(2, 0)));
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut of_one = Vec::new();
    let mut handle_all = |worker: &mut Worker| {
        for delivery in std::iter::from_fn(|| worker.take().unwrap()) {
            if delivery.entry().key == 1 {
                of_one.push(delivery.position());
            }
            delivery.settle(ACK).unwrap();
        }
    };
    while worker.floor() == 0 {
        assert!(Instant::now() < deadline, "it is not set aside");
        handle_all(&mut worker);
    }
    // Behind it, before its own place is used again.
    assert!(scene.put(1, 0));
    for round in 0..100 {
        while !scene.put(2, 0) {
            assert!(Instant::now() < deadline, "round {round}: the ring is held up");
            handle_all(&mut worker);
        }
    }
    handle_all(&mut worker);
    assert_eq!((of_one, worker.lag()), (vec![0, 13], 0));
}

/// A file that cannot be read holds up what is in it, and nothing else.
#[test]
fn a_file_that_cannot_be_read_holds_up_its_own_keys_alone() {
    let mut scene = Scene::new("unreadable", 64, Order::Key);
    let mut worker = scene.worker(WorkerOptions::new());
    scene.put(1, 0);
    let stuck = taken(&mut worker);
    let deadline = Instant::now() + Duration::from_secs(30);
    for _ in 0..100 {
        while !scene.put(2, 0) {
            assert!(Instant::now() < deadline, "the ring is held up");
            worker.tend();
        }
        taken(&mut worker).settle(ACK).unwrap();
    }
    drop(stuck);
    let id = scene.producer.ring().id();
    let file = scene.instance.path(&format!("r.letters-{:016x}-0", id.0));
    let aside = file.with_extension("elsewhere");
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    scene.put(3, 0);
    assert_eq!(taken(&mut worker).entry().key, 3);
    let told = worker.take();
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    assert!(told.is_ok(), "it is told once, behind the others");
}

/// It is anybody's then, and not the one's that could not write it.
#[test]
fn what_could_not_be_written_down_is_written_by_another_member() {
    let mut scene = Scene::new("unwritten", 64, Order::Key);
    scene.put(1, 0);
    let mut lives = scene.worker(WorkerOptions::new());
    let mut other = scene.worker(WorkerOptions::new());
    let given = taken(&mut lives);
    let id = scene.producer.ring().id();
    let file = scene.instance.path(&format!("r.letters-{:016x}-0", id.0));
    std::fs::create_dir(&file).unwrap();
    let refused = given.settle(Settle::Dead { reason: "no" });
    std::fs::remove_dir(&file).unwrap();
    assert!(matches!(refused, Err(SettleError::Letters(_))), "{refused:?}");
    let end = Instant::now() + Duration::from_secs(30);
    while scene.producer.ring().dead_letters("bot").unwrap().is_empty() {
        assert!(Instant::now() < end, "nobody writes it");
        assert!(other.take().unwrap().is_none(), "it is given to no handler");
        other.wait(Duration::from_millis(10));
    }
    drop(lives);
}

#[test]
fn a_group_moved_by_force_gives_again_and_its_members_are_told() {
    let mut scene = Scene::new("reset", 64, Order::Key);
    for key in 0..6 {
        scene.put(key, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    for _ in 0..4 {
        taken(&mut worker).settle(ACK).unwrap();
    }
    let held = taken(&mut worker);
    let ring = scene.producer.ring();
    assert_eq!(ring.reset_group("bot", Start::At(2)).unwrap(), 2);
    assert!(held.settle(ACK).is_err());
    assert!(matches!(worker.take(), Err(TakeError::Removed)));
    drop(worker);
    let mut worker = scene.worker(WorkerOptions::new());
    assert_eq!(positions(&take_all(&mut worker)), [2, 3, 4, 5]);
    drop(worker);
    assert_eq!(ring.reset_group("bot", Start::Latest).unwrap(), 6);
    assert!(scene.worker(WorkerOptions::new()).take().unwrap().is_none());
    assert!(ring.reset_group("none", Start::Latest).is_err());
}

/// Workers in threads that settle late, fail and give back: per key in order, each settled once.
#[test]
fn many_workers_keep_the_order_of_each_key() {
    const RECORDS: u64 = 1_500;
    const KEYS: u64 = 40;
    let mut scene = Scene::new("many", 256, Order::Key);
    let workers: Vec<_> = (0..4).map(|_| scene.worker(WorkerOptions::new().attempts(0))).collect();
    let (done, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let lasts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for (number, mut worker) in (0u64..).zip(workers) {
            let (done, failed, lasts) = (&done, &failed, &lasts);
            scope.spawn(move || {
                let mut out: Vec<Delivery> = Vec::new();
                let mut noise = number + 1;
                while done.load(Ordering::Acquire) < RECORDS && !failed.load(Ordering::Acquire) {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if out.len() < 16 {
                        out.extend(worker.take().unwrap());
                    }
                    if out.is_empty() || (out.len() < 16 && noise >> 60 < 8) {
                        std::thread::yield_now();
                        continue;
                    }
                    let which = (noise >> 33) as usize % out.len();
                    let delivery = out.swap_remove(which);
                    match noise >> 59 & 0xF {
                        0 => drop(delivery.settle(NOW).unwrap()),
                        1 => drop(delivery),
                        _ => {
                            let (key, position) = (delivery.entry().key, delivery.position());
                            let before = lasts.lock().unwrap().insert(key, position);
                            if before.is_some_and(|before| before >= position) {
                                failed.store(true, Ordering::Release);
                                panic!("{position} of {key} after {before:?}");
                            }
                            delivery.settle(ACK).unwrap();
                            done.fetch_add(1, Ordering::AcqRel);
                        }
                    }
                }
            });
        }
        let mut put = 0;
        while put < RECORDS && !failed.load(Ordering::Acquire) {
            let key = put % 7 * (put % KEYS) % KEYS;
            if scene.put(key, 0) {
                put += 1;
            } else {
                std::thread::yield_now();
            }
        }
    });
    let mut last = scene.worker(WorkerOptions::new());
    assert_eq!(last.lag(), 0);
    assert!(last.take().unwrap().is_none());
}

#[test]
fn dead_letters_are_read_given_again_and_dropped() {
    let mut scene = Scene::new("dead", 64, Order::Key);
    for key in [1, 2, 3] {
        scene.put(key, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    for delivery in take_all(&mut worker) {
        delivery.settle(Settle::Dead { reason: "the channel is gone" }).unwrap();
    }
    let ring = scene.producer.ring();
    let letters = ring.dead_letters("bot").unwrap();
    assert_eq!(letters.iter().map(|letter| letter.position).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((&*letters[1].reason, letters[1].failures), ("the channel is gone", 1));
    assert_eq!((letters[1].key, &*letters[1].payload), (2, &1u64.to_le_bytes()[..]));
    assert_eq!(ring.drop_dead_letters("bot", Some(&[0])).unwrap(), 1);
    assert_eq!(ring.retry_dead_letters("bot", Some(&[2, 9])).unwrap(), 1);
    scene.put(3, 0);
    let again = taken(&mut worker);
    assert_eq!((again.position(), again.attempt(), again.is_out_of_order()), (2, 1, true));
    assert!(worker.take().unwrap().is_none(), "what is newer of its key waits");
    again.settle(ACK).unwrap();
    let newer = taken(&mut worker);
    assert!(!newer.is_out_of_order());
    newer.settle(ACK).unwrap();
    assert_eq!(ring.dead_letters("bot").unwrap().len(), 1);
    assert_eq!(ring.drop_dead_letters("bot", None).unwrap(), 1);
    assert!(ring.dead_letters("bot").unwrap().is_empty());
    let figures = ring.groups()[0].figures;
    assert_eq!((figures.dead, figures.redelivered), (3, 0));
}

/// It comes out of its order, and still two of one key are never at work side by side.
#[test]
fn a_dead_letter_given_again_waits_for_what_is_out_of_its_key() {
    let mut scene = Scene::new("revived", 64, Order::Key);
    scene.put(1, 0);
    scene.put(1, 0);
    let (mut one, mut two) =
        (scene.worker(WorkerOptions::new()), scene.worker(WorkerOptions::new()));
    taken(&mut one).settle(Settle::Dead { reason: "no" }).unwrap();
    let newer = taken(&mut two);
    assert_eq!(newer.position(), 1);
    assert_eq!(scene.producer.ring().retry_dead_letters("bot", None).unwrap(), 1);
    assert!(one.take().unwrap().is_none() && two.take().unwrap().is_none());
    newer.settle(ACK).unwrap();
    let again = taken(&mut one);
    assert!(again.is_out_of_order() && again.position() == 0);
    again.settle(ACK).unwrap();
}

#[test]
fn an_operator_sees_what_is_out_and_skips_it() {
    let mut scene = Scene::new("operator", 64, Order::Key);
    for key in [1, 1] {
        scene.put(key, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    taken(&mut worker).settle(NOW).unwrap();
    let stuck = taken(&mut worker);
    // Later: what has failed comes behind what has not.
    scene.put(2, 0);
    let ring = scene.producer.ring();
    let info = ring.groups().remove(0);
    assert_eq!(info.mode, Mode::AnyOrder { order: Order::Key, sticky: false });
    let oldest = info.oldest.unwrap();
    assert_eq!((oldest.position, oldest.state, oldest.failures), (0, State::Out, 1));
    assert_eq!(info.living.len(), 1);
    assert_eq!(info.living[0].process, std::process::id());
    assert_eq!(oldest.member, Some(info.living[0].seat));
    let peeked = ring.peek_group("bot", 10).unwrap();
    let seen: Vec<_> = peeked.iter().map(|p| (p.standing.position, p.standing.state)).collect();
    assert_eq!(seen, [(0, State::Out), (1, State::Waiting), (2, State::Waiting)]);
    assert_eq!(peeked[2].payload, 2u64.to_le_bytes());
    assert!(ring.skip_record("bot", 0).unwrap());
    assert!(!ring.skip_record("bot", 0).unwrap(), "it is settled");
    assert!(stuck.settle(ACK).is_err(), "it is its member's no more");
    let rest = take_all(&mut worker);
    assert_eq!(positions(&rest), [1, 2]);
    ring.evict_group("bot").unwrap();
    assert!(matches!(worker.take(), Err(TakeError::Removed)));
    assert!(ring.groups()[0].evicted);
    drop((rest, worker));
    // Back in time, it lost nothing, and what was settled is settled.
    let mut worker = scene.worker(WorkerOptions::new());
    assert_eq!(positions(&take_all(&mut worker)), [1, 2]);
    ring.remove_group_by_force("bot").unwrap();
    assert!(matches!(worker.take(), Err(TakeError::Removed)));
}

/// Evicted for good, it is told how many records were lost: what was settled is not among them.
#[test]
fn an_evicted_group_is_told_what_was_not_settled() {
    let mut scene = Scene::new("evicted", 64, Order::None);
    for _ in 0..40 {
        scene.put(1, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    let out = take_all(&mut worker);
    assert_eq!(out.len(), 40);
    for delivery in out {
        if delivery.position() % 4 != 0 {
            delivery.settle(ACK).unwrap();
        }
    }
    drop(worker);
    let ring = scene.producer.ring();
    ring.evict_group("bot").unwrap();
    while scene.producer.earliest() < 20 {
        assert!(scene.put(1, 0));
    }
    let start = scene.producer.earliest();
    let mut worker = scene.worker(WorkerOptions::new());
    let Err(TakeError::Evicted { lost, .. }) = worker.take() else { panic!("it lost some") };
    assert_eq!((lost.end, lost.end - lost.start), (start, start.div_ceil(4)));
    let rest = positions(&take_all(&mut worker));
    let expected = (start..scene.producer.tail()).filter(|p| *p >= 40 || p % 4 == 0);
    assert_eq!(rest, expected.collect::<Vec<_>>());
}

/// Else everything of a group that is merely slow would go through its file.
#[test]
fn what_is_one_key_as_a_whole_is_never_set_aside() {
    let mut scene = Scene::new("aside-ring", 64, Order::Ring);
    while scene.put(1, 0) {}
    let mut worker = scene.worker(WorkerOptions::new());
    for position in 0..scene.producer.tail() {
        let delivery = taken(&mut worker);
        worker.tend();
        assert_eq!(delivery.position(), position);
        let group = scene.producer.ring().groups().remove(0);
        assert_eq!(group.figures.aside, 0, "at {position}");
        delivery.settle(ACK).unwrap();
    }
    assert_eq!(worker.lag(), 0);
}

/// What a group kept of its records goes with the ring.
#[test]
fn a_ring_that_is_removed_leaves_no_letters() {
    let mut scene = Scene::new("letters", 64, Order::Key);
    assert!(scene.put(1, 0));
    let mut worker = scene.worker(WorkerOptions::new());
    taken(&mut worker).settle(Settle::Dead { reason: "in vain" }).unwrap();
    let letters = scene.instance.files().into_iter().find(|name| name.contains(".letters-"));
    let letters = letters.expect("it is kept");
    // As one that was killed while it wrote them anew leaves it.
    std::fs::write(scene.instance.path(&format!("{letters}.new")), b"half").unwrap();
    let Scene { instance, bell, producer, .. } = scene;
    drop((worker, producer, bell));
    instance.namespace.remove_ring("r").unwrap();
    assert_eq!(instance.files(), Vec::<String>::new());
}

/// What is taken together is of different keys, settled together or each by itself, and given back when dropped.
#[test]
fn records_taken_together_are_settled_in_either_way() {
    let mut scene = Scene::new("together", 64, Order::Key);
    for key in [1, 2, 1, 3, 4] {
        scene.put(key, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    let positions =
        |given: &Deliveries| given.entries().map(|entry| entry.position).collect::<Vec<_>>();
    let given = worker.take_many(3).unwrap().unwrap();
    assert_eq!(positions(&given), [0, 1, 3], "one of each key");
    assert_eq!(worker.out(), 3);
    given.ack().unwrap();
    let mut given = worker.take_many(10).unwrap().unwrap();
    assert_eq!(positions(&given), [4, 2]);
    let one = given.next().unwrap();
    assert_eq!((one.position(), one.index(), one.entry().key), (4, 0, 4));
    assert_eq!(one.records().len(), 2);
    assert_eq!(positions(&given), [2]);
    drop(given);
    one.settle(ACK).unwrap();
    let again = worker.take_many(10).unwrap().unwrap();
    assert_eq!(
        (positions(&again), again.len()),
        (vec![2], 1),
        "it was dropped, and nothing is counted"
    );
    again.ack().unwrap();
    assert!(worker.take_many(10).unwrap().is_none());
    assert_eq!((worker.lag(), worker.out()), (0, 0));
}

/// A group that was moved meanwhile is told so, and has its records again.
/// P7: records are copied out, so no more of them than some 64 KiB, however many are asked for.
#[test]
fn records_taken_together_are_bounded_in_bytes() {
    let instance = common::Instance::new("bytes");
    let bell = instance.namespace.bell().unwrap();
    let geometry = Geometry::new(64, 512 << 10, 4, 4, 8).unwrap();
    let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::None);
    let groups = std::slice::from_ref(&group);
    let mut producer = Producer::create(&instance.namespace, "r", geometry, groups, &bell).unwrap();
    let text = vec![0; 7 << 10];
    (0..60).for_each(|_| assert!(producer.stage(&Meta::default(), &[&text]).is_ok()));
    producer.publish();
    let mut worker = producer.ring().work(&group, &bell, WorkerOptions::new()).unwrap();
    let taken = worker.take_many(64).unwrap().expect("many");
    let bytes: usize = taken.entries().map(|entry| entry.payload.len()).sum();
    assert!((64 << 10..(64 << 10) + text.len()).contains(&bytes), "{bytes}");
}

#[test]
fn records_taken_together_from_a_group_that_was_moved_are_not_settled() {
    let mut scene = Scene::new("moved-together", 64, Order::None);
    for key in 0..4 {
        scene.put(key, 0);
    }
    let mut worker = scene.worker(WorkerOptions::new());
    let given = worker.take_many(10).unwrap().unwrap();
    assert_eq!(given.len(), 4);
    scene.producer.ring().reset_group("bot", Start::Earliest).unwrap();
    assert!(matches!(given.ack(), Err(SettleError::Removed)));
    assert!(matches!(worker.take_many(10), Err(TakeError::Removed)));
    drop(worker);
    let mut worker = scene.worker(WorkerOptions::new());
    assert_eq!(worker.take_many(10).unwrap().unwrap().len(), 4);
}

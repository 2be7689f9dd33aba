//! Waiting: bells, sleepers that nobody has to ring, and the async wait.

mod common;

use std::time::{Duration, Instant};

use common::{Instance, drain, one_partition, put, small};
use mixcord_ring::{
    Geometry, GroupSpec, Limits, Meta, Namespace, Observed, Order, Pace, Producer, Pulse, Ring,
    Settle, Start, Woken, WorkerOptions, arm_all,
};

/// Far beyond any wake; reached only where one is lost.
const LONG: Duration = Duration::from_secs(20);

fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

#[test]
fn a_ring_between_ticket_and_wait_is_not_missed() {
    let instance = Instance::new("ticket");
    let bell = instance.namespace.bell().unwrap();
    let ticket = bell.ticket();
    assert_eq!(bell.wait(ticket, Duration::from_millis(1)), Woken::TimedOut);
    bell.ring();
    assert_eq!(bell.wait(ticket, LONG), Woken::Rung);
    assert_eq!(bell.wait(bell.ticket(), Duration::from_millis(1)), Woken::TimedOut);
}

#[test]
fn publishing_rings_those_that_sleep_and_nobody_else() {
    let instance = Instance::new("quiet");
    let bell = instance.namespace.bell().unwrap();
    let other = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    let mut sleeper = ring.join(&group(), &bell).unwrap();
    let mut awake = ring.join(&GroupSpec::durable("awake"), &other).unwrap();
    let (ticket, silent) = (bell.ticket(), other.ticket());
    for _ in 0..10 {
        put(&mut producer, 1);
        producer.publish();
    }
    assert_eq!(producer.ring().pressure().wakes, 0, "nobody sleeps, nobody is rung");
    assert_eq!(bell.ticket(), ticket);
    drain(&mut sleeper);
    sleeper.arm();
    for _ in 0..10 {
        put(&mut producer, 1);
        producer.publish();
    }
    assert_eq!(producer.ring().pressure().wakes, 1, "once for a sleep, not once for a record");
    assert_ne!(bell.ticket(), ticket);
    assert_eq!(other.ticket(), silent);
    drain(&mut awake);
}

/// Sleeper and ringer, again and again, at the same moment as nearly as may be. Loom shows that
/// each fence is needed, and `system/barrier.rs` that the kernel's barrier stands in for one.
#[test]
fn no_wake_is_lost_between_processors() {
    const ROUNDS: u64 = 20_000;
    let instance = Instance::new("race");
    let (bell, other) = (instance.namespace.bell().unwrap(), instance.namespace.bell().unwrap());
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &other).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let armed = std::sync::atomic::AtomicU64::new(0);
    let is = |round| armed.load(std::sync::atomic::Ordering::Relaxed) == round;
    // On a machine so busy that the two seldom run side by side, fewer rounds.
    let (end, over) = (Instant::now() + LONG, std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            for round in 1..=ROUNDS {
                let mut ticket = bell.ticket();
                armed.store(round, std::sync::atomic::Ordering::Relaxed);
                for step in 0..500 {
                    std::hint::black_box(step);
                }
                member.arm();
                // The ring for the round before may come late.
                while !member.has_work() {
                    assert_eq!(bell.wait(ticket, LONG), Woken::Rung, "round {round}");
                    ticket = bell.ticket();
                    member.arm();
                }
                member.take(Limits::default()).unwrap().unwrap().ack();
                // Said before the record of this round was published.
                if over.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        for round in 1..=ROUNDS {
            while !is(round) {
                assert!(!sleeper.is_finished(), "the sleeper gave up");
                std::hint::spin_loop();
            }
            producer.stage(&Meta::default(), &[b"news"]).unwrap();
            for step in 0..round * 7 % 1000 {
                std::hint::black_box(step);
            }
            let is_last = Instant::now() >= end;
            over.store(is_last, std::sync::atomic::Ordering::Relaxed);
            producer.publish();
            if is_last {
                return;
            }
        }
    });
}

#[test]
fn one_bell_is_enough_for_a_reader_of_many_rings() {
    let instance = Instance::new("many");
    let names: Vec<_> = (0..6).map(|i| format!("shard-{i}")).collect();
    let bell = instance.namespace.bell().unwrap();
    let mut producers: Vec<_> = names
        .iter()
        .map(|name| Producer::create(&instance.namespace, name, one_partition(), &[group()], &bell))
        .collect::<Result<_, _>>()
        .unwrap();
    let namespace = instance.namespace.clone();
    let reader = std::thread::spawn(move || {
        let bell = namespace.bell().unwrap();
        let mut members: Vec<_> = names
            .iter()
            .map(|name| Ring::attach(&namespace, name).unwrap().join(&group(), &bell).unwrap())
            .collect();
        let mut seen = 0;
        let begin = Instant::now();
        while seen < 600 {
            let ticket = bell.ticket();
            arm_all(|arm| members.iter_mut().for_each(|member| arm(member.into())));
            if !members.iter_mut().any(mixcord_ring::Member::has_work) {
                bell.wait(ticket, LONG);
            }
            seen += members.iter_mut().map(|member| drain(member).len()).sum::<usize>();
            assert!(begin.elapsed() < LONG, "a wake was lost");
        }
    });
    for round in 0..100 {
        for producer in &mut producers {
            while !producer.has_space(105) {
                assert!(producer.wait_space(105, LONG));
            }
            put(producer, round);
            producer.publish();
        }
    }
    reader.join().unwrap();
}

/// A reader of many rings passes over those that have nothing by a look at three words.
#[test]
fn a_member_is_idle_when_all_is_acknowledged_and_nobody_moved_its_group() {
    let instance = Instance::new("idle");
    let bell = instance.namespace.bell().unwrap();
    for geometry in [small(), one_partition()] {
        let mut producer =
            Producer::create(&instance.namespace, "r", geometry, &[group()], &bell).unwrap();
        let ring = producer.ring();
        let mut member = ring.join(&group(), &bell).unwrap();
        assert!(member.take(Limits::default()).unwrap().is_none());
        assert!(member.is_idle() && !member.has_work());
        put(&mut producer, 1);
        producer.publish();
        assert!(!member.is_idle(), "something was published");
        let batch = member.take(Limits::default()).unwrap().unwrap();
        assert!(!member.is_idle(), "it is not acknowledged");
        batch.ack();
        assert!(member.take(Limits::default()).unwrap().is_none());
        assert!(member.is_idle() && !member.has_work());
        let other = ring.join(&group(), &bell).unwrap();
        put(&mut producer, 1);
        producer.publish();
        drop(member.take(Limits::default()).unwrap());
        assert!(!member.is_idle(), "it was given back");
        drain(&mut member);
        drop(other);
        ring.reset_group("g", Start::Latest).unwrap();
        assert!(!member.is_idle() && member.has_work(), "the group was moved");
        drop((member, producer));
        instance.namespace.remove_ring("r").unwrap();
    }
}

/// Members, workers and observers that nap get every record, and nap so shortly that no ring overflows for good.
/// A wait may end in vain, as when the whole process was stopped, but not while something is there.
#[test]
fn whoever_naps_misses_nothing() {
    const RECORDS: u64 = 20_000;
    let instance = Instance::new("naps");
    let bell = instance.namespace.bell().unwrap();
    let any = GroupSpec::durable("any").from(Start::Earliest).any_order(Order::None);
    let groups = [group(), any.clone()];
    let geometry = Geometry::new(1024, 1 << 18, 4, 1, 4).unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", geometry, &groups, &bell).unwrap();
    let ring = producer.ring();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bell = instance.namespace.bell().unwrap();
            let mut member = ring.join(&group(), &bell).unwrap();
            member.set_pace(Pace::LowCpu);
            let mut seen = 0;
            while seen < RECORDS {
                let before = ring.tail();
                assert!(member.wait(LONG) || before == seen, "after {seen}");
                seen += drain(&mut member).len() as u64;
            }
        });
        scope.spawn(|| {
            let bell = instance.namespace.bell().unwrap();
            let mut worker = ring.work(&any, &bell, WorkerOptions::new()).unwrap();
            worker.set_pace(Pace::Balanced);
            let mut seen = 0;
            while seen < RECORDS {
                let before = ring.tail();
                assert!(worker.wait(LONG) || before == seen, "after {seen}");
                while let Some(delivery) = worker.take().unwrap() {
                    delivery.settle(Settle::Ack).unwrap();
                    seen += 1;
                }
            }
        });
        scope.spawn(|| {
            let bell = instance.namespace.bell().unwrap();
            let mut observer = ring.observe("o", Start::Earliest, &bell).unwrap();
            observer.set_pace(Pace::Balanced);
            let (mut observed, mut seen) = (Observed::default(), 0);
            while seen < RECORDS {
                let before = ring.tail();
                assert!(observer.wait(LONG) || before == seen, "after {seen}");
                while observer.read(Limits::default(), &mut observed).unwrap() {
                    seen += observed.len() as u64 + observed.lost();
                }
            }
            assert_eq!(seen, RECORDS);
        });
        for record in 0..RECORDS {
            while !producer.has_space(105) {
                producer.wait_space(105, LONG);
            }
            put(&mut producer, record);
            producer.publish();
            // Now and then nothing comes for longer than anybody naps.
            if record % 4000 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

/// Who looks at every turn asks the kernel seldom, and is never told that a living producer is gone.
#[test]
fn a_pulse_that_was_felt_is_good_for_a_tick() {
    let instance = Instance::new("pulse");
    let bell = instance.namespace.bell().unwrap();
    let producer = Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    let mut pulse = Pulse::new();
    assert!(!pulse.is_gone(&ring));
    drop(producer);
    let begun = Instant::now();
    while !pulse.is_gone(&ring) {
        assert!(begun.elapsed() < LONG);
        std::thread::yield_now();
    }
    let producer = Producer::attach(&instance.namespace, "r", &bell).unwrap();
    assert!(!pulse.is_gone(&ring), "that there is none is not kept");
    drop(producer);
}

#[test]
fn waits_end_in_time_when_there_is_nothing() {
    let instance = Instance::new("nothing");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    let mut observer = producer.ring().observe("o", Start::Latest, &bell).unwrap();
    assert!(!member.wait(Duration::from_millis(5)));
    assert!(!observer.wait(Duration::from_millis(5)));
    while producer.has_space(1000) {
        producer.stage(&mixcord_ring::Meta::default(), &[&[0; 1000]]).unwrap();
    }
    // What is staged takes the room: only publishing helps, and waiting ends at once.
    assert!(!producer.wait_space(1000, LONG));
    producer.publish();
    assert!(!producer.wait_space(1000, Duration::from_millis(5)));
    assert!(member.wait(LONG) && observer.wait(LONG));
    assert!(observer.read(Limits::default(), &mut Observed::default()).unwrap());
}

#[test]
fn a_member_notices_that_another_died_holding_work() {
    let instance = Instance::new("orphan");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    let mut held = ring.join(&group(), &bell).unwrap();
    let mut survivor = ring.join(&group(), &bell).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let batch = held.take(Limits::default()).unwrap().unwrap();
    assert!(!survivor.wait(Duration::from_millis(20)));
    drop(batch);
    assert!(survivor.wait(LONG));
    assert_eq!(drain(&mut survivor), [(0, 1)]);
}

/// Whoever gave it back need not want it again: another member may sleep until its next tick.
#[test]
fn a_record_that_is_given_back_wakes_a_member_that_sleeps() {
    let instance = Instance::new("given-back");
    let (own, other) = (instance.namespace.bell().unwrap(), instance.namespace.bell().unwrap());
    let group = group().any_order(Order::Key);
    let groups = std::slice::from_ref(&group);
    let mut producer = Producer::create(&instance.namespace, "r", small(), groups, &own).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let ring = producer.ring();
    let mut holder = ring.work(&group, &own, WorkerOptions::new()).unwrap();
    let mut sleeper = ring.work(&group, &other, WorkerOptions::new()).unwrap();
    let held = holder.take().unwrap().expect("published");
    let ticket = other.ticket();
    sleeper.arm();
    assert!(!sleeper.has_work(), "it is out");
    drop(held);
    assert_ne!(other.ticket(), ticket, "nobody woke it");
    assert_eq!(sleeper.take().unwrap().expect("anybody's").position(), 0);
}

/// However records end: who waits for room learns of it at once.
#[test]
fn records_that_die_make_room_for_a_producer_that_waits() {
    let instance = Instance::new("room");
    let (own, other) = (instance.namespace.bell().unwrap(), instance.namespace.bell().unwrap());
    let group = group().any_order(Order::Key);
    let groups = std::slice::from_ref(&group);
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), groups, &own).unwrap();
    let mut worker = producer.ring().work(&group, &other, WorkerOptions::new()).unwrap();
    while producer.has_space(20) {
        let key = producer.tail();
        put(&mut producer, key);
        producer.publish();
    }
    let given: Vec<_> = std::iter::from_fn(|| worker.take().unwrap()).collect();
    let ticket = own.ticket();
    assert!(!producer.arm_space(20));
    for delivery in given {
        delivery.settle(Settle::Dead { reason: "no" }).unwrap();
    }
    assert_ne!(own.ticket(), ticket, "it is not rung");
    assert!(producer.has_space(20));
}

#[test]
fn a_bell_counts_whichever_handle_of_the_namespace_it_came_from_and_no_other() {
    let (instance, foreign) = (Instance::new("here"), Instance::new("elsewhere"));
    let namespace = Namespace::new(instance.namespace.prefix()).unwrap();
    let bells = [namespace.bell().unwrap(), foreign.namespace.bell().unwrap()];
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", small(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    let mut members = bells.each_ref().map(|bell| ring.join(&group(), bell).unwrap());
    let tickets = bells.each_ref().map(mixcord_ring::Bell::ticket);
    members.iter_mut().for_each(mixcord_ring::Member::arm);
    put(&mut producer, 1);
    producer.publish();
    assert_ne!(bells[0].ticket(), tickets[0]);
    assert_eq!(bells[1].ticket(), tickets[1]);
    assert_eq!(ring.pressure().wakes, 1);
}

#[test]
fn each_claim_is_a_bell_of_its_own_and_given_back() {
    let instance = Instance::new("back");
    let bells: Vec<_> = (0..32).map(|_| instance.namespace.bell().unwrap()).collect();
    let tickets: Vec<_> = bells.iter().map(mixcord_ring::Bell::ticket).collect();
    bells[7].ring();
    let rung: Vec<_> = (0..32).filter(|&bell| bells[bell].ticket() != tickets[bell]).collect();
    assert_eq!(rung, [7]);
    assert!(instance.namespace.remove_all().is_err());
    drop(bells);
    instance.namespace.remove_all().unwrap();
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use mixcord_ring::AsyncBell;

    use super::*;

    #[test]
    fn a_task_is_woken_by_a_publish_and_the_producer_by_an_acknowledgement() {
        let instance = Instance::new("async");
        let bell = instance.namespace.bell().unwrap();
        let mut producer =
            Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
        let namespace = instance.namespace.clone();
        let reader = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let bell = AsyncBell::new(namespace.bell().unwrap()).unwrap();
                let ring = Ring::attach(&namespace, "r").unwrap();
                let mut member = ring.join(&group(), bell.bell()).unwrap();
                let mut observer = ring.observe("o", Start::Latest, bell.bell()).unwrap();
                let mut seen = 0;
                while seen < 2000 {
                    member.ready(&bell).await;
                    seen += drain(&mut member).len();
                }
                if observer.position() < 2000 {
                    observer.ready(&bell).await;
                }
            });
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bell = AsyncBell::new(bell).unwrap();
            for key in 0..2000 {
                producer.space(105, &bell).await;
                put(&mut producer, key);
                producer.publish();
            }
        });
        reader.join().unwrap();
    }

    /// The thread sleeps for the first, and must look anew for the second, without ringing a bell that
    /// others wait on, too.
    #[test]
    fn a_shorter_wait_ends_no_longer_one() {
        let instance = Instance::new("sooner");
        let bell = AsyncBell::new(instance.namespace.bell().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ticket = bell.ticket();
            let long = tokio::spawn({
                let bell = bell.clone();
                async move { bell.notified_within(ticket, LONG * 1000).await }
            });
            tokio::task::yield_now().await;
            for _ in 0..20 {
                bell.notified_within(ticket, Duration::from_millis(1)).await;
                assert_eq!(bell.ticket(), ticket, "nobody rang");
                assert!(!long.is_finished());
            }
            bell.bell().ring();
            long.await.unwrap();
        });
    }
}

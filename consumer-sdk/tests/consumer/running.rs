//! Who calls handlers: what is quick costs no other thread, what is slow holds up nobody else.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mixcord::{Event, Pace};

use crate::rig::{PATIENCE, Rig, is_alone, next, numbers, until};

/// Handlers that block their thread, although they should not: the first waits for the one after it.
fn wait_for_the_next(
    event: &Event,
    come: &Mutex<mpsc::Receiver<()>>,
    tell: &mpsc::Sender<()>,
) -> bool {
    if numbers(event).0 == 1 {
        return come.lock().expect("sound").recv_timeout(PATIENCE).is_ok();
    }
    tell.send(()).is_ok()
}

#[test]
fn a_handler_that_blocks_its_thread_holds_up_its_own_guild_only() {
    for threads in [0, 2] {
        let mut rig = Rig::new();
        let consumer = rig.consumer().group("bot").from_earliest().connect_blocking();
        let consumer = consumer.expect("connected");
        rig.message(1, 1);
        rig.message(2, 2);
        let (stop, (tell, come)) = (consumer.stop_handle(), mpsc::channel());
        let come = Arc::new(Mutex::new(come));
        let handler = move |event: Event| {
            let (stop, tell, come) = (stop.clone(), tell.clone(), Arc::clone(&come));
            async move {
                assert!(wait_for_the_next(&event, &come, &tell), "the other guild waited");
                if numbers(&event).0 == 1 {
                    stop.stop();
                }
            }
        };
        let runtime = match threads {
            0 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
            n => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(n).enable_all().build()
            }
        };
        runtime.expect("a runtime").block_on(consumer.run(handler)).expect("no error");
        assert_eq!(rig.group("bot").lag, 0);
    }
}

#[test]
fn a_blocking_handler_holds_up_its_own_guild_only() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().concurrency(2).connect_blocking();
    let consumer = consumer.expect("connected");
    rig.message(1, 1);
    rig.message(2, 2);
    let (stop, (tell, come)) = (consumer.stop_handle(), mpsc::channel());
    let come = Mutex::new(come);
    let tell = Mutex::new(tell);
    let result = consumer.run_blocking(|event| {
        let tell = tell.lock().expect("sound").clone();
        assert!(wait_for_the_next(&event, &come, &tell), "the other guild waited");
        if numbers(&event).0 == 1 {
            stop.stop();
        }
    });
    result.expect("no error");
    assert_eq!(rig.group("bot").lag, 0);
}

#[tokio::test]
async fn handlers_have_the_runtime_wherever_they_begin() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect().await.expect("connected");
    (1..=20).for_each(|guild| rig.message(guild, 1));
    let (stop, names) = (consumer.stop_handle(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&names);
    let handler = move |event: Event| {
        let (stop, seen) = (stop.clone(), Arc::clone(&seen));
        async move {
            let name = thread::current().name().map(str::to_owned);
            seen.lock().expect("sound").push(name);
            // A timer, a task, and a wait for both.
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::spawn(async {}).await.expect("a task");
            if numbers(&event).0 == 20 {
                stop.stop();
            }
        }
    };
    consumer.run(handler).await.expect("no error");
    let first = names.lock().expect("sound").first().cloned();
    assert_eq!(first, Some(Some("mixcord-run".to_owned())), "nobody was woken for it");
}

#[tokio::test]
async fn a_run_that_is_dropped_gives_its_events_back() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect().await.expect("connected");
    rig.message(1, 1);
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let run = consumer.run(move |_| {
        let begun = begun.clone();
        async move {
            let _ = begun.send(());
            std::future::pending::<()>().await;
        }
    });
    tokio::select! {
        _ = run => panic!("it ended by itself"),
        _ = has_begun.recv() => {}
    }
    let mut other = rig.consumer().group("bot").connect().await.expect("connected");
    let event = tokio::time::timeout(PATIENCE, other.next()).await.expect("in time");
    let event = event.expect("no error").expect("an event");
    assert_eq!((event.seq(), event.attempt()), (1, 2));
    event.ack();
}

/// Times that threads of a name slept.
fn sleeps_of(name: &str) -> u64 {
    let mut sleeps = 0;
    for task in fs::read_dir("/proc/self/task").expect("threads").flatten() {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        if comm.trim() == name {
            sleeps += line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sleeps
}

/// One event at a time, each given once the one before is settled.
#[test]
fn an_event_wakes_nobody_but_its_reader() {
    const EVENTS: u64 = 500;
    if !is_alone("running::an_event_wakes_nobody_but_its_reader") {
        return;
    }
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let (begun, before) = (Instant::now(), sleeps_of("mixcord-care"));
    for number in 1..=EVENTS {
        rig.message(1, number);
        next(&mut consumer).ack();
        thread::sleep(APART);
    }
    let (looks, sleeps) = (looks_since(begun), sleeps_of("mixcord-care") - before);
    assert!(sleeps <= 4 * looks, "who looks after the events was woken {sleeps} times");
}

/// Events that bots have are so far apart: whoever is woken for one finds it settled.
const APART: Duration = Duration::from_millis(1);

/// How often something that looks ten times a second may have looked.
fn looks_since(begun: Instant) -> u64 {
    begun.elapsed().as_millis() as u64 / 100 + 2
}

/// The same where handlers are called: who looks after them, and the bell of the async calls, sleep on.
#[test]
fn a_handler_that_is_through_at_once_wakes_nobody_who_looks_after_it() {
    const EVENTS: u64 = 500;
    if !is_alone("running::a_handler_that_is_through_at_once_wakes_nobody_who_looks_after_it") {
        return;
    }
    let mut rig = Rig::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let consumer = rig.consumer().group("bot").from_earliest().pace(Pace::LowLatency);
    let consumer = runtime.block_on(consumer.connect()).expect("connected");
    let (stop, handled) = (consumer.stop_handle(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&handled);
    let running = runtime.spawn(consumer.run(move |event: Event| {
        counted.store(event.seq(), Ordering::SeqCst);
        async {}
    }));
    let others = || sleeps_of("mixcord-care") + sleeps_of("ring-bell");
    let (begun, before) = (Instant::now(), others());
    for number in 1..=EVENTS {
        rig.message(1, number);
        let sent = Instant::now();
        while handled.load(Ordering::SeqCst) != number {
            assert!(sent.elapsed() < PATIENCE, "event {number} was not handled");
            thread::yield_now();
        }
        thread::sleep(APART);
    }
    let (looks, sleeps) = (looks_since(begun), others() - before);
    assert!(sleeps <= 4 * looks, "others than their reader were woken {sleeps} times");
    stop.stop();
    runtime.block_on(running).expect("sound").expect("no error");
}

#[test]
fn every_pace_gives_every_event() {
    for pace in [Pace::LowLatency, Pace::Balanced, Pace::LowCpu] {
        let mut rig = Rig::new();
        let consumer = rig.consumer().group("bot").from_earliest().pace(pace).connect_blocking();
        let consumer = consumer.expect("connected");
        let (stop, sum) = (consumer.stop_handle(), Arc::new(AtomicU64::new(0)));
        let added = Arc::clone(&sum);
        let running = thread::spawn(move || {
            consumer.run_blocking(|event| {
                added.fetch_add(event.seq(), Ordering::SeqCst);
            })
        });
        (1..=2_000).for_each(|number| rig.message(number % 7, number));
        until("all events", || sum.load(Ordering::SeqCst) == 2_001_000);
        stop.stop();
        running.join().expect("sound").expect("no error");
        assert_eq!(rig.group("bot").lag, 0);
    }
}

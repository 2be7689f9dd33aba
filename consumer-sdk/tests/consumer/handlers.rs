//! P2 from the handler's side: acknowledged after it, given again when it fails.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::{Event, Stop};

use crate::rig::{Rig, next, numbers};

#[test]
fn what_is_dropped_unacknowledged_is_given_again_before_what_follows() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(1, 1);
    rig.message(1, 2);
    for attempt in 1..=3 {
        let event = next(&mut consumer);
        assert_eq!((numbers(&event), event.attempt()), ((1, 1), attempt));
    }
    next(&mut consumer).ack();
    let event = next(&mut consumer);
    assert_eq!((numbers(&event), event.attempt()), ((1, 2), 1));
}

#[test]
fn an_event_is_acknowledged_by_the_call_and_by_nothing_before_it() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(1, 1);
    let event = next(&mut consumer);
    let clone = event.clone();
    drop(event);
    assert_eq!(rig.group("bot").lag, 1, "it is still out");
    clone.ack();
    clone.ack();
    drop(clone);
    drop(consumer);
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn one_guilds_events_are_out_one_at_a_time_and_other_guilds_go_on() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(1, 1);
    rig.message(1, 2);
    let first = next(&mut consumer);
    assert!(consumer.next_timeout(Duration::from_millis(20)).expect("no error").is_timeout());
    // Some of these guilds are in other partitions.
    (10..40).for_each(|guild| rig.message(guild, 3));
    let other = next(&mut consumer);
    assert_eq!(other.seq(), 3);
    first.ack();
    other.ack();
}

#[tokio::test]
async fn a_failed_handler_gets_its_event_again_and_the_guild_waits() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect().await.expect("connected");
    (1..=4).for_each(|number| rig.message(1, number));
    let stop = consumer.stop_handle();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&calls);
    let handler = move |event: Event| {
        let (calls, stop) = (Arc::clone(&record), stop.clone());
        async move {
            calls.lock().expect("sound").push((event.seq(), event.attempt()));
            match (event.seq(), event.attempt()) {
                (2, 1) => Err("the database is away"),
                (3, 1) => panic!("a fault of the handler, on purpose"),
                (4, _) => {
                    stop.stop();
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    };
    consumer.run(handler).await.expect("no error");
    let calls = calls.lock().expect("sound").clone();
    assert_eq!(calls, [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1)]);
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn a_failed_blocking_handler_gets_its_event_again() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect_blocking();
    let consumer = consumer.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let stop = consumer.stop_handle();
    let calls = Mutex::new(Vec::new());
    let result = consumer.run_blocking(|event| {
        calls.lock().expect("sound").push((event.seq(), event.attempt()));
        match (event.seq(), event.attempt()) {
            (1, 1) => Err("the database is away"),
            (2, 1) => panic!("a fault of the handler, on purpose"),
            (3, _) => {
                stop.stop();
                Ok(())
            }
            _ => Ok(()),
        }
    });
    result.expect("no error");
    assert_eq!(calls.into_inner().expect("sound"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    assert_eq!(rig.group("bot").lag, 0);
}

#[tokio::test]
async fn handlers_of_different_guilds_run_at_the_same_time() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect().await.expect("connected");
    (0..30).for_each(|guild| rig.message(guild, 1));
    // Two handlers meet: neither ends before another has begun.
    let (meeting, stop) = (Arc::new(tokio::sync::Barrier::new(2)), consumer.stop_handle());
    let met = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&met);
    let handler = move |_| {
        let (meeting, stop, met) = (Arc::clone(&meeting), stop.clone(), Arc::clone(&seen));
        async move {
            if !met.load(Ordering::SeqCst) {
                meeting.wait().await;
                met.store(true, Ordering::SeqCst);
                stop.stop();
            }
        }
    };
    let running = tokio::time::timeout(crate::rig::PATIENCE, consumer.run(handler));
    running.await.expect("in time").expect("no error");
    assert!(met.load(Ordering::SeqCst));
}

#[test]
fn at_most_once_never_gives_an_event_again() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").at_most_once().connect_blocking();
    let mut consumer = consumer.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let event = next(&mut consumer);
    assert_eq!(event.seq(), 1);
    // The guild's next event still waits for this one's handler.
    assert!(consumer.next_timeout(Duration::from_millis(20)).expect("no error").is_timeout());
    drop(event);
    assert_eq!(next(&mut consumer).seq(), 2);
    assert_eq!(next(&mut consumer).seq(), 3);
}

#[test]
fn at_most_once_passes_over_an_event_whose_handler_panicked() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").at_most_once().connect_blocking();
    let consumer = consumer.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let (stop, calls) = (consumer.stop_handle(), Mutex::new(Vec::new()));
    let result = consumer.run_blocking(|event| {
        calls.lock().expect("sound").push(event.seq());
        match event.seq() {
            1 => panic!("a fault of the handler, on purpose"),
            2 => {}
            _ => stop.stop(),
        }
    });
    result.expect("no error");
    assert_eq!(calls.into_inner().expect("sound"), [1, 2, 3]);
}

#[tokio::test]
async fn stopping_lets_handlers_finish_and_gives_the_rest_to_the_next_member() {
    let mut rig = Rig::new();
    let (stop, handled) = (Stop::new(), Arc::new(AtomicU32::new(0)));
    let consumer = rig.consumer().group("bot").from_earliest().stop(&stop).connect().await;
    (1..=10).for_each(|number| rig.message(1, number));
    let count = Arc::clone(&handled);
    let handler = move |event: Event| {
        let (stop, count) = (stop.clone(), Arc::clone(&count));
        async move {
            if event.seq() == 4 {
                stop.stop();
                tokio::task::yield_now().await;
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    consumer.expect("connected").run(handler).await.expect("no error");
    assert_eq!(handled.load(Ordering::SeqCst), 4);
    let mut other = rig.consumer().group("bot").connect().await.expect("connected");
    assert_eq!(other.next().await.expect("no error").expect("an event").seq(), 5);
}

#[tokio::test]
async fn a_receive_that_is_given_up_loses_nothing() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect().await.expect("connected");
    for number in 1..=20 {
        let waiting = tokio::time::timeout(Duration::from_millis(1), consumer.next());
        assert!(waiting.await.is_err());
        rig.message(number, number);
        let event = consumer.next().await.expect("no error").expect("an event");
        assert_eq!(event.seq(), number);
        event.ack();
    }
}

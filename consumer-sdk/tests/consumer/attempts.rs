//! Attempts at one event are apart: what is left of one that failed has no say in the next. And
//! nothing of a handler's own, not even its error, ends the consumer.

use std::fmt;
use std::sync::Mutex;

use mixcord::{Event, Outcome as _, Stop};

use crate::rig::{PATIENCE, Rig};

/// Runs a handler over the events 1 and 2 of one guild, with what is kept of the first attempt at 1;
/// it is stopped at event 2. Gives the attempts made.
fn attempts(
    handler: impl Fn(&Event, &Mutex<Option<Event>>) -> Result<(), String> + Sync,
) -> Vec<(u64, u32)> {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect_blocking();
    let consumer = consumer.expect("connected");
    (1..=2).for_each(|number| rig.message(1, number));
    let stop = consumer.stop_handle();
    let (calls, kept) = (Mutex::new(Vec::new()), Mutex::new(None));
    let result = consumer.run_blocking(|event: Event| {
        calls.lock().expect("sound").push((event.seq(), event.attempt()));
        if event.seq() == 2 {
            stop.stop();
            return Ok(());
        }
        if event.attempt() == 1 {
            *kept.lock().expect("sound") = Some(event);
            return Err("the database is away".to_owned());
        }
        handler(&event, &kept)
    });
    result.expect("no error");
    calls.into_inner().expect("sound")
}

fn take(kept: &Mutex<Option<Event>>) -> Option<Event> {
    kept.lock().expect("sound").take()
}

#[test]
fn a_clone_of_a_failed_attempt_that_is_dropped_takes_the_next_one_from_nobody() {
    let calls = attempts(|event, kept| {
        let (a, b) = (event.clone(), event.clone());
        drop(take(kept));
        drop((a, b));
        Ok(())
    });
    assert_eq!(calls, [(1, 1), (1, 2), (2, 1)]);
}

#[test]
fn a_clone_of_a_failed_attempt_cannot_acknowledge_the_next_one() {
    let calls = attempts(|event, kept| {
        if let Some(former) = take(kept) {
            former.ack();
        }
        if event.attempt() == 2 { Err("still away".to_owned()) } else { Ok(()) }
    });
    assert_eq!(calls, [(1, 1), (1, 2), (1, 3), (2, 1)]);
}

/// An error with a cause, which some tell themselves and some do not.
#[derive(Debug, thiserror::Error)]
enum Deep {
    #[error("no answer")]
    Silent(#[source] std::io::Error),
    #[error("no answer: {0}")]
    Told(#[source] std::io::Error),
}

#[test]
fn why_a_handler_failed_is_told_with_its_causes() {
    let away = || std::io::Error::other("the database is away");
    for error in [Deep::Silent(away()), Deep::Told(away())] {
        let failure = Err::<(), _>(error).failure();
        assert_eq!(failure.as_deref(), Some("no answer: the database is away"));
    }
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Deep::Silent(away()));
    let failure = Err::<(), _>(boxed).failure();
    assert_eq!(failure.as_deref(), Some("no answer: the database is away"));
    assert_eq!(Err::<(), _>("why").failure().as_deref(), Some("why"));
    assert_eq!(Ok::<(), Deep>(()).failure(), None);
}

/// An error that cannot be shown.
#[derive(Debug)]
struct Unspeakable;

impl std::error::Error for Unspeakable {}

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a fault of the handler's error, on purpose")
    }
}

/// What panics again when its panic is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a fault of the panic's own value, on purpose");
    }
}

fn misbehave(event: &Event) -> Result<(), Unspeakable> {
    match (event.seq(), event.attempt()) {
        (1, 1) => Err(Unspeakable),
        (2, 1) => std::panic::panic_any(Bomb),
        _ => Ok(()),
    }
}

/// A consumer that lost an event would wait for ever: this ends it, and the test fails.
fn not_for_ever(stop: &Stop) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        stop.stop();
    });
}

const WANTED: [(u64, u32); 5] = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)];

#[test]
fn errors_that_panic_when_shown_are_failures_like_others() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect_blocking();
    let consumer = consumer.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let (stop, calls) = (consumer.stop_handle(), Mutex::new(Vec::new()));
    not_for_ever(&stop);
    let result = consumer.run_blocking(|event: Event| {
        calls.lock().expect("sound").push((event.seq(), event.attempt()));
        if event.seq() == 3 {
            stop.stop();
        }
        misbehave(&event)
    });
    result.expect("no error");
    assert_eq!(calls.into_inner().expect("sound"), WANTED);
}

#[tokio::test]
async fn errors_that_panic_when_shown_are_failures_like_others_in_tasks() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").from_earliest().connect().await;
    let consumer = consumer.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let stop = consumer.stop_handle();
    not_for_ever(&stop);
    let calls = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&calls);
    let handler = move |event: Event| {
        let (stop, seen) = (stop.clone(), std::sync::Arc::clone(&seen));
        async move {
            seen.lock().expect("sound").push((event.seq(), event.attempt()));
            if event.seq() == 3 {
                stop.stop();
            }
            misbehave(&event)
        }
    };
    consumer.run(handler).await.expect("no error");
    assert_eq!(*calls.lock().expect("sound"), WANTED);
}

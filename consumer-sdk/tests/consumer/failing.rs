//! P10 from the handler's side: one that fails or hangs holds up its own guild, and that not for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord::{Consumer, DeadLetter, Event, Kind, Stop};

use crate::rig::{PATIENCE, Rig, next, numbers, until};

/// Dead letters as they are told.
#[derive(Clone, Default)]
struct Letters(Arc<Mutex<Vec<DeadLetter>>>);

impl Letters {
    fn told(&self) -> impl Fn(&DeadLetter) + Send + Sync + 'static {
        let letters = Arc::clone(&self.0);
        move |letter| letters.lock().expect("sound").push(letter.clone())
    }

    /// Guild and number, error, attempts.
    fn all(&self) -> Vec<((u64, u64), String, u32)> {
        let letters = self.0.lock().expect("sound");
        let of = |letter: &DeadLetter| {
            let event = letter.event.as_ref().expect("an event");
            assert_eq!(letter.group, "bot");
            (numbers(event), letter.error.clone(), letter.attempts)
        };
        letters.iter().map(of).collect()
    }
}

fn quick(builder: mixcord::Builder) -> mixcord::Builder {
    builder.group("bot").from_earliest().retry(Duration::ZERO, Duration::ZERO)
}

/// A consumer that waits in vain ends, and its test fails.
fn not_for_ever(stop: &Stop) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        stop.stop();
    });
}

#[derive(Debug, thiserror::Error)]
#[error("no welcome was sent")]
struct Refused(#[source] std::io::Error);

fn refuse() -> Refused {
    Refused(std::io::Error::other("unknown channel"))
}

#[test]
fn an_event_that_always_fails_is_a_dead_letter_after_its_attempts_and_its_guild_goes_on() {
    for blocking in [false, true] {
        let mut rig = Rig::new();
        let letters = Letters::default();
        let builder = quick(rig.consumer()).attempts(3).on_dead(letters.told());
        let consumer = builder.connect_blocking().expect("connected");
        (1..=3).for_each(|number| rig.message(1, number));
        let (stop, meter) = (consumer.stop_handle(), consumer.meter());
        not_for_ever(&stop);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let handle = move |event: &Event| {
            seen.lock().expect("sound").push((event.seq(), event.attempt()));
            match event.seq() {
                1 => Err(refuse()),
                2 => Ok(()),
                _ => {
                    stop.stop();
                    Ok(())
                }
            }
        };
        if blocking {
            consumer.run_blocking(|event| handle(&event)).expect("no error");
        } else {
            let handle = Arc::new(handle);
            let run = consumer.run(move |event| {
                let handle = Arc::clone(&handle);
                async move { handle(&event) }
            });
            runtime().block_on(run).expect("no error");
        }
        let calls = calls.lock().expect("sound").clone();
        assert_eq!(calls, [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]);
        let told = "no welcome was sent: unknown channel".to_owned();
        assert_eq!(letters.all(), [((1, 1), told, 3)]);
        let reading = meter.read();
        assert_eq!((reading.handled, reading.failed, reading.dead), (2, 3, 1));
        assert_eq!((reading.retried, reading.in_work, reading.oldest), (2, 0, None));
        assert_eq!(rig.group("bot").lag, 0);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime")
}

#[test]
fn attempts_are_counted_over_consumers_and_an_event_is_given_up_by_whoever_has_the_last() {
    let mut rig = Rig::new();
    let letters = Letters::default();
    rig.operator().create_group("bot", true, false, None).expect("a group");
    rig.message(1, 1);
    for attempt in 1..=3 {
        let builder = quick(rig.consumer()).attempts(3).on_dead(letters.told());
        let mut consumer = builder.connect_blocking().expect("connected");
        let event = next(&mut consumer);
        assert_eq!(event.attempt(), attempt);
        event.nak(Duration::ZERO, "not yet");
    }
    assert_eq!(letters.all(), [((1, 1), "not yet".to_owned(), 3)]);
    assert_eq!(rig.group("bot").lag, 0);
}

/// Only failures of handlers are the event's own.
#[test]
fn an_event_that_is_left_behind_again_and_again_never_dies_of_it() {
    let mut rig = Rig::new();
    let letters = Letters::default();
    rig.operator().create_group("bot", true, false, None).expect("a group");
    rig.message(1, 1);
    for round in 1..=5 {
        let builder = quick(rig.consumer()).attempts(2).on_dead(letters.told());
        let mut consumer = builder.connect_blocking().expect("connected");
        let event = next(&mut consumer);
        assert_eq!(event.attempt(), round.min(2));
        drop(consumer);
        event.ack();
    }
    assert!(letters.all().is_empty());
    assert_eq!(rig.group("bot").lag, 1);
}

#[test]
fn the_four_words_of_a_program_that_asks_for_its_events() {
    let mut rig = Rig::new();
    let letters = Letters::default();
    let builder = quick(rig.consumer()).attempts(2).on_dead(letters.told());
    let mut consumer = builder.connect_blocking().expect("connected");
    (1..=3).for_each(|guild| rig.message(guild, 1));
    let (first, second, third) = (next(&mut consumer), next(&mut consumer), next(&mut consumer));
    first.ack();
    first.nak(Duration::ZERO, "only the first word counts");
    second.nak(Duration::ZERO, "try again");
    third.term("no such channel");
    let again = next(&mut consumer);
    assert_eq!((numbers(&again), again.attempt()), ((2, 1), 2));
    drop(again);
    let dropped = "dropped without being acknowledged".to_owned();
    let expected = [((3, 1), "no such channel".to_owned(), 1), ((2, 1), dropped, 2)];
    assert_eq!(letters.all(), expected);
    assert_eq!(consumer.lag(), 0);
    // What was settled says nothing more, nor does what is told of the dead.
    letters.0.lock().expect("sound")[0].event.as_ref().expect("an event").nak(PATIENCE, "too late");
    assert_eq!(consumer.lag(), 0);
}

#[test]
fn a_retry_in_a_while_comes_after_what_others_have() {
    let mut rig = Rig::new();
    let mut consumer = quick(rig.consumer()).connect_blocking().expect("connected");
    rig.message(1, 1);
    rig.message(1, 2);
    next(&mut consumer).nak(PATIENCE * 100, "much later");
    rig.message(2, 1);
    let event = next(&mut consumer);
    assert_eq!(numbers(&event), (2, 1));
    event.ack();
    assert!(consumer.next_timeout(Duration::from_millis(20)).expect("no error").is_timeout());
}

#[tokio::test]
async fn a_handler_that_hangs_is_given_up_and_holds_up_its_own_guild_only() {
    let mut rig = Rig::new();
    let letters = Letters::default();
    let builder = quick(rig.consumer()).attempts(2).on_dead(letters.told());
    let builder = builder.handler_timeout(Duration::from_millis(40)).concurrency(2);
    let consumer = builder.connect().await.expect("connected");
    rig.message(1, 1);
    rig.message(1, 2);
    (1..=20).for_each(|number| rig.message(2, number));
    let (stop, alive) = (consumer.stop_handle(), Arc::new(()));
    not_for_ever(&stop);
    let kept = Arc::clone(&alive);
    // All but the one that hangs.
    let left = Arc::new(AtomicUsize::new(21));
    let run = consumer.run(move |event: Event| {
        let (stop, kept, left) = (stop.clone(), Arc::clone(&kept), Arc::clone(&left));
        async move {
            if numbers(&event) == (1, 1) {
                let _kept = kept;
                std::future::pending::<()>().await;
            }
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                stop.stop();
            }
        }
    });
    run.await.expect("no error");
    assert_eq!(Arc::strong_count(&alive), 1, "its future was dropped");
    assert_eq!(letters.all(), [((1, 1), "its handler took too long".to_owned(), 2)]);
    assert_eq!(rig.group("bot").lag, 0);
}

/// Whatever the runtime does, two events of one guild are never at work.
#[test]
fn a_thread_that_hangs_keeps_its_guild_until_it_returns_and_nothing_else() {
    let mut rig = Rig::new();
    let builder = quick(rig.consumer()).handler_timeout(Duration::from_millis(20)).concurrency(2);
    let consumer = builder.connect_blocking().expect("connected");
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    rig.message(1, 1);
    rig.message(1, 2);
    // More than the ring has slots: it goes on behind an event that is out.
    let (go_on, hanging) = mpsc::channel::<()>();
    let hanging = Mutex::new(hanging);
    let calls = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (calls, stop) = (&calls, &stop);
        scope.spawn(move || {
            let handler = |event: Event| {
                calls.lock().expect("sound").push(numbers(&event));
                match numbers(&event) {
                    (1, 1) => {
                        let _ = hanging.lock().expect("sound").recv_timeout(PATIENCE);
                    }
                    (1, _) => stop.stop(),
                    _ => {}
                }
            };
            consumer.run_blocking(handler).expect("no error");
        });
        (1..=600).for_each(|number| rig.message(2, number));
        until("the others to be handled", || meter.read().handled >= 600);
        let longest = Duration::from_millis(20);
        until("the timeout", || meter.read().oldest.is_some_and(|oldest| oldest > longest * 2));
        assert!(!calls.lock().expect("sound").contains(&(1, 2)), "two of one guild");
        go_on.send(()).expect("it hangs");
    });
    assert_eq!(calls.lock().expect("sound").last(), Some(&(1, 2)));
    assert_eq!(calls.lock().expect("sound").iter().filter(|call| **call == (1, 1)).count(), 1);
}

#[test]
fn an_event_that_is_kept_too_long_is_taken_back_unless_its_program_says_it_works() {
    let mut rig = Rig::new();
    let builder = quick(rig.consumer()).handler_timeout(Duration::from_secs(2));
    let mut consumer = builder.connect_blocking().expect("connected");
    rig.message(1, 1);
    let first = next(&mut consumer);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        first.progress();
        assert!(consumer.next_timeout(Duration::from_millis(5)).expect("no error").is_timeout());
    }
    let again = next(&mut consumer);
    assert_eq!((numbers(&again), again.attempt()), ((1, 1), 2));
    first.ack();
    assert_eq!(consumer.lag(), 1, "it is the other attempt's");
    again.ack();
    assert_eq!(consumer.lag(), 0);
}

#[tokio::test]
async fn an_acknowledgement_inside_a_handler_frees_its_guild_at_once() {
    let mut rig = Rig::new();
    let consumer = quick(rig.consumer()).handler_timeout(Duration::from_millis(20));
    let consumer = consumer.connect().await.expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let stop = consumer.stop_handle();
    not_for_ever(&stop);
    // All three are at work at the same time, also when their time is long over.
    let meeting = Arc::new(tokio::sync::Barrier::new(3));
    let run = consumer.run(move |event: Event| {
        let (stop, meeting) = (stop.clone(), Arc::clone(&meeting));
        async move {
            event.ack();
            tokio::time::sleep(Duration::from_millis(100)).await;
            meeting.wait().await;
            stop.stop();
            Err("after the acknowledgement nothing counts")
        }
    });
    run.await.expect("no error");
    let group = rig.group("bot");
    assert_eq!(group.lag, 0);
}

fn micros_ago(age: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from((now - age).as_micros()).expect("before the year 500,000")
}

#[test]
fn what_is_too_old_to_be_answered_is_dropped_and_counted() {
    let mut rig = Rig::new();
    let minute = Duration::from_secs(60);
    let builder = quick(rig.consumer()).max_age(Kind::TYPING_START, Duration::from_secs(600));
    let mut consumer = builder.connect_blocking().expect("connected");
    let interaction = Kind::INTERACTION_CREATE;
    rig.publish_received(interaction, 1, 1, micros_ago(Duration::from_secs(4)));
    rig.publish_received(interaction, 1, 2, micros_ago(Duration::ZERO));
    rig.publish_received(interaction, 1, 3, 0);
    rig.publish_received(Kind::MESSAGE_CREATE, 1, 4, micros_ago(minute));
    rig.publish_received(Kind::TYPING_START, 1, 5, micros_ago(minute));
    rig.publish_received(Kind::TYPING_START, 1, 6, micros_ago(minute * 11));
    for expected in [2, 3, 4, 5] {
        let event = next(&mut consumer);
        assert_eq!(event.seq(), expected);
        event.ack();
    }
    until("the last to be dropped", || {
        assert!(consumer.next_timeout(Duration::ZERO).expect("no error").is_timeout());
        consumer.meter().read().too_old == 2
    });
    assert_eq!((consumer.meter().read().handled, consumer.lag()), (4, 0));

    let all = rig.consumer().group("all").from_earliest().max_age(interaction, None);
    let mut all = all.connect_blocking().expect("connected");
    assert_eq!(next(&mut all).seq(), 1);
}

#[test]
fn who_is_told_of_a_dead_letter_may_panic() {
    let mut rig = Rig::new();
    let builder = quick(rig.consumer()).on_dead(|_| panic!("a fault of the program, on purpose"));
    let mut consumer: Consumer = builder.connect_blocking().expect("connected");
    rig.message(1, 1);
    rig.message(1, 2);
    next(&mut consumer).term("of no use");
    assert_eq!(next(&mut consumer).seq(), 2);
}

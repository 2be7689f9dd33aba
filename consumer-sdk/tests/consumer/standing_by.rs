//! Waiting for what comes next, from inside a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mixcord::standby::WaitError;
use mixcord::{Event, Kind, Stop};

use crate::rig::{PATIENCE, Rig, next, numbers};

/// a handler that waits for its channel's next message does not wait for itself, nor for whoever else gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_gets_the_answer_whichever_member_gets_the_event() {
    const QUESTIONS: u64 = 20;
    let mut rig = Rig::new();
    let stop = Stop::new();
    let answered = Arc::new(AtomicU64::new(0));
    let (asked, mut asking) = tokio::sync::mpsc::unbounded_channel();
    let mut members = Vec::new();
    for _ in 0..2 {
        let consumer = rig.consumer().group("bot").from_earliest().stop(&stop).connect().await;
        let (asked, answered, stop) = (asked.clone(), Arc::clone(&answered), stop.clone());
        let handler = move |event: Event| {
            let (asked, answered, stop) = (asked.clone(), Arc::clone(&answered), stop.clone());
            async move {
                let (guild, number) = numbers(&event);
                if number > 1 {
                    return;
                }
                // Its guild waits for this handler, and the answer is of this guild.
                let answer = event.wait_for(
                    [Kind::MESSAGE_CREATE],
                    move |event| numbers(event) == (guild, 2),
                    PATIENCE,
                );
                asked.send(guild).expect("it is listened to");
                assert_eq!(numbers(&answer.await.expect("an answer")), (guild, 2));
                if answered.fetch_add(1, Ordering::SeqCst) + 1 == QUESTIONS {
                    stop.stop();
                }
            }
        };
        members.push(tokio::spawn(consumer.expect("connected").run(handler)));
    }
    for guild in 1..=QUESTIONS {
        rig.message(guild, 1);
    }
    for _ in 1..=QUESTIONS {
        let guild = asking.recv().await.expect("a question");
        rig.message(guild, 2);
    }
    for member in members {
        member.await.expect("no panic").expect("no error");
    }
    assert_eq!(answered.load(Ordering::SeqCst), QUESTIONS);
}

#[test]
fn a_wait_sees_what_comes_after_it_began_and_nothing_before() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let standby = consumer.standby();
    for round in 1..=50 {
        rig.message(1, round * 10);
        let waiting = standby.wait_for([], |_| true, PATIENCE);
        let other = standby.wait_for([Kind::MESSAGE_DELETE], |_| true, PATIENCE);
        rig.message(1, round * 10 + 1);
        rig.publish(Kind::MESSAGE_DELETE, 1, round * 10 + 2, "{}", None);
        assert_eq!(waiting.wait_blocking().expect("an event").seq(), round * 10 + 1);
        assert_eq!(other.wait_blocking().expect("an event").seq(), round * 10 + 2);
    }
    assert_eq!(consumer.lag(), 150, "nothing was taken from the group");
}

#[test]
fn a_watch_collects_all_that_match_in_order() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let mut clicks = consumer.standby().watch([Kind::MESSAGE_CREATE], |event| event.seq() % 2 == 0);
    (1..=20).for_each(|number| rig.message(number, number));
    for expected in 1..=10 {
        let event = clicks.next_blocking(PATIENCE).expect("an event");
        assert_eq!(event.seq(), expected * 2);
        // Nobody's: to acknowledge it says nothing of the group's.
        event.ack();
    }
    assert_eq!(clicks.next_blocking(Duration::ZERO).expect_err("no more"), WaitError::Timeout);
    assert_eq!(consumer.lag(), 20);
    assert_eq!(next(&mut consumer).seq(), 1);
}

#[tokio::test]
async fn a_wait_ends_in_time_and_says_when_it_may_have_missed_something() {
    // Larger than what is published: the thread that looks loses nothing.
    let mut rig = Rig::with_slots(1024, 1 << 20);
    let mut consumer = rig.consumer().group("bot").connect().await.expect("connected");
    let standby = consumer.standby();
    let waiting = standby.wait_for([], |_| true, Duration::from_millis(5));
    assert_eq!(waiting.await.expect_err("nothing came"), WaitError::Timeout);
    let mut all = standby.watch([], |_| true);
    let panics = standby.wait_for([], |_| panic!("a fault of the predicate, on purpose"), PATIENCE);
    let last = standby.wait_for([], |event| event.seq() == 299, PATIENCE);
    // One that asks for nothing keeps so many, and then ends.
    for number in 0..300 {
        rig.message(number, number);
        consumer.next().await.expect("no error").expect("an event").ack();
    }
    last.await.expect("it looked at all of them");
    assert_eq!(panics.await.expect_err("it panicked"), WaitError::Ended);
    let mut seen = 0;
    let end = loop {
        match all.next(PATIENCE).await {
            Ok(event) => assert_eq!((event.seq(), seen), (seen, event.seq())),
            Err(end) => break end,
        }
        seen += 1;
    };
    assert_eq!((end, seen), (WaitError::Missed { records: 1 }, 256));
}

#[test]
fn a_wait_goes_on_in_the_ring_that_takes_the_place_of_the_old_one() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let waiting = consumer.standby().wait_for([], |event| event.seq() == 7, PATIENCE);
    rig.replace_ring();
    rig.message(1, 7);
    assert_eq!(waiting.wait_blocking().expect("an event").seq(), 7);
}

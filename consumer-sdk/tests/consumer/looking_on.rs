//! Observers: everything in order, nobody held up, and the exact number of what was missed.

use std::time::Duration;

use mixcord::{Consumer, Event};

use crate::rig::{Rig, next};

#[test]
fn an_observer_sees_everything_in_order_and_acknowledges_nothing() {
    let mut rig = Rig::new();
    let mut observer = rig.consumer().observer().connect_blocking().expect("connected");
    (0..100).for_each(|number| rig.message(number % 7, number));
    for number in 0..100 {
        let event = next(&mut observer);
        assert_eq!(event.seq(), number);
        event.ack();
    }
    assert!(rig.operator().rings().expect("rings")[0].groups.is_empty());
}

#[test]
fn an_observer_that_falls_behind_is_told_exactly_what_it_missed() {
    let mut rig = Rig::new();
    let mut observer = rig.consumer().observer().from_earliest().connect_blocking().expect("ready");
    let (mut published, mut seen, mut lost) = (0, 0, 0);
    for round in 0..5 {
        for _ in 0..(100 + round * 150) {
            rig.message(1, published);
            published += 1;
        }
        while let Some(event) = read(&mut observer) {
            match event.lost() {
                Some(count) => lost += count,
                None => {
                    assert_eq!(event.seq(), seen + lost, "the count before it was not exact");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen + lost, published);
    }
    assert!(lost > 0 && seen > 0, "lost {lost}, seen {seen}");
}

#[test]
fn what_is_lost_is_counted_before_the_filter_and_told_whatever_it_says() {
    let mut rig = Rig::new();
    let observer = rig.consumer().observer().from_earliest().kinds([mixcord::Kind::GAP]);
    let mut observer = observer.connect_blocking().expect("connected");
    (0..1_000).for_each(|number| rig.message(1, number));
    let event = next(&mut observer);
    assert_eq!(event.name(), "LOST");
    let count = event.lost().expect("a loss");
    assert_eq!(event.data().to_json(), format!(r#"{{"count":{count}}}"#));
    assert!((1_000 - 256..1_000).contains(&count), "{count}");
    assert!(read(&mut observer).is_none());
}

#[tokio::test]
async fn an_observer_can_be_run_too() {
    let mut rig = Rig::new();
    let observer = rig.consumer().observer().connect().await.expect("connected");
    (0..20).for_each(|number| rig.message(number, number));
    let stop = observer.stop_handle();
    let handler = move |event: Event| {
        let stop = stop.clone();
        async move {
            assert_ne!(event.seq(), 5, "a failure, on purpose: it holds nobody up");
            if event.seq() == 19 {
                stop.stop();
            }
        }
    };
    observer.run(handler).await.expect("no error");
}

/// What is there now.
fn read(observer: &mut Consumer) -> Option<Event> {
    observer.next_timeout(Duration::ZERO).expect("no error").event()
}

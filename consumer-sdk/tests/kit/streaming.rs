//! A consumer as a stream, and waiting for a while.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt as _};
use mixcord::testing::Testbed;
use mixcord::{Kind, Next};
use serde_json::json;

#[tokio::test]
async fn a_stream_gives_the_events_as_they_come_and_ends_when_it_is_stopped() {
    let bed = Testbed::new();
    let consumer = bed.consumer().group("bot").connect().await.expect("connected");
    let stop = consumer.stop_handle();
    let seen = tokio::spawn(
        consumer
            .map_ok(|event| {
                event.ack();
                event.seq()
            })
            .try_collect::<Vec<_>>(),
    );
    for guild in 1..=20 {
        bed.event(Kind::MESSAGE_CREATE, json!({"guild_id": guild.to_string()})).publish();
        // Sometimes it sleeps, sometimes there is another.
        if guild % 3 == 0 {
            bed.drained("bot").await;
        }
    }
    bed.drained("bot").await;
    stop.stop();
    let mut seen = seen.await.expect("no panic").expect("no error");
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_is_dropped_and_asked_again_loses_nothing() {
    let bed = Testbed::new();
    let mut consumer = bed.consumer().group("bot").connect().await.expect("connected");
    let quiet =
        tokio::time::timeout(Duration::from_millis(5), StreamExt::next(&mut consumer)).await;
    assert!(quiet.is_err());
    bed.event(Kind::MESSAGE_CREATE, "{}").publish();
    let event = StreamExt::next(&mut consumer).await.expect("not stopped").expect("no error");
    assert_eq!(event.seq(), 1);
}

#[tokio::test]
async fn next_tells_an_event_from_silence_and_from_the_end() {
    let bed = Testbed::new();
    let mut consumer = bed.consumer().group("bot").connect().await.expect("connected");
    let soon = Duration::from_millis(1);
    assert!(consumer.next_within(soon).await.expect("no error").is_timeout());
    assert!(consumer.next_timeout(soon).expect("no error").is_timeout());
    bed.event(Kind::MESSAGE_CREATE, "{}").publish();
    let Next::Event(event) = consumer.next_within(Duration::from_secs(30)).await.expect("no error")
    else {
        panic!("there was an event")
    };
    event.ack();
    consumer.stop_handle().stop();
    assert!(consumer.next_within(soon).await.expect("no error").is_stopped());
    assert!(consumer.next_timeout(soon).expect("no error").is_stopped());
}

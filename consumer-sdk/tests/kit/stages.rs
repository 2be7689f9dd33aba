//! Stages on a ring in memory: what they publish, whatever their functions do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mixcord::event::{Document, Value};
use mixcord::stage::{Added, Emit, OnFailure};
use mixcord::testing::Testbed;
use mixcord::{Consumer, Error, Event, Identity, Kind, Stop, atoms};
use proptest::prelude::*;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(120);

fn number(event: &Event) -> u64 {
    event.data().get(atoms::ID).and_then(|id| id.as_u64()).unwrap_or(u64::MAX)
}

fn message(bed: &Testbed, number: u64) -> Identity {
    let data =
        json!({"id": number.to_string(), "guild_id": (number % 5).to_string(), "content": "text"});
    let event = bed.event(Kind::MESSAGE_CREATE, &data).old(json!({"id": "1", "content": "old"}));
    let identity = event.clone().make().identity();
    event.publish();
    identity
}

fn publish(bed: &Testbed, number: u64) {
    message(bed, number);
}

async fn reader(bed: &Testbed, source: &str) -> Consumer {
    let reader = bed.consumer().source(source).observer().from_earliest();
    reader.wait(PATIENCE).connect().await.expect("connected")
}

async fn next(consumer: &mut Consumer) -> Event {
    consumer.next_within(PATIENCE).await.expect("no error").event().expect("in time")
}

/// Until the stage has done all that is in its source.
async fn run<F, Fut>(
    bed: &Testbed,
    stage: mixcord::stage::Stage,
    group: &str,
    function: F,
) -> Result<(), Error>
where
    F: Fn(Event) -> Fut + Send + Sync,
    Fut: Future + Send,
    Fut::Output: mixcord::stage::Emits,
{
    let stop = Stop::new();
    let (running, done) = (stage.stop(&stop).from_earliest().run(function), async {
        bed.drained(group).await;
        stop.stop();
        std::future::pending::<()>().await;
    });
    tokio::select! { result = running => result, () = done => unreachable!("it waits for ever") }
}

/// What the functions below are to do with an event.
async fn mixed(event: Event) -> Result<Emit, mixcord::event::DocumentError> {
    let added = |n: u64| {
        let data = Document::from_json(&format!(r#"{{"of":{},"n":{n}}}"#, number(&event)));
        Added::named("MADE_UP", data.expect("JSON"))
    };
    Ok(match number(&event) % 5 {
        0 => Emit::pass(),
        1 => Emit::with(&event, &[("spam_score", 0.5.into()), ("content", Value::Str("new"))])?,
        2 => Emit::nothing(),
        3 => Emit::nothing().and(added(0)),
        _ => Emit::with(&event, &[("content", Value::Null)])?.old(None).and(added(0)).and(added(1)),
    })
}

/// The same, worked out without any stage: kind, number, data, whether there is an old entity.
fn expected(numbers: impl Iterator<Item = u64>) -> Vec<String> {
    let line = |kind: &str, data: serde_json::Value, old: bool| format!("{kind} {data} {old}");
    let mut lines = Vec::new();
    for n in numbers {
        let of = |content: serde_json::Value| json!({"id": n.to_string(), "guild_id": (n % 5).to_string(), "content": content});
        let made = |i: u64| line("MADE_UP", json!({"of": n, "n": i}), false);
        match n % 5 {
            0 => lines.push(line("MESSAGE_CREATE", of("text".into()), true)),
            1 => {
                let mut data = of("new".into());
                data["spam_score"] = 0.5.into();
                lines.push(line("MESSAGE_CREATE", data, true));
            }
            2 => {}
            3 => lines.push(made(0)),
            _ => {
                lines.push(line("MESSAGE_CREATE", of(serde_json::Value::Null), false));
                lines.extend([made(0), made(1)]);
            }
        }
    }
    lines
}

fn told(event: &Event) -> String {
    let data: serde_json::Value = serde_json::from_str(&event.data().to_json()).expect("JSON");
    format!("{} {data} {}", event.name(), event.old().is_some())
}

#[tokio::test]
async fn events_are_passed_changed_dropped_and_added() {
    let bed = Testbed::new();
    let identities: Vec<_> = (0..10).map(|n| message(&bed, n)).collect();
    bed.event(Kind::TYPING_START, json!({"channel_id": "7"})).publish();
    let stage = bed.stage("mixed").kinds([Kind::MESSAGE_CREATE]);
    run(&bed, stage, "stage-mixed", mixed).await.expect("no error");
    let mut consumer = reader(&bed, "mixed").await;
    let expected = expected(0..10);
    let mut added = Vec::new();
    for line in &expected {
        let event = next(&mut consumer).await;
        assert_eq!(told(&event), *line);
        if event.name() == "MADE_UP" {
            assert_eq!(event.kind(), Kind::UNKNOWN);
            added.push(event.identity());
        } else {
            assert_eq!(event.identity(), identities[number(&event) as usize], "it keeps its own");
        }
    }
    assert_eq!(next(&mut consumer).await.kind(), Kind::TYPING_START, "which nobody was asked of");
    // What is added is named by the stage's ring and the place there, once and for all.
    let place = |line: &str| expected.iter().position(|other| other == line).expect("it is there");
    let places = expected.iter().filter(|line| line.starts_with("MADE_UP")).map(|line| place(line));
    let named: Vec<_> = added.iter().map(|identity| identity.position as usize).collect();
    assert_eq!(named, places.collect::<Vec<_>>());
    assert!(
        added
            .iter()
            .all(|identity| identity.ring == added[0].ring && identity.ring != identities[0].ring)
    );
}

#[tokio::test]
async fn a_group_behind_a_stage_asks_for_what_the_stage_made_up_and_has_the_state() {
    let bed = Testbed::new();
    bed.guild(json!({"id": "3", "name": "the guild"}));
    let consumer = bed
        .consumer()
        .source("mixed")
        .group("bot")
        .names(["MADE_UP"])
        .in_ring_order()
        .from_earliest();
    let connecting = tokio::spawn(consumer.connect());
    (0..10).for_each(|n| publish(&bed, n));
    run(&bed, bed.stage("mixed"), "stage-mixed", mixed).await.expect("no error");
    let mut consumer = connecting.await.expect("no panic").expect("connected");
    for of in [3, 4, 4, 8, 9, 9] {
        let event = next(&mut consumer).await;
        assert_eq!(event.data().get_str("of").and_then(|of| of.as_u64()), Some(of));
        let guild = event.state().guild(3).expect("a state").expect("the guild");
        assert_eq!(guild.get(atoms::NAME).and_then(|name| name.as_str()), Some("the guild"));
        event.ack();
    }
}

#[tokio::test]
async fn a_stage_reads_another_one() {
    let bed = Testbed::new();
    (0..10).for_each(|n| publish(&bed, n));
    run(&bed, bed.stage("first"), "stage-first", mixed).await.expect("no error");
    let stop = Stop::new();
    let second = bed.stage("second").source("first").names(["MADE_UP"]).from_earliest().stop(&stop);
    let running = tokio::spawn(
        second.run(|event: Event| async move { Emit::with(&event, &[("second", true.into())]) }),
    );
    let mut consumer = reader(&bed, "second").await;
    for line in expected(0..10) {
        let event = next(&mut consumer).await;
        let is_made_up = line.starts_with("MADE_UP");
        assert_eq!(event.name() == "MADE_UP", is_made_up);
        assert_eq!(event.data().get_str("second").is_some(), is_made_up);
    }
    stop.stop();
    running.await.expect("no panic").expect("no error");
}

/// An error, a panic, and a function that never ends.
async fn failing(event: Event) -> Result<Emit, &'static str> {
    match number(&event) {
        0 => Err("the model is away"),
        1 => panic!("a fault of the function, on purpose"),
        2 => std::future::pending().await,
        _ => Ok(Emit::pass()),
    }
}

#[tokio::test]
async fn what_fails_for_the_last_time_is_passed_on_or_left_out() {
    for (then, left) in [(OnFailure::Pass, vec![0, 1, 2, 3]), (OnFailure::Drop, vec![3])] {
        let bed = Testbed::new();
        (0..4).for_each(|n| publish(&bed, n));
        let calls = Arc::new(AtomicU32::new(0));
        let stage = bed.stage("s").attempts(2).retry(Duration::ZERO, Duration::ZERO);
        let stage = stage.timeout(Duration::from_millis(10)).on_failure(then);
        let counted = Arc::clone(&calls);
        let function = move |event: Event| {
            assert_eq!(event.attempt(), counted.fetch_add(1, Ordering::SeqCst) % 2 + 1);
            failing(event)
        };
        run(&bed, stage, "stage-s", function).await.expect("no error");
        assert_eq!(calls.load(Ordering::SeqCst), 7);
        let mut consumer = reader(&bed, "s").await;
        for n in left {
            assert_eq!(number(&next(&mut consumer).await), n);
        }
    }
}

#[tokio::test]
async fn a_stage_that_stops_at_a_failure_begins_there_again() {
    let bed = Testbed::new();
    [5, 0, 6].into_iter().for_each(|n| publish(&bed, n));
    let stage = || bed.stage("s").attempts(1).on_failure(OnFailure::Stop);
    let error = run(&bed, stage(), "stage-s", failing).await.expect_err("it failed");
    assert!(error.to_string().contains("the model is away"), "{error}");
    assert!(error.to_string().contains("MESSAGE_CREATE at position 1"), "{error}");
    run(&bed, stage(), "stage-s", |_: Event| async { Emit::pass() }).await.expect("no error");
    let mut consumer = reader(&bed, "s").await;
    for n in [5, 0, 6] {
        assert_eq!(number(&next(&mut consumer).await), n, "each once");
    }
}

#[tokio::test]
async fn more_than_the_ring_takes_at_once_is_a_failure_not_a_standstill() {
    let bed = Testbed::new();
    message(&bed, 7);
    message(&bed, 8);
    let flood = |event: Event| async move {
        let added = || Added::named("MADE_UP", Document::from_json("{}").expect("JSON"));
        let count = if number(&event) == 7 { 40 } else { 2 };
        (0..count).fold(Emit::nothing(), |emit, _| emit.and(added()))
    };
    run(&bed, bed.stage("s").ring(64, 1 << 16), "stage-s", flood).await.expect("no error");
    let mut consumer = reader(&bed, "s").await;
    for name in ["MESSAGE_CREATE", "MADE_UP", "MADE_UP"] {
        assert_eq!(next(&mut consumer).await.name(), name);
    }
}

/// Back-pressure reaches the source, and goes when it is read.
#[tokio::test]
async fn a_full_stage_waits_for_its_slowest_group() {
    let bed = Testbed::new();
    (0..100).for_each(|n| publish(&bed, n));
    let stop = Stop::new();
    let stage = bed.stage("s").ring(32, 1 << 16).from_earliest().stop(&stop);
    let waiting = bed.consumer().source("s").group("slow").in_ring_order().from_earliest();
    let connecting = tokio::spawn(waiting.connect());
    let (held, go) = tokio::sync::oneshot::channel::<()>();
    let go = std::sync::Mutex::new(Some(go));
    let running = tokio::spawn(stage.run(move |_: Event| {
        // The first event waits until there is a group that holds the ring.
        let go = go.lock().expect("no panic").take();
        async move {
            if let Some(go) = go {
                go.await.expect("told");
            }
            Emit::pass()
        }
    }));
    let mut consumer = connecting.await.expect("no panic").expect("connected");
    held.send(()).expect("it waits");
    while bed.lag("stage-s").is_none_or(|lag| lag > 68) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for n in 0..100 {
        assert!(
            bed.lag("stage-s") >= Some(68_u64.saturating_sub(n)),
            "more is published than there is room for"
        );
        let event = next(&mut consumer).await;
        assert_eq!(number(&event), n);
        event.ack();
    }
    bed.drained("stage-s").await;
    stop.stop();
    running.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn names_that_cannot_be_are_told() {
    let bed = Testbed::new();
    let run = |stage: mixcord::stage::Stage| stage.run(|_: Event| async { Emit::pass() });
    for stage in [bed.stage("out"), bed.stage("no good"), bed.stage("a").source("a")] {
        let error = run(stage).await.expect_err("no name");
        assert!(error.is_configuration() && error.to_string().contains("no name"), "{error}");
    }
    let error = run(bed.stage("a").source("?")).await.expect_err("no source");
    assert!(error.is_configuration() && error.to_string().contains("no source"), "{error}");
    let error = run(bed.stage("a").source("b").wait(Duration::ZERO)).await.expect_err("no stage");
    assert!(error.to_string().contains("has no stage \"b\""), "{error}");
    let error = bed.consumer().source("b").group("g").wait(Duration::ZERO).connect().await;
    assert!(error.expect_err("no stage").to_string().contains("has no stage \"b\""));
    message(&bed, 1);
    let first = tokio::spawn(run(bed.stage("a")));
    while bed.lag("stage-a").is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let error = run(bed.stage("a")).await.expect_err("it runs");
    assert!(error.to_string().contains("runs already"), "{error}");
    first.abort();
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 64, ..ProptestConfig::with_cases(32) })]

    /// Ended wherever it waits, again and again, with rings of any size: what comes out is what a function of the
    /// input gives, each event once and in order.
    #[test]
    fn a_stage_that_is_ended_anywhere_publishes_what_one_that_was_not_does(
        total in 1_u64..60,
        batches in proptest::collection::vec((1_u64..20, 0_u32..30), 1..8),
        slots in prop_oneof![Just(16_u32), Just(256)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let bed = Testbed::new();
            let mut consumer = None;
            let (mut published, mut seen) = (0, Vec::new());
            // Each end while the function is at work counts as a death.
            let stage = || bed.stage("s").ring(slots, 1 << 16).from_earliest().attempts(255);
            for (count, yields) in batches.into_iter().chain([(total, u32::MAX)]) {
                for _ in 0..count {
                    if published < total {
                        message(&bed, published);
                        published += 1;
                    }
                }
                let stop = Stop::new();
                let stage = stage().stop(&stop).run(|event: Event| async move {
                    // Once would not do: it is polled again at once.
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    mixed(event).await
                });
                let look = async {
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                        if yields == u32::MAX && bed.lag("stage-s") == Some(0) {
                            break;
                        }
                        if consumer.is_none() {
                            consumer = bed.consumer().source("s").group("g").in_ring_order().from_earliest()
                                .wait(Duration::ZERO).connect().await.ok();
                        }
                        if let Some(consumer) = &mut consumer {
                            while let Some(event) = consumer.next_within(Duration::ZERO).await.expect("no error").event() {
                                seen.push(told(&event));
                                event.ack();
                            }
                        }
                    }
                };
                // Dropped where it stands, as by a kill.
                tokio::select! { biased; result = stage => result.expect("no error"), () = look => {} }
            }
            if consumer.is_none() {
                consumer = Some(bed.consumer().source("s").group("g").in_ring_order().from_earliest().connect().await.expect("connected"));
            }
            let consumer = consumer.as_mut().expect("connected");
            let expected = expected(0..total);
            while seen.len() < expected.len() {
                let event = next(consumer).await;
                seen.push(told(&event));
                event.ack();
            }
            assert_eq!(seen, expected);
            assert!(consumer.next_within(Duration::ZERO).await.expect("no error").event().is_none());
        });
    }
}

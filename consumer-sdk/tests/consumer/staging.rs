//! A stage killed at random while events come and a group reads what it publishes: each event once, in order.

use std::process::{Command, Stdio};
use std::time::Duration;

use mixcord::event::Document;
use mixcord::stage::{Added, Emit};
use mixcord::{Consumer, Event};

use crate::rig::{PATIENCE, Rig, Running, until};

const INSTANCE: &str = "TEST_INSTANCE_OF_STAGE";
const EVENTS: u64 = 3_000;
/// Events published between two kills.
const KILL_EVERY: u64 = 130;

/// Leaves out every fifth, adds one behind every third, and changes all.
async fn score(event: Event) -> Result<Emit, mixcord::event::DocumentError> {
    if event.seq().is_multiple_of(11) {
        tokio::task::yield_now().await;
    }
    if event.seq().is_multiple_of(5) {
        return Ok(Emit::nothing());
    }
    let emit = Emit::with(&event, &[("spam_score", event.seq().into())])?;
    if !event.seq().is_multiple_of(3) {
        return Ok(emit);
    }
    Ok(emit.and(Added::named("MADE_UP", Document::from_json("{}").expect("JSON"))))
}

fn expected() -> Vec<(String, u64)> {
    let mut expected = Vec::new();
    for number in (0..EVENTS).filter(|number| !number.is_multiple_of(5)) {
        expected.push(("MESSAGE_CREATE".to_owned(), number));
        if number.is_multiple_of(3) {
            expected.push(("MADE_UP".to_owned(), number));
        }
    }
    expected
}

/// Not a test of its own: the stage.
#[tokio::test]
async fn child_that_is_a_stage() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    // That it is killed is no fault of its function.
    let stage = mixcord::stage("s").instance(instance).from_earliest().attempts(255);
    stage.run(score).await.expect("no error");
}

fn start(instance: &str) -> Running {
    let stage = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "staging::child_that_is_a_stage"])
        .env(INSTANCE, instance)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(stage.expect("a stage"))
}

#[test]
fn a_stage_killed_at_random_publishes_each_event_once_and_in_order() {
    let mut rig = Rig::new();
    let mut running = start(&rig.instance);
    let reader = Consumer::builder().instance(&rig.instance).source("s").group("reader");
    let reader = reader.in_ring_order().from_earliest().wait(PATIENCE);
    let mut reader = reader.connect_blocking().expect("connected");
    std::thread::scope(|scope| {
        let journal = scope.spawn(|| {
            let expected = expected();
            for (name, number) in &expected {
                let event = reader.next_timeout(PATIENCE).expect("no error").event();
                let event = event.unwrap_or_else(|| panic!("{name} {number} does not come"));
                assert_eq!((event.name(), event.seq()), (name.as_str(), *number));
                let score = event.data().get_str("spam_score").and_then(|score| score.as_u64());
                assert_eq!(score, (name != "MADE_UP").then_some(*number));
                event.ack();
            }
            let more = reader.next_timeout(Duration::ZERO).expect("no error").event();
            assert!(more.is_none(), "{more:?} comes behind the last");
        });
        let mut kills = 0;
        for number in 0..EVENTS {
            rig.message(number % 24, number);
            if number % KILL_EVERY == KILL_EVERY - 1 {
                running.end();
                running = start(&rig.instance);
                kills += 1;
            }
        }
        assert!(kills > 20, "{kills} kills prove nothing");
        journal.join().expect("what the reader saw is what there is to see");
        until("the stage to have done all", || rig.group("stage-s").lag == 0);
    });
}

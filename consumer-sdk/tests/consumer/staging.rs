//! A stage killed at random while events come and a group reads what it publishes: each event once, in order.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mixcord::event::{Document, Reason};
use mixcord::stage::{Added, Emit, Stage};
use mixcord::{Consumer, Error, Event, Kind, Stop};
use mixcord_ring::{GroupInfo, Namespace, Producer, Ring};

use crate::rig::{PATIENCE, Rig, Running, next, until};

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

/// Runs a stage until `over`; then it is gone, as if it had been killed, or stops in good order.
fn run(stage: Stage, stop: Option<&Stop>, mut over: impl FnMut() -> bool) -> Result<(), Error> {
    let function =
        |event: Event| async move { Emit::with(&event, &[("spam_score", 1_u64.into())]) };
    let stage = stage.from_earliest().wait(PATIENCE);
    let stage = if let Some(stop) = stop { stage.stop(stop) } else { stage };
    let done = async {
        let deadline = Instant::now() + PATIENCE;
        while !over() {
            assert!(Instant::now() < deadline, "it does not come to that");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if let Some(stop) = stop {
            stop.stop();
            std::future::pending::<()>().await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        tokio::select! { biased; result = stage.run(function) => result, () = done => Ok(()) }
    })
}

fn group_of(rig: &Rig, ring: &str, group: &str) -> Option<GroupInfo> {
    let ring = Ring::attach(&rig.namespace, ring).ok()?;
    ring.groups().into_iter().find(|info| info.name == group)
}

const SLOTS: u32 = 16;

fn small(rig: &Rig) -> Stage {
    mixcord::stage("s").instance(&rig.instance).ring(SLOTS, 64 << 10).attempts(1)
}

/// A stage that is gone, with its ring full and a reader that has taken nothing yet.
fn full(rig: &mut Rig) -> Consumer {
    run(small(rig), None, || made(rig, "stage-s")).expect("until it is there");
    let reader = Consumer::builder().instance(&rig.instance).source("s").group("reader");
    let reader = reader.in_ring_order().from_earliest().wait(PATIENCE);
    let reader = reader.connect_blocking().expect("connected");
    (0..2 * u64::from(SLOTS)).for_each(|number| rig.message(number, number));
    let lag = || group_of(rig, "stage-s", "reader").map_or(0, |group| group.lag);
    run(small(rig), None, || lag() == u64::from(SLOTS)).expect("until it is full");
    reader
}

fn made(rig: &Rig, ring: &str) -> bool {
    Ring::attach(&rig.namespace, ring).is_ok()
}

/// Why the first events that the stage tells of are lost.
fn gap(rig: &Rig, reader: &mut Consumer) -> Reason {
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(small(rig), Some(&stop), || false));
        let gap = loop {
            let event = next(reader);
            let (is_gap, reason) = (event.kind() == Kind::GAP, event.reason());
            event.ack();
            if is_gap {
                break reason;
            }
        };
        stop.stop();
        running.join().expect("no panic").expect("no error");
        gap
    })
}

#[test]
fn a_loss_found_at_the_start_is_told_though_the_stage_ends_before_there_is_room() {
    let mut rig = Rig::new();
    let mut reader = full(&mut rig);
    let source = Ring::attach(&rig.namespace, "out").expect("the source");
    source.evict_group("stage-s").expect("let go");
    // As many as the source holds: what the stage had not read is written over.
    let slots = u64::from(source.geometry().slots);
    (0..slots).for_each(|number| rig.message(number, 100 + number));
    let stop = Stop::new();
    let is_back = || {
        group_of(&rig, "out", "stage-s").is_some_and(|group| group.members > 0 && !group.evicted)
    };
    run(small(&rig), Some(&stop), is_back).expect("stopped in good order");
    assert_eq!(gap(&rig, &mut reader), Reason::RecordsLost);
}

#[test]
fn that_the_ring_of_a_stage_is_gone_is_told_whoever_made_the_new_one() {
    let mut rig = Rig::new();
    rig.message(1, 1);
    let stop = Stop::new();
    let is_done = || group_of(&rig, "out", "stage-s").is_some_and(|group| group.lag == 0);
    run(small(&rig), Some(&stop), is_done).expect("no error");
    let name = format!("{}.stage-s", rig.namespace.prefix());
    std::fs::remove_file(Namespace::directory().join(name)).expect("the stage's ring");
    // A start that died before its first commit.
    let geometry = Ring::attach(&rig.namespace, "out").expect("the source").geometry();
    let bell = rig.namespace.bell().expect("a bell");
    drop(Producer::create(&rig.namespace, "stage-s", geometry, &[], &bell).expect("a ring"));
    let reader = Consumer::builder().instance(&rig.instance).source("s").group("reader");
    let reader = reader.in_ring_order().from_earliest().wait(PATIENCE);
    let mut reader = reader.connect_blocking().expect("connected");
    assert_eq!(gap(&rig, &mut reader), Reason::OutputLost);
}

#[test]
fn who_is_killed_while_it_waits_for_room_did_not_die_of_the_event() {
    let mut rig = Rig::new();
    let mut reader = full(&mut rig);
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(small(&rig), Some(&stop), || false));
        for number in 0..2 * u64::from(SLOTS) {
            let event = next(&mut reader);
            let score = event.data().get_str("spam_score").and_then(|score| score.as_u64());
            assert_eq!((event.seq(), score), (number, Some(1)), "the function is asked of each");
            event.ack();
        }
        stop.stop();
        running.join().expect("no panic").expect("no error");
    });
}

#[test]
fn stages_that_would_read_each_other_are_refused() {
    let rig = Rig::new();
    let stage =
        |name: &str, source: &str| mixcord::stage(name).instance(&rig.instance).source(source);
    let reads = |ring: &str, group: &str| {
        group_of(&rig, ring, group).is_some_and(|group| group.members > 0)
    };
    run(stage("a", "out"), None, || made(&rig, "stage-a")).expect("no error");
    let stop = Stop::new();
    std::thread::scope(|scope| {
        let (b, c) = (stage("b", "a"), stage("c", "b"));
        let b = scope.spawn(|| run(b, Some(&stop), || false));
        let c = scope.spawn(|| run(c, Some(&stop), || false));
        until("both to read", || reads("stage-a", "stage-b") && reads("stage-b", "stage-c"));
        for through in ["b", "c"] {
            let error =
                run(stage("a", through), None, || reads(&format!("stage-{through}"), "stage-a"));
            let Err(Error::StageCircle { stage, reads }) = error else { panic!("{error:?}") };
            assert_eq!((stage.as_str(), reads.as_str()), ("a", through));
        }
        stop.stop();
        b.join().expect("no panic").expect("no error");
        c.join().expect("no panic").expect("no error");
    });
}

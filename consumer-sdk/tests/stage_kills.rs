//! A stage dies at every shared store of the rings: the next one goes on without a lost, doubled or reordered event.
//!
//! The child is this program again; its instance is set up and judged by the parent.

#[path = "consumer/rig.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod rig;

use std::os::unix::process::ExitStatusExt as _;

use mixcord::event::{Document, record::Record};
use mixcord::operator::Instance;
use mixcord::stage::{Added, Emit};
use mixcord::{Event, Stop};
use mixcord_ring::{Limits, Namespace, Observed, Ring};

use rig::Rig;

const CHILD: &str = "MIXCORD_STAGE_KILL_CHILD";
const EVENTS: u64 = 24;

/// Passes, changes, leaves out and adds; one event waits, so that what came before is published first.
async fn score(event: Event) -> Result<Emit, mixcord::event::DocumentError> {
    let added = || Added::named("MADE_UP", Document::from_json("{}").expect("JSON"));
    if event.seq().is_multiple_of(7) {
        tokio::task::yield_now().await;
    }
    Ok(match event.seq() % 4 {
        0 => Emit::pass(),
        1 => Emit::with(&event, &[("spam_score", event.seq().into())])?.and(added()),
        2 => Emit::nothing(),
        _ => Emit::nothing().and(added()).and(added()),
    })
}

/// Runs the stage until it has done all there is.
fn run(instance: &str) {
    let operator = Instance::open(instance).expect("a name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let stop = Stop::new();
        // As if it had been the process's fault: it is not given up for that.
        let stage =
            mixcord::stage("s").instance(instance).from_earliest().attempts(255).stop(&stop);
        let done = async {
            let is_done = || {
                let groups = operator.groups().expect("the ring");
                groups.iter().any(|group| group.name == "stage-s" && group.lag == 0)
            };
            while !is_done() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            stop.stop();
            std::future::pending::<()>().await;
        };
        tokio::select! { result = stage.run(score) => result.expect("no error"), () = done => {} }
    });
}

fn set_up() -> Rig {
    let mut rig = Rig::new();
    (0..EVENTS).for_each(|number| rig.message(number % 3, number));
    rig
}

/// What the stage published: name, position of the event, data, and whether its identity is its own or the stage's.
fn published(namespace: &Namespace) -> Vec<String> {
    let ring = Ring::attach(namespace, "stage-s").expect("the stage's ring");
    let mut seen = Observed::default();
    ring.glance(0, Limits { records: 4096, bytes: 1 << 20 }, &mut seen).expect("whole");
    let lines = seen.entries().map(|entry| {
        let record = Record::parse(entry.payload).expect("a record");
        let origin = record.header().origin;
        let is_own = origin.ring == ring.id().0;
        assert!(!is_own || origin.position == entry.position);
        format!("{} {} {} {}", record.kind_name(), entry.source, record.data().to_json(), is_own)
    });
    lines.collect()
}

#[test]
fn the_child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (instance, last) = order.split_once(' ').expect("an order");
    mixcord_memory::__kill::SHARED.arm(last.parse().expect("a number"));
    run(instance);
}

#[test]
fn at_every_shared_store_of_the_rings() {
    let undisturbed = {
        let rig = set_up();
        run(&rig.instance);
        published(&rig.namespace)
    };
    assert_eq!(undisturbed.len() as u64, EVENTS / 4 * 5);
    let mut last = 0;
    loop {
        last += 1;
        let rig = set_up();
        let status = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_child"])
            .env(CHILD, format!("{} {last}", rig.instance))
            .stdout(std::process::Stdio::null())
            .status()
            .expect("a child");
        assert!(status.success() || status.signal() == Some(9), "{last}: {status}");
        run(&rig.instance);
        assert_eq!(published(&rig.namespace), undisturbed, "killed at {last}");
        if status.success() {
            break;
        }
    }
    assert!(last > 30, "only {last} points");
    eprintln!("{last} points");
}

//! The benchmark of a log between machines runs, and says what can be true. Over the programs that `cargo build --bins`
//! made, and a real nats-server; where there is none, it says so.

use std::path::PathBuf;

use mixcord_pipeline::clustered::{Bench, Copied, Extent, Keeping, Run, Worker, state_from};
use mixcord_pipeline::contender::{Place, nats};

const EXTENT: Extent = Extent { events: 1_000, guilds: 8 };

/// `None`, with a line, where there is no server.
fn server(place: &Place) -> Option<PathBuf> {
    // Where a stage of its own runs these tests.
    let is_left_out = std::env::var_os("MIXCORD_TEST_WITHOUT_NATS").is_some();
    let server = nats::server(place).filter(|_| !is_left_out);
    if server.is_none() {
        eprintln!("skipped: no nats-server 2.11 or newer; `scripts/test.sh cluster` brings one");
    }
    server
}

#[test]
fn what_a_log_between_two_machines_costs_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let Some(server) = server(&place) else { return };
    let mut bench = Bench::new(&place, &server, EXTENT).expect("events");
    let sane = |run: Run| {
        let parts = [run.send, run.broker, run.receive];
        assert!(parts.iter().all(|&cpu| cpu > 0.0) && run.rate > 0.0, "{run:?}");
        assert!((run.in_all() - parts.iter().sum::<f64>()).abs() < 1e-9, "{run:?}");
    };
    for keeping in [
        Keeping { servers: 1, sync_always: false },
        Keeping { servers: 1, sync_always: true },
        Keeping { servers: 3, sync_always: false },
    ] {
        // Some of them again.
        sane(bench.flood(keeping, 3_000).expect("measured"));
    }

    let run = bench.paced(1_000, 2_000).expect("measured");
    sane(run.log);
    assert!(run.log.rate < 2_100.0, "each when it is due: {run:?}");
    for Worker { cache, consumer, latencies } in [&run.local, &run.remote] {
        assert!(*cache > 0.0 && *consumer > 0.0, "{run:?}");
        // Some of the events are messages, which have their times in them.
        for times in [latencies.from_write, latencies.from_due] {
            assert!(100 < times.count && times.count < 1_000, "{run:?}");
            assert!(0.0 < times.p50 && times.p50 <= times.p99 && times.p99 <= times.max, "{run:?}");
        }
    }
    let [local, remote] = [&run.local, &run.remote].map(|worker| worker.latencies.from_write);
    assert!(local.count == remote.count && local.p50 < remote.p50, "{run:?}");
}

#[test]
fn how_long_a_machine_from_nothing_takes_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let Some(server) = server(&place) else { return };
    let copied @ Copied { fetched_s, loaded_s, bytes, state_bytes } =
        state_from(&place, &server, 30).expect("measured");
    assert!(fetched_s > 0.0 && loaded_s > 0.0, "{copied:?}");
    assert!(0 < bytes && bytes < state_bytes, "{copied:?}");
}

/// Where cargo puts the programs of this workspace.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(2).expect("tests live in target/<profile>/deps").to_owned()
}

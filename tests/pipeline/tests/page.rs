//! What the page says of runs whose figures are known.

use mixcord_pipeline::case::{Axis, Case};
use mixcord_pipeline::cases::Extent;
use mixcord_pipeline::contender::Contender;
use mixcord_pipeline::measure::{Part, Run};
use mixcord_pipeline::page::{Results, Setting, goals, medians};
use mixcord_pipeline::probe::{Latencies, Percentiles};
use mixcord_pipeline::process::Footprint;

/// A run whose processes use so much each.
fn run(case: &Case, contender: &Contender, round: usize, cpu: &[(&str, f64)]) -> Run {
    let processes = cpu.iter().map(|&(name, cpu_s_per_million)| Part {
        name: name.to_owned(),
        cpu_s_per_million,
        sleeps_per_event: 0.5,
        preemptions_per_event: 0.25,
        memory: Footprint { resident: 3_000_000, private: 2_000_000 },
    });
    let times = Percentiles { count: 9, p50: 1e5, p99: 2e5, p999: 3e5, max: 4e5 };
    Run {
        axis: case.axis,
        case: case.name(),
        load: case.load,
        contender: contender.name(),
        is_ours: contender.is_ours(),
        round,
        events: case.load.events,
        rate_wanted: case.rate,
        rate: 1_000.0,
        processes: processes.collect(),
        shared_bytes: 5_000_000,
        shared_bytes_before: 0,
        latencies: (case.rate > 0).then_some(Latencies { from_write: times, from_due: times }),
        load_average: 1.5,
    }
}

/// Of every case of an axis: ours uses 1, 2, 3 round by round, in its cache alone; everybody else 4.
fn runs(axis: Axis) -> Vec<Run> {
    let mut runs = Vec::new();
    for (round, cpu) in [(0, 3.0), (1, 1.0), (2, 2.0)] {
        for case in Extent::Usual.cases(axis) {
            for contender in &case.contenders {
                let parts: &[_] = match contender.is_ours() {
                    true => &[("gateway", 0.0), ("cache", cpu), ("consumer", 0.0)],
                    false => &[("twilight", 4.0)],
                };
                runs.push(run(&case, contender, round, parts));
            }
        }
    }
    runs
}

#[test]
fn medians_are_compared_with_twilight_of_the_same_load() {
    let runs = [Axis::Flood, Axis::Shards].map(runs).concat();
    let medians = medians(&runs);
    for row in medians.iter().filter(|row| row.is_ours) {
        assert_eq!((row.cpu_s_per_million, row.range, row.rounds), (2.0, (1.0, 3.0), 3));
        let peer = row.yardstick(&medians);
        // ETF too, though twilight reads JSON; floods of many shards have nobody beside them.
        let has_peer = row.axis == Axis::Flood || row.rate_wanted > 0;
        assert_eq!(peer.is_some(), has_peer, "{}", row.case);
        if let Some(peer) = peer {
            assert_eq!(peer.contender, "twilight, typed + cache");
            assert_eq!((peer.load.blend, peer.axis), (row.load.blend, row.axis));
        }
    }
}

#[test]
fn without_messages_is_compared_with_without_messages() {
    let medians = medians(&runs(Axis::Store));
    let spare = medians.iter().find(|row| row.is_ours && row.contender.contains("no messages"));
    let peer = spare.and_then(|row| row.yardstick(&medians)).expect("a peer");
    assert_eq!(peer.contender, "twilight, typed + cache, no messages");
}

#[test]
fn every_goal_is_judged_by_the_usual_cases() {
    let runs = Axis::ALL.map(runs).concat();
    let goals = goals(&medians(&runs));
    let figure = |what: &str| {
        let goal = goals.iter().find(|goal| goal.what == what).expect(what);
        (goal.figure, goal.is_met())
    };
    assert_eq!(figure("flood, messages, JSON: CPU × twilight"), (0.5, false));
    assert_eq!(figure("10,000/s, run: CPU × twilight"), (0.5, true));
    assert_eq!(figure("10,000/s, low-latency, next: p50, µs"), (100.0, false));
    assert_eq!(figure("50,000/s, run: p99, µs"), (200.0, true));
    assert_eq!(figure("64 groups: CPU of the cache × 1 group"), (1.0, true));
    assert_eq!(figure("each further group: CPU-s/M"), (0.0, true));
    assert_eq!(figure("10,000/s, 256 shards: CPU × 1 shard"), (1.0, true));
    assert_eq!(figure("private memory of the gateway, each shard of 64, MB"), (0.0, true));
    // A goal whose rows are there no more would be left out in silence.
    assert_eq!(goals.len(), 20);
}

#[test]
fn page_and_rows_say_the_same() {
    let results = Results { runs: runs(Axis::Rate), ..Results::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = results.write(folder.path(), &Setting::default()).expect("written");
    let page = std::fs::read_to_string(path).expect("a page");
    let line =
        "| 10000 a second, messages, json | mixcord, run | **2.00** | 1.00…3.00 (3) | 0.50 |";
    assert!(page.contains(line), "{page}");
    assert!(
        page.contains("load average meanwhile, with the benchmark's own: 1.5 to 1.5"),
        "{page}"
    );
    assert!(page.contains("| 10,000/s, run: p50, µs | 100 | ≤ 1000 | met |"), "{page}");
    assert!(folder.path().join("pipeline-rate-latency.svg").is_file());

    let rows = results.rows();
    let case = "rate: 10000 a second, messages, json: mixcord, run";
    let row = |metric: &str| {
        rows.iter().find(|row| row.case == case && row.metric == metric).expect("a row")
    };
    assert_eq!((row("cpu").ours, &*row("cpu").ours_range), (2.0, &[1.0, 3.0][..]));
    assert_eq!(row("cpu").peers["twilight, typed + cache"], 4.0);
    assert_eq!((row("p99").ours, row("p99").peers.len()), (200.0, 1));
    let judged = rows.iter().filter(|row| row.met.is_some()).count();
    assert_eq!(judged, 9);
}

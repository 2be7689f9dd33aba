//! The benchmark of the pipeline runs, and says what can be true. Over the programs that `cargo build --bins` made.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mixcord_pipeline::case::Axis;
use mixcord_pipeline::cases::Extent;
use mixcord_pipeline::contender::Place;
use mixcord_pipeline::page::Setting;
use mixcord_pipeline::plan::Plan;
use mixcord_pipeline::proxied::{Bench, Extent as ProxyExtent, Run};
use mixcord_pipeline::resharded::{self, Change};

#[test]
fn every_part_runs_and_every_row_is_sane() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let results = Plan::whole(Extent::Quick).run(&place, |_| {}).expect("measured");

    let cases = Axis::ALL.map(|axis| Extent::Quick.cases(axis)).concat();
    let wanted: BTreeSet<(Axis, String, String)> = cases
        .iter()
        .flat_map(|case| case.contenders.iter().map(|who| (case.axis, case.name(), who.name())))
        .collect();
    let measured: BTreeSet<(Axis, String, String)> = results
        .runs
        .iter()
        .map(|run| (run.axis, run.case.clone(), run.contender.clone()))
        .collect();
    assert_eq!(measured, wanted);
    for run in &results.runs {
        let roles: Vec<_> = run.processes.iter().map(|part| &*part.name).collect();
        assert_eq!(roles, ["gateway", "cache", "consumer"], "{run}");
        for part in &run.processes {
            assert!(part.cpu_s_per_million > 0.0 && part.memory.private > 0, "{run}");
        }
        assert!(run.is_ours && run.rate > 0.0 && run.shared_bytes > 0, "{run}");
        let Some(latencies) = &run.latencies else {
            assert_eq!(run.rate_wanted, 0, "{run}");
            continue;
        };
        for times in [latencies.from_write, latencies.from_due] {
            assert_eq!(times.count, run.events, "{run}");
            assert!(0.0 < times.p50 && times.p50 <= times.p99 && times.p99 <= times.max, "{run}");
        }
        // What is due is written after that.
        assert!(latencies.from_due.max >= latencies.from_write.p50, "{run}");
    }
    let killed: Vec<_> = results.recoveries.iter().map(|r| &*r.victim).collect();
    assert_eq!(killed, ["cache", "gateway", "consumer"]);
    assert!(results.recoveries.iter().all(|r| r.pause_ms > 0.0), "{:?}", results.recoveries);
    assert!(results.left_out.is_empty(), "{:?}", results.left_out);

    let page = results.write(folder.path(), &Setting::default()).expect("written");
    let page = fs::read_to_string(page).expect("a page");
    for axis in Axis::ALL {
        assert!(page.contains(&format!("## {}\n", axis.title())), "{}", axis.title());
    }
    for (_, case, who) in &wanted {
        assert!(page.contains(case) && page.contains(&format!("| {who} |")), "{case}, {who}");
    }
    for chart in page.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')')) {
        let svg = fs::read_to_string(folder.path().join(chart)).expect("a chart");
        assert!(svg.starts_with("<svg") && svg.contains("mixcord"), "{chart}");
    }
    let rows = results.rows();
    for (axis, case, who) in &wanted {
        let case = format!("{}: {case}: {who}", axis.name());
        assert!(rows.iter().any(|row| row.case == case && row.metric == "cpu"), "{case}");
    }
}

#[test]
fn what_a_proxy_costs_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let extent = ProxyExtent { events: 600, guilds: 4 };
    let mut bench = Bench::new(&place, extent).expect("a source");
    let run = bench.run(3, 2_000).expect("measured");
    let Run { through_proxy, direct, .. } = &run;
    // Some of the events are messages, which have their times in them.
    assert!(direct.from_write.count > 0 && direct.from_write.count < extent.events, "{run:?}");
    assert_eq!(through_proxy.from_write.count, 3 * direct.from_write.count, "{run:?}");
    for times in [through_proxy.from_write, direct.from_write] {
        assert!(0.0 < times.p50 && times.p50 <= times.p99 && times.p99 <= times.max, "{run:?}");
    }
    let cpu = [
        run.proxy_cpu_s_per_million,
        run.gateway_cpu_s_per_million,
        run.cache_cpu_s_per_million,
        run.consumer_cpu_s_per_million,
    ];
    assert!(cpu.iter().all(|&cpu| cpu > 0.0) && run.private_bytes > 0, "{run:?}");
    let memory = bench.memory(16).expect("measured");
    assert!(memory.private_bytes > memory.private_bytes_before, "{memory:?}");
    assert!(memory.private_bytes_each() < 4e6, "{memory:?}");
    assert!(memory.shared_bytes_each() > 0.0, "{memory:?}");
}

#[test]
fn what_a_change_of_the_shard_count_costs_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let calm = Duration::from_secs(1);
    let window = Some(Duration::from_secs(10));
    let change = Change { from: 1, to: 2, guilds: 4, rate: 300, calm, window };
    let run = resharded::run(&place, change).expect("measured");
    assert!(
        0.0 < run.sessions_s && run.sessions_s <= run.cut_s && run.cut_s <= run.whole_s,
        "{run:?}"
    );
    for cost in [run.gateway, run.cache, run.consumer] {
        assert!(cost.before > 0.0 && cost.during > 0.0, "{run:?}");
        assert!(cost.private_bytes_most >= cost.private_bytes_before, "{run:?}");
        assert!(cost.private_bytes_before > 0, "{run:?}");
    }
    assert!(run.pause_before_ms > 0.0 && run.pause_ms > 0.0, "{run:?}");
}

#[test]
fn what_there_is_no_time_for_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::new(&programs(), folder.path());
    let plan = Plan { limit: Duration::ZERO, ..Plan::whole(Extent::Usual) };
    let results = plan.run(&place, |run| panic!("{run}")).expect("nothing to do");
    let named = Axis::ALL.map(|axis| format!("axis {}: no time was left", axis.name()));
    assert_eq!(results.left_out, named);
}

/// Where cargo puts the programs of this workspace.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(2).expect("tests live in target/<profile>/deps").to_owned()
}

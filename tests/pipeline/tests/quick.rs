//! The benchmark of the pipeline runs, and says what can be true. Over the programs that `cargo build --bins` made.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use mixcord_pipeline::case::Extent;
use mixcord_pipeline::contender::Place;
use mixcord_pipeline::plan::Plan;

#[test]
fn every_part_runs_and_every_row_is_sane() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place { programs: programs(), folder: folder.path().to_owned() };
    let plan = Plan { extent: Extent::Quick, only: None, rounds: None };
    let results = plan.run(&place, |_| {}).expect("measured");

    let wanted: BTreeSet<(String, String)> = Extent::Quick
        .cases()
        .iter()
        .flat_map(|case| case.contenders.iter().map(|who| (case.name(), who.name())))
        .collect();
    let measured: BTreeSet<(String, String)> =
        results.runs.iter().map(|run| (run.case.clone(), run.contender.clone())).collect();
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

    let page = results.write(folder.path(), "a machine").expect("written");
    let page = fs::read_to_string(page).expect("a page");
    for case in Extent::Quick.cases() {
        assert!(page.contains(&format!("## {}\n", case.name())), "{}", case.name());
    }
    for chart in page.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')')) {
        let svg = fs::read_to_string(folder.path().join(chart)).expect("a chart");
        assert!(svg.starts_with("<svg") && svg.contains("mixcord"), "{chart}");
    }
}

/// Where cargo puts the programs of this workspace.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(2).expect("tests live in target/<profile>/deps").to_owned()
}

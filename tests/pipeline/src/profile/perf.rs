//! CPU time by function, as perf samples it. Counters of the processor are not needed, which virtual machines lack.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::matter::Matter;
use super::{Costs, find};
use crate::case::Case;
use crate::contender::{Contender, Place};
use crate::measure::{self, Source};
use crate::process::Process;

/// Odd, so that it does not beat with a tick.
const SAMPLES_PER_S: &str = "1999";

pub(super) fn is_here() -> bool {
    find("perf").is_some()
}

/// Microseconds an event of each process, from one run.
pub(super) fn times(place: &Place, case: &Case, contender: &Contender) -> Result<Vec<Costs>> {
    let mut source = Source::start(place, &case.load)?;
    let mut recorders = Vec::new();
    let run = measure::run_watched(place, &mut source, case, contender, |process| {
        recorders.push(record(place, process)?);
        Ok(())
    })?;
    let mut all = Vec::new();
    for (part, mut recorder) in run.processes.iter().zip(recorders) {
        let pid = Pid::from_raw(i32::try_from(recorder.child.id())?);
        // It ends with what it watches, which has ended.
        let _ = kill(pid, Signal::SIGINT);
        recorder.child.wait()?;
        let mut costs = shares(&recorder.out)?;
        let sum: f64 = costs.values().sum();
        ensure!(sum > 0.0, "perf has no sample of {}", part.name);
        costs.values_mut().for_each(|share| *share *= part.cpu_s_per_million / sum);
        all.push(costs);
    }
    Ok(all)
}

struct Recorder {
    child: std::process::Child,
    out: std::path::PathBuf,
}

fn record(place: &Place, process: &Process) -> Result<Recorder> {
    let out = place.folder.join(format!("{}.perf", process.name()));
    let child = Command::new("perf")
        .args(["record", "--quiet", "--event", "cpu-clock", "--freq", SAMPLES_PER_S])
        .arg("--output")
        .arg(&out)
        .args(["--pid", &process.id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting perf")?;
    Ok(Recorder { child, out })
}

/// Of all samples, by matter.
fn shares(out: &Path) -> Result<Costs> {
    let output = Command::new("perf")
        .args(["report", "--no-children", "--sort", "sym", "--stdio", "--input"])
        .arg(out)
        .stdin(Stdio::null())
        .output()
        .context("perf report")?;
    Ok(parsed(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines are `  12.34%  [k] name`.
fn parsed(text: &str) -> Costs {
    let mut costs = Costs::new();
    for line in text.lines() {
        let Some((share, rest)) = line.trim().split_once("%") else { continue };
        let (Ok(share), Some((kind, name))) = (share.parse::<f64>(), rest.trim().split_once("] "))
        else {
            continue;
        };
        *costs.entry(Matter::of(name, kind == "[k")).or_default() += share;
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "# comment, 10% of it\n\n    60.00%  [k] clear_page_erms\n     30.50%  [.] mixcord_event::a\n  9.5%  [.] mixcord_event::b\n";
        let costs = parsed(text);
        assert_eq!(costs.get(&Matter::KernelPages), Some(&60.0));
        assert_eq!(costs.get(&Matter::Record), Some(&40.0));
        assert_eq!(costs.len(), 2);
    }
}

//! `report.json`, which all parts of the benchmark write into: what was measured, for programs that compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Everything that was measured on one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What, part by part.
    pub rows: Vec<Row>,
}

/// A machine, and what was measured on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory, in KiB.
    pub memory_kib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The compiler's version.
    #[serde(default)]
    pub rustc: String,
    /// The commit, as far as git tells; `+` behind it: with changes.
    #[serde(default)]
    pub commit: String,
}

/// One figure of ours beside the same figure of the peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The part of the benchmark.
    pub part: String,
    /// What was done.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// Median over the rounds.
    pub ours: f64,
    /// Minimum and maximum over the rounds; empty where the figure is exact.
    pub ours_range: Vec<f64>,
    /// Medians over the same rounds.
    pub peers: BTreeMap<String, f64>,
    /// What the machine allows at most (a structural skip, a memcpy), where there is such a thing.
    pub limit: Option<f64>,
    /// The bar, in words; `None` where nobody set one.
    pub goal: Option<String>,
    /// Whether it was reached.
    pub met: Option<bool>,
}

impl Report {
    /// Nothing yet, on this machine.
    #[must_use]
    pub fn new() -> Self {
        Self { machine: Machine::read(), rows: Vec::new() }
    }

    /// Writes the rows; of what the file has, parts that have no rows here stay, if they are of the same machine.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let earlier =
            fs::read(path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let earlier = earlier.filter(|earlier| earlier.machine == self.machine);
        let is_kept = |row: &Row| self.rows.iter().all(|new| new.part != row.part);
        let mut all = self.clone();
        all.rows = earlier.into_iter().flat_map(|earlier| earlier.rows).filter(is_kept).collect();
        all.rows.extend(self.rows.iter().cloned());
        let text = serde_json::to_string_pretty(&all)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn read() -> Self {
        let field = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let is_changed =
            !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let commit = said("git", &["rev-parse", "--short", "HEAD"]);
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kib: memory.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0),
            kernel: format!("Linux {}", kernel.trim()),
            rustc: said("rustc", &["--version"]),
            commit: if is_changed { commit + "+" } else { commit },
        }
    }
}

/// The first line of what a program prints; nothing if it is not there.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(part: &str, ours: f64) -> Report {
        let row = Row {
            part: part.to_owned(),
            case: "case".to_owned(),
            metric: "cpu".to_owned(),
            unit: "s".to_owned(),
            ours,
            ours_range: vec![],
            peers: BTreeMap::new(),
            limit: None,
            goal: None,
            met: None,
        };
        Report { machine: Machine::default(), rows: vec![row] }
    }

    #[test]
    fn a_part_replaces_its_own_rows_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/report.json");
        let read = || -> Vec<(String, f64)> {
            let text = fs::read(&path).expect("a report");
            let report: Report = serde_json::from_slice(&text).expect("JSON");
            report.rows.into_iter().map(|row| (row.part, row.ours)).collect()
        };
        for (part, ours) in [("ring", 1.0), ("pipeline", 2.0), ("pipeline", 3.0)] {
            report(part, ours).write(&path).expect("written");
        }
        assert_eq!(read(), [("ring".to_owned(), 1.0), ("pipeline".to_owned(), 3.0)]);
        let mut elsewhere = report("event", 4.0);
        elsewhere.machine.commit = "another".to_owned();
        elsewhere.write(&path).expect("written");
        assert_eq!(read(), [("event".to_owned(), 4.0)]);
    }
}

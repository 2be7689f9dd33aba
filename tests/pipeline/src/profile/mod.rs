//! Where the time goes: instructions an event by callgrind, which are the same on every machine, and microseconds an event
//! by perf, which have the kernel in them. Both by process and by what the functions are for.

mod callgrind;
mod matter;
mod perf;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::matter::Matter;
use crate::case::{Axis, Case};
use crate::contender::{Contender, Mixcord, Place, Take, Tool};
use crate::measure::{self, Source};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// What each matter costs an event: instructions, or microseconds.
type Costs = BTreeMap<Matter, f64>;

const PROCESSES: [&str; 3] = ["gateway", "cache", "consumer"];

/// Writes the costs of all processes under a flood of messages and of the mix into a file, table by table. A tool that is
/// not installed is left out.
///
/// # Errors
/// A run fails; the file cannot be written.
pub fn write(place: &Place, page: &Path, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut text = String::from("# Where the time goes\n");
    for (blend, encoding, name) in [
        (Blend::Messages, Encoding::Etf, "MESSAGE_CREATE as ETF"),
        (Blend::Messages, Encoding::Json, "MESSAGE_CREATE as JSON"),
        (Blend::Everything, Encoding::Etf, "the mix as ETF"),
    ] {
        let load = |events, guilds| Load {
            blend,
            events,
            guilds,
            shards: 1,
            encoding,
            compression: Compression::None,
        };
        if callgrind::is_here() {
            tell(&format!("{name}: instructions"));
            let (few, many) = (load(2_000, 8), load(8_000, 8));
            let mut columns = Vec::new();
            for process in PROCESSES {
                columns.push(instructions(place, process, few, many)?);
            }
            table(&mut text, &format!("{name}: instructions an event (callgrind)"), 0, &columns);
        }
        if perf::is_here() {
            tell(&format!("{name}: time"));
            let columns = perf::times(place, &case(load(300_000, 1_000)), &contender())?;
            table(&mut text, &format!("{name}: microseconds of CPU an event (perf)"), 2, &columns);
        }
        fs::write(page, &text).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(())
}

fn case(load: Load) -> Case {
    Case::flood(Axis::Flood, load, vec![contender()])
}

/// A loop that acknowledges: nothing but what an event needs.
fn contender() -> Contender {
    Contender::Mixcord(Mixcord { take: Take::Next, ..Mixcord::default() })
}

/// Of one process: it alone is slow, so it never waits. What is not of events is in both runs.
fn instructions(place: &Place, process: &'static str, few: Load, many: Load) -> Result<Costs> {
    let counted = |load: Load| -> Result<Costs> {
        let out = place.folder.join(format!("{process}-{}.callgrind", load.events));
        let tool = Tool { process, prefix: callgrind::prefix(&out) };
        let place = Place { tool: Some(tool), ..place.clone() };
        let mut source = Source::start(&place, &load)?;
        measure::run(&place, &mut source, &case(load), &contender(), 0)?;
        callgrind::costs(&out)
    };
    let (less, mut costs) = (counted(few)?, counted(many)?);
    for (matter, cost) in &mut costs {
        *cost -= less.get(matter).copied().unwrap_or(0.0);
        *cost /= (many.events - few.events) as f64;
    }
    Ok(costs)
}

fn table(text: &mut String, title: &str, digits: usize, columns: &[Costs]) {
    let _ = write!(text, "\n## {title}\n\n| | {} |\n|---|---|---|---|\n", PROCESSES.join(" | "));
    let mut line = |name: &str, cost: &dyn Fn(&Costs) -> f64| {
        let costs: Vec<_> =
            columns.iter().map(|column| format!("{:.digits$}", cost(column))).collect();
        let _ = writeln!(text, "| {name} | {} |", costs.join(" | "));
    };
    line("**all**", &|column| column.values().sum());
    for matter in Matter::ALL {
        let cost = |column: &Costs| column.get(&matter).copied().unwrap_or(0.0);
        let least = columns.iter().map(cost).fold(0.0, f64::max);
        if least * 10_f64.powi(digits as i32) >= 1.0 {
            line(matter.name(), &cost);
        }
    }
}

/// Where a program is, if it is.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

//! What a process takes, as the kernel says.

use std::fs;

use serde::Serialize;

/// The processes of one kind, together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Usage {
    /// `gateway`, `cache`, `proxy`, `bridge` or `monitor`.
    pub process: &'static str,
    /// How many there are.
    pub count: u32,
    /// Processor time since they started, in seconds.
    pub cpu_seconds: f64,
    /// Memory that is in use, in bytes: shared segments that they touched are counted with each.
    pub memory_bytes: u64,
}

/// Our own programs begin so; a number that another program has by now is none of ours.
const OURS: &str = "mixcord";

/// What these processes take; `None` where none of them is ours and lives. Numbers of another pid namespace
/// find nobody, or are found out by the name.
pub(crate) fn usage(process: &'static str, pids: impl IntoIterator<Item = u32>) -> Option<Usage> {
    let mut pids: Vec<u32> = pids.into_iter().collect();
    pids.sort_unstable();
    pids.dedup();
    let mut all = Usage { process, count: 0, cpu_seconds: 0.0, memory_bytes: 0 };
    for (cpu_seconds, memory_bytes) in pids.into_iter().filter_map(one) {
        all.count += 1;
        all.cpu_seconds += cpu_seconds;
        all.memory_bytes += memory_bytes;
    }
    (all.count > 0).then_some(all)
}

fn one(pid: u32) -> Option<(f64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(&stat, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
}

/// Reads `/proc/PID/stat`, whose second field is the name in brackets.
fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Option<(f64, u64)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(14)?.checked_add(number(15)?)?;
    let bytes = number(24)?.checked_mul(page_bytes)?;
    name.starts_with(OURS).then(|| (ticks as f64 / ticks_per_second.max(1) as f64, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_are_read_of_our_own_programs_alone() {
        let stat = |name: &str| {
            format!("7 ({name}) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 4 0 99 1000 25 1 1")
        };
        assert_eq!(parse(&stat("mixcord-gateway"), 100, 4096), Some((2.0, 25 * 4096)));
        assert_eq!(parse(&stat("mixcord (odd) name"), 100, 4096), Some((2.0, 25 * 4096)));
        assert_eq!(parse(&stat("postgres"), 100, 4096), None);
        assert_eq!(parse("", 100, 4096), None);
        assert_eq!(usage("gateway", [u32::MAX]), None);
    }
}

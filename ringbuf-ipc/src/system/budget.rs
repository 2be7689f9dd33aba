//! Is there memory for a segment? Asked before a page is touched: a tmpfs that is full kills by
//! SIGBUS, one that is larger than the memory behind it by the OOM killer.

use std::fs;
use std::path::Path;

use crate::error::{CreateError, Shortage};

/// Memory left alone, so that the segment is not the last straw.
const MARGIN_BYTES: u64 = 16 << 20;

/// Checks the file system's space, the machine's memory and the control group's limit.
pub(crate) fn check(directory: &Path, needed: u64) -> Result<(), CreateError> {
    let stat = nix::sys::statvfs::statvfs(directory).map_err(std::io::Error::from)?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    judge(Shortage::Directory, needed, free)?;
    if let Some(free) = available_memory() {
        judge(Shortage::Memory, needed, free.saturating_sub(MARGIN_BYTES))?;
    }
    if let Some(free) = control_group_room() {
        judge(Shortage::ControlGroup, needed, free)?;
    }
    Ok(())
}

fn judge(shortage: Shortage, needed: u64, free: u64) -> Result<(), CreateError> {
    if needed <= free { Ok(()) } else { Err(CreateError::NoSpace { shortage, needed, free }) }
}

fn available_memory() -> Option<u64> {
    parse_available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Room under the tightest `memory.max` of this process's control groups (version 2). What the page
/// cache holds of ordinary files could be given back, so it counts as free.
fn control_group_room() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let mut path = root.join(own.trim_start_matches('/'));
    let mut room = None;
    while path.starts_with(root) {
        if let Some(here) = room_of(&path) {
            room = Some(room.map_or(here, |least: u64| least.min(here)));
        }
        if !path.pop() {
            break;
        }
    }
    room
}

fn room_of(path: &Path) -> Option<u64> {
    let number = |file| fs::read_to_string(path.join(file)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    let cache = fs::read_to_string(path.join("memory.stat"))
        .ok()
        .and_then(|stat| {
            let field = |name| {
                let line = stat.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().parse::<u64>().ok()
            };
            Some(field("file ")?.saturating_sub(field("shmem ").unwrap_or(0)))
        })
        .unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_available_memory_is_read_in_bytes() {
        let text = "MemTotal: 10 kB\nMemAvailable:   24 kB\n";
        assert_eq!(parse_available(text), Some(24 * 1024));
        assert_eq!(parse_available("MemTotal: 10 kB\n"), None);
    }

    #[test]
    fn what_no_machine_has_is_refused_with_numbers() {
        let error = check(Path::new("/dev/shm"), u64::MAX).unwrap_err();
        let CreateError::NoSpace { needed, free, .. } = error else { panic!("{error}") };
        assert_eq!(needed, u64::MAX);
        assert!(free < needed);
    }
}

//! What this machine has, and what this process takes.

use std::fs;

/// Bytes that can be had without swapping.
pub(super) fn available_bytes() -> u64 {
    kib("/proc/meminfo", "MemAvailable:") << 10
}

/// Private memory of this process.
pub(super) fn resident_bytes() -> u64 {
    kib("/proc/self/status", "RssAnon:") << 10
}

fn kib(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

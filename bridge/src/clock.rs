//! The clock of leases, which goes on while the machine is suspended: whoever wakes knows that its time is over.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Milliseconds since the system was started, those among them in which it slept.
pub(crate) fn now_ms() -> u64 {
    // It is there since Linux 2.6.39.
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's own count of the time since the start has the time asleep in it; that of `Instant` does not.
    #[test]
    fn time_asleep_counts() {
        let uptime_ms = || {
            let text = std::fs::read_to_string("/proc/uptime").unwrap();
            let seconds: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
            (seconds * 1e3) as u64
        };
        // It tells hundredths.
        let (before, now, after) = (uptime_ms(), now_ms(), uptime_ms());
        assert!(before <= now + 10 && now <= after + 20, "{before} {now} {after}");
    }
}

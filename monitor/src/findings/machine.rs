//! What the machine's facts mean for the instance.

use mixcord::operator::Overview;

use super::{Finding, Machine};

/// Below this share of /dev/shm there is soon no room for anything.
const FREE_SHARE: f64 = 0.1;
/// What an instance takes that is started with the usual sizes and few shards.
const SHM_BYTES_MIN: u64 = 128 << 20;
/// Files that a gateway has open beside those of its shards.
const FILES_BESIDE: u64 = 128;
/// Files of a shard: its socket, its ring, its share of doorbells.
const FILES_OF_SHARD: u64 = 4;
const MIB: u64 = 1 << 20;

pub(super) fn judge(overview: &Overview, machine: &Machine) -> Vec<Finding> {
    let mut found = Vec::new();
    shm(machine, &mut found);
    permissions(overview, machine, &mut found);
    limits(overview, machine, &mut found);
    kernel(machine, &mut found);
    for other in machine.others.iter().filter(|other| !other.in_use) {
        let (name, mib) = (&other.name, other.bytes / MIB);
        let text = format!("nobody runs instance \"{name}\", which takes {mib} MiB");
        found.push(Finding::warning(
            "instance-unused",
            text,
            format!("mixcord rm --instance {name}"),
        ));
    }
    found
}

fn shm(machine: &Machine, found: &mut Vec<Finding>) {
    let Some(shm) = &machine.shm else {
        let command = "mount -t tmpfs -o mode=1777,size=2G tmpfs /dev/shm";
        return found.push(Finding::broken("shm-missing", "there is no /dev/shm", command));
    };
    let (size, free) = (shm.bytes / MIB, shm.free_bytes / MIB);
    let remount = format!("mount -o remount,size={}M /dev/shm", (size * 2).max(2_048));
    if !shm.is_tmpfs {
        let text = "/dev/shm lies on a disk: rings would wait for it";
        let command = "mount -t tmpfs -o mode=1777,size=2G tmpfs /dev/shm";
        found.push(Finding::broken("shm-on-disk", text, command));
    } else if shm.bytes < SHM_BYTES_MIN {
        let text = format!(
            "/dev/shm has {size} MiB, and an output ring alone takes 69 (in a container: --shm-size 2g)"
        );
        found.push(Finding::warning("shm-small", text, remount));
    } else if (shm.free_bytes as f64) < shm.bytes as f64 * FREE_SHARE {
        let ours: u64 = machine.segments.iter().map(|segment| segment.bytes).sum();
        let others: u64 = machine.others.iter().map(|other| other.bytes).sum();
        let text = format!(
            "/dev/shm is nearly full: {free} of {size} MiB are free; this instance takes {}, others {}",
            ours / MIB,
            others / MIB
        );
        found.push(Finding::warning("shm-full", text, remount));
    }
}

fn permissions(overview: &Overview, machine: &Machine, found: &mut Vec<Finding>) {
    for segment in &machine.segments {
        let name = &segment.name;
        if segment.uid != machine.uid {
            let text =
                format!("/dev/shm/{name} belongs to user {}, not to {}", segment.uid, machine.uid);
            let command = format!(
                "mixcord doctor --instance {}  # as user {}",
                overview.instance, segment.uid
            );
            found.push(Finding::broken("segment-anothers", text, command));
        } else if segment.mode & 0o077 != 0 {
            let text =
                format!("/dev/shm/{name} is open to other users (mode {:03o})", segment.mode);
            found.push(Finding::broken("segment-open", text, format!("chmod go= /dev/shm/{name}")));
        }
    }
    if machine.loses_segments_at_logout {
        let text = "rings are removed when this user logs out (RemoveIPC of systemd-logind)";
        found.push(Finding::warning("removed-at-logout", text, "loginctl enable-linger"));
    }
}

fn limits(overview: &Overview, machine: &Machine, found: &mut Vec<Finding>) {
    let needed = FILES_BESIDE + FILES_OF_SHARD * overview.shards().count() as u64;
    if machine.files_max < needed {
        let text = format!(
            "a process may have {} files open, and {needed} are needed for this many shards",
            machine.files_max
        );
        found.push(Finding::warning(
            "files-limit",
            text,
            format!("ulimit -n {}", needed.next_power_of_two()),
        ));
    }
    let largest = machine.segments.iter().map(|segment| segment.bytes).max().unwrap_or(0);
    let largest = largest.max(SHM_BYTES_MIN);
    if machine.file_bytes_max < largest {
        let text = format!(
            "a file may have {} MiB at most, and a ring is one",
            machine.file_bytes_max / MIB
        );
        found.push(Finding::broken("file-size-limit", text, "ulimit -f unlimited"));
    }
}

fn kernel(machine: &Machine, found: &mut Vec<Finding>) {
    if !machine.membarrier {
        let text = "this kernel has no membarrier (or a sandbox forbids it): rings fence instead, which is slower";
        found.push(Finding::warning("no-membarrier", text, "uname -r  # 4.16 or newer has it"));
    }
    if machine.page_bytes > 4096 {
        let text = format!(
            "pages of {} bytes: a ring's own pages cannot be protected one by one",
            machine.page_bytes
        );
        found.push(Finding::warning(
            "large-pages",
            text,
            "getconf PAGE_SIZE  # 4096 is what is tried most",
        ));
    }
}

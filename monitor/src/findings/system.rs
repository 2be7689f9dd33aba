//! What there is to know of the machine: gathered here, judged elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use mixcord::operator::{self, Instance, instances};
use serde::Serialize;

/// Where segments are.
const SHM: &str = "/dev/shm";
/// The identifier of tmpfs in statfs(2).
const TMPFS: i64 = 0x0102_1994;

/// Facts about the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// /dev/shm; `None` where there is none.
    pub shm: Option<Shm>,
    /// How many files a process may have open.
    pub files_max: u64,
    /// How long a file may become, in bytes.
    pub file_bytes_max: u64,
    /// Does the kernel have the fence that rings are quick with?
    pub membarrier: bool,
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Our user.
    pub uid: u32,
    /// Does a login manager run that may remove our segments when we log out?
    pub loses_segments_at_logout: bool,
    /// Segments and other files of the instance.
    pub segments: Vec<Segment>,
    /// Other instances.
    pub others: Vec<Other>,
}

/// /dev/shm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shm {
    /// Is it in memory?
    pub is_tmpfs: bool,
    /// Its size in bytes.
    pub bytes: u64,
    /// What is free of it.
    pub free_bytes: u64,
}

/// A file of the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its name in /dev/shm.
    pub name: String,
    /// Whose it is.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// What it takes, in bytes.
    pub bytes: u64,
}

/// Another instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// What it takes, in bytes.
    pub bytes: u64,
    /// Does any process write a ring of it?
    pub in_use: bool,
}

pub(super) fn look(instance: &Instance) -> Result<Machine, operator::Error> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let length = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    let uid = nix::unistd::geteuid().as_raw();
    let mut others = Vec::new();
    for name in instances()?.into_iter().filter(|name| name != instance.name()) {
        let rings = Instance::open(&name).and_then(|other| other.survey());
        let in_use = rings.map_or(true, |(rings, _)| rings.iter().any(|ring| ring.producer_alive));
        let bytes = segments(&name).iter().map(|segment| segment.bytes).sum();
        others.push(Other { name, bytes, in_use });
    }
    Ok(Machine {
        shm: shm(),
        files_max: files.unwrap_or(u64::MAX),
        file_bytes_max: length.unwrap_or(u64::MAX),
        membarrier: has_membarrier(),
        page_bytes: rustix::param::page_size(),
        uid,
        loses_segments_at_logout: loses_segments_at_logout(uid),
        segments: segments(instance.name()),
        others,
    })
}

fn shm() -> Option<Shm> {
    let stat = nix::sys::statfs::statfs(SHM).ok()?;
    let block = u64::try_from(stat.block_size()).ok()?;
    Some(Shm {
        is_tmpfs: stat.filesystem_type().0 == TMPFS,
        bytes: stat.blocks().saturating_mul(block),
        free_bytes: stat.blocks_available().saturating_mul(block),
    })
}

fn has_membarrier() -> bool {
    rustix::thread::membarrier_query().contains(rustix::thread::MembarrierQuery::GLOBAL_EXPEDITED)
}

/// systemd-logind removes what a user who is no system user left in /dev/shm once he is logged out, unless
/// he lingers, or `RemoveIPC=no` says otherwise.
fn loses_segments_at_logout(uid: u32) -> bool {
    const SYSTEM_USERS_BELOW: u32 = 1_000;
    if uid < SYSTEM_USERS_BELOW || !Path::new("/run/systemd/seats").exists() {
        return false;
    }
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    let lingers =
        user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user.name).exists());
    let settings = fs::read_to_string("/etc/systemd/logind.conf").unwrap_or_default();
    let keeps = settings.lines().any(|line| line.trim() == "RemoveIPC=no");
    !lingers && !keeps
}

fn segments(instance: &str) -> Vec<Segment> {
    let prefix = format!("mixcord.{instance}.");
    let Ok(entries) = fs::read_dir(SHM) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let name =
                entry.file_name().into_string().ok().filter(|name| name.starts_with(&prefix))?;
            let metadata = entry.metadata().ok()?;
            let mut bytes = metadata.blocks() * 512;
            if metadata.is_dir() {
                bytes += fs::read_dir(entry.path())
                    .ok()?
                    .flatten()
                    .filter_map(|inner| Some(inner.metadata().ok()?.blocks() * 512))
                    .sum::<u64>();
            }
            // What a link may be followed to is judged there.
            let mode =
                if metadata.is_symlink() { 0o600 } else { metadata.permissions().mode() & 0o777 };
            Some(Segment { name, uid: metadata.uid(), mode, bytes })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

//! The files of a store, and the one that says who may read them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::OpenError;

/// LMDB's data.
pub const DATA_FILE: &str = "data.mdb";
/// LMDB's table of readers.
pub const LOCK_FILE: &str = "lock.mdb";
/// Held by the cache that writes the store.
pub const WRITER_FILE: &str = "writer.lock";
/// Written last when a store is made and removed first when it is unmade, so that a store with it
/// is whole.
pub const FORMAT_FILE: &str = "format";

/// Every file of a store, the one that says that it is whole first.
pub const FILES: [&str; 4] = [FORMAT_FILE, DATA_FILE, LOCK_FILE, WRITER_FILE];

const FORMAT: &str = "mixcord-state 3";

/// What the format file says: the layout, and the run of the system whose crash would lose what was
/// not synced.
#[must_use]
pub fn text() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{FORMAT}\n{}\n", boot.trim())
}

/// Tells one making of a store from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    inode: u64,
    made_ns: (i64, i64),
}

/// Whether the store in `dir` can be read: ours alone, of this version and this run of the system.
pub(crate) fn check(dir: &Path) -> Result<Seal, OpenError> {
    let at = || dir.to_owned();
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound { dir: at() },
        _ => OpenError::Io { dir: at(), source },
    };
    let folder = fs::metadata(dir).map_err(fail)?;
    if folder.uid() != nix::unistd::geteuid().as_raw() || folder.mode() & 0o077 != 0 {
        return Err(OpenError::NotOurs { dir: at() });
    }
    let path = dir.join(FORMAT_FILE);
    let found = fs::read_to_string(&path).map_err(fail)?;
    if found != text() {
        return Err(OpenError::Foreign { dir: at() });
    }
    let made = fs::metadata(&path).map_err(fail)?;
    Ok(Seal { inode: made.ino(), made_ns: (made.mtime(), made.mtime_nsec()) })
}

//! Files in which processes say how they are, locked while they live.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// How often a file is read that is being written.
const TRIES: u32 = 5;

/// What a file says.
pub(super) struct Read<T> {
    pub(super) figures: T,
    /// Which program wrote it.
    pub(super) writer: Option<String>,
    /// Whether that lives.
    pub(super) alive: bool,
}

/// Reads at most so many bytes; `None` of what is not this user's, or `decode` does not take for whole.
pub(super) fn read<T>(
    path: &Path,
    bytes_max: usize,
    decode: impl Fn(&[u8]) -> Option<(T, Option<String>)>,
) -> Option<Read<T>> {
    let no_link = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(no_link.bits()).open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.uid() != nix::unistd::geteuid().as_raw() {
        return None;
    }
    let (figures, writer) = (0..TRIES).find_map(|_| decode(&bytes_of(&file, bytes_max)?))?;
    let is_plain =
        |name: &String| name.len() <= 64 && name.bytes().all(|b| (b' '..=b'~').contains(&b));
    Some(Read { figures, writer: writer.filter(is_plain), alive: is_held(file) })
}

/// Whether its process has it. An error of another kind says nothing of that.
fn is_held(file: File) -> bool {
    let looked = Flock::lock(file, FlockArg::LockSharedNonblock);
    matches!(looked, Err((_, Errno::EWOULDBLOCK)))
}

fn bytes_of(file: &File, bytes_max: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; bytes_max];
    let read = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// How long ago that was, by microseconds since the Unix epoch.
pub(super) fn seconds_since(us: u64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() - us as f64 / 1e6
}

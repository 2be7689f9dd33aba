//! The store on disk or in shared memory: its directory, its space, its readers.
//!
//! The file's space is allocated before LMDB may touch it, because a full tmpfs under a writable
//! map is a SIGBUS; LMDB's map ends where the allocation ends, and both grow in steps.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mixcord_state::format::{
    self, DATA_FILE, FORMAT_FILE, LOCK_FILE, Standing, WRITER_FILE, WRITTEN_BY_FILE,
};
use mixcord_state::{Env, OpenError, PAGE_BYTES, StoreError, Table, meta};
use nix::fcntl::{Flock, FlockArg, posix_fallocate};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

/// The state a store was found in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// As the last cache left it.
    Kept,
    /// There was none.
    New,
    /// It could not be trusted: an older version wrote it, or the system was started anew since.
    Discarded,
}

/// The store cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// Another cache writes it.
    #[error("another mixcord-cache uses the state directory {}", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory belongs to somebody else, or others may enter it.
    #[error("the state directory {} must be a directory of this user with mode 0700", dir.display())]
    NotOurs {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer cache wrote it, and may yet come back.
    #[error(
        "the store in {} was written by {by}, which is newer than this mixcord-cache: it is kept as it is. \
         Run that version, or, to go back for good, remove the directory first: the state is lost with it",
        dir.display()
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Which program wrote it.
        by: String,
    },
    /// No room for the store's file.
    #[error(
        "the store in {} needs {needed} more bytes and {free} are free: free memory, or give \
         --state a directory on disk",
        dir.display()
    )]
    NoSpace {
        /// The directory.
        dir: PathBuf,
        /// Bytes to allocate.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// LMDB could not open it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// LMDB could not read or write it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Bytes allocated for a new store.
const FIRST_BYTES: u64 = 8 << 20;
/// It grows by half, but at least by this: every page of a grown map is met anew.
const STEP_BYTES: u64 = 8 << 20;

/// The store, open for writing.
#[derive(Debug)]
pub struct DiskStore {
    /// `None` only while it is rebuilt.
    env: Option<Env>,
    dir: PathBuf,
    bytes_max: u64,
    in_memory: bool,
    id: u64,
    _lock: Flock<File>,
}

impl DiskStore {
    /// Opens the store in `dir`, or makes one, which may take up to `bytes_max` bytes.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<(Self, Fate), DiskError> {
        make_private(dir)?;
        let path = dir.join(WRITER_FILE);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| DiskError::Io { path, source })?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| DiskError::Locked { dir: dir.to_owned() })?;
        let in_memory = statfs(dir).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC);
        let mut store =
            Self { env: None, dir: dir.to_owned(), bytes_max, in_memory, id: 0, _lock: lock };
        let fate = match format::standing(dir) {
            Ok(Standing::Readable) => Fate::Kept,
            Ok(Standing::Newer { by }) => return Err(DiskError::Newer { dir: dir.to_owned(), by }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Fate::New,
            Ok(Standing::Void) => Fate::Discarded,
            // It may be as good as ever: nothing is thrown away for want of a file descriptor.
            Err(source) => return Err(DiskError::Io { path: dir.to_owned(), source }),
        };
        let attached = match fate {
            Fate::Kept => match store.attach() {
                Err(DiskError::Open(error)) if error.is_damage() => {
                    tracing::error!("{error}: beginning anew");
                    false
                }
                other => other.map(|()| true)?,
            },
            _ => false,
        };
        if attached {
            let txn = store.env()?.read()?;
            let id = mixcord_state::Read::get(&txn, Table::Meta, meta::STORE)?;
            let id = id.and_then(|bytes| mixcord_state::compose::ids(bytes).next());
            drop(txn);
            if let Some(id) = id {
                store.id = id;
                store.sign()?;
                return Ok((store, fate));
            }
        }
        store.rebuild()?;
        Ok((store, if fate == Fate::Kept { Fate::Discarded } else { fate }))
    }

    /// Throws everything away and begins anew, under another id. Who still reads the old store
    /// reads it unharmed.
    pub fn rebuild(&mut self) -> Result<(), DiskError> {
        self.env = None;
        for name in [FORMAT_FILE, DATA_FILE, LOCK_FILE] {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(DiskError::Io { path, source });
                }
                _ => {}
            }
        }
        self.attach()?;
        self.id = random_id();
        let mut txn = self.env()?.write()?;
        txn.put(Table::Meta, meta::STORE, &self.id.to_le_bytes())?;
        txn.commit()?;
        self.sign()?;
        let text = format::text();
        let text = text.map_err(|source| DiskError::Io { path: self.dir.clone(), source })?;
        self.put_file(FORMAT_FILE, &text)
    }

    /// Leaves word which release writes here, before it does.
    fn sign(&self) -> Result<(), DiskError> {
        let signed = fs::read_to_string(self.dir.join(WRITTEN_BY_FILE)).unwrap_or_default();
        if signed == format::written_by() {
            return Ok(());
        }
        self.put_file(WRITTEN_BY_FILE, &format::written_by())
    }

    /// Puts a small file in its place, whole.
    fn put_file(&self, name: &str, text: &str) -> Result<(), DiskError> {
        let (path, draft) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        write_private(&draft, text)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|source| DiskError::Io { path, source })
    }

    /// The store's id; a rebuilt store has another one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The environment.
    pub fn env(&self) -> Result<&Env, StoreError> {
        // Only a failed rebuild leaves none, after which nobody goes on.
        self.env.as_ref().ok_or(StoreError::Full)
    }

    /// Allocates more space; false when the limit is reached.
    pub fn grow(&mut self) -> Result<bool, DiskError> {
        let before = self.env()?.map_bytes() as u64;
        let after = pages(before + (before / 2).max(STEP_BYTES)).min(pages(self.bytes_max));
        if after <= before {
            return Ok(false);
        }
        self.allocate(before, after)?;
        if let Some(env) = &mut self.env {
            env.resize(after as usize)?;
        }
        Ok(true)
    }

    /// Frees the slots of readers that are gone; to be called every second.
    pub fn clear_stale_readers(&self) -> Result<usize, StoreError> {
        self.env()?.clear_stale_readers()
    }

    /// Writes to disk, if that is where it is; to be called every second.
    pub fn sync(&self) -> Result<(), StoreError> {
        if self.in_memory { Ok(()) } else { self.env()?.sync() }
    }

    /// The process with the oldest read transaction, whose pages cannot be reused.
    #[must_use]
    pub fn oldest_reader(&self) -> Option<u32> {
        let open = self.env.as_ref()?.readers().into_iter();
        let oldest = open.filter_map(|slot| Some((slot.commit?, slot.pid))).min();
        oldest.map(|(_, pid)| pid)
    }

    fn attach(&mut self) -> Result<(), DiskError> {
        let data = self.dir.join(DATA_FILE);
        let held = data.metadata().map_or(0, |data| data.len());
        let bytes = pages(held.max(FIRST_BYTES.min(self.bytes_max)));
        let allocated = data.metadata().map_or(0, |data| data.blocks() * 512);
        if bytes > allocated {
            self.check_free(bytes - allocated)?;
        }
        let prepared = Env::prepare(&self.dir, bytes as usize)?;
        self.allocate(0, bytes)?;
        self.env = Some(prepared.finish()?);
        Ok(())
    }

    /// Allocates the data file from `from` to `to`.
    fn allocate(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let path = self.dir.join(DATA_FILE);
        let io = |source| DiskError::Io { path: path.clone(), source };
        let file = OpenOptions::new().write(true).open(&path).map_err(io)?;
        if from > 0 {
            self.check_free(to - from)?;
        }
        posix_fallocate(&file, from as i64, (to - from) as i64).map_err(|errno| io(errno.into()))
    }

    /// A tmpfs may promise more than there is memory.
    fn check_free(&self, needed: u64) -> Result<(), DiskError> {
        let fs = statfs(&self.dir)
            .map_err(|errno| DiskError::Io { path: self.dir.clone(), source: errno.into() })?;
        let mut free = fs.blocks_available() * fs.block_size() as u64;
        if self.in_memory {
            free = free.min(available_memory().unwrap_or(u64::MAX));
        }
        if needed > free {
            return Err(DiskError::NoSpace { dir: self.dir.clone(), needed, free });
        }
        Ok(())
    }
}

/// Whole pages of at least `bytes`.
fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_BYTES as u64)
}

/// Writes a file that only this user can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Makes a directory that only this user can enter, or sees that it is one.
fn make_private(dir: &Path) -> Result<(), DiskError> {
    let io = |source| DiskError::Io { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
    let found = dir.symlink_metadata().map_err(io)?;
    let ours = found.uid() == nix::unistd::geteuid().as_raw();
    if found.is_dir() && ours && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(DiskError::NotOurs { dir: dir.to_owned() })
    }
}

fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A random id that is not 0.
fn random_id() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

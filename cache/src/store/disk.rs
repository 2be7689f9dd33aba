//! The store's directory: its files, whose they are, and whether what lies there can be gone on with.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mixcord_copy::LoadError;
use mixcord_state::format::{
    self, FORMAT_FILE, OLD_FILES, Standing, TABLE_FILE, WRITER_FILE, WRITTEN_BY_FILE,
};
use mixcord_state::{Arena, OpenError, StoreError, View, Writer};
use nix::fcntl::{Flock, FlockArg};

use super::lmdb;
use super::loaded::{CopyFrom, load_into, not_kept};

/// The state a store was found in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// As the last cache left it.
    Kept,
    /// As the last cache left it, which was of a release that kept it in LMDB.
    Copied,
    /// There was none.
    New,
    /// It could not be trusted: an older version wrote it, or the system was started anew since.
    Discarded,
    /// There was none, and it was made of a copy.
    Loaded,
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
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no state, and none can be made of the copy: nothing of that is left.
    #[error("--state-from {from}: {why}")]
    Copy {
        /// Where the copy was to come from.
        from: CopyFrom,
        /// What is wrong with it.
        why: LoadError,
    },
    /// The table cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The table cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store, open for writing.
#[derive(Debug)]
pub struct DiskStore {
    writer: Writer,
    dir: PathBuf,
    bytes_max: u64,
    _lock: Flock<File>,
}

impl DiskStore {
    /// Opens the store in `dir`, or makes one, which may take up to `bytes_max` bytes.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<(Self, Fate), DiskError> {
        Self::open_or_load(dir, bytes_max, None)
    }

    /// The same; where there is none, it is made of a copy if one is named.
    pub fn open_or_load(
        dir: &Path,
        bytes_max: u64,
        copy: Option<&CopyFrom>,
    ) -> Result<(Self, Fate), DiskError> {
        make_private(dir)?;
        let path = dir.join(WRITER_FILE);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| DiskError::Io { path, source })?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| DiskError::Locked { dir: dir.to_owned() })?;
        let (writer, fate) = match format::standing(dir) {
            Ok(Standing::Readable) => match Writer::open(dir, bytes_max) {
                Ok(writer) => (Some(writer), Fate::Kept),
                Err(error) if error.is_damage() => {
                    tracing::error!("{error}: beginning anew");
                    (None, Fate::Discarded)
                }
                Err(error) => return Err(error.into()),
            },
            Ok(Standing::Copied) => {
                // Half a table, where a copy was killed, takes the room of the next one.
                remove(&dir.join(TABLE_FILE))?;
                match lmdb::copy(dir, bytes_max) {
                    Ok(writer) => (Some(writer), Fate::Copied),
                    Err(error) => {
                        tracing::error!(
                            "the store of the release before cannot be copied: {error}"
                        );
                        (None, Fate::Discarded)
                    }
                }
            }
            Ok(Standing::Newer { by }) => return Err(DiskError::Newer { dir: dir.to_owned(), by }),
            Ok(Standing::Void) => (None, Fate::Discarded),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Fate::New),
            Err(source) => return Err(DiskError::Io { path: dir.join(FORMAT_FILE), source }),
        };
        let begin = |dir: &Path| begin_anew(dir, bytes_max);
        let (writer, fate) = match (writer, copy) {
            (Some(writer), None) => (writer, fate),
            (Some(writer), Some(from)) => {
                tracing::warn!("there is a state in {}: {from} is not read", dir.display());
                (writer, fate)
            }
            (None, None) => (begin(dir)?, fate),
            (None, Some(from)) => match load_into(dir, from, begin) {
                Ok(writer) => (writer, Fate::Loaded),
                Err(error) => {
                    remove(&dir.join(TABLE_FILE))?;
                    return Err(error);
                }
            },
        };
        let store = Self { writer, dir: dir.to_owned(), bytes_max, _lock: lock };
        store.sign()?;
        Ok((store, fate))
    }

    /// Throws everything away and begins anew, under another id. Who still reads the old store
    /// reads it unharmed.
    pub fn rebuild(&mut self) -> Result<(), DiskError> {
        self.writer = begin_anew(&self.dir, self.bytes_max)?;
        self.sign()
    }

    /// The same with a copy of another state, once `change` has made of it what is wanted here.
    pub fn load<T>(
        &mut self,
        from: &CopyFrom,
        change: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, DiskError> {
        let begin = |dir: &Path| begin_anew(dir, self.bytes_max);
        let changed = load_into(&self.dir, from, begin).and_then(|mut writer| {
            let changed = change(&mut writer).map_err(|error| not_kept(from, error.into()))?;
            Ok((changed, writer))
        });
        match changed {
            Ok((changed, writer)) => {
                self.writer = writer;
                self.sign()?;
                Ok(changed)
            }
            Err(error) => {
                self.rebuild()?;
                Err(error)
            }
        }
    }

    /// Says which release writes here, and that what lies here is whole; then nothing is left of a store
    /// of another kind.
    fn sign(&self) -> Result<(), DiskError> {
        put_file(&self.dir, WRITTEN_BY_FILE, &format::written_by())?;
        let text = format::text(self.writer.version());
        let text = text.map_err(|source| DiskError::Io { path: self.dir.clone(), source })?;
        put_file(&self.dir, FORMAT_FILE, &text)?;
        OLD_FILES.iter().try_for_each(|name| remove(&self.dir.join(name)))
    }

    /// The store's id; a store that was made anew has another one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.writer.id()
    }

    /// The table.
    #[must_use]
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The table, for changes.
    pub const fn writer_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// What the last batch left, copied into `arena` where it is read.
    #[must_use]
    pub fn view<'a>(&'a self, arena: &'a Arena) -> View<'a, Writer> {
        self.writer.view(arena)
    }
}

/// Makes an empty table. Until it is signed there is none.
fn begin_anew(dir: &Path, bytes_max: u64) -> Result<Writer, DiskError> {
    remove(&dir.join(FORMAT_FILE))?;
    // What is thrown away leaves its room to what is made: where there was none for both, there is now.
    for name in OLD_FILES.iter().chain([&TABLE_FILE]) {
        remove(&dir.join(name))?;
    }
    Ok(Writer::create(dir, bytes_max)?)
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Puts a small file in its place, whole, unless it says the same already.
fn put_file(dir: &Path, name: &str, text: &str) -> Result<(), DiskError> {
    let (path, draft) = (dir.join(name), dir.join(format!("{name}.new")));
    if fs::read_to_string(&path).is_ok_and(|said| said == text) {
        return Ok(());
    }
    write_private(&draft, text)
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|source| DiskError::Io { path, source })
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

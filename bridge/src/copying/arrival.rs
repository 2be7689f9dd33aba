//! The files of a copy that arrives: where the cache of this instance finds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mixcord_bridge::copies::Origins;
use mixcord_bridge::names::{Lane, Shards};
use mixcord_event::{Origin, topology};
use mixcord_process::folder;
use serde::{Deserialize, Serialize};

/// What has arrived so far.
const PART: &str = "part";
/// Of which copy that is.
const NOTE: &str = "part.json";
/// Where lanes go on that have no ring yet.
const ORIGINS: &str = "origins.json";

/// The folder.
#[derive(Debug)]
pub(crate) struct Arrival {
    dir: PathBuf,
    /// What of the copy is wanted.
    pub(crate) shards: Shards,
}

/// Which copy arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) giver: u64,
    pub(crate) copy: u64,
    pub(crate) bytes: u64,
}

impl Arrival {
    pub(crate) fn new(instance: &str, shards: Shards) -> Self {
        Self { dir: topology::copy_dir(instance).into(), shards }
    }

    /// Makes the folder, or sees that it is this user's alone.
    pub(crate) fn make(&self) -> io::Result<()> {
        folder::make(&self.dir)
    }

    /// What arrived of a copy before this process began, and how much.
    pub(crate) fn begun(&self) -> Option<(Note, File, u64)> {
        let note = serde_json::from_slice(&fs::read(self.dir.join(NOTE)).ok()?).ok()?;
        let file = OpenOptions::new().append(true).open(self.dir.join(PART)).ok()?;
        let bytes = file.metadata().ok()?.len();
        Some((note, file, bytes))
    }

    /// Begins with another copy.
    pub(crate) fn begin(&self, note: &Note) -> io::Result<File> {
        // In this order: a note is never of other bytes.
        self.forget()?;
        let mut options = OpenOptions::new();
        let file = options.create_new(true).append(true).mode(0o600).open(self.dir.join(PART))?;
        folder::put(&self.dir.join(NOTE), &serde_json::to_vec(note)?)?;
        Ok(file)
    }

    /// What arrived is of no use.
    pub(crate) fn forget(&self) -> io::Result<()> {
        remove(&self.dir.join(NOTE))?;
        remove(&self.dir.join(PART))?;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| topology::parse_copy_file(name).is_some())
            {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// What has arrived.
    pub(crate) fn part(&self) -> io::Result<File> {
        File::open(self.dir.join(PART))
    }

    /// All of it has arrived: from now on the cache finds it.
    pub(crate) fn finish(&self) -> io::Result<()> {
        fs::rename(self.dir.join(PART), self.whole_path())?;
        remove(&self.dir.join(NOTE))
    }

    /// The whole copy, which the cache has not taken yet.
    pub(crate) fn whole(&self) -> io::Result<Option<File>> {
        match File::open(self.whole_path()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn whole_path(&self) -> PathBuf {
        self.dir.join(topology::copy_file(self.shards.range()))
    }

    /// Where lanes go on; `None` where that was not known yet, or every ring knows.
    pub(crate) fn origins(&self) -> io::Result<Option<Origins>> {
        match fs::read(self.dir.join(ORIGINS)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn put_origins(&self, origins: &Origins) -> io::Result<()> {
        if origins.is_empty() {
            remove(&self.dir.join(ORIGINS))?;
            // Unless the cache has not taken its part yet.
            let _ = fs::remove_dir(&self.dir);
            return Ok(());
        }
        folder::put(&self.dir.join(ORIGINS), &serde_json::to_vec(origins)?)
    }
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where lanes go on that have no ring yet.
#[derive(Debug)]
pub(crate) struct Copied {
    arrival: Arrival,
    origins: Mutex<Origins>,
}

impl Copied {
    pub(crate) const fn new(arrival: Arrival, origins: Origins) -> Self {
        Self { arrival, origins: Mutex::new(origins) }
    }

    pub(crate) fn of_lane(&self, lane: Lane) -> Option<Origin> {
        self.origins().of_lane(lane)
    }

    /// The lane's ring knows it.
    pub(crate) fn forget(&self, lane: Lane) {
        let mut origins = self.origins();
        if origins.forget(lane)
            && let Err(error) = self.arrival.put_origins(&origins)
        {
            tracing::warn!("{ORIGINS} is not up to date: {error}");
        }
    }

    fn origins(&self) -> MutexGuard<'_, Origins> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An instance of a test's own.
    struct Own(Arrival);

    impl Own {
        fn new(name: &str) -> Self {
            let instance = format!("t{}-b-{name}", std::process::id());
            let range = Shards::Range { first: 1, last: 2, count: 4 };
            Self(Arrival::new(&instance, range))
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.dir);
        }
    }

    #[test]
    fn a_copy_arrives_in_parts_and_is_found_once_it_is_whole() {
        let own = Own::new("arrival");
        let arrival = &own.0;
        arrival.make().unwrap();
        arrival.make().unwrap();
        assert!(arrival.begun().is_none() && arrival.whole().unwrap().is_none());
        let note = Note { giver: 1, copy: 2, bytes: 6 };
        arrival.begin(&note).unwrap().write_all(b"abc").unwrap();
        let (found, mut file, bytes) = arrival.begun().unwrap();
        assert_eq!((found, bytes), (note, 3));
        file.write_all(b"def").unwrap();
        arrival.finish().unwrap();
        assert!(arrival.begun().is_none());
        let whole = fs::read(arrival.dir.join("state-1-2-4")).unwrap();
        assert_eq!((&*whole, arrival.whole().unwrap().is_some()), (&b"abcdef"[..], true));
        // Another one, of which nothing of the first is left.
        arrival.begin(&note).unwrap();
        assert_eq!(arrival.begun().unwrap().2, 0);
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let own = Own::new("open");
        fs::create_dir(&own.0.dir).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&own.0.dir, open).unwrap();
        assert!(own.0.make().is_err());
    }
}

//! Where sessions are: one file each, and none for ever.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mixcord::event::topology;
use nix::fcntl::{Flock, FlockArg};

use super::entry::{Entry, Head};
use super::log::Log;

/// Sessions kept at most, of clients that are there or may come back.
const SESSIONS_MAX: usize = 4096;
/// A file that is no session for so long was left by a process that died while it wrote it.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// Where the sessions of an instance are.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held while a file is opened, made or removed: a session that is only looked at is not in somebody's hands.
    alone: Arc<Mutex<()>>,
    max: usize,
}

impl Folder {
    /// The folder of an instance, which is made where it is missing.
    pub(crate) fn open(instance: &str) -> io::Result<Self> {
        Self::at(topology::proxy_dir(instance).into())
    }

    /// The same, wherever.
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        mixcord_process::folder::make(&path)?;
        Ok(Self { path, alone: Arc::default(), max: SESSIONS_MAX })
    }

    /// The file of a session, or another one that is here.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.path.join(id)
    }

    /// Where that is.
    pub(crate) fn place(&self) -> &Path {
        &self.path
    }

    /// What is here.
    pub(crate) fn files(&self) -> io::Result<impl Iterator<Item = PathBuf>> {
        Ok(fs::read_dir(&self.path)?.flatten().map(|file| file.path()))
    }

    /// Nobody else of this process opens, makes or removes a file meanwhile.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the session that was written to longest ago, of those that nobody has, where there are too many.
    pub(super) fn make_room(&self) -> io::Result<()> {
        if fs::read_dir(&self.path)?.count() < self.max {
            return Ok(());
        }
        let files = fs::read_dir(&self.path)?.flatten();
        let mut files: Vec<_> = files
            .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
            .collect();
        files.sort_unstable();
        if files.iter().any(|(_, path)| remove_unheld(path)) {
            return Ok(());
        }
        Err(io::Error::other("too many clients are connected"))
    }

    /// Removes sessions that nobody has and that cannot be resumed: of another ring, or so old that nothing of
    /// what comes next in them is left. And what a process left that died.
    pub(crate) fn sweep(&self, ring: u64, earliest: u64) -> io::Result<()> {
        for file in fs::read_dir(&self.path)?.flatten() {
            let Some(id) = file.file_name().to_str().map(str::to_owned) else { continue };
            // That a proxy was killed is told until there is one at its address again.
            if id.starts_with(topology::PROXY_BOARD) {
                continue;
            }
            // Looked at first without its lock: another proxy's client may be about to go on with it.
            match Log::read(self, &id) {
                Some((head, entries))
                    if head.ring == ring && reached(&head, &entries) >= earliest => {}
                Some(_) => {
                    let _alone = self.alone();
                    if let Ok(Some((log, head, entries))) = Log::open_alone(self, &id)
                        && (head.ring != ring || reached(&head, &entries) < earliest)
                    {
                        log.remove();
                    }
                }
                None => self.sweep_left(&file.path()),
            }
        }
        Ok(())
    }

    /// Removes a file that is no session.
    fn sweep_left(&self, path: &Path) {
        let modified = fs::metadata(path).and_then(|meta| meta.modified());
        let now = SystemTime::now();
        if modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > UNDER_WAY)) {
            remove_unheld(path);
        }
    }
}

/// How far a session was for certain: a mark is written after so many records at the latest.
fn reached(head: &Head, entries: &[Entry]) -> u64 {
    let furthest = entries.iter().filter_map(|entry| match entry {
        Entry::Mark { position, .. }
        | Entry::Guild { position, .. }
        | Entry::Routed { position, .. } => Some(*position),
        _ => None,
    });
    furthest.max().unwrap_or(head.start) + super::MARK_PASSED
}

/// Opens and locks a file; an error of the kind `WouldBlock` says that somebody has it.
pub(super) fn locked(options: &OpenOptions, path: &Path) -> io::Result<Flock<File>> {
    let file = options.open(path)?;
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| io::Error::from(errno))?;
    // One that was replaced meanwhile is nobody's any more.
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
        Ok(file)
    } else {
        Err(io::Error::from(io::ErrorKind::WouldBlock))
    }
}

/// Removes a file that nobody has locked; false where somebody has.
pub(crate) fn remove_unheld(path: &Path) -> bool {
    match locked(OpenOptions::new().read(true), path) {
        Ok(_held) => fs::remove_file(path).is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head =
        Head { ring: 9, start: 8, shard: 0, shards: 1, intents: 0, large: 50, me: 0 };

    fn folder(place: &tempfile::TempDir) -> Folder {
        Folder::at(place.path().join("sessions")).expect("ours")
    }

    #[test]
    fn a_session_that_is_looked_at_by_the_sweep_is_found_all_the_same() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = folder(&place);
        let id = Log::create(&folder, &HEAD).expect("made").id().to_owned();
        let done = std::sync::atomic::AtomicBool::new(false);
        // Another proxy of the instance, which knows nothing of this one's locks.
        let other = Folder::at(place.path().join("sessions")).expect("ours");
        std::thread::scope(|scope| {
            for folder in [&folder, &other] {
                let done = &done;
                scope.spawn(move || {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        folder.sweep(HEAD.ring, 0).expect("swept");
                    }
                });
            }
            let found =
                (0..500).all(|_| Log::open(&folder, &id).is_ok_and(|found| found.is_some()));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(found);
        });
    }

    #[test]
    fn what_cannot_be_resumed_is_swept_and_nothing_that_somebody_has() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = folder(&place);
        let held = Log::create(&folder, &HEAD).expect("made");
        let left = Log::create(&folder, &HEAD).expect("made").id().to_owned();
        let is_there = |id: &str| folder.path(id).exists();
        folder.sweep(HEAD.ring, HEAD.start + super::super::MARK_PASSED).expect("swept");
        assert!(is_there(&left), "its next record is there");
        folder.sweep(HEAD.ring, HEAD.start + super::super::MARK_PASSED + 1).expect("swept");
        assert!(!is_there(&left) && is_there(held.id()));
        folder.sweep(HEAD.ring + 1, 0).expect("swept");
        assert!(is_there(held.id()));
        let id = held.id().to_owned();
        drop(held);
        folder.sweep(HEAD.ring + 1, 0).expect("swept");
        assert!(!is_there(&id), "of another ring");
    }

    #[test]
    fn p7_the_oldest_session_goes_for_a_new_one_and_none_that_somebody_has() {
        let place = tempfile::tempdir().expect("a folder");
        let mut folder = folder(&place);
        folder.max = 3;
        let made = || Log::create(&folder, &HEAD);
        let held = made().expect("made");
        let old = made().expect("made").id().to_owned();
        let newer = made().expect("made").id().to_owned();
        let at = SystemTime::now() - Duration::from_secs(9);
        fs::File::open(folder.path(&old)).and_then(|file| file.set_modified(at)).expect("set");
        let last = made().expect("made");
        let is_there = |id: &str| folder.path(id).exists();
        assert!(is_there(held.id()) && is_there(&newer) && is_there(last.id()));
        assert!(!is_there(&old));
        let third = made().expect("made");
        assert!(made().is_err(), "all are held");
        drop((held, last, third));
    }

    #[test]
    fn what_a_process_left_that_died_is_removed_in_time() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = folder(&place);
        let headless = "0".repeat(32);
        let names = [headless.clone(), format!("{headless}.new")];
        let board = folder.path(&format!("{}1", topology::PROXY_BOARD));
        fs::write(&board, [1; 70]).expect("written");
        names.iter().for_each(|name| fs::write(folder.path(name), [1; 70]).expect("written"));
        folder.sweep(HEAD.ring, 0).expect("swept");
        assert!(names.iter().all(|name| folder.path(name).exists()), "under way, perhaps");
        let at = SystemTime::now() - 2 * UNDER_WAY;
        for path in names.iter().map(|name| folder.path(name)).chain([board.clone()]) {
            fs::File::open(path).and_then(|file| file.set_modified(at)).expect("set");
        }
        folder.sweep(HEAD.ring, 0).expect("swept");
        assert!(board.exists(), "what a killed proxy said of itself");
        assert!(!names.iter().any(|name| folder.path(name).exists()));
    }
}

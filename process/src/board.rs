//! What a process says of itself to those who look on: a small file in a [folder], locked while the process lives.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::folder;

/// Who looks whether it is locked has it for a moment.
const LOCK_TRIES: u32 = 20;
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// The file. Gone with its owner, unless the process is killed: then it is there still, and nobody has it locked.
#[derive(Debug)]
pub struct Board {
    file: Flock<File>,
    path: PathBuf,
}

impl Board {
    /// Puts it up in a folder that is made where it is missing, in the place of one that was left by a process that
    /// was killed. May take a tenth of a second.
    ///
    /// # Errors
    /// The folder or the file is not this user's alone, another process that lives has it (`WouldBlock`), or it
    /// cannot be made.
    pub fn put_up(folder: &Path, name: &str) -> io::Result<Self> {
        Self::put_up_in(folder, name, || thread::sleep(LOCK_RETRY))
    }

    fn put_up_in(folder: &Path, name: &str, mut pause: impl FnMut()) -> io::Result<Self> {
        let path = folder.join(name);
        for _ in 0..LOCK_TRIES {
            folder::make(folder)?;
            match Flock::lock(folder::open(&path)?, FlockArg::LockExclusiveNonblock) {
                // Whoever had it may have removed it before it was let go: nobody would see what is locked then.
                Ok(file) if is_at(&file, &path)? => return Ok(Self { file, path }),
                Ok(_) => {}
                Err((_, Errno::EWOULDBLOCK)) => pause(),
                Err((_, errno)) => return Err(errno.into()),
            }
        }
        Err(Errno::EWOULDBLOCK.into())
    }

    /// Writes it anew, where it lies: another file would not be locked. A reader that comes in between has to see by
    /// the bytes that they are not whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, 0)?;
        self.file.set_len(bytes.len() as u64)
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
    Ok(there.is_ok_and(|there| (ours.dev(), ours.ino()) == (there.dev(), there.ino())))
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn looks(path: &Path) -> nix::Result<Flock<File>> {
        let file = File::open(path).expect("there");
        Flock::lock(file, FlockArg::LockSharedNonblock).map_err(|(_, errno)| errno)
    }

    #[test]
    fn it_is_locked_while_it_is_up_and_gone_afterwards() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("folder");
        let board = Board::put_up(&folder, "name").expect("put up");
        let path = folder.join("name");
        board.write(b"longer").expect("written");
        board.write(b"how I am").expect("written");
        board.write(b"short").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"short");
        assert_eq!(looks(&path).err(), Some(Errno::EWOULDBLOCK), "its process lives");
        let another = Board::put_up(&folder, "name").map_err(|error| error.kind());
        assert_eq!(another.err(), Some(io::ErrorKind::WouldBlock));
        assert!(path.exists(), "which takes nothing with it");
        drop(board);
        assert!(!path.exists() && folder.exists());
    }

    #[test]
    fn one_that_was_left_is_taken_over() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("folder");
        folder::make(&folder).expect("made");
        let path = folder.join("name");
        fs::write(&path, b"what a killed process said").expect("written");
        assert!(looks(&path).is_ok(), "nobody has it");
        let board = Board::put_up(&folder, "name").expect("put up");
        board.write(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new");
    }

    #[test]
    fn who_looks_for_a_moment_whether_it_lives_keeps_nobody_from_being_seen() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("folder");
        folder::make(&folder).expect("made");
        let path = folder.join("name");
        fs::write(&path, b"left").expect("written");
        let mut look = Some(looks(&path).expect("nobody has it"));
        let board = Board::put_up_in(&folder, "name", || drop(look.take()));
        assert!(board.is_ok() && look.is_none(), "it is tried again");
    }

    #[test]
    fn what_its_owner_removes_meanwhile_is_not_what_is_put_up() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("folder");
        let mut owner = Some(Board::put_up(&folder, "name").expect("put up"));
        let board = Board::put_up_in(&folder, "name", || drop(owner.take())).expect("put up");
        board.write(b"new").expect("written");
        let path = folder.join("name");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(looks(&path).err(), Some(Errno::EWOULDBLOCK), "and it is locked");
    }

    #[test]
    fn p9_it_is_put_up_nowhere_else() {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, file) = (place.path().join("folder"), place.path().join("file"));
        folder::make(&folder).expect("made");
        fs::write(&file, b"another's").expect("written");
        symlink(&file, folder.join("name")).expect("made");
        assert!(Board::put_up(&folder, "name").is_err());
        symlink(&folder, place.path().join("link")).expect("made");
        assert!(Board::put_up(&place.path().join("link"), "other").is_err());
        assert_eq!(fs::read(&file).expect("there"), b"another's");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
    }
}

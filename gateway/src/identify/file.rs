//! The book in a file that all gateway processes of one user share, under a lock that the kernel
//! lets go when its holder dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::book::{Book, Claim, Rules};
use crate::config::Fingerprint;

/// No book is larger.
const BYTES_MAX: usize = 128 << 10;
/// How soon to try again when another process holds the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The place of a token's book.
#[derive(Debug, Clone)]
pub struct BookFile {
    path: PathBuf,
}

impl BookFile {
    /// The book of the token with this fingerprint, in `folder`, which is made when absent.
    ///
    /// # Errors
    /// When the folder cannot be made, or others may write in it.
    pub fn new(folder: &Path, fingerprint: Fingerprint) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(folder)?;
        let ours = found.uid() == nix::unistd::getuid().as_raw();
        if !found.is_dir() || !ours || found.mode() & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "has to be a folder of our own that nobody else can write in",
            ));
        }
        Ok(Self { path: folder.join(format!("identify-{fingerprint}")) })
    }

    /// The book in the first of these folders that can be used: the same one for every process of
    /// this user.
    ///
    /// # Errors
    /// Why the last of them cannot, and which it is.
    pub fn in_first_of(
        folders: &[PathBuf],
        fingerprint: Fingerprint,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut failed = (PathBuf::new(), io::Error::from(io::ErrorKind::NotFound));
        for folder in folders {
            match Self::new(folder, fingerprint) {
                Ok(book) => return Ok(book),
                Err(error) => failed = (folder.clone(), error),
            }
        }
        Err(failed)
    }

    /// Where the processes of this user meet unless told otherwise, the best place first. A runtime
    /// folder may be another user's, or not to be written in.
    pub fn default_folders() -> Vec<PathBuf> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let runtime = runtime.filter(|runtime| runtime.is_absolute() && runtime.is_dir());
        let shared = std::env::temp_dir().join(format!("mixcord-{}", nix::unistd::getuid()));
        runtime.map(|runtime| runtime.join("mixcord")).into_iter().chain([shared]).collect()
    }

    /// [`Book::claim`] on the shared book.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn claim(&self, shard: u16, failures: u32, rules: &Rules) -> io::Result<Claim> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&self.path)?;
        let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(Claim::Wait(LOCK_RETRY)),
            Err((_, errno)) => return Err(errno.into()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut book = read(&mut file)?.unwrap_or_else(|| Book::unreadable(now_ms, rules));
        let claim = book.claim(now_ms, shard, failures, rules);
        write(&mut file, &book)?;
        Ok(claim)
    }
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

/// The book; empty for an empty file, `None` for bytes that are none.
fn read(file: &mut File) -> io::Result<Option<Book>> {
    let mut bytes = Vec::new();
    Read::by_ref(file).take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Some(Book::default()));
    }
    let decoded = bincode::serde::decode_from_slice(&bytes, configuration());
    Ok(decoded.ok().filter(|(_, used)| *used == bytes.len()).map(|(book, _)| book))
}

fn write(file: &mut File, book: &Book) -> io::Result<()> {
    let bytes = bincode::serde::encode_to_vec(book, configuration()).map_err(io::Error::other)?;
    file.rewind()?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { max_concurrency: 1, spacing: Duration::from_secs(3600), total: 1_000 }
    }

    #[test]
    fn two_openers_share_one_book() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("new");
        let first = BookFile::new(&folder, Fingerprint([1; 16])).expect("made");
        let second = BookFile::new(&folder, Fingerprint([1; 16])).expect("found");
        let other = BookFile::new(&folder, Fingerprint([2; 16])).expect("found");
        assert_eq!(first.claim(0, 0, &rules()).expect("works"), Claim::Granted);
        assert!(matches!(second.claim(1, 0, &rules()).expect("works"), Claim::Wait(_)));
        assert_eq!(other.claim(1, 0, &rules()).expect("works"), Claim::Granted);
    }

    #[test]
    fn rubbish_in_the_file_is_waited_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("new");
        let file = BookFile::new(&folder, Fingerprint([1; 16])).expect("made");
        fs::write(&file.path, [0xff; 40]).expect("written");
        assert!(matches!(file.claim(0, 0, &rules()).expect("works"), Claim::Wait(_)));
        assert!(read(&mut File::open(&file.path).expect("opens")).expect("reads").is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_passed_over_for_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        let (bad, good) = (file.join("below"), folder.path().join("good"));
        let owner = Fingerprint([1; 16]);
        let book = BookFile::in_first_of(&[bad.clone(), good.clone()], owner).expect("the second");
        assert!(book.path.starts_with(&good));
        let (named, _) = BookFile::in_first_of(&[file, bad.clone()], owner).expect_err("neither");
        assert_eq!(named, bad);
    }

    #[test]
    fn a_folder_others_can_write_in_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).expect("changed");
        assert!(BookFile::new(folder.path(), Fingerprint([1; 16])).is_err());
    }
}

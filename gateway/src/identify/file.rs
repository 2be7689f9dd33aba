//! The book in a file that all gateway processes of one user share, under a lock that the kernel
//! lets go when its holder dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord_ring::Namespace;
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

    /// Where the processes of this user meet unless told otherwise: beside the rings, which no
    /// environment moves.
    pub fn default_folder() -> PathBuf {
        Namespace::directory().join(format!("mixcord-{}", nix::unistd::getuid()))
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
    // What follows is of a longer book before: its writer was killed before it could cut that off.
    Ok(decoded.ok().map(|(book, _)| book))
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
    fn a_kill_before_the_end_is_cut_off_keeps_the_account() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("new");
        let file = BookFile::new(&folder, Fingerprint([1; 16])).expect("made");
        assert_eq!(file.claim(0, 0, &rules()).expect("works"), Claim::Granted);
        let mut bytes = fs::read(&file.path).expect("a book");
        let before = bytes.clone();
        // What a longer book leaves behind a shorter one.
        bytes.extend_from_slice(&[7; 9]);
        fs::write(&file.path, bytes).expect("written");
        assert!(matches!(file.claim(1, 0, &rules()).expect("works"), Claim::Wait(_)));
        let after = fs::read(&file.path).expect("a book");
        assert_eq!(after.len(), before.len(), "the book that was there, not one of rubbish");
    }

    #[test]
    fn a_folder_others_can_write_in_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).expect("changed");
        assert!(BookFile::new(folder.path(), Fingerprint([1; 16])).is_err());
    }
}

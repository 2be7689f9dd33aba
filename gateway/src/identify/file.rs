//! The book in a file that all gateway processes of one user share, under a lock that the kernel
//! lets go when its holder dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord_ring::Namespace;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};

use super::book::{Book, Claim, Rules, Wish};
use super::shared::SharedPermit;
use crate::config::Fingerprint;

/// No book is larger.
const BYTES_MAX: usize = 128 << 10;
/// The layout of a book. Another one is not read.
const VERSION: u8 = 1;
/// How soon to try again when another process holds the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// The answer while another process has the book or the bucket.
pub(super) const HELD: Claim = Claim::Wait(LOCK_RETRY);
/// The lock is held for moments; whoever has it longer may be stopped.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A permit to identify. As long as it is there nobody else identifies in its bucket, also when the
/// time that the book knows has passed: an IDENTIFY may be on its way for seconds on a busy host. The
/// kernel ends it with its process.
#[derive(Debug)]
pub struct Permit {
    file: BookFile,
    shard: u16,
    rules: Rules,
    /// The same of all machines.
    shared: Option<SharedPermit>,
    _bucket: File,
}

impl Permit {
    /// The same of all machines.
    pub(super) fn with(self, shared: Option<SharedPermit>) -> Self {
        Self { shared, ..self }
    }

    /// Whether IDENTIFY may be written still: a permit of several machines is not waited for without end.
    pub fn is_valid(&self) -> bool {
        self.shared.as_ref().is_none_or(SharedPermit::is_valid)
    }

    /// IDENTIFY was written: the bucket's time runs from now.
    ///
    /// # Errors
    /// When the files cannot be opened, read or written.
    pub fn used(mut self) -> io::Result<()> {
        let written = Instant::now();
        if let Some(shared) = self.shared.take() {
            shared.used();
        }
        let used = |book: &mut Book, now_ms: u64| {
            let since = u64::try_from(written.elapsed().as_millis()).unwrap_or(u64::MAX);
            book.used(now_ms.saturating_sub(since), self.shard, &self.rules);
        };
        // Whoever has the book may be stopped; after the spacing there is nothing left to say.
        while written.elapsed() < self.rules.spacing
            && self.file.locked(&self.rules, used)?.is_none()
        {
            std::thread::sleep(LOCK_RETRY);
        }
        Ok(())
    }
}

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

    /// The file whose lock is the queue's.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the processes of this user meet unless told otherwise: beside the rings, which no
    /// environment moves.
    pub fn default_folder() -> PathBuf {
        Namespace::directory().join(format!("mixcord-{}", nix::unistd::getuid()))
    }

    /// [`Book::claim`] on the shared book.
    ///
    /// # Errors
    /// When the files cannot be opened, read or written.
    pub fn claim(&self, wish: Wish, rules: &Rules) -> io::Result<Result<Permit, Claim>> {
        let shard = wish.shard;
        let key = u32::from(shard) % rules.max_concurrency.max(1);
        let Some(bucket) = hold(open(&self.path)?, key)? else {
            return Ok(Err(HELD));
        };
        let claim = self.locked(rules, |book, now_ms| book.claim(now_ms, wish, rules))?;
        Ok(match claim.unwrap_or(HELD) {
            Claim::Granted => {
                let (file, rules) = (self.clone(), *rules);
                Ok(Permit { file, shard, rules, shared: None, _bucket: bucket })
            }
            refused => Err(refused),
        })
    }

    /// What [`Self::claim`] would say now. Nothing is taken, and nobody is kept waiting for longer than that takes.
    ///
    /// # Errors
    /// As for [`claim`](Self::claim).
    pub fn look(&self, wish: Wish, rules: &Rules) -> io::Result<Claim> {
        let now_ms = now_ms();
        let mut book = self.read()?.unwrap_or_else(|| Book::unreadable(now_ms, rules));
        if let Err(refused) = book.look(now_ms, wish, rules) {
            return Ok(refused);
        }
        let key = u32::from(wish.shard) % rules.max_concurrency.max(1);
        Ok(if self.is_held(key)? { HELD } else { Claim::Granted })
    }

    /// Whether another one has the book or the bucket now.
    fn is_held(&self, key: u32) -> io::Result<bool> {
        let mut lock = bucket_lock(key);
        fcntl(&open(&self.path)?, FcntlArg::F_OFD_GETLK(&mut lock))?;
        if i32::from(lock.l_type) != nix::libc::F_UNLCK {
            return Ok(true);
        }
        match Flock::lock(open(&self.path)?, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EWOULDBLOCK)) => Ok(true),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// [`Book::tell`] on the shared book; false when another process has it and does not let go.
    ///
    /// # Errors
    /// As for [`claim`](Self::claim).
    pub fn tell(&self, remaining: u64, reset_after: Duration, rules: &Rules) -> io::Result<bool> {
        let tell = |book: &mut Book, now_ms| book.tell(now_ms, remaining, reset_after, rules);
        let began = Instant::now();
        while self.locked(rules, tell)?.is_none() {
            if began.elapsed() >= LOCK_PATIENCE {
                return Ok(false);
            }
            std::thread::sleep(LOCK_RETRY);
        }
        Ok(true)
    }

    /// Changes the book; `None` when another process has it. A kill at any time leaves the book that
    /// was, or the changed one.
    fn locked<T>(
        &self,
        rules: &Rules,
        change: impl FnOnce(&mut Book, u64) -> T,
    ) -> io::Result<Option<T>> {
        // The lock has a file of its own: the book's is another one after each change.
        let _lock = match Flock::lock(open(&self.path)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
        let now_ms = now_ms();
        let mut book = self.read()?.unwrap_or_else(|| Book::unreadable(now_ms, rules));
        let result = change(&mut book, now_ms);
        self.write(&book)?;
        Ok(Some(result))
    }

    /// The book; empty where there is none yet, `None` for bytes that are none.
    fn read(&self) -> io::Result<Option<Book>> {
        let mut bytes = Vec::new();
        match File::open(self.book()) {
            Ok(file) => file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(Book::default()));
            }
            Err(error) => return Err(error),
        };
        let Some((&VERSION, rest)) = bytes.split_first() else { return Ok(None) };
        let decoded = bincode::serde::decode_from_slice(rest, configuration());
        Ok(decoded.ok().filter(|(_, used)| *used == rest.len()).map(|(book, _)| book))
    }

    fn write(&self, book: &Book) -> io::Result<()> {
        let mut bytes = vec![VERSION];
        let encoded = bincode::serde::encode_to_vec(book, configuration());
        bytes.extend(encoded.map_err(io::Error::other)?);
        let new = self.path.with_extension("new");
        let mut file = open(&new)?;
        // What a killed writer left.
        file.set_len(0)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(new, self.book())
    }

    fn book(&self) -> PathBuf {
        self.path.with_extension("book")
    }
}

/// Since the epoch.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Locks the byte of a bucket; `None` when another description has it. The lock of the book is one of
/// the other kind, which this one does not meet.
fn hold(file: File, key: u32) -> io::Result<Option<File>> {
    let lock = bucket_lock(key);
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn bucket_lock(key: u32) -> nix::libc::flock {
    nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: i64::from(key),
        l_len: 1,
        l_pid: 0,
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { max_concurrency: 1, spacing: Duration::from_secs(3600), total: 1_000 }
    }

    fn granted(file: &BookFile, shard: u16, rules: &Rules) -> Permit {
        file.claim(Wish { shard, ..Wish::default() }, rules).expect("works").expect("granted")
    }

    fn refused(file: &BookFile, shard: u16, rules: &Rules) -> Claim {
        file.claim(Wish { shard, ..Wish::default() }, rules).expect("works").expect_err("refused")
    }

    /// The IDENTIFY of a permit may be written long after it was granted; until then nobody of its bucket
    /// gets another, whatever the clock says, and the time runs from when it was written.
    #[test]
    fn g14_a_permit_that_is_not_used_yet_holds_its_bucket() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = BookFile::new(folder.path(), Fingerprint([1; 16])).expect("made");
        let second = BookFile::new(folder.path(), Fingerprint([1; 16])).expect("found");
        // All that the book alone would wait for is over at once.
        let quick = Rules { max_concurrency: 2, spacing: Duration::ZERO, total: 1_000 };
        let permit = granted(&first, 0, &quick);
        assert!(matches!(refused(&second, 2, &quick), Claim::Wait(_)));
        let look = |shard| second.look(Wish { shard, ..Wish::default() }, &quick).expect("works");
        assert_eq!((look(1), look(2)), (Claim::Granted, HELD));
        granted(&second, 1, &quick);
        drop(permit);
        let stopped = Flock::lock(open(&first.path).expect("there"), FlockArg::LockExclusive);
        assert_eq!(look(2), HELD, "the book is");
        drop(stopped);
        granted(&second, 2, &quick);
        let slow = Rules { spacing: Duration::from_secs(3_600), ..quick };
        let permit = granted(&first, 0, &quick);
        Permit { rules: slow, ..permit }.used().expect("works");
        assert!(matches!(refused(&second, 2, &slow), Claim::Wait(_)));
        granted(&second, 1, &slow);
    }

    #[test]
    fn two_openers_share_one_book() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("new");
        let first = BookFile::new(&folder, Fingerprint([1; 16])).expect("made");
        let second = BookFile::new(&folder, Fingerprint([1; 16])).expect("found");
        let other = BookFile::new(&folder, Fingerprint([2; 16])).expect("found");
        granted(&first, 0, &rules()).used().expect("works");
        assert!(matches!(refused(&second, 1, &rules()), Claim::Wait(_)));
        granted(&other, 1, &rules());
    }

    #[test]
    fn rubbish_in_the_file_is_waited_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = BookFile::new(&folder.path().join("new"), Fingerprint([1; 16])).expect("made");
        fs::write(file.book(), [0xff; 40]).expect("written");
        assert!(matches!(refused(&file, 0, &rules()), Claim::Wait(_)));
        assert!(file.read().expect("reads").is_some());
    }

    /// A process that was stopped while it had the book holds up identifies, not who connects to resume.
    #[test]
    fn whoever_has_the_book_and_is_stopped_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = BookFile::new(folder.path(), Fingerprint([1; 16])).expect("made");
        let theirs = open(&file.path).expect("opens");
        let held = Flock::lock(theirs, FlockArg::LockExclusiveNonblock).expect("free");
        assert!(!file.tell(7, Duration::from_secs(600), &rules()).expect("works"));
        drop(held);
        assert!(file.tell(7, Duration::from_secs(600), &rules()).expect("works"));
    }

    /// P2: of what a kill leaves of a book that is being written, nothing is believed, and the book
    /// before it is kept.
    #[test]
    fn a_kill_at_any_byte_of_a_write_keeps_the_account() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = BookFile::new(&folder.path().join("new"), Fingerprint([1; 16])).expect("made");
        granted(&file, 0, &rules());
        file.tell(7, Duration::from_secs(600), &rules()).expect("works");
        let (kept, whole) = (file.read().expect("reads"), fs::read(file.book()).expect("a book"));
        for cut in 0..=whole.len() {
            fs::write(file.path.with_extension("new"), &whole[..cut]).expect("written");
            assert!(matches!(refused(&file, 1, &rules()), Claim::Wait(_)));
            assert_eq!(file.read().expect("reads"), kept, "cut at {cut}");
        }
        for cut in 0..whole.len() {
            fs::write(file.book(), &whole[..cut]).expect("written");
            assert_eq!(file.read().expect("reads"), None, "half a book is none: cut at {cut}");
        }
    }

    /// G-16: what one process heard of Discord's account holds for all.
    #[test]
    fn g16_what_discord_says_is_left_holds_for_every_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = BookFile::new(folder.path(), Fingerprint([1; 16])).expect("made");
        let second = BookFile::new(folder.path(), Fingerprint([1; 16])).expect("found");
        let rules = Rules { max_concurrency: 16, ..rules() };
        first.tell(1, Duration::from_secs(600), &rules).expect("works");
        granted(&second, 0, &rules);
        assert!(matches!(refused(&first, 1, &rules), Claim::Spent(_)));
    }

    #[test]
    fn a_folder_others_can_write_in_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).expect("changed");
        assert!(BookFile::new(folder.path(), Fingerprint([1; 16])).is_err());
    }
}

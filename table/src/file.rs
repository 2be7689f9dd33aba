//! A table in a file: made under another name and put in place whole, checked before it is believed,
//! mapped as long as it may ever get.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::NonNull;

use mixcord_memory::Block;
use nix::fcntl::{Flock, FlockArg, OFlag, posix_fallocate};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use crate::error::{CommitError, OpenError};
use crate::layout::{AT_CHECKSUM, CHUNK, FIXED_WORDS, Fixed};
use crate::reader::Reader;
use crate::space::{Ground, Memory, Space, checksum};
use crate::writer::{Limits, Writer};

/// A table that only this process writes: the lock goes with it.
#[derive(Debug)]
pub struct FileWriter {
    writer: Writer,
    _lock: Flock<File>,
}

impl FileWriter {
    /// Makes a table at `path`, in place of the one that is there; who reads that goes on with it.
    ///
    /// `format` is the user's own number, for which [`FileWriter::open`] and [`Reader::open`] ask.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`] if the system refused, which leaves nothing behind.
    pub fn create(path: &Path, format: u64, limits: Limits) -> Result<Self, CommitError> {
        let no_space = |source| CommitError::NoSpace { bytes: 0, source };
        let draft = path.with_extension("new");
        let _ = fs::remove_file(&draft);
        let made = Self::draft(&draft, format, limits);
        let placed = made.and_then(|made| {
            fs::rename(&draft, path).map_err(no_space)?;
            Ok(made)
        });
        if placed.is_err() {
            let _ = fs::remove_file(&draft);
        }
        placed
    }

    fn draft(path: &Path, format: u64, limits: Limits) -> Result<Self, CommitError> {
        let no_space = |source| CommitError::NoSpace { bytes: 0, source };
        let file = options(true).create_new(true).open(path).map_err(no_space)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| no_space(errno.into()))?;
        let [id, first, second] = random_words().map_err(no_space)?;
        let fixed = Fixed::sized(id, [first, second], format, limits.bytes_max);
        let reserved = limits.bytes_max.max((fixed.first_chunk() + 1) * CHUNK);
        let space = Mapped::space(&lock, reserved, true).map_err(no_space)?;
        let writer = Writer::create(space, fixed, limits)?;
        Ok(Self { writer, _lock: lock })
    }

    /// Takes the table at `path` over.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process writes it; [`OpenError::Foreign`],
    /// [`OpenError::OtherFormat`] and [`OpenError::Damaged`] say that it is to be made anew.
    pub fn open(path: &Path, format: u64, limits: Limits) -> Result<Self, OpenError> {
        let file = options(true).open(path)?;
        check_owner(&file)?;
        let lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| OpenError::Locked)?;
        fixed_of(&lock)?;
        let reserved = limits.bytes_max.max(lock.metadata()?.len());
        let space = Mapped::space(&lock, reserved, true)?;
        Ok(Self { writer: Writer::take_over(space, limits, format)?, _lock: lock })
    }
}

impl std::ops::Deref for FileWriter {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl std::ops::DerefMut for FileWriter {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl Reader {
    /// Opens the table at `path`.
    ///
    /// # Errors
    /// As for [`FileWriter::open`], but for the lock.
    pub fn open(path: &Path, format: u64) -> Result<Self, OpenError> {
        let file = options(false).open(path)?;
        check_owner(&file)?;
        let fixed = fixed_of(&file)?;
        // As long as it can ever be, by its own word; what may be touched is the system's word.
        let reserved = (fixed.directory_entries * 2 * CHUNK).max(file.metadata()?.len());
        Self::over(Mapped::space(&file, reserved, false)?, format)
    }
}

fn options(write: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    options.read(true).write(write).mode(0o600).custom_flags(flags.bits());
    options
}

/// A regular file of this user that is closed to all others.
fn check_owner(file: &File) -> Result<(), OpenError> {
    let found = file.metadata()?;
    let ours = found.uid() == nix::unistd::geteuid().as_raw();
    if found.is_file() && ours && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(OpenError::NotOurs)
    }
}

/// What never changes of the table in a file, before any of it is mapped.
fn fixed_of(file: &File) -> Result<Fixed, OpenError> {
    let mut bytes = [0; (FIXED_WORDS + 1) * 8];
    file.read_exact_at(&mut bytes, 0).map_err(|_| OpenError::Foreign)?;
    let mut words = [0; FIXED_WORDS + 1];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let (sum, words) = (words[AT_CHECKSUM / 8], *words.first_chunk().unwrap_or(&[0; FIXED_WORDS]));
    Fixed::from_words(words).filter(|_| sum == checksum(&words)).ok_or(OpenError::Foreign)
}

/// Random words, none of them 0.
fn random_words() -> io::Result<[u64; 3]> {
    let mut bytes = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes).max(1);
    }
    Ok(words)
}

/// A file mapped to a length that it need not have yet.
#[derive(Debug)]
struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process; what is done to its bytes is ruled by `Memory`.
#[allow(unsafe_code)]
unsafe impl Send for Mapped {}
// SAFETY: a mapping belongs to the process; what is done to its bytes is ruled by `Memory`.
#[allow(unsafe_code)]
unsafe impl Sync for Mapped {}

impl Mapped {
    #[allow(unsafe_code)]
    fn space(file: &File, len: u64, writable: bool) -> io::Result<Space> {
        let len = usize::try_from(len).map_err(io::Error::other)?.next_multiple_of(CHUNK as usize);
        let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let access = if writable { both } else { ProtFlags::PROT_READ };
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let base = unsafe { mmap(None, length, access, flags, file, 0) }?;
        let mapped = Self { base: base.cast(), len };
        let ground = OnFile { file: file.try_clone()?, base: mapped.base.as_ptr() as usize };
        Ok(Space::new(Memory::new(Box::new(mapped)), Box::new(ground)))
    }
}

// SAFETY: a mapping is aligned to a page and stays where it is until the drop. Bytes beyond the end of
// the file are no bytes of a `Space`, which asks the system how long the file is before it touches them.
#[allow(unsafe_code)]
unsafe impl Block for Mapped {
    fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapped {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: made by `mmap` with this length in `space`, unmapped once.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}

/// The file behind a mapping.
#[derive(Debug)]
struct OnFile {
    file: File,
    base: usize,
}

impl Ground for OnFile {
    #[allow(unsafe_code)]
    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        // Space and not only length: a page that cannot be had is a SIGBUS at its first touch.
        posix_fallocate(&self.file, from as i64, (to - from) as i64)?;
        let at = NonNull::new((self.base + from as usize) as *mut std::ffi::c_void);
        if let Some(at) = at {
            // Fresh pages are met here and not one by one in a batch; a kernel without it does the latter.
            // SAFETY: inside the mapping, and the file is that long now.
            let _ = unsafe { madvise(at, (to - from) as usize, MmapAdvise::MADV_POPULATE_WRITE) };
        }
        Ok(())
    }

    fn allocated(&self) -> u64 {
        // A file of whose length nothing can be learnt has none that may be touched.
        self.file.metadata().map_or(0, |found| found.len()) / CHUNK * CHUNK
    }
}

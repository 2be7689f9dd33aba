//! Segments: files in /dev/shm, made whole before anybody sees them, checked before anything of them
//! is believed.
//!
//! `shared_memory` creates, opens and maps. What it lacks is around it here: its drop would unlink by
//! name (switched off at once), it only truncates (so pages are reserved with fallocate), its creation
//! is not atomic (so it happens under a temporary name), and it checks nothing on opening. Locks and
//! checks need a descriptor, which it does not give out, so there is one of our own; that both are of
//! the same file is shown by the random id in the header.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mixcord_memory::__kill as kill;
use nix::libc;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::core::layout::{self, CONTROL, HeaderError, Layout, PRODUCER, header};
use crate::core::memory::{Block, Memory};
use crate::core::{initialise, locks};
use crate::error::{AttachError, CreateError};

/// Where segments live.
pub(crate) const DIRECTORY: &str = "/dev/shm";

/// A mapped segment and a descriptor of the same file, on which no lock is ever taken.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) memory: Memory,
    pub(crate) layout: Layout,
    pub(crate) id: u64,
    pub(crate) file: File,
}

/// Who maps it: the producer writes everything but the header, the others only the control pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Reader,
}

/// A segment under its temporary name, gone on drop unless it was put in place.
#[derive(Debug)]
pub(crate) struct Draft {
    temporary: String,
    placed: bool,
}

impl Segment {
    /// Opens what `name` names, checks it and maps it.
    pub(crate) fn open(name: &str, role: Role) -> Result<Self, AttachError> {
        let file = open_checked(name)?;
        let bytes = file.metadata()?.len();
        let refused = |why| AttachError::Header { name: name.to_owned(), why };
        let words = read_header(&file, bytes).map_err(refused)?;
        let (layout, id) = layout::parse_header(&words, bytes).map_err(refused)?;
        let map = Map::open(name, layout.total)?;
        let memory = Memory::new(Box::new(map.protected(&layout, role)?));
        let mapped = |at: usize| memory.load(at * 8, std::sync::atomic::Ordering::Relaxed);
        if !words.iter().enumerate().all(|(at, &word)| mapped(at) == word) {
            // Replaced between the two openings, by another ring, or by the same in other sizes.
            return Err(AttachError::NotFound { name: name.to_owned() });
        }
        Ok(Self { memory, layout, id, file })
    }

    /// Makes an empty ring under a temporary name.
    pub(crate) fn draft(name: &str, layout: &Layout) -> Result<(Draft, Self), CreateError> {
        Self::draft_of(name, layout, random_id()?)
    }

    /// The same of a ring that goes on under its id.
    pub(crate) fn draft_of(
        name: &str,
        layout: &Layout,
        id: u64,
    ) -> Result<(Draft, Self), CreateError> {
        sweep_drafts(name);
        super::budget::check(Path::new(DIRECTORY), layout.reserved_bytes())?;
        // Of its own: the ring's id names files of the ring, and need not be known before they are there.
        let temporary = format!("{name}.tmp-{:016x}", random_id()?);
        let map = Map::create(&temporary, layout.total)?;
        let draft = Draft { temporary, placed: false };
        let segment = Self::fill(&draft.temporary, layout, id, map)?;
        Ok((draft, segment))
    }

    fn fill(temporary: &str, layout: &Layout, id: u64, map: Map) -> Result<Self, CreateError> {
        let file = open_checked(temporary)?;
        let words = layout.all_words();
        reserve(&file, 0..words.start as u64)?;
        reserve(&file, words.end as u64..layout.total as u64)?;
        let memory = Memory::new(Box::new(map));
        initialise(&memory, layout, id);
        Ok(Self { memory, layout: *layout, id, file })
    }
}

impl Draft {
    /// Takes the place of the segment of that name.
    pub(crate) fn take_place(&mut self, name: &str) -> Result<(), CreateError> {
        fs::rename(path_of(&self.temporary), path_of(name))?;
        kill::point();
        self.placed = true;
        Ok(())
    }

    /// Gives the segment its name, unless there is one of that name.
    pub(crate) fn place(&mut self, name: &str) -> Result<(), CreateError> {
        if rename_exclusively(&self.temporary, name)? {
            self.placed = true;
            Ok(())
        } else {
            Err(CreateError::Exists { name: name.to_owned() })
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(path_of(&self.temporary));
        }
    }
}

/// The file of a segment.
pub(crate) fn path_of(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Opens a file of ours: regular, of this user, closed to all others, never through a link.
pub(crate) fn open_checked(name: &str) -> Result<File, AttachError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path_of(name));
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => AttachError::NotFound { name: name.to_owned() },
        Some(libc::ELOOP | libc::EISDIR) => AttachError::NotAFile { name: name.to_owned() },
        Some(libc::EACCES | libc::EPERM) => AttachError::NotOurs { name: name.to_owned() },
        _ => AttachError::Io(error),
    })?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(AttachError::NotAFile { name: name.to_owned() });
    }
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(AttachError::NotOurs { name: name.to_owned() });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(AttachError::TooOpen { name: name.to_owned(), mode: meta.mode() & 0o777 });
    }
    Ok(file)
}

/// Reserves the pages of a file, so that a later write cannot meet a full file system.
pub(crate) fn reserve(file: &File, bytes: Range<u64>) -> io::Result<()> {
    let length = (bytes.end - bytes.start) as i64;
    nix::fcntl::posix_fallocate(file, bytes.start as i64, length)?;
    kill::point();
    Ok(())
}

/// Gives the pages of a range back; it reads as zeros then.
#[allow(dead_code)] // joined to groups next
pub(crate) fn give_back(file: &File, bytes: Range<u64>) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let length = (bytes.end - bytes.start) as i64;
    fallocate(file, flags, bytes.start as i64, length)?;
    kill::point();
    Ok(())
}

/// Renames within the directory; false when the new name is taken.
pub(crate) fn rename_exclusively(from: &str, to: &str) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, path_of(from), CWD, path_of(to), RenameFlags::NOREPLACE) {
        Ok(()) => {
            kill::point();
            Ok(true)
        }
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether two descriptors are of one file.
pub(crate) fn same_file(a: &File, b: &File) -> io::Result<bool> {
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// A random number other than 0.
pub(crate) fn random_id() -> io::Result<u64> {
    let file = File::open("/dev/urandom")?;
    loop {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0)?;
        let id = u64::from_le_bytes(bytes);
        if id != 0 {
            return Ok(id);
        }
    }
}

/// A shared map made by `shared_memory`.
pub(crate) struct Map {
    base: *mut u8,
    len: usize,
    // Unmaps on drop.
    _shmem: Shmem,
}

// SAFETY: the map is only reached through `Memory` and the atomics of the bells; the crate's handle
// holds a plain pointer and descriptor, both used nowhere else.
#[allow(unsafe_code)]
unsafe impl Send for Map {}
// SAFETY: shared references give out the base and the length only, which never change.
#[allow(unsafe_code)]
unsafe impl Sync for Map {}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Map").field("len", &self.len).finish_non_exhaustive()
    }
}

// SAFETY: mapped from a page on, for `len` bytes, until the drop; `protected` takes the right to write
// only from pages that the role it is given never writes.
#[allow(unsafe_code)]
unsafe impl Block for Map {
    fn base(&self) -> *mut u8 {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }

    fn populate(&self, offset: usize, for_writing: bool) {
        use rustix::mm::{Advice, madvise};
        assert!(offset <= self.len);
        // SAFETY: in bounds, checked above.
        let from = unsafe { self.base.add(offset) };
        let advice =
            if for_writing { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
        // SAFETY: changes no byte, only what is mapped, and only pages of this map. Where the kernel does
        // not know it, or something is wrong with the file, the first touch of a page finds out.
        let _ = unsafe { madvise(from.cast(), self.len - offset, advice) };
    }
}

impl Map {
    /// A new file of that size, 0600, failing when there is one of that name.
    pub(crate) fn create(name: &str, bytes: usize) -> Result<Self, CreateError> {
        let shmem =
            ShmemConf::new().os_id(format!("/{name}")).size(bytes).create().map_err(shmem_error)?;
        kill::point();
        Self::adopt(shmem, bytes).map_err(CreateError::Io)
    }

    /// Maps an existing file, which must be of that size still.
    pub(crate) fn open(name: &str, bytes: usize) -> Result<Self, AttachError> {
        let shmem = ShmemConf::new()
            .os_id(format!("/{name}"))
            .size(bytes)
            .open()
            .map_err(|_| AttachError::NotFound { name: name.to_owned() })?;
        Self::adopt(shmem, bytes).map_err(AttachError::Io)
    }

    fn adopt(mut shmem: Shmem, bytes: usize) -> io::Result<Self> {
        shmem.set_owner(false);
        if shmem.len() < bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "segment shrank"));
        }
        Ok(Self { base: shmem.as_ptr(), len: shmem.len(), _shmem: shmem })
    }

    /// Takes the right to write from everything that is not `role`'s to write.
    fn protected(self, layout: &Layout, role: Role) -> io::Result<Self> {
        match role {
            // The header alone shares its part with what the producer writes: where pages are larger
            // than it, it stays open to the one process that has no reason to write there.
            Role::Producer if page_size() <= PRODUCER => self.protect(0..PRODUCER)?,
            Role::Producer => {}
            Role::Reader => {
                self.protect(0..CONTROL)?;
                self.protect(layout.checkpoints..layout.total)?;
            }
        }
        Ok(self)
    }

    #[allow(unsafe_code)]
    fn protect(&self, range: std::ops::Range<usize>) -> io::Result<()> {
        use nix::sys::mman::{ProtFlags, mprotect};
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds, checked above.
        let start = unsafe { self.base.add(range.start) };
        let start = std::ptr::NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        // SAFETY: pages of this map, which nobody else knows yet; the layout starts parts on pages of any size.
        unsafe { mprotect(start, range.len(), ProtFlags::PROT_READ) }.map_err(io::Error::from)
    }
}

fn page_size() -> usize {
    // The C library's word: rustix looks for the vDSO to tell, which is not there under valgrind.
    let bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
}

fn shmem_error(error: ShmemError) -> CreateError {
    CreateError::Io(match error {
        ShmemError::MapCreateFailed(code) | ShmemError::UnknownOsError(code) => {
            io::Error::from_raw_os_error(code as i32)
        }
        ShmemError::MappingIdExists => io::ErrorKind::AlreadyExists.into(),
        other => io::Error::other(other),
    })
}

fn read_header(file: &File, bytes: u64) -> Result<[u64; header::WORDS + 1], HeaderError> {
    let mut raw = [0; (header::WORDS + 1) * 8];
    let wanted = raw.len() as u64;
    file.read_exact_at(&mut raw, 0).map_err(|_| HeaderError::Size { found: bytes, wanted })?;
    let mut words = [0; header::WORDS + 1];
    for (word, chunk) in words.iter_mut().zip(raw.chunks_exact(8)) {
        let mut little = [0; 8];
        little.copy_from_slice(chunk);
        *word = u64::from_le_bytes(little);
    }
    Ok(words)
}

/// Removes what creators left that were killed: drafts nobody holds the producer's lock of.
pub(crate) fn sweep_drafts(name: &str) {
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return };
    let prefix = format!("{name}.tmp-");
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some(draft) = file_name.to_str().filter(|n| n.starts_with(&prefix)) else { continue };
        let Ok(file) = open_checked(draft) else { continue };
        // A creator locks its draft right after it has made it; give it that moment.
        // One of the future is young: the clock was set back.
        let young = file.metadata().and_then(|meta| meta.modified()).is_ok_and(|made| {
            made.elapsed().map_or(true, |age| age < std::time::Duration::from_secs(10))
        });
        if !young && !super::lock::is_held(&file, locks::PRODUCER, 1) {
            let _ = fs::remove_file(entry.path());
            kill::point();
        }
    }
}

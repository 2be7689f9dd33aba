//! A file mapped to a length that it need not have yet, and its pages.
//!
//! Values lie about by chance, so that each event finds several on pages that the processor has not at hand. A page of
//! two MiB is looked up in one place instead of 512; the kernel makes one of the small ones where it is asked to, the
//! file's memory is there, and file and address have the same boundaries.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use mixcord_memory::Block;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::ground::OnFile;
use crate::layout::CHUNK;
use crate::space::{Memory, Space};

/// A large page, bytes. Where they have another size there are none.
pub(crate) const LARGE: u64 = 2 << 20;
/// From this length on a file has large pages: with less there is little to be found.
const LARGE_FROM: u64 = 16 << 20;

/// A mapping, with what is reserved around it.
#[derive(Debug)]
struct Mapped {
    reserved: Reserved,
    base: NonNull<u8>,
    len: usize,
}

/// Address space.
#[derive(Debug)]
struct Reserved {
    at: NonNull<std::ffi::c_void>,
    len: usize,
}

// SAFETY: a mapping belongs to the process; what is done to its bytes is ruled by `Memory`.
#[allow(unsafe_code)]
unsafe impl Send for Mapped {}
// SAFETY: a mapping belongs to the process; what is done to its bytes is ruled by `Memory`.
#[allow(unsafe_code)]
unsafe impl Sync for Mapped {}

/// Maps a file to `len` bytes.
pub(crate) fn space(file: &File, len: u64, writable: bool) -> io::Result<Space> {
    let len = usize::try_from(len).map_err(io::Error::other)?.next_multiple_of(CHUNK as usize);
    let mapped = Mapped::new(file, len, writable)?;
    let base = mapped.base.as_ptr() as usize;
    let ground = OnFile::new(file.try_clone()?, base, writable)?;
    Ok(Space::new(Memory::new(Box::new(mapped)), Box::new(ground)))
}

impl Mapped {
    #[allow(unsafe_code)]
    fn new(file: &File, len: usize, writable: bool) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let reserved = Reserved::new(len.checked_add(LARGE as usize).ok_or_else(invalid)?)?;
        let base = (reserved.at.as_ptr() as usize).next_multiple_of(LARGE as usize);
        let (at, length) = (NonZeroUsize::new(base), NonZeroUsize::new(len).ok_or_else(invalid)?);
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let access = if writable { both } else { ProtFlags::PROT_READ };
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
        // SAFETY: over address space that is reserved for it, and in which nothing else lies.
        let base = unsafe { mmap(at, length, access, flags, file, 0) }?;
        Ok(Self { reserved, base: base.cast(), len })
    }
}

impl Reserved {
    #[allow(unsafe_code)]
    fn new(len: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let at = unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, flags) }?;
        Ok(Self { at, len })
    }
}

impl Drop for Reserved {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: made by `mmap_anonymous` with this length in `new`, unmapped once, with the file's mapping in it.
        let _ = unsafe { munmap(self.at, self.len) };
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
        self.len.min(self.reserved.len)
    }
}

/// Has the pages from `from` to `to` mapped here, and not one by one in a batch; a kernel without it does the latter.
#[allow(unsafe_code)]
pub(crate) fn meet(base: usize, from: u64, to: u64) {
    if let Some(at) = pages(base, from) {
        // SAFETY: inside the mapping, and the file is at least that long.
        let _ = unsafe { madvise(at, (to - from) as usize, MmapAdvise::MADV_POPULATE_WRITE) };
    }
}

/// Which large pages of a file of `len` bytes there may be that end behind `from`.
pub(crate) fn large_pages(from: u64, len: u64) -> std::ops::Range<u64> {
    if len < LARGE_FROM { 0..0 } else { from / LARGE * LARGE..len / LARGE * LARGE }
}

/// Gives the file, which ends at or before `from`, its large pages from `from` to `to`, and makes it that long: in a
/// fraction of the time that small ones and then large ones of them take. What is not had this way is a hole, for the caller
/// to fill.
pub(crate) fn extend_large(file: &File, base: usize, from: u64, to: u64) -> io::Result<()> {
    // The kernel makes no large page of nothing at all, nor of what is behind the end of the file.
    for at in (from..to).step_by(LARGE as usize) {
        fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, at as i64, 1)?;
    }
    file.set_len(to)?;
    collapse(base, from, to);
    Ok(())
}

/// Makes large pages of the small ones from `from` to `to`. Where the kernel has none, or none to spare, they stay as they
/// are.
#[allow(unsafe_code)]
pub(crate) fn collapse(base: usize, from: u64, to: u64) {
    if let Some(at) = pages(base, from) {
        // SAFETY: inside the mapping, and the file is at least that long; what the pages hold stays the same.
        let _ = unsafe {
            nix::libc::madvise(at.as_ptr(), (to - from) as usize, nix::libc::MADV_COLLAPSE)
        };
    }
}

fn pages(base: usize, from: u64) -> Option<NonNull<std::ffi::c_void>> {
    NonNull::new((base + from as usize) as *mut std::ffi::c_void)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: u64) -> File {
        let file = tempfile::tempfile_in("/dev/shm").expect("a file");
        file.set_len(bytes).expect("a longer file");
        file
    }

    /// Where file and address had other boundaries there would be no large page.
    #[test]
    fn a_mapping_begins_where_a_large_page_does() {
        let file = file(1 << 20);
        let mapped: Vec<_> =
            (1..20).map(|n| Mapped::new(&file, n << 16, n % 2 == 0).expect("a mapping")).collect();
        assert!(mapped.iter().all(|it| (it.base.as_ptr() as u64).is_multiple_of(LARGE)));
    }

    #[test]
    fn large_pages_are_whole_and_a_small_file_has_none() {
        const MIB: u64 = 1 << 20;
        assert_eq!(large_pages(0, 16 * MIB - 1), 0..0);
        assert_eq!(large_pages(0, 17 * MIB), 0..16 * MIB);
        assert_eq!(large_pages(9 * MIB, 33 * MIB), 8 * MIB..32 * MIB);
    }

    /// Whether the kernel makes large pages or not.
    #[test]
    fn what_lies_on_pages_that_become_large_stays() {
        let bytes = (3 * LARGE) as usize;
        let file = file(bytes as u64);
        let mapped = Mapped::new(&file, bytes, true).expect("a mapping");
        let base = mapped.base.as_ptr() as usize;
        let memory = Memory::new(Box::new(mapped));
        for at in (0..bytes).step_by(4096) {
            memory.write(at + at / 4096 % 4000, &at.to_le_bytes());
        }
        collapse(base, 0, bytes as u64);
        for at in (0..bytes).step_by(4096) {
            let mut found = Vec::new();
            memory.append(at + at / 4096 % 4000, 8, &mut found);
            assert_eq!(found, at.to_le_bytes());
        }
    }

    /// Whether the kernel makes large pages or not, and has none to spare for some.
    #[test]
    fn a_file_gets_longer_by_large_pages_of_zeros() {
        let file = file(LARGE);
        let mapped = Mapped::new(&file, 4 * LARGE as usize, true).expect("a mapping");
        let base = mapped.base.as_ptr() as usize;
        let memory = Memory::new(Box::new(mapped));
        memory.write(0, &[1; 8]);
        extend_large(&file, base, LARGE, 4 * LARGE).expect("a longer file");
        assert_eq!(file.metadata().expect("a file").len(), 4 * LARGE);
        let mut found = Vec::new();
        memory.append(0, 4 * LARGE as usize, &mut found);
        assert_eq!(found.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 8);
    }
}

//! Pages of the map that are met all at once instead of one by one.
//!
//! A map that grew is a new one. LMDB meets most of its pages by writing, and each first write to a page
//! is a fault of its own: a tenth of all time while a store grows. A read meets the sixteen pages around
//! it, for writing too, but for those that were never used since they were allocated.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::{self, NonNull};

use nix::sys::mman::{MmapAdvise, madvise};

/// The pages that a fault meets: `fault_around_bytes`, as nearly every kernel has it.
const AROUND: usize = 64 << 10;

/// Meets every page of this process's map of `file`, of which the first `known` bytes were mapped before;
/// all of it is allocated and stays mapped meanwhile.
///
/// It only saves time: where it cannot be done, pages are met as ever.
pub(crate) fn populate(file: &Path, known: usize) {
    let Some((start, bytes)) = map_of(file) else { return };
    let known = known.min(bytes);
    for at in (0..known).step_by(AROUND) {
        touch(start, at);
    }
    advise(start, known, bytes - known);
}

/// Where this process has mapped `file` from its beginning, and how many bytes of it.
fn map_of(file: &Path) -> Option<(NonNull<u8>, usize)> {
    let inode = fs::metadata(file).ok()?.ino().to_string();
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, permissions, offset) = (fields.next()?, fields.next()?, fields.next()?);
        let (_device, found) = (fields.next()?, fields.next()?);
        let (from, to) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (from, to) = (address(from)?, address(to)?);
        let whole = found == inode && permissions.starts_with('r') && address(offset)? == 0;
        Some((NonNull::new(from as *mut u8).filter(|_| whole)?, to.checked_sub(from)?))
    })
}

#[expect(unsafe_code, reason = "a page is met by its address")]
fn touch(start: NonNull<u8>, at: usize) {
    // SAFETY: `at` lies within a map that the kernel listed as readable, that nobody takes away while the
    // environment is borrowed for growing, and whose file is allocated to its end. What is read is not used.
    let _ = unsafe { ptr::read_volatile(start.as_ptr().wrapping_add(at)) };
}

/// Asks the kernel to meet pages that were never used (Linux 5.14).
#[expect(unsafe_code, reason = "advice about memory is given by its address")]
fn advise(start: NonNull<u8>, at: usize, bytes: usize) {
    let Some(from) = NonNull::new(start.as_ptr().wrapping_add(at)) else { return };
    // SAFETY: `at` and `bytes` lie within the map, as for `touch`; this advice changes no byte of it and
    // takes no page away.
    let _ = unsafe { madvise(from.cast(), bytes, MmapAdvise::MADV_POPULATE_READ) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;
    use crate::format::DATA_FILE;

    #[test]
    fn the_map_of_a_store_is_found_before_and_after_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let mut env = Env::prepare(dir.path(), 1 << 20).unwrap().finish().unwrap();
        let data = dir.path().join(DATA_FILE);
        assert_eq!(map_of(&data).map(|(_, bytes)| bytes), Some(1 << 20));
        env.resize(2 << 20).unwrap();
        assert_eq!(map_of(&data).map(|(_, bytes)| bytes), Some(2 << 20));
        drop(env);
        assert_eq!(map_of(&data), None);
    }
}

//! Liveness by open-file-description locks: the kernel lets go of them when the last descriptor of the
//! description closes, also when its process is killed. A descriptor a child inherits keeps the lock;
//! hence close-on-exec everywhere, and no fork without exec in programs that use rings.
//!
//! Between the fork and the exec of a child there are such descriptors all the same. So who lets go does
//! it by unlocking, which no copy outlives; only who is killed in just that moment holds on until the
//! exec.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// A byte locked, until this is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    byte: u64,
    /// A child forked without exec has no say in its parent's locks.
    process: u32,
}

impl Held {
    /// The description that holds the lock.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Which byte.
    pub(crate) const fn byte(&self) -> u64 {
        self.byte
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            unlock(&self.file, self.byte);
        }
    }
}

/// Locks a byte on a description of its own; `None` when another one holds it.
pub(crate) fn hold(file: &File, byte: u64) -> io::Result<Option<Held>> {
    hold_any(file, std::iter::once(byte))
}

/// Locks the first of some bytes that nobody holds.
pub(crate) fn hold_any(file: &File, bytes: impl Iterator<Item = u64>) -> io::Result<Option<Held>> {
    let file = reopen(file)?;
    for byte in bytes {
        if try_lock(&file, byte)? {
            return Ok(Some(Held { file, byte, process: std::process::id() }));
        }
    }
    Ok(None)
}

/// Another description of the same open file, so that its locks are its own.
pub(crate) fn reopen(file: &File) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Locks a byte on the description of `file`; false when another description holds it.
pub(crate) fn try_lock(file: &File, byte: u64) -> io::Result<bool> {
    let range = range(libc::F_WRLCK, byte, 1);
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Lets go of a byte.
pub(crate) fn unlock(file: &File, byte: u64) {
    // Fails for no lock that was taken; closing the description would let go of it as well.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK, byte, 1)));
}

/// Whether another description holds a lock on any of the bytes. When the kernel does not say: yes.
pub(crate) fn is_held(file: &File, first: u64, count: u64) -> bool {
    let mut range = range(libc::F_WRLCK, first, count);
    match fcntl(file, FcntlArg::F_OFD_GETLK(&mut range)) {
        Ok(_) => i32::from(range.l_type) != libc::F_UNLCK,
        Err(_) => true,
    }
}

fn range(kind: i32, first: u64, count: u64) -> libc::flock {
    libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: first as i64,
        l_len: count as i64,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_exclude_each_other_and_closing_lets_go() {
        let file = tempfile::tempfile().unwrap();
        let (a, b) = (reopen(&file).unwrap(), reopen(&file).unwrap());
        assert!(try_lock(&a, 7).unwrap());
        assert!(!try_lock(&b, 7).unwrap());
        assert!(try_lock(&b, 8).unwrap());
        assert!(is_held(&file, 7, 1));
        assert!(!is_held(&a, 7, 1), "one's own lock is none in the way");
        assert!(!is_held(&file, 9, 100));
        drop(a);
        assert!(!is_held(&file, 7, 1));
        assert!(try_lock(&b, 7).unwrap());
        unlock(&b, 7);
        assert!(!is_held(&file, 7, 1));
    }

    #[test]
    fn what_is_dropped_is_free_though_a_copy_of_its_descriptor_lives() {
        let file = tempfile::tempfile().unwrap();
        let held = hold_any(&file, 3..9).unwrap().unwrap();
        assert_eq!(held.byte(), 3);
        assert_eq!(hold_any(&file, 3..9).unwrap().unwrap().byte(), 4);
        // What a child has between its fork and its exec.
        let copy = held.file().try_clone().unwrap();
        assert!(hold(&file, 3).unwrap().is_none());
        drop(held);
        assert!(hold(&file, 3).unwrap().is_some());
        drop(copy);
    }
}

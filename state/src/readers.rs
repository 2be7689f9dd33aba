//! LMDB's table of readers, read from its file: LMDB itself tells no processes.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// A place in the table of readers: a query that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReaderSlot {
    /// The process that has it.
    pub pid: u32,
    /// The number of the commit it sees, whose pages cannot be reused; `None` for a moment at its
    /// begin and end.
    pub commit: Option<u64>,
}

/// Two cache lines come first.
const HEAD: u64 = 128;
/// A slot begins with the transaction's number and the process.
const SLOT: usize = 64;
/// More than all slots take.
const BYTES_MAX: u64 = 1 << 20;

/// The places that are taken.
pub(crate) fn slots(file: &File) -> Vec<ReaderSlot> {
    let len = file.metadata().map_or(0, |file| file.len()).saturating_sub(HEAD).min(BYTES_MAX);
    let mut bytes = vec![0; len as usize];
    if file.read_exact_at(&mut bytes, HEAD).is_err() {
        return Vec::new();
    }
    let slots = bytes.as_chunks::<SLOT>().0.iter().filter_map(|slot| {
        let [t0, t1, t2, t3, t4, t5, t6, t7, p0, p1, p2, p3, ..] = *slot;
        let commit = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let pid = u32::from_le_bytes([p0, p1, p2, p3]);
        (pid != 0).then_some(ReaderSlot { pid, commit: (commit != u64::MAX).then_some(commit) })
    });
    slots.collect()
}

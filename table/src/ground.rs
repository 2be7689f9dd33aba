//! The file behind a mapping, which a thread of its own makes longer: allocating and meeting fresh pages
//! takes milliseconds, and the writer needs them only later.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mixcord_memory::__kill as kill;
use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::statvfs::{Statvfs, fstatvfs};

use crate::layout::CHUNK;
use crate::mapped::{self, LARGE};
use crate::space::Ground;

/// Bytes of a file that was there, whose pages are met at once.
const MET_AT_ONCE: u64 = 4 << 20;
/// Bytes of memory that are left to others, where the file lies in memory.
const LEFT_FREE: u64 = 64 << 20;
/// Bytes of the filesystem that are left to the files beside it: a table is no reason that they cannot be written.
const ROOM_LEFT: u64 = 2 << 20;

/// The file behind a mapping.
#[derive(Debug)]
pub(crate) struct OnFile {
    shared: Arc<Shared>,
    /// Of a writer.
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    base: usize,
    in_memory: bool,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Bytes that the file is to have.
    wanted: u64,
    /// Bytes that it has.
    done: u64,
    /// Bytes that it had, and that are to be met yet.
    unmet: Range<u64>,
    /// Bytes before this one lie on large pages, if they can.
    large: u64,
    /// Why it has not as many as were wanted last.
    failed: Option<Errno>,
    /// How many wait for it.
    waiting: usize,
    end: bool,
}

/// What is done at once, of the bytes from here to there.
#[derive(Debug)]
enum Piece {
    /// The file gets them.
    New(Range<u64>),
    /// They are there, and get mapped.
    Met(Range<u64>),
    /// They are on small pages, and get a large one.
    Large(Range<u64>),
}

impl Work {
    /// What is most urgent, if anything is left.
    fn next(&self, in_memory: bool) -> Option<Piece> {
        if self.wanted > self.done {
            let end = (self.done + 1).next_multiple_of(LARGE).min(self.wanted);
            return Some(Piece::New(self.done..end));
        }
        // What was there is mapped anew, and each of its pages would be met by a fault of the writer's.
        if !self.unmet.is_empty() {
            let Range { start, end } = self.unmet;
            return Some(Piece::Met(start..end.min(start + MET_AT_ONCE)));
        }
        let Range { start, end } = mapped::large_pages(self.large, self.done);
        let one = start..end.min(start + LARGE);
        (in_memory && !one.is_empty()).then_some(Piece::Large(one))
    }

    fn note(&mut self, piece: Piece, result: Result<(), Errno>) {
        match (piece, result) {
            (Piece::New(_), Err(errno)) => (self.wanted, self.failed) = (self.done, Some(errno)),
            (Piece::New(Range { start, end }), Ok(())) => {
                self.done = end;
                // It came as a large page, or the kernel has none.
                if self.large == start {
                    self.large = mapped::large_pages(start, end).end.max(start);
                }
            }
            (Piece::Met(Range { end, .. }), _) => self.unmet.start = end,
            (Piece::Large(Range { end, .. }), _) => self.large = end,
        }
    }
}

impl OnFile {
    /// A writer's has a thread.
    pub(crate) fn new(file: File, base: usize, writable: bool) -> io::Result<Self> {
        let in_memory = fstatfs(&file).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC);
        let found = file.metadata()?;
        let len = found.len() / CHUNK * CHUNK;
        if writable && in_memory && found.blocks().saturating_mul(512) < len {
            // A writer was killed between the length of a large page and its memory.
            fill(&file, 0, len)?;
        }
        // Where it is on a disk nothing of it is to be written again.
        let unmet = if in_memory { 0..len } else { 0..0 };
        let large = if in_memory { 0 } else { len };
        let work = Mutex::new(Work { wanted: len, done: len, unmet, large, ..Work::default() });
        let shared = Arc::new(Shared { file, base, in_memory, work, changed: Condvar::new() });
        let grows = Arc::clone(&shared);
        let spawn = || thread::Builder::new().name("table-space".into()).spawn(move || grows.run());
        Ok(Self { thread: if writable { Some(spawn()?) } else { None }, shared })
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        // Each change of it is one assignment.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut work = self.work();
        while !work.end {
            let Some(piece) = work.next(self.in_memory) else {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(work);
            let begun = Instant::now();
            let result = self.have(&piece);
            let took = begun.elapsed();
            work = self.work();
            work.note(piece, result);
            self.changed.notify_all();
            work = self.rest(work, took);
        }
    }

    fn have(&self, piece: &Piece) -> Result<(), Errno> {
        match piece {
            Piece::New(Range { start, end }) => self.allocate(*start, *end)?,
            Piece::Met(Range { start, end }) => mapped::meet(self.base, *start, *end),
            Piece::Large(Range { start, end }) => mapped::collapse(self.base, *start, *end),
        }
        Ok(())
    }

    /// Leaves the processor to others for as long as it was taken from them, unless the writer waits: the kernel is not
    /// interrupted while it makes a page, and whoever was woken on this processor waits behind it.
    fn rest<'a>(&self, mut work: MutexGuard<'a, Work>, took: Duration) -> MutexGuard<'a, Work> {
        let until = Instant::now() + took;
        while !work.end && work.waiting == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        work
    }

    fn allocate(&self, from: u64, to: u64) -> Result<(), Errno> {
        // A tmpfs promises more than there is memory, and whoever is short of it is killed.
        if self.in_memory && available_memory().is_some_and(|free| free < to - from + LEFT_FREE) {
            return Err(Errno::ENOMEM);
        }
        if !self.has_room(to - from + ROOM_LEFT) {
            return Err(Errno::ENOSPC);
        }
        let large = mapped::large_pages(from.next_multiple_of(LARGE), to);
        if self.in_memory && !large.is_empty() {
            fill(&self.file, from, large.start)?;
            // Whatever does not come this way comes with the rest.
            let _ = mapped::extend_large(&self.file, self.base, large.start, large.end);
        }
        fill(&self.file, from, to)?;
        mapped::meet(self.base, from, to);
        Ok(())
    }

    /// Whether the filesystem has so many bytes, as far as it says.
    fn has_room(&self, bytes: u64) -> bool {
        let free = |fs: Statvfs| fs.blocks_available().saturating_mul(fs.fragment_size());
        fstatvfs(&self.file).is_ok_and(|fs| free(fs) >= bytes)
    }
}

impl Ground for OnFile {
    fn allocate(&self, _: u64, to: u64) -> io::Result<()> {
        kill::point();
        let mut work = self.shared.work();
        work.failed = None;
        while work.done < to {
            if let Some(errno) = work.failed.take() {
                return Err(errno.into());
            }
            work.wanted = work.wanted.max(to);
            work.waiting += 1;
            self.shared.changed.notify_all();
            work = self.shared.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            work.waiting -= 1;
        }
        kill::point();
        Ok(())
    }

    fn prepare(&self, to: u64) {
        let mut work = self.shared.work();
        if to > work.wanted {
            work.wanted = to;
            self.shared.changed.notify_all();
        }
    }

    fn allocated(&self) -> u64 {
        // A file of whose length nothing can be learnt has none that may be touched.
        self.shared.file.metadata().map_or(0, |found| found.len()) / CHUNK * CHUNK
    }
}

impl Drop for OnFile {
    fn drop(&mut self) {
        self.shared.work().end = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It touches the mapping, which is gone after this.
            let _ = thread.join();
        }
    }
}

/// Space and not only length: a page that cannot be had is a SIGBUS at its first touch.
fn fill(file: &File, from: u64, to: u64) -> Result<(), Errno> {
    if from >= to {
        return Ok(());
    }
    loop {
        match posix_fallocate(file, from as i64, (to - from) as i64) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

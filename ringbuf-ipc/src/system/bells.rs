//! Bells: one futex word a process sleeps on, whatever and however much it reads or writes.
//!
//! The segment `{prefix}.bells` has a place for each process, held by a lock. Nothing in it has to
//! survive: a bell that is rung too often costs its owner a look, one that was not rung because the
//! ringer died costs a bounded sleep.
//!
//! # Why no wake is lost
//! A sleeper takes the ticket (the word), announces itself where it waits, looks for work again, and
//! sleeps only while the word is the ticket. A ringer changes the world, fences, and finds either the
//! announcement, so that it changes the word, or, in the order of the fences, a sleeper that has yet to
//! look for work and will see the change.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex;

use super::lock::{self, Held};
#[cfg(feature = "tokio")]
use super::nudge::Nudge;
use super::segment::{Map, open_checked, path_of, random_id, rename_exclusively, reserve};
use crate::core::memory::Block;
use crate::error::{AttachError, BellError, CreateError};

const MAGIC: u64 = u64::from_le_bytes(*b"MIXBELLS");
const VERSION: u64 = 1;
const HEADER_BYTES: usize = 64;
const BELL_BYTES: usize = 64;
/// Bells of a namespace, so processes at a time.
pub(crate) const COUNT: usize = 1024;
const BYTES: usize = (HEADER_BYTES + COUNT * BELL_BYTES).next_multiple_of(4096);

/// Of one sleep in the kernel; who sleeps longer sleeps again.
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);

/// Offsets in the place of a bell.
const WORD: usize = 0;
const SLEEPING: usize = 4;

/// The bells of a namespace.
#[derive(Debug)]
pub(crate) struct Bells {
    map: Map,
    file: File,
    inode: u64,
}

impl Bells {
    /// Opens the segment, which is made when it is not there.
    pub(crate) fn open_or_create(name: &str) -> Result<Self, BellError> {
        // Somebody may make it, or remove it, between a look and the next.
        for _ in 0..16 {
            match Self::open(name) {
                Err(BellError::Segment(AttachError::NotFound { .. })) => Self::create(name)?,
                other => return other,
            }
        }
        Err(BellError::Io(io::ErrorKind::NotFound.into()))
    }

    /// Whether `name` still names this segment.
    pub(crate) fn is_current(&self, name: &str) -> bool {
        std::fs::symlink_metadata(path_of(name)).is_ok_and(|meta| meta.ino() == self.inode)
    }

    /// Whether two maps are of one segment.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.inode == other.inode
    }

    /// Claims a place: its number is the byte that is held.
    pub(crate) fn claim(&self) -> Result<Held, BellError> {
        // Processes begin their search at different places, so that it is short.
        let first = u64::from(std::process::id());
        let places = (0..COUNT as u64).map(|step| (first + step) % COUNT as u64);
        let held = lock::hold_any(&self.file, places)?.ok_or(BellError::Full { limit: COUNT })?;
        self.word(held.byte() as u32, SLEEPING).store(0, Ordering::Relaxed);
        Ok(held)
    }

    /// Whether any place of the segment of that name is held.
    pub(crate) fn in_use(name: &str) -> bool {
        open_checked(name).is_ok_and(|file| lock::is_held(&file, 0, COUNT as u64))
    }

    pub(crate) fn ticket(&self, bell: u32) -> u32 {
        self.word(bell, WORD).load(Ordering::SeqCst)
    }

    /// Rings a bell. No system call when its owner is awake. True when somebody was woken.
    pub(crate) fn ring(&self, bell: u64) -> bool {
        let Ok(bell) = u32::try_from(bell) else { return false };
        if bell as usize >= COUNT {
            return false;
        }
        let word = self.word(bell, WORD);
        word.fetch_add(1, Ordering::SeqCst);
        if self.word(bell, SLEEPING).load(Ordering::SeqCst) == 0 {
            return false;
        }
        futex::wake(word, futex::Flags::empty(), i32::MAX as u32).is_ok_and(|woken| woken != 0)
    }

    /// Sleeps until the bell is rung after `ticket` was taken; false when the time was up first.
    pub(crate) fn wait(&self, bell: u32, ticket: u32, timeout: Duration) -> bool {
        let never = || false;
        self.wait_by(bell, ticket, timeout, never, |word, left| {
            // Rung, interrupted or timed out: word and clock say which.
            let _ = futex::wait(
                word,
                futex::Flags::empty(),
                ticket,
                Some(&timespec(left.min(LONGEST))),
            );
        })
    }

    /// The same, or until `nudge` is nudged after `seen` was taken; false then, too.
    #[cfg(feature = "tokio")]
    pub(crate) fn wait_or(
        &self,
        bell: u32,
        ticket: u32,
        timeout: Duration,
        nudge: &Nudge,
        seen: u32,
    ) -> bool {
        let nudged = || nudge.seen() != seen;
        self.wait_by(bell, ticket, timeout, nudged, |word, left| {
            nudge.sleep(seen, word, ticket, left);
        })
    }

    fn wait_by(
        &self,
        bell: u32,
        ticket: u32,
        timeout: Duration,
        over: impl Fn() -> bool,
        sleep: impl Fn(&AtomicU32, Duration),
    ) -> bool {
        let (word, sleeping) = (self.word(bell, WORD), self.word(bell, SLEEPING));
        if word.load(Ordering::SeqCst) != ticket {
            return true;
        }
        sleeping.fetch_add(1, Ordering::SeqCst);
        let begin = Instant::now();
        let mut left = timeout;
        // A ring before the ticket was taken may wake late: that is no reason to give up.
        while word.load(Ordering::SeqCst) == ticket && !left.is_zero() && !over() {
            sleep(word, left);
            left = timeout.saturating_sub(begin.elapsed());
        }
        sleeping.fetch_sub(1, Ordering::SeqCst);
        word.load(Ordering::SeqCst) != ticket
    }

    fn open(name: &str) -> Result<Self, BellError> {
        let file = open_checked(name)?;
        let meta = file.metadata()?;
        let mut header = [0; 16];
        let read = file.read_exact_at(&mut header, 0);
        let expected = [MAGIC.to_le_bytes(), VERSION.to_le_bytes()].concat();
        if read.is_err() || header[..] != expected[..] || meta.len() != BYTES as u64 {
            return Err(BellError::Foreign { name: name.to_owned() });
        }
        let map = Map::open(name, BYTES)?;
        let bells = Self { map, file, inode: meta.ino() };
        if !bells.is_current(name) {
            return Err(AttachError::NotFound { name: name.to_owned() }.into());
        }
        Ok(bells)
    }

    fn create(name: &str) -> Result<(), BellError> {
        let temporary = format!("{name}.tmp-{:016x}", random_id()?);
        let made = Self::fill(&temporary).and_then(|()| Ok(rename_exclusively(&temporary, name)?));
        if !matches!(made, Ok(true)) {
            let _ = std::fs::remove_file(path_of(&temporary));
        }
        made.map(|_| ())
    }

    fn fill(temporary: &str) -> Result<(), BellError> {
        super::budget::check(path_of("").as_path(), BYTES as u64).map_err(creation)?;
        let map = Map::create(temporary, BYTES).map_err(creation)?;
        let file = open_checked(temporary)?;
        reserve(&file, BYTES as u64)?;
        for (offset, value) in [(0, MAGIC), (8, VERSION)] {
            file.write_all_at(&value.to_le_bytes(), offset)?;
        }
        drop(map);
        Ok(())
    }

    #[allow(unsafe_code)]
    fn word(&self, bell: u32, offset: usize) -> &AtomicU32 {
        let at = HEADER_BYTES + bell as usize * BELL_BYTES + offset;
        assert!((bell as usize) < COUNT && at + size_of::<AtomicU64>() <= self.map.len());
        // SAFETY: in bounds, checked above; 4-byte aligned, since bases are pages.
        let word = unsafe { self.map.base().add(at) }.cast::<u32>();
        // SAFETY: the map lives as long as `self`, and the word is only touched atomically.
        unsafe { AtomicU32::from_ptr(word) }
    }
}

pub(super) fn timespec(time: Duration) -> futex::Timespec {
    futex::Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

fn creation(error: CreateError) -> BellError {
    match error {
        CreateError::Io(error) => BellError::Io(error),
        error => BellError::Io(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A segment that goes with the test.
    struct Named(String);

    impl Drop for Named {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(path_of(&self.0));
        }
    }

    /// A ringer counts first and wakes afterwards, so its wake may meet the owner's next sleep.
    #[test]
    fn a_late_wake_ends_no_wait() {
        let name = Named(format!("ringtest-{}-late-wake.bells", std::process::id()));
        let bells = Bells::open_or_create(&name.0).unwrap();
        let held = bells.claim().unwrap();
        let bell = held.byte() as u32;
        let ticket = bells.ticket(bell);
        let word = bells.word(bell, WORD);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| bells.wait(bell, ticket, LONG));
            let mut woken = 0;
            while woken < 3 {
                assert!(!sleeper.is_finished(), "it ended after {woken} wakes and no ring");
                woken += futex::wake(word, futex::Flags::empty(), 1).unwrap();
                std::thread::yield_now();
            }
            bells.ring(u64::from(bell));
            assert!(sleeper.join().unwrap(), "it was rung, and says that its time was up");
        });
    }
}

//! The protocol's environment over the operating system.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::bells::Bells;
use super::blob::Blobs;
use super::letters::{self, Letters};
use super::segment::{self, DIRECTORY};
use super::{budget, lock};
use crate::core::words::letter::LetterFile;
use crate::core::{Environment, Life, Position, locks, patience};

/// Files, locks, bells and clock of one attached ring.
#[derive(Debug)]
pub(crate) struct Host {
    /// Takes no locks, so that it sees those of everybody.
    probe: File,
    /// A description for the table lock alone; the mutex keeps this process's threads apart.
    table: Mutex<File>,
    bells: Arc<Bells>,
    blobs: Blobs,
    segment: String,
    ring_id: u64,
    /// Bytes that the file of a group may have.
    letters_limit: u64,
    /// The files of groups, as far as this process has read them.
    letters: Mutex<HashMap<u16, Letters>>,
}

impl Host {
    pub(crate) fn new(
        file: File,
        bells: Arc<Bells>,
        segment: &str,
        ring_id: u64,
        letters_limit: u64,
    ) -> io::Result<Self> {
        super::fork::watch();
        let table = Mutex::new(lock::reopen(&file)?);
        let blobs = Blobs::new(segment, ring_id);
        Ok(Self {
            probe: file,
            table,
            bells,
            blobs,
            segment: segment.to_owned(),
            ring_id,
            letters_limit,
            letters: Mutex::default(),
        })
    }

    fn letters(&self) -> MutexGuard<'_, HashMap<u16, Letters>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lock on the group table, let go on drop, also by a panic of who holds it.
struct Locked<'a>(&'a File);

impl<'a> Locked<'a> {
    fn new(file: &'a File) -> io::Result<Option<Self>> {
        Ok(lock::try_lock(file, locks::TABLE)?.then_some(Self(file)))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        lock::unlock(self.0, locks::TABLE);
    }
}

/// Looks again and again, since neither a mutex nor a lock of the kernel's is waited for within a bound.
struct Wait {
    end: Instant,
    next: Cell<Duration>,
    longest: Duration,
}

impl Wait {
    /// The first pause, about as long as the lock is held, and the longest.
    const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(5));

    fn of(patience: Duration) -> Self {
        let (next, longest) = Self::PAUSES;
        Self { end: Instant::now() + patience, next: Cell::new(next), longest }
    }

    /// For what is held so shortly that whoever waits comes back soon.
    fn eagerly(patience: Duration) -> Self {
        Self { longest: Duration::from_micros(200), ..Self::of(patience) }
    }

    /// Sleeps a little; false when patience is at its end.
    fn a_moment(&self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let pause = self.next.get();
        self.next.set((pause * 2).min(self.longest));
        std::thread::sleep(pause.min(left));
        true
    }
}

impl Environment for Host {
    fn ring(&self, bell: u64) -> bool {
        self.bells.ring(bell)
    }

    fn held(&self, byte: u64) -> bool {
        lock::is_held(&self.probe, byte, 1)
    }

    fn held_any(&self, first: u64, count: u64) -> bool {
        lock::is_held(&self.probe, first, count)
    }

    fn hold(&self, byte: u64) -> io::Result<Option<Life>> {
        Ok(lock::hold(&self.probe, byte)?.map(|held| Box::new(held) as Life))
    }

    fn hold_within(&self, byte: u64, patience: Duration) -> io::Result<Option<Life>> {
        let wait = Wait::eagerly(patience);
        loop {
            match self.hold(byte)? {
                None if wait.a_moment() => {}
                held => return Ok(held),
            }
        }
    }

    #[cfg(all(test, loom))]
    fn kill(&self, _: u64) {}

    fn with_table(&self, patience: Duration, change: &mut dyn FnMut()) -> io::Result<bool> {
        let wait = Wait::of(patience);
        let file = loop {
            match self.table.try_lock() {
                Ok(file) => break file,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if wait.a_moment() => {}
                Err(TryLockError::WouldBlock) => return Ok(false),
            }
        };
        let locked = loop {
            match Locked::new(&file)? {
                Some(locked) => break locked,
                None if wait.a_moment() => {}
                None => return Ok(false),
            }
        };
        change();
        drop(locked);
        Ok(true)
    }

    fn joins_barriers(&self) -> bool {
        super::barrier::joined()
    }

    fn barrier(&self) -> bool {
        super::barrier::everywhere()
    }

    fn now_ns(&self) -> u64 {
        // Fails for no clock this kernel has.
        clock_gettime(ClockId::CLOCK_BOOTTIME)
            .map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
    }

    fn create_blob(&self, position: Position, parts: &[&[u8]]) -> io::Result<()> {
        self.blobs.create(position, parts)
    }

    fn has_blob(&self, position: Position, bytes: u64) -> io::Result<bool> {
        self.blobs.has(position, bytes)
    }

    fn read_blob(&self, position: Position, into: &mut [u8]) -> io::Result<()> {
        self.blobs.read(position, into)
    }

    fn remove_blob(&self, position: Position) {
        self.blobs.remove(position);
    }

    fn blobs(&self) -> io::Result<Vec<(Position, u64)>> {
        self.blobs.list()
    }

    fn reserve(&self, bytes: Range<usize>) -> io::Result<()> {
        budget::check(Path::new(DIRECTORY), bytes.len() as u64).map_err(io::Error::other)?;
        segment::reserve(&self.probe, bytes.start as u64..bytes.end as u64)
    }

    fn give_back(&self, bytes: Range<usize>) -> io::Result<()> {
        segment::give_back(&self.probe, bytes.start as u64..bytes.end as u64)
    }

    fn with_letters(
        &self,
        group: u16,
        made: bool,
        change: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        // Of this process, too, only one at a time: the lock is on a description of its own.
        let Some(_held) = self.hold_within(locks::letters(group), patience::CHANGING)? else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        // Taken out meanwhile, so that a panic leaves nothing half done behind.
        let known = self.letters().remove(&group);
        let known = match known {
            Some(mut letters) => letters.refresh()?.then_some(letters),
            None => None,
        };
        let opened = match known {
            Some(letters) => Some(letters),
            None => {
                let name = self.letters_name(group);
                Letters::open(&name, self.ring_id, self.letters_limit, made)?
            }
        };
        let Some(mut letters) = opened else { return Ok(false) };
        let outcome = change(&mut letters);
        // What cannot be tidied now can be another time.
        if letters.tidy().unwrap_or(true) {
            self.letters().insert(group, letters);
        }
        outcome.map(|()| true)
    }

    fn is_current(&self) -> bool {
        crate::refit::is_current(&self.probe, &self.segment)
    }

    fn wall_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    fn letters_name(&self, group: u16) -> String {
        Letters::name(&self.segment, self.ring_id, group)
    }

    fn remove_letters(&self, group: u16) {
        // Whoever is at work in it finishes first; one that is stopped is not waited for.
        let _held = self.hold_within(locks::letters(group), patience::LEAVING);
        self.letters().remove(&group);
        letters::remove(&self.letters_name(group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_lets_go_of_the_table() {
        let file = tempfile::tempfile().unwrap();
        let (own, other) = (lock::reopen(&file).unwrap(), lock::reopen(&file).unwrap());
        let panicked = std::panic::catch_unwind(|| {
            let _locked = Locked::new(&own).unwrap().unwrap();
            assert!(Locked::new(&other).unwrap().is_none());
            panic!("while the table is changed");
        });
        assert!(panicked.is_err());
        assert!(Locked::new(&other).unwrap().is_some());
    }
}

//! The protocol's environment over the operating system.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::bells::Bells;
use super::blob::Blobs;
use super::lock;
use crate::core::{Environment, Life, Position, locks};

/// Files, locks, bells and clock of one attached ring.
#[derive(Debug)]
pub(crate) struct Host {
    /// Takes no locks, so that it sees those of everybody.
    probe: File,
    /// A description for the table lock alone; the mutex keeps this process's threads apart.
    table: Mutex<File>,
    bells: Arc<Bells>,
    blobs: Blobs,
}

impl Host {
    pub(crate) fn new(file: File, bells: Arc<Bells>, blobs: Blobs) -> io::Result<Self> {
        super::fork::watch();
        let table = Mutex::new(lock::reopen(&file)?);
        Ok(Self { probe: file, table, bells, blobs })
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
}

impl Wait {
    /// The first pause, about as long as the lock is held, and the longest.
    const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(5));

    fn of(patience: Duration) -> Self {
        Self { end: Instant::now() + patience, next: Cell::new(Self::PAUSES.0) }
    }

    /// Sleeps a little; false when patience is at its end.
    fn a_moment(&self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let pause = self.next.get();
        self.next.set((pause * 2).min(Self::PAUSES.1));
        std::thread::sleep(pause.min(left));
        true
    }
}

impl Environment for Host {
    fn ring(&self, bell: u64) {
        self.bells.ring(bell);
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

//! The protocol's environment over the operating system.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

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
        let table = Mutex::new(lock::reopen(&file)?);
        Ok(Self { probe: file, table, bells, blobs })
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

    fn with_table(&self, wait: bool, change: &mut dyn FnMut()) -> io::Result<bool> {
        let file = if wait {
            self.table.lock().unwrap_or_else(PoisonError::into_inner)
        } else {
            match self.table.try_lock() {
                Ok(file) => file,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(false),
            }
        };
        if wait {
            lock::lock(&file, locks::TABLE)?;
        } else if !lock::try_lock(&file, locks::TABLE)? {
            return Ok(false);
        }
        change();
        lock::unlock(&file, locks::TABLE);
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

    fn check_blob(&self, position: Position, bytes: u64) -> io::Result<()> {
        self.blobs.check(position, bytes)
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

//! The protocol's environment inside one process: rings on the heap, of which nobody else knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mixcord_memory::Heap;
use nix::time::{ClockId, clock_gettime};

use super::bells::Bells;
use super::letters_list::LetterList;
use super::segment::random_id;
use crate::core::layout::Layout;
use crate::core::memory::Memory;
use crate::core::words::letter::LetterFile;
use crate::core::{Core, Environment, Life, Position, initialise};
use crate::error::CreateError;

/// The rings of a private namespace, by their names.
#[derive(Debug, Default)]
pub(crate) struct Rings(Mutex<HashMap<String, Arc<Core>>>);

impl Rings {
    /// Makes a ring; `None` when there is one of that name.
    pub(crate) fn make(
        &self,
        name: &str,
        layout: Layout,
        bells: &Arc<Bells>,
    ) -> Result<Option<Arc<Core>>, CreateError> {
        let mut rings = lock(&self.0);
        if rings.contains_key(name) {
            return Ok(None);
        }
        let id = random_id()?;
        let memory = Memory::new(Box::new(Heap::new(layout.total)));
        initialise(&memory, &layout, id);
        let letters_limit = layout.geometry.letters_bytes();
        let (held, table, blobs, letters) = Default::default();
        let bells = Arc::clone(bells);
        let environment = Private { bells, held, table, blobs, letters, letters_limit };
        let core = Arc::new(Core::new(memory, layout, id, Box::new(environment)));
        rings.insert(name.to_owned(), Arc::clone(&core));
        Ok(Some(core))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Core>> {
        lock(&self.0).get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    /// Forgets a ring; who has it open keeps it until he lets go. Whether there was one.
    pub(crate) fn forget(&self, name: &str) -> bool {
        lock(&self.0).remove(name).is_some()
    }
}

/// What files and locks are to a ring of a file, in memory.
#[derive(Debug)]
struct Private {
    bells: Arc<Bells>,
    held: Held,
    table: Mutex<()>,
    blobs: Mutex<BTreeMap<Position, Vec<u8>>>,
    letters: Mutex<HashMap<u16, LetterList>>,
    letters_limit: u64,
}

/// Bytes that are locked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<BTreeSet<u64>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Lock {
    byte: u64,
    of: Held,
}

impl Held {
    /// Locks a byte; `None` when it is locked.
    pub(crate) fn hold(&self, byte: u64) -> Option<Life> {
        let free = lock(&self.0).insert(byte);
        free.then(|| Box::new(Lock { byte, of: self.clone() }) as Life)
    }

    fn any(&self, first: u64, count: u64) -> bool {
        lock(&self.0).range(first..first + count).next().is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        lock(&self.of.0).remove(&self.byte);
    }
}

impl Environment for Private {
    fn ring(&self, bell: u64) -> bool {
        self.bells.ring(bell)
    }

    fn held(&self, byte: u64) -> bool {
        self.held.any(byte, 1)
    }

    fn held_any(&self, first: u64, count: u64) -> bool {
        self.held.any(first, count)
    }

    fn hold(&self, byte: u64) -> io::Result<Option<Life>> {
        Ok(self.held.hold(byte))
    }

    /// Its holder is a thread of this process, which lets go.
    fn hold_within(&self, byte: u64, patience: Duration) -> io::Result<Option<Life>> {
        let end = std::time::Instant::now() + patience;
        loop {
            match self.hold(byte)? {
                None if std::time::Instant::now() < end => std::thread::yield_now(),
                held => return Ok(held),
            }
        }
    }

    #[cfg(all(test, loom))]
    fn kill(&self, _: u64) {}

    /// Its holder is a thread of this process, which lets go.
    fn with_table(&self, _: Duration, change: &mut dyn FnMut()) -> io::Result<bool> {
        let _held = lock(&self.table);
        change();
        Ok(true)
    }

    fn now_ns(&self) -> u64 {
        clock_gettime(ClockId::CLOCK_BOOTTIME)
            .map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
    }

    fn create_blob(&self, position: Position, parts: &[&[u8]]) -> io::Result<()> {
        lock(&self.blobs).insert(position, parts.concat());
        Ok(())
    }

    fn has_blob(&self, position: Position, bytes: u64) -> io::Result<bool> {
        Ok(lock(&self.blobs).get(&position).is_some_and(|blob| blob.len() as u64 == bytes))
    }

    fn read_blob(&self, position: Position, into: &mut [u8]) -> io::Result<()> {
        let blobs = lock(&self.blobs);
        let blob = blobs.get(&position).filter(|blob| blob.len() == into.len());
        into.copy_from_slice(blob.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }

    fn remove_blob(&self, position: Position) {
        lock(&self.blobs).remove(&position);
    }

    fn blobs(&self) -> io::Result<Vec<(Position, u64)>> {
        Ok(lock(&self.blobs).iter().map(|(at, blob)| (*at, blob.len() as u64)).collect())
    }

    fn with_letters(
        &self,
        group: u16,
        made: bool,
        change: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut all = lock(&self.letters);
        if made {
            all.entry(group).or_insert_with(|| LetterList::new(self.letters_limit));
        }
        let Some(letters) = all.get_mut(&group) else { return Ok(false) };
        letters.begin();
        change(letters).map(|()| true)
    }

    fn wall_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }

    fn remove_letters(&self, group: u16) {
        lock(&self.letters).remove(&group);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

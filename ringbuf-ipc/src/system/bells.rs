//! The segment of a namespace's bells, `{prefix}.bells`: a place for each process, held by a lock.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use super::lock;
#[cfg(feature = "tokio")]
use super::nudge::Nudge;
use super::private::Held;
use super::segment::{
    Map, open_checked, path_of, random_id, rename_exclusively, reserve, sweep_drafts,
};
use crate::core::Life;
use crate::core::doorbell::{BYTES, COUNT, Doorbells, Memory};
use crate::error::{AttachError, BellError, CreateError};

const MAGIC: u64 = u64::from_le_bytes(*b"MIXBELLS");
const VERSION: u64 = 1;

/// The bells of a namespace.
#[derive(Debug)]
pub(crate) struct Bells {
    doorbells: Doorbells,
    places: Places,
}

/// Where places are held.
#[derive(Debug)]
enum Places {
    /// By locks of the segment's file.
    File { file: File, inode: u64 },
    /// Of one process alone.
    Private(Held),
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

    /// Bells of this process alone.
    pub(crate) fn private() -> Self {
        let memory = Memory::new(Box::new(mixcord_memory::Heap::new(BYTES)));
        Self { doorbells: Doorbells::new(memory), places: Places::Private(Held::default()) }
    }

    /// Whether `name` still names this segment.
    pub(crate) fn is_current(&self, name: &str) -> bool {
        match &self.places {
            Places::File { inode, .. } => {
                std::fs::symlink_metadata(path_of(name)).is_ok_and(|meta| meta.ino() == *inode)
            }
            Places::Private(_) => true,
        }
    }

    /// Whether two maps are of one segment.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.places, &other.places) {
            (Places::File { inode, .. }, Places::File { inode: other, .. }) => inode == other,
            _ => std::ptr::eq(self, other),
        }
    }

    /// Claims a place: its number, and what holds it.
    pub(crate) fn claim(&self) -> Result<(u32, Life), BellError> {
        // Processes begin their search at different places, so that it is short.
        let first = u64::from(std::process::id());
        let mut places = (0..COUNT as u64).map(|step| (first + step) % COUNT as u64);
        let held = match &self.places {
            Places::File { file, .. } => {
                lock::hold_any(file, places)?.map(|held| (held.byte(), Box::new(held) as Life))
            }
            Places::Private(held) => places.find_map(|place| Some((place, held.hold(place)?))),
        };
        let (place, held) = held.ok_or(BellError::Full { limit: COUNT })?;
        self.doorbells.reset(place as u32);
        Ok((place as u32, held))
    }

    /// Whether any place of the segment of that name is held.
    pub(crate) fn in_use(name: &str) -> bool {
        open_checked(name).is_ok_and(|file| lock::is_held(&file, 0, COUNT as u64))
    }

    pub(crate) fn ticket(&self, bell: u32) -> u32 {
        self.doorbells.ticket(bell)
    }

    /// Rings a bell. No system call when its owner is awake. True when somebody was woken.
    pub(crate) fn ring(&self, bell: u64) -> bool {
        self.doorbells.ring(bell)
    }

    /// Sleeps until the bell is rung after `ticket` was taken; false when the time was up first.
    pub(crate) fn wait(&self, bell: u32, ticket: u32, timeout: Duration) -> bool {
        self.doorbells.wait(bell, ticket, timeout)
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
        self.doorbells.wait_by(bell, ticket, timeout, nudged, |memory, word, left| {
            nudge.sleep(seen, memory.word32(word), ticket, left);
        })
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
        let doorbells = Doorbells::new(Memory::new(Box::new(map)));
        let bells = Self { doorbells, places: Places::File { file, inode: meta.ino() } };
        if !bells.is_current(name) {
            return Err(AttachError::NotFound { name: name.to_owned() }.into());
        }
        Ok(bells)
    }

    fn create(name: &str) -> Result<(), BellError> {
        sweep_drafts(name);
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
        reserve(&file, 0..BYTES as u64)?;
        for (offset, value) in [(0, MAGIC), (8, VERSION)] {
            file.write_all_at(&value.to_le_bytes(), offset)?;
            mixcord_memory::__kill::point();
        }
        drop(map);
        Ok(())
    }
}

fn creation(error: CreateError) -> BellError {
    match error {
        CreateError::Io(error) => BellError::Io(error),
        error @ CreateError::NoSpace { .. } => BellError::NoSpace(Box::new(error)),
        error => BellError::Io(io::Error::other(error)),
    }
}

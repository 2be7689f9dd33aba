//! Where the annotator keeps its state.

mod disk;
mod lmdb;
mod loaded;
mod memory;
mod noted;
mod notes;
mod open;
mod place;

pub use disk::{DiskError, DiskStore, Fate};
pub use loaded::CopyFrom;
pub use memory::MemoryStore;
pub use noted::Noted;
pub use notes::{Notes, Subject};
pub use open::{BATCH_BYTES_MAX, OpenBatch};
pub use place::announce;

use mixcord_event::{Atom, Map};
use mixcord_state::{Key, Range, Read, StoreError};

/// Tables that can be read and changed.
pub trait Store: Read {
    /// Stores the concatenation of `parts` under `key`.
    fn put(&mut self, key: Key, parts: &[&[u8]]);

    /// Removes what stands under `key`, if anything does.
    fn delete(&mut self, key: Key);

    /// Removes everything in `range`.
    fn delete_range(&mut self, range: Range) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        self.keys(range, &mut |key| {
            keys.push(key);
            true
        })?;
        keys.into_iter().for_each(|key| self.delete(key));
        Ok(())
    }

    /// About the bytes of memory that changes take until they are committed.
    fn changed_bytes(&self) -> usize {
        0
    }

    /// What of that one key takes at least.
    fn key_bytes(&self) -> usize {
        128
    }

    /// Whether all who read it put the member into a voice state: not so a program that knows no later version than
    /// that of this store (P11).
    fn composes_voice_states(&self) -> bool {
        true
    }

    /// Whether what is known about a channel lies in one value with its guild: not so where a program may read it that
    /// knows it in two (P11).
    fn has_channels_whole(&self) -> bool {
        true
    }

    /// Whether it was noted that merging `document`, without the members under `except`, over what is
    /// stored about `subject` changes nothing. A store may forget any note, and forgets all about a
    /// subject that changes.
    fn knows(&self, _subject: Subject, _document: Map<'_>, _except: &[Atom]) -> bool {
        false
    }

    /// Notes that. What is put in needs no note: a store may know it already.
    fn note(&mut self, _subject: Subject, _document: Map<'_>, _except: &[Atom]) {}
}

/// Tables that may be changed in parts, each of them settled by itself.
pub trait Tables: Store {
    /// Makes what was changed so far the state.
    fn settle(&mut self) -> Result<(), StoreError>;
}

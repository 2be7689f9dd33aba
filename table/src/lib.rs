//! A map in shared memory: one process writes, any number read, and none waits for another.
//!
//! Values lie under a table's number and one or two ids. The writer commits whole batches; a reader
//! takes no lock, is registered nowhere and holds nothing up, and gets each value whole, as the last
//! batch that it can know of left it, or a later one. `kill -9` of the writer at any instruction leaves
//! the last committed batch; nothing is written to disk, nothing outlives the machine's memory.
//!
//! * [`Writer::put`] writes a value into a free place; [`Writer::commit`] writes what is to change into the
//!   redo ring, then one store commits the batch, then the slots are stored. A start stores them again where they may be
//!   missing: nothing is ever taken back, and nobody sees what is not committed.
//! * [`Reader::get`] is one line of a bucket and the value's own lines.
//! * [`Reader::ids`] and [`Reader::owners`] give keys in order, a page at a time, while the writer goes on.
//!
//! README.md draws every byte.

mod batch;
#[cfg(all(test, not(loom)))]
mod batch_tests;
#[cfg(all(test, not(loom)))]
mod coarse_tests;
mod commit;
#[cfg(not(loom))]
mod copying;
#[cfg(all(test, not(loom)))]
mod damage_tests;
mod error;
#[cfg(not(loom))]
mod file;
mod find;
#[cfg(not(loom))]
mod ground;
mod heap;
#[cfg(test)]
mod heap_tests;
mod index;
mod journal;
mod key;
mod layout;
mod lists;
mod look;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
mod mapped;
mod moment;
#[cfg(all(test, not(loom)))]
mod moment_tests;
#[cfg(not(loom))]
mod moving;
#[cfg(not(loom))]
mod pouring;
mod reader;
mod redo;
mod sizes;
mod space;
mod split;
mod start;
#[cfg(all(test, not(loom)))]
mod tests;
mod totals;
mod writer;

pub use error::{CommitError, CopyError, Damage, OpenError, ReadError};
#[cfg(not(loom))]
pub use file::FileWriter;
pub use key::{Key, TableId};
pub use layout::{LAYOUT_VERSION, UNIT_BYTES, VALUE_HEAD_BYTES, VALUE_MAX};
pub use moment::{Moment, Want};
#[cfg(not(loom))]
pub use pouring::Sink;
pub use reader::{Batches, Reader};
pub use totals::Totals;
pub use writer::{Limits, Note, Usage, Writer};

//! What the gateway wrote into the shard rings of an instance, in a file; and back into those of another instance.
//!
//! [`Recorder`] looks on at the shard rings and [writes](Writer) what comes; [`Reader`] gives it back; [`Player`] writes it
//! into shard rings as a gateway would have done, so that a cache and consumers behave as they did. The bytes of a file
//! are described in this crate's README.
//!
//! The shard rings are what is recorded, and not the output ring, for everything else follows from them: a cache is a
//! function of its state and their records (I10).

mod error;
mod frame;
mod player;
mod reader;
mod recorder;
mod redact;
mod writer;

pub use error::{ReadError, RecordError, ReplayError};
pub use frame::{Head, Item, RingOf};
pub use player::{Played, Player, Progress, Speed};
pub use reader::Reader;
pub use recorder::{Recorded, Recorder, Wanted};
pub use redact::Redactor;
pub use writer::Writer;

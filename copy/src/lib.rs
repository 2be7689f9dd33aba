//! A copy of the cache's state in a stream, and back into a store.
//!
//! [`write()`] pours the state of one moment, while its cache goes on; [`load`] puts it into an empty store, all of it or
//! nothing. The bytes are described in this crate's README.

mod error;
mod frame;
mod inputs;
mod reading;
mod writing;

pub use error::{LoadError, WriteError};
pub use inputs::inputs;
pub use reading::{Loaded, load};
pub use writing::{Copied, Progress, write};

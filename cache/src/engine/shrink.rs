//! After guilds left, the store goes over into a smaller file, some of it at a time and while no record waits.
//!
//! The smaller one says of which store it is a copy before it is in place, so that a process killed right then is followed
//! by one that finds it to be its own, though the output ring still names the other.

use std::time::Instant;

use mixcord_state::{StoreError, Writer};

use super::rest::{PAUSE, Turn};
use super::{Engine, EngineError};
use crate::kill;

/// Buckets of the table that are copied between two looks whether a record came: well below a millisecond.
const BUCKETS: u64 = 256;

/// Goes on; true once the store is the smaller one.
pub(super) fn turn(writer: &mut Writer, mut turn: Turn<'_>) -> Result<bool, StoreError> {
    loop {
        kill::point();
        if writer.shrink(BUCKETS)? {
            return Ok(true);
        }
        if turn.is_over() {
            return Ok(false);
        }
    }
}

impl Engine {
    /// How far a turn came.
    pub(super) fn shrunk(&mut self, done: Result<bool, StoreError>) -> Result<(), EngineError> {
        match done {
            Ok(false) => Ok(()),
            Ok(true) => {
                kill::point();
                // Readers open the store that stands there.
                self.set_checkpoint();
                self.out.publish();
                kill::point();
                if let Some(store) = &self.store {
                    let bytes = store.writer().usage().allocated_bytes;
                    tracing::info!(
                        bytes,
                        "the store has a smaller file: it held much less than before"
                    );
                }
                Ok(())
            }
            Err(error) if error.is_damage() => Err(error.into()),
            // More changed than can be copied beside: the file stays as it is, and nothing is wrong.
            Err(StoreError::Unsettled) => {
                tracing::debug!("the store changes faster than it gets a smaller file: later");
                self.rest.shrinks = Instant::now() + PAUSE;
                Ok(())
            }
            Err(error) => {
                tracing::warn!("the store cannot get a smaller file now: {error}");
                if let Some(store) = &mut self.store {
                    store.writer_mut().discard();
                }
                self.rest.shrinks = Instant::now() + PAUSE;
                Ok(())
            }
        }
    }
}

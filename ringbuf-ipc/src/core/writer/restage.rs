//! What a producer finds beyond its tail, left by one that died: records to adopt, files to sweep.

use super::Writer;
use crate::core::Position;
use crate::core::descriptor::Descriptor;

/// Why records beyond the tail could not be adopted. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestageError {
    /// The intended tail lies before the tail or more than the ring beyond it.
    #[error("intended tail {intended} is not within the ring after tail {tail}")]
    OutOfRange {
        /// What was asked for.
        intended: Position,
        /// The tail.
        tail: Position,
    },
    /// There are staged records already.
    #[error("{staged} records are staged already")]
    Staged {
        /// How many.
        staged: u64,
    },
    /// What stands at `position` is no complete record.
    #[error("no complete record at position {position}")]
    Invalid {
        /// The first such position.
        position: Position,
    },
}

impl Writer {
    pub(crate) fn restage(&mut self, intended: Position) -> Result<(), RestageError> {
        if self.staged != self.tail {
            return Err(RestageError::Staged { staged: self.staged - self.tail });
        }
        let slots = u64::from(self.core.layout.geometry.slots);
        if intended < self.tail || intended - self.tail >= slots {
            return Err(RestageError::OutOfRange { intended, tail: self.tail });
        }
        let mut head = self.head;
        let mut blobs = Vec::new();
        for position in self.tail..intended {
            let invalid = RestageError::Invalid { position };
            let entry = Descriptor::load(&self.core, position).ok_or_else(|| invalid.clone())?;
            let gap = entry.offset.wrapping_sub(head);
            if gap >= self.core.layout.geometry.payload_bytes {
                return Err(invalid);
            }
            if entry.is_blob() {
                blobs.push((position, u64::from(entry.length)));
            }
            head = entry.end();
        }
        let files = self.core.environment.blobs().unwrap_or_default();
        if let Some(missing) = blobs.iter().find(|blob| files.binary_search(blob).is_err()) {
            return Err(RestageError::Invalid { position: missing.0 });
        }
        self.blob_bytes += blobs.iter().map(|&(_, bytes)| bytes).sum::<u64>();
        self.blobs.extend(blobs);
        self.staged = intended;
        self.head = head;
        self.checkpoint.restage(intended);
        Ok(())
    }

    /// Files of records: those that a group or an observer may still read are kept, those past removed,
    /// those beyond the tail are left for `restage` to claim or the first new record to sweep.
    ///
    /// `kept` is the oldest record to keep, found before the files are looked at.
    pub(super) fn adopt_blobs(&mut self, kept: Position) {
        for (position, bytes) in self.core.environment.blobs().unwrap_or_default() {
            if position >= self.tail {
                self.orphans = true;
            } else if position < kept {
                self.core.environment.remove_blob(position);
            } else {
                self.blobs.push_back((position, bytes));
                self.blob_bytes = self.blob_bytes.saturating_add(bytes);
            }
        }
    }
}

//! A store that holds much less than it did goes over into a smaller file: of what it grew to it gives nothing back in
//! any other way, since readers may look at any of it.

use crate::{StoreError, Writer, meta};

/// What has to be gained, bytes: below it is not worth that readers open another file.
const GAIN_MIN: u64 = 16 << 20;

impl Writer {
    /// Whether the file is more than twice as long as it would have to be, by 16 MiB at least; or is on its way into a
    /// smaller one.
    #[must_use]
    pub fn is_to_shrink(&self) -> bool {
        let spare = self.table.spare_bytes();
        let whole = self.table.usage().allocated_bytes;
        self.table.is_shrinking() || (spare >= GAIN_MIN && spare >= whole / 2)
    }

    /// Copies some of the store, `buckets` of its table, into a smaller file, to be called between batches; true once this
    /// writer has gone over into it. It is the same state under another id, and says of which store it is a copy
    /// ([`meta::COPIED_FROM`]). Who reads the old file is told [`StoreError::Moved`].
    ///
    /// # Errors
    /// The store is as it was, and the next call begins anew.
    pub fn shrink(&mut self, buckets: u64) -> Result<bool, StoreError> {
        if !self.table.is_shrinking() {
            let id = self.id().to_le_bytes();
            self.put(meta::COPIED_FROM, &[&id])?;
            self.commit(self.output())?;
        }
        Ok(self.table.shrink(buckets)?)
    }
}

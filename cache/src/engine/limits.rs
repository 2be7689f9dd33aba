//! What one batch may take.

/// Records of a batch at most.
pub(super) const RECORDS_MAX: usize = 1024;

/// Bytes of one output at most: no ring takes more.
pub(super) const OUTPUT_BYTES_MAX: u64 = mixcord_ring::RECORD_MAX;

//! What one batch may take.

/// Records of a batch at most.
pub(super) const RECORDS_MAX: usize = 8192;

/// Bytes of changes after which a batch ends; one record's changes may go beyond.
pub(super) const CHANGES_BYTES_MAX: usize = 16 << 20;

/// After so many records their changes go into the transaction: soon enough that the pages from which
/// they were read are still near.
pub(super) const SPILL_RECORDS: usize = 32;

/// Bytes of one output at most: no ring takes more.
pub(super) const OUTPUT_BYTES_MAX: u64 = mixcord_ring::RECORD_MAX;

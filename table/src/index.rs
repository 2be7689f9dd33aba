//! Where the buckets lie, as the writer itself knows it: nobody else adds any.

use crate::layout::{BUCKET, CHUNK_BUCKETS, bucket_of};

/// The buckets there are.
#[derive(Debug, Default)]
pub(crate) struct Index {
    buckets: u64,
    /// Where each chunk of them begins.
    chunks: Vec<u64>,
}

impl Index {
    pub(crate) fn buckets(&self) -> u64 {
        self.buckets
    }

    /// Chunks that hold buckets, or are to.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    pub(crate) fn add_chunk(&mut self, at: u64) {
        self.chunks.push(at);
    }

    /// There are `buckets` by now, all of them in chunks that were added.
    pub(crate) fn set_buckets(&mut self, buckets: u64) {
        assert!(buckets > 0 && buckets.div_ceil(CHUNK_BUCKETS) <= self.chunks());
        self.buckets = buckets;
    }

    /// Where a bucket lies.
    #[inline]
    pub(crate) fn at(&self, bucket: u64) -> u64 {
        self.chunks[(bucket / CHUNK_BUCKETS) as usize] + bucket % CHUNK_BUCKETS * BUCKET
    }

    /// Where the bucket of a hash lies.
    #[inline]
    pub(crate) fn of(&self, hash: u64) -> u64 {
        self.at(bucket_of(hash, self.buckets))
    }
}

//! The last events, for all clients that keep up.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Batch;

/// Bytes of events that are kept. Their text is made once for all clients, and kept with them.
const BYTES_MAX: usize = 8 << 20;

/// Batches of one ring, without holes.
#[derive(Default)]
pub(super) struct Window {
    ring: Option<u64>,
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
}

impl Window {
    pub(super) fn of(ring: u64) -> Self {
        Self { ring: Some(ring), ..Self::default() }
    }

    pub(super) const fn ring(&self) -> Option<u64> {
        self.ring
    }

    /// The position behind the last event; `None` before the first.
    pub(super) fn end(&self) -> Option<u64> {
        self.batches.back().map(|batch| batch.end)
    }

    /// The batch that has this position.
    pub(super) fn at(&self, position: u64) -> Option<Arc<Batch>> {
        let behind = self.batches.partition_point(|batch| batch.end <= position);
        self.batches.get(behind).filter(|batch| batch.first <= position).cloned()
    }

    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        if self.end().is_some_and(|end| end != batch.first) {
            self.batches.clear();
            self.bytes = 0;
        }
        self.bytes += batch.bytes;
        self.batches.push_back(batch);
        while self.bytes > BYTES_MAX
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }
}

//! Room for records, and waiting for it.

use std::time::{Duration, Instant};

use super::Producer;

/// The longest single sleep: a consumer killed before it rings is made up for by this.
const TICK: Duration = Duration::from_millis(50);

impl Producer {
    /// Records that could be staged now, as far as descriptors go.
    pub fn free_records(&mut self) -> u64 {
        self.writer.free_records()
    }

    /// Payload bytes free now. A record takes its length rounded up to 64, and up to as much again
    /// where it would not lie in one piece.
    pub fn free_payload(&mut self) -> u64 {
        self.writer.free_payload()
    }

    /// Whether a record of `bytes` bytes, or of any fewer, could be staged now.
    pub fn has_space(&mut self, bytes: usize) -> bool {
        self.writer.has_space(bytes as u64)
    }

    /// Whether records of these lengths could all be staged now, one behind the other. Otherwise how many bytes to
    /// [wait for](Self::arm_space).
    ///
    /// # Errors
    /// There is no room for them, or may be none: so many bytes they take at least.
    pub fn has_space_for(&mut self, lengths: impl Iterator<Item = usize>) -> Result<(), usize> {
        let inline_max = self.geometry().inline_bytes() as usize;
        let (mut count, mut total, mut largest) = (0, 0, 0);
        for length in lengths {
            count += 1;
            // A longer one has a file of its own.
            if length <= inline_max {
                total += length.next_multiple_of(64);
                largest = largest.max(length);
            }
        }
        let fits = if count == 1 {
            self.has_space(largest)
        } else {
            // What does not lie in one piece leaves a hole of less than the largest behind.
            self.free_records() >= count
                && self.free_payload() >= (total + largest.next_multiple_of(64)) as u64
        };
        if fits { Ok(()) } else { Err(total.min(inline_max)) }
    }

    /// Sleeps until a record of `bytes` bytes can be staged: what a full ring asks for. Publish first.
    ///
    /// ```
    /// # use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Producer, StageError, Start};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let namespace = Namespace::private();
    /// # let bell = namespace.bell()?;
    /// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
    /// # use std::time::Duration;
    /// # let group = GroupSpec::durable("slow").from(Start::Earliest);
    /// # let mut producer = Producer::create(&namespace, "events", geometry, &[group], &bell)?;
    /// let record = [0; 1000];
    /// while producer.stage(&Meta::default(), &[&record]).is_ok() {
    ///     producer.publish();
    /// }
    /// // Nobody reads: the wait ends with its time, and the producer may look after other things.
    /// assert!(!producer.wait_space(record.len(), Duration::from_millis(1)));
    /// assert!(matches!(producer.stage(&Meta::default(), &[&record]), Err(StageError::Full)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// False when `timeout` was over first, and
    /// at once when only [`publish`](Self::publish) could make room.
    pub fn wait_space(&mut self, bytes: usize, timeout: Duration) -> bool {
        let writer = &mut self.writer;
        if self.spin.look(|| writer.has_space(bytes as u64)) {
            return true;
        }
        let end = Instant::now().checked_add(timeout);
        let tick = TICK.min(self.writer.core.tick());
        loop {
            let ticket = self.bell.ticket();
            if self.writer.arm_space(bytes as u64) && self.writer.has_space(bytes as u64) {
                return true;
            }
            if !self.writer.could_have_space(bytes as u64) {
                return false;
            }
            let left = end.map_or(tick, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return self.writer.has_space(bytes as u64);
            }
            self.spin.sleep(&self.bell, ticket, left.min(tick));
        }
    }

    /// Has the bell rung once a record of `bytes` bytes fits. True when it fits now.
    ///
    /// A bell is also rung for other reasons; look again with [`has_space`](Self::has_space).
    pub fn arm_space(&mut self, bytes: usize) -> bool {
        self.writer.arm_space(bytes as u64)
    }

    /// Waits until a record of `bytes` bytes can be staged. `bell` must be over this producer's bell.
    /// Publish first: nothing else makes room that staged records take.
    #[cfg(feature = "tokio")]
    pub async fn space(&mut self, bytes: usize, bell: &crate::AsyncBell) {
        loop {
            let ticket = bell.ticket();
            if self.arm_space(bytes) && self.has_space(bytes) {
                return;
            }
            bell.notified_within(ticket, TICK.min(self.writer.core.tick())).await;
        }
    }
}

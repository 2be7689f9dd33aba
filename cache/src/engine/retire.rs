//! Rings of a former shard count go by themselves.
//!
//! A ring whose count is not in force any more, whose gateway is gone, and of which every group has read all,
//! is kept for a while: its session can be resumed for some minutes, should its gateway come back. Then
//! the cache lets go of it, marks its position as *ended*, and removes it once a commit holds the mark: one
//! of its own, where no record comes. So a kill between the two leaves a ring that is known to be read, and never
//! a loss that was none.
//!
//! Rings whose sessions were closed for good, by a change of the shard count without a pause, are not kept for that while.

use std::time::Duration;

use mixcord_event::topology;
use mixcord_ring::{RemoveError, Ring};
use mixcord_state::InputPosition;

use super::Engine;
use super::input::is_written;

impl Engine {
    /// Lets go of old rings that are over, and removes those of which that is committed.
    pub(super) fn retire_old_counts(&mut self, kept: Duration) {
        let Some(current) = self.reached.shards else { return };
        let of_old = |key: &&(u16, u16)| key.0 != current;
        let old: Vec<_> = self.reached.positions.keys().filter(of_old).copied().collect();
        let left = self.notice.left();
        for key in old {
            let kept = if left == Some(key.0) { Duration::ZERO } else { kept };
            if self.reached.positions.get(&key).is_some_and(InputPosition::is_ended) {
                if self.reached.positions.held().get(&key).is_some_and(InputPosition::is_ended) {
                    self.remove_ended(key);
                }
            } else if let Some(input) = self.inputs.get_mut(&key)
                && input.is_over_since(kept)
            {
                let id = input.id();
                self.inputs.remove(&key);
                self.reached.positions.insert(key, InputPosition::ended(id));
                self.reached.has_ended = true;
            }
        }
    }

    fn remove_ended(&self, (shards, shard): (u16, u16)) {
        let name = topology::shard_ring(shard, shards);
        match self.namespace.remove_drained_ring(&name) {
            Ok(true) => tracing::info!(
                ring = name,
                "removed: it was read to its end, and another shard count is in force"
            ),
            // Whoever uses it is found by the next look.
            Ok(false) | Err(RemoveError::InUse { .. } | RemoveError::NotFound { .. }) => {}
            Err(error) => tracing::debug!(ring = name, %error, "it stays"),
        }
    }

    /// Whether a ring is the one that was let go, and nobody has used it since.
    pub(super) fn is_ended(&self, key: (u16, u16), name: &str) -> bool {
        let Some(known) = self.reached.positions.get(&key).filter(|known| known.is_ended()) else {
            return false;
        };
        let ring = Ring::attach(&self.namespace, name);
        ring.is_ok_and(|ring| known.is_of(ring.id().0) && !is_written(&ring) && ring.is_drained())
    }
}

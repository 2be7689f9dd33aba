//! Which rings are read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mixcord_event::{Reason, topology};
use mixcord_state::InputPosition;

use super::gap::Gap;
use super::input::{FileId, Input};
use super::{Engine, EngineError};

/// How often it is said of a ring that it cannot be read.
pub(super) const REMIND: Duration = Duration::from_secs(10);

impl Engine {
    /// Joins the shard rings that appeared, and those that were made anew. One that cannot be read
    /// stops its own shard only.
    pub(super) fn discover(&mut self) -> Result<(), EngineError> {
        let is_changed = self.listing.look(&self.namespace).map_err(EngineError::List)?;
        if is_changed && !self.listing.files.is_empty() {
            // A copy that is to be begun with is there before the first ring of its shards.
            self.take_copy()?;
        }
        let files = std::mem::take(&mut self.listing.files);
        self.complaints.retain(|name, _| files.contains_key(name));
        for (name, file) in &files {
            let Some((shard, shards)) = topology::parse_shard_ring(name) else { continue };
            let key = (shards, shard);
            if let Some(input) = self.inputs.get_mut(&key)
                && (!is_changed && input.is_settled() || !input.is_over(Some(*file)))
            {
                continue;
            }
            if self.is_ended(key, name) {
                continue;
            }
            match Input::join(&self.namespace, name, &self.bell) {
                Ok(Some(input)) => self.welcome(key, input),
                Ok(None) => {}
                Err(error) => self.complain(name, &error.to_string()),
            }
        }
        // While the count changes both are read.
        if self.beside.is_none() {
            self.choose_shards();
            self.leave_old_counts(&files);
            self.retire_old_counts(self.old_rings_kept);
        }
        self.complain_of_others();
        self.listing.files = files;
        Ok(())
    }

    /// While the count changes, whoever writes rings of a third one waits until that is over.
    fn complain_of_others(&mut self) {
        let Some(beside) = &self.beside else { return };
        let is_other = |shards| beside.overlap.side(shards).is_none();
        let others = self.inputs.iter().filter(|(key, input)| is_other(key.0) && input.is_alive());
        let others: Vec<_> = others.map(|(key, _)| topology::shard_ring(key.1, key.0)).collect();
        for name in others {
            self.complain(
                &name,
                "it is of a third shard count, and the change to another one comes first",
            );
        }
    }

    fn complain(&mut self, name: &str, error: &str) {
        let now = Instant::now();
        if self.complaints.get(name).is_none_or(|said| now.duration_since(*said) >= REMIND) {
            tracing::error!(ring = name, "cannot read the ring: {error}");
            self.complaints.insert(name.to_owned(), now);
        }
    }

    /// Rings of the old shard count are drained before those of the new are read.
    fn choose_shards(&mut self) {
        let mut counts: Vec<u16> = self.inputs.keys().map(|&(shards, _)| shards).collect();
        counts.dedup();
        let current = self.reached.shards.filter(|current| counts.contains(current));
        if let Some(current) = current
            && (counts.len() == 1 || self.is_in_use(current))
        {
            return;
        }
        counts.retain(|&count| Some(count) != current);
        counts.retain(|&count| current.is_none() || self.is_in_use(count));
        // Of several the one with the oldest record; then one whose gateway lives.
        if let &[_, _, ..] = counts.as_slice() {
            counts.sort_by_cached_key(|&count| {
                (self.oldest_unread_us(count).unwrap_or(u64::MAX), !self.is_alive(count))
            });
        }
        if let Some(&count) = counts.first() {
            self.change_count(count);
        }
    }

    /// Forgets rings of other counts that are gone: should there be one of that name again, it is
    /// another ring, and read from its beginning. While they are there their positions stay, for their
    /// gateway may come back.
    fn leave_old_counts(&mut self, files: &BTreeMap<String, FileId>) {
        let Some(current) = self.reached.shards else { return };
        let is_gone = |&(shards, shard): &(u16, u16)| {
            shards != current && !files.contains_key(&topology::shard_ring(shard, shards))
        };
        let gone: Vec<_> = self.reached.positions.keys().copied().filter(is_gone).collect();
        for shard in gone {
            if self.inputs.get_mut(&shard).is_some_and(Input::is_in_use) {
                continue;
            }
            let input = self.inputs.remove(&shard);
            let is_known = self.reached.positions.get(&shard).is_some_and(InputPosition::is_ended)
                || input.is_some_and(|input| input.is_readable());
            if !is_known {
                // Nobody knows what else was in it (P3).
                self.batch.gaps.push(Gap { shard, reason: Reason::RingLost });
            }
            self.reached.positions.remove(shard);
        }
    }

    /// Whether rings of this count have a gateway or records.
    fn is_in_use(&mut self, shards: u16) -> bool {
        let mut inputs = self.inputs.range_mut((shards, 0)..=(shards, u16::MAX));
        inputs.any(|(_, input)| input.is_in_use())
    }

    fn is_alive(&self, shards: u16) -> bool {
        self.inputs.range((shards, 0)..=(shards, u16::MAX)).any(|(_, input)| input.is_alive())
    }
}

//! What decoding needs while a burst is read. Between two bursts nobody does, so that a process needs as
//! many of these as it has threads that read, however many shards it runs.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use mixcord_event::{Decoder, Limits, Warning};

/// So many names are told of by a process; a server that makes up names fills no memory and no log.
const TOLD_MAX: usize = 512;

/// A decoder with its buffers, and room for what is inflated.
pub(super) struct Workbench {
    pub(super) decoder: Decoder,
    pub(super) inflated: Vec<u8>,
}

/// All of a process.
pub struct Workbenches {
    limits: Limits,
    free: Mutex<Vec<Workbench>>,
    /// What was told of: each decoder knows only what it met itself.
    told: Mutex<HashSet<Warning>>,
}

impl std::fmt::Debug for Workbenches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbenches").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Workbenches {
    /// For messages of at most `message_max` bytes once decompressed.
    pub fn new(message_max: usize) -> Self {
        Self { limits: limits(message_max), free: Mutex::default(), told: Mutex::default() }
    }

    /// One for a burst.
    pub(super) fn take(&self) -> Workbench {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Workbench {
            decoder: Decoder::new(self.limits),
            inflated: Vec::new(),
        })
    }

    /// Those that no shard of the process has met before (P6: once).
    pub(super) fn unheard_of(&self, mut warnings: Vec<Warning>) -> Vec<Warning> {
        if warnings.is_empty() {
            return warnings;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.retain(|warning| told.len() < TOLD_MAX && told.insert(warning.clone()));
        warnings
    }

    /// The burst is over.
    pub(super) fn give_back(&self, workbench: Workbench) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(workbench);
    }
}

/// One option sets all limits of size. A document may be larger than its message: numbers and keys that
/// are not listed take more bytes in it.
fn limits(message_max: usize) -> Limits {
    Limits {
        frame_bytes: message_max,
        inflated_bytes: message_max,
        document_bytes: message_max.saturating_mul(2),
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_sets_every_limit_of_size() {
        let limits = limits(300 << 20);
        assert_eq!(limits.frame_bytes, 300 << 20);
        assert_eq!(limits.inflated_bytes, 300 << 20);
        assert_eq!(limits.document_bytes, 600 << 20);
        let payload = format!(r#"{{"op":0,"s":1,"t":"X","d":"{}"}}"#, "x".repeat(3 << 20));
        for (max, fits) in [(2 << 20, false), (4 << 20, true)] {
            let mut bench = Workbenches::new(max).take();
            assert_eq!(bench.decoder.json(payload.as_bytes()).is_ok(), fits, "{max}");
        }
    }

    #[test]
    fn p6_what_is_new_is_told_once_whichever_shard_met_it() {
        let benches = Workbenches::new(1 << 20);
        let payload = br#"{"op":0,"s":1,"t":"NEVER_HEARD_OF","d":{"never_heard_of":1}}"#;
        // Two shards that read at one moment.
        let (mut one, mut other) = (benches.take(), benches.take());
        let mut told = Vec::new();
        for bench in [&mut one, &mut other] {
            bench.decoder.json(payload).expect("passes");
            let met = bench.decoder.take_warnings();
            assert_eq!(met.len(), 2, "each met both");
            told.push(benches.unheard_of(met).len());
        }
        assert_eq!(told, [2, 0]);
        let many = (0..2 * TOLD_MAX).map(|n| Warning::Key(n.to_string().into())).collect();
        assert_eq!(benches.unheard_of(many).len(), TOLD_MAX - 2);
    }

    #[test]
    fn p7_as_many_are_made_as_are_used_at_once() {
        let benches = Workbenches::new(1 << 20);
        for _ in 0..100 {
            let (one, other) = (benches.take(), benches.take());
            benches.give_back(one);
            benches.give_back(other);
        }
        assert_eq!(benches.free.lock().expect("whole").len(), 2);
    }
}

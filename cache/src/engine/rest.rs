//! What is done while no record waits: a store that holds much less than it did gets a smaller file, and messages that
//! rest are compressed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord_state::{Key, Packing, StoreError, Writer};

use super::input::Input;
use super::pass::Shard;
use super::{Engine, EngineError, shrink};
use crate::kill;

/// Of the time that passes, it may take one part in so many.
const SHARE: u32 = 10;
/// What it takes at once: at least, or a commit would cost more than it gains; at most, or nothing else would.
const TURN_MIN: Duration = Duration::from_millis(1);
const TURN_MAX: Duration = Duration::from_millis(10);
/// From one look at all messages to the next, at least.
pub(super) const PAUSE: Duration = Duration::from_secs(60);

/// How far it is.
#[derive(Debug)]
pub(super) struct Rest {
    /// What it may take.
    credit: Duration,
    counted: Instant,
    /// The message that was looked at last.
    behind: Option<Key>,
    /// When it begins with the first message.
    begins: Instant,
    /// When the store may go over into a smaller file.
    pub(super) shrinks: Instant,
}

impl Default for Rest {
    fn default() -> Self {
        let now = Instant::now();
        Self { credit: TURN_MAX, counted: now, behind: None, begins: now, shrinks: now }
    }
}

impl Rest {
    /// Whether there is time for a turn.
    fn may(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.counted) / SHARE;
        self.credit = (self.credit + passed).min(TURN_MAX);
        self.counted = now;
        self.credit >= TURN_MIN
    }

    /// Whether there are messages to look at.
    fn compresses(&self, now: Instant) -> bool {
        self.behind.is_some() || now >= self.begins
    }

    fn took(&mut self, took: Duration) {
        self.credit = self.credit.saturating_sub(took);
    }

    /// Goes on behind a message, or after a pause with the first one.
    fn reached(&mut self, packing: Packing, now: Instant, pause: Duration) {
        match packing {
            Packing::Paused(behind) => self.behind = behind,
            Packing::Done => {
                (self.behind, self.begins) = (None, now + pause);
            }
        }
    }
}

/// When it is enough for one turn.
pub(super) struct Turn<'a> {
    began: Instant,
    credit: Duration,
    inputs: &'a mut BTreeMap<Shard, Input>,
    shards: Option<u16>,
}

impl Turn<'_> {
    /// The time is over, or a record came.
    pub(super) fn is_over(&mut self) -> bool {
        let mut read = self.inputs.iter_mut().filter(|(key, _)| Some(key.0) == self.shards);
        self.began.elapsed() >= self.credit || read.any(|(_, input)| input.has_work())
    }
}

impl Engine {
    /// Does some of it, until a record comes.
    pub(super) fn rest(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        let Some(store) = &mut self.store else { return Ok(()) };
        let shrinks = now >= self.rest.shrinks && store.writer().is_to_shrink();
        let after = self.settings.compress_messages_after;
        let compressed = after.filter(|_| self.rest.compresses(now));
        if !(shrinks || compressed.is_some()) || !self.rest.may(now) {
            return Ok(());
        }
        let (inputs, shards) = (&mut self.inputs, self.reached.shards);
        let turn = Turn { began: now, credit: self.rest.credit, inputs, shards };
        let done = match compressed {
            _ if shrinks => {
                let reached = shrink::turn(store.writer_mut(), turn);
                self.shrunk(reached)
            }
            Some(after) => {
                let reached = compress(store.writer_mut(), self.rest.behind, after, turn);
                self.compressed(reached, now, PAUSE.max(after))
            }
            None => Ok(()),
        };
        self.rest.took(now.elapsed());
        done
    }

    fn compressed(
        &mut self,
        reached: Result<Packing, StoreError>,
        now: Instant,
        pause: Duration,
    ) -> Result<(), EngineError> {
        match reached {
            Ok(reached) => self.rest.reached(reached, now, pause),
            Err(error) if error.is_damage() => return Err(error.into()),
            Err(error) => {
                if let Some(store) = &mut self.store {
                    store.writer_mut().discard();
                }
                self.put_off(&error);
            }
        }
        Ok(())
    }

    /// Where there is no room to write, none is gained now.
    fn put_off(&mut self, error: &StoreError) {
        tracing::debug!("messages are not compressed: {error}");
        self.rest.reached(Packing::Done, Instant::now(), PAUSE);
    }
}

/// Compresses some messages.
fn compress(
    writer: &mut Writer,
    behind: Option<Key>,
    after: Duration,
    mut turn: Turn<'_>,
) -> Result<Packing, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let last_us = u64::try_from(now.saturating_sub(after).as_micros()).unwrap_or(u64::MAX);
    let reached = writer.pack_messages(behind, last_us, &mut || turn.is_over())?;
    if writer.changes() > 0 {
        kill::point();
        writer.commit(writer.output())?;
        kill::point();
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It takes a tenth of the time that passes, and what it did not use it has once.
    #[test]
    fn its_time_is_bounded() {
        let mut rest = Rest::default();
        let mut now = rest.counted;
        assert!(rest.may(now), "at the beginning");
        let (mut turns, mut taken) = (0, Duration::ZERO);
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            if rest.may(now) {
                (turns, taken) = (turns + 1, taken + rest.credit);
                rest.took(rest.credit);
            }
        }
        assert!((900..1100).contains(&turns), "{turns}");
        assert!(taken <= Duration::from_secs(1) + TURN_MAX, "{taken:?} of ten seconds");
        now += Duration::from_secs(3600);
        assert!(rest.may(now));
        assert_eq!(rest.credit, TURN_MAX);
        rest.reached(Packing::Done, now, PAUSE);
        assert!(!rest.compresses(now), "all were looked at");
        assert!(rest.compresses(now + PAUSE));
    }
}

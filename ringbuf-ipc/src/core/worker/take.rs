//! Taking: from the group's file, or from the ring, one by one or several at a time.

use super::post::{Origin, Post};
use super::settle::Held;
use super::share::{Around, Share};
use super::{Taken, Worker};
use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;
use crate::core::layout::group;
use crate::core::memory::{Ordering, fence};
use crate::core::words::desk::{Left, Offer};
use crate::core::words::lanes::Key;
use crate::core::words::peers::Peers;
use crate::core::words::table::{Settlement, Words};
use crate::core::words::word::Word;
use crate::core::{Core, Position};

/// Bytes of records after which no other is taken along.
const AT_A_TIME: usize = 64 << 10;
/// Takes and settlements after which the cursor is moved on, unless somebody waits for it.
const SWEEP_EVERY: u32 = 64;
/// How often lanes that others have are looked at without being told: their holders may have died.
const SUSPECT_EVERY_NS: u64 = 5_000_000;

impl Worker {
    /// Takes the records there are, `most` of them and some [`AT_A_TIME`] bytes at most, and copies them out;
    /// what settles each is put into `taken`, which is empty, in the order of the buffers.
    pub(crate) fn take(
        &mut self,
        most: usize,
        taken: &mut Vec<Taken>,
    ) -> Result<Option<Buffers>, TakeError> {
        if let Some(error) = self.found_behind.take() {
            return Err(error);
        }
        self.check_group()?;
        self.collect();
        let scanned = self.scan();
        let known = self.read_asides();
        self.tell_damage()?;
        if !known {
            return Ok(None);
        }
        // A file that cannot be read now holds up its own records alone.
        let unreadable = match self.take_aside(taken) {
            Ok(Some(buffers)) => return Ok(Some(buffers)),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let mut buffers = self.buffers();
        self.take_from_ring(most, &mut buffers, taken)?;
        if !taken.is_empty() {
            self.note_taken(taken);
            return Ok(Some(buffers));
        }
        self.spare.push(buffers);
        // Damage is told when everything before it was given.
        scanned?;
        self.speed.rests();
        self.tend();
        unreadable.map_or(Ok(None), Err)
    }

    /// What stands before a record that cannot be given is given first.
    fn take_from_ring(
        &mut self,
        most: usize,
        buffers: &mut Buffers,
        taken: &mut Vec<Taken>,
    ) -> Result<(), TakeError> {
        let all = self.is_time_to_look_at_all();
        loop {
            let stop = self.take_in_a_row(most, all, buffers, taken);
            if self.desk.met_aside {
                self.read_asides();
            }
            let done = match stop {
                Stop::Enough => return Ok(()),
                Stop::Bury { position, key, word } => self.bury_offered(position, key, word),
                Stop::Overtaken { position, lane } => {
                    self.desk.left(position, lane, Left::Past);
                    self.read_asides();
                    Ok(())
                }
                Stop::Damaged { position, lane, word, error } => {
                    self.give_up_damaged(position, lane, word, &error);
                    Err(error)
                }
            };
            match done {
                Ok(()) => {}
                Err(error) if taken.is_empty() => return Err(error),
                Err(error) => {
                    self.found_behind = Some(error);
                    return Ok(());
                }
            }
        }
    }

    /// Takes and copies until there is enough, or something else is to be done first.
    #[inline]
    fn take_in_a_row(
        &mut self,
        most: usize,
        all: bool,
        buffers: &mut Buffers,
        taken: &mut Vec<Taken>,
    ) -> Stop {
        let Self { post, desk, neighbours, share, .. } = self;
        let core = &*post.seat.core;
        let words = core.words(post.seat.group, post.seat.epoch);
        let around = Around { neighbours, share, core };
        while taken.len() < most && buffers.bytes_used() < AT_A_TIME {
            match desk.next(&words, &around, all) {
                Some(Offer::Take { position, key, word }) => {
                    match copy(core, share, &words, (position, key, word), buffers) {
                        Ok(held) => taken.push(Taken { held, revived: false }),
                        Err(stop) => return stop,
                    }
                }
                Some(Offer::Bury { position, key, word }) => {
                    return Stop::Bury { position, key, word };
                }
                None => break,
            }
        }
        Stop::Enough
    }

    pub(super) fn is_time_to_look_at_all(&mut self) -> bool {
        if self.desk.lanes.parked() == 0 {
            return false;
        }
        let seat = &self.post.seat;
        let at = seat.core.layout.group(seat.group) + group::HANDED;
        let handed = seat.core.memory.load(at, Ordering::Acquire);
        let now = self.neighbours.now_ns();
        if handed == self.handed && now.saturating_sub(self.looked_at) < SUSPECT_EVERY_NS {
            return false;
        }
        (self.handed, self.looked_at) = (handed, now);
        true
    }

    pub(super) fn note_taken(&mut self, taken: &[Taken]) {
        let seat = &self.post.seat;
        let again = taken.iter().filter(|taken| taken.held.word.counts().given() != 0).count();
        if again != 0 {
            seat.core.count(seat.group, group::REDELIVERED, again as u64);
        }
        taken.iter().for_each(|taken| self.share.went_out(taken.held.partition));
        self.unswept += taken.len() as u32;
        if self.unswept >= SWEEP_EVERY.min(seat.core.layout.geometry.slots / 8) {
            self.sweep();
        }
        self.hand_on_if_slow(taken.len());
    }
}

/// Why taking stops.
enum Stop {
    /// There is enough, or no more.
    Enough,
    /// One is to be written down as dead.
    Bury { position: Position, key: Key, word: Word },
    /// It was set aside while it was copied.
    Overtaken { position: Position, lane: Key },
    /// It is damaged, or its file is gone: it is dead, or would hold up all that come after it.
    Damaged { position: Position, lane: Key, word: Word, error: TakeError },
}

/// Copies a record out that was taken.
#[inline]
fn copy(
    core: &Core,
    share: &Share,
    words: &Words<'_>,
    (position, lane, word): (Position, Key, Word),
    buffers: &mut Buffers,
) -> Result<Held, Stop> {
    let mut partition = 0;
    let copied = match Descriptor::load(core, position) {
        None => Err(TakeError::Corrupt { position }),
        Some(entry) => {
            partition = share.partition(entry.key);
            let pushed = buffers.push(core, &entry);
            pushed.map_err(|error| TakeError::Blob { position, error })
        }
    };
    // Set aside meanwhile, it may have been overwritten while it was copied: it is given from the file then.
    fence(Ordering::Acquire);
    if !words.is_still(position, word) {
        if copied.is_ok() {
            buffers.drop_last();
        }
        return Err(Stop::Overtaken { position, lane });
    }
    match copied {
        Ok(()) => Ok(Held { position, lane, partition, word, origin: Origin::Ring }),
        Err(error) => Err(Stop::Damaged { position, lane, word, error }),
    }
}

/// Gives a record back that cannot be handed out now.
pub(super) fn give_back(post: &Post, position: Position, word: Word) -> bool {
    let words = post.seat.core.words(post.seat.group, post.seat.epoch);
    words.settle(position, word, Settlement::Back).is_some()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::core::worker::tests::Scene;

    /// Another member sets it aside between the take and the end of the copy: its slot may be another's by then.
    #[test]
    fn what_is_set_aside_while_it_is_copied_is_not_given() {
        let mut scene = Scene::of("overtaken", 16);
        scene.put(1);
        let core = scene.producer.ring().core().clone();
        let (words, share) = (core.words(0, core.group_epoch(0)), Share::new(&core, false));
        let word = words.take_fresh(0, 0, false).expect("nobody has had it");
        let mut buffers = Buffers::default();
        assert!(copy(&core, &share, &words, (0, 1, word), &mut buffers).is_ok());
        assert!(words.set_aside(0, words.look(0)));
        let stop = copy(&core, &share, &words, (0, 1, word), &mut buffers);
        assert!(matches!(stop, Err(Stop::Overtaken { position: 0, lane: 1 })));
        assert_eq!(buffers.len(), 1, "the copy is dropped");
    }
}

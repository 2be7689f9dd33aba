//! What the cache says of a change of the shard count, to gateways that act on it and to people: its
//! [board](mixcord_event::reshard).
//!
//! It says what is committed and nothing else, so whoever is killed at what moment, the next one only says it again:
//!
//! | killed | what the next cache finds |
//! |---|---|
//! | before a stage is committed | the stage before, in store and board |
//! | between commit and board | the store has it; a gateway acted on the stage before, which was right until then |
//! | behind the commit that ends the change | no change in the store, and a board that has one under way: the shard count in force says how it ended |
//!
//! A state that is lost takes the change with it. Where the board had said that nothing counts on the old set, its sessions
//! may be closed: then the new set stays. Else the old one does, which still delivered.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord_event::reshard::{BOARD_BYTES_MAX, ReshardFigures, Stage};
use mixcord_event::topology;
use mixcord_process::folder;

use super::beside::Beside;
use crate::overlap::{self, Progress, Side};

const WRITER: &str = concat!("mixcord-cache ", env!("CARGO_PKG_VERSION"));
/// How often figures are taken, which looks at every guild. A change of the stage is told at once.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of a reason.
const WHY_MAX: usize = 500;

/// The board, and what stands on it.
#[derive(Debug)]
pub(super) struct Notice {
    path: PathBuf,
    figures: ReshardFigures,
    is_written: bool,
    counted: Option<Instant>,
    /// That it cannot be written was said.
    is_told: bool,
}

impl Notice {
    /// What an earlier cache left on it.
    pub(super) fn read(instance: &str) -> Self {
        let path = PathBuf::from(topology::reshard_board(instance));
        let left = folder::read(&path, BOARD_BYTES_MAX).unwrap_or_default();
        let figures = ReshardFigures::decode(&left).map(|(figures, _)| figures).unwrap_or_default();
        Self { path, figures, is_written: true, counted: None, is_told: false }
    }

    /// Tells how far the change is, as far as that is committed; `shards` is the shard count in force.
    pub(super) fn follow(&mut self, beside: Option<&Beside>, shards: Option<u16>) {
        match beside {
            None if self.figures.stage.is_under_way() => {
                let stage = outcome(&self.figures, shards);
                // They were counted a moment before the end, and nothing is left of it.
                let left = ReshardFigures {
                    waiting: 0,
                    waiting_bytes: 0,
                    counted: 0,
                    ..self.figures.clone()
                };
                self.figures = ReshardFigures { stage, ..left };
                self.is_written = false;
            }
            None if self
                .stays()
                .is_some_and(|stays| shards.is_some_and(|shards| shards != stays)) =>
            {
                // An operator changed the count since, and started the gateway with another one.
                self.figures = ReshardFigures::default();
                self.is_written = false;
            }
            None => {}
            // What stands there is what was committed last.
            Some(beside) if beside.has_changes() => {}
            Some(beside) => self.count(beside),
        }
        self.write();
    }

    /// An order is refused.
    pub(super) fn refuse(&mut self, order: &str, why: &str) {
        self.set_refused(clipped(format!("{order}: {why}")));
    }

    /// An order is obeyed.
    pub(super) fn accept(&mut self) {
        self.set_refused(String::new());
    }

    /// Why the change is called off.
    pub(super) fn called_off(&mut self, why: &str) {
        if !why.is_empty() && self.figures.why != why {
            self.figures.why = clipped(why.to_owned());
            self.is_written = false;
        }
    }

    /// The shard count whose sessions were closed for good by the last change: its rings are of no use any more.
    pub(super) fn left(&self) -> Option<u16> {
        match self.figures.stage {
            Stage::Done => Some(self.figures.from),
            Stage::Back => Some(self.figures.to),
            _ => None,
        }
    }

    /// And the one that was left by it.
    fn stays(&self) -> Option<u16> {
        match self.figures.stage {
            Stage::Done => Some(self.figures.to),
            Stage::Back => Some(self.figures.from),
            _ => None,
        }
    }

    fn set_refused(&mut self, refused: String) {
        if self.figures.refused != refused {
            self.figures.refused = refused;
            self.is_written = false;
        }
    }

    fn count(&mut self, beside: &Beside) {
        let (counts, stage) = (beside.overlap.counts(), stage_of(beside.overlap.stage()));
        let (from, to) = (counts[Side::Old], counts[Side::New]);
        let is_same = (self.figures.from, self.figures.to) == (from, to);
        if !is_same || !self.figures.stage.is_under_way() {
            self.figures =
                ReshardFigures { from, to, began_us: now_us(), ..ReshardFigures::default() };
        }
        let is_due = self.counted.is_none_or(|at| at.elapsed() >= EVERY);
        if self.figures.stage == stage && !is_due {
            return;
        }
        self.counted = Some(Instant::now());
        let now = figures(&beside.overlap.progress(), stage, &self.figures);
        if now != self.figures {
            self.figures = now;
            self.is_written = false;
        }
    }

    fn write(&mut self) {
        if self.is_written {
            return;
        }
        match folder::put(&self.path, &self.figures.encode(WRITER)) {
            Ok(()) => (self.is_written, self.is_told) = (true, false),
            Err(error) if !self.is_told => {
                self.is_told = true;
                let path = self.path.display();
                tracing::error!(
                    "{path}: {error}: how far the change of the shard count is cannot be told, and gateways wait for it"
                );
            }
            Err(_) => {}
        }
    }
}

/// How a change ended that the store does not know any more.
fn outcome(left: &ReshardFigures, shards: Option<u16>) -> Stage {
    let is_new = left.stage == Stage::Leaving || shards == Some(left.to);
    if is_new { Stage::Done } else { Stage::Back }
}

fn stage_of(stage: overlap::Stage) -> Stage {
    match stage {
        overlap::Stage::Listing(_) => Stage::Listing,
        overlap::Stage::Overlapping => Stage::Overlapping,
        overlap::Stage::Cutting => Stage::Cutting,
        overlap::Stage::Cut => Stage::Cut,
        // Until its rows are gone it is not over.
        overlap::Stage::Leaving | overlap::Stage::Over(Side::New) => Stage::Leaving,
        overlap::Stage::CalledOff | overlap::Stage::Over(Side::Old) => Stage::CalledOff,
    }
}

fn figures(progress: &Progress, stage: Stage, before: &ReshardFigures) -> ReshardFigures {
    let (waiting, waiting_bytes) = progress.waiting;
    ReshardFigures {
        from: before.from,
        to: before.to,
        stage,
        began_us: before.began_us,
        sessions: progress.sessions,
        guilds: progress.guilds,
        overlapping: progress.overlapping,
        cut: progress.cut,
        missing: progress.missing,
        waiting,
        waiting_bytes,
        counted: progress.counted,
        cancelled: progress.cancelled,
        one_sided_old: progress.one_sided[Side::Old],
        one_sided_new: progress.one_sided[Side::New],
        taken_over: progress.taken_over,
        why: before.why.clone(),
        refused: before.refused.clone(),
    }
}

fn clipped(mut text: String) -> String {
    text.retain(|char| char.is_ascii_graphic() || char == ' ');
    text.truncate(WHY_MAX);
    text
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cache finds that was killed behind the commit that ended a change, or lost its state.
    #[test]
    fn how_a_change_ended_is_known_from_the_board_and_the_count_in_force() {
        let left = |stage| ReshardFigures { from: 2, to: 3, stage, ..ReshardFigures::default() };
        for (stage, shards, end) in [
            (Stage::Leaving, Some(3), Stage::Done),
            // The state is lost, and the old sessions may be closed.
            (Stage::Leaving, Some(2), Stage::Done),
            (Stage::Leaving, None, Stage::Done),
            // The old gateway was gone, so that leaving took less time than telling it.
            (Stage::Cut, Some(3), Stage::Done),
            (Stage::Cutting, Some(2), Stage::Back),
            (Stage::CalledOff, Some(2), Stage::Back),
            (Stage::Overlapping, None, Stage::Back),
        ] {
            assert_eq!(outcome(&left(stage), shards), end, "{stage:?} {shards:?}");
        }
    }
}

//! Records set aside: copied whole into the group's file when a ring fills behind a record that is out, waits
//! for another try, or waits for one of its key; and given from there, in order, before anything newer of
//! that key.
//!
//! Setting aside: the flag is raised, which keeps the cursor before every aside; entries are appended as
//! *prepared*; words say aside, in order, until one cannot; entries follow what the words say; the flag is
//! taken back. Who comes to the file and finds the flag raised does the last two for one that died.
//!
//! [`give`] what is given from there; [`put`] how it comes to be there.

mod give;
mod put;

use std::collections::{HashMap, HashSet};
use std::io;

use self::put::Standing;
use super::Worker;
use super::post::Post;
use crate::core::Position;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::desk::Left;
use crate::core::words::early::Death;
use crate::core::words::lanes::Key;
use crate::core::words::letter::{Condition, Head, Kept};
use crate::core::words::peers::Peers;

/// How long until one is tried again that could not be read: much longer than its lock is waited for, so that
/// the others of the group have nearly all of the time.
const REST_NS: u64 = 5_000_000_000;

/// What a worker knows of the file.
#[derive(Debug, Default)]
pub(super) struct Asides {
    /// Of the file, when it was read last; `None` when nothing is known of it.
    version: Option<u64>,
    /// In the order of the file, which is that of each key.
    live: Vec<Live>,
    /// Given to this worker.
    out: HashSet<Position>,
    /// When this worker tries again.
    due: HashMap<Position, u64>,
    /// Not before: the file was full.
    not_before: u64,
    /// What was not settled when a ring that fills was looked at last.
    stuck: Option<Standing>,
    /// Until then the file is left alone: it could not be read, or whoever has its lock does not let go.
    rests_until: u64,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    position: Position,
    lane: Key,
    key: u64,
    condition: Condition,
}

impl Live {
    const fn of(head: &Head) -> Self {
        let &Head { position, lane, key, condition, .. } = head;
        Self { position, lane, key, condition }
    }
}

impl Asides {
    /// Lanes begin anew, without what was seen of asides in them.
    pub(super) fn forget(&mut self) {
        self.version = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.values().min().copied()
    }

    pub(super) fn came_back(&mut self, position: Position, left: Left) {
        self.out.remove(&position);
        if let Left::Until(due) = left {
            self.due.insert(position, due);
        }
    }

    /// Records of this worker that wait for another try may be tried by anybody.
    pub(super) fn give_up_waiting(&self, post: &Post) {
        if self.due.is_empty() && self.out.is_empty() {
            return;
        }
        // Whoever finds them later does the same: their member is gone.
        let _ = post.with_letters(false, &mut |file| {
            for head in file.live() {
                let mut condition = head.condition;
                if condition.kept == Kept::Retry && condition.member == Some(post.seat.member) {
                    (condition.kept, condition.member) = (Kept::Waiting, None);
                    file.change(head.number, condition)?;
                }
            }
            Ok(())
        });
    }
}

impl Worker {
    /// Reads what waits in the group's file, if that changed. False while nothing may be given: nothing is known
    /// of the file, and it cannot be read.
    #[inline]
    pub(super) fn read_asides(&mut self) -> bool {
        let seat = &self.post.seat;
        let at = seat.core.layout.group(seat.group);
        let version = seat.core.memory.load(at + group::FILE_VERSION, Ordering::Acquire);
        let is_known = Some(version) == self.asides.version && !self.desk.met_aside;
        is_known || self.read_asides_of(version)
    }

    fn read_asides_of(&mut self, version: u64) -> bool {
        let seat = &self.post.seat;
        if self.asides.rests_until > self.neighbours.now_ns() {
            return self.asides.version.is_some();
        }
        let mut live = Vec::new();
        if version != 0 {
            let read = seat.core.with_letters(seat.group, false, &mut |file| {
                live.clear();
                live.extend(file.live().iter().map(Live::of));
                Ok(())
            });
            if read.is_err() {
                // Tried again at the next look. What is known holds still: of a key that may have got records
                // aside since, nothing newer is given.
                self.asides.rests_until = self.neighbours.now_ns() + REST_NS;
                return self.asides.version.is_some();
            }
        }
        self.desk.met_aside = false;
        self.asides.version = Some(version);
        self.desk.aside = live.iter().map(|live| live.lane).collect();
        self.asides.live = live;
        let there: HashSet<_> = self.asides.live.iter().map(|live| live.position).collect();
        self.asides.due.retain(|position, _| there.contains(position));
        self.desk.look_again();
        true
    }
}

impl Post {
    /// Takes back what an earlier member in this seat had from the file when it died.
    pub(super) fn reclaim_asides_of_predecessor(&self, peers: &impl Peers) -> io::Result<()> {
        self.with_letters(false, &mut |file| {
            let live = file.live();
            let beside = live.len() > 1;
            for head in live {
                if head.condition.member == Some(self.seat.member) {
                    let death = peers.death(self.seat.member, head.position, beside);
                    file.change(head.number, head.condition.orphaned(death == Death::Counts))?;
                    if let (Kept::Out, Death::Early(with)) = (head.condition.kept, death) {
                        peers.died_early(with);
                    }
                }
            }
            Ok(())
        })
        .map(drop)
    }
}

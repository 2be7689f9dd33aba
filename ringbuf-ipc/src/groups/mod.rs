//! What an operator does with groups: looks at them, moves and ends them, and reads their dead letters.

mod told;

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::groups;
use crate::core::layout::{group, mode};
use crate::core::memory::Ordering;
use crate::core::words::letter::{Condition, Head, Kept, LetterFile};
use crate::core::words::word::Counts;
use crate::core::{Core, locks};
use crate::{GroupError, Position, Ring, Start};

pub use told::{DeadLetter, GroupFigures, MemberInfo, Peeked, Standing, State};

impl Ring {
    /// Ends a group and its claim to its backlog, with its dead letters.
    ///
    /// # Errors
    /// There is no such group, a member of it lives, or the table's lock.
    pub fn remove_group(&self, name: &str) -> Result<(), GroupError> {
        self.with_table(|core| groups::remove(core, name, false))
    }

    /// The same though members live: they get [`TakeError::Removed`](crate::TakeError::Removed), and what they have
    /// cannot be settled any more.
    ///
    /// # Errors
    /// There is no such group, or the table's lock.
    pub fn remove_group_by_force(&self, name: &str) -> Result<(), GroupError> {
        self.with_table(|core| groups::remove(core, name, true))
    }

    /// Has a group give way at once, though members live: it holds nothing until one joins again, which is told
    /// what was lost.
    ///
    /// # Errors
    /// There is no such group, or the table's lock.
    pub fn evict_group(&self, name: &str) -> Result<(), GroupError> {
        self.with_table(|core| groups::evict(core, name))
    }

    /// Moves a group, whoever is at work in it: its members get [`TakeError::Removed`](crate::TakeError::Removed),
    /// and what they have cannot be settled any more. Everything from there on is given, again if it was given;
    /// nothing before it. Gives where the group stands: there, or at the oldest record there is.
    ///
    /// # Errors
    /// There is no such group, or the table's lock.
    pub fn reset_group(&self, name: &str, to: Start) -> Result<Position, GroupError> {
        self.with_table(|core| {
            let to = match to {
                Start::Earliest => 0,
                Start::Latest => core.tail(),
                Start::At(position) => position,
            };
            groups::reset(core, name, to)
        })
    }

    /// Settles one record of a group whose records are settled in any order, whoever has it; whether there was
    /// anything to settle.
    ///
    /// # Errors
    /// There is no such group, the table's lock, or the group's file.
    pub fn skip_record(&self, name: &str, position: Position) -> Result<bool, GroupError> {
        self.with_table(|core| {
            let index = groups::find(core, name)?;
            if core.group_mode(index) != mode::ANY_ORDER {
                return Ok(false);
            }
            let epoch = core.group_epoch(index);
            let words = core.words(index, epoch);
            if (core.group_floor(index)..core.tail()).contains(&position) {
                loop {
                    let seen = words.look(position);
                    if seen.word.is_past() {
                        break;
                    }
                    if words.skip(position, seen) {
                        core.advance_floor(index, epoch);
                        core.count(index, group::HANDED, 1);
                        core.wake_group(index);
                        return Ok(true);
                    }
                }
            }
            let mut skipped = false;
            change(core, index, &mut |file| {
                for head in file.of(position).iter().filter(|head| is_given(&head.condition)) {
                    skipped = true;
                    file.change(head.number, Condition { kept: Kept::Gone, ..head.condition })?;
                }
                Ok(())
            })?;
            Ok(skipped)
        })
    }

    /// Records of a group that are not settled, the oldest first: those in its file, then those in the ring.
    ///
    /// # Errors
    /// There is no such group, the table's lock, or the group's file.
    pub fn peek_group(&self, name: &str, most: usize) -> Result<Vec<Peeked>, GroupError> {
        let index = self.with_table(|core| groups::find(core, name))?;
        let core = self.core();
        let mut found = Vec::new();
        read(core, index, &mut |file| {
            for head in file.live().iter().filter(|head| is_given(&head.condition)).take(most) {
                let payload =
                    file.body(head.number).map_or_else(|_| Vec::new(), |(_, payload)| payload);
                found.push(Peeked::aside(head, payload));
            }
            Ok(())
        })?;
        let mut buffers = Buffers::default();
        for position in core.group_floor(index)..core.tail() {
            if found.len() >= most {
                break;
            }
            let Some(entry) = Descriptor::load(core, position) else { continue };
            let standing = if core.group_mode(index) == mode::ANY_ORDER {
                self.standing(index, position)
            } else {
                let partitions = core.partitions(index).max(1);
                let waits = core.cursor(index, entry.partition(partitions)) <= position;
                let (state, member, failures, deaths) = (State::Waiting, None, 0, 0);
                waits.then_some(Standing { position, state, member, failures, deaths })
            };
            let Some(standing) = standing
                .filter(|standing| !matches!(standing.state, State::Aside | State::Settled))
            else {
                continue;
            };
            buffers.clear();
            if buffers.push(core, &entry).is_err() {
                continue;
            }
            // Overwritten meanwhile, it is settled.
            if core.group_floor(index) > position {
                continue;
            }
            let payload = buffers.get(0).map_or_else(Vec::new, |entry| entry.payload.to_vec());
            let Descriptor { key, order, tag, source, .. } = entry;
            found.push(Peeked { standing, key, order, tag, source, payload });
        }
        Ok(found)
    }

    /// The dead letters of a group, the oldest first.
    ///
    /// # Errors
    /// There is no such group, the table's lock, or the group's file.
    pub fn dead_letters(&self, name: &str) -> Result<Vec<DeadLetter>, GroupError> {
        let index = self.with_table(|core| groups::find(core, name))?;
        let mut found = Vec::new();
        read(self.core(), index, &mut |file| {
            for head in newest_dead(&file.dead()) {
                let (reason, payload) =
                    file.body(head.number).unwrap_or_else(|error| (error.to_string(), Vec::new()));
                let Counts { failures, deaths } = head.condition.counts;
                found.push(DeadLetter {
                    position: head.position,
                    key: head.key,
                    order: head.order,
                    tag: head.tag,
                    source: head.source,
                    written: Duration::from_millis(head.written_ms),
                    failures,
                    deaths,
                    reason,
                    payload,
                });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Has dead letters given again, those of `which` positions or all: with their attempts anew, out of their
    /// order, and before anything newer of their order key. Gives how many.
    ///
    /// # Errors
    /// There is no such group, the table's lock, or the group's file.
    pub fn retry_dead_letters(
        &self,
        name: &str,
        which: Option<&[Position]>,
    ) -> Result<usize, GroupError> {
        self.change_dead(name, which, |condition| {
            (condition.kept, condition.revived) = (Kept::Waiting, true);
            (condition.member, condition.counts) = (None, Counts::default());
        })
    }

    /// Drops dead letters, those of `which` positions or all. Gives how many.
    ///
    /// # Errors
    /// There is no such group, the table's lock, or the group's file.
    pub fn drop_dead_letters(
        &self,
        name: &str,
        which: Option<&[Position]>,
    ) -> Result<usize, GroupError> {
        self.change_dead(name, which, |condition| condition.kept = Kept::Gone)
    }

    fn change_dead(
        &self,
        name: &str,
        which: Option<&[Position]>,
        with: impl Fn(&mut Condition),
    ) -> Result<usize, GroupError> {
        self.with_table(|core| {
            let index = groups::find(core, name)?;
            let epoch = core.group_epoch(index);
            let mut count = 0;
            change(core, index, &mut |file| {
                let dead = file.dead();
                let newest: HashSet<_> =
                    newest_dead(&dead).iter().map(|head| head.number).collect();
                let asked = |head: &&Head| which.is_none_or(|which| which.contains(&head.position));
                for head in dead.iter().filter(asked) {
                    // Told of once, it is changed once; what was written twice goes.
                    let mut condition = Condition { kept: Kept::Gone, epoch, ..head.condition };
                    if newest.contains(&head.number) {
                        with(&mut condition);
                        count += 1;
                    }
                    file.change(head.number, condition)?;
                }
                Ok(())
            })?;
            Ok(count)
        })
    }

    pub(crate) fn living(&self, index: u16) -> Vec<MemberInfo> {
        let core = self.core();
        let now_ms = core.environment.now_ns() / 1_000_000;
        let held = |seat: &u16| core.environment.held(locks::member(index, *seat));
        let owners = core.is_sticky(index).then(|| core.partition_owners(index));
        (0..core.layout.geometry.members)
            .filter(held)
            .map(|seat| {
                let at = core.layout.member(index, seat);
                let word = |offset| core.memory.load(at + offset, Ordering::Relaxed);
                let since = |offset| match word(offset) {
                    0 => Duration::ZERO,
                    then => Duration::from_millis(now_ms.saturating_sub(then)),
                };
                MemberInfo {
                    seat,
                    process: word(group::MEMBER_PROCESS) as u32,
                    age: since(group::MEMBER_JOINED),
                    still: since(group::MEMBER_MOVED),
                    settled: word(group::MEMBER_SETTLED),
                    partitions: owners.as_ref().map(|owners| {
                        owners.iter().filter(|&&owner| owner == Some(seat)).count() as u16
                    }),
                }
            })
            .collect()
    }

    /// Where a record stands; `None` beyond the tail, and of groups without words.
    pub(crate) fn standing(&self, index: u16, position: Position) -> Option<Standing> {
        let core = self.core();
        if core.group_mode(index) != mode::ANY_ORDER || position >= core.tail() {
            return None;
        }
        let word = core.words(index, core.group_epoch(index)).look(position).word;
        Some(Standing::of(position, word))
    }

    pub(crate) fn figures(&self, index: u16) -> GroupFigures {
        let core = self.core();
        let at = core.layout.group(index);
        let word = |figure| core.memory.load(at + figure, Ordering::Relaxed);
        GroupFigures {
            redelivered: word(group::REDELIVERED),
            dead: word(group::DEAD),
            dropped: word(group::DROPPED),
            aside: word(group::ASIDE),
            damaged: word(group::DAMAGED),
            damaged_lost: word(group::DAMAGED_LOST),
        }
    }
}

/// One of each record, the newest: one that died while it wrote a letter down again, with its reason, left two.
fn newest_dead(dead: &[Head]) -> Vec<Head> {
    let newest: HashMap<_, _> = dead.iter().map(|head| (head.position, head.number)).collect();
    dead.iter().filter(|head| newest[&head.position] == head.number).copied().collect()
}

const fn is_given(condition: &Condition) -> bool {
    matches!(condition.kept, Kept::Waiting | Kept::Out | Kept::Retry)
}

fn read(
    core: &Core,
    index: u16,
    look: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
) -> Result<(), GroupError> {
    core.with_letters(index, false, look).map(drop).map_err(GroupError::Letters)
}

/// Changes entries, and has the members of the group look at the file anew.
fn change(
    core: &Core,
    index: u16,
    with: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
) -> Result<(), GroupError> {
    let outcome = read(core, index, with);
    core.count(index, group::FILE_VERSION, 1);
    core.wake_group(index);
    outcome
}

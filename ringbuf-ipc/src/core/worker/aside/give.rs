//! Giving what the file has.

use std::collections::HashSet;
use std::io;

use super::{Live, REST_NS};
use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;
use crate::core::words::early::Death;
use crate::core::words::letter::{Condition, Head, Kept};
use crate::core::words::peers::Peers;
use crate::core::words::word::{Counts, State, Word};
use crate::core::worker::burial::{Buried, in_vain};
use crate::core::worker::post::Origin;
use crate::core::worker::settle::Held;
use crate::core::worker::{Taken, Worker};

impl Worker {
    /// Whether the file has a record that may be given.
    pub(in crate::core::worker) fn has_aside(&self) -> bool {
        !self.asides.is_empty()
            && self.desk.takes_nothing_until(&self.neighbours).is_none()
            && self.candidates().next().is_some()
    }

    /// Records of the file that may be given, with their counts: the first of each lane, unless somebody who
    /// lives has it, or it is a suspect and others are out.
    fn candidates(&self) -> impl Iterator<Item = (Live, Counts)> + '_ {
        let mut lanes = HashSet::new();
        let now = if self.asides.is_empty() { 0 } else { self.neighbours.now_ns() };
        let live = if now < self.asides.rests_until { &[] } else { self.asides.live.as_slice() };
        let first = live.iter().filter(move |live| lanes.insert(live.lane));
        let first = first.filter(|live| self.share.has(live.key));
        first.filter(move |live| self.may_be_given(live, now)).filter_map(move |&live| {
            let counts = self.counts_of(&live);
            let waits =
                counts.is_suspect() && self.desk.out() != 0 && !counts.is_spent(self.post.attempts);
            let beside = live.condition.revived && self.is_at_work_on_another(&live, now);
            (!waits && !beside).then_some((live, counts))
        })
    }

    /// Whether somebody who lives has another record of its lane: one that was dead comes out of its order, but
    /// never beside another.
    fn is_at_work_on_another(&self, live: &Live, now: u64) -> bool {
        let others = self.asides.live.iter();
        let mut others = others.filter(|o| o.lane == live.lane && o.position != live.position);
        if others.any(|o| o.condition.kept == Kept::Out && !self.may_be_given(o, now)) {
            return true;
        }
        let seat = &self.post.seat;
        let words = seat.core.words(seat.group, seat.epoch);
        let mut waiting = self.desk.lanes.records(live.lane).map(|at| words.look(at).word);
        waiting.find(|word| !word.is_past()).is_some_and(|word| {
            matches!(word.state(), State::Out | State::Once)
                && word.member().is_some_and(|member| self.neighbours.is_alive(member))
        })
    }

    fn may_be_given(&self, live: &Live, now: u64) -> bool {
        let Condition { kept, member, .. } = live.condition;
        let own = member == Some(self.post.seat.member);
        // This worker's still, whatever the file says by now: it was settled and is not collected yet. Given again
        // before that, it would look as if it had come back while it is out.
        if self.asides.out.contains(&live.position) || self.desk.has(live.position) {
            return false;
        }
        // In a sticky group who had its partition has let go of it, and so of this.
        let given_up = self.share.is_sticky() && !own;
        match kept {
            Kept::Waiting => true,
            Kept::Out | Kept::Retry if given_up => true,
            Kept::Out if own => true,
            Kept::Retry if own => self.asides.due.get(&live.position).is_none_or(|&due| due <= now),
            Kept::Out | Kept::Retry => {
                member.is_none_or(|member| !self.neighbours.is_alive(member))
            }
            Kept::Prepared | Kept::Dead | Kept::Gone => false,
        }
    }

    /// Takes a record from the file, if one may be given.
    pub(in crate::core::worker) fn take_aside(
        &mut self,
        taken: &mut Vec<Taken>,
    ) -> Result<Option<Buffers>, TakeError> {
        let fear = self.desk.look_what_is_feared(&self.neighbours);
        if !self.has_aside() {
            return Ok(None);
        }
        let mut found: Vec<_> = self.candidates().collect();
        found.sort_by_key(|(live, _)| fear.is_feared(live.position));
        for (live, counts) in found {
            if fear.is_feared(live.position) && self.desk.lanes.is_any_ready() {
                break;
            }
            let death = self.death_with(&live);
            self.desk.about_to_take(live.position, &self.neighbours);
            let buried = self.buried.len();
            match self.take_live(live, counts) {
                Ok(Some((one, buffers))) => {
                    self.desk.took(live.position, &self.neighbours);
                    if let Some(Death::Early(with)) = death {
                        self.neighbours.died_early(with);
                    }
                    self.asides.due.remove(&live.position);
                    self.asides.out.insert(live.position);
                    self.desk.took_elsewhere(counts.is_suspect());
                    taken.push(one);
                    self.note_taken(taken);
                    return Ok(Some(buffers));
                }
                Ok(None) => {
                    let gave_up = counts.is_spent(self.post.attempts) && self.buried.len() > buried;
                    if gave_up && fear.may_have_counted(live.position) {
                        self.neighbours.gave_up();
                    }
                }
                Err(error) => {
                    self.asides.rests_until = self.neighbours.now_ns() + REST_NS;
                    return Err(TakeError::Letters { position: live.position, error });
                }
            }
        }
        Ok(None)
    }

    /// As they are once what its last owner died with is counted.
    fn counts_of(&self, live: &Live) -> Counts {
        let counts = live.condition.counts;
        let died = self.death_with(live) == Some(Death::Counts);
        if died { counts.died() } else { counts }
    }

    /// What is said of it by the death of another, who had it.
    fn death_with(&self, live: &Live) -> Option<Death> {
        let Condition { kept, member, .. } = live.condition;
        let dead = member.filter(|&member| kept == Kept::Out && member != self.post.seat.member)?;
        Some(self.neighbours.death(dead, live.position, self.asides.live.len() > 1))
    }

    fn take_live(&mut self, live: Live, counts: Counts) -> io::Result<Option<(Taken, Buffers)>> {
        let (post, neighbours) = (&self.post, &self.neighbours);
        let (terms_once, sticky) = (self.desk.terms.once, self.share.is_sticky());
        let partition = self.share.partition(live.key);
        let (mut taken, mut buried) = (None, None);
        let position = live.position;
        let outcome = post.with_letters(false, &mut |file| {
            let same = |head: &&Head| head.condition == live.condition;
            let Some(head) = file.of(live.position).iter().find(same).copied() else {
                return Ok(());
            };
            // Asked again with the lock held: its seat may have somebody new, who has taken it since.
            let owner = live.condition.member.filter(|&member| member != post.seat.member);
            if !sticky && owner.is_some_and(|owner| neighbours.is_alive(owner)) {
                return Ok(());
            }
            let (epoch, revived) = (post.epoch(), head.condition.revived);
            let once = false;
            if head.condition.once && head.condition.kept == Kept::Out {
                // Its member died with it, or could not settle it.
                file.change(head.number, head.condition.orphaned(false))?;
                return Ok(());
            }
            if counts.is_spent(post.attempts) {
                let condition =
                    Condition { kept: Kept::Dead, member: None, counts, epoch, revived, once };
                file.change(head.number, condition)?;
                post.count_dead(0);
                let payload = file.body(head.number).map(|(_, payload)| payload);
                let buffers =
                    payload.map_or_else(|_| Buffers::default(), |p| buffers_of(&head, &p));
                let (reason, dropped) = (in_vain(counts), Vec::new());
                buried = Some(Buried { position, buffers, reason, counts, dropped });
                return Ok(());
            }
            let payload = match file.body(head.number) {
                Ok((_, payload)) => payload,
                Err(error) => {
                    // Nothing is left of it to be given; those behind it go on.
                    let condition =
                        Condition { kept: Kept::Dead, member: None, counts, epoch, revived, once };
                    file.change(head.number, condition)?;
                    post.count_dead(0);
                    let (reason, dropped) = (error.to_string(), Vec::new());
                    let buffers = Buffers::default();
                    buried = Some(Buried { position, buffers, reason, counts, dropped });
                    return Ok(());
                }
            };
            let (member, once) = (Some(post.seat.member), terms_once);
            let condition = Condition { kept: Kept::Out, member, counts, epoch, revived, once };
            file.change(head.number, condition)?;
            let buffers = buffers_of(&head, &payload);
            let held = Held {
                position: head.position,
                lane: head.lane,
                partition,
                word: Word(0).to(State::Out, member, counts),
                origin: Origin::File,
            };
            taken = Some((Taken { held, revived }, buffers));
            Ok(())
        });
        self.buried.extend(buried);
        outcome.map(|_| taken)
    }
}

fn buffers_of(head: &Head, payload: &[u8]) -> Buffers {
    let entry = Descriptor {
        position: head.position,
        offset: 0,
        length: payload.len() as u32,
        flags: 0,
        key: head.key,
        tag: head.tag,
        source: head.source,
        order: head.order,
    };
    let mut buffers = Buffers::default();
    buffers.push_bytes(&entry, payload);
    buffers
}

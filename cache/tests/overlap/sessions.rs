//! Two sets of sessions: what Discord sends to each, when it arrives, and what lies in its ring.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mixcord_cache::overlap::{PRIVATE, Side};

use crate::world::{Random, Said, World};

/// What lies in a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    Of(u64, Said),
    Ready(Vec<u64>),
    Gap,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Link {
    /// It never began, or is closed.
    None,
    Up,
    /// It will be resumed, and brings what it missed.
    Away,
    /// It will not.
    Lost,
}

/// A shard of a set.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    link: Link,
    delay: u64,
    /// Under way: when it arrives at the earliest, and what.
    under_way: BTreeMap<u64, VecDeque<(u64, Record)>>,
    /// What all that is sent later arrives behind: READY.
    barrier: u64,
    pub(crate) ring: Vec<(u64, Record)>,
    pub(crate) read: usize,
}

/// Both sets.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    pub(crate) counts: [u16; 2],
    pub(crate) sessions: BTreeMap<(Side, u16), Session>,
    pub(crate) now: u64,
    /// How much later than another a session may receive something.
    pub(crate) delay_max: u64,
    /// Guilds that are away in one set alone, and whether there are such.
    pub(crate) out: BTreeSet<(Side, u64)>,
    pub(crate) has_outages: bool,
}

impl Sets {
    pub(crate) fn new(counts: [u16; 2], delay_max: u64, now: u64) -> Self {
        let session = Session {
            link: Link::None,
            delay: 0,
            under_way: BTreeMap::new(),
            barrier: 0,
            ring: Vec::new(),
            read: 0,
        };
        let of = |side: Side| (0..counts[side as usize]).map(move |shard| (side, shard));
        let all = Side::BOTH.into_iter().flat_map(of);
        let sessions = all.map(|key| (key, session.clone())).collect();
        Self { counts, sessions, now, delay_max, out: BTreeSet::new(), has_outages: false }
    }

    pub(crate) fn shard_of(&self, side: Side, guild: u64) -> u16 {
        ((guild >> 22) % u64::from(self.counts[side as usize])) as u16
    }

    fn guilds_of(&self, world: &World, side: Side, shard: u16) -> Vec<u64> {
        let all = world.guilds.keys().copied();
        all.filter(|id| self.shard_of(side, *id) == shard).collect()
    }

    /// Discord tells a guild's session of a side.
    pub(crate) fn tell(&mut self, side: Side, guild: u64, said: Said, random: &mut Random) {
        let was_out = match said {
            Said::Event { .. } => self.out.contains(&(side, guild)),
            _ => self.out.remove(&(side, guild)),
        };
        if was_out && matches!(said, Said::Event { .. } | Said::Deleted { is_outage: true, .. }) {
            return;
        }
        let shard = self.shard_of(side, guild);
        let (now, delay_max) = (self.now, self.delay_max);
        let session = self.sessions.get_mut(&(side, shard)).expect("a session");
        if matches!(session.link, Link::Up | Link::Away) {
            let delay = session.delay + random.below(delay_max / 2 + 1);
            session.send(guild, now + delay, Record::Of(guild, said));
        }
    }

    /// A guild is away in one set alone, while the other has it.
    pub(crate) fn go_out(&mut self, side: Side, guild: u64, joined: u64, random: &mut Random) {
        let other = side.other();
        let runs = |side| self.has_session((side, self.shard_of(side, guild)));
        if runs(side) && runs(other) && !self.is_out(guild) {
            self.tell(side, guild, Said::Deleted { is_outage: true, joined }, random);
            self.out.insert((side, guild));
        }
    }

    /// Those that are away in one set alone are back.
    pub(crate) fn come_back(&mut self, world: &World, random: &mut Random) {
        for (side, guild) in self.out.clone() {
            self.tell(side, guild, world.created(guild), random);
        }
    }

    /// Whether a guild is away in one set alone.
    pub(crate) fn is_out(&self, guild: u64) -> bool {
        Side::BOTH.into_iter().any(|side| self.out.contains(&(side, guild)))
    }

    /// A session begins; `was_lost`: a gap comes first.
    pub(crate) fn begin(&mut self, world: &World, key: (Side, u16), random: &mut Random) {
        let ids = self.guilds_of(world, key.0, key.1);
        let (now, delay_max) = (self.now, self.delay_max);
        let session = self.sessions.get_mut(&key).expect("a session");
        let was_lost = session.link == Link::Lost;
        session.link = Link::Up;
        session.delay = random.below(delay_max / 2 + 1);
        session.under_way.clear();
        let at = now + session.delay;
        let listed = ids.iter().filter(|id| **id != PRIVATE && world.guilds[*id].is_member);
        let ready = Record::Ready(listed.copied().collect());
        session.barrier = at;
        if was_lost {
            session.send(PRIVATE, at, Record::Gap);
        }
        session.send(PRIVATE, at, ready);
        for id in ids {
            self.out.remove(&(key.0, id));
            if id != PRIVATE && world.guilds[&id].is_there() {
                let later = at + random.below(delay_max / 2 + 1);
                let is_out = self.has_outages
                    && key.0 == Side::New
                    && !self.out.contains(&(Side::Old, id))
                    && random.one_in(3);
                let said = if is_out {
                    self.out.insert((key.0, id));
                    Said::Deleted { is_outage: true, joined: world.guilds[&id].joined }
                } else {
                    world.created(id)
                };
                session.send(id, later, Record::Of(id, said));
            }
        }
    }

    pub(crate) fn is_up(&self, key: (Side, u16)) -> bool {
        self.sessions[&key].link == Link::Up
    }

    /// Whether there is a session, that may have to be resumed.
    fn has_session(&self, key: (Side, u16)) -> bool {
        matches!(self.sessions[&key].link, Link::Up | Link::Away)
    }

    /// The connection is gone. It will be resumed or not.
    pub(crate) fn drop_link(&mut self, key: (Side, u16), is_lost: bool) {
        let session = self.sessions.get_mut(&key).expect("a session");
        match session.link {
            Link::None | Link::Lost => {}
            // Without READY there is no session that could be resumed.
            _ if session.is_beginning() && !is_lost => {}
            _ if is_lost => {
                session.link = Link::Lost;
                session.under_way.clear();
            }
            _ => session.link = Link::Away,
        }
    }

    /// It is resumed, or begins anew.
    pub(crate) fn mend(&mut self, world: &World, key: (Side, u16), random: &mut Random) {
        let session = self.sessions.get_mut(&key).expect("a session");
        match session.link {
            Link::Away => session.link = Link::Up,
            Link::Lost => self.begin(world, key, random),
            Link::None | Link::Up => {}
        }
    }

    /// It is closed for good.
    pub(crate) fn close(&mut self, side: Side) {
        for (key, session) in &mut self.sessions {
            if key.0 == side {
                session.link = Link::None;
                session.under_way.clear();
            }
        }
    }

    /// What has arrived by now lies in the rings.
    pub(crate) fn arrive(&mut self) {
        for session in self.sessions.values_mut() {
            if session.link != Link::Up {
                continue;
            }
            let mut arrived = Vec::new();
            for queue in session.under_way.values_mut() {
                while queue.front().is_some_and(|(at, _)| *at <= self.now) {
                    let Some(some) = queue.pop_front() else { break };
                    arrived.push(some);
                }
            }
            // READY and its gap came first.
            arrived.sort_by_key(|(at, record)| (*at, matches!(record, Record::Of(..))));
            session.ring.extend(arrived.into_iter().map(|(_, record)| (self.now, record)));
        }
    }

    pub(crate) fn is_drained(&self, key: (Side, u16)) -> bool {
        let session = &self.sessions[&key];
        session.read == session.ring.len()
    }
}

impl Session {
    /// READY is under way.
    fn is_beginning(&self) -> bool {
        let mut all = self.under_way.values().flatten();
        all.any(|(_, record)| matches!(record, Record::Ready(_)))
    }

    /// Order is kept within a guild, and behind READY.
    fn send(&mut self, guild: u64, at: u64, record: Record) {
        let queue = self.under_way.entry(guild).or_default();
        let last = queue.back().map_or(0, |(at, _)| *at);
        queue.push_back((at.max(last).max(self.barrier), record));
    }
}

//! The cache of the model: it reads rings, delivers, commits, and dies.

use std::collections::BTreeMap;

use mixcord_cache::overlap::{
    Fact, Keys, Overlap, PRIVATE, Request, Row, Side, Sides, Stage, Times, Verdict, What,
};

use crate::sessions::{Record, Sets};
use crate::world::{Guild, Said, Told, World};

pub(crate) const TIMES: Times = Times { window_us: 60_000, slack_us: 5_000 };

/// What consumers are told of one guild.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    /// Fingerprints and places of events, in order, and the event that the last GUILD_CREATE before each knew of.
    pub(crate) events: Vec<(u64, u64, u64)>,
    /// The latest event that a GUILD_CREATE which was applied knew of.
    places: u64,
    /// The membership that is told, memberships that ended, and how often each was away.
    joined: u64,
    left: Vec<u64>,
    outages: Vec<u64>,
}

/// How the state has a guild.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    No,
    /// It is unavailable.
    Away,
    There,
}

impl Held {
    pub(crate) fn of(guild: &Guild) -> Self {
        match (guild.is_member, guild.is_away) {
            (false, _) => Self::No,
            (true, true) => Self::Away,
            (true, false) => Self::There,
        }
    }
}

/// All that a commit holds.
#[derive(Clone, Default, Debug)]
struct Commit {
    rows: BTreeMap<Row, Vec<u8>>,
    read: BTreeMap<(Side, u16), usize>,
    seen: BTreeMap<u64, Seen>,
    gaps: Vec<(Side, u16)>,
    held: BTreeMap<u64, Held>,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) overlap: Overlap,
    commit: Commit,
    pub(crate) seen: BTreeMap<u64, Seen>,
    pub(crate) gaps: Vec<(Side, u16)>,
    /// Guilds that the state has.
    pub(crate) held: BTreeMap<u64, Held>,
    /// Records as they lie in bytes that wait.
    kept: Vec<(Fact, Record)>,
    pub(crate) bytes_most: u64,
    /// The guild whose records are printed, with what becomes of them: `TRACE=<guild id>`.
    trace: Option<u64>,
}

impl Reader {
    pub(crate) fn new(world: &World, sets: &Sets, bytes_max: usize) -> Self {
        let counts = Sides::new(sets.counts[0], sets.counts[1]);
        let request = Request { counts, times: TIMES, bytes_max };
        let mut overlap = Overlap::begin(request, Keys([1, 2]), sets.now);
        let mut held = BTreeMap::new();
        for (id, guild) in world.guilds.iter().filter(|(id, _)| **id != PRIVATE) {
            if guild.is_member {
                overlap.list(*id, guild.is_there(), false, guild.joined);
                held.insert(*id, Held::of(guild));
            }
        }
        overlap.listed();
        let mut reader = Self {
            overlap,
            commit: Commit::default(),
            seen: BTreeMap::new(),
            gaps: Vec::new(),
            held,
            kept: Vec::new(),
            bytes_most: 0,
            trace: std::env::var("TRACE").ok().and_then(|id| id.parse().ok()),
        };
        reader.commit(&Sets::clone(sets));
        reader
    }

    /// Delivers what is due, then reads so many records of a ring.
    pub(crate) fn read(&mut self, sets: &mut Sets, key: (Side, u16), most: usize) {
        self.release();
        for _ in 0..most {
            let session = sets.sessions.get_mut(&key).expect("a session");
            let Some((at, record)) = session.ring.get(session.read).cloned() else { break };
            let fact = fact_of(key, at, &record);
            let (verdict, stage) = (self.overlap.judge(&fact, 100), self.overlap.stage());
            if self.trace.is_some_and(|id| id == fact.guild || !matches!(record, Record::Of(..))) {
                eprintln!("{} {at} {key:?} {record:?} -> {verdict:?} {stage:?}", sets.now);
            }
            match verdict {
                Verdict::Stop => {
                    self.overlap.stopped(&fact);
                    break;
                }
                Verdict::Deliver => {
                    self.deliver(&fact, &record, fact.what != What::Lost);
                    self.overlap.delivered(&fact);
                }
                Verdict::Keep => {
                    let bytes = (self.kept.len() as u64).to_le_bytes().to_vec();
                    self.kept.push((fact.clone(), record));
                    self.overlap.kept(&fact, bytes);
                }
                Verdict::Pass => self.overlap.passed(&fact),
            }
            session.read += 1;
            self.release();
        }
        self.bytes_most = self.bytes_most.max(self.overlap.progress().waiting.1);
    }

    fn release(&mut self) {
        while let Some(due) = self.overlap.due() {
            let number = due.bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
            let (fact, record) = self.kept[number.expect("a number") as usize].clone();
            let (id, is_shown) = (due.id, due.is_shown);
            assert_eq!(due.side, fact.side);
            if !is_shown {
                self.deliver(&fact, &record, true);
            }
            self.overlap.released(id);
        }
    }

    fn deliver(&mut self, fact: &Fact, record: &Record, is_applied: bool) {
        let Fact { side, shard, at_us, .. } = *fact;
        match record {
            Record::Gap => self.gaps.push((side, shard)),
            Record::Ready(listed) if is_applied => {
                let count = self.overlap.counts()[side];
                let others: Vec<u64> = self.held.keys().copied().collect();
                for id in others {
                    let is_ours = (id >> 22) % u64::from(count) == u64::from(shard);
                    if is_ours && !self.overlap.is_others(side, id, at_us) {
                        let is_listed = listed.contains(&id) && self.held[&id] != Held::No;
                        self.held.insert(id, if is_listed { Held::Away } else { Held::No });
                    }
                }
            }
            Record::Ready(_) => {}
            Record::Of(id, said) => {
                let seen = self.seen.entry(*id).or_default();
                match *said {
                    Said::Event { place, print } => {
                        // Where a loss is told, nobody knows what the two sides have between them.
                        let places = if self.gaps.is_empty() { seen.places } else { 0 };
                        seen.events.push((print, place, places));
                    }
                    Said::Created { places, joined } => {
                        self.held.insert(*id, Held::There);
                        assert!(
                            joined >= seen.joined,
                            "guild {id} goes back to membership {joined}"
                        );
                        seen.joined = joined;
                        let before = std::mem::replace(&mut seen.places, places);
                        if !self.gaps.is_empty() {
                            seen.places = before.max(places);
                            return;
                        }
                        let last = seen.events.iter().map(|(_, place, _)| place + 1).max();
                        assert!(places >= before, "guild {id} goes back to a GUILD_CREATE");
                        assert!(
                            last.is_none_or(|last| places >= last),
                            "guild {id} goes back in time"
                        );
                    }
                    Said::Deleted { is_outage: true, joined } => {
                        self.held.insert(*id, Held::Away);
                        seen.outages.push(joined);
                    }
                    Said::Deleted { is_outage: false, joined } => {
                        self.held.insert(*id, Held::No);
                        seen.left.push(joined);
                    }
                }
            }
        }
    }

    /// Time passes: rings that are drained were read until now.
    pub(crate) fn tick(&mut self, sets: &Sets) {
        for &key in sets.sessions.keys() {
            if sets.is_drained(key) {
                self.overlap.reached(key.0, key.1, sets.now);
            }
        }
        self.overlap.sweep();
    }

    pub(crate) fn commit(&mut self, sets: &Sets) {
        let rows = &mut self.commit.rows;
        let drained: Result<(), ()> = self.overlap.drain(|row, bytes| {
            match bytes {
                Some(bytes) => drop(rows.insert(row, bytes.to_vec())),
                None => assert!(rows.remove(&row).is_some(), "{row:?} was not there"),
            }
            Ok(())
        });
        drained.expect("rows");
        self.commit.read = sets.sessions.iter().map(|(key, of)| (*key, of.read)).collect();
        self.commit.seen = self.seen.clone();
        self.commit.gaps = self.gaps.clone();
        self.commit.held = self.held.clone();
    }

    pub(crate) fn rows(&self) -> &BTreeMap<Row, Vec<u8>> {
        &self.commit.rows
    }

    /// It is killed, and starts again with what was committed.
    pub(crate) fn die(&mut self, sets: &mut Sets) {
        for (key, read) in &self.commit.read {
            sets.sessions.get_mut(key).expect("a session").read = *read;
        }
        self.seen = self.commit.seen.clone();
        self.gaps = self.commit.gaps.clone();
        self.held = self.commit.held.clone();
        let rows = self.commit.rows.iter().map(|(row, bytes)| (*row, bytes.clone())).collect();
        self.overlap = Overlap::load(rows).expect("rows").expect("a head");
    }

    pub(crate) fn stage(&self) -> Stage {
        self.overlap.stage()
    }
}

fn fact_of((side, shard): (Side, u16), at_us: u64, record: &Record) -> Fact {
    let (guild, what) = match record {
        Record::Gap => (PRIVATE, What::Lost),
        Record::Ready(guilds) => (PRIVATE, What::Ready(guilds.clone())),
        Record::Of(guild, said) => {
            let what = match *said {
                Said::Event { print, .. } => What::Event(print),
                Said::Created { joined, .. } => What::Created { print: 1, joined },
                Said::Deleted { is_outage, .. } => {
                    What::Deleted { print: 2 + u64::from(is_outage), is_outage }
                }
            };
            (*guild, what)
        }
    };
    Fact { side, shard, guild, at_us, what }
}

/// Compares what consumers were told with the world.
pub(crate) fn check(reader: &Reader, world: &World, sets: &Sets, is_over: bool, is_strict: bool) {
    for (id, guild) in &world.guilds {
        let seen_of = reader.seen.get(id).cloned().unwrap_or_default();
        let seen = &seen_of.events;
        let mut left: BTreeMap<u64, i64> = BTreeMap::new();
        for (print, _) in &guild.events {
            *left.entry(*print).or_default() += 1;
        }
        for (print, ..) in seen {
            *left.entry(*print).or_default() -= 1;
        }
        let twice: Vec<_> = left.iter().filter(|(_, left)| **left < 0).collect();
        assert!(twice.is_empty(), "guild {id}: delivered twice: {twice:?}");
        let is_outage_told = !seen_of.outages.is_empty();
        let may_miss = |place: u64, told: Told| match told {
            Told::Both => false,
            // What one session alone was told is lost with it.
            Told::OneAlone if !is_strict => true,
            // Where an outage is told, what came meanwhile is in the GUILD_CREATE that ends it, if it has ended.
            _ => is_outage_told && (place < seen_of.places || !guild.is_there()),
        };
        let is_kept = |print: &u64| {
            let mut events = guild.events.iter().zip(0..);
            !events.any(|((of, told), place)| of == print && may_miss(place, *told))
        };
        let lost: Vec<_> =
            left.iter().filter(|(print, left)| **left > 0 && is_kept(print)).collect();
        let was_told = reader.gaps.iter().any(|(side, shard)| sets.shard_of(*side, *id) == *shard);
        assert!(
            !is_over || was_told || lost.is_empty(),
            "guild {id}: lost without a word: {lost:?}"
        );
        if was_told {
            continue;
        }
        let told_once = seen_of.left.is_sorted_by(|one, next| one < next);
        assert!(told_once, "guild {id}: memberships that ended: {:?}", seen_of.left);
        if is_over && is_strict {
            assert_eq!(seen_of.left, guild.left, "guild {id}: memberships that ended");
            let is_alike = sets.has_outages || seen_of.outages == guild.outages;
            assert!(is_alike, "guild {id}: memberships that were away: {:?}", seen_of.outages);
        }
        // Those that one side alone was told come later than others. So may one of several that are equal, where a
        // session is lost between them.
        let is_both = |print: &u64| {
            let mut events = guild.events.iter();
            (is_strict || *print >= 100)
                && events.any(|(of, told)| of == print && *told != Told::OneAlone)
        };
        let back: Vec<_> =
            seen.iter().filter(|(print, place, places)| is_both(print) && place < places).collect();
        assert!(back.is_empty(), "guild {id} goes back behind a GUILD_CREATE: {back:?}");
        let order: Vec<u64> = seen.iter().map(|(print, ..)| *print).filter(is_both).collect();
        let mut events = guild.events.iter().map(|(print, _)| *print);
        for print in order {
            assert!(events.any(|event| event == print), "guild {id}: {print} is out of order");
        }
    }
}

//! Random histories.

use mixcord_cache::overlap::{PRIVATE, Row, Side, Stage};

use crate::reader::{Held, Reader, TIMES, check};
use crate::sessions::Sets;
use crate::world::{Random, Said, Told, World};

/// What may happen.
#[derive(Clone, Copy, Debug)]
struct May {
    /// Events that are equal, one behind the other.
    equal: bool,
    lose: bool,
    go_away: bool,
    one_sided: bool,
    /// One in so many happenings of a guild is that it goes; 0 for none.
    move_guilds: u64,
    /// One of the sets is read slowly, for a while.
    lag: bool,
    kill: bool,
    call_off: bool,
    /// Guilds are away in one set alone.
    outages: bool,
}

const ALL: May = May {
    equal: false,
    lose: true,
    go_away: true,
    one_sided: true,
    move_guilds: 60,
    lag: true,
    kill: true,
    call_off: true,
    outages: false,
};
const CALM: May = May {
    equal: true,
    lose: false,
    go_away: false,
    one_sided: false,
    move_guilds: 0,
    lag: false,
    kill: false,
    call_off: false,
    outages: false,
};

struct History {
    world: World,
    sets: Sets,
    reader: Reader,
    random: Random,
    may: May,
    /// The set that is read slowly.
    slow: Option<Side>,
    /// When a session that is away comes back.
    back: Vec<(u64, (Side, u16))>,
}

impl History {
    fn new(seed: u64, counts: [u16; 2], may: May, bytes_max: usize) -> Self {
        let mut random = Random::new(seed);
        let guilds = 1 + random.below(8);
        let ids = (0..guilds).map(|n| (n + 1) << 22 | n);
        let world = World::with([PRIVATE].into_iter().chain(ids));
        let mut sets = Sets::new(counts, TIMES.slack_us / 2, 1_000_000);
        for shard in 0..counts[0] {
            sets.begin(&world, (Side::Old, shard), &mut random);
        }
        sets.has_outages = may.outages;
        sets.now += TIMES.slack_us;
        sets.arrive();
        // They run for long already.
        for session in sets.sessions.values_mut() {
            session.ring.clear();
        }
        let reader = Reader::new(&world, &sets, bytes_max);
        Self { world, sets, reader, random, may, slow: None, back: Vec::new() }
    }

    fn tell_both(&mut self, guild: u64, said: Said) {
        for side in Side::BOTH {
            self.sets.tell(side, guild, said, &mut self.random);
        }
    }

    fn happen(&mut self) {
        let ids: Vec<u64> = self.world.guilds.keys().copied().collect();
        let id = ids[self.random.below(ids.len() as u64) as usize];
        let guild = &self.world.guilds[&id];
        if !guild.is_there() {
            if id != PRIVATE && self.may.move_guilds > 0 && self.random.one_in(4) {
                // The bot may be removed from a guild that is away.
                let is_left = self.world.guilds[&id].is_member && self.random.one_in(4);
                let world = &mut self.world;
                let said = if is_left { world.leave(id, false) } else { world.arrive(id) };
                self.tell_both(id, said);
            }
            return;
        }
        let moves = self.may.move_guilds;
        if id != PRIVATE && moves > 0 && self.random.one_in(moves) {
            let is_outage = self.random.one_in(2);
            let said = self.world.leave(id, is_outage);
            return self.tell_both(id, said);
        }
        let joined = guild.joined;
        if id != PRIVATE && self.may.outages && self.random.one_in(60) {
            let side = Side::BOTH[self.random.below(2) as usize];
            return self.sets.go_out(side, id, joined, &mut self.random);
        }
        if self.sets.is_out(id) {
            if self.random.one_in(12) {
                return self.sets.come_back(&self.world, &mut self.random);
            }
            let said = self.world.event(id, None, Told::Outage);
            return self.tell_both(id, said);
        }
        if self.may.one_sided && self.random.one_in(40) {
            let side = Side::BOTH[self.random.below(2) as usize];
            let key = (side, self.sets.shard_of(side, id));
            if self.sets.is_up(key) {
                let said = self.world.event(id, None, Told::OneAlone);
                self.sets.tell(side, id, said, &mut self.random);
            }
            return;
        }
        // Some are equal, one behind the other.
        let print = (self.may.equal && self.random.one_in(12)).then(|| 50 + self.random.below(4));
        let said = self.world.event(id, print, Told::Both);
        self.tell_both(id, said);
    }

    fn fail(&mut self) {
        let keys: Vec<_> = self.sets.sessions.keys().copied().collect();
        let key = keys[self.random.below(keys.len() as u64) as usize];
        if !self.sets.is_up(key) {
            return;
        }
        let is_lost = self.may.lose && (!self.may.go_away || self.random.one_in(2));
        if !is_lost && !self.may.go_away {
            return;
        }
        self.sets.drop_link(key, is_lost);
        let longest = TIMES.window_us * if is_lost { 1 } else { 2 };
        self.back.push((self.sets.now + self.random.below(longest), key));
    }

    fn step(&mut self) {
        self.sets.now += self.random.below(600);
        for n in (0..self.back.len()).rev() {
            if self.back[n].0 <= self.sets.now {
                let (_, key) = self.back.swap_remove(n);
                self.sets.mend(&self.world, key, &mut self.random);
            }
        }
        for _ in 0..self.random.below(3) {
            self.happen();
        }
        if self.random.one_in(300) {
            self.fail();
        }
        if self.may.lag && self.random.one_in(50) {
            let sides = [None, Some(Side::Old), Some(Side::New)];
            self.slow = sides[self.random.below(3) as usize];
        }
        self.sets.arrive();
        let keys: Vec<_> = self.sets.sessions.keys().copied().collect();
        for _ in 0..self.random.below(4) {
            let key = keys[self.random.below(keys.len() as u64) as usize];
            if self.slow == Some(key.0) && !self.random.one_in(20) {
                continue;
            }
            let most = self.random.below(12) as usize;
            self.reader.read(&mut self.sets, key, most);
        }
        if self.random.one_in(4) {
            self.reader.tick(&self.sets);
        }
        if self.random.one_in(5) {
            self.reader.commit(&self.sets);
        }
        if self.may.kill && self.random.one_in(100) {
            self.reader.die(&mut self.sets);
        }
    }

    /// Nothing more happens but time.
    fn rest(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        self.may = CALM;
        for n in 0..1000 {
            for (_, key) in std::mem::take(&mut self.back) {
                self.sets.mend(&self.world, key, &mut self.random);
            }
            self.sets.come_back(&self.world, &mut self.random);
            // Fine steps for as long as anything can be under way.
            self.sets.now += if n < 200 { 500 } else { TIMES.slack_us };
            self.sets.arrive();
            let keys: Vec<_> = self.sets.sessions.keys().copied().collect();
            for key in keys {
                self.reader.read(&mut self.sets, key, usize::MAX);
            }
            self.reader.tick(&self.sets);
            if holds(self) {
                return;
            }
        }
        panic!("never came: {what}: {:?}", self.reader.overlap.progress());
    }

    fn run(mut self) -> Self {
        let steps = 200 + self.random.below(800);
        for _ in 0..self.random.below(100) {
            self.step();
        }
        for shard in 0..self.sets.counts[1] {
            self.sets.begin(&self.world, (Side::New, shard), &mut self.random);
            for _ in 0..self.random.below(20) {
                self.step();
            }
        }
        let call_off = self.may.call_off && self.random.one_in(4);
        for _ in 0..steps {
            self.step();
            if call_off && self.random.one_in(100) {
                self.reader.overlap.call_off();
            }
        }
        let may = self.may;
        check(&self.reader, &self.world, &self.sets, false, !may.lose);
        let leaves = if self.reader.stage() == Stage::CalledOff {
            self.rest("the old set delivers", |history| history.reader.overlap.is_settled());
            Side::New
        } else {
            self.rest("the cut", |history| history.reader.overlap.leave());
            Side::Old
        };
        // Nobody acts on what is not committed.
        self.reader.commit(&self.sets);
        let end = self.sets.now + TIMES.slack_us;
        self.rest("what only it is told", |history| history.sets.now > end);
        self.sets.close(leaves);
        self.may = May { lose: false, ..may };
        for _ in 0..100 {
            self.step();
        }
        self.rest("the end", |history| {
            history.reader.overlap.end();
            history.reader.overlap.is_cleared()
        });
        let end = self.sets.now + TIMES.slack_us;
        self.rest("what is under way", |history| history.sets.now > end);
        self.reader.commit(&self.sets);
        check(&self.reader, &self.world, &self.sets, true, !may.lose);
        for (id, guild) in self.world.guilds.iter().filter(|(id, _)| **id != PRIVATE) {
            let held = self.reader.held.get(id).copied().unwrap_or(Held::No);
            assert_eq!(held, Held::of(guild), "guild {id} in the state");
        }
        let left: Vec<_> = self.reader.rows().keys().collect();
        assert_eq!(left, [&Row::Head], "rows that are left");
        self
    }
}

fn run(seeds: u64, counts: [u16; 2], may: May) {
    let number = |name| std::env::var(name).ok().and_then(|number: String| number.parse().ok());
    let seeds = match number("MIXCORD_SEED") {
        Some(seed) => seed..seed + 1,
        // A machine with time looks at more.
        None => 0..seeds * number("MIXCORD_HISTORIES").unwrap_or(1),
    };
    for seed in seeds {
        let bytes_max = if seed % 3 == 0 { 60_000 } else { 1 << 20 };
        let told =
            std::panic::catch_unwind(|| History::new(seed, counts, may, bytes_max).run().reader);
        match told {
            Ok(reader) => {
                let bound = bytes_max as u64 + 200_000;
                assert!(reader.bytes_most <= bound, "seed {seed}: {} bytes", reader.bytes_most);
                let may_tell = may.lose;
                assert!(may_tell || reader.gaps.is_empty(), "seed {seed}: {:?}", reader.gaps);
            }
            Err(error) => {
                eprintln!("seed {seed} of {counts:?} with {may:?}");
                std::panic::resume_unwind(error);
            }
        }
    }
}

const COUNTS: [[u16; 2]; 4] = [[1, 2], [2, 3], [3, 2], [2, 1]];

#[test]
fn a_calm_world() {
    COUNTS.into_iter().for_each(|counts| run(15, counts, CALM));
}

#[test]
fn a_cache_that_is_killed() {
    COUNTS.into_iter().for_each(|counts| run(15, counts, May { kill: true, ..CALM }));
}

#[test]
fn sessions_that_are_away() {
    let may = May { equal: false, go_away: true, kill: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn events_that_one_session_alone_is_told() {
    let may = May { equal: false, one_sided: true, go_away: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(20, counts, may));
}

#[test]
fn guilds_that_come_and_go() {
    let may = May { equal: false, move_guilds: 60, kill: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn guilds_that_are_away_in_one_set_alone() {
    let may = May { equal: false, outages: true, call_off: true, kill: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn guilds_that_are_away_in_one_set_alone_while_sessions_are_away() {
    let may = May { equal: false, outages: true, go_away: true, lag: true, kill: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn guilds_that_are_away_in_one_set_alone_and_in_both() {
    let may = May { equal: false, outages: true, move_guilds: 30, kill: true, ..CALM };
    let may = May { go_away: true, lag: true, call_off: true, ..may };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn guilds_that_are_away_in_one_set_alone_and_everything_else() {
    COUNTS.into_iter().for_each(|counts| run(20, counts, May { outages: true, ..ALL }));
}

/// They hardly do anything else, and one set is far behind the other.
#[test]
fn guilds_that_never_rest() {
    let may = May { equal: false, move_guilds: 4, lag: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(20, counts, may));
}

#[test]
fn guilds_that_never_rest_while_sessions_are_away() {
    let may = May { equal: false, go_away: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(20, counts, May { move_guilds: 8, lag: true, ..may }));
}

#[test]
fn guilds_that_never_rest_while_sessions_are_lost() {
    let may = May { equal: false, lose: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(20, counts, May { move_guilds: 8, lag: true, ..may }));
}

#[test]
fn sessions_that_are_lost() {
    let may = May { equal: false, lose: true, ..CALM };
    COUNTS.into_iter().for_each(|counts| run(25, counts, may));
}

#[test]
fn everything_at_once() {
    COUNTS.into_iter().for_each(|counts| run(20, counts, ALL));
}

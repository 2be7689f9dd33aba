//! Small histories, all of them: whatever happens next, five times over, while the new set is young and when it is not.

use mixcord_cache::overlap::{PRIVATE, Side};

use crate::reader::{Reader, TIMES, check};
use crate::sessions::Sets;
use crate::world::{Random, Said, Told, World};

const GUILD: u64 = 1 << 22;

/// What may happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Event,
    /// One that equals others.
    Equal,
    /// A record of a side is read.
    Read(Side),
    /// A session of a side is lost, and another one begins.
    Lose(Side),
    /// Time enough passes for all that is under way.
    Pass,
    Kill,
}

const NEXT: [Next; 8] = [
    Next::Event,
    Next::Equal,
    Next::Read(Side::Old),
    Next::Read(Side::New),
    Next::Lose(Side::Old),
    Next::Lose(Side::New),
    Next::Pass,
    Next::Kill,
];

struct Small {
    world: World,
    sets: Sets,
    reader: Reader,
    random: Random,
}

impl Small {
    /// Both sets run, for so long.
    fn new(age: u64) -> Self {
        let mut random = Random::new(1);
        let world = World::with([PRIVATE, GUILD]);
        let mut sets = Sets::new([1, 2], 0, 1_000_000);
        sets.begin(&world, (Side::Old, 0), &mut random);
        sets.arrive();
        for session in sets.sessions.values_mut() {
            session.ring.clear();
        }
        let reader = Reader::new(&world, &sets, 1 << 20);
        let mut small = Self { world, sets, reader, random };
        small.event(None);
        small.pass(2 * TIMES.slack_us);
        for shard in 0..2 {
            small.sets.begin(&small.world, (Side::New, shard), &mut small.random);
        }
        small.read_all();
        for _ in 0..age / TIMES.slack_us {
            small.event(None);
            small.pass(TIMES.slack_us);
        }
        small.sets.now += 1;
        small.sets.arrive();
        small
    }

    fn event(&mut self, print: Option<u64>) {
        let said = self.world.event(GUILD, print, Told::Both);
        self.tell(said);
    }

    fn tell(&mut self, said: Said) {
        for side in Side::BOTH {
            self.sets.tell(side, GUILD, said, &mut self.random);
        }
        self.sets.arrive();
    }

    fn read_all(&mut self) {
        self.sets.arrive();
        let keys: Vec<_> = self.sets.sessions.keys().copied().collect();
        for key in keys {
            self.reader.read(&mut self.sets, key, usize::MAX);
        }
    }

    fn pass(&mut self, us: u64) {
        self.read_all();
        self.sets.now += us;
        self.reader.tick(&self.sets);
        self.reader.commit(&self.sets);
    }

    fn happen(&mut self, next: Next) {
        self.sets.now += 10;
        match next {
            Next::Event => self.event(None),
            Next::Equal => self.event(Some(50)),
            Next::Read(side) => {
                let key = (side, self.sets.shard_of(side, GUILD));
                self.reader.read(&mut self.sets, key, 1);
                self.reader.commit(&self.sets);
            }
            Next::Lose(side) => {
                let key = (side, self.sets.shard_of(side, GUILD));
                self.sets.drop_link(key, true);
                self.sets.mend(&self.world, key, &mut self.random);
                self.sets.arrive();
            }
            Next::Pass => self.pass(3 * TIMES.slack_us),
            Next::Kill => self.reader.die(&mut self.sets),
        }
    }

    fn until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..1000 {
            self.event(None);
            self.pass(TIMES.slack_us);
            if holds(self) {
                return;
            }
        }
        panic!("it does not end: {:?}", self.reader.overlap.progress());
    }

    fn end(mut self) {
        self.until(|small| small.reader.overlap.leave());
        self.read_all();
        self.sets.close(Side::Old);
        self.until(|small| {
            small.reader.overlap.end();
            small.reader.overlap.is_cleared()
        });
        self.read_all();
        check(&self.reader, &self.world, &self.sets, true, true);
    }
}

fn all(age: u64, depth: u32) {
    for number in 0..NEXT.len().pow(depth) {
        let place = |at: u32| NEXT[number / NEXT.len().pow(at) % NEXT.len()];
        let steps: Vec<Next> = (0..depth).map(place).collect();
        let told = std::panic::catch_unwind(|| {
            let mut small = Small::new(age);
            steps.iter().for_each(|next| small.happen(*next));
            small.end();
        });
        assert!(told.is_ok(), "after {age} us: {steps:?}");
    }
}

#[test]
fn whatever_happens_while_the_new_set_is_young() {
    all(0, 4);
}

#[test]
fn whatever_happens_when_the_guild_is_cut() {
    all(4 * TIMES.slack_us, 4);
}

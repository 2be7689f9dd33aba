//! Members of a sticky group at random against a reference that knows who has which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::settle::How;
use super::share::{Moved, tell_others};
use super::tests::Scene;
use super::{Taken, Worker, WorkerTerms};
use crate::core::buffers::{Buffers, Entry};
use crate::core::errors::TakeError;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::{Meta, Position, Settle, WorkerOptions};

const PARTITIONS: u16 = 8;
const MEMBERS: usize = 5;
const KEYS: u64 = 24;

/// Deterministic noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A member, what the reference knows that it has, and what it has out.
struct Member {
    worker: Worker,
    has: BTreeSet<u16>,
    /// Told to be lost; others may have it after the next call.
    told: BTreeSet<u16>,
    out: Vec<(Taken, Buffers)>,
}

impl Member {
    fn join(scene: &Scene) -> Self {
        let core = Arc::clone(scene.producer.ring().core());
        let terms = WorkerTerms { attempts: 0, once: false, key: None, tags: None };
        let worker = Worker::join(&core, &scene.group, None, terms).unwrap();
        Self { worker, has: BTreeSet::new(), told: BTreeSet::new(), out: Vec::new() }
    }

    /// As SIGKILL would: its locks are let go by the kernel, and nothing else happens.
    fn kill(mut self) {
        Arc::get_mut(&mut self.worker.post).expect("no delivery shares it").seat.life = None;
        std::mem::forget(self.worker);
    }

    /// One call; nobody else may have what it gains.
    fn rebalance(&mut self, others: &BTreeSet<u16>) -> bool {
        let Moved { gained, lost } = self.worker.rebalance();
        self.told.clear();
        for &partition in &gained {
            assert!(!others.contains(&partition), "{partition} is another's");
            assert!(self.has.insert(partition));
        }
        for &partition in &lost {
            assert!(self.has.remove(&partition), "{partition} was not this one's");
            let out = self.out.iter().any(|(taken, _)| taken.held.partition == partition);
            assert!(!out, "something of {partition} is out");
            self.told.insert(partition);
        }
        !gained.is_empty() || !lost.is_empty()
    }

    /// What it is given; where an eviction took records, those before the end of the loss are `lost`.
    fn take(&mut self, lost: &mut Position) -> Option<(Position, u64)> {
        let mut taken = Vec::new();
        let buffers = loop {
            match self.worker.take(1, &mut taken) {
                Ok(buffers) => break buffers?,
                Err(TakeError::Evicted { lost: range, .. }) => *lost = range.end,
                Err(error) => panic!("{error}"),
            }
        };
        let Entry { position, key, .. } = buffers.get(0).unwrap();
        assert!(self.has.contains(&taken[0].held.partition), "of a partition that it has not");
        self.out.push((taken[0], buffers));
        Some((position, key))
    }

    fn settle(&mut self, index: usize, how: How<'_>) -> Position {
        let (taken, buffers) = self.out.swap_remove(index);
        self.worker.post.settle(&taken.held, &buffers.get(0).unwrap(), how).unwrap();
        taken.held.position
    }
}

fn had_by_others(members: &[Option<Member>], but: usize) -> BTreeSet<u16> {
    let others = members.iter().enumerate().filter(|(index, _)| *index != but);
    others
        .filter_map(|(_, member)| member.as_ref())
        .flat_map(|member| member.has.iter().chain(&member.told).copied())
        .collect()
}

/// P10, sticky: no partition is two members' at once, whoever comes, leaves, is killed or evicted; of a key nothing
/// is given to one while another has something of it; per key the order holds; what was acknowledged never comes
/// again; and all is handled in the end.
#[test]
fn no_partition_is_ever_two_members_and_nothing_is_lost() {
    for seed in 1..=24 {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut scene = Scene::sticky(&format!("sticky-{seed}"), 64);
    let mut noise = Noise(seed * 0x9E37_79B9);
    let mut members: Vec<Option<Member>> = (0..MEMBERS).map(|_| None).collect();
    let mut keys = BTreeMap::new();
    let (mut done, mut lost) = (BTreeSet::new(), 0);
    let mut last_done: BTreeMap<u64, Position> = BTreeMap::new();
    let mut next = 0;
    for _ in 0..1_500 {
        let index = noise.below(MEMBERS as u64) as usize;
        let others = had_by_others(&members, index);
        match (noise.below(100), &mut members[index]) {
            (0..25, _) => {
                let key = noise.below(KEYS);
                if scene.put(key) {
                    keys.insert(next, key);
                    next += 1;
                }
            }
            (25..30, seat @ None) => *seat = Some(Member::join(&scene)),
            (25..27, seat @ Some(_)) => seat.take().unwrap().kill(),
            (27..29, Some(member)) if member.out.is_empty() => members[index] = None,
            (29, _) if noise.below(20) == 0 => {
                // The members end, and what they have out with them.
                scene.producer.ring().evict_group("bot").unwrap();
                members.iter_mut().for_each(|member| *member = None);
            }
            (30..45, Some(member)) => {
                member.rebalance(&others);
            }
            (45..70, Some(member)) => {
                if let Some((position, key)) = member.take(&mut lost) {
                    assert!(!done.contains(&position), "seed {seed}: {position} again");
                    let behind = last_done.get(&key).is_none_or(|&last| last < position);
                    assert!(behind, "seed {seed}: {position} out of its order");
                    let here =
                        members[index].as_ref().unwrap().out.last().unwrap().0.held.partition;
                    let twice = members.iter().enumerate().any(|(other, member)| {
                        let out = member.iter().flat_map(|member| &member.out);
                        other != index && out.into_iter().any(|(it, _)| it.held.partition == here)
                    });
                    assert!(!twice, "seed {seed}: two members are at work on {here}");
                }
            }
            (70..98, Some(member)) if !member.out.is_empty() => {
                let which = noise.below(member.out.len() as u64) as usize;
                let how = match noise.below(6) {
                    0 => How::Retry { after_ns: 0, reason: "try again" },
                    1 => How::Back,
                    _ => How::Done,
                };
                let position = member.settle(which, how);
                if matches!(how, How::Done) {
                    assert!(done.insert(position));
                    last_done.insert(keys[&position], position);
                }
            }
            _ => {}
        }
    }
    // One more comes; together they handle all that is left.
    if members.iter().all(Option::is_none) {
        members[0] = Some(Member::join(&scene));
    }
    let end = Instant::now() + Duration::from_secs(60);
    let left = |done: &BTreeSet<Position>, lost| (lost..next).any(|at| !done.contains(&at));
    while left(&done, lost) {
        assert!(Instant::now() < end, "seed {seed}: {} of {next}, {lost} lost", done.len());
        for index in 0..MEMBERS {
            let others = had_by_others(&members, index);
            let Some(member) = &mut members[index] else { continue };
            member.rebalance(&others);
            while !member.out.is_empty() {
                let position = member.settle(0, How::Done);
                assert!(done.insert(position));
            }
            while member.take(&mut lost).is_some() {}
        }
        std::thread::yield_now();
    }
    let shares: Vec<_> = members.iter().flatten().map(|member| member.has.len()).collect();
    assert!(shares.iter().sum::<usize>() <= usize::from(PARTITIONS));
}

/// Everybody looks and gives up and takes until nothing changes; how many partitions were gained by each.
fn settle_all(members: &mut [Option<Member>]) -> Vec<usize> {
    let mut gained = vec![0; members.len()];
    loop {
        let mut changed = false;
        for index in 0..members.len() {
            let others = had_by_others(members, index);
            let Some(member) = &mut members[index] else { continue };
            let before = member.has.clone();
            changed |= member.rebalance(&others);
            gained[index] += member.has.difference(&before).count();
        }
        if !changed {
            return gained;
        }
    }
}

#[test]
fn a_join_moves_the_share_of_the_newcomer_alone_and_a_death_that_of_the_dead() {
    let scene = Scene::sticky("share", 64);
    let mut members: Vec<Option<Member>> = (0..MEMBERS).map(|_| None).collect();
    members[0] = Some(Member::join(&scene));
    assert_eq!(settle_all(&mut members)[0], usize::from(PARTITIONS));
    for (newcomer, own) in [(1, 4), (2, 2), (3, 2)] {
        members[newcomer] = Some(Member::join(&scene));
        let gained = settle_all(&mut members);
        let others = gained.iter().sum::<usize>() - gained[newcomer];
        assert_eq!((gained[newcomer], others), (own, 0));
    }
    let dead = members[1].take().unwrap();
    let share = dead.has.clone();
    dead.kill();
    // That one lives is asked of the kernel seldom.
    let end = Instant::now() + Duration::from_secs(60);
    let mut taken = 0;
    while taken < share.len() {
        assert!(Instant::now() < end, "the dead one's share is left");
        tell_others(&members[0].as_ref().unwrap().worker.post.seat);
        taken += settle_all(&mut members).iter().sum::<usize>();
    }
    assert_eq!(taken, share.len(), "nothing else moved");
    let all: BTreeSet<_> = members.iter().flatten().flat_map(|member| &member.has).collect();
    assert_eq!(all.len(), usize::from(PARTITIONS));
}

/// A partition of which something is out stays until that is settled, and nothing more of it is given meanwhile.
#[test]
fn a_partition_moves_once_nothing_of_it_is_out() {
    let mut scene = Scene::sticky("drains", 64);
    let ring = scene.producer.ring();
    let key_of = |partition| (0..).find(|&key| ring.partition_of(key) == partition).unwrap();
    let keys: Vec<u64> = (0..PARTITIONS).map(key_of).collect();
    keys.iter().for_each(|&key| assert!(scene.put(key)));
    let (mut members, mut lost) = (vec![Some(Member::join(&scene)), None], 0);
    settle_all(&mut members);
    let first = members[0].as_mut().unwrap();
    while first.take(&mut lost).is_some() {}
    assert_eq!(first.out.len(), keys.len());
    keys.iter().for_each(|&key| assert!(scene.put(key)));
    members[1] = Some(Member::join(&scene));
    assert_eq!(settle_all(&mut members), [0, 0], "all of it is out");
    let first = members[0].as_mut().unwrap();
    while !first.out.is_empty() {
        first.settle(0, How::Done);
    }
    assert_eq!(settle_all(&mut members), [0, 4]);
    let second = members[1].as_mut().unwrap();
    while second.take(&mut lost).is_some() {}
    assert_eq!(second.out.len(), 4, "the second of each key that moved");
}

/// Who does not ask for it gets none, and is no part of the count; another mode is refused.
#[test]
fn a_member_that_asks_for_another_mode_is_refused() {
    let scene = Scene::sticky("mode", 64);
    let plain = crate::GroupSpec::durable("bot").any_order(crate::Order::Key);
    let ring = scene.producer.ring();
    let refused = ring.work(&plain, &scene.bell, WorkerOptions::new()).unwrap_err();
    assert!(refused.to_string().contains("sticky: true"), "{refused}");
}

/// Who sleeps is woken for its own partitions, not another in its place.
#[test]
fn the_owner_is_woken_and_a_worker_that_never_rebalances_gets_nothing() {
    let mut scene = Scene::sticky("wakes", 64);
    let ring = scene.producer.ring();
    let mut first = ring.work(&scene.group, &scene.bell, WorkerOptions::new()).unwrap();
    let mut second = ring.work(&scene.group, &scene.bell, WorkerOptions::new()).unwrap();
    while first.rebalance().is_some() | second.rebalance().is_some() {}
    assert_eq!((first.partitions().len(), second.partitions().len()), (4, 4));
    let idle = ring.work(&scene.group, &scene.bell, WorkerOptions::new()).unwrap();
    let core = Arc::clone(ring.core());
    let sleepers = core.layout.group(0) + group::SLEEPERS;
    for key in 0..KEYS {
        first.arm();
        second.arm();
        assert!(scene.put(key));
        let is_first = first.partitions().contains(&ring.partition_of(key));
        let asleep = core.memory.load(sleepers, Ordering::Relaxed);
        assert_eq!(asleep, if is_first { 0b10 } else { 0b01 }, "the other sleeps on");
        let (its, other) =
            if is_first { (&mut first, &mut second) } else { (&mut second, &mut first) };
        assert!(other.take().unwrap().is_none());
        its.take().unwrap().expect("its own").settle(Settle::Ack).unwrap();
    }
    drop(idle);
    assert_eq!(first.lag(), 0);
}

/// Wakes that are put off are for the records of their own publish, whatever was published since.
#[test]
fn the_owner_is_woken_later_though_the_newest_record_is_anothers() {
    let mut scene = Scene::sticky("wakes-later", 64);
    let ring = scene.producer.ring();
    let mut members =
        [(); 2].map(|()| ring.work(&scene.group, &scene.bell, WorkerOptions::new()).unwrap());
    while members.iter_mut().any(|member| member.rebalance().is_some()) {}
    let key = |member: &crate::Worker| {
        (0..KEYS).find(|&key| member.partitions().contains(&ring.partition_of(key))).unwrap()
    };
    let keys = [key(&members[0]), key(&members[1])];
    let core = Arc::clone(ring.core());
    let asleep = || core.memory.load(core.layout.group(0) + group::SLEEPERS, Ordering::Relaxed);
    members.iter_mut().for_each(crate::Worker::arm);
    let wakes = keys.map(|key| {
        scene.producer.stage(&Meta { key, ..Meta::default() }, &[b"news"]).unwrap();
        scene.producer.publish_quietly().unwrap()
    });
    assert_eq!(asleep(), 0b11, "nobody was woken yet");
    let [first, second] = wakes;
    drop(first);
    assert_eq!(asleep(), 0b10, "the second has its own wakes");
    drop(second);
    assert_eq!(asleep(), 0);
}

/// P10: a member that is stopped keeps its partitions, but not the ring.
#[test]
fn a_member_that_stands_still_holds_up_its_own_partitions_and_not_the_ring() {
    let mut scene = Scene::sticky("still", 64);
    let (mut members, mut lost) = (vec![Some(Member::join(&scene)), Some(Member::join(&scene))], 0);
    settle_all(&mut members);
    let ring = scene.producer.ring();
    let [Some(stopped), Some(other)] = &mut members[..] else { unreachable!() };
    let its = (0..).find(|&key| stopped.has.contains(&ring.partition_of(key))).unwrap();
    let core = Arc::clone(ring.core());
    let end = Instant::now() + Duration::from_secs(60);
    for _ in 0..200 {
        while !scene.put(its) {
            assert!(Instant::now() < end, "the ring is held up");
            // As if it had been stopped long ago.
            let moved =
                core.layout.member(0, stopped.worker.post.seat.member) + group::MEMBER_MOVED;
            core.memory.store(moved, 1, Ordering::Relaxed);
            assert!(other.take(&mut lost).is_none(), "that is not its own");
            std::thread::yield_now();
        }
    }
    for position in 0..200 {
        assert_eq!(stopped.take(&mut lost), Some((position, its)), "in order, when it goes on");
        stopped.settle(0, How::Done);
    }
}

/// What waits for another try, in the ring or set aside, goes with its partition: its new member has it at once.
#[test]
fn what_one_waited_to_try_again_is_tried_by_the_next() {
    let mut scene = Scene::sticky("retries", 64);
    let ring = scene.producer.ring();
    let key_of = |partition| (0..).find(|&key| ring.partition_of(key) == partition).unwrap();
    let keys: Vec<u64> = (0..PARTITIONS).map(key_of).collect();
    keys.iter().for_each(|&key| assert!(scene.put(key)));
    let (mut members, mut lost) = (vec![Some(Member::join(&scene)), None], 0);
    settle_all(&mut members);
    let first = members[0].as_mut().unwrap();
    while first.take(&mut lost).is_some() {}
    assert_eq!(first.out.len(), keys.len());
    // Every other one is set aside while it is out, and is then in the file.
    for (taken, _) in first.out.iter().step_by(2) {
        first.worker.post.set_aside(taken.held.lane, &[taken.held.position]).unwrap();
    }
    let long = 3_600_000_000_000;
    while !first.out.is_empty() {
        first.settle(0, How::Retry { after_ns: long, reason: "not yet" });
    }
    members[1] = Some(Member::join(&scene));
    assert_eq!(settle_all(&mut members), [0, 4]);
    let [Some(first), Some(second)] = &mut members[..] else { unreachable!() };
    while second.take(&mut lost).is_some() {}
    assert_eq!(second.out.len(), 4, "of each partition that moved");
    assert!(second.out.iter().all(|(taken, _)| taken.held.word.counts().given() == 1));
    assert!(first.take(&mut lost).is_none(), "its own wait for their time");
}

/// Who left while it has something out keeps that partition alone.
#[test]
fn who_leaves_keeps_what_is_out_and_nothing_else() {
    let mut scene = Scene::sticky("leaves", 64);
    assert!(scene.put(1));
    let ring = scene.producer.ring();
    let join = || ring.work(&scene.group, &scene.bell, WorkerOptions::new()).unwrap();
    let mut first = join();
    while first.rebalance().is_some() {}
    let held = first.take().unwrap().expect("the first");
    drop(first);
    let mut second = join();
    while second.rebalance().is_some() {}
    let all_but_one: Vec<_> = (0..PARTITIONS).filter(|&it| it != ring.partition_of(1)).collect();
    assert_eq!(second.partitions(), all_but_one);
    assert!(second.take().unwrap().is_none());
    held.settle(Settle::Ack).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while second.partitions().len() < usize::from(PARTITIONS) {
        assert!(Instant::now() < end, "it is never let go of");
        second.rebalance();
    }
}

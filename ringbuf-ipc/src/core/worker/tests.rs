//! What needs a look at the words themselves.

use std::time::{Duration, Instant};

use super::neighbours::Neighbours;
use super::post::{Origin, Settled};
use super::settle::How;
use super::{Taken, WorkerTerms};
use crate::core::arming::Sleeper;
use crate::core::buffers::Buffers;
use crate::core::descriptor::Descriptor;
use crate::core::layout::group;
use crate::core::memory::Ordering;
use crate::core::words::desk::Left;
use crate::core::words::peers::Peers;
use crate::core::words::table::Settlement;
use crate::core::words::word::State;
use crate::{
    Bell, Geometry, GroupSpec, Meta, Namespace, Order, Producer, Settle, Start, Worker,
    WorkerOptions,
};

pub(super) struct Scene {
    pub(super) bell: Bell,
    pub(super) producer: Producer,
    pub(super) group: GroupSpec,
    removed: Removed,
}

/// Goes last, when nobody has anything of it open any more.
pub(super) struct Removed(Namespace);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.0.remove_all();
    }
}

impl Scene {
    fn new(test: &str) -> Self {
        Self::of(test, 16)
    }

    pub(super) fn of(test: &str, slots: u32) -> Self {
        let namespace = Namespace::new(&format!("ringtest-{}-{test}", std::process::id())).unwrap();
        let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key);
        Self::with(namespace, slots, group)
    }

    pub(super) fn sticky(test: &str, slots: u32) -> Self {
        let namespace = Namespace::new(&format!("ringtest-{}-{test}", std::process::id())).unwrap();
        let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key).sticky();
        Self::with(namespace, slots, group)
    }

    fn with(namespace: Namespace, slots: u32, group: GroupSpec) -> Self {
        let bell = namespace.bell().unwrap();
        let geometry = Geometry::new(slots, 64 << 10, 4, 8, 8).unwrap();
        let groups = std::slice::from_ref(&group);
        let producer = Producer::create(&namespace, "r", geometry, groups, &bell).unwrap();
        Self { bell, producer, group, removed: Removed(namespace) }
    }

    fn worker(&self) -> Worker {
        self.producer.ring().work(&self.group, &self.bell, WorkerOptions::new()).unwrap()
    }

    pub(super) fn put(&mut self, key: u64) -> bool {
        let staged = self.producer.stage(&Meta { key, ..Meta::default() }, &[b"text"]).is_ok();
        self.producer.publish();
        staged
    }
}

/// From one who lives nothing may be taken, however shortly before its seat was seen empty.
#[test]
fn who_takes_a_seat_that_was_seen_empty_lives_at_once() {
    let scene = Scene::new("seat");
    let neighbours = Neighbours::new(scene.producer.ring().core(), 0, 1);
    assert!(!neighbours.is_alive(0));
    let worker = scene.worker();
    assert!(neighbours.is_alive(0));
    assert!(neighbours.while_dead(0, || ()).is_none(), "nothing is taken from it");
    drop(worker);
    assert!(neighbours.while_dead(0, || ()).is_some());
}

/// P10: a suspect waits until its member has nothing else out. While that hangs, the ring goes on.
#[test]
fn a_suspect_that_waits_for_its_turn_holds_up_no_ring() {
    let mut scene = Scene::new("suspect");
    scene.put(1);
    scene.put(2);
    let mut worker = scene.worker();
    let core = scene.producer.ring().core().clone();
    let words = core.words(0, core.group_epoch(0));
    for _ in 0..2 {
        words.take(1, words.look(1), 5, false).unwrap();
        words.reclaim(1, words.look(1), true).unwrap();
    }
    let hangs = worker.take().unwrap().expect("of key 1");
    assert_eq!(hangs.position(), 0);
    let end = Instant::now() + Duration::from_secs(60);
    for _ in 0..64 {
        while !scene.put(3) {
            assert!(Instant::now() < end, "the ring is held up");
            while let Some(delivery) = worker.take().unwrap() {
                assert_eq!(delivery.entry().key, 3);
                delivery.settle(Settle::Ack).unwrap();
            }
            std::thread::yield_now();
        }
    }
    hangs.settle(Settle::Ack).unwrap();
    let suspect = worker.take().unwrap().expect("alone now");
    assert!(suspect.is_suspect() && suspect.position() == 1);
    assert!(worker.take().unwrap().is_none(), "nothing beside it");
    suspect.settle(Settle::Ack).unwrap();
}

/// Whoever finds a record dying writes its letter, also where the group was evicted since.
#[test]
fn what_was_dying_when_its_group_was_evicted_is_buried_and_not_given() {
    let mut scene = Scene::new("dying");
    scene.put(1);
    let ring = scene.producer.ring();
    let core = ring.core().clone();
    let words = core.words(0, core.group_epoch(0));
    let word = words.take(0, words.look(0), 5, false).unwrap();
    words.settle(0, word, Settlement::Dying).unwrap();
    ring.evict_group("bot").unwrap();
    let mut worker = scene.worker();
    assert!(worker.take().unwrap().is_none(), "no handler sees it again");
    let letters = ring.dead_letters("bot").unwrap();
    assert_eq!((letters.len(), letters[0].position, worker.lag()), (1, 0, 0));
}

/// Killed before the file was told of it, evicted and overwritten: it is in the file alone, and is given from there.
#[test]
fn what_was_set_aside_when_its_group_was_evicted_stays_aside() {
    let mut scene = Scene::new("carried");
    (0..10).for_each(|_| assert!(scene.put(1)));
    let core = scene.producer.ring().core().clone();
    let words = core.words(0, core.group_epoch(0));
    assert!(words.set_aside(0, words.look(0)));
    scene.producer.ring().evict_group("bot").unwrap();
    (0..20).for_each(|_| assert!(scene.put(1)));
    let worker = scene.worker();
    let words = core.words(0, core.group_epoch(0));
    assert!(worker.floor() > 0);
    assert_eq!(words.look(0).word.state(), State::Aside);
}

/// Bytes of the group's words that have memory.
fn words_in_memory(scene: &Scene) -> usize {
    let words = scene.producer.ring().core().layout.words(0);
    let name = format!("{}.r", scene.removed.0.prefix());
    let file = std::fs::File::open(crate::system::segment::path_of(&name)).unwrap();
    let data = nix::unistd::lseek(&file, words.start as i64, nix::unistd::Whence::SeekData);
    match data {
        Ok(at) if (at as usize) < words.end => words.end - at as usize,
        _ => 0,
    }
}

/// P8: whoever was a member touches its words until it hears that its group is gone; their memory goes with the last.
#[test]
fn the_words_of_a_group_ended_by_force_stay_until_nobody_is_left_who_had_them() {
    // Whole pages of words.
    let mut scene = Scene::of("force", 4096);
    scene.put(1);
    let mut worker = scene.worker();
    let held = worker.take().unwrap().expect("the first");
    scene.producer.ring().remove_group_by_force("bot").unwrap();
    assert!(words_in_memory(&scene) > 0, "somebody may touch them");
    assert!(held.settle(Settle::Ack).is_err());
    assert!(worker.take().is_err());
    drop(worker);
    assert_eq!(words_in_memory(&scene), 0, "the last one gave them back");
    // The place is used again while one of the last group lives.
    let first = scene.worker();
    scene.producer.ring().remove_group_by_force("bot").unwrap();
    let groups: Vec<_> = (0..4).map(|n| GroupSpec::durable(&format!("g{n}"))).collect();
    let ring = scene.producer.ring();
    for group in &groups {
        ring.declare_group(&group.clone().any_order(Order::Key)).unwrap();
    }
    assert!(words_in_memory(&scene) > 0);
    drop(first);
    assert!(words_in_memory(&scene) > 0, "they are another's now");
}

/// A member that was evicted and does not know it yet writes nothing into the file of those that came after.
#[test]
fn nobody_who_was_moved_writes_into_the_file_of_the_group() {
    let mut scene = Scene::new("moved");
    (0..15).for_each(|key| assert!(scene.put(key)));
    let core = scene.producer.ring().core().clone();
    let terms = WorkerTerms { attempts: 5, once: false, key: None, tags: None };
    let evicted = super::Worker::join(&core, &scene.group, None, terms).unwrap();
    scene.producer.ring().reset_group("bot", Start::Earliest).unwrap();
    // Wiped, the word of a record looks free to those of the last epoch.
    evicted.post.set_aside(7, &[0]).unwrap();
    drop(evicted);
    assert_eq!(scene.producer.ring().groups()[0].figures.aside, 0);
    let mut new = scene.worker();
    let mut given = Vec::new();
    while let Some(delivery) = new.take().unwrap() {
        given.push(delivery.position());
        delivery.settle(Settle::Ack).unwrap();
    }
    assert_eq!(given, (0..15).collect::<Vec<_>>(), "each once");
}

/// Whoever dies while it sets records aside leaves words that say aside and entries that do not yet: until somebody has
/// put that right, the ring has to keep them.
#[test]
fn the_cursor_waits_while_records_are_being_set_aside() {
    let mut scene = Scene::new("setting");
    (0..2).for_each(|_| assert!(scene.put(1)));
    let core = scene.producer.ring().core().clone();
    let (words, setting) =
        (core.words(0, core.group_epoch(0)), core.layout.group(0) + group::SETTING_ASIDE);
    core.memory.store(setting, 1, Ordering::Release);
    assert!(words.set_aside(0, words.look(0)));
    core.advance_floor(0, core.group_epoch(0));
    assert_eq!(core.group_floor(0), 0);
    core.memory.store(setting, 0, Ordering::Release);
    core.advance_floor(0, core.group_epoch(0));
    assert_eq!(core.group_floor(0), 1);
}

/// From its first acknowledgement on its death counts, and a producer that waits for room is woken by the last of those
/// that make it, though the worker itself is not called again.
#[test]
fn what_is_acknowledged_is_told_at_once() {
    let mut scene = Scene::of("told", 8);
    while scene.put(1) {}
    let mut worker = scene.worker();
    let core = scene.producer.ring().core().clone();
    let settled = core.layout.member(0, 0) + group::MEMBER_SETTLED;
    assert!(!scene.producer.arm_space(0));
    worker.take().unwrap().expect("the first").settle(Settle::Ack).unwrap();
    assert_eq!(core.memory.load(settled, Ordering::Acquire), 1);
    assert_eq!(core.group_floor(0), 1, "though nobody tends to it");
}

impl Scene {
    fn inner(&self) -> super::Worker {
        let terms = WorkerTerms { attempts: 5, once: false, key: None, tags: None };
        super::Worker::join(self.producer.ring().core(), &self.group, None, terms).unwrap()
    }

    /// As after the death of a member that had settled nothing.
    fn frighten(&self) {
        let core = self.producer.ring().core().clone();
        core.memory.store(core.layout.group(0) + group::FEAR, 1, Ordering::Release);
    }
}

fn take_one(worker: &mut super::Worker) -> Option<Taken> {
    let mut taken = Vec::new();
    worker.take(1, &mut taken).unwrap();
    taken.pop()
}

/// A record is put into the box before it is said that something is settled, and the worker may look in between.
#[test]
fn a_worker_looks_whether_it_has_settled_anything_though_nothing_comes_back() {
    let mut scene = Scene::new("proven");
    scene.put(1);
    let mut worker = scene.inner();
    let held = take_one(&mut worker).expect("one is there").held;
    worker.post.came_back([Settled::of(&held, Left::Past)]);
    worker.collect();
    assert!(worker.desk.is_unproven());
    worker.post.acknowledged(1);
    worker.collect();
    assert!(!worker.desk.is_unproven());
}

/// What is due waits with everything else while a suspect is out: who sleeps until then would not sleep at all.
#[test]
fn nothing_is_due_while_nothing_is_taken() {
    let mut scene = Scene::new("due");
    scene.put(1);
    scene.put(2);
    let core = scene.producer.ring().core().clone();
    let words = core.words(0, core.group_epoch(0));
    for _ in 0..2 {
        words.take(1, words.look(1), 5, false).unwrap();
        words.reclaim(1, words.look(1), true).unwrap();
    }
    let mut worker = scene.inner();
    let first = take_one(&mut worker).expect("of key 1").held;
    let after_ns = Duration::from_millis(1).as_nanos() as u64;
    let mut buffers = Buffers::default();
    buffers.push(&core, &Descriptor::load(&core, 0).unwrap()).unwrap();
    let how = How::Retry { after_ns, reason: "not yet" };
    worker.post.settle(&first, &buffers.get(0).unwrap(), how).unwrap();
    assert_eq!(take_one(&mut worker).expect("the suspect").held.position, 1);
    assert!(!worker.has_work());
    let end = Instant::now() + Duration::from_millis(5);
    while Instant::now() < end {
        assert!(worker.tick() >= Duration::from_millis(10), "it turns without rest");
    }
}

/// Who says that there is work has some.
#[test]
fn what_is_aside_is_no_work_while_nothing_is_taken() {
    let mut scene = Scene::new("noaside");
    (0..2).for_each(|key| assert!(scene.put(key)));
    let mut worker = scene.inner();
    (0..2).for_each(|at| worker.post.set_aside(at, &[at.into()]).unwrap());
    scene.frighten();
    assert_eq!(take_one(&mut worker).expect("one of the file").held.origin, Origin::File);
    let has_work = worker.has_work();
    assert!(take_one(&mut worker).is_some() || !has_work, "it turns without rest");
}

/// Of nothing that was settled nothing follows.
#[test]
fn who_acknowledges_nothing_has_settled_nothing() {
    let mut scene = Scene::new("nothing");
    scene.put(1);
    let worker = scene.inner();
    scene.frighten();
    worker.post.acknowledged(0);
    let core = scene.producer.ring().core().clone();
    let fear = core.memory.load(core.layout.group(0) + group::FEAR, Ordering::Acquire);
    assert_eq!((fear, worker.post.has_settled()), (1, false));
}

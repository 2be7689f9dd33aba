//! A partition of a sticky group is one member's, whoever dies and whoever takes the seat of the dead meanwhile.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::group_spec::{GroupSpec, Order};
use super::super::locks;
use super::super::memory::Weaken;
use super::super::worker::{Worker, WorkerTerms};
use super::super::{Core, groups};
use super::{Met, Pair, explore, ring_with, spec};

fn sticky() -> GroupSpec {
    spec().any_order(Order::Key).sticky()
}

fn join(core: &Arc<Core>) -> ManuallyDrop<Worker> {
    let terms = WorkerTerms { attempts: 0, once: false, key: None, tags: None };
    ManuallyDrop::new(Worker::join(core, &sticky(), None, terms).unwrap())
}

#[test]
fn loom_a_sticky_partition_is_one_members() {
    static BY_THE_OTHER: Met = Met::new();
    static BY_THE_NEXT: Met = Met::new();
    explore(Weaken::Nothing, 2, || {
        let (core, _) = ring_with(Pair::Barriers, 2, 1, 0);
        groups::declare(&core, &sticky()).unwrap();
        let mut dead = join(&core);
        assert_eq!(dead.rebalance().gained, [0]);
        let mut other = join(&core);
        assert!(other.rebalance().gained.is_empty(), "one of two has the only partition");
        core.environment.kill(locks::member(0, 0));
        let theirs = Arc::clone(&core);
        let next = thread::spawn(move || {
            let mut next = join(&theirs);
            assert_eq!(next.post.seat.member, 0, "in the seat of the dead");
            !next.rebalance().gained.is_empty()
        });
        let by_other = !other.rebalance().gained.is_empty();
        let by_next = next.join().unwrap();
        BY_THE_OTHER.note(by_other);
        BY_THE_NEXT.note(by_next);
        assert!(!(by_other && by_next), "two have one partition");
        std::mem::forget(dead);
    });
    BY_THE_OTHER.check();
    BY_THE_NEXT.check();
}

//! Workers in threads over a heap block. What handlers of one key do, one after the other, is plain memory here: if the
//! words did not order it, ThreadSanitizer would see a race.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::settle::How;
use super::{Worker, WorkerTerms};
use crate::core::Core;
use crate::core::errors::JoinError;
use crate::core::group_spec::{GroupSpec, Order, Start};
use crate::core::groups::{self, state};
use crate::core::locks;
use crate::core::stress_tests::{KEYS, RECORDS, payload, produce, ring, ring_with_letters};

const MEMBERS: u64 = 3;

/// What a program keeps of each key: how many of its records were handled.
struct Kept(Box<[UnsafeCell<u64>]>);

// SAFETY: a key's cell is touched by who has a record of that key, and that is one at a time: what is tested here.
#[allow(unsafe_code)]
unsafe impl Sync for Kept {}

impl Kept {
    fn new() -> Self {
        Self((0..KEYS).map(|_| UnsafeCell::new(0)).collect())
    }

    /// One more of the key was handled, which is the `number`th of it.
    #[allow(unsafe_code)]
    fn handle(&self, key: u64, number: u64) {
        // SAFETY: the caller has a record of the key, and nobody else has one meanwhile.
        let handled = unsafe { &mut *self.0[key as usize].get() };
        assert_eq!(*handled, number, "of key {key}");
        *handled += 1;
    }
}

fn join(core: &Arc<Core>, spec: &GroupSpec) -> Worker {
    loop {
        let terms = WorkerTerms { attempts: 0, once: false, key: None, tags: None };
        match Worker::join(core, spec, None, terms) {
            Ok(worker) => return worker,
            // Another takes a seat, or from one who left, just now.
            Err(JoinError::Busy) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn work(core: &Arc<Core>, spec: &GroupSpec, kept: &Kept, member: u64) {
    let mut worker = join(core, spec);
    let mut taken = Vec::new();
    let mut rounds = member;
    while core.group_floor(0) < RECORDS {
        rounds += 1;
        while worker.rebalance() != super::share::Moved::default() {}
        taken.clear();
        let Some(buffers) = worker.take(5, &mut taken).unwrap() else {
            thread::yield_now();
            continue;
        };
        for (index, one) in taken.iter().enumerate() {
            let entry = buffers.get(index).unwrap();
            assert_eq!(entry.payload, payload(entry.position));
            let how = match rounds % 7 {
                0 => How::Back,
                1 => How::Retry { after_ns: 0, reason: "try again" },
                _ => How::Done,
            };
            if matches!(how, How::Done) {
                kept.handle(entry.key, entry.position / KEYS);
            }
            worker.post.settle(&one.held, &entry, how).unwrap();
        }
        if rounds.is_multiple_of(61) {
            drop(worker);
            worker = join(core, spec);
        }
    }
}

fn share(spec: &GroupSpec) {
    let core = ring(4);
    groups::declare(&core, spec).unwrap();
    let kept = Arc::new(Kept::new());
    // No scope: ThreadSanitizer sees that a thread was joined, and not how std waits for a scope's.
    let members: Vec<_> = (0..MEMBERS)
        .map(|member| {
            let (core, kept, spec) = (Arc::clone(&core), Arc::clone(&kept), spec.clone());
            thread::spawn(move || work(&core, &spec, &kept, member))
        })
        .collect();
    produce(&core, true);
    members.into_iter().for_each(|member| member.join().unwrap());
    let kept = Arc::into_inner(kept).expect("all are gone").0;
    let handled: u64 = kept.into_iter().map(UnsafeCell::into_inner).sum();
    assert_eq!(handled, RECORDS, "each once");
}

#[test]
fn workers_handle_every_record_once_and_one_of_a_key_at_a_time() {
    share(&GroupSpec::durable("g").from(Start::Earliest).any_order(Order::Key));
}

#[test]
fn workers_of_a_sticky_group_do_the_same() {
    share(&GroupSpec::durable("g").from(Start::Earliest).any_order(Order::Key).sticky());
}

/// Who takes from a group's dead, or has its file, holds a lock for moments, and may be stopped in one of them.
#[test]
fn who_cannot_join_now_leaves_nothing_behind() {
    let (core, letters_held) = ring_with_letters(4);
    let spec = GroupSpec::ephemeral("e").any_order(Order::Key);
    let refused = || {
        let terms = WorkerTerms { attempts: 0, once: false, key: None, tags: None };
        let joined = Worker::join(&core, &spec, None, terms);
        assert!(matches!(joined, Err(JoinError::Busy)));
        assert!(!core.is_alive(0, 0));
        assert_eq!(state::of(core.group_state(0)), state::FREE, "its last member left");
    };
    let held = core.environment.hold(locks::succession(0)).unwrap().expect("nobody has it");
    refused();
    drop(held);
    letters_held.store(true, Ordering::Relaxed);
    refused();
    letters_held.store(false, Ordering::Relaxed);
    drop(join(&core, &spec));
}

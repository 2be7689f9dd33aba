//! In steady state neither side allocates, and neither makes a system call while nobody sleeps.
#![allow(unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use common::Instance;
use mixcord_ring::{Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Start};
use nix::libc;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator; the count is a cell of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PREFIX: &str = "RING_STEADY_PREFIX";
const GROUPS: usize = 3;

fn start(namespace: &Namespace) -> (Producer, Vec<Member>) {
    let bell = namespace.bell().unwrap();
    let geometry = Geometry::new(256, 64 << 10, 4, 8, 4).unwrap();
    let specs: Vec<_> =
        (0..GROUPS).map(|i| GroupSpec::durable(&format!("g{i}")).from(Start::Earliest)).collect();
    let producer = Producer::create(namespace, "r", geometry, &specs, &bell).unwrap();
    let ring = producer.ring();
    let members = specs.iter().map(|spec| ring.join(spec, &bell).unwrap()).collect();
    (producer, members)
}

/// Many times round the ring, with batches of many sizes.
fn run(producer: &mut Producer, members: &mut [Member], rounds: u64) {
    let payload = [5; 1000];
    for round in 0..rounds {
        for i in 0..1 + round % 20 {
            let meta = Meta { key: round + i, tag: 1, source: round, ..Meta::default() };
            let length = ((round * 37 + i * 11) % 1000) as usize;
            if producer.stage(&meta, &[&payload[..length / 2], &payload[..length / 2]]).is_err() {
                std::process::abort();
            }
        }
        if round % 3 == 0 && producer.set_checkpoint(&payload[..64]).is_err() {
            std::process::abort();
        }
        producer.publish();
        for member in &mut *members {
            while let Ok(Some(mut batch)) = member.take(Limits { records: 9, bytes: 4096 }) {
                if let Some(first) = batch.first().map(|entry| entry.position) {
                    batch.ack_through(first);
                }
                batch.ack();
                if let Ok(Some(lease)) = member.lease(Limits { records: 9, bytes: 4096 }) {
                    lease.ack();
                }
            }
        }
    }
}

#[test]
fn nothing_is_allocated() {
    let instance = Instance::new("alloc");
    let (mut producer, mut members) = start(&instance.namespace);
    run(&mut producer, &mut members, 300);
    let before = ALLOCATIONS.get();
    run(&mut producer, &mut members, 1000);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(producer.tail() > 10_000);
}

/// Run by the test below: in strict seccomp mode any system call but read and write is death.
#[test]
fn child() {
    let Ok(prefix) = std::env::var(PREFIX) else { return };
    let (mut producer, mut members) = start(&Namespace::new(&prefix).unwrap());
    run(&mut producer, &mut members, 300);
    // SAFETY: takes no pointers.
    let strict = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    let answer: &[u8] = if strict == 0 {
        run(&mut producer, &mut members, 1000);
        b"\nno system call\n"
    } else {
        b"\nno seccomp\n"
    };
    // SAFETY: the bytes are static.
    unsafe { libc::write(1, answer.as_ptr().cast(), answer.len()) };
    loop {
        std::hint::spin_loop();
        // Ends with its parent's patience: reading is allowed.
        let mut byte = 0u8;
        // SAFETY: one byte into one byte.
        unsafe { libc::read(0, (&raw mut byte).cast(), 1) };
    }
}

#[test]
fn no_system_call_is_made() {
    let instance = Instance::new("calls");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(PREFIX, instance.namespace.prefix())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = lines.map_while(Result::ok).find(|line| line.starts_with("no "));
    child.kill().unwrap();
    child.wait().unwrap();
    match answer.as_deref() {
        Some("no system call") => {}
        Some(_) => eprintln!("this kernel has no strict seccomp mode"),
        None => panic!("it died of a system call"),
    }
}

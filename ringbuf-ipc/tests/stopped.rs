//! A process that is stopped while it holds the lock on the group table holds nobody up for long.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::{Instance, one_partition, put};
use mixcord_ring::{Bell, GroupError, GroupSpec, JoinError, Producer, Start};

const SEGMENT: &str = "RING_STOPPED_SEGMENT";
/// The byte of the group table; LAYOUT.md names it.
const TABLE: i64 = 1;

/// A child of this test: locks the table and stops.
#[test]
fn holder() {
    let Ok(path) = std::env::var(SEGMENT) else { return };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: TABLE,
        l_len: 1,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    println!("\n@locked");
    nix::sys::signal::raise(nix::sys::signal::SIGSTOP).unwrap();
}

/// Killed when the test ends, however it ends.
struct Stopped(Child);

impl Stopped {
    fn new(instance: &Instance) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["holder", "--exact", "--nocapture", "--test-threads=1"])
            .env(SEGMENT, instance.path("r"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let this = Self(child);
        assert!(out.lines().any(|line| line.unwrap() == "@locked"));
        this
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `run` gives, which would wait for ever without a bound of its own.
fn bounded<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (done, outcome) = mpsc::channel();
        scope.spawn(move || done.send(run()));
        match outcome.recv_timeout(Duration::from_secs(60)) {
            Ok(outcome) => outcome,
            Err(_) => {
                eprintln!("held up for as long as another process is stopped");
                // The thread cannot be ended, and the scope would wait for it.
                std::process::abort();
            }
        }
    })
}

fn ring(instance: &Instance, bell: &Bell) -> Producer {
    let spec = GroupSpec::durable("g").from(Start::Earliest);
    Producer::create(&instance.namespace, "r", one_partition(), &[spec], bell).unwrap()
}

#[test]
fn joining_and_changing_groups_say_so_after_a_while() {
    let instance = Instance::new("stopped");
    let bell = instance.namespace.bell().unwrap();
    let producer = ring(&instance, &bell);
    let (ring, spec) = (producer.ring(), GroupSpec::durable("h"));
    let stopped = Stopped::new(&instance);
    let error = bounded(|| ring.join(&spec, &bell).unwrap_err());
    assert!(matches!(error, JoinError::Busy), "{error}");
    assert!(error.to_string().contains("stopped"), "{error}");
    assert!(matches!(bounded(|| ring.declare_group(&spec)), Err(GroupError::Busy)));
    assert!(matches!(bounded(|| ring.remove_group("g")), Err(GroupError::Busy)));
    // A look at them needs no lock.
    assert_eq!(bounded(|| ring.groups()).len(), 1);
    drop(stopped);
    ring.join(&spec, &bell).unwrap();
}

#[test]
fn leaving_ends_and_is_put_right_later() {
    let instance = Instance::new("leave");
    let bell = instance.namespace.bell().unwrap();
    let producer = ring(&instance, &bell);
    let ring = producer.ring();
    let member = ring.join(&GroupSpec::ephemeral("e"), &bell).unwrap();
    let stopped = Stopped::new(&instance);
    bounded(|| drop(member));
    let left = |name: &str| ring.groups().into_iter().find(|info| info.name == name);
    assert_eq!(left("e").map(|info| info.members), Some(0), "it could not be ended");
    drop(stopped);
    // Who makes a group of its name finds it deserted.
    assert!(ring.declare_group(&GroupSpec::durable("e")).unwrap());
}

#[test]
fn publishing_and_taking_do_not_touch_the_table() {
    let instance = Instance::new("flow");
    let bell = instance.namespace.bell().unwrap();
    let mut producer = ring(&instance, &bell);
    let mut member = producer.ring().join(&GroupSpec::durable("g"), &bell).unwrap();
    let _stopped = Stopped::new(&instance);
    let seen = bounded(|| {
        let mut seen = 0;
        for round in 0..100 {
            put(&mut producer, round);
            producer.publish();
            seen += common::positions(&mut member).len();
        }
        seen
    });
    assert_eq!(seen, 100);
}

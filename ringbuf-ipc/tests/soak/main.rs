//! The soak: a producer, members of two groups and an observer are killed by SIGKILL at random moments
//! and started again, under load, for 15 seconds (`RING_SOAK_SECONDS` for another length). Then the
//! journals of all of them are read together, and the oracle must hold.

#[path = "../common/mod.rs"]
mod common;
mod journal;
mod roles;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mixcord_ring::{GroupSpec, Producer, Ring, Start};

use common::Instance;
use roles::{RING, geometry};

struct Process {
    role: &'static str,
    number: usize,
    lives: u32,
    child: Child,
}

impl Process {
    fn start(
        instance: &Instance,
        directory: &std::path::Path,
        role: &'static str,
        number: usize,
    ) -> Self {
        let child = Self::spawn(instance, directory, role, number, 0);
        Self { role, number, lives: 1, child }
    }

    fn spawn(
        instance: &Instance,
        directory: &std::path::Path,
        role: &str,
        number: usize,
        life: u32,
    ) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["roles::process", "--exact", "--nocapture", "--test-threads=1"])
            .env(roles::ROLE, role)
            .env(roles::PREFIX, instance.namespace.prefix())
            .env(roles::JOURNAL, directory.join(format!("{role}-{number}-{life}")))
            .env(roles::STOP, directory.join("stop"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    fn kill_and_restart(&mut self, instance: &Instance, directory: &std::path::Path) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(
            std::os::unix::process::ExitStatusExt::signal(&status) == Some(9),
            "{} {} ended by itself: {status}",
            self.role,
            self.number
        );
        self.child = Self::spawn(instance, directory, self.role, self.number, self.lives);
        self.lives += 1;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn nothing_is_lost_when_everything_is_killed_again_and_again() {
    let seconds =
        std::env::var("RING_SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(15);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let mut seed = now.as_nanos() as u64 | 1;
    println!("seed {seed}");
    let instance = Instance::new("soak");
    let directory = tempfile::tempdir().unwrap();
    let bell = instance.namespace.bell().unwrap();
    let groups = ["g", "h"].map(|name| GroupSpec::durable(name).from(Start::Earliest));
    drop(Producer::create(&instance.namespace, RING, geometry(), &groups, &bell).unwrap());

    let roles =
        [("producer", 0), ("g", 0), ("g", 1), ("g", 2), ("h", 0), ("h", 1), ("observer", 0)];
    let mut processes: Vec<Process> = roles
        .into_iter()
        .map(|(role, number)| Process::start(&instance, directory.path(), role, number))
        .collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10 + random(&mut seed) % 60));
        let victim = (random(&mut seed) % processes.len() as u64) as usize;
        processes[victim].kill_and_restart(&instance, directory.path());
    }
    std::fs::write(directory.path().join("stop"), "").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    for process in &mut processes {
        loop {
            if let Some(status) = process.child.try_wait().unwrap() {
                assert!(status.success(), "{} {}: {status}", process.role, process.number);
                break;
            }
            assert!(Instant::now() < deadline, "{} {} does not end", process.role, process.number);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let ring = Ring::attach(&instance.namespace, RING).unwrap();
    let tail = ring.tail();
    let lives: Vec<_> = processes.iter().map(|p| (p.role, p.number, p.lives)).collect();
    println!("{seconds} s, {tail} records, lives {lives:?}");
    assert!(tail > 1000);
    for group in ["g", "h"] {
        let members = lives.iter().filter(|life| life.0 == group);
        let judged = journal::judge(directory.path(), group, members, tail);
        println!("group {group}: {judged:?}");
    }
    println!("{:?}", ring.pressure());
    assert_eq!(ring.checkpoint().as_deref(), Some(&tail.to_le_bytes()[..]));
}

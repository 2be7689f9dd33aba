//! The program: how it ends, what it refuses, and what it survives.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::instance::{Instance, receive, send, until};
use mixcord_ring::{Geometry, GroupSpec, Ring, Start};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

/// What the program makes of these options: a ring of other sizes would be made anew under those who read it.
fn sizes(slots: u32, bytes: u64) -> Geometry {
    let geometry = Geometry::new(slots, bytes, 64, 64, 64).unwrap();
    geometry.checkpoints(64 << 10).unwrap()
}

fn instance(name: &str) -> Instance {
    let mut instance = Instance::new(name);
    instance.output = sizes(4096, 1 << 20);
    instance
}

fn program(instance: &Instance, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord-cache"));
    let Geometry { slots, payload_bytes, .. } = instance.output;
    command.args(["--instance", &instance.name, "--state-max", "64MiB"]);
    command.arg(format!("--output-slots={slots}")).arg(format!("--output-bytes={payload_bytes}"));
    command.args(more).stderr(Stdio::piped());
    command
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Waits for the end; the last line it said.
fn end(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status, text)
}

fn rename(n: u64) -> (&'static str, Json) {
    ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "name": format!("c{n}")}))
}

#[test]
fn sigterm_ends_it_with_0() {
    let instance = instance("term");
    let child = program(&instance, &[]).spawn().unwrap();
    until("the output ring", || {
        mixcord_ring::Ring::attach(&instance.namespace, "out")
            .is_ok_and(|ring| ring.producer_alive())
    });
    signal(&child, Signal::SIGTERM);
    let (status, _) = end(child);
    assert_eq!(status.code(), Some(0));
}

/// G-F5: a bot of some hundred shards, and the soft limit that most systems have.
#[test]
fn it_reads_more_rings_than_the_soft_limit_of_files_allows() {
    const SHARDS: u16 = 40;
    let instance = instance("files");
    let rings: Vec<_> = (0..SHARDS).map(|shard| instance.shard(shard, SHARDS)).collect();
    let whole = program(&instance, &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\""]);
    command.arg(whole.get_program()).args(whole.get_args()).stderr(Stdio::piped());
    let child = Killed(command.spawn().unwrap());
    until("the cache to join every ring", || {
        (0..SHARDS).all(|shard| {
            let name = mixcord_event::topology::shard_ring(shard, SHARDS);
            mixcord_ring::Ring::attach(&instance.namespace, &name)
                .is_ok_and(|ring| ring.groups().iter().any(|group| group.members > 0))
        })
    });
    drop((child, rings));
}

/// Ends with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The byte of a ring's file that whoever changes its table of groups locks.
const TABLE: i64 = 1;

/// Holds it as somebody does who was stopped in the middle of a change.
fn hold_table(instance: &Instance, ring: &str) -> std::fs::File {
    let path = format!("/dev/shm/{}.{ring}", mixcord_event::topology::namespace(&instance.name));
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let range = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: TABLE,
        l_len: 1,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&range)).unwrap();
    file
}

#[test]
fn whoever_holds_a_table_does_not_hold_up_its_end() {
    let instance = instance("table");
    let _shard = instance.shard(0, 1);
    let child = program(&instance, &[]).spawn().unwrap();
    until("the cache to join the shard's ring", || {
        mixcord_ring::Ring::attach(&instance.namespace, "shard-0-1")
            .is_ok_and(|ring| ring.groups().iter().any(|group| group.members > 0))
    });
    let _held = hold_table(&instance, "shard-0-1");
    signal(&child, Signal::SIGTERM);
    let (status, text) = end(child);
    // In order, or ended where it stands.
    assert!(matches!(status.code(), Some(0 | 124)), "{status}: {text}");
}

/// A pipe that takes nothing any more: what a reader leaves that was stopped long ago.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    for size in [4096, 1] {
        while std::io::Write::write(&mut writer, &vec![b'.'; size]).is_ok() {}
    }
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_events_nor_the_end() {
    let instance = instance("unread");
    let mut shard = instance.shard(0, 1);
    instance.declare();
    let mut consumer = instance.consumer();
    let (_reader, writer) = full_pipe();
    let mut command = program(&instance, &["--log-level", "trace", "--log-format", "json"]);
    let mut child = command.stderr(writer).spawn().unwrap();
    let guild = json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild), rename(1)]);
    let mut seen = Vec::new();
    until("the events", || {
        seen.extend(receive(&mut consumer));
        seen.len() == 2
    });
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Reads what a program says until a line has all of `words`.
fn hear(child: &mut Child, words: &[&str]) -> String {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !words.iter().all(|word| line.contains(word)) {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended without {words:?}");
    }
    line
}

#[test]
fn who_holds_the_output_ring_is_named_with_its_oldest_event_and_what_ends_it() {
    let mut instance = instance("heldup");
    instance.output = sizes(64, 1 << 16);
    instance.declare();
    // Another group keeps up as far as it is let.
    let ring = Ring::attach(&instance.namespace, "out").unwrap();
    let prod = GroupSpec::durable("prod").from(Start::Earliest);
    let mut prod = ring.join(&prod, &instance.bell).unwrap();
    let mut shard = instance.shard(0, 1);
    let mut child = program(&instance, &[]).spawn().unwrap();
    let guild = json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]});
    let renames = (1..100).map(rename);
    let events: Vec<_> = std::iter::once(("GUILD_CREATE", guild)).chain(renames).collect();
    send(&mut shard, (0, 1), &events);
    let mut seen = Vec::new();
    until("the ring to be full", || {
        seen.extend(receive(&mut prod));
        seen.len() >= 63
    });
    let line = hear(&mut child, &["the output ring is full"]);
    for word in ["group \"test\"", "no member for", "oldest GUILD_CREATE of guild 100 from "] {
        assert!(line.contains(word), "{word} is missing in {line}");
    }
    let command = format!("it ends with: mixcord groups rm test --instance {}", instance.name);
    assert!(line.trim_end().ends_with(&command), "{line}");
    // And so it is.
    ring.remove_group("test").unwrap();
    until("all that was held up", || {
        seen.extend(receive(&mut prod));
        seen.len() == 100
    });
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A wrong path, or a wrong instance, is seen at once by what is said of it.
#[test]
fn a_new_state_and_a_gateway_that_is_not_there_are_told() {
    let instance = Instance::new("waits");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("stat");
    let state = state.to_str().unwrap();
    let start = |what: &str, times: usize| {
        let mut child = program(&instance, &["--state", state]).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| hears.lock().unwrap().push(line));
        });
        let is_told = || {
            let lines = heard.lock().unwrap();
            lines.iter().filter(|line| line.contains(what)).count() >= times
        };
        let patience = Instant::now() + Duration::from_secs(60);
        while !is_told() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        signal(&child, Signal::SIGTERM);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(is_told(), "{:#?}", heard.lock().unwrap());
        heard.lock().unwrap().clone()
    };
    let waits = format!("waiting for mixcord-gateway --instance {}", instance.name);
    // So long it waits that it says so again.
    let lines = start(&waits, 2);
    let told = |lines: &[String]| lines.iter().filter(|line| line.contains(state)).count();
    assert_eq!(told(&lines), 1, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("there is no ring")), "{lines:#?}");
    // Found again, and a gateway that is gone.
    drop(instance.shard(0, 1));
    let lines = start(&waits, 1);
    assert_eq!(told(&lines), 0, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("nobody writes")), "{lines:#?}");
    // With a gateway nothing is missing.
    let mut gateway = instance.shard(0, 1);
    send(&mut gateway, (0, 1), &[rename(1)]);
    let child = program(&instance, &["--state", state]).spawn().unwrap();
    until("its work", || gateway.ring().is_drained());
    signal(&child, Signal::SIGTERM);
    let (_, text) = end(child);
    assert!(!text.contains("waiting for"), "{text}");
}

#[test]
fn sizes_that_are_not_in_force_are_told_with_what_holds_them_until_the_ring_is_drained() {
    let mut instance = instance("sized");
    instance.output = sizes(1024, 1 << 19);
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let guild = json!({"id": "100", "name": "g", "channels": []});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
    common::instance::settle(&mut instance.engine());
    instance.output = sizes(4096, 1 << 20);
    let start = |words: &[&str]| {
        let mut child = program(&instance, &["--output-groups", "100"]).spawn().unwrap();
        let line = hear(&mut child, words);
        signal(&child, Signal::SIGTERM);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        line
    };
    let line = start(&["not in force"]);
    for words in [
        "--output-slots 4096 (it has 1024), --output-bytes 1048576 (it has 524288), --output-groups 100 (it has 64)",
        "group \"test\" holds it",
        "oldest GUILD_CREATE of guild 100",
        &format!("mixcord groups rm test --instance {}", instance.name),
    ] {
        assert!(line.contains(words), "{words} is missing in {line}");
    }
    assert!(!line.contains("partitions"), "{line}");
    assert_eq!(receive(&mut instance.consumer()).len(), 1);
    start(&["has these sizes from now on"]);
    let geometry = Ring::attach(&instance.namespace, "out").unwrap().geometry();
    assert_eq!((geometry.slots, geometry.payload_bytes, geometry.groups), (4096, 1 << 20, 100));
}

#[test]
fn the_output_ring_has_the_groups_and_partitions_that_are_asked_for() {
    let instance = instance("sizes");
    let sizes = ["--output-partitions", "1024", "--output-groups", "100"];
    let child = program(&instance, &sizes).spawn().unwrap();
    let output = || Ring::attach(&instance.namespace, "out").ok();
    until("the output ring", || output().is_some_and(|ring| ring.producer_alive()));
    let geometry = output().unwrap().geometry();
    assert_eq!((geometry.partitions, geometry.groups), (1024, 100));
    signal(&child, Signal::SIGTERM);
    assert_eq!(end(child).0.code(), Some(0));
}

#[test]
fn refusals_are_one_line_and_78() {
    let instance = instance("refuse");
    for (more, says) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["--instance", "Bad Name"][..], "Bad Name"),
        (&["--no-cache", "cats"][..], "cats"),
        (&["--messages-age", "soon"][..], "soon"),
        (&["--output-slots", "3"][..], "--output-slots"),
        (&["--output-bytes", "3MiB"][..], "--output-bytes"),
        (&["--output-partitions", "48"][..], "--output-partitions"),
        (&["--output-partitions", "2048"][..], "--output-partitions"),
        (&["--output-groups", "0"][..], "--output-groups"),
        (&["--output-groups", "1025"][..], "--output-groups"),
        (&["--output-bytes", "64GiB"][..], "bytes free"),
        (&["--state-max", "1KiB"][..], "--state-max"),
        (&["--state", "/proc/nothing/here"][..], "/proc/nothing/here"),
        (&["--state", "/dev/null"][..], "/dev/null"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord-cache"));
        if !more.contains(&"--instance") {
            command.args(["--instance", &instance.name]);
        }
        let (status, text) = end(command.args(more).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(status.code(), Some(78), "{more:?}: {text}");
        assert!(text.contains(says) && text.lines().count() == 1, "{more:?}: {text}");
        let left = mixcord_ring::Ring::attach(&instance.namespace, "out");
        assert!(left.is_err(), "{more:?} left a ring behind");
    }
    let _running = mixcord_cache::engine::Engine::start(&instance.plan()).unwrap();
    let (status, text) = end(program(&instance, &[]).spawn().unwrap());
    assert_eq!(status.code(), Some(78));
    assert!(text.contains("running") && text.lines().count() == 1, "{text}");
}

/// Killed at random instants while events flow: the outputs are one unbroken chain, each old the
/// new before it.
#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let instance = instance("kills");
    let mut shard = instance.shard(0, 1);
    instance.declare();
    let mut consumer = instance.consumer();
    let guild = json!({"id": "100", "name": "g", "channels": [{"id": "200", "name": "c0"}]});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
    let mut sent = 0;
    let mut seen = Vec::new();
    for round in 0..500_u64 {
        let mut child = program(&instance, &[]).spawn().unwrap();
        // A little less or more each time, so that death meets start, batch and rest.
        let pause = Duration::from_micros((round * 7_919) % 60_000);
        let end = Instant::now() + pause;
        while Instant::now() < end || sent == 0 {
            if shard.has_space(4096) && sent < (round + 1) * 50 {
                sent += 1;
                send(&mut shard, (0, 1), &[rename(sent)]);
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
            seen.extend(receive(&mut consumer));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(receive(&mut consumer));
    }
    let child = program(&instance, &[]).spawn().unwrap();
    until("everything sent is seen, and a cache lives", || {
        seen.extend(receive(&mut consumer));
        seen.len() as u64 > sent && consumer.ring().producer_alive()
    });
    signal(&child, Signal::SIGTERM);
    assert_eq!(end(child).0.code(), Some(0));
    instance.check_state();
    seen.extend(receive(&mut consumer));
    assert_eq!(seen.len() as u64, sent + 1);
    for (position, out) in seen.iter().enumerate() {
        assert_eq!((out.origin.1, out.index), (position as u64, 0));
        if position > 0 {
            assert_eq!(out.data["name"], format!("c{position}"));
            assert_eq!(out.old["name"], format!("c{}", position - 1));
        }
    }
}

//! Starting again: sessions that can be resumed come first, whatever REST and the budget say.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};

use mixcord_ring::{Namespace, Ring};
use serde_json::json;

use crate::harness::{Fake, Instance, Reader, until};

/// A run that leaves a session in every ring.
fn run_once(fake: &Fake, instance: &Instance, reader: &mut Reader, shards: usize) {
    let mut gateway = instance.start(&fake.api_url(), &["--shards", &shards.to_string()]);
    until("all shards", || gateway.log().matches("connected session=").count() == shards);
    reader.until_all(fake);
    gateway.stop();
}

fn remove_ring(instance: &Instance, name: &str) {
    let prefix = instance.namespace().prefix().to_owned();
    fs::remove_file(Namespace::directory().join(format!("{prefix}.{name}"))).expect("removed");
}

/// Discord's number rises as the bot grows. Sessions that live are worth more.
#[test]
fn g4_auto_keeps_the_count_whose_sessions_live() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 2);
    fake.change("/fake/bot", &json!({"shards": 3}));
    let mut gateway = instance.start(&fake.api_url(), &[]);
    until("two resumes", || fake.logged("resume").len() == 2);
    until("advice", || gateway.log().contains("Discord recommends 3 shards"));
    assert_eq!(gateway.log().matches("mixcord reshard --to 3").count(), 1, "{}", gateway.log());
    assert_eq!(fake.logged("identify").len(), 2);
    gateway.stop();
    // More guilds than Discord lets two shards have: there is no choice.
    fake.change("/fake/bot", &json!({"shards": 6}));
    let gateway = instance.start(&fake.api_url(), &[]);
    until("six shards", || fake.logged("identify").len() == 8);
    assert!(gateway.log().contains("the sessions of 2 shards end"), "{}", gateway.log());
    drop(gateway);
}

/// The count that ran last, not the one with more rings.
#[test]
fn auto_goes_on_with_the_count_that_ran_last() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 4);
    run_once(&fake, &instance, &mut reader, 2);
    fake.change("/fake/bot", &json!({"shards": 4}));
    let gateway = instance.start(&fake.api_url(), &[]);
    until("two resumes", || fake.logged("resume").len() == 2);
    assert_eq!(fake.logged("identify").len(), 6);
    drop(gateway);
}

/// A resume costs nothing. Were the process to end for the shard that has to identify, two more would
/// have to.
#[test]
fn g16_who_can_resume_does_although_the_budget_is_used_up() {
    who_can_resume_does("3");
}

/// Here Discord's word is waited for, and the shortage known before the first session resumes.
#[test]
fn g16_who_can_resume_does_although_the_budget_of_auto_is_used_up() {
    who_can_resume_does("auto");
}

fn who_can_resume_does(shards: &str) {
    let fake = Fake::start(|config| {
        config.shards = 3;
        config.identifies = 3;
    });
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 3);
    remove_ring(&instance, "shard-2-3");
    let mut gateway =
        instance.start(&fake.api_url(), &["--shards", shards, "--reconnect-max-ms", "200"]);
    until("two resumes", || fake.logged("resume").len() == 2);
    until("a warning", || gateway.log().contains("only 0 of 1000 identifies are left"));
    until("the third to wait", || gateway.log().contains("is used up"));
    assert_eq!(fake.logged("identify").len(), 3);
    assert!(gateway.is_running());
    // Discord is asked meanwhile: an early end of the wait is noticed.
    fake.change("/fake/bot", &json!({"remaining": 5}));
    until("the third", || fake.logged("identify").len() == 4);
    drop(gateway);
}

/// REST and the gateway fail apart.
#[test]
fn g20_sessions_resume_while_rest_is_down_and_identifies_wait_for_it() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 2);
    remove_ring(&instance, "shard-1-2");
    fake.change("/fake/bot", &json!({"status": 503}));
    for (resumes, shards) in [(1, "2"), (2, "auto")] {
        let mut gateway =
            instance.start(&fake.api_url(), &["--shards", shards, "--reconnect-max-ms", "100"]);
        until("the session", || fake.logged("resume").len() == resumes);
        until("a complaint", || gateway.log().contains("cannot be asked yet"));
        assert_eq!(fake.logged("identify").len(), 2);
        if resumes == 2 {
            fake.change("/fake/bot", &json!({"status": 200}));
            until("the other shard", || fake.logged("identify").len() == 3);
            // Its session is what the last start resumes.
            until("its session", || gateway.log().contains("shard{id=1}: connected"));
        }
        gateway.stop();
    }
    // Nor does an API that hangs hold them up.
    fake.change("/fake/bot", &json!({"delay_ms": 600_000}));
    let gateway = instance.start(&fake.api_url(), &["--shards", "auto"]);
    until("both sessions", || fake.logged("resume").len() == 4);
    drop(gateway);
}

/// Nor does a handshake that fails meanwhile leave a session to wait for REST, which it would not outlive.
#[test]
fn g21_a_session_whose_url_failed_is_tried_again_while_rest_is_down() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 2);
    fake.change("/fake/bot", &json!({"status": 503}));
    fake.change("/fake/upgrade", &json!({"status": 503, "times": 4}));
    let gateway = instance.start(&fake.api_url(), &["--shards", "2", "--reconnect-max-ms", "100"]);
    until("both sessions", || fake.logged("resume").len() == 2);
    assert_eq!(gateway.log().matches("no connection error=").count(), 4, "{}", gateway.log());
    assert_eq!(fake.logged("identify").len(), 2);
    drop(gateway);
}

/// An outage of op 9: the shard is back as soon as Discord lets it, not a day later.
#[test]
fn g16_a_shard_whose_sessions_fail_is_not_left_in_the_dark() {
    let fake = Fake::start(|config| config.shards = 1);
    fake.change(
        "/fake/bot",
        &json!({"total": 10, "remaining": 10, "reset_after": 4_000, "max_concurrency": 1}),
    );
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &["--reconnect-max-ms", "100"]);
    for identifies in 1..=8 {
        until("a session", || fake.logged("identify").len() == identifies);
        let connected = || gateway.log().matches("connected session=").count() == identifies;
        until("its READY", connected);
        if identifies == 6 {
            assert!(gateway.log().contains("are paced"), "{}", gateway.log());
            // The rest of this budget is paced over four seconds, and then there is another.
            fake.change("/fake/bot", &json!({"reset_after": 4_000}));
        }
        fake.post("/fake/disconnect?how=op9false");
    }
    drop(gateway);
}

/// G-13: what Discord says when its URL is asked for again is the account from then on.
#[test]
fn g13_the_budget_is_taken_over_when_the_url_is_asked_for_again() {
    let fake = Fake::start(|config| config.shards = 1);
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "1"]);
    reader.until_all(&fake);
    fake.change("/fake/bot", &json!({"remaining": 0, "reset_after": 3_600_000}));
    fake.change("/fake/upgrade", &json!({"status": 503, "times": 1}));
    fake.post("/fake/disconnect?how=op9false");
    until("the shard to wait", || gateway.log().contains("is used up"));
    assert_eq!(fake.logged("gateway_bot").len(), 2);
    assert_eq!(fake.logged("identify").len(), 1);
    assert!(gateway.is_running());
    drop(gateway);
}

/// A thousand shards that start, or come back after an outage, do not open a thousand connections at once.
#[test]
fn g7_so_many_connections_are_opened_at_a_time() {
    const SHARDS: usize = 100;
    const AT_A_TIME: usize = 64;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let fake = Fake::start(|config| config.shards = SHARDS);
    fake.change("/fake/bot", &json!({"url": format!("ws://127.0.0.1:{port}")}));
    let instance = Instance::new();
    let small = ["--ring-bytes", "64KiB", "--ring-slots", "64"];
    let gateway = instance.start(&fake.api_url(), &small);
    // Nobody is answered: each that goes lets another one come.
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..SHARDS {
        if held.len() == AT_A_TIME {
            // One look at the table is of no one moment; what two looks see was there between them.
            let (first, second) = (established_to(port), established_to(port));
            let open = first.intersection(&second).count();
            assert!(open <= AT_A_TIME, "{open} connections are being opened");
            held.remove(0);
        }
        held.push(listener.accept().expect("another").0);
    }
    drop(gateway);
}

/// The ends of clients of connections to a port, by their own addresses and inodes.
fn established_to(port: u16) -> BTreeSet<(String, String)> {
    let table = fs::read_to_string("/proc/net/tcp").expect("readable");
    let remote = format!(":{port:04X}");
    let end = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, "01", _, _, _, _, _, inode, ..] = columns[..] else { return None };
        to.ends_with(&remote).then(|| (from.to_owned(), inode.to_owned()))
    };
    table.lines().filter_map(end).collect()
}

/// A larger ring is one start away, and costs neither a session nor an event.
#[test]
fn drained_rings_get_the_sizes_that_are_asked_for_and_their_sessions_go_on() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 2);
    let rings = ["shard-0-2", "shard-1-2"];
    let ring = |name| Ring::attach(&instance.namespace(), name).expect("a ring");
    until("all to be read", || {
        reader.read();
        rings.iter().all(|name| ring(name).groups().iter().all(|group| group.lag == 0))
    });
    let before = rings.map(|name| (ring(name).id(), ring(name).tail()));
    let identified = fake.logged("identify").len();
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2", "--ring-bytes", "2MiB"]);
    until("both shards", || gateway.log().matches("connected session=").count() == 2);
    assert_eq!(gateway.log().matches("has these sizes from now on").count(), 2);
    for (name, (id, tail)) in rings.iter().zip(before) {
        assert_eq!((ring(name).geometry().payload_bytes, ring(name).id()), (2 << 20, id));
        assert!(ring(name).tail() >= tail, "its positions go on");
    }
    assert_eq!(fake.logged("identify").len(), identified, "the sessions were resumed");
    gateway.stop();
}

/// Nobody takes an option for in force that is not.
#[test]
fn rings_that_keep_their_size_are_told() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    run_once(&fake, &instance, &mut reader, 2);
    for (size, told) in [("1MiB", 0), ("2MiB", 1)] {
        let mut gateway = instance.start(&fake.api_url(), &["--ring-bytes", size]);
        until("a start", || gateway.log().contains("mixcord-gateway runs"));
        let log = gateway.log();
        assert_eq!(log.matches("keep their size").count(), told, "{log}");
        if told == 1 {
            assert!(log.contains("--ring-bytes 2097152") && log.contains("bytes=1048576"), "{log}");
        }
        gateway.stop();
    }
}

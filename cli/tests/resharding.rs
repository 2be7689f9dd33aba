//! `mixcord reshard` with a cache that is made by hand here: it takes orders and puts up boards.

#[path = "../../consumer-sdk/tests/consumer/rig.rs"]
#[allow(dead_code, reason = "shared with the SDK's tests")]
mod rig;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use mixcord::event::figures::{Budget, ShardFigures};
use mixcord::event::reshard::{ReshardFigures, Stage};
use mixcord::event::status::ShardStatus;
use mixcord::event::topology;
use mixcord_process::folder;
use mixcord_ring::{Geometry, Producer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::{Rig, Running, until};
use serde_json::{Value, json};

/// An instance that runs one shard.
struct Bot {
    rig: Rig,
    old: Option<Producer>,
}

impl Bot {
    fn new(figures: &ShardFigures) -> Self {
        let rig = Rig::new();
        fs::create_dir_all(topology::state_dir(&rig.instance)).expect("made");
        let old = shard(&rig, 0, 1, figures);
        Self { rig, old: Some(old) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MIXCORD_") {
                command.env_remove(name);
            }
        }
        command.args(["reshard", "--instance", &self.rig.instance]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("mixcord runs")
    }

    /// It says no, in one line.
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(self.order().is_none(), "nothing is asked for");
        said
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"))
    }

    fn order(&self) -> Option<String> {
        fs::read_to_string(topology::reshard_order(&self.rig.instance)).ok()
    }

    /// Obeys an order, as the cache does: the board first.
    fn obeys(&self, order: &str, figures: &ReshardFigures) {
        until("an order", || self.order().is_some());
        assert_eq!(self.order().as_deref(), Some(order));
        self.tell(figures);
        fs::remove_file(topology::reshard_order(&self.rig.instance)).expect("there");
    }

    fn tell(&self, figures: &ReshardFigures) {
        let board = topology::reshard_board(&self.rig.instance);
        folder::put(Path::new(&board), &figures.encode("test")).expect("put up");
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let name = &self.rig.instance;
        let _ = fs::remove_dir_all(topology::state_dir(name));
        let _ = fs::remove_file(topology::reshard_board(name));
        let _ = fs::remove_file(topology::reshard_order(name));
    }
}

fn shard(rig: &Rig, shard: u16, shards: u16, figures: &ShardFigures) -> Producer {
    let status = ShardStatus { state: "connected".into(), ..ShardStatus::default() };
    // So many of the old one fit nowhere.
    let bytes = if shards == 1 { 4 << 20 } else { 64 << 10 };
    let geometry = Geometry::new(64, bytes, 4, 1, 8).expect("a geometry");
    let bell = rig.namespace.bell().expect("a bell");
    let name = topology::shard_ring(shard, shards);
    let mut ring = Producer::create(&rig.namespace, &name, geometry, &[], &bell).expect("a ring");
    ring.set_checkpoint(&[status.encode(), figures.encode()].concat()).expect("small enough");
    ring.publish();
    ring
}

fn at(stage: Stage) -> ReshardFigures {
    ReshardFigures { from: 1, to: 2, stage, guilds: 9, ..ReshardFigures::default() }
}

/// The next line that it prints.
fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    line
}

fn ended(mut child: Running) -> (Option<i32>, String) {
    let mut said = String::new();
    let stderr = child.0.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut BufReader::new(stderr), &mut said).expect("text");
    (child.0.wait().expect("waits").code(), said)
}

#[test]
fn what_cannot_begin_is_refused_before_anything_is_asked_for() {
    let far_us = 1 << 60;
    let budget = Some(Budget { at_us: 1, left: 1, total: 1_000, whole_us: far_us });
    let mut bot = Bot::new(&ShardFigures { budget, ..ShardFigures::default() });
    assert!(bot.refuses(&["--to", "1"]).contains("runs 1 shards already"));
    assert!(
        bot.refuses(&["--to", "2"]).contains("2 shards have to identify, and 1 of the day's 1000")
    );
    assert!(bot.refuses(&["--to", "auto"]).contains("no mixcord-gateway knows yet"));
    assert!(bot.refuses(&["--to", "65000"]).contains("free in /dev/shm"));
    assert!(bot.refuses(&["--call-off"]).contains("is not being changed"));
    bot.tell(&ReshardFigures { to: 3, ..at(Stage::Cutting) });
    let said = bot.refuses(&["--to", "2"]);
    assert!(
        said.contains("another change is under way, 1 → 3 shards: 0 of 9 guilds cut"),
        "{said}"
    );
    let said = bot.refuses(&["--call-off"]);
    assert!(said.contains("guilds are cut") && said.contains("mixcord reshard --to 1"), "{said}");
    bot.tell(&at(Stage::Back));
    bot.old = None;
    assert!(bot.refuses(&["--to", "2"]).contains("no mixcord-gateway runs"));
    fs::remove_dir_all(topology::state_dir(&bot.rig.instance)).expect("there");
    assert!(bot.refuses(&["--to", "2"]).contains("keeps no state"));
    bot.rig.end_producer();
    assert!(bot.refuses(&["--to", "2"]).contains("mixcord-cache does not run"));
    let output = bot.run(&["--to", "0"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(bot.run(&[]).status.code(), Some(78), "one of three has to be said");
}

/// It asks for what Discord recommends, and says how far that is until the old rings are gone.
#[test]
fn a_change_is_watched_until_it_is_over() {
    let mut bot = Bot::new(&ShardFigures { recommended: 2, ..ShardFigures::default() });
    let mut child = bot.start(&["--to", "auto"]);
    let mut said = BufReader::new(child.0.stdout.take().expect("piped"));
    bot.obeys("to 2", &at(Stage::Listing));
    assert_eq!(line(&mut said), "1 → 2 shards: guilds are being listed\n");
    bot.tell(&ReshardFigures { sessions: 1, ..at(Stage::Overlapping) });
    assert!(line(&mut said).starts_with("1 → 2 shards: 1 of 2 shards identified"));
    bot.tell(&ReshardFigures {
        sessions: 2,
        cut: 4,
        overlapping: 8,
        missing: 1,
        ..at(Stage::Cutting)
    });
    let wanted = "1 → 2 shards: 4 of 9 guilds cut, 8 in both sets, 1 missing in the new one\n";
    assert_eq!(line(&mut said), wanted);
    bot.tell(&at(Stage::Leaving));
    assert!(line(&mut said).contains("the old set is being closed"));
    let _new = [0, 1].map(|id| shard(&bot.rig, id, 2, &ShardFigures::default()));
    bot.tell(&ReshardFigures { cancelled: 70, one_sided_new: 3, ..at(Stage::Done) });
    assert!(line(&mut said).contains("done, 1 old rings are left"));
    bot.old = None;
    until("the ring to be removed", || bot.rig.namespace.remove_ring("shard-0-1").is_ok());
    let wanted = "done: 2 shards instead of 1, 9 guilds cut, 70 copies recognised, 3 events from one set alone\n";
    assert_eq!(line(&mut said), wanted);
    assert_eq!(ended(child), (Some(0), String::new()));
    // Said again it is over already.
    let again = bot.run(&["--to", "2"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
}

#[test]
fn a_change_that_is_called_off_says_why() {
    let bot = Bot::new(&ShardFigures::default());
    let child = bot.start(&["--to", "2"]);
    bot.obeys("to 2", &at(Stage::Overlapping));
    bot.tell(&ReshardFigures { why: "no room".to_owned(), ..at(Stage::Back) });
    let (code, said) = ended(child);
    assert!(code == Some(4) && said.contains("called off: no room"), "{said}");
    // What the cache refuses, it says.
    let child = bot.start(&["--to", "2"]);
    bot.obeys(
        "to 2",
        &ReshardFigures { refused: "to 2: rings are there".to_owned(), ..at(Stage::Back) },
    );
    let (code, said) = ended(child);
    assert!(code == Some(1) && said.contains("refused \"to 2: rings are there\""), "{said}");
    bot.tell(&at(Stage::Overlapping));
    let child = bot.start(&["--call-off"]);
    bot.obeys("call off", &at(Stage::CalledOff));
    bot.tell(&at(Stage::Back));
    assert_eq!(ended(child).0, Some(0));
}

#[test]
fn whoever_watches_may_go_and_come_back() {
    let bot = Bot::new(&ShardFigures::default());
    bot.tell(&at(Stage::Cutting));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = bot.start(&["--to", "2"]);
        let mut said = BufReader::new(child.0.stdout.take().expect("piped"));
        assert!(line(&mut said).contains("guilds cut"));
        interrupt(&child.0, signal);
        assert!(line(&mut said).starts_with("interrupted: it goes on"));
        assert_eq!(ended(child).0, Some(3));
    }
    assert_eq!(bot.order(), None);
}

fn interrupt(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it lives");
}

#[test]
fn the_state_of_a_change_is_shown() {
    let bot = Bot::new(&ShardFigures::default());
    let status = || -> Value {
        let output = bot.run(&["--status", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    assert_eq!(status(), json!({"instance": bot.rig.instance, "reshard": null}));
    bot.tell(&ReshardFigures { began_us: 1, why: "x".to_owned(), ..at(Stage::Overlapping) });
    let mut shown = status()["reshard"].take();
    let began = shown.as_object_mut().and_then(|shown| shown.remove("began_seconds"));
    assert!(began.and_then(|began| began.as_f64()) > Some(1e9));
    let wanted = json!({
        "from": 1, "to": 2, "stage": "overlapping", "under_way": true, "may_be_called_off": true,
        "sessions": 0, "guilds": 9, "overlapping": 0, "cut": 0, "missing": 0, "waiting": 0,
        "waiting_bytes": 0, "counted": 0, "cancelled": 0, "one_sided_old": 0, "one_sided_new": 0,
        "taken_over": 0, "why": "x", "refused": null, "old_rings": 1, "new_rings": 0,
    });
    assert_eq!(shown, wanted);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord"));
    let ls = |command: &mut Command, name: &str| {
        let output = command.args([name, "--instance", &bot.rig.instance]).output();
        String::from_utf8(output.expect("mixcord runs").stdout).expect("text")
    };
    let shown = ls(&mut command, "ls");
    assert!(shown.contains("reshard  1 → 2 shards: 0 of 2 shards identified"), "{shown}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord"));
    command.args(["top", "--once", "--instance", &bot.rig.instance]);
    let shown = String::from_utf8(command.output().expect("runs").stdout).expect("text");
    assert!(shown.contains("reshard 1 → 2 shards: 0 of 2 shards identified"), "{shown}");
}

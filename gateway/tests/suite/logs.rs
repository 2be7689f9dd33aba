//! The log, and whoever reads it, or does not.

use std::io::{ErrorKind, PipeReader, PipeWriter, Write};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::Value;

use crate::harness::{Fake, Instance, SIGTERM, until};

/// A pipe that takes nothing any more: what a reader leaves that was stopped long ago.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("set");
    for size in [4096, 1] {
        while !matches!(writer.write(&vec![b'.'; size]), Err(full) if full.kind() == ErrorKind::WouldBlock)
        {
        }
    }
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("set");
    (reader, writer)
}

/// G-6: neither heartbeats nor sessions nor the end of the process wait for whoever reads the log.
#[test]
fn g6_a_log_that_nobody_reads_holds_up_nothing() {
    const SHARDS: usize = 8;
    let fake = Fake::start(|config| {
        config.shards = SHARDS;
        config.guilds = 8;
        config.heartbeat_ms = 1_000;
    });
    let instance = Instance::new();
    let mut command = instance.command();
    let shards = SHARDS.to_string();
    command.args(["--api-url", &fake.api_url(), "--shards", &shards, "--log-level", "trace"]);
    let (_reader, writer) = full_pipe();
    let mut gateway = instance.spawn_unheard(command, writer);

    let connected = || {
        let status = fake.status();
        let sessions = status["sessions"].as_array().expect("a list");
        sessions.iter().filter(|session| session["connected"] == true).count()
    };
    until("all shards to connect", || connected() == SHARDS);
    // Each of these is a line of each shard, and more.
    for round in 1..=4 {
        fake.post("/fake/disconnect?how=cut");
        until("all sessions to come back", || {
            fake.logged("resume").len() >= round * SHARDS && connected() == SHARDS
        });
    }
    let beats = |shard: usize| {
        let of_it = |beat: &&Value| beat["shard"] == shard as u64;
        fake.logged("heartbeat").iter().filter(of_it).count()
    };
    let before: Vec<_> = (0..SHARDS).map(beats).collect();
    until("heartbeats of every shard", || {
        (0..SHARDS).all(|shard| beats(shard) >= before[shard] + 3)
    });

    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Also what a program says that refuses to start.
#[test]
fn the_log_is_json_where_that_is_wanted() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &["--log-format", "json"]);
    until("a line", || gateway.log().contains("mixcord-gateway runs"));
    let mut second = instance.start(&fake.api_url(), &["--log-format", "json"]);
    assert_eq!(second.wait().code(), Some(78));
    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
    for (log, says) in [(gateway.log(), "stopping"), (second.log(), "already runs")] {
        let lines: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(lines.iter().all(|line| line["timestamp"].is_string()), "{log}");
        let said = |line: &Value| {
            line["fields"]["message"].as_str().is_some_and(|message| message.contains(says))
        };
        assert!(lines.iter().any(said), "{log}");
    }
}

#[test]
fn wrong_levels_are_refused_in_one_line() {
    let instance = Instance::new();
    for wrong in [["--log-level", "verbose"], ["--log-format", "xml"]] {
        let mut gateway = instance.start("http://127.0.0.1:9", &wrong);
        assert_eq!(gateway.wait().code(), Some(78));
        let log = gateway.log();
        assert!(log.contains(wrong[0]) && log.lines().count() == 1, "{log}");
    }
}

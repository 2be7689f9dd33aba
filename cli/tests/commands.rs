//! The commands as their users see them: lines, exit codes, acknowledgements.

#[path = "../../consumer-sdk/tests/consumer/rig.rs"]
#[allow(dead_code, reason = "shared with the SDK's tests, which use all of it")]
mod rig;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use mixcord::Kind;
use mixcord::event::bridge::{BridgeFigures, GatewayFigures, LeaseFigures, StreamFigures};
use mixcord::event::figures::ShardFigures;
use mixcord::event::presence::SetPresence;
use mixcord::event::send::PresenceUpdate;
use mixcord::event::status::ShardStatus;
use mixcord::event::topology;
use mixcord_ring::{Geometry, GroupSpec, Meta, Producer, Start};
use rig::{Rig, until};
use serde_json::{Value, json};

fn mixcord(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MIXCORD_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

fn run(rig: &Rig, arguments: &[&str]) -> Output {
    mixcord(arguments).args(["--instance", &rig.instance]).output().expect("mixcord runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A tail in the background, ended with the test.
struct Tail(Child);

impl Tail {
    fn start(rig: &Rig, arguments: &[&str]) -> Self {
        let mut command = mixcord(&["tail", "--instance", &rig.instance]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("mixcord runs"))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tail_prints_the_contracts_members_and_ends_at_the_count() {
    let mut rig = Rig::new();
    let (old, new) = (r#"{"id":"5","nick":null}"#, r#"{"id":"5","guild_id":"9","nick":"b\n"}"#);
    rig.publish(Kind::GUILD_MEMBER_UPDATE, 9, 2, new, Some(old));
    rig.publish(Kind::RESUMED, 0, 3, "{}", None);
    rig.message(9, 4);
    let output = run(&rig, &["tail", "--from", "earliest", "--count", "2"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = |seq, kind, guild: Value, old: Value, data: Value| {
        json!({"kind": kind, "shard": 1, "shards": 4, "session": 3, "seq": seq, "index": 0,
               "guild_id": guild, "reason": null, "old": old, "data": data})
    };
    let parse = |text| serde_json::from_str::<Value>(text).expect("JSON");
    let wanted = [
        line(2, "GUILD_MEMBER_UPDATE", json!("9"), parse(old), parse(new)),
        line(3, "RESUMED", Value::Null, Value::Null, json!({})),
    ];
    assert_eq!(lines(&output), wanted);
}

#[test]
fn tail_flushes_every_line() {
    let mut rig = Rig::new();
    let mut tail = Tail::start(&rig, &["--from", "earliest"]);
    let mut output = BufReader::new(tail.0.stdout.take().expect("its output"));
    for number in 0..3 {
        rig.message(1, number);
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert!(line.contains(&format!("text {number}")), "{line}");
    }
}

#[test]
fn tail_ends_with_3_when_the_time_is_up() {
    let mut rig = Rig::without_ring();
    let output = run(&rig, &["tail", "--timeout", "0.05"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stderr).contains("mixcord-cache"), "{output:?}");
    rig.create_ring();
    rig.message(1, 1);
    let output = run(&rig, &["tail", "--from", "earliest", "--count", "2", "--timeout", "3"]);
    assert_eq!((output.status.code(), lines(&output).len()), (Some(3), 1), "{output:?}");
}

#[test]
fn tail_in_a_group_acknowledges_what_it_printed_and_no_more() {
    let mut rig = Rig::new();
    (0..50).for_each(|number| rig.message(number % 3, number));
    let tail = ["tail", "--group", "log", "--from", "earliest", "--count", "20"];
    let first = run(&rig, &tail);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let second = run(&rig, &["tail", "--group", "log", "--count", "30", "--timeout", "20"]);
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    let all = lines(&first).into_iter().chain(lines(&second));
    let mut seqs: Vec<_> = all.map(|line| line["seq"].as_u64().expect("a number")).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (0..50).collect::<Vec<_>>());
    assert_eq!(rig.group("log").lag, 0);
}

#[test]
fn tail_ends_quietly_when_nobody_reads_and_keeps_what_was_not_read() {
    let mut rig = Rig::new();
    let mut tail = Tail::start(&rig, &["--group", "log", "--from", "earliest"]);
    let mut output = BufReader::new(tail.0.stdout.take().expect("its output"));
    rig.message(1, 0);
    output.read_line(&mut String::new()).expect("a line");
    drop(output);
    rig.message(1, 1);
    let status = tail.0.wait().expect("it ends");
    let mut complaint = String::new();
    let mut stderr = tail.0.stderr.take().expect("its errors");
    stderr.read_to_string(&mut complaint).expect("text");
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
    until("the group to be left", || rig.group("log").members == 0);
    assert_eq!(rig.group("log").lag, 1);
}

#[test]
fn tail_ends_with_its_reader_though_nothing_more_comes() {
    let mut rig = Rig::new();
    let mut tail = Tail::start(&rig, &["--from", "earliest"]);
    let mut output = BufReader::new(tail.0.stdout.take().expect("its output"));
    rig.message(1, 0);
    output.read_line(&mut String::new()).expect("a line");
    drop(output);
    assert_eq!(tail.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn tail_ends_when_told_to_though_its_reader_is_stopped_and_keeps_what_was_not_read() {
    let mut rig = Rig::new();
    assert!(rig.operator().create_group("log", true, false, None).expect("created"));
    // More than a pipe takes.
    let long = format!(r#"{{"content":"{}"}}"#, "x".repeat(50_000));
    let publish = |rig: &mut Rig, seq| rig.publish(Kind::MESSAGE_CREATE, 1, seq, &long, None);
    (0..2).for_each(|seq| publish(&mut rig, seq));
    let mut tail = Tail::start(&rig, &["--group", "log"]);
    until("the first to be acknowledged", || rig.group("log").lag == 1);
    let pid = nix::unistd::Pid::from_raw(tail.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("alive");
    assert_eq!(tail.0.wait().expect("it ends").code(), Some(0));
    assert_eq!(rig.group("log").lag, 1, "the second was not printed whole");

    let mut timed = Tail::start(&rig, &["--from", "earliest", "--timeout", "0.3"]);
    assert_eq!(timed.0.wait().expect("it ends").code(), Some(3));
}

#[test]
fn nothing_minds_that_nobody_reads() {
    let rig = Rig::new();
    for arguments in [
        &["ls"][..],
        &["ls", "--json"],
        &["top", "--once"],
        &["groups", "create", "x"],
        &["groups", "rm", "x"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = mixcord(arguments);
        if arguments != ["--help"] {
            command.args(["--instance", &rig.instance]);
        }
        let output = command.stdout(writer).output().expect("mixcord runs");
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_is_not_there_is_an_exit_code() {
    let rig = Rig::without_ring();
    for arguments in [&["ls"][..], &["ls", "--json"], &["top", "--once"]] {
        assert_eq!(run(&rig, arguments).status.code(), Some(1), "{arguments:?}");
    }
    let doctor = run(&rig, &["doctor"]);
    assert_eq!(doctor.status.code(), Some(2), "{doctor:?}");
    let said = text(&doctor.stdout);
    assert!(said.contains("has no rings") && said.contains("mixcord-gateway --instance"), "{said}");
}

#[test]
fn the_instance_stands_before_or_after_the_command_in_a_variable_or_in_a_file() {
    let rig = Rig::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let content = format!("instance = \"{}\"\njson = true\n", rig.instance);
    std::fs::write(file.path(), content).expect("written");
    let path = file.path().to_str().expect("text");
    let mut by_variable = mixcord(&["ls", "--json"]);
    by_variable.env("MIXCORD_INSTANCE", &rig.instance);
    for mut command in [
        mixcord(&["--instance", &rig.instance, "ls", "--json"]),
        mixcord(&["ls", "--json", "--instance", &rig.instance]),
        mixcord(&["--config", path, "ls"]),
        mixcord(&["ls", "--config", path]),
        by_variable,
    ] {
        let output = command.output().expect("mixcord runs");
        assert_eq!(output.status.code(), Some(0), "{command:?} {output:?}");
        assert_eq!(lines(&output)[0]["instance"], json!(rig.instance), "{command:?}");
    }
    // What is typed wins.
    let output = mixcord(&["--config", path, "ls", "--instance", "nosuch"]).output().expect("runs");
    assert_eq!((output.status.code(), &lines(&output)[0]["instance"]), (Some(1), &json!("nosuch")));
}

#[test]
fn the_version_tells_layouts_and_a_typo_what_was_meant() {
    let output = mixcord(&["--version"]).output().expect("mixcord runs");
    let said = text(&output.stdout);
    assert!(
        said.starts_with("mixcord ")
            && said.contains("ring layout 3")
            && said.contains("record layout"),
        "{said}"
    );
    for (typed, meant) in
        [(&["ls", "--jsn"][..], "--json"), (&["lss"], "'ls'"), (&["top", "--onc"], "--once")]
    {
        let output = mixcord(typed).output().expect("mixcord runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(meant) && said.lines().count() == 1, "{said}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script =
            text(&mixcord(&["--completions", shell]).output().expect("mixcord runs").stdout);
        assert!(script.contains("doctor") && script.contains("reconnect"), "{shell}: {script}");
    }
}

#[test]
fn doctor_ends_as_the_worst_finding_says() {
    let rig = Rig::new();
    let output = run(&rig, &["doctor", "--json"]);
    let report = lines(&output).remove(0);
    let findings = report["findings"].as_array().expect("findings");
    assert!(findings.iter().any(|finding| finding["name"] == "gateway-gone"), "{report}");
    assert!(
        findings.iter().all(|finding| finding["command"].as_str().is_some_and(|it| !it.is_empty()))
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(report["instance"], json!(rig.instance));
    assert!(
        report["machine"]["segments"].as_array().is_some_and(|all| !all.is_empty()),
        "{report}"
    );
}

#[test]
fn tail_chooses_by_guild_and_shows_what_changed() {
    let mut rig = Rig::new();
    for (guild, name) in [(5, "before"), (6, "other")] {
        let data = format!(
            r#"{{"id":"1","guild_id":"{guild}","channel_id":"9","content":"{name}","author":{{"id":"77"}}}}"#
        );
        rig.publish(Kind::MESSAGE_UPDATE, guild, 1, &data, Some(r#"{"content":"was"}"#));
    }
    let tail = |more: &[&str]| {
        let arguments =
            [&["tail", "--from", "earliest", "--timeout", "2", "--count", "1"][..], more].concat();
        text(&run(&rig, &arguments).stdout)
    };
    assert!(tail(&["--guild", "6"]).contains("other"));
    assert!(tail(&["--channel", "9", "--user", "77"]).contains("before"));
    assert_eq!(tail(&["--user", "78"]), "");
    let shown = tail(&["--guild", "5", "--diff"]);
    assert!(
        shown.starts_with("MESSAGE_UPDATE  ") && shown.contains("content: \"was\" → \"before\""),
        "{shown}"
    );
}

#[test]
fn tail_filters_by_kind_and_says_what_an_observer_lost() {
    let mut rig = Rig::new();
    (0..1_000).for_each(|number| rig.message(1, number));
    rig.publish(Kind::RESUMED, 0, 1_000, "{}", None);
    let output =
        run(&rig, &["tail", "--from", "earliest", "--kind", "gap,RESUMED", "--count", "1"]);
    let kinds: Vec<_> = lines(&output).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds.last(), Some(&json!("RESUMED")));
    assert!(kinds.iter().all(|kind| kind == "RESUMED" || kind == "LOST"), "{kinds:?}");
}

/// The contract's fields and no others, whatever the record is.
#[test]
fn tail_prints_the_same_fields_for_every_record() {
    let mut rig = Rig::new();
    for kind in [Kind::GAP, Kind::SHARD_STATE, Kind::RESUMED] {
        rig.publish(kind, 0, 1, r#"{"shard":1}"#, None);
    }
    let output = run(&rig, &["tail", "--from", "earliest", "--count", "3"]);
    let fields =
        ["kind", "shard", "shards", "session", "seq", "index", "guild_id", "reason", "old", "data"];
    for line in lines(&output) {
        let printed = line.as_object().expect("an object");
        let printed: BTreeSet<&str> = printed.keys().map(String::as_str).collect();
        assert_eq!(printed, BTreeSet::from(fields));
    }
}

#[test]
fn tail_ends_with_0_on_sigterm() {
    for rig in [Rig::without_ring(), Rig::new()] {
        let mut tail = Tail::start(&rig, &["--group", "log"]);
        let ready = || match rig.producer {
            Some(_) => rig.operator().rings().expect("rings")[0].groups.len() == 1,
            // Nothing shows that it waits but what it says.
            None => true,
        };
        until("the tail to be ready", ready);
        if rig.producer.is_none() {
            let mut stderr = BufReader::new(tail.0.stderr.as_mut().expect("its errors"));
            stderr.read_line(&mut String::new()).expect("a line");
        }
        let pid = nix::unistd::Pid::from_raw(tail.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("alive");
        assert_eq!(tail.0.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn wrong_options_end_with_78_and_one_line() {
    for arguments in [
        &["tail", "--nonsense"][..],
        &["tail", "--from", "tomorrow"],
        &["tail", "--count", "-1"],
        &["tail", "--instance", "Not A Name"],
        &["tail", "--group", "Not A Name!"],
        &["tail", "--group", ""],
        &["tail", "--timeout", "nan"],
        &["ls", "--instance", ""],
        &["groups", "create", "x", "--policy", "lazy"],
        &["groups", "create", "Not A Name!"],
        &["groups", "rm", "Not A Name!"],
        &["rm", "--instance", "../etc"],
        &["top", "--seconds", "-1"],
        &["fly"],
    ] {
        let output = mixcord(arguments).output().expect("mixcord runs");
        assert_eq!(output.status.code(), Some(78), "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn options_can_come_from_the_environment() {
    let mut rig = Rig::new();
    rig.message(1, 1);
    let output = mixcord(&["tail"])
        .env("MIXCORD_INSTANCE", &rig.instance)
        .env("MIXCORD_FROM", "earliest")
        .env("MIXCORD_COUNT", "1")
        .output()
        .expect("mixcord runs");
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 1), "{output:?}");
}

#[test]
fn ls_shows_rings_and_groups_for_programs_and_for_people() {
    let mut rig = Rig::new();
    run(&rig, &["groups", "create", "bot", "--from", "earliest"]);
    (0..10).for_each(|number| rig.message(1, number));
    let output = run(&rig, &["ls", "--json"]);
    let listing: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ring = &listing["rings"][0];
    assert_eq!(listing["instance"], json!(rig.instance));
    assert_eq!((&ring["name"], &ring["tail"]), (&json!("out"), &json!(10)));
    assert_eq!(ring["producer_alive"], json!(true));
    assert_eq!(
        (&ring["groups"][0]["name"], &ring["groups"][0]["lag"]),
        (&json!("bot"), &json!(10))
    );

    let table = text(&run(&rig, &["ls"]).stdout);
    for word in [rig.instance.as_str(), "out", "bot", "lag 10", "no members", "durable"] {
        assert!(table.contains(word), "{word} is missing in {table}");
    }
    assert!(!table.contains('\x1b'), "colours in a pipe");
}

/// The ring of a shard, with what its gateway would say of it.
fn shard_ring(rig: &Rig, checkpoint: &[u8]) -> Producer {
    let geometry = Geometry::new(64, 64 << 10, 4, 1, 8).expect("a geometry");
    let bell = rig.namespace.bell().expect("a bell");
    let mut producer = Producer::create(&rig.namespace, "shard-1-4", geometry, &[], &bell)
        .expect("a ring of a shard");
    producer.set_checkpoint(checkpoint).expect("small enough");
    producer.publish();
    producer
}

#[test]
fn ls_and_top_show_how_each_shard_stands() {
    let rig = Rig::new();
    let status = ShardStatus {
        state: "connected".into(),
        session: 3,
        seq: Some(12_345),
        latencies_us: vec![40_000, 44_000, 48_000],
        reconnects: 7,
        undecodable: 2,
        gaps: 1,
        stalls: 5,
        stalled_ms: 1_500,
        stalled_since_us: None,
    };
    let presence =
        PresenceUpdate { since: None, activities: vec![], status: "idle".into(), afk: false };
    let presence = SetPresence { presence, instead_of: None };
    let producer = shard_ring(&rig, &[status.encode(), presence.encode()].concat());
    let output = run(&rig, &["ls", "--json"]);
    let mut listing: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let pauses =
        listing["rings"][0]["shard"].as_object_mut().and_then(|shard| shard.remove("pauses"));
    let pauses = pauses.expect("of its process");
    assert_eq!((&pauses["work"]["count"], &pauses["late"]["count"]), (&json!(0), &json!(0)));
    let wanted = json!({
        "shard": 1, "shards": 4, "state": "connected", "session": 3, "seq": 12_345,
        "latencies_ms": [40.0, 44.0, 48.0], "reconnects": 7, "undecodable": 2, "gaps": 1,
        "stalls": 5, "stalled_seconds": 1.5, "stalled_now_seconds": null,
        "session_seconds": null, "identifies": 0, "resumes": 0, "last_close": null,
        "awaits_refill": false, "refills": 0,
        "gaps_by_reason": {}, "last_event_seconds": null, "budget": null, "recommended_shards": null,
        "pid": null, "intents": null,
        "presence": {"since": null, "activities": [], "status": "idle", "afk": false},
    });
    assert_eq!(listing["rings"][0]["shard"], wanted);
    assert_eq!(listing["rings"][1]["shard"], Value::Null, "the output ring");
    let wanted = "connected  latency 48 ms (mean 44)  session 3, seq 12,345  reconnects 7  gaps 1  \
                  undecodable 2  presence idle (by command)  not read 5 times, 1.5 s";
    for command in [&["ls"][..], &["top", "--once"]] {
        let shown = text(&run(&rig, command).stdout);
        assert!(shown.contains(wanted), "{command:?}: {shown}");
    }
    drop(producer);
    let shown = text(&run(&rig, &["ls"]).stdout);
    assert!(shown.contains("was connected") && !shown.contains("latency"), "{shown}");
}

/// What a bridge says of itself, while it lives.
struct Bridge(PathBuf, Option<File>);

impl Bridge {
    fn new(rig: &Rig) -> Self {
        let folder = PathBuf::from(topology::bridge_dir(&rig.instance));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder, None)
    }

    fn says(&mut self, figures: &BridgeFigures) {
        let path = self.0.join("one");
        self.1 = None;
        fs::write(&path, figures.encode("mixcord-bridge 0.1.0")).expect("written");
        let file = File::open(path).expect("a file");
        file.lock().expect("nobody else's");
        self.1 = Some(file);
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn ls_and_top_show_who_has_the_lease_and_who_stands_by() {
    let rig = Rig::new();
    let mut bridge = Bridge::new(&rig);
    let figures = |end: &str, (lease, own, gateway): (&str, bool, &str)| BridgeFigures {
        end: end.into(),
        bot: "b".into(),
        connected: true,
        shards: 2,
        streams: vec![StreamFigures {
            name: "MIXCORD_b_LOG_main_0-2".into(),
            writer: "prod on a".into(),
            ..StreamFigures::default()
        }],
        leases: vec![LeaseFigures {
            state: lease.into(),
            own,
            generation: 7 << 32,
            still_ms: 40_500,
        }],
        gateways: vec![GatewayFigures {
            first: 0,
            last: 1,
            count: 2,
            state: gateway.into(),
            why: "so it is".into(),
        }],
        ..BridgeFigures::default()
    };
    let generation = "generation 30064771072";
    for (said, end, role, lines) in [
        (
            ("held", false, "standby"),
            "receive",
            json!("standby"),
            [
                "bridge receive  live  standby  2 shards of b",
                "lease of prod on a, generation",
                "gateway 0..1/2  standby: so it is",
            ],
        ),
        (
            ("held", true, "holder"),
            "send",
            json!("holder"),
            [
                "bridge send  live  holder  2 shards of b",
                "its own lease (prod on a), generation",
                "gateway 0..1/2  holder: begins sessions",
            ],
        ),
        (
            ("lapsed", true, "waits"),
            "send",
            Value::Null,
            [
                "bridge send  live  2 shards of b",
                "nobody's lease: prod on a was silent for 40 s, generation",
                "gateway 0..1/2  begins no session: so it is",
            ],
        ),
        (
            ("ended", false, "over"),
            "send",
            Value::Null,
            [
                "bridge send  live  2 shards of b",
                "nobody's lease: prod on a stopped, generation",
                "gateway 0..1/2  over: so it is",
            ],
        ),
    ] {
        bridge.says(&figures(end, said));
        for command in [&["ls"][..], &["top", "--once"]] {
            let shown = text(&run(&rig, command).stdout);
            for words in lines.into_iter().chain([generation]) {
                assert!(shown.contains(words), "{command:?}: {words} is missing in {shown}");
            }
        }
        let listing: Value =
            serde_json::from_slice(&run(&rig, &["ls", "--json"]).stdout).expect("JSON");
        let shown = &listing["bridges"][0];
        assert_eq!(shown["role"], role);
        let (state, own, gateway) = said;
        let lease = json!({
            "state": state, "own": own, "generation": 7_u64 << 32, "still_seconds": 40.5,
        });
        assert_eq!(shown["streams"][0]["lease"], lease);
        let gateway =
            json!({"first": 0, "last": 1, "count": 2, "state": gateway, "why": "so it is"});
        assert_eq!(shown["gateways"], json!([gateway]));
    }
    // Of a bridge of the release before.
    let before =
        BridgeFigures { leases: vec![], gateways: vec![], ..figures("send", ("", false, "")) };
    bridge.says(&before);
    let shown = text(&run(&rig, &["ls"]).stdout);
    assert!(shown.contains("written by prod on a"), "{shown}");
}

#[test]
fn ls_warns_while_a_socket_is_not_read() {
    let rig = Rig::new();
    let status = ShardStatus {
        state: "connected".into(),
        stalls: 1,
        stalled_since_us: Some(1),
        ..ShardStatus::default()
    };
    let _producer = shard_ring(&rig, &status.encode());
    let shown = text(&run(&rig, &["ls"]).stdout);
    assert!(shown.contains("Discord may drop the session"), "{shown}");
    let listing: Value =
        serde_json::from_slice(&run(&rig, &["ls", "--json"]).stdout).expect("JSON");
    assert!(listing["rings"][0]["shard"]["stalled_now_seconds"].as_f64() > Some(1e9));
}

#[test]
fn ls_says_which_shard_waits_for_a_new_session() {
    let rig = Rig::new();
    let status = ShardStatus { state: "connected".into(), ..ShardStatus::default() };
    let figures = |began_at| ShardFigures { began_at, refills: 3, ..ShardFigures::default() };
    let checkpoint = |began_at| [status.encode(), figures(began_at).encode()].concat();
    let mut producer = shard_ring(&rig, &checkpoint(0));
    let ring = producer.ring();
    ring.declare_group(&GroupSpec::durable("cache").from(Start::Earliest)).expect("a group");
    for _ in 0..2 {
        producer.stage(&Meta::default(), &[b"said"]).expect("room");
    }
    producer.publish();
    let shown = || -> (Value, String) {
        let listing = run(&rig, &["ls", "--json"]);
        let listing: Value = serde_json::from_slice(&listing.stdout).expect("JSON");
        (listing["rings"][0]["shard"].clone(), text(&run(&rig, &["ls"]).stdout))
    };
    assert!(!shown().1.contains("state lost"));
    ring.ask_anew("cache", 2).expect("asked");
    let (shard, line) = shown();
    assert_eq!((&shard["awaits_refill"], &shard["refills"]), (&json!(true), &json!(3)));
    assert!(line.contains("state lost: a new session is to fill it"), "{line}");
    // It began behind what was lost.
    producer.set_checkpoint(&checkpoint(2)).expect("small enough");
    producer.publish();
    let (shard, line) = shown();
    assert!(shard["awaits_refill"] == false && !line.contains("state lost"), "{line}");
}

#[test]
fn ls_says_which_group_is_damaged() {
    let rig = Rig::new();
    rig.operator().create_group("g", true, false, None).expect("a group");
    let shows = || text(&run(&rig, &["ls"]).stdout).contains("damaged");
    assert!(!shows());
    rig.damage_first_group();
    assert!(shows());
    let listing = text(&run(&rig, &["ls", "--json"]).stdout);
    assert!(listing.contains(r#""damaged":true"#), "{listing}");
}

#[test]
fn ls_and_top_name_who_holds_a_full_ring_and_what_ends_it() {
    let mut rig = Rig::new();
    run(&rig, &["groups", "create", "greeter", "--from", "earliest"]);
    let holds = |rig: &Rig, command: &[&str]| text(&run(rig, command).stdout).contains("holds it");
    rig.message(5, 1);
    assert!(!holds(&rig, &["ls"]), "hardly anything is in it");
    (2..=200).for_each(|number| rig.message(1, number));
    for command in [&["ls"][..], &["top", "--once"]] {
        let shown = text(&run(&rig, command).stdout);
        let wanted = [
            "group \"greeter\" holds it (no member for ",
            "oldest MESSAGE_CREATE of guild 5, 200 records behind",
            &format!("it ends with: mixcord groups rm greeter --instance {}", rig.instance),
        ];
        for words in wanted {
            assert!(shown.contains(words), "{command:?}: {words} is missing in {shown}");
        }
    }
    let listing: Value =
        serde_json::from_slice(&run(&rig, &["ls", "--json"]).stdout).expect("JSON");
    let held_by = &listing["rings"][0]["held_by"];
    assert_eq!(
        (&held_by["group"], &held_by["oldest"]["kind"]),
        (&json!("greeter"), &json!("MESSAGE_CREATE"))
    );
    let command = held_by["command"].as_str().expect("a command");
    let words: Vec<_> = command.split(' ').skip(1).collect();
    assert_eq!(mixcord(&words).output().expect("mixcord runs").status.code(), Some(0), "{command}");
    assert!(!holds(&rig, &["ls"]), "the command ended it");
}

#[test]
fn ls_helps_when_nothing_runs() {
    let (rig, other) = (Rig::without_ring(), Rig::new());
    let output = run(&rig, &["ls"]);
    assert_eq!(output.status.code(), Some(1));
    let table = text(&output.stdout);
    assert!(table.contains("mixcord-cache") && table.contains(&other.instance), "{table}");
    let output = run(&rig, &["ls", "--json"]);
    let listing: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(listing["rings"], json!([]));
}

#[test]
fn groups_and_instances_are_removed_when_nobody_uses_them() {
    let mut rig = Rig::new();
    let member = rig.consumer().group("bot").connect_blocking().expect("connected");
    let refused = run(&rig, &["groups", "rm", "bot"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(text(&refused.stderr).lines().count(), 1, "{refused:?}");
    drop(member);
    assert_eq!(run(&rig, &["groups", "rm", "bot"]).status.code(), Some(0));
    assert_eq!(run(&rig, &["rm"]).status.code(), Some(1), "the producer lives");
    rig.end_producer();
    assert_eq!(run(&rig, &["rm"]).status.code(), Some(0));
    assert_eq!(run(&rig, &["rm"]).status.code(), Some(0), "nothing is left, and that is fine");
}

/// A ring alone: never one that is in use, and nothing of the others.
#[test]
fn one_ring_is_removed_when_nobody_uses_it() {
    let mut rig = Rig::new();
    rig.message(1, 1);
    let namespace = rig.namespace.clone();
    let bell = namespace.bell().expect("bells");
    let geometry = Geometry::new(16, 4096, 2, 1, 4).expect("sizes");
    let other = Producer::create(&namespace, "shard-0-2", geometry, &[], &bell).expect("a ring");
    let rm = |ring| run(&rig, &["rm", "--ring", ring]);
    for ring in ["shard-0-2", "out"] {
        let refused = rm(ring);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let line = text(&refused.stderr);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(
            line.contains(ring) && line.contains("stop the process") && line.contains("mixcord ls")
        );
    }
    drop(other);
    let removed = rm("shard-0-2");
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    assert!(text(&removed.stdout).contains("shard-0-2"), "{removed:?}");
    assert_eq!(namespace.rings().expect("listed"), ["out"]);
    let missing = rm("shard-0-2");
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(text(&missing.stderr).contains("it has out"), "{missing:?}");
    let wrong = rm("../etc");
    assert_eq!(wrong.status.code(), Some(78), "{wrong:?}");
    assert_eq!(text(&wrong.stderr).lines().count(), 1, "{wrong:?}");
    // A reader keeps it, too.
    let member = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.end_producer();
    assert_eq!(run(&rig, &["rm", "--ring", "out"]).status.code(), Some(1), "a member lives");
    drop(member);
    assert_eq!(run(&rig, &["rm", "--ring", "out"]).status.code(), Some(0));
}

#[test]
fn top_measures_once_in_plain_lines() {
    let mut rig = Rig::new();
    rig.message(1, 1);
    let output = run(&rig, &["top", "--once"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let picture = text(&output.stdout);
    assert!(picture.contains("out") && !picture.contains('\x1b'), "{picture}");
}

#[test]
fn send_says_why_it_cannot() {
    let rig = Rig::new();
    let nobody = run(&rig, &["send", "presence", "idle", "--activity", "chess"]);
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    assert!(text(&nobody.stderr).contains("mixcord-gateway"), "{nobody:?}");
    assert_eq!(text(&nobody.stderr).lines().count(), 1, "{nobody:?}");
    for wrong in [
        &["send", "presence", "bored"][..],
        &["send", "members"],
        &["send", "members", "--guild", "1", "--query", "a", "--user", "2"],
        &["send", "members", "--guild", "1", "--nonce", "a nonce of more than thirty-two bytes"],
        &["send", "sounds"],
        &["send"],
    ] {
        let output = run(&rig, wrong);
        assert_eq!(output.status.code(), Some(78), "{wrong:?} {output:?}");
    }
}

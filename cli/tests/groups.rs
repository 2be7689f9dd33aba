//! `mixcord groups` as an operator types it: what is shown, what is moved and ended, and what is refused.

#[path = "../../consumer-sdk/tests/consumer/rig.rs"]
#[allow(dead_code, reason = "shared with the SDK's tests, which use all of it")]
mod rig;

use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord::Kind;
use mixcord::event::{Document, Header, Shard, record};
use mixcord_ring::{Bell, GroupSpec, Order, Ring, Settle, Settled, Start, Worker, WorkerOptions};
use rig::Rig;
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
    let mut command = mixcord(&["groups"]);
    command.args(arguments).args(["--instance", &rig.instance]);
    command.output().expect("mixcord runs")
}

/// What it said, once it ended well.
fn done(rig: &Rig, arguments: &[&str]) -> String {
    let output = run(rig, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its one line of complaint, and the exit code.
fn refused(rig: &Rig, arguments: &[&str]) -> (i32, String) {
    let output = run(rig, arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((said.lines().count(), output.stdout.len()), (1, 0), "{arguments:?}: {said}");
    (output.status.code().expect("an exit code"), said)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(parse).collect()
}

/// A member that takes events one by one, as handlers do.
fn worker(rig: &Rig) -> (Worker, Bell) {
    let ring = Ring::attach(&rig.namespace, "out").expect("the output ring");
    let bell = rig.namespace.bell().expect("a bell");
    let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(Order::Key);
    let worker = ring.work(&group, &bell, WorkerOptions::new().attempts(2)).expect("a member");
    (worker, bell)
}

fn fail(worker: &mut Worker, reason: &str) -> Settled {
    let delivery = worker.take().expect("no error").expect("an event");
    delivery.settle(Settle::Retry { after: Duration::ZERO, reason }).expect("settled")
}

#[test]
fn nothing_running_and_wrong_names_are_one_line_and_an_exit_code() {
    let (rig, empty) = (Rig::without_ring(), Rig::new());
    for command in [
        &["list"][..],
        &["show", "x"],
        &["reset", "x", "--to", "latest"],
        &["skip", "x"],
        &["peek", "x"],
        &["dead", "x"],
        &["retry", "x"],
        &["rm", "x"],
        &["rm", "x", "--force"],
        &["create", "x"],
    ] {
        let (code, said) = refused(&rig, command);
        assert_eq!(code, 1, "{command:?}");
        assert!(
            said.contains("start mixcord-cache --instance")
                || said.contains("start mixcord-cache with"),
            "{said}"
        );
        if !matches!(command[0], "list" | "create") {
            let (code, said) = refused(&empty, command);
            assert_eq!(code, 1, "{command:?}");
            assert!(said.contains("no group \"x\""), "{command:?}: {said}");
            let wrong: Vec<_> =
                command.iter().map(|&it| if it == "x" { "A Name" } else { it }).collect();
            assert_eq!(refused(&empty, &wrong).0, 78, "{wrong:?}");
        }
    }
    assert!(done(&empty, &["list"]).contains("has no groups"));
    assert_eq!(parse(&done(&empty, &["list", "--json"]))["groups"], json!([]));
    for wrong in [
        &["reset", "x"][..],
        &["reset", "x", "--to", "tomorrow"],
        &["skip", "x", "--position", "first"],
        &["peek", "x", "--count", "-1"],
        &["create", "x", "--order", "user"],
        &["retry", "x", "--position", "1,b"],
        &["show"],
    ] {
        assert_eq!(refused(&empty, wrong).0, 78, "{wrong:?}");
    }
}

#[test]
fn a_group_is_shown_with_its_members_and_the_event_that_is_out() {
    let mut rig = Rig::new();
    (0..3).for_each(|number| rig.message(5, number));
    let (mut worker, _bell) = worker(&rig);
    let settled = fail(&mut worker, "not yet");
    assert_eq!(settled, Settled::Again);
    let out = worker.take().expect("no error").expect("the same again");
    let shown = parse(&done(&rig, &["show", "bot", "--json"]));
    let pid = std::process::id();
    let said = |key: &str| shown[key].clone();
    assert_eq!(said("name"), "bot");
    assert_eq!((said("order"), said("policy")), (json!("guild"), json!("durable")));
    assert_eq!((said("lag"), said("members")), (json!(3), json!(1)));
    assert_eq!(shown["living"][0]["pid"], json!(pid));
    assert!(shown["living"][0]["age_seconds"].is_u64());
    assert_eq!(
        (&shown["oldest"]["kind"], &shown["oldest"]["guild_id"]),
        (&json!("MESSAGE_CREATE"), &json!("5"))
    );
    assert_eq!(shown["oldest"]["identity"], json!("000000000000004d-1-0-0"));
    assert_eq!((said("oldest_state"), said("oldest_pid")), (json!("out"), json!(pid)));
    assert_eq!(said("oldest_failures"), json!(1));
    let table = done(&rig, &["show", "bot"]);
    for words in [
        "lag 3  1 member",
        "order     of a guild",
        &format!("member    pid {pid}, joined"),
        &format!(
            "oldest    MESSAGE_CREATE of guild 5, position 0, identity 000000000000004d-1-0-0: out with pid {pid}, failed 1 times"
        ),
    ] {
        assert!(table.contains(words), "{words} is missing in {table}");
    }
    assert!(!table.contains('\x1b'), "colours in a pipe");
    out.settle(Settle::Ack).expect("settled");
    let list = parse(&done(&rig, &["list", "--json"]));
    assert_eq!(
        (&list["groups"][0]["name"], &list["groups"][0]["members"]),
        (&json!("bot"), &json!(1))
    );
}

#[test]
fn peeking_takes_nothing_and_shows_what_is_not_acknowledged() {
    let mut rig = Rig::new();
    for guild in [5, 6, 5] {
        rig.message(guild, guild);
    }
    let (mut worker, _bell) = worker(&rig);
    let first = worker.take().expect("no error").expect("of guild 5");
    worker.take().expect("no error").expect("of guild 6").settle(Settle::Ack).expect("settled");
    let shown = lines(&done(&rig, &["peek", "bot"]));
    let told: Vec<_> =
        shown.iter().map(|line| (line["position"].clone(), line["state"].clone())).collect();
    assert_eq!(told, [(json!(0), json!("out")), (json!(2), json!("waiting"))]);
    assert_eq!(shown[0]["pid"], json!(std::process::id()));
    assert_eq!(
        (&shown[1]["kind"], &shown[1]["guild_id"], &shown[1]["data"]["content"]),
        (&json!("MESSAGE_CREATE"), &json!("5"), &json!("text 5"))
    );
    assert_eq!(lines(&done(&rig, &["peek", "bot", "--count", "1"])).len(), 1);
    first.settle(Settle::Ack).expect("still this member's");
}

#[test]
fn skipping_gives_up_the_event_that_holds_the_group_and_no_other() {
    let mut rig = Rig::new();
    (0..3).for_each(|number| rig.message(5, number));
    let (mut worker, _bell) = worker(&rig);
    let stuck = worker.take().expect("no error").expect("the first");
    assert!(worker.take().expect("no error").is_none(), "the second waits for it");
    assert!(done(&rig, &["skip", "bot"]).contains("goes on without MESSAGE_CREATE at 0"));
    assert!(stuck.settle(Settle::Ack).is_err(), "it is not this member's any more");
    let second = worker.take().expect("no error").expect("the second");
    assert_eq!(second.position(), 1);
    assert!(done(&rig, &["skip", "bot", "--position", "2"]).contains("at 2"));
    assert!(done(&rig, &["skip", "bot", "--position", "2"]).contains("nothing to skip"));
    second.settle(Settle::Ack).expect("settled");
    assert!(worker.take().expect("no error").is_none());
    assert_eq!(rig.group("bot").lag, 0);

    rig.operator().remove_group("old").expect_err("there is none");
    let ring = Ring::attach(&rig.namespace, "out").expect("the output ring");
    ring.declare_group(&GroupSpec::durable("old").from(Start::Earliest)).expect("a group");
    let (code, said) = refused(&rig, &["skip", "old"]);
    assert!(code == 1 && said.contains("groups reset old --to"), "{said}");
}

#[test]
fn what_was_given_up_is_shown_with_its_error_and_given_again() {
    let mut rig = Rig::new();
    rig.message(5, 1);
    let (mut worker, _bell) = worker(&rig);
    assert_eq!(done(&rig, &["dead", "bot"]), "");
    fail(&mut worker, "first");
    assert!(matches!(fail(&mut worker, "10062: unknown interaction"), Settled::Dead { .. }));
    let dead = lines(&done(&rig, &["dead", "bot"]));
    assert_eq!(dead.len(), 1);
    let said = |key: &str| dead[0][key].clone();
    assert_eq!((said("group"), said("position")), (json!("bot"), json!(0)));
    assert_eq!((said("error"), said("failures")), (json!("10062: unknown interaction"), json!(2)));
    assert_eq!((said("kind"), said("guild_id")), (json!("MESSAGE_CREATE"), json!("5")));
    assert_eq!(said("identity"), json!("000000000000004d-1-0-0"));
    assert!(said("written").as_f64() > Some(1e9));

    assert!(done(&rig, &["retry", "bot", "--position", "7"]).contains("0 events are"));
    assert!(done(&rig, &["retry", "bot"]).contains("1 event is given again"));
    let again = worker.take().expect("no error").expect("it is given again");
    assert_eq!(again.entry().key, 5);
    again.settle(Settle::Ack).expect("settled");
    assert_eq!(done(&rig, &["dead", "bot"]), "");
}

#[test]
fn a_group_is_moved_to_where_it_is_told() {
    let mut rig = Rig::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    // One an hour, the last just now.
    for hour in (0..10).rev() {
        let data = Document::from_json(r#"{"guild_id":"5"}"#).expect("JSON");
        let received = now - Duration::from_secs(hour * 3600);
        let header = Header {
            kind: Kind::MESSAGE_CREATE,
            shard: Shard { id: 0, count: 1 },
            key: 5,
            received_us: u64::try_from(received.as_micros()).expect("fits"),
            ..Header::default()
        };
        let mut bytes = Vec::new();
        record::encode(&header, None, data.as_bytes(), None, &mut bytes);
        rig.publish_bytes(Kind::MESSAGE_CREATE, 5, &bytes);
    }
    done(&rig, &["create", "bot", "--order", "guild"]);
    for (to, at) in [
        ("earliest", 0),
        ("latest", 10),
        ("4", 4),
        ("99", 10),
        ("150m", 7),
        ("30s", 9),
        ("1d", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("9999-01-01T00:00:00Z", 10),
    ] {
        assert!(
            done(&rig, &["reset", "bot", "--to", to]).ends_with(&format!("goes on at {at}\n")),
            "{to}"
        );
        assert_eq!(rig.group("bot").floor, at, "{to}");
    }
    let (mut worker, _bell) = worker(&rig);
    let (code, said) = refused(&rig, &["reset", "bot", "--to", "8"]);
    assert!(code == 1 && said.contains("1 living member") && said.contains("--force"), "{said}");
    done(&rig, &["reset", "bot", "--to", "8", "--force"]);
    assert!(worker.take().is_err(), "it is told that it has to begin anew");
    drop(worker);
    assert_eq!(rig.group("bot").floor, 8);
}

#[test]
fn a_group_whose_members_live_ends_by_force_only() {
    let mut rig = Rig::new();
    rig.message(5, 1);
    let (mut worker, _bell) = worker(&rig);
    let out = worker.take().expect("no error").expect("an event");
    let (code, said) = refused(&rig, &["rm", "bot"]);
    assert!(code == 1 && said.contains("--force"), "{said}");
    done(&rig, &["rm", "bot", "--force"]);
    assert!(out.settle(Settle::Ack).is_err());
    assert!(worker.take().is_err());
    assert_eq!(parse(&done(&rig, &["list", "--json"]))["groups"], json!([]));
}

#[test]
fn a_group_made_by_looking_is_let_go_after_a_while_unless_it_is_to_stay() {
    let mut rig = Rig::new();
    rig.message(5, 1);
    for (group, more, absence) in
        [("glance", None, json!(900)), ("log", Some("--forever"), Value::Null)]
    {
        let mut command = mixcord(&["tail", "--instance", &rig.instance, "--group", group]);
        command.args(["--from", "earliest", "--count", "1"]).args(more);
        assert!(command.status().expect("mixcord runs").success());
        let shown = parse(&done(&rig, &["show", group, "--json"]));
        assert_eq!(shown["max_absence_seconds"], absence, "{group}");
    }
    let alone = mixcord(&["tail", "--forever"]).output().expect("mixcord runs");
    assert_eq!(alone.status.code(), Some(78), "without a group there is nothing to keep");
}

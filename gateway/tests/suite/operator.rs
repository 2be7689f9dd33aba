//! What an operator decides while it runs, and from one run to the next.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, Mutex};

use mixcord_event::command::{Command, Refusal, Reply, Target};
use mixcord_event::send::PresenceUpdate;
use serde_json::{Value, json};

use crate::commands::Client;
use crate::harness::{Fake, Gateway, Instance, Reader, until};
use crate::hostile::{Hostile, Peer};

const JSON: [&str; 4] = ["--encoding", "json", "--compression", "none"];

/// What clients sent: opcode and data.
type Notes = Mutex<Vec<(u64, Value)>>;

/// A server that notes each IDENTIFY, RESUME and presence, and ends every session that is resumed.
fn scribe() -> (Hostile, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let written = notes.clone();
    let server = Hostile::start(move |mut peer: Peer| {
        let notes = written.clone();
        Box::pin(async move {
            peer.hello().await;
            while let Some(payload) = peer.any().await {
                let op = payload["op"].as_u64().expect("an opcode");
                if op != 1 {
                    notes.lock().expect("whole").push((op, payload["d"].clone()));
                }
                match op {
                    1 => peer.say(&json!({"op": 11})).await,
                    2 => {
                        let ready = json!({"v": 10, "session_id": "s", "guilds": []});
                        peer.dispatch(1, "READY", ready).await;
                    }
                    6 => peer.say(&json!({"op": 9, "d": false})).await,
                    _ => {}
                }
            }
        })
    });
    (server, notes)
}

fn noted(notes: &Notes, op: u64) -> Vec<Value> {
    let notes = notes.lock().expect("whole");
    notes.iter().filter(|(of, _)| *of == op).map(|(_, data)| data.clone()).collect()
}

fn connected(gateway: &Gateway, times: usize) {
    until("a session", || gateway.log().matches("connected session=").count() == times);
}

/// G-F17: a session that Discord gives up takes its presence along; the next one shows the same, also when another
/// process begins it. Until the operator says something else.
#[test]
fn g29_a_presence_set_by_command_is_that_of_sessions_to_come() {
    let (server, notes) = scribe();
    let instance = Instance::new();
    let online = ["--presence", r#"{"status": "online"}"#];
    let mut gateway = instance.start(&server.api_url(), &[&JSON[..], &online].concat());
    connected(&gateway, 1);
    let idle =
        PresenceUpdate { since: None, activities: vec![], status: "idle".into(), afk: false };
    let set = Client::connect(&instance, 1).ask(Target::All, Command::Presence(idle));
    assert_eq!(set, Reply::Accepted);
    until("it at the server", || noted(&notes, 3).len() == 1);
    gateway.stop();
    let shown = || {
        let shown = noted(&notes, 2);
        shown.iter().map(|data| data["presence"]["status"].clone()).collect::<Vec<_>>()
    };
    // The session is resumed, which the server refuses.
    let mut gateway = instance.start(&server.api_url(), &[&JSON[..], &online].concat());
    connected(&gateway, 1);
    assert_eq!(shown(), ["online", "idle"]);
    gateway.stop();
    let dnd = ["--presence", r#"{"status": "dnd"}"#];
    let gateway = instance.start(&server.api_url(), &[&JSON[..], &dnd].concat());
    connected(&gateway, 1);
    assert_eq!(shown(), ["online", "idle", "dnd"], "what was said last");
    drop(gateway);
}

/// G-F11: asked for in IDENTIFY, and so another session where they change.
#[test]
fn g24_g49_capabilities_are_asked_for_and_belong_to_the_session() {
    let (server, notes) = scribe();
    let instance = Instance::new();
    let mut sessions = 0;
    for (capabilities, resumes) in [("0", 0), ("32768", 0), ("32768", 1)] {
        let options = ["--capabilities", capabilities];
        let mut gateway = instance.start(&server.api_url(), &[&JSON[..], &options].concat());
        connected(&gateway, 1);
        sessions += 1;
        let identified = noted(&notes, 2);
        assert_eq!(identified.len(), sessions);
        assert_eq!(identified[sessions - 1]["capabilities"].to_string(), capabilities);
        assert_eq!(noted(&notes, 6).len(), resumes);
        gateway.stop();
    }
    let mut reader = Reader::new(&instance);
    reader.read();
    let reasons: Vec<_> = reader.gaps().iter().map(|gap| gap.data["reason"].clone()).collect();
    assert_eq!(reasons, ["settings_changed", "invalid_session"]);
}

/// G-F10: a session of one API is none at another, and its URL no place for the token.
#[test]
fn g24_p9_another_api_gets_no_session_and_the_first_no_token() {
    let ((first, at_first), (second, at_second)) = (scribe(), scribe());
    let instance = Instance::new();
    let mut gateway = instance.start(&first.api_url(), &JSON);
    connected(&gateway, 1);
    gateway.stop();
    let mut gateway = instance.start(&second.api_url(), &JSON);
    connected(&gateway, 1);
    gateway.stop();
    assert_eq!((first.connections(), second.connections()), (1, 1));
    assert_eq!((noted(&at_first, 2).len(), noted(&at_second, 2).len()), (1, 1));
    assert!(noted(&at_second, 6).is_empty());
    let mut reader = Reader::new(&instance);
    reader.read();
    assert_eq!(reader.gaps()[0].data["reason"], "settings_changed");
}

/// Ends with a signal that dumps core where that is allowed; says whether it did.
fn dumps(command: &Process, folder: &Path, ready: impl Fn() -> bool) -> bool {
    let mut allowed = Process::new("sh");
    allowed.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
    allowed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => allowed.env(name, value),
            None => allowed.env_remove(name),
        };
    }
    let mut child = allowed.current_dir(folder).stderr(Stdio::null()).spawn().expect("starts");
    until("it to run", ready);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGABRT).expect("it lives");
    child.wait().expect("ends").core_dumped()
}

/// G-F19: a dump would hold the token, and lie about for whoever finds it.
#[test]
fn p9_a_gateway_that_dies_leaves_no_core_dump() {
    let (server, notes) = scribe();
    let instance = Instance::new();
    let mut other = Process::new("sleep");
    other.arg("60");
    if !dumps(&other, instance.folder(), || true) {
        eprintln!("skipped: this system leaves no core dump of anybody");
        return;
    }
    let mut command = instance.command();
    command.args(["--api-url", &server.api_url()]).args(JSON);
    assert!(!dumps(&command, instance.folder(), || !noted(&notes, 2).is_empty()));
}

/// For an upgrade of the rings: nothing comes in, all that came is in the ring, and nothing is lost behind it.
#[test]
fn g22_a_pause_loses_nothing_and_ends_by_itself() {
    let fake = Fake::start(|config| {
        config.rate = 400.0;
        // By Discord's own rule so small a session is lost within a second.
        config.hold_while_away = Some(true);
    });
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let gateway = instance.start(&fake.api_url(), &[]);
    connected(&gateway, 2);
    reader.until("some events", |got| got.len() > 50);
    let mut client = Client::connect(&instance, 2);
    let too_long = client.ask(Target::All, Command::Pause { seconds: 301 });
    assert!(matches!(too_long, Reply::Refused(Refusal::Invalid(_))), "{too_long:?}");
    let mut pause = |seconds| client.ask(Target::All, Command::Pause { seconds });
    until("all to be in the rings", || pause(300) == Reply::Accepted);
    let paused = |got: &[crate::harness::Got]| {
        got.iter().filter(|got| got.kind == "SHARD_STATE" && got.data["state"] == "paused").count()
            == 2
    };
    // Accepted means that it stands there already.
    reader.read();
    assert!(paused(&reader.got));
    assert_eq!(fake.logged("resume").len(), 0);
    assert_eq!(pause(0), Reply::Accepted);
    until("both to go on", || fake.logged("resume").len() == 2);
    // Three seconds, and nobody who ends it.
    until("all to be in the rings again", || pause(3) == Reply::Accepted);
    until("both to go on by themselves", || fake.logged("resume").len() == 4);
    assert_eq!(gateway.log().matches("the pause is over").count(), 2, "{}", gateway.log());
    reader.until_all(&fake);
    assert_eq!((reader.gaps().len(), fake.logged("identify").len()), (0, 2));
    drop(gateway);
}

/// Sockets that are read now and then lose nothing, and their heartbeats are on time.
#[test]
fn events_that_are_read_together_all_come() {
    let fake = Fake::start(|config| config.rate = 1_000.0);
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let gateway = instance.start(&fake.api_url(), &["--coalesce-ms", "50"]);
    reader.until_all(&fake);
    assert!(reader.gaps().is_empty());
    assert_eq!(
        (fake.logged("connect").len(), gateway.log().matches("connection lost").count()),
        (2, 0)
    );
    drop(gateway);
    let mut refused = instance.start(&fake.api_url(), &["--coalesce-ms", "51"]);
    assert_eq!(refused.wait().code(), Some(78));
    assert!(refused.log().contains("--coalesce-ms"), "{}", refused.log());
}

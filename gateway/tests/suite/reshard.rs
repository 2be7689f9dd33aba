//! Two sets of sessions, while the cache says that the shard count changes. The test is the cache: it puts up boards.

use std::fs;
use std::path::Path;

use mixcord_event::command::{Command, Reply, Target};
use mixcord_event::reshard::{ReshardFigures, Stage};
use mixcord_event::send::PresenceUpdate;
use mixcord_event::topology;
use mixcord_process::folder;
use mixcord_ring::Ring;
use serde_json::{Value, json};

use crate::commands::Client;
use crate::harness::{Fake, Gateway, Got, Instance, Reader, SIGKILL, until};

/// The cache has committed this of a change from two shards to three.
fn tell(instance: &Instance, stage: Stage) {
    let figures = ReshardFigures { from: 2, to: 3, stage, ..ReshardFigures::default() };
    let board = topology::reshard_board(&instance.name);
    folder::put(Path::new(&board), &figures.encode("test")).expect("put up");
}

fn order(instance: &Instance) -> String {
    fs::read_to_string(topology::reshard_order(&instance.name)).unwrap_or_default()
}

/// Sessions with a connection, of a shard count.
fn connected(fake: &Fake, shards: u64) -> usize {
    let status = fake.status();
    let sessions = status["sessions"].as_array().expect("a list").clone();
    let is_one = |it: &&Value| it["shards"] == shards && it["connected"] == true;
    sessions.iter().filter(is_one).count()
}

/// Connections that the gateway closed with this code.
fn closed(fake: &Fake, code: u16) -> usize {
    fake.logged("left").iter().filter(|line| line["detail"] == code).count()
}

fn is_written(instance: &Instance, shards: u16) -> bool {
    (0..shards).any(|shard| {
        let ring = Ring::attach(&instance.namespace(), &topology::shard_ring(shard, shards));
        ring.is_ok_and(|ring| ring.producer_alive())
    })
}

fn has_socket(instance: &Instance, first: u16, shards: u16) -> bool {
    Path::new(&topology::command_socket(&instance.name, first, shards)).exists()
}

/// Two shards run, and beside them three.
fn both(fake: &Fake, instance: &Instance, options: &[&str]) -> Gateway {
    let gateway = instance.start(&fake.api_url(), options);
    until("two shards", || connected(fake, 2) == 2);
    tell(instance, Stage::Overlapping);
    until("three beside them", || connected(fake, 3) == 3);
    assert_eq!(connected(fake, 2), 2);
    gateway
}

#[test]
fn a_second_set_runs_beside_the_first_and_takes_its_place() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = both(&fake, &instance, &["--shards", "2"]);
    assert!(has_socket(&instance, 0, 2) && !has_socket(&instance, 0, 3));
    assert_eq!(fake.logged("identify").len(), 5);
    tell(&instance, Stage::Cutting);
    tell(&instance, Stage::Leaving);
    until("the first set to go", || closed(&fake, 1000) == 2);
    until("its rings to be left", || !is_written(&instance, 2));
    assert_eq!(connected(&fake, 3), 3);
    until("its socket to go", || !has_socket(&instance, 0, 2));
    assert!(has_socket(&instance, 0, 3), "commands go to the new set");
    tell(&instance, Stage::Done);
    reader.until_all(&fake);
    let gaps: Vec<_> = reader.gaps().iter().map(|gap| gap.data.clone()).collect();
    assert_eq!(gaps, Vec::<Value>::new(), "the new set follows nothing that ended");
    gateway.stop();
    // The operator's file says two still.
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("all to be resumed", || fake.logged("resume").len() == 3);
    until("a word on that", || gateway.log().contains("was changed to 3 by `mixcord reshard`"));
    assert_eq!(fake.logged("identify").len(), 5);
    gateway.stop();
}

/// Each shard of both sets says in its stream how far the change is, the end included, and then no more.
#[test]
fn the_streams_tell_each_stage() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = both(&fake, &instance, &["--shards", "2"]);
    let told = |got: &[Got], stage: &str, shards: u64| {
        let of_stage = got.iter().filter(|got| got.kind == "SHARD_STATE");
        let of_stage = of_stage.filter(|got| {
            got.data["shards"] == shards
                && got.data["reshard"] == json!({"from": 2, "to": 3, "stage": stage})
        });
        of_stage.map(|got| got.data["shard"].clone()).collect::<Vec<_>>()
    };
    for (stage, sets) in [
        (Stage::Overlapping, &[2, 3][..]),
        (Stage::Cutting, &[2, 3]),
        (Stage::Leaving, &[3]),
        (Stage::Done, &[3]),
    ] {
        tell(&instance, stage);
        reader.until(stage.name(), |got| {
            sets.iter().all(|&shards| {
                let told = told(got, stage.name(), shards);
                (0..shards).all(|shard| told.contains(&json!(shard)))
            })
        });
    }
    fake.post("/fake/fault?how=close&shard=0");
    let states = |got: &[Got]| {
        got.iter().filter(|got| got.kind == "SHARD_STATE" && got.data["shards"] == 3).count()
    };
    let before = states(&reader.got);
    reader.until("a state of later", |got| states(got) > before);
    reader.until("the last word", |got| {
        let last = got.iter().rfind(|got| got.kind == "SHARD_STATE").expect("many");
        last.data.get("reshard").is_none()
    });
    gateway.stop();
}

/// What is known of a change is on the board and in the rings.
#[test]
fn a_gateway_that_is_killed_goes_on_with_both_sets() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    for (time, options) in [(1, &["--shards", "2"][..]), (2, &[])] {
        let mut gateway = if time == 1 {
            both(&fake, &instance, options)
        } else {
            instance.start(&fake.api_url(), options)
        };
        until("what goes on", || fake.logged("resume").len() == 5 * (time - 1));
        until("both sets", || connected(&fake, 2) == 2 && connected(&fake, 3) == 3);
        // What is committed can be resumed.
        reader.until("all READYs", |got| got.iter().filter(|got| got.kind == "READY").count() == 5);
        gateway.signal(SIGKILL);
        gateway.wait();
    }
    // It was killed while it left the old set: that is not begun again.
    tell(&instance, Stage::Leaving);
    let before = fake.logged("resume").len();
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("the new set", || fake.logged("resume").len() == before + 3);
    until("its sessions", || gateway.log().matches("connected session=").count() == 3);
    assert!(!is_written(&instance, 2));
    assert_eq!(fake.logged("identify").len(), 5);
    gateway.stop();
}

/// The cache may go on while no gateway runs, from where both sets ran to where one is left.
#[test]
fn a_gateway_that_starts_as_the_old_set_is_left_closes_it() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut gateway = both(&fake, &instance, &[]);
    gateway.stop();
    // It begins the old one, and reads what is so before the new one has begun.
    let gateway = instance.start(&fake.api_url(), &[]);
    until("the old set", || is_written(&instance, 2));
    tell(&instance, Stage::Leaving);
    until("the old set to go", || !is_written(&instance, 2) && connected(&fake, 3) == 3);
    drop(gateway);
}

#[test]
fn a_change_that_is_called_off_leaves_the_first_set_as_it_was() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut gateway = both(&fake, &instance, &[]);
    tell(&instance, Stage::CalledOff);
    until("the second set to go", || closed(&fake, 1000) == 3);
    until("its rings to be left", || !is_written(&instance, 3));
    tell(&instance, Stage::Back);
    assert_eq!(connected(&fake, 2), 2);
    assert!(has_socket(&instance, 0, 2) && !has_socket(&instance, 0, 3));
    // Another one is none of the change that was called off.
    tell(&instance, Stage::Overlapping);
    until("three beside them again", || connected(&fake, 3) == 3);
    assert!(gateway.is_running());
    gateway.stop();
}

/// Nothing is identified that could not be finished, and the cache hears why.
#[test]
fn g16_too_small_a_budget_calls_the_change_off() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("two shards", || connected(&fake, 2) == 2);
    fake.change("/fake/bot", &json!({"remaining": 2, "reset_after": 3_600_000}));
    tell(&instance, Stage::Overlapping);
    until("an order", || order(&instance).starts_with("call off: 3 shards have to identify"));
    assert_eq!(fake.logged("identify").len(), 2);
    let rings = instance.namespace().rings().expect("readable");
    assert_eq!(rings, ["shard-0-2", "shard-1-2"], "nothing is left of it");
    assert!(gateway.is_running());
    gateway.stop();
}

#[test]
fn rings_that_do_not_fit_call_the_change_off() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("two shards", || connected(&fake, 2) == 2);
    // More than any machine has, of a ring of 1 MiB.
    let figures = ReshardFigures {
        from: 2,
        to: u16::MAX,
        stage: Stage::Listing,
        ..ReshardFigures::default()
    };
    let board = topology::reshard_board(&instance.name);
    folder::put(Path::new(&board), &figures.encode("test")).expect("put up");
    until("an order", || order(&instance).starts_with("call off: "));
    assert!(order(&instance).contains("rings of 65535 shards do not fit"), "{}", order(&instance));
    assert_eq!(fake.logged("identify").len(), 2);
    assert_eq!(instance.namespace().rings().expect("readable"), ["shard-0-2", "shard-1-2"]);
    drop(gateway);
}

/// The bot shows the same in both sets: what a command said before the second began, and meanwhile.
#[test]
fn a_presence_is_that_of_both_sets() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let show = |status: &str| {
        let status = status.to_owned();
        let shown = PresenceUpdate { since: None, activities: vec![], status, afk: false };
        Client::connect(&instance, 2).ask(Target::All, Command::Presence(shown))
    };
    let gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("two shards", || connected(&fake, 2) == 2);
    assert_eq!(show("dnd"), Reply::Accepted);
    tell(&instance, Stage::Overlapping);
    until("three beside them", || connected(&fake, 3) == 3);
    let shown = |shards: u16| {
        let ring = Ring::attach(&instance.namespace(), &topology::shard_ring(0, shards));
        let checkpoint = ring.expect("a ring").checkpoint().unwrap_or_default();
        let set = mixcord_event::presence::SetPresence::decode(&checkpoint);
        set.map(|set| set.presence.status)
    };
    until("what was shown before", || shown(3).as_deref() == Some("dnd"));
    assert_eq!(show("idle"), Reply::Accepted);
    until("what is shown since", || shown(3).as_deref() == Some("idle"));
    assert_eq!(shown(2).as_deref(), Some("idle"));
    drop(gateway);
}

/// Processes with some shards each: the operator starts the second set.
#[test]
fn a_second_process_runs_the_second_set() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let url = fake.api_url();
    let refused = |mut gateway: Gateway, why: &str| {
        assert_eq!(gateway.wait().code(), Some(78), "{}", gateway.log());
        assert!(gateway.log().contains(why), "{}", gateway.log());
    };
    let beside = ["--shards", "0..2/3", "--beside"];
    let mut old: Vec<_> =
        ["0/2", "1/2"].map(|shards| instance.start(&url, &["--shards", shards])).into();
    until("two shards", || connected(&fake, 2) == 2);
    refused(instance.start(&url, &beside), "nobody asked for a change to 3 shards");
    refused(instance.start(&url, &["--shards", "0..2/3"]), "runs instance");
    tell(&instance, Stage::Overlapping);
    refused(instance.start(&url, &["--shards", "0..1/3"]), "give --beside");

    let mut new = instance.start(&url, &beside);
    until("three beside them", || connected(&fake, 3) == 3);
    assert!(!has_socket(&instance, 0, 3), "commands go to the old set");
    tell(&instance, Stage::CalledOff);
    until("its sessions to be closed", || closed(&fake, 1000) == 3);
    // The cache has read them.
    until("its rings to be left", || !is_written(&instance, 3));
    for shard in 0..3 {
        let name = topology::shard_ring(shard, 3);
        until("a ring to go", || instance.namespace().remove_ring(&name).is_ok());
    }
    assert_eq!(new.wait().code(), Some(0), "{}", new.log());
    assert_eq!(connected(&fake, 2), 2);

    tell(&instance, Stage::Overlapping);
    let mut new = instance.start(&url, &beside);
    until("three beside them again", || connected(&fake, 3) == 3);
    tell(&instance, Stage::Leaving);
    for gateway in &mut old {
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    }
    assert_eq!(closed(&fake, 1000), 3 + 2);
    until("its socket", || has_socket(&instance, 0, 3));
    tell(&instance, Stage::Done);
    // A supervisor that starts the old one again all the same.
    let mut again = instance.start(&url, &["--shards", "0/2"]);
    assert_eq!(again.wait().code(), Some(0), "{}", again.log());
    assert!(new.is_running());
    new.stop();
}

/// A change that was over before concerns nobody.
#[test]
fn what_is_left_of_a_former_change_begins_nothing() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    tell(&instance, Stage::Done);
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    until("two shards", || connected(&fake, 2) == 2);
    tell(&instance, Stage::Back);
    until("a while", || fake.logged("heartbeat").len() > 4 || fake.is_drained());
    assert_eq!((connected(&fake, 2), connected(&fake, 3)), (2, 0));
    gateway.stop();
}

/// Discord recommends more by far, and the operator wants that to be followed.
#[test]
fn a_gateway_asks_for_a_change_by_itself_once_its_shards_are_full() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    fake.change("/fake/bot", &json!({"shards": 4}));
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2", "--reshard-at", "0.9"]);
    until("two shards", || connected(&fake, 2) == 2);
    assert_eq!(order(&instance), "", "four thousand guilds are 2,000 a shard");
    gateway.stop();
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2", "--reshard-at", "0.75"]);
    until("an order", || order(&instance) == "to 4");
    gateway.stop();
}

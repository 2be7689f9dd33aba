//! What cannot work: one clear line, exit code 78, nothing left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use mixcord_event::topology;
use mixcord_ring::{Geometry, Namespace, Producer};
use serde_json::json;

use crate::harness::{Fake, Gateway, Instance, Reader, until};

fn refused(instance: &Instance, mut gateway: Gateway, about: &str) {
    let status = gateway.wait();
    let log = gateway.log();
    assert_eq!(status.code(), Some(78), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("mixcord-gateway: ") && last.contains(about), "{log}");
    assert_eq!(instance.segments(), Vec::<PathBuf>::new(), "segments were left behind");
}

#[test]
fn a_wrong_token() {
    let fake = Fake::start(|config| config.token = Some("another".into()));
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &[]), "token");
    assert!(fake.logged("identify").is_empty());
}

#[test]
fn no_token() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut command = instance.command();
    command.env_remove("DISCORD_TOKEN").args(["--api-url", &fake.api_url()]);
    refused(&instance, instance.spawn(command), "DISCORD_TOKEN");
}

/// 4014 and 4013, from the websocket.
#[test]
fn refused_intents() {
    let fake = Fake::start(|config| config.no_privileged_intents = true);
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &["--intents", "ALL"]), "4014");
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &["--intents", "262144"]), "4013");
}

/// Discord takes 4,096 bytes (G-30): what could never identify is not tried.
#[test]
fn g30_a_presence_too_long_to_identify_with() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let name = "x".repeat(5000);
    let presence = format!(r#"{{"status":"online","activities":[{{"name":"{name}","type":0}}]}}"#);
    refused(&instance, instance.start(&fake.api_url(), &["--presence", &presence]), "--presence");
    assert!(fake.logged("connect").is_empty());
}

#[test]
fn too_little_shared_memory() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &["--ring-bytes", "64TiB"]);
    refused(&instance, gateway, "--ring-bytes");
}

#[test]
fn an_address_that_is_no_api() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&format!("{}/nothing", fake.api_url()), &[]);
    refused(&instance, gateway, "--api-url");
}

#[test]
fn shards_that_run_already() {
    let fake = Fake::start(|config| config.shards = 4);
    let instance = Instance::new();
    let mut first = instance.start(&fake.api_url(), &["--shards", "0..1/4"]);
    until("the first two shards", || fake.logged("identify").len() == 2);
    let before = instance.segments();
    let mut second = instance.start(&fake.api_url(), &["--shards", "1..2/4"]);
    assert_eq!(second.wait().code(), Some(78));
    assert!(second.log().contains("shard 1"), "{}", second.log());
    assert_eq!(instance.segments(), before, "the refused start left something behind");
    assert!(first.is_running());
    let third = instance.start(&fake.api_url(), &["--shards", "2..3/4"]);
    until("all four shards", || fake.logged("identify").len() == 4);
    drop(third);
}

/// Two counts at once would give every event twice; whoever started first is not disturbed.
#[test]
fn another_shard_count_beside_one_that_runs() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut first = instance.start(&fake.api_url(), &["--shards", "2"]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    let before = instance.segments();
    for shards in ["4", "1..3/4", "1"] {
        let mut second = instance.start(&fake.api_url(), &["--shards", shards]);
        assert_eq!(second.wait().code(), Some(78));
        let log = second.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("with 2 shards") && last.contains("stop it before"), "{log}");
        assert_eq!(instance.segments(), before, "the refused start left something behind");
    }
    // As many as run already, and so the same ones.
    fake.change("/fake/bot", &json!({"shards": 4}));
    let mut second = instance.start(&fake.api_url(), &["--shards", "auto"]);
    assert_eq!(second.wait().code(), Some(78));
    assert!(second.log().contains("already runs"), "{}", second.log());
    assert!(first.is_running());
    assert_eq!(fake.logged("identify").len(), 2);
    // Once it is gone another count may take its place.
    first.stop();
    let next = instance.start(&fake.api_url(), &["--shards", "3"]);
    until("three shards", || fake.logged("identify").len() == 5);
    drop(next);
}

/// Two starts that saw nobody: each looks once more when it has its rings, and then at most one goes on.
#[test]
fn two_shard_counts_that_start_at_one_moment() {
    let fake = Fake::start(|_| {});
    // Both have looked when they ask Discord; neither has a ring before it is told something.
    fake.change("/fake/bot", &json!({"status": 503}));
    let instance = Instance::new();
    let counts = ["2", "3"];
    let mut both = counts.map(|count| instance.start(&fake.api_url(), &["--shards", count]));
    for gateway in &both {
        until("asks Discord", || gateway.log().contains("503"));
    }
    assert!(instance.segments().is_empty(), "{:?}", instance.segments());
    fake.change("/fake/bot", &json!({"status": 200}));
    until("one is refused", || both.iter_mut().any(|gateway| !gateway.is_running()));
    let mut running = Vec::new();
    for (gateway, count) in both.iter_mut().zip([2, 3]) {
        if gateway.is_running() {
            running.push(count);
            continue;
        }
        assert_eq!(gateway.wait().code(), Some(78));
        let log = gateway.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("stop it before"), "{log}");
    }
    let [count] = running[..] else { panic!("{running:?} run") };
    until("all shards", || fake.logged("identify").len() >= count);
    let rings = instance.namespace().rings().expect("listed");
    let own: Vec<_> = (0..count).map(|shard| format!("shard-{shard}-{count}")).collect();
    assert_eq!(rings, own);
    assert_eq!(fake.logged("identify").len(), count);
    drop(both);
}

/// Both have their rings when they look again: the larger lets go, and the smaller waits for that.
#[test]
fn of_two_shard_counts_that_meet_the_smaller_goes_on() {
    for (other, goes_on) in [(3, true), (1, false)] {
        let fake = Fake::start(|_| {});
        fake.change("/fake/bot", &json!({"status": 503}));
        let instance = Instance::new();
        let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
        until("asks Discord", || gateway.log().contains("503"));
        let namespace = instance.namespace();
        let (bell, name) = (namespace.bell().expect("a doorbell"), topology::shard_ring(0, other));
        let small = Geometry::new(64, 64 << 10, 4, 1, 8).expect("a geometry");
        let producer = Producer::create(&namespace, &name, small, &[], &bell).expect("a ring");
        fake.change("/fake/bot", &json!({"status": 200}));
        if !goes_on {
            assert_eq!(gateway.wait().code(), Some(78));
            assert!(gateway.log().contains("with 1 shards"), "{}", gateway.log());
            continue;
        }
        let has_rings = || namespace.rings().expect("listed").contains(&"shard-1-2".to_owned());
        until("it has its rings", has_rings);
        drop(producer);
        until("both shards", || gateway.log().matches("connected session=").count() == 2);
    }
}

/// Names that another user has taken in /dev/shm, where nobody else can remove them.
#[test]
fn names_that_belong_to_another_user() {
    const NOBODY: u32 = 65_534;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fake = Fake::start(|config| config.shards = 1);
    for name in ["bells", "shard-0-1", "cmd-0-1", "identify"] {
        let instance = Instance::new();
        fs::set_permissions(instance.folder(), PermissionsExt::from_mode(0o755)).expect("ours");
        let identify = instance.folder().join("identify");
        fs::create_dir(&identify).expect("made");
        let planted = match name {
            "identify" => identify,
            name => {
                chown(&identify, Some(NOBODY), Some(NOBODY)).expect("given away");
                let prefix = instance.namespace().prefix().to_owned();
                let path = Namespace::directory().join(format!("{prefix}.{name}"));
                fs::write(&path, [0; 64]).expect("written");
                path
            }
        };
        let mut command = instance.command();
        command.uid(NOBODY).gid(NOBODY).args(["--api-url", &fake.api_url()]);
        let mut gateway = instance.spawn(command);
        assert_eq!(gateway.wait().code(), Some(78), "{}", gateway.log());
        let log = gateway.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains(&planted.display().to_string()), "{log}");
        assert!(last.contains("user 0 (root)"), "{log}");
    }
}

/// Open files that do not last: said at the start, not when a connection is lost.
#[test]
fn too_few_open_files() {
    let fake = Fake::start(|config| config.shards = 16);
    let instance = Instance::new();
    let limited = |limit: &str| {
        let command = instance.command();
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited.args(["--api-url", &fake.api_url()]);
        instance.spawn(limited)
    };
    refused(&instance, limited("-n 100"), "ulimit -n");
    // The soft limit is no limit.
    let gateway = limited("-Sn 32");
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    drop(gateway);
}

/// §15 line 13, G-16: not one identify when the budget does not last for all.
#[test]
fn g16_a_budget_that_is_used_up() {
    let fake = Fake::start(|config| config.identifies = 1);
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &[]);
    assert_eq!(gateway.wait().code(), Some(1));
    assert!(gateway.log().contains("minutes"), "{}", gateway.log());
    assert!(fake.logged("identify").is_empty());
    assert_eq!(instance.segments(), Vec::<PathBuf>::new());
}

//! Starting, sharing and stopping.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use mixcord_event::Flags;
use mixcord_ring::Namespace;

use crate::harness::{DEADLINE, Fake, Instance, Reader, SIGTERM, TOKEN, until};
use crate::journal::compare;

#[test]
fn a_gateway_waits_for_an_api_that_is_not_there_yet() {
    let instance = Instance::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let mut gateway = instance.start(&format!("http://127.0.0.1:{port}/api/v10"), &[]);
    until("a complaint", || gateway.log().contains("cannot be asked yet"));
    assert_eq!(instance.segments(), Vec::<std::path::PathBuf>::new());
    let fake = Fake::start(|config| config.port = port);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
}

/// By that the cache knows whom it may leave to their own events.
#[test]
fn a_record_says_whether_its_session_has_the_events_of_members() {
    for (intents, says) in [("ALL", true), ("513", false)] {
        let fake = Fake::start(|_| {});
        let instance = Instance::new();
        let _gateway = instance.start(&fake.api_url(), &["--intents", intents]);
        let mut reader = Reader::new(&instance);
        reader.until("a guild", |got| got.iter().any(|got| got.kind == "GUILD_CREATE"));
        for got in reader.got.iter().filter(|got| !got.is_own()) {
            assert_eq!(got.flags.contains(Flags::MEMBER_EVENTS), says, "{intents} {}", got.kind);
        }
    }
}

#[test]
fn sigterm_ends_it_within_five_seconds_in_any_state() {
    let fake = Fake::start(|_| {});
    // Nothing listens there.
    for (api, options) in [
        ("http://127.0.0.1:9/api/v10".to_owned(), &[][..]),
        (fake.api_url(), &[][..]),
        (fake.api_url(), &["--ring-bytes", "64KiB", "--buffer-bytes", "1KiB"][..]),
    ] {
        let instance = Instance::new();
        let mut gateway = instance.start(&api, options);
        if !options.is_empty() {
            until("a full ring", || fake.logged("identify").len() >= 2);
        }
        until("a sign of life", || !gateway.log().is_empty());
        let start = Instant::now();
        gateway.signal(SIGTERM);
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// Whoever stops a process that has only just started wants the code of a stop, too.
#[test]
fn sigterm_before_anything_runs_is_a_stop_like_any_other() {
    let instance = Instance::new();
    let token = instance.folder().join("token");
    nix::unistd::mkfifo(&token, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let mut command = instance.command();
    command.env_remove("DISCORD_TOKEN").arg("--token-file").arg(&token);
    let mut gateway = instance.spawn(command);
    // Opens when the other end does: it is about to read its token, and will for ever.
    let _writer = fs::OpenOptions::new().write(true).open(&token).expect("it reads");
    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    assert_eq!(instance.segments(), Vec::<std::path::PathBuf>::new());
}

/// §15 line 12 and G-16: two processes with one token share the buckets.
#[test]
fn g16_two_processes_of_one_token_never_identify_too_fast() {
    let fake = Fake::start(|config| {
        config.shards = 6;
        config.max_concurrency = 1;
        config.identify_seconds = 0.25;
        config.events = Some(60);
    });
    let instance = Instance::new();
    // Far more than the server asks for: it counts from when it reads, which may be late.
    let spacing = ["--identify-spacing-ms", "1000"];
    let first = instance.start(&fake.api_url(), &[&["--shards", "0..2/6"][..], &spacing].concat());
    let second = instance.start(&fake.api_url(), &[&["--shards", "3..5/6"][..], &spacing].concat());
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert_eq!(fake.logged("identify").len(), 6);
    assert_eq!(fake.logged("identify_refused"), Vec::<serde_json::Value>::new());
    drop((first, second));
}

/// G-13, G-16: what another machine identified is known from Discord, which would take the token away.
#[test]
fn g16_what_other_machines_used_of_the_budget_is_not_used_again() {
    let fake = Fake::start(|config| config.identifies = 3);
    let instance = Instance::new();
    let elsewhere = instance.folder().join("elsewhere").display().to_string();
    let first =
        instance.start(&fake.api_url(), &["--shards", "0..0/2", "--identify-dir", &elsewhere]);
    until("the other machine", || fake.logged("identify").len() == 1);
    let second = instance.start(&fake.api_url(), &["--shards", "1..1/2"]);
    for identifies in [2, 3] {
        until("an identify", || fake.logged("identify").len() == identifies);
        until("a session", || second.log().matches("connected session=").count() == identifies - 1);
        fake.post("/fake/disconnect?how=op9false&shard=1");
    }
    until("the end of the budget", || second.log().contains("is used up"));
    assert_eq!(fake.logged("identify").len(), 3);
    drop((first, second));
}

/// Whoever reads the log of many shards has to know which one a line is about.
#[test]
fn every_line_about_a_shard_names_it() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &[]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    fake.post("/fake/disconnect?how=op9false&shard=1");
    reader.until("the gap", |got| got.iter().any(|got| got.kind == "GAP"));
    until("the connection", || gateway.log().matches("connected session=").count() == 3);
    let log = gateway.log();
    for about in ["connection lost", "session lost", "gap record written"] {
        let line = log.lines().find(|line| line.contains(about)).expect("a line");
        assert!(line.contains("shard{id=1}"), "{line}");
    }
}

#[test]
fn options_from_a_file_and_the_token_from_another() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let (config, token) = (instance.folder().join("mixcord.toml"), instance.folder().join("token"));
    let text = format!(
        "instance = \"{}\"\napi-url = \"{}\"\nshards = \"0..0/2\"\nencoding = \"json\"\n\
         large-threshold = 60\ntoken-file = \"{}\"\n[presence]\nstatus = \"dnd\"\n\
         activities = [{{ name = \"tests\", type = 3 }}]\n",
        instance.name,
        fake.api_url(),
        token.display()
    );
    fs::write(&config, text).expect("written");
    fs::write(&token, format!("{TOKEN}\n")).expect("written");
    let mut command = instance.command();
    command.env_remove("DISCORD_TOKEN").arg("--config").arg(&config);
    let gateway = instance.spawn(command);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    let identify = &fake.logged("identify")[0];
    assert_eq!(identify["shard"], 0);
    drop(gateway);
}

/// P9: the token is in no log at any level, no argument list and no segment.
#[test]
fn p9_the_token_is_nowhere() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut command = instance.command();
    command.env("RUST_LOG", "trace").args(["--api-url", &fake.api_url()]);
    let mut gateway = instance.spawn(command);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    fake.post("/fake/disconnect?how=cut");
    until("a resume", || fake.logged("resume").len() >= 2);
    let secret = TOKEN.rsplit('.').next().expect("a part");
    let holds =
        |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    let cmdline = fs::read(format!("/proc/{}/cmdline", gateway.pid())).expect("readable");
    assert!(!holds(&cmdline));
    for segment in instance.segments() {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(&segment).expect("there");
        assert_eq!(metadata.mode() & 0o777, 0o600, "{}", segment.display());
        if metadata.is_file() {
            assert!(!holds(&fs::read(&segment).expect("readable")), "{}", segment.display());
        }
    }
    gateway.signal(SIGTERM);
    gateway.wait();
    let log = gateway.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(!holds(log.as_bytes()), "{log}");
}

/// G-2, G-21 on a whole process: the server goes away and comes back on the same port.
#[test]
fn g25_an_outage_of_the_server_is_waited_out() {
    let instance = Instance::new();
    let fake = Fake::start(|_| {});
    let url = fake.api_url();
    let port: u16 = url.split([':', '/']).nth(4).and_then(|port| port.parse().ok()).expect("port");
    let mut gateway = instance.start(&url, &["--reconnect-max-ms", "100"]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    drop(fake);
    until("the loss to be noticed", || gateway.log().contains("connection lost"));
    let start = Instant::now();
    let fake = loop {
        // The port may need a moment.
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break Fake::start(|config| config.port = port);
        }
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(20));
    };
    // The new server knows nothing of the sessions.
    reader.until("new sessions", |got| got.iter().filter(|got| got.kind == "READY").count() >= 4);
    assert_eq!(reader.gaps().len(), 2);
    assert!(gateway.is_running());
    drop(fake);
}

/// G-F16: an HTTP answer to the upgrade is waited out for as long as it says.
#[test]
fn g7_an_upgrade_that_is_refused_for_a_while_is_not_asked_for_in_between() {
    let fake = Fake::start(|config| config.shards = 1);
    fake.post("/fake/upgrade?status=429&retry_after=1&times=2");
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &[]);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    let at = |entry: &serde_json::Value| entry["at_ms"].as_u64().expect("a time");
    let refused = fake.logged("refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
    let connected = at(&fake.logged("connect")[0]);
    assert!(at(&refused[1]) >= at(&refused[0]) + 1_000, "{refused:?}");
    assert!(connected >= at(&refused[1]) + 1_000, "{refused:?} {connected}");
    assert!(gateway.log().contains("answered 429"), "{}", gateway.log());
}

/// P8: a damaged ring stops its own shard alone, says what to do, and that shard goes on when it is
/// done.
#[test]
fn a_damaged_ring_stops_its_shard_alone() {
    let fake = Fake::start(|config| config.max_concurrency = 1);
    let instance = Instance::new();
    let prefix = instance.namespace().prefix().to_owned();
    let ring = Namespace::directory().join(format!("{prefix}.shard-0-2"));
    fs::write(&ring, [0xA5; 4096]).expect("written");
    fs::set_permissions(&ring, PermissionsExt::from_mode(0o600)).expect("ours");
    let options = ["--identify-spacing-ms", "100", "--reconnect-max-ms", "200"];
    let mut gateway = instance.start(&fake.api_url(), &options);
    until("shard 1", || fake.logged("identify").len() == 1);
    let log = gateway.log();
    assert!(log.contains("shard-0-2") && log.contains("remove the file"), "{log}");
    assert_eq!(fake.logged("identify")[0]["shard"], 1, "not even the queue waits for shard 0");
    fs::remove_file(&ring).expect("removed");
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(gateway.is_running());
}

/// G-22: at SIGTERM the server gets the close code that keeps the sessions, not just an end of TCP.
#[test]
fn g22_the_server_gets_a_resumable_close_code_at_sigterm() {
    let fake = Fake::start(|config| {
        config.shards = 8;
        config.guilds = 8;
    });
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &[]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    until("the end of all connections", || fake.logged("left").len() == 8);
    for left in fake.logged("left") {
        assert_eq!(left["detail"], 4000, "{left}");
    }
}

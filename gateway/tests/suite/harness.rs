//! One instance: a fake Discord, gateway processes, and a reader of the shard rings. Dropping it
//! ends what it started and removes every segment of the instance.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fake_discord::{Config, Server};
use mixcord_event::{Kind, Record, topology};
use mixcord_ring::{Bell, GroupSpec, Limits, Member, Namespace, Ring, Start};
use serde_json::Value;
use tokio::runtime::Runtime;

pub(crate) const TOKEN: &str = "MTE3NTYyMzQ4MjM3NDkx.suite-Secret.0123456789abcdefghijklm";
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
pub(crate) const SIGTERM: i32 = nix::libc::SIGTERM;
pub(crate) const SIGKILL: i32 = nix::libc::SIGKILL;

/// A fake Discord in this process.
pub(crate) struct Fake {
    runtime: Option<Runtime>,
    server: Option<Server>,
    url: String,
}

impl Fake {
    pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.shards = 2;
        config.guilds = 4;
        config.members = 8;
        config.rate = 0.0;
        config.events = Some(400);
        config.max_concurrency = 64;
        config.identify_seconds = 0.02;
        config.token = Some(TOKEN.to_owned());
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(Server::start(config)).expect("listens");
        let url = server.url();
        Self { runtime: Some(runtime), server: Some(server), url }
    }

    pub(crate) fn api_url(&self) -> String {
        format!("{}/api/v10", self.url)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut answer = ureq::get(format!("{}{path}", self.url)).call().expect("answers");
        answer.body_mut().with_config().limit(1 << 30).read_to_string().expect("text")
    }

    pub(crate) fn post(&self, path: &str) {
        ureq::post(format!("{}{path}", self.url)).send_empty().expect("accepted");
    }

    /// Changes how the fake answers: `/fake/bot`, `/fake/rest`, `/fake/upgrade`.
    pub(crate) fn change(&self, path: &str, how: &Value) {
        ureq::post(format!("{}{path}", self.url)).send(how.to_string()).expect("accepted");
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.get("/fake/status")).expect("json")
    }

    /// Everything of one kind in the server's log.
    pub(crate) fn logged(&self, what: &str) -> Vec<Value> {
        let log: Vec<Value> = serde_json::from_str(&self.get("/fake/log")).expect("json");
        log.into_iter().filter(|entry| entry["what"] == what).collect()
    }

    /// Has everything been sent that will be?
    pub(crate) fn is_drained(&self) -> bool {
        self.status()["drained"] == true
    }

    /// Has the shard a session with a connection?
    pub(crate) fn is_connected(&self, shard: u16) -> bool {
        let status = self.status();
        let sessions = status["sessions"].as_array().expect("a list");
        sessions.iter().any(|session| session["shard"] == shard && session["connected"] == true)
    }

    /// The last sequence number of each session, by id.
    pub(crate) fn last_seqs(&self) -> BTreeMap<String, u64> {
        let status = self.status();
        let sessions = status["sessions"].as_array().expect("a list");
        sessions
            .iter()
            .map(|session| {
                let id = session["session_id"].as_str().expect("text").to_owned();
                (id, session["last_seq"].as_u64().expect("a number"))
            })
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.take();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A gateway process; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    log: PathBuf,
}

impl Gateway {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
        nix::sys::signal::kill(pid, signal).expect("it lives");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the gateway does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(&mut self) {
        self.signal(SIGTERM);
        assert_eq!(self.wait().code(), Some(0), "{}", self.log());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("waits").is_none()
    }

    /// What it wrote to stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- gateway {} said:\n{}", self.child.id(), self.log());
        }
    }
}

/// One instance.
pub(crate) struct Instance {
    pub(crate) name: String,
    folder: tempfile::TempDir,
    starts: AtomicUsize,
}

impl Instance {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}-gw-{number}", std::process::id());
        Self { name, folder: tempfile::tempdir().expect("a folder"), starts: AtomicUsize::new(0) }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command with everything but the API's address.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixcord-gateway"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_uppercase();
            if text.starts_with("MIXCORD_") || text.ends_with("_PROXY") || text == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .env("DISCORD_TOKEN", TOKEN)
            .env("MIXCORD_IDENTIFY_DIR", self.folder.path().join("identify"))
            .env("MIXCORD_RECONNECT_MIN_MS", "20")
            .env("MIXCORD_RING_BYTES", "1MiB")
            .env("MIXCORD_IDENTIFY_SPACING_MS", "30")
            .args(["--instance", &self.name]);
        command
    }

    pub(crate) fn start(&self, api_url: &str, options: &[&str]) -> Gateway {
        let mut command = self.command();
        command.args(["--api-url", api_url]).args(options);
        self.spawn(command)
    }

    pub(crate) fn spawn(&self, command: Command) -> Gateway {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("gateway-{number}.log"));
        let file = File::create(&log).expect("a file");
        Self::spawn_logging(command, file, log)
    }

    /// A gateway whose log goes where nobody looks.
    pub(crate) fn spawn_unheard(&self, command: Command, stderr: impl Into<Stdio>) -> Gateway {
        Self::spawn_logging(command, stderr, PathBuf::new())
    }

    fn spawn_logging(mut command: Command, stderr: impl Into<Stdio>, log: PathBuf) -> Gateway {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the gateway starts");
        Gateway { child, log }
    }

    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::new(&topology::namespace(&self.name)).expect("a name")
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let prefix = format!("mixcord.{}.", self.name);
        let entries = fs::read_dir(Namespace::directory()).expect("readable");
        let mut found: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        for path in self.segments() {
            let _ = fs::remove_file(path);
        }
    }
}

/// A record as a test looks at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Got {
    pub(crate) shard: u16,
    pub(crate) session: u32,
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) key: u64,
    pub(crate) flags: mixcord_event::Flags,
    pub(crate) data: Value,
}

impl Got {
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.kind.as_str(), "GAP" | "SHARD_STATE")
    }
}

/// Reads every shard ring as the cache's group would, from the oldest record on.
pub(crate) struct Reader {
    namespace: Namespace,
    bell: Option<Bell>,
    members: BTreeMap<String, Member>,
    pub(crate) got: Vec<Got>,
}

impl Reader {
    pub(crate) fn new(instance: &Instance) -> Self {
        Self {
            namespace: instance.namespace(),
            bell: None,
            members: BTreeMap::new(),
            got: Vec::new(),
        }
    }

    /// Reads until `done`, or panics at the deadline.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&[Got]) -> bool) {
        let start = Instant::now();
        while !done(&self.got) {
            assert!(start.elapsed() < DEADLINE, "waited in vain for {what}; have {}", self.show());
            if !self.read() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Reads until the ring holds all that the fake has sent, over all its sessions.
    pub(crate) fn until_all(&mut self, fake: &Fake) {
        self.until("everything the fake sends", |_| fake.is_drained());
        let last = fake.last_seqs();
        self.until("the end of the last sessions", |got| {
            last.iter().all(|(id, last)| {
                let current = got.iter().rev().find_map(|got| {
                    (got.kind == "READY" && got.data["session_id"] == id.as_str())
                        .then_some((got.shard, got.session))
                });
                let Some((shard, session)) = current else { return false };
                got.iter().any(|got| {
                    got.shard == shard
                        && got.session == session
                        && got.seq == *last
                        && !got.is_own()
                }) || got.iter().any(|got| got.shard == shard && got.session > session)
            })
        });
    }

    /// Takes what is there; false when there was nothing.
    pub(crate) fn read(&mut self) -> bool {
        self.attach();
        let mut any = false;
        for member in self.members.values_mut() {
            while let Some(batch) =
                member.take(Limits { records: 512, bytes: 1 << 20 }).expect("a sound ring")
            {
                any = true;
                for entry in batch.records() {
                    let record = Record::parse(entry.payload).expect("a record");
                    let header = record.header();
                    assert_eq!(entry.tag, u64::from(record.kind().number()));
                    assert_eq!(entry.key, header.key);
                    // An event without a number stands behind the last one that has one.
                    let numbered = header.kind != Kind::SHARD_STATE && header.seq != 0;
                    assert!(!numbered || entry.source == header.seq);
                    self.got.push(Got {
                        shard: header.shard.id,
                        session: header.session,
                        seq: header.seq,
                        kind: record.kind_name().to_owned(),
                        key: header.key,
                        flags: header.flags,
                        data: serde_json::from_str(&record.data().to_json()).expect("json"),
                    });
                }
                batch.ack();
            }
        }
        any
    }

    /// Takes what is there without looking into payloads: shard, sequence number, is it a gap.
    pub(crate) fn read_heads(&mut self, mut each: impl FnMut(u16, u64, bool)) -> bool {
        self.attach();
        let mut any = false;
        for member in self.members.values_mut() {
            while let Some(batch) =
                member.take(Limits { records: 512, bytes: 1 << 20 }).expect("a sound ring")
            {
                for entry in batch.records() {
                    let record = Record::parse_head(entry.payload).expect("a record");
                    if record.kind() != Kind::SHARD_STATE {
                        any = true;
                        let gap = record.kind() == Kind::GAP;
                        each(record.header().shard.id, record.header().seq, gap);
                    }
                }
                batch.ack();
            }
        }
        any
    }

    fn attach(&mut self) {
        for name in self.namespace.rings().unwrap_or_default() {
            if self.members.contains_key(&name) {
                continue;
            }
            let Ok(ring) = Ring::attach(&self.namespace, &name) else { continue };
            let bell =
                self.bell.get_or_insert_with(|| self.namespace.bell().expect("a doorbell")).clone();
            let group = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
            self.members.insert(name, ring.join(&group, &bell).expect("joins"));
        }
    }

    /// The events, without Mixcord's own records.
    pub(crate) fn events(&self) -> Vec<&Got> {
        self.got.iter().filter(|got| !got.is_own()).collect()
    }

    pub(crate) fn gaps(&self) -> Vec<&Got> {
        self.got.iter().filter(|got| got.kind == "GAP").collect()
    }

    fn show(&self) -> String {
        let tail: Vec<_> = self.got.iter().rev().take(5).map(|got| (&got.kind, got.seq)).collect();
        format!("{} records, the last ones {tail:?}", self.got.len())
    }
}

/// Waits for a condition outside the rings.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// KiB that a process holds.
pub(crate) fn resident(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().split(' ').next().and_then(|kib| kib.parse().ok()).expect("a number")
}

//! mixcord-proxy with the libraries of others, unchanged: they connect, have the world in their caches, see what
//! happens, and resume when the proxy is killed.
//!
//! twilight comes with cargo. The rest is in `tests/clients` and wants node, python, or a build of its own:
//! `scripts/test.sh --full`.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, TOKEN, until};
use serde_json::Value;
use twilight_gateway::{
    CloseFrame, ConfigBuilder, EventTypeFlags, Intents, Session, Shard, ShardId, StreamExt,
};

const DEADLINE: Duration = Duration::from_secs(120);
/// What every library has types for.
const MIX: &str = "presence=40,message=40,typing=10,member-update=10,member-add=10,member-remove=10,\
    channel-create=5,channel-delete=5,role-create=5,role-delete=3,voice=10";

/// Fake Discord, gateway, cache and proxy.
struct Rig {
    fake: Fake,
    _gateway: Program,
    _cache: Program,
    proxy: Option<Program>,
    address: String,
    stack: Stack,
}

impl Rig {
    fn new() -> Result<Self> {
        let stack = Stack::new()?;
        let more = vec!["--mix".into(), MIX.into()];
        let (shards, guilds, members, events, rate) = (2, 12, 20, 10_000, 400);
        let options =
            FakeOptions { shards, guilds, members, events, rate, more, ..FakeOptions::default() };
        let fake = Fake::start(stack.folder(), &options)?;
        let gateway = stack.gateway(&fake, "auto", &["--large-threshold", "250"])?;
        let cache = stack.cache(&[])?;
        let (proxy, address) = stack.proxy(&["--rest-url", &fake.api_url()])?;
        let proxy = Some(proxy);
        Ok(Self { fake, _gateway: gateway, _cache: cache, proxy, address, stack })
    }

    fn kill_proxy(&mut self) -> Result<()> {
        self.proxy.take().context("a proxy")?.kill()?;
        let rest = self.fake.api_url();
        let (proxy, _) = self.stack.proxy(&["--listen", &self.address, "--rest-url", &rest])?;
        self.proxy = Some(proxy);
        Ok(())
    }
}

/// What a client printed: its dispatches with their numbers, or a message's id; and its last report.
struct Printed {
    names: Vec<(String, Option<u64>)>,
    messages: Vec<u64>,
    report: Value,
}

fn printed(client: &Program) -> Printed {
    let (mut names, mut messages, mut report) = (Vec::new(), Vec::new(), Value::Null);
    for line in client.stdout().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        messages.extend(line["id"].as_u64());
        match line["t"].as_str() {
            Some(name) => names.push((name.to_owned(), line["s"].as_u64())),
            None => report = line,
        }
    }
    Printed { names, messages, report }
}

/// How a library counts members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    Exactly,
    /// It takes the presence or the message of somebody who left as the sign of a member, also with Discord itself.
    AtLeast,
}

/// Runs a client of `tests/clients` through a kill of the proxy.
fn client(program: &Path, script: &str, counts: Members) -> Result<()> {
    let mut rig = Rig::new()?;
    let proxy = rig.address.clone();
    client_of(&mut rig, &proxy, (program, script), counts, |_| Ok(())).map(drop)
}

/// The same of a rig that is there; `proxy` is where the client finds it. `whole` is called when it has all guilds, a
/// while before the kill.
fn client_of(
    rig: &mut Rig,
    proxy: &str,
    (program, script): (&Path, &str),
    counts: Members,
    whole: impl FnOnce(&Rig) -> Result<()>,
) -> Result<Program> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    let mut command = Command::new(folder.join(program));
    command.arg(script).current_dir(&folder).env("PROXY", proxy).env("TOKEN", TOKEN);
    let client = Program::start(script, rig.stack.folder(), &mut command)?;
    until("a client with its guilds and events", DEADLINE, || {
        let printed = printed(&client);
        printed.report["guilds"] == 12 && printed.names.len() > 500
    })?;
    whole(rig)?;
    let then = printed(&client).names.len();
    until("more events", DEADLINE, || printed(&client).names.len() > then + 200)?;
    rig.kill_proxy()?;
    until("RESUMED", DEADLINE, || {
        printed(&client).names.iter().any(|(name, _)| name == "RESUMED")
    })?;
    rig.fake.until_finished(DEADLINE)?;
    let world = rig.fake.world()?;
    let guilds = || world["guilds"].as_object().into_iter().flatten().map(|(_, guild)| guild);
    let members: u64 = guilds().filter_map(|guild| guild["member_count"].as_u64()).sum();
    let channels: usize =
        guilds().filter_map(|guild| guild["channels"].as_object()).map(|all| all.len()).sum();
    let wanted = serde_json::json!({"guilds": 12, "members": members, "channels": channels});
    let equal = until("the client's cache to be the world", DEADLINE, || {
        let mut report = printed(&client).report;
        if counts == Members::AtLeast && report["members"].as_u64() >= Some(members) {
            report["members"] = members.into();
        }
        report == wanted
    });
    let printed = printed(&client);
    equal.with_context(|| format!("it has {}, the world {wanted}", printed.report))?;
    ensure!(
        printed.names.iter().filter(|(name, _)| name == "READY").count() == 1,
        "it identified anew"
    );
    let numbers: Vec<_> = printed.names.iter().filter_map(|(_, number)| *number).collect();
    let missing = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    ensure!(missing.is_none(), "not in order: {missing:?}");
    Ok(client)
}

#[test]
#[ignore = "wants node and its packages: scripts/test.sh --full clients"]
fn discord_js() -> Result<()> {
    client(Path::new("node"), "discordjs.js", Members::AtLeast)
}

#[test]
#[ignore = "wants node and its packages: scripts/test.sh --full clients"]
fn eris() -> Result<()> {
    client(Path::new("node"), "eris.js", Members::AtLeast)
}

#[test]
#[ignore = "wants python and its packages: scripts/test.sh --full clients"]
fn discord_py() -> Result<()> {
    client(Path::new("venv/bin/python"), "discordpy.py", Members::Exactly)
}

#[test]
#[ignore = "wants python and its packages: scripts/test.sh --full clients"]
fn hikari() -> Result<()> {
    client(Path::new("venv/bin/python"), "hikari_bot.py", Members::Exactly)
}

/// Where clients wait while there is no proxy, as they do at a load balancer or a socket that systemd holds.
struct Lobby {
    address: String,
}

impl Lobby {
    fn before(proxy: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, proxy) = (listener.local_addr()?.to_string(), proxy.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = proxy.clone();
                std::thread::spawn(move || pass(client, &proxy));
            }
        });
        Ok(Self { address })
    }
}

/// Passes bytes on in both directions until either ends.
fn pass(client: TcpStream, proxy: &str) -> io::Result<()> {
    let begun = Instant::now();
    let server = loop {
        match TcpStream::connect(proxy) {
            Err(error) if begun.elapsed() > DEADLINE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
            Ok(server) => break server,
        }
    };
    let one_way = |mut from: TcpStream, mut to: TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    };
    let (up_from, up_to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || one_way(up_from, up_to));
    one_way(server, client);
    Ok(())
}

/// serenity tries to resume twice at once and then identifies anew, so it finds the proxy behind a lobby. It hands
/// events out in no order and without their numbers: that nothing is lost or told twice is seen of messages.
#[test]
#[ignore = "is built by itself: scripts/test.sh --full clients"]
fn serenity() -> Result<()> {
    let mut rig = Rig::new()?;
    let oracle = rig.stack.tail(&["--group", "oracle", "--from", "earliest"])?;
    let lobby = Lobby::before(&rig.address)?;
    let program = Path::new("serenity/debug/serenity-client");
    let messages = |rig: &Rig| -> Result<usize> {
        Ok(rig.fake.journal()?.iter().filter(|sent| sent.kind == "MESSAGE_CREATE").count())
    };
    // What a guild is given with is of a moment, and what was said in it before that moment is not told. So all counts
    // from when all guilds are there.
    let mut start = 0;
    let program = (program, "serenity");
    let client = client_of(&mut rig, &lobby.address, program, Members::AtLeast, |rig| {
        start = messages(rig)?;
        Ok(())
    })?;
    let sent = || -> Vec<u64> {
        let lines = oracle.stdout();
        let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages = events.filter(|event| event["kind"] == "MESSAGE_CREATE");
        messages.filter_map(|event| event["data"]["id"].as_str()?.parse().ok()).collect()
    };
    let made = messages(&rig)?;
    until("the tail to have all", DEADLINE, || sent().len() >= made)?;
    let sent = sent();
    let place: HashMap<u64, usize> = sent.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let told = || -> Result<Vec<usize>> {
        let all = printed(&client).messages;
        let places: Option<Vec<usize>> = all.iter().map(|id| place.get(id).copied()).collect();
        places.context("a message that nobody sent")
    };
    let wanted: Vec<usize> = (start..sent.len()).collect();
    let mut had = Vec::new();
    let whole = until("all messages", DEADLINE, || {
        let Ok(all) = told() else { return true };
        had = all.into_iter().filter(|at| *at >= start).collect();
        had.len() >= wanted.len()
    });
    told()?;
    whole.with_context(|| format!("{} messages of {}", had.len(), wanted.len()))?;
    had.sort_unstable();
    ensure!(had == wanted, "some are lost, and some came twice");
    ensure!(wanted.len() > 500, "only {} messages", wanted.len());
    Ok(())
}

fn shard(rig: &Rig, session: Option<Session>) -> Shard {
    let config = ConfigBuilder::new(TOKEN.to_owned(), Intents::from_bits_truncate(53_608_447))
        .proxy_url(format!("ws://{}", rig.address));
    let config = match session {
        Some(session) => config.session(session),
        None => config,
    };
    Shard::with_config(ShardId::ONE, config.build())
}

async fn next(shard: &mut Shard) -> Result<twilight_gateway::Event> {
    let event = tokio::time::timeout(DEADLINE, shard.next_event(EventTypeFlags::all())).await;
    Ok(event.context("nothing came")?.context("the stream ended")??)
}

/// Reads until an event of this kind, over whatever happens to the connection.
async fn until_kind(shard: &mut Shard, kind: &str) -> Result<()> {
    let wait = async {
        loop {
            let event = shard.next_event(EventTypeFlags::all()).await;
            match event.context("the stream ended")? {
                Ok(event) if format!("{:?}", event.kind()) == kind => return Ok(()),
                // A connection that is gone is made again.
                Ok(_) | Err(_) => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.with_context(|| format!("no {kind}"))?
}

#[test]
fn twilight_resumes_after_a_kill_of_the_proxy_and_after_its_own() -> Result<()> {
    let mut rig = Rig::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut first = shard(&rig, None);
        let mut guilds = 0;
        for _ in 0..300 {
            guilds += usize::from(matches!(
                next(&mut first).await?,
                twilight_gateway::Event::GuildCreate(_)
            ));
        }
        ensure!(guilds == 12, "{guilds} guilds");
        rig.kill_proxy()?;
        until_kind(&mut first, "Resumed").await?;
        until_kind(&mut first, "MessageCreate").await?;
        // It dies, and its session is all that is kept.
        let session = first.session().cloned().context("a session")?;
        let id = session.id().to_owned();
        first.close(CloseFrame::RESUME);
        drop(first);
        let mut second = shard(&rig, Some(session));
        until_kind(&mut second, "Resumed").await?;
        ensure!(second.session().map(Session::id) == Some(id.as_str()), "another session");
        until_kind(&mut second, "MessageCreate").await
    })
}

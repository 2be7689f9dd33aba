//! mixcord-proxy: what its clients are told when they, or what they read, are too slow, and when something is lost.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mixcord::State;
use mixcord_e2e::{Client, Fake, FakeOptions, Program, Said, Stack, TOKEN, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
/// Every documented intent.
const ALL: u64 = 53_608_447;
const GUILDS: u32 = 12;
/// Nothing that a guild comes or goes by.
const MIX: &str = "presence=40,message=40,typing=10,voice=10";
/// A few hundred records.
const SMALL: [&str; 4] = ["--output-slots", "1024", "--output-bytes", "1MiB"];
/// More than such a ring has.
const MANY: u64 = 1_200;

/// An instance under load for as long as the test takes, with a proxy.
struct Rig {
    fake: Fake,
    _gateway: Program,
    _cache: Program,
    proxy: Program,
    address: String,
    stack: Stack,
}

impl Rig {
    fn new(rate: u64, cache: &[&str], proxy: &[&str]) -> Result<Self> {
        let stack = Stack::new()?;
        let (shards, guilds, members, events) = (2, GUILDS, 20, 1_000_000);
        let more = vec!["--mix".into(), MIX.into()];
        let options =
            FakeOptions { shards, guilds, members, events, rate, more, ..FakeOptions::default() };
        let fake = Fake::start(stack.folder(), &options)?;
        let gateway = stack.gateway(&fake, "auto", &["--large-threshold", "250"])?;
        let cache = stack.cache(cache)?;
        // It listens as soon as it knows the bot's user: READY would list what the state has by then.
        let known =
            || State::attach(stack.instance()).map(|state| state.guilds().flatten().count());
        until("all guilds", DEADLINE, || known().is_ok_and(|count| count == GUILDS as usize))?;
        let (proxy, address) = stack.proxy(proxy)?;
        Ok(Self {
            fake,
            _gateway: gateway,
            _cache: cache,
            proxy,
            address: format!("ws://{address}"),
            stack,
        })
    }

    /// What the proxy says of itself.
    fn figure(&self, name: &str) -> Option<u64> {
        self.stack.ls().ok()?["proxies"]["running"][0][name].as_u64()
    }

    /// How many records the output ring has had.
    fn tail(&self) -> Result<u64> {
        let ls = self.stack.ls()?;
        let out = ls["rings"].as_array().into_iter().flatten().find(|ring| ring["name"] == "out");
        out.and_then(|ring| ring["tail"].as_u64()).context("an output ring")
    }
}

/// Clients read while the test waits for something else.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// IDENTIFY, and READY's guilds until all of them have come.
async fn begin(client: &mut Client, more: Value) -> Result<usize> {
    client.kept.seq = 0;
    let ready = client.identify(TOKEN, ALL, more).await?;
    let mut missing: Vec<_> = ready["guilds"].as_array().into_iter().flatten().cloned().collect();
    let count = missing.len();
    while !missing.is_empty() {
        let dispatch = client.dispatch().await?;
        if dispatch.name == "GUILD_CREATE" {
            ensure!(dispatch.data["unavailable"] != json!(true), "{dispatch:?}");
            missing.retain(|guild| guild["id"] != dispatch.data["id"]);
        }
    }
    Ok(count)
}

/// Reads events until the client is told that its session is over for good; how many there were.
async fn until_over(client: &mut Client) -> Result<usize> {
    let mut events = 0;
    let over = async {
        loop {
            match client.next().await? {
                Said::Control(9, resumable) => {
                    ensure!(resumable == json!(false), "{resumable}");
                    return Ok(events);
                }
                Said::Dispatch(_) => events += 1,
                other => bail!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, over).await.context("it was not told")?
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_goes_on_exactly_where_it_was() -> Result<()> {
    let rig = Rig::new(4_000, &[], &["--stall", "2"])?;
    runtime()?.block_on(async {
        // There is nothing that this one could take.
        let mut quiet = Client::connect(&rig.address).await?;
        quiet.identify(TOKEN, 0, json!({})).await?;
        let mut reader = Client::connect(&rig.address).await?;
        begin(&mut reader, json!({})).await?;
        let (sender, mut read) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            for n in 0_u64.. {
                // Whoever is silent for long is cut for that.
                if n % 4_000 == 0 && reader.send(1, json!(null)).await.is_err() {
                    return;
                }
                match reader.next().await {
                    Ok(Said::Dispatch(said)) => drop(sender.send((said.name, said.data))),
                    Ok(Said::Control(11, _)) => {}
                    _ => return,
                }
            }
        });
        let mut slow = Client::connect_narrow(&rig.address).await?;
        begin(&mut slow, json!({})).await?;
        until("the client to be cut", DEADLINE, || rig.figure("stalled") >= Some(1))?;
        until("the others to be there", DEADLINE, || rig.figure("clients") == Some(2))?;
        until("it to be logged", DEADLINE, || {
            rig.proxy.stderr().contains("took nothing for too long")
        })?;
        quiet.send(1, json!(null)).await?;
        // What was on its way still comes.
        while let Said::Dispatch(dispatch) = slow.next().await? {
            ensure!(dispatch.seq == slow.kept.seq + 1, "{} is missing", slow.kept.seq + 1);
            slow.kept.seq = dispatch.seq;
        }
        let mut slow = Client::resume(&rig.address, TOKEN, &slow.kept).await?;
        let mut later = Vec::new();
        while later.len() < 3_000 {
            let dispatch = slow.dispatch().await?;
            if dispatch.name != "RESUMED" {
                later.push((dispatch.name, dispatch.data));
            }
        }
        let mut all = Vec::new();
        let same = async {
            while all.last() != later.last() || !all.ends_with(&later) {
                all.push(read.recv().await.context("who reads was cut, too")?);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, same).await.context("they were told different things")??;
        quiet.send(1, json!(null)).await?;
        let mut answers = 0;
        while answers < 2 {
            match quiet.next().await? {
                Said::Control(11, _) => answers += 1,
                Said::Dispatch(_) => {}
                other => bail!("who had nothing to take was cut: {other:?}"),
            }
        }
        Ok(())
    })
}

#[test]
fn a_client_whose_events_are_gone_from_the_ring_is_told_to_begin_anew() -> Result<()> {
    let rig = Rig::new(300, &SMALL, &[])?;
    // Or a ring so small is round again before a client has begun.
    rig.fake.post("/fake/pause")?;
    runtime()?.block_on(async {
        let mut away = Client::connect(&rig.address).await?;
        begin(&mut away, json!({})).await?;
        let kept = away.kept.clone();
        drop(away);
        let mut there = Client::connect(&rig.address).await?;
        begin(&mut there, json!({})).await?;
        rig.proxy.signal(Signal::SIGSTOP)?;
        let from = rig.tail()?;
        rig.fake.post("/fake/resume")?;
        until("more than the ring has", DEADLINE, || {
            rig.tail().is_ok_and(|tail| tail > from + MANY)
        })?;
        rig.fake.post("/fake/pause")?;
        rig.proxy.signal(Signal::SIGCONT)?;
        until_over(&mut there).await?;
        let first = there.kept.session.clone();
        ensure!(begin(&mut there, json!({})).await? == GUILDS as usize, "not all guilds");
        ensure!(there.kept.session != first, "the same session");
        let mut back = Client::resume(&rig.address, TOKEN, &kept).await?;
        ensure!(until_over(&mut back).await? == 0, "events behind those that are gone");
        ensure!(begin(&mut back, json!({})).await? == GUILDS as usize, "not all guilds");
        // Both are told what happens from now on.
        rig.fake.post("/fake/resume")?;
        for client in [&mut there, &mut back] {
            for _ in 0..20 {
                client.dispatch().await?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_client_is_told_of_a_gap_once_its_guilds_are_whole_and_others_are_not() -> Result<()> {
    let rig = Rig::new(200, &[], &["--shards", "2"])?;
    runtime()?.block_on(async {
        let mut zero = Client::connect(&rig.address).await?;
        let guilds = begin(&mut zero, json!({"shard": [0, 2]})).await?;
        let mut one = Client::connect(&rig.address).await?;
        begin(&mut one, json!({"shard": [1, 2]})).await?;
        let first = zero.kept.session.clone();
        rig.fake.post("/fake/fault?how=op9false&shard=0")?;
        until_over(&mut zero).await?;
        // Everything is there at once.
        zero.kept.seq = 0;
        let ready = zero.identify(TOKEN, ALL, json!({"shard": [0, 2]})).await?;
        ensure!(ready["guilds"].as_array().map(Vec::len) == Some(guilds), "{}", ready["guilds"]);
        ensure!(zero.kept.session != first, "the same session");
        let mut whole = 0;
        while whole < guilds {
            let dispatch = zero.dispatch().await?;
            ensure!(dispatch.name != "GUILD_DELETE", "a guild was not there: {dispatch:?}");
            whole += usize::from(dispatch.name == "GUILD_CREATE");
        }
        // The other shard lost nothing.
        for _ in 0..100 {
            one.dispatch().await?;
        }
        Ok(())
    })
}

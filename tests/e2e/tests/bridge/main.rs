//! DESIGN §10: two machines, which are two instances here, and a real nats-server between them. What Discord sent
//! arrives on both, once and in order, under one identity, whoever is killed.

mod commands;
mod copied;
mod gateways;
mod large;
mod permits;
mod resharded;
mod takeover;
mod thousand;

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord_e2e::{
    Broker, Exit, Fake, FakeOptions, Follower, Order, Program, Stack, compare, until,
};
use mixcord_event::{Record, topology};
use mixcord_ring::{Limits, Namespace, Observed, Ring};
use nix::sys::signal::Signal;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
const EVENTS: u64 = 20_000;
const ROUNDS: usize = 4;

/// The machine with the gateway, and one that receives.
struct Machines {
    near: Stack,
    far: Stack,
    broker: Broker,
    fake: Fake,
}

/// What a bridge said, but for a server that was slow to greet it.
fn told(exit: &Exit) -> impl Iterator<Item = &str> {
    exit.stderr.lines().filter(|line| !line.contains("no connection yet"))
}

/// Programs of the machine with the gateway; its rings feed the bridge.
struct Near {
    gateway: Program,
    send: Program,
}

impl Machines {
    /// `None` where there is no server.
    fn new(options: &FakeOptions) -> Result<Option<Self>> {
        let near = Stack::new()?;
        let Some(broker) = Broker::start(near.folder(), &[])? else { return Ok(None) };
        let fake = Fake::start(near.folder(), options)?;
        Ok(Some(Self { far: Stack::new()?, near, broker, fake }))
    }

    fn send(&self, options: &[&str]) -> Result<Program> {
        self.near.bridge("send", &self.broker, options)
    }

    fn receive(&self) -> Result<Program> {
        self.far.bridge("receive", &self.broker, &["--bot", self.near.instance()])
    }

    fn start(&self, feeds: &str) -> Result<Near> {
        let gateway = self.near.gateway(&self.fake, "auto", &["--feeds", feeds])?;
        Ok(Near { gateway, send: self.send(&[])? })
    }
}

fn journal(stack: &Stack) -> Result<(Program, Follower)> {
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let follower = Follower::new(&tail, &[])?;
    Ok((tail, follower))
}

/// Events stop once there are so many, and some more: what is to come later comes later, however slow this machine is.
fn pause(fake: &Fake, events: usize) -> Result<()> {
    // By what was sent: on a loaded machine all of it is, before these arrive.
    let sent = || fake.status().map(|shards| shards.iter().map(|shard| shard.sent).sum::<u64>());
    until("some events", DEADLINE, || sent().is_ok_and(|sent| sent >= events as u64 + 200))?;
    fake.post("/fake/pause")?;
    let finished = fake.status()?.iter().all(|shard| shard.finished);
    ensure!(!finished, "paused too late, it proves nothing");
    Ok(())
}

#[test]
fn both_machines_have_the_same_events_with_the_same_old_and_new() -> Result<()> {
    // One shard: what shards share, such as users, is as they interleave.
    let options = FakeOptions { shards: 1, events: 3_000, ..FakeOptions::default() };
    let Some(machines) = Machines::new(&options)? else { return Ok(()) };
    let (tail, mut here) = journal(&machines.near)?;
    let (far_tail, mut there) = journal(&machines.far)?;
    let _caches = (machines.near.cache(&[])?, machines.far.cache(&[])?);
    let _receive = machines.receive()?;
    let _near = machines.start("cache,bridge")?;
    let sent = here.read_all(&machines.fake, DEADLINE)?;
    there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &here.delivered, Order::Shard)?;
    compare(&sent, &there.delivered, Order::Shard)?;
    // All of it, with what stood there before, and what was derived.
    let lines = |tail: &Program| -> Result<Vec<Value>> {
        let text = fs::read_to_string(tail.stdout_path())?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let (near, far) = (lines(&tail)?, lines(&far_tail)?);
    let same = near.iter().zip(&far).take_while(|(near, far)| near == far).count();
    ensure!(same == near.len().min(far.len()), "{:?}\n{:?}", near.get(same), far.get(same));
    let (near, far) = (origins(&machines.near)?, origins(&machines.far)?);
    ensure!(near.len() > 3_000 && near[..3_000] == far[..3_000], "an event is the same everywhere");
    Ok(())
}

/// Where every record of the output ring was first: log, position, index.
fn origins(stack: &Stack) -> Result<Vec<(u64, u64, u16)>> {
    let namespace = Namespace::new(&topology::namespace(stack.instance()))?;
    let out = Ring::attach(&namespace, topology::OUTPUT_RING)?;
    let (mut origins, mut seen, mut from) = (Vec::new(), Observed::default(), 0);
    while out.glance(from, Limits::default(), &mut seen)? {
        ensure!(seen.lost() == 0, "all of it is still there");
        for entry in seen.entries() {
            from = entry.position + 1;
            let header = *Record::parse_head(entry.payload)?.header();
            origins.push((header.origin.ring, header.origin.position, header.index));
        }
    }
    Ok(origins)
}

#[test]
fn nothing_is_lost_and_nothing_doubled_whoever_is_killed() -> Result<()> {
    let options = FakeOptions { events: EVENTS, rate: 2_500, ..FakeOptions::default() };
    let Some(mut machines) = Machines::new(&options)? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let mut receive = machines.receive()?;
    // No cache runs where the gateway does, and nobody waits for one.
    let mut near = machines.start("bridge")?;
    for round in 1..=ROUNDS * 3 {
        there.read_until(round * EVENTS as usize / (ROUNDS * 3 + 1), DEADLINE)?;
        match round % 3 {
            0 => {
                machines.broker.kill()?;
                machines.broker.restart()?;
            }
            1 => {
                near.send.kill()?;
                near.send = machines.send(&[])?;
            }
            _ => {
                receive.kill()?;
                receive = machines.receive()?;
            }
        }
    }
    let sent = there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)?;
    ensure!(there.delivered.iter().all(|event| event.kind != "GAP"), "nothing was lost");
    let status = machines.fake.status()?;
    ensure!(status.iter().all(|shard| shard.identifies == 1 && shard.resumes == 0), "{status:?}");
    Ok(())
}

#[test]
fn an_absent_broker_stops_the_socket_and_no_heartbeat() -> Result<()> {
    let options = FakeOptions {
        shards: 2,
        events: 30_000,
        // Not all of them before the broker is gone.
        rate: 4_000,
        // An acknowledgement that comes later than the next heartbeat is due would end the connection.
        more: vec!["--heartbeat-ms".into(), "1500".into()],
        ..FakeOptions::default()
    };
    let Some(mut machines) = Machines::new(&options)? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let _receive = machines.receive()?;
    let _gateway = machines.near.gateway(
        &machines.fake,
        "auto",
        &["--feeds", "bridge", "--ring-bytes", "512KiB", "--buffer-bytes", "64KiB"],
    )?;
    let _send = machines.send(&[])?;
    let fake = &machines.fake;
    let sent = || fake.status().map(|s| s.iter().map(|s| s.sent).sum::<u64>());
    // By what was sent, not by what arrived: on a loaded machine that comes when all of it is sent.
    until("some events", DEADLINE, || sent().is_ok_and(|sent| sent >= 500))?;
    machines.broker.kill()?;
    let beats = || fake.status().map(|s| s.iter().map(|s| s.heartbeats).min().unwrap_or(0));
    let mut last = (0, 0);
    until("the server to be held back over three heartbeats of each shard", DEADLINE, || {
        let (Ok(sent), Ok(beats)) = (sent(), beats()) else { return false };
        if sent != last.0 {
            last = (sent, beats);
        }
        beats >= last.1 + 3
    })?;
    let held_at = sent()?;
    ensure!(held_at < 30_000, "all {held_at} events fit: the test proves nothing");
    let status = fake.status()?;
    ensure!(status.iter().all(|s| s.connected && s.identifies == 1), "{status:?}");
    machines.broker.restart()?;
    let sent = there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)
}

#[test]
fn what_a_receiver_that_is_let_go_lost_is_told_with_its_range() -> Result<()> {
    let options = FakeOptions { shards: 1, events: 30_000, rate: 3_000, ..FakeOptions::default() };
    let Some(machines) = Machines::new(&options)? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let receive = machines.receive()?;
    let _gateway = machines.near.gateway(&machines.fake, "auto", &["--feeds", "bridge"])?;
    let _send =
        machines.send(&["--max-absence", "3s", "--retain", "64KiB", "--stream-bytes", "4MiB"])?;
    pause(&machines.fake, 1_000)?;
    there.read_until(1_000, DEADLINE)?;
    // It stands still, as a machine that hangs does.
    receive.signal(Signal::SIGSTOP)?;
    machines.fake.post("/fake/resume")?;
    machines.fake.until_finished(DEADLINE)?;
    until("the log to be trimmed", DEADLINE, || {
        let status = machines.near.bridge("status", &machines.broker, &["--json"]);
        let said = status.and_then(|status| status.wait(DEADLINE)).map(|exit| exit.stdout);
        let said = said.ok().and_then(|said| serde_json::from_str::<Value>(&said).ok());
        said.is_some_and(|said| {
            let bytes = said["streams"][0]["bytes"].as_u64();
            let receivers = said["receivers"].as_array().map(Vec::len);
            receivers == Some(0) && bytes.is_some_and(|bytes| bytes < 256 << 10)
        })
    })?;
    receive.signal(Signal::SIGCONT)?;
    until("the gap, and the last event", DEADLINE, || {
        let _ = there.read();
        let told = there.delivered.iter().any(|event| event.kind == "GAP");
        let last = there.delivered.iter().rev().find(|event| event.is_sent());
        let sent = machines.fake.journal().unwrap_or_default();
        told && last.map(|event| event.seq) == Some(sent.last().map(|event| event.seq))
    })?;
    let seqs: Vec<u64> = there
        .delivered
        .iter()
        .filter(|event| event.is_sent())
        .filter_map(|event| event.seq)
        .collect();
    ensure!(seqs.is_sorted_by(|a, b| a < b), "once, and in order");
    Ok(())
}

/// Both would tell the senders under one number, and neither the whole of what this machine has yet to read.
#[test]
fn a_second_receiver_of_an_instance_is_refused_with_one_line() -> Result<()> {
    let options = FakeOptions { shards: 2, events: 1_000, rate: 300, ..FakeOptions::default() };
    let Some(machines) = Machines::new(&options)? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let mut receive = machines.receive()?;
    let _near = machines.start("bridge")?;
    there.read_until(100, DEADLINE)?;
    let other = ["--bot", machines.near.instance(), "--shards", "1..1/2"];
    let exit = machines.far.bridge("receive", &machines.broker, &other)?.wait(DEADLINE)?;
    ensure!(exit.code == Some(78) && told(&exit).count() == 1, "{exit:?}");
    ensure!(exit.stderr.contains(machines.far.instance()), "{exit:?}");
    ensure!(receive.is_running());
    // One that was killed keeps nobody out.
    receive.kill()?;
    let _receive = machines.receive()?;
    let sent = there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)
}

#[test]
fn p9_wrong_credentials_and_old_servers_end_it_with_one_line() -> Result<()> {
    let stack = Stack::new()?;
    let server = ["--user", "mixcord", "--pass", "right-secret"];
    let Some(broker) = Broker::start(stack.folder(), &server)? else { return Ok(()) };
    let file = stack.folder().join("password");
    fs::write(&file, "mixcord:wrong-secret\n")?;
    let path = file.to_string_lossy().into_owned();
    let exit = stack
        .bridge("send", &broker, &["--nats-password-file", &path])?
        .wait(Duration::from_secs(20))?;
    ensure!(exit.code == Some(78) && told(&exit).count() == 1, "{exit:?}");
    ensure!(!exit.stderr.contains("secret"), "{exit:?}");
    fs::write(&file, "mixcord:right-secret\n")?;
    let send = stack.bridge("send", &broker, &["--nats-password-file", &path])?;
    until("a connection", DEADLINE, || send.stderr().contains("connected"))?;
    ensure!(!send.stderr().contains("secret"));
    let exit = send.terminate(DEADLINE)?;
    ensure!(exit.code == Some(0), "{exit:?}");
    Ok(())
}

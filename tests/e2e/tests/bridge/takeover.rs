//! A standby goes on with the shards of a machine that died, or that only lost its network.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Context as _;

use super::*;

const SHARDS: &str = "0..1/2";
/// Events before the death, at least.
const BEFORE: usize = 800;

/// The machine that runs the shards, the standby, one that only receives, and the broker.
struct Standby {
    a: Stack,
    b: Stack,
    c: Stack,
    broker: Broker,
    fake: Fake,
}

/// Programs of a machine that can run the shards.
struct Machine {
    receive: Program,
    send: Program,
    cache: Program,
    gateway: Program,
}

impl Machine {
    /// All of it at once.
    fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let programs = [&self.gateway, &self.send, &self.receive, &self.cache];
        programs.into_iter().try_for_each(|program| program.signal(signal))
    }

    fn is_running(&mut self) -> bool {
        let programs = [&mut self.gateway, &mut self.send, &mut self.receive, &mut self.cache];
        programs.into_iter().all(Program::is_running)
    }
}

impl Standby {
    fn new(more: &[&str]) -> Result<Option<Self>> {
        let more = [&["--identify-seconds", "0.1", "--hold-while-away"][..], more].concat();
        let options = FakeOptions {
            shards: 2,
            events: 5_000,
            rate: 150,
            more: more.into_iter().map(str::to_owned).collect(),
            ..FakeOptions::default()
        };
        let a = Stack::new()?;
        let Some(broker) = Broker::start(a.folder(), &[])? else { return Ok(None) };
        let fake = Fake::start(a.folder(), &options)?;
        Ok(Some(Self { b: Stack::new()?, c: Stack::new()?, a, broker, fake }))
    }

    fn bridge(&self, end: &str, stack: &Stack) -> Result<Program> {
        stack.bridge(end, &self.broker, &["--bot", self.a.instance()])
    }

    fn gateway(&self, stack: &Stack) -> Result<Program> {
        stack.gateway(&self.fake, SHARDS, &["--feeds", "cache,bridge", "--take-over"])
    }

    fn machine(&self, stack: &Stack) -> Result<Machine> {
        Ok(Machine {
            receive: self.bridge("receive", stack)?,
            send: self.bridge("send", stack)?,
            cache: stack.cache(&[])?,
            gateway: self.gateway(stack)?,
        })
    }

    /// Waits until that machine's gateway stands by while the lease is `holder`'s; gives the generation of that.
    fn until_standby(&self, stack: &Stack, holder: &Stack) -> Result<u64> {
        let mut generation = 0;
        until("the standby to be seen", DEADLINE, || {
            let Ok(bridge) = seen(stack, "receive") else { return false };
            let (stream, gateway) = (&bridge["streams"][0], &bridge["gateways"][0]);
            generation = stream["lease"]["generation"].as_u64().unwrap_or(0);
            let writer = stream["writer"].as_str().unwrap_or_default();
            let is_holders = writer.starts_with(&format!("{} on ", holder.instance()));
            let shards = [&gateway["first"], &gateway["last"], &gateway["count"]];
            bridge["role"] == "standby"
                && gateway["state"] == "standby"
                && shards == [0, 1, 2]
                && stream["lease"]["state"] == "held"
                && is_holders
                && generation > 0
        })
        .map_err(|error| error.context(format!("{:?}", seen(stack, "receive"))))?;
        Ok(generation)
    }

    /// Waits until that machine has the lease and its gateway runs by it; gives the generation.
    fn until_holder(&self, stack: &Stack) -> Result<u64> {
        let mut generation = 0;
        until("the holder to be seen", DEADLINE, || {
            let Ok(bridge) = seen(stack, "send") else { return false };
            let lease = &bridge["streams"][0]["lease"];
            generation = lease["generation"].as_u64().unwrap_or(0);
            bridge["role"] == "holder"
                && bridge["gateways"][0]["state"] == "holder"
                && lease["own"] == true
                && generation > 0
        })
        .map_err(|error| error.context(format!("{:?}", seen(stack, "send"))))?;
        Ok(generation)
    }

    /// Waits until the standby has the sessions, and gives for how long they were nobody's.
    fn until_resumed(&self, there: &mut Follower, died: Instant, times: u64) -> Result<Duration> {
        until("the standby to resume every session", DEADLINE, || {
            self.fake.status().is_ok_and(|shards| shards.iter().all(|shard| shard.resumes == times))
        })?;
        let _ = there.read();
        let before = there.delivered.len();
        until("an event on the standby", DEADLINE, || {
            let _ = there.read();
            there.delivered.len() > before
        })?;
        Ok(died.elapsed())
    }

    /// All that was sent arrived on a machine, once and in order, though its sessions moved so often.
    fn compare(&self, there: &mut Follower, times: u64) -> Result<()> {
        let sent = there.read_all(&self.fake, DEADLINE)?;
        compare(&sent, &there.delivered, Order::Shard)?;
        let gaps = there.delivered.iter().filter(|event| event.kind == "GAP").count();
        ensure!(gaps == 0, "{gaps} gaps: nothing was lost");
        let status = self.fake.status()?;
        ensure!(
            status.iter().all(|shard| shard.identifies == 1 && shard.resumes == times),
            "{status:?}"
        );
        Ok(())
    }
}

/// What `mixcord ls` says of one end of a machine's bridge.
fn seen(stack: &Stack, end: &str) -> Result<Value> {
    let listing = stack.ls()?;
    let bridges = listing["bridges"].as_array().cloned().unwrap_or_default();
    bridges.into_iter().find(|bridge| bridge["end"] == end).with_context(|| listing.to_string())
}

#[test]
fn a_standby_goes_on_where_a_machine_died_and_everybody_follows_it() -> Result<()> {
    // What a heartbeat has acknowledged is gone at Discord, perhaps.
    let acked = ["--forget-acked", "--heartbeat-ms", "700"];
    let Some(machines) = Standby::new(&acked)? else { return Ok(()) };
    let (a, b, c) = (&machines.a, &machines.b, &machines.c);
    let (_tail_b, mut on_b) = journal(b)?;
    let (_tail_c, mut on_c) = journal(c)?;
    let _cache_c = c.cache(&[])?;
    let _receive_c = machines.bridge("receive", c)?;
    // Both have the same programs, with the same options.
    let old = machines.machine(a)?;
    on_c.read_until(10, DEADLINE)?;
    let mut standby = machines.machine(b)?;
    until("the standby to stand by", DEADLINE, || {
        standby.gateway.stderr().contains("standing by to take them over")
    })?;
    let mut before = 0;
    until("both machines to see one generation", DEADLINE, || {
        before = machines.until_holder(a).unwrap_or(0);
        before > 0 && machines.until_standby(b, a).is_ok_and(|generation| generation == before)
    })?;
    on_b.read_until(BEFORE, DEADLINE)?;
    ensure!(standby.is_running(), "{}", standby.send.stderr());
    old.kill()?;
    let without = machines.until_resumed(&mut on_b, Instant::now(), 1)?;
    eprintln!("from the death to the first event on the standby: {without:?}");
    ensure!(without < Duration::from_secs(40), "{without:?}");
    machines.compare(&mut on_b, 1)?;
    machines.compare(&mut on_c, 1)?;
    let after = machines.until_holder(b)?;
    ensure!(after > before, "{after} after {before}");
    let identities = |stack| -> Result<BTreeSet<_>> { Ok(origins(stack)?.into_iter().collect()) };
    let (on_b, on_c) = (identities(b)?, identities(c)?);
    let of_events =
        |all: &BTreeSet<(u64, u64, u16)>| all.iter().map(|it| it.0).collect::<BTreeSet<_>>();
    ensure!(on_b == on_c, "an event is the same everywhere");
    ensure!(of_events(&on_b).len() == 4, "each shard has the log of before, and its own");
    // The machine comes back, as a service manager starts it.
    let Machine { gateway, send, .. } = machines.machine(a)?;
    let exit = gateway.wait(DEADLINE)?;
    ensure!(exit.code == Some(78) && exit.stderr.contains("sends stream"), "{exit:?}");
    ensure!(standby.is_running());
    // Until it is gone it tells every gateway the same.
    send.wait(DEADLINE)?;
    // And once more, while the standby is started anew.
    standby.gateway.terminate(DEADLINE)?;
    standby.send.terminate(DEADLINE)?;
    let again = machines.machine(a)?;
    let exit = again.gateway.wait(DEADLINE)?;
    let line = exit.stderr.lines().last().unwrap_or_default();
    ensure!(exit.code == Some(78) && line.contains("took shard"), "{exit:?}");
    let status = machines.fake.status()?;
    ensure!(status.iter().all(|shard| shard.identifies == 1 && shard.resumes == 1), "{status:?}");
    Ok(())
}

#[test]
fn a_machine_that_only_lost_its_network_ends_with_a_line_when_it_is_back() -> Result<()> {
    // Discord ends no session for want of a heartbeat meanwhile.
    let Some(machines) = Standby::new(&["--forget-acked"])? else { return Ok(()) };
    let (a, b) = (&machines.a, &machines.b);
    let (_tail, mut on_b) = journal(b)?;
    let _receive = machines.bridge("receive", b)?;
    let old = machines.machine(a)?;
    let _cache = b.cache(&[])?;
    on_b.read_until(BEFORE, DEADLINE)?;
    old.signal(Signal::SIGSTOP)?;
    let died = Instant::now();
    let mut standby = (machines.gateway(b)?, machines.bridge("send", b)?);
    let without = machines.until_resumed(&mut on_b, died, 1)?;
    eprintln!("from the loss of the network to the first event on the standby: {without:?}");
    old.signal(Signal::SIGCONT)?;
    let Machine { gateway, send, .. } = old;
    for exit in [gateway.wait(DEADLINE)?, send.wait(DEADLINE)?] {
        let last = exit.stderr.lines().last().unwrap_or_default();
        ensure!(exit.code == Some(78) && last.contains("has taken over stream"), "{exit:?}");
    }
    machines.compare(&mut on_b, 1)?;
    ensure!(standby.0.is_running() && standby.1.is_running());
    Ok(())
}

/// It is the standby of the one that took its shards over, and that one dies, too.
#[test]
fn a_machine_that_died_comes_back_as_the_standby_and_takes_its_shards_over_again() -> Result<()> {
    let acked = ["--forget-acked", "--heartbeat-ms", "700"];
    let Some(machines) = Standby::new(&acked)? else { return Ok(()) };
    let (a, b, c) = (&machines.a, &machines.b, &machines.c);
    let (_tail, mut on_c) = journal(c)?;
    let _cache_c = c.cache(&[])?;
    let _receive_c = machines.bridge("receive", c)?;
    let first = machines.machine(a)?;
    on_c.read_until(10, DEADLINE)?;
    let second = machines.machine(b)?;
    let before = machines.until_standby(b, a)?;
    on_c.read_until(BEFORE, DEADLINE)?;
    first.kill()?;
    machines.until_resumed(&mut on_c, Instant::now(), 1)?;
    // As the guide has it: without its old rings.
    drop(first);
    for shard in 0..2 {
        let ring = topology::shard_ring(shard, 2);
        let removed =
            a.mixcord().args(["rm", "--ring", &ring, "--instance", a.instance()]).output()?;
        ensure!(removed.status.success(), "{removed:?}");
    }
    let mut third = machines.machine(a)?;
    let between = machines.until_standby(a, b)?;
    on_c.read_until(on_c.delivered.len() + 200, DEADLINE)?;
    let status = machines.fake.status()?;
    ensure!(status.iter().any(|shard| !shard.finished), "too late, it proves nothing: {status:?}");
    second.kill()?;
    machines.until_resumed(&mut on_c, Instant::now(), 2)?;
    machines.compare(&mut on_c, 2)?;
    let after = machines.until_holder(a)?;
    ensure!(before < between && between < after, "{before}, {between}, {after}");
    let logs: BTreeSet<u64> = origins(c)?.into_iter().map(|origin| origin.0).collect();
    ensure!(logs.len() == 6, "each shard has a log of each time: {logs:?}");
    ensure!(third.is_running());
    Ok(())
}

/// Each forgot the other's wish.
#[test]
fn two_gateways_of_one_machine_stand_by_each_for_its_own_shards_and_no_two_for_one() -> Result<()> {
    let acked = ["--forget-acked", "--heartbeat-ms", "700"];
    let Some(machines) = Standby::new(&acked)? else { return Ok(()) };
    let (a, b) = (&machines.a, &machines.b);
    let (_tail, mut on_b) = journal(b)?;
    let old = machines.machine(a)?;
    let _bridge = (machines.bridge("receive", b)?, machines.bridge("send", b)?, b.cache(&[])?);
    on_b.read_until(10, DEADLINE)?;
    let gateway = |shards: &str| {
        b.gateway(&machines.fake, shards, &["--feeds", "cache,bridge", "--take-over"])
    };
    let mut both = [gateway("0..0/2")?, gateway("1..1/2")?];
    until("both to stand by", DEADLINE, || {
        let Ok(bridge) = seen(b, "receive") else { return false };
        let gateways = bridge["gateways"].as_array().cloned().unwrap_or_default();
        let waits = |gateway: &Value| {
            gateway["state"] == "standby" && gateway["why"] == the_lease_of(&bridge)
        };
        gateways.len() == 2 && gateways.iter().all(waits)
    })
    .map_err(|error| error.context(format!("{:?}", seen(b, "receive"))))?;
    for shards in ["0..1/2", "1..1/2"] {
        let exit = gateway(shards)?.wait(DEADLINE)?;
        let line = exit.stderr.lines().last().unwrap_or_default();
        ensure!(exit.code == Some(78) && line.contains("stands by for shard"), "{exit:?}");
    }
    on_b.read_until(BEFORE, DEADLINE)?;
    ensure!(both.iter_mut().all(Program::is_running));
    old.kill()?;
    machines.until_resumed(&mut on_b, Instant::now(), 1)?;
    machines.compare(&mut on_b, 1)?;
    ensure!(both.iter_mut().all(Program::is_running));
    let folder = topology::standby_dir(b.instance());
    ensure!(!std::path::Path::new(&folder).exists(), "who runs its shards stands by no more");
    Ok(())
}

fn the_lease_of(bridge: &Value) -> String {
    let writer = bridge["streams"][0]["writer"].as_str().unwrap_or_default();
    format!("the lease of {writer} has yet to lapse")
}

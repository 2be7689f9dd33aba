//! Several machines with gateways, all with the options that are there when nobody gives any.

use super::*;

/// Two machines that divide the shards of one bot, one that receives, and the broker.
struct Divided {
    one: Stack,
    other: Stack,
    far: Stack,
    broker: Broker,
    fake: Fake,
}

impl Divided {
    fn new(options: &FakeOptions) -> Result<Option<Self>> {
        let one = Stack::new()?;
        let Some(broker) = Broker::start(one.folder(), &[])? else { return Ok(None) };
        let fake = Fake::start(one.folder(), options)?;
        let (other, far) = (Stack::new()?, Stack::new()?);
        Ok(Some(Self { one, other, far, broker, fake }))
    }

    /// Instances have names of their own here, as all machines are this one.
    fn bridge(&self, end: &str, stack: &Stack) -> Result<Program> {
        stack.bridge(end, &self.broker, &["--bot", self.one.instance()])
    }

    fn gateway(&self, stack: &Stack, shards: &str) -> Result<Program> {
        stack.gateway(&self.fake, shards, &["--feeds", "bridge"])
    }

    fn status(&self) -> Result<Value> {
        let options = ["--bot", self.one.instance(), "--json"];
        let exit = self.one.bridge("status", &self.broker, &options)?.wait(DEADLINE)?;
        Ok(serde_json::from_str(&exit.stdout)?)
    }
}

fn options(shards: u16, events: u64, rate: u64) -> FakeOptions {
    let more = vec!["--identify-seconds".into(), "0.1".into()];
    FakeOptions { shards, guilds: 48, members: 10, events, rate, more, ..FakeOptions::default() }
}

#[test]
fn two_senders_with_the_default_stream_lose_nothing_of_each_other() -> Result<()> {
    let Some(machines) = Divided::new(&options(16, 12_000, 1_500))? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let _receive = machines.bridge("receive", &machines.far)?;
    // Shards of one block of 16.
    let _gateways = (
        machines.gateway(&machines.one, "0..7/16")?,
        machines.gateway(&machines.other, "8..15/16")?,
    );
    let mut one = machines.bridge("send", &machines.one)?;
    let mut other = machines.bridge("send", &machines.other)?;
    for round in 1..=4 {
        there.read_until(round * 2_000, DEADLINE)?;
        // What each looked at last is old by now, also where one of them was away.
        if round % 2 == 0 {
            one.kill()?;
            one = machines.bridge("send", &machines.one)?;
        } else {
            other.kill()?;
            other = machines.bridge("send", &machines.other)?;
        }
    }
    let sent = there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)?;
    ensure!(there.delivered.iter().all(|event| event.kind != "GAP"), "nothing was trimmed");
    let status = machines.status()?;
    let streams = status["streams"].as_array().map(Vec::len);
    ensure!(streams == Some(2), "each has its own: {status}");
    ensure!(one.is_running() && other.is_running());
    Ok(())
}

#[test]
fn a_second_sender_of_the_same_shards_is_refused_with_one_line() -> Result<()> {
    let Some(machines) = Divided::new(&options(2, 2_000, 500))? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let _receive = machines.bridge("receive", &machines.far)?;
    let _gateway = machines.gateway(&machines.one, "0..1/2")?;
    let mut send = machines.bridge("send", &machines.one)?;
    there.read_until(100, DEADLINE)?;
    // Another bot's machine, whose owner gave no name either.
    let second = Fake::start(machines.other.folder(), &options(2, 100, 0))?;
    let _second = machines.other.gateway(&second, "0..1/2", &["--feeds", "bridge"])?;
    let exit = machines.bridge("send", &machines.other)?.wait(DEADLINE)?;
    let line = exit.stderr.lines().filter(|line| line.contains("--bot")).count();
    ensure!(exit.code == Some(78) && line == 1 && exit.stderr.contains("--shards"), "{exit:?}");
    let sent = there.read_all(&machines.fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)?;
    ensure!(send.is_running());
    Ok(())
}

#[test]
fn a_shard_that_moves_to_another_machine_is_followed_there() -> Result<()> {
    let Some(machines) = Divided::new(&options(2, 1_000_000, 400))? else { return Ok(()) };
    let (_tail, mut there) = journal(&machines.far)?;
    let _cache = machines.far.cache(&[])?;
    let _receive = machines.bridge("receive", &machines.far)?;
    let both = machines.gateway(&machines.one, "0..1/2")?;
    // It stays, and has the ring of shard 1 still, which nobody writes any more.
    let _send = machines.bridge("send", &machines.one)?;
    there.read_until(300, DEADLINE)?;
    both.terminate(Duration::from_secs(10))?;
    let _one = machines.gateway(&machines.one, "0..0/2")?;
    let _other = machines.gateway(&machines.other, "1..1/2")?;
    let _other_send = machines.bridge("send", &machines.other)?;
    let mut from = there.delivered.len();
    until("a loss to be told, and events behind it of both shards", DEADLINE, || {
        let _ = there.read();
        let new = &there.delivered[from..];
        if let Some(gap) =
            new.iter().position(|event| event.kind == "GAP" && event.shard == Some(1))
        {
            from += gap;
        }
        let told = there.delivered[from..].first().is_some_and(|event| event.kind == "GAP");
        let moved =
            |shard| there.delivered[from..].iter().any(|e| e.shard == Some(shard) && e.is_sent());
        told && moved(0) && moved(1)
    })
}

//! Gateways of one token on two machines identify one after the other.

use super::*;

const SHARDS: u16 = 10;

#[test]
fn g14_two_machines_identify_one_after_the_other_though_the_broker_is_killed() -> Result<()> {
    let options = FakeOptions {
        shards: SHARDS,
        events: 0,
        // One bucket: who comes sooner than that after another is refused, and has to identify again.
        more: ["--max-concurrency", "1", "--identify-seconds", "0.8"].map(str::to_owned).into(),
        ..FakeOptions::default()
    };
    let one = Stack::new()?;
    let Some(mut broker) = Broker::start(one.folder(), &[])? else { return Ok(()) };
    let fake = Fake::start(one.folder(), &options)?;
    let other = Stack::new()?;
    let gateway = |stack: &Stack, shards: &str| {
        let spacing = ["--identify-spacing-ms", "1500"];
        let more = [&["--feeds", "bridge", "--permits", "bridge"][..], &spacing].concat();
        stack.gateway(&fake, shards, &more)
    };
    let _gateways = (gateway(&one, "0..4/10")?, gateway(&other, "5..9/10")?);
    let bot = one.instance();
    let _first = one.bridge("send", &broker, &["--bot", bot])?;
    let second = other.bridge("send", &broker, &["--bot", bot])?;
    let connected =
        || fake.status().map_or(0, |shards| shards.iter().filter(|s| s.connected).count());
    until("some sessions of each", DEADLINE, || connected() >= 3)?;
    broker.kill()?;
    broker.restart()?;
    until("more of them", DEADLINE, || connected() >= 6)?;
    // A bridge that is gone holds up its own gateway alone.
    second.kill()?;
    let _second = other.bridge("send", &broker, &["--bot", bot])?;
    until("all of them", DEADLINE, || connected() == usize::from(SHARDS))?;
    let status = fake.status()?;
    let identifies: Vec<u64> = status.iter().map(|shard| shard.identifies).collect();
    ensure!(
        identifies.iter().all(|identifies| *identifies == 1),
        "none was refused: {identifies:?}"
    );
    Ok(())
}

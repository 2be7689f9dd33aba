//! Rings that are grown while a consumer lives: other sizes take effect at the next start of their writer, once the
//! ring is drained, and no event is lost or doubled over it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord_e2e::{Fake, FakeOptions, Follower, Order, Stack, compare, until};

const DEADLINE: Duration = Duration::from_secs(120);
const EVENTS: u64 = 12_000;

fn slots(stack: &Stack, ring: &str) -> Result<u64> {
    let ls = stack.ls()?;
    let rings = ls["rings"].as_array().context("rings")?;
    let found = rings.iter().find(|it| it["name"] == ring).context("the ring")?;
    found["slots"].as_u64().context("its slots")
}

#[test]
fn a_ring_is_grown_under_a_living_consumer_which_misses_nothing() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions { shards: 1, events: EVENTS, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let cache = stack.cache(&["--output-slots", "1024", "--output-bytes", "1MiB"])?;
    let gateway =
        stack.gateway(&fake, "auto", &["--ring-slots", "1024", "--ring-bytes", "1MiB"])?;
    follower.read_until(EVENTS as usize / 4, DEADLINE)?;
    ensure!(
        (slots(&stack, "out")?, slots(&stack, "shard-0-1")?) == (1024, 1024),
        "{}",
        stack.ls()?
    );

    // The gateway first, so that both rings run empty; the session goes on.
    gateway.terminate(DEADLINE)?;
    let mut drained = || follower.read().is_ok() && stack.lag("journal").is_ok_and(|lag| lag == 0);
    until("the output ring to be drained", DEADLINE, &mut drained)?;
    let shard_is_drained = || {
        stack.ls().is_ok_and(|ls| {
            let rings = ls["rings"].as_array().cloned().unwrap_or_default();
            let groups = rings.into_iter().filter(|ring| ring["name"] == "shard-0-1");
            groups
                .flat_map(|ring| ring["groups"].as_array().cloned().unwrap_or_default())
                .all(|group| group["lag"] == 0)
        })
    };
    until("the shard's ring to be drained", DEADLINE, shard_is_drained)?;
    // What the cache had read and not yet published by then.
    until("the output ring to be drained", DEADLINE, &mut drained)?;
    cache.terminate(DEADLINE)?;
    let larger = ["--output-slots", "4096", "--output-bytes", "4MiB"];
    let cache = stack.cache(&larger)?;
    let _gateway =
        stack.gateway(&fake, "auto", &["--ring-slots", "4096", "--ring-bytes", "4MiB"])?;

    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;
    ensure!(slots(&stack, "out")? == 4096, "{}", cache.stderr());
    ensure!(slots(&stack, "shard-0-1")? == 4096, "{}", stack.ls()?);
    ensure!(fake.status()?.iter().all(|shard| shard.identifies == 1), "the session went on");
    Ok(())
}

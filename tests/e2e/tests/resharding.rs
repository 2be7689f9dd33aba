//! Another number of shards: what the old ones left comes first, and the cut is told.

use std::time::Duration;

use anyhow::{Context, Result};
use mixcord_e2e::{Fake, FakeOptions, Stack, until};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Discord's events and the gaps in them: without shard states, and what the cache adds.
fn of_count(lines: &[Value], count: u64) -> Vec<&Value> {
    let from_discord = |line: &&Value| line["kind"] != "SHARD_STATE" && line["index"] == 0;
    lines.iter().filter(|line| line["shards"] == count).filter(from_discord).collect()
}

/// Discord's last number in the ring of a shard of two.
fn written(stack: &Stack, shard: u16) -> Option<u64> {
    let listing = stack.ls().ok()?;
    let of = |ring: &&Value| ring["shard"]["shard"] == shard && ring["shard"]["shards"] == 2;
    listing["rings"].as_array()?.iter().find(of)?["shard"]["seq"].as_u64()
}

/// DESIGN §6, P3: while the cache is away the gateway ends with two shards and comes back with four.
#[test]
fn old_rings_are_drained_first_and_every_new_shard_begins_with_a_gap() -> Result<()> {
    let stack = Stack::new()?;
    let more = ["--max-concurrency", "16"].map(str::to_owned).to_vec();
    let options = FakeOptions { shards: 2, events: 2_000, more, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let gateway = stack.gateway(&fake, "2", &[])?;
    fake.until_finished(DEADLINE)?;
    let journal = fake.journal()?;
    let sent = journal.len();
    // What it has not read yet nobody brings again: a session of another count is not resumed.
    until("all of it to be in the rings", DEADLINE, || {
        (0..2).all(|shard| {
            let last = journal.iter().filter(|sent| sent.shard == shard).map(|sent| sent.seq).max();
            last.is_some() && written(&stack, shard) == last
        })
    })?;
    gateway.terminate(DEADLINE)?;

    let gateway = stack.gateway(&fake, "4", &[])?;
    until("four new sessions", DEADLINE, || {
        fake.log()
            .is_ok_and(|log| log.iter().filter(|line| line["what"] == "identify").count() >= 6)
    })?;
    let _cache = stack.cache(&[])?;
    until("everything of both counts", DEADLINE, || {
        let lines = lines(&tail.stdout());
        let ready = |line: &&&Value| line["kind"] == "READY";
        of_count(&lines, 2).len() >= sent && of_count(&lines, 4).iter().filter(ready).count() == 4
    })?;
    let lines = lines(&tail.stdout());
    assert_eq!(of_count(&lines, 2).len(), sent, "all of the old count, once");
    let last_old = lines.iter().rposition(|line| line["shards"] == 2).context("old")?;
    let first_new = lines.iter().position(|line| line["shards"] == 4).context("new")?;
    assert!(last_old < first_new, "old records at {last_old}, new ones from {first_new}");
    for shard in 0..4 {
        let first = of_count(&lines, 4).into_iter().find(|line| line["shard"] == shard);
        let first = first.with_context(|| format!("nothing of shard {shard}"))?;
        assert_eq!(first["kind"], "GAP", "shard {shard}: {first}");
        assert_eq!(first["data"]["reason"], "shard_count_changed");
    }
    gateway.terminate(DEADLINE)?;
    Ok(())
}

//! P2, P4, P5: SIGKILL of each process during a run; nothing lost, nothing doubled, old values right.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord_e2e::{Delivered, Fake, FakeOptions, Follower, Order, Stack, compare, until};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
const ROUNDS: usize = 4;
const EVENTS: u64 = 40_000;

/// Kinds whose state is changed by their own events alone, so that `old` must equal what the last
/// event on the same entity carried.
const CHAINED: &[&str] = &["GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE"];

const ROLES: &str =
    "role-update=600,role-create=100,role-delete=60,guild-outage=0,guild-come-and-go=0";

/// Starts a run, waits until `events` have arrived, and lets the rest come while things die.
fn events_seen(follower: &mut Follower, events: usize) -> Result<()> {
    follower.read_until(events, DEADLINE)
}

#[test]
fn gateway_killed() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions { events: EVENTS, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let _cache = stack.cache(&[])?;
    let mut gateway = stack.gateway(&fake, "auto", &[])?;
    follower.read_until_begun(options.shards, DEADLINE)?;
    for round in 1..=ROUNDS {
        events_seen(&mut follower, round * EVENTS as usize / (ROUNDS + 1))?;
        gateway.kill()?;
        gateway = stack.gateway(&fake, "auto", &[])?;
    }
    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;
    let status = fake.status()?;
    assert!(status.iter().all(|shard| shard.identifies == 1), "a session was lost: {status:?}");
    assert!(status.iter().all(|shard| shard.resumes >= 1), "nothing was resumed: {status:?}");
    Ok(())
}

#[test]
fn gateway_stopped_and_started_again_resumes() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions { events: EVENTS, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let _cache = stack.cache(&[])?;
    let gateway = stack.gateway(&fake, "auto", &["--encoding", "json"])?;
    follower.read_until_begun(options.shards, DEADLINE)?;
    events_seen(&mut follower, EVENTS as usize / 4)?;
    gateway.terminate(DEADLINE)?;
    let _gateway = stack.gateway(&fake, "auto", &["--encoding", "json"])?;
    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;
    let status = fake.status()?;
    assert!(status.iter().all(|s| s.identifies == 1 && s.resumes >= 1), "{status:?}");
    Ok(())
}

#[test]
fn cache_killed() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions {
        events: EVENTS,
        // Many role events, and no guild that leaves and comes back with other roles.
        more: vec!["--mix".into(), ROLES.into()],
        ..FakeOptions::default()
    };
    let fake = Fake::start(stack.folder(), &options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, CHAINED)?;
    let mut cache = stack.cache(&[])?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    for round in 1..=ROUNDS {
        events_seen(&mut follower, round * EVENTS as usize / (ROUNDS + 1))?;
        cache.kill()?;
        cache = stack.cache(&[])?;
    }
    let sent = follower.read_all(&fake, DEADLINE)?;
    compare(&sent, &follower.delivered, Order::Shard)?;
    old_follows_new(&follower.delivered)
}

#[test]
fn consumers_killed() -> Result<()> {
    let stack = Stack::new()?;
    let fake =
        Fake::start(stack.folder(), &FakeOptions { events: EVENTS, ..FakeOptions::default() })?;
    let _cache = stack.cache(&[])?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    let group = ["--group", "workers", "--from", "earliest"];
    let mut alive = stack.tail(&group)?;
    let mut steady = Follower::new(&alive, &[])?;
    let mut followers = Vec::new();
    for round in 1..=ROUNDS {
        let victim = stack.tail(&group)?;
        let mut follower = Follower::new(&victim, &[])?;
        until("the victim to be given work", DEADLINE, || {
            follower.read().is_ok_and(|seen| seen >= 50)
        })?;
        if round % 2 == 0 {
            // The one that was there first dies, and the newcomer takes over its partitions.
            std::mem::replace(&mut alive, victim).kill()?;
            std::mem::swap(&mut steady, &mut follower);
        } else {
            victim.kill()?;
        }
        follower.read()?;
        followers.push(follower);
    }
    fake.until_finished(DEADLINE)?;
    let sent = fake.journal()?;
    let mut unique = 0;
    until("the group to have handled everything", DEADLINE, || {
        let _ = steady.read();
        let all = followers.iter().chain([&steady]);
        unique = identities(all.flat_map(|f| f.delivered.iter())).len();
        unique >= sent.len()
    })?;
    followers.push(steady);

    // A record is given again only where its holder died before acknowledging it (P2): at most the
    // one event of each of the 64 partitions that was out at a death, and nothing else.
    let all: Vec<Delivered> = followers.iter().flat_map(|f| f.delivered.iter().cloned()).collect();
    let doubled = all.iter().filter(|d| d.is_sent()).count() - sent.len();
    ensure!(doubled <= ROUNDS * 64, "{doubled} events were given twice");
    for follower in &followers {
        let within = identities(follower.delivered.iter());
        let given = follower.delivered.iter().filter(|d| d.is_sent()).count();
        ensure!(within.len() == given, "one member was given an event twice");
    }
    let mut once: Vec<Delivered> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for event in all {
        if seen.insert((event.shard, event.session, event.seq, event.index)) {
            once.push(event);
        }
    }
    compare(&sent, &once, Order::Any)
}

type Identity = (Option<u16>, Option<u32>, Option<u64>, Option<u16>);

fn identities<'a>(
    events: impl Iterator<Item = &'a Delivered>,
) -> std::collections::HashSet<Identity> {
    events.filter(|d| d.is_sent()).map(|d| (d.shard, d.session, d.seq, d.index)).collect()
}

/// For every role, `old` equals what the event before it on that role left behind.
fn old_follows_new(delivered: &[Delivered]) -> Result<()> {
    let mut last: HashMap<String, Value> = HashMap::new();
    let mut checked = 0;
    for event in delivered.iter().filter(|event| CHAINED.contains(&event.kind.as_str())) {
        let id = match event.kind.as_str() {
            "GUILD_ROLE_DELETE" => &event.data["role_id"],
            _ => &event.data["role"]["id"],
        };
        let id = id.as_str().unwrap_or_default().to_owned();
        ensure!(!id.is_empty(), "a role event without a role: {event:?}");
        if let Some(before) = last.get(&id) {
            let old = event.old.get("role").unwrap_or(&event.old);
            ensure!(
                old == &before["role"],
                "{} of role {id}: old is {old}, the event before left {before}",
                event.kind
            );
            checked += 1;
        }
        last.insert(id, event.data.clone());
    }
    ensure!(
        checked > 20,
        "only {checked} role events had one before them: the test proves nothing"
    );
    Ok(())
}

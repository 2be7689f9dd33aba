//! A state that was lost under living sessions is whole again soon, by one new session a shard, whoever is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::State;
use mixcord::state::Resource;
use mixcord_e2e::{Delivered, Fake, FakeOptions, Follower, Sent, Stack, View, differences, until};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
const SHARDS: u16 = 3;

/// What comes with a guild; messages and integrations only come with their own events.
const SEEDED: View = View {
    shown: &[
        Resource::Guilds,
        Resource::Channels,
        Resource::Threads,
        Resource::Roles,
        Resource::Emojis,
        Resource::Stickers,
        Resource::Members,
        Resource::Presences,
        Resource::VoiceStates,
        Resource::StageInstances,
        Resource::ScheduledEvents,
        Resource::SoundboardSounds,
        Resource::Users,
    ],
    hidden: &[],
    untold: &["last_message_id", "last_pin_timestamp", "message_count", "total_message_sent"],
};

fn options(more: &[&str]) -> FakeOptions {
    // Without outages: a guild that is away at the end is in the world, and no new session was told of it.
    let mix = "presence=400,message=250,typing=90,voice=60,message-update=45,member-update=35,member-add=20,\
        member-remove=20,user-rename=10,channel-update=5,channel-create=5,role-update=5,role-create=3";
    let common = ["--heartbeat-ms", "1000", "--identify-seconds", "0.05", "--mix", mix];
    let more = common.iter().chain(more).map(|option| (*option).to_owned()).collect();
    FakeOptions {
        shards: SHARDS,
        guilds: 9,
        members: 20,
        events: 6_000,
        more,
        ..FakeOptions::default()
    }
}

const GATEWAY: [&str; 6] =
    ["--identify-spacing-ms", "60", "--reconnect-min-ms", "20", "--reconnect-max-ms", "200"];

/// Shards whose second session is in the ring.
fn refilled(stack: &Stack) -> Result<usize> {
    let listing = stack.ls()?;
    let rings = listing["rings"].as_array().context("rings")?;
    Ok(rings.iter().filter(|ring| ring["shard"]["session"] == 2).count())
}

fn waiting(stack: &Stack) -> Result<usize> {
    let listing = stack.ls()?;
    let rings = listing["rings"].as_array().context("rings")?;
    Ok(rings.iter().filter(|ring| ring["shard"]["awaits_refill"] == true).count())
}

/// The state equals the world once all is read.
fn is_whole(fake: &Fake, stack: &Stack) -> Result<()> {
    let state = State::attach(stack.instance())?;
    let mut found = Vec::new();
    let whole = until("the state to be the world", DEADLINE, || {
        let Ok(world) = fake.world() else { return false };
        found = differences(&world, &state, SEEDED).unwrap_or_else(|error| vec![error.to_string()]);
        found.is_empty()
    });
    let first = &found[..found.len().min(5)];
    whole.with_context(|| format!("{} differences, the first are {first:#?}", found.len()))
}

/// Every event that is missing in the stream is behind a GAP: the new session is delivered from its first number on, but
/// for what the old one brought, and of the old one only what comes behind its gap is missing. What it brings there is
/// of guilds that have not come on the new one yet.
fn explained(sent: &[Sent], delivered: &[Delivered]) -> Result<()> {
    let mut seen: BTreeMap<(u16, u32), Vec<u64>> = BTreeMap::new();
    let mut told: BTreeMap<u16, Vec<&Value>> = BTreeMap::new();
    // Of the old session behind the gap, up to the last guild that came, and behind it.
    let mut late: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    let mut too_late: BTreeMap<u16, u64> = BTreeMap::new();
    for event in delivered {
        let shard = event.shard.context("a shard")?;
        if event.kind == "GAP" {
            told.entry(shard).or_default().push(&event.data);
        } else if event.is_sent() {
            let session = event.session.context("a session")?;
            let seq = event.seq.context("a number")?;
            let is_late = session == 1 && told.get(&shard).is_some_and(|told| told.len() == 2);
            if is_late {
                late.entry(shard).or_default().push(seq);
                too_late.insert(shard, seq);
            } else {
                seen.entry((shard, session)).or_default().push(seq);
            }
            if session == 2 && event.kind == "GUILD_CREATE" {
                too_late.remove(&shard);
            }
        }
    }
    ensure!(too_late.is_empty(), "of the old sessions, behind the last guild: {too_late:?}");
    for shard in 0..SHARDS {
        let reasons: Vec<_> = told[&shard].iter().map(|gap| gap["reason"].as_str()).collect();
        ensure!(reasons == [Some("state_lost"), Some("refill")], "shard {shard}: {reasons:?}");
        let from = told[&shard][1]["from_seq"].as_u64().context("from_seq")?;
        let old = &seen[&(shard, 1)];
        ensure!(
            old.iter().copied().eq(1..from),
            "shard {shard}: not whole up to its gap at {from}"
        );
        let late = late.remove(&shard).unwrap_or_default();
        let rises = late.windows(2).all(|pair| pair[0] < pair[1]);
        ensure!(
            rises && late.first().is_none_or(|first| *first >= from),
            "shard {shard}: {late:?}"
        );
        let new = &seen[&(shard, 2)];
        let last = sent.iter().filter(|sent| (sent.shard, sent.session) == (shard, 2));
        let last = last.map(|sent| sent.seq).max().context("a second session")?;
        ensure!(
            new.is_sorted() && new.last() == Some(&last),
            "shard {shard}: the new session ends early"
        );
        // What is missing of it is what the old one brought of guilds that came later.
        let missing = usize::try_from(last)? - new.len();
        ensure!(missing <= 200, "shard {shard}: {missing} events of the new session are missing");
    }
    Ok(())
}

fn one_identify_a_shard(fake: &Fake) -> Result<()> {
    let identifies: Vec<_> = fake.status()?.iter().map(|shard| shard.identifies).collect();
    ensure!(identifies == vec![2; SHARDS.into()], "{identifies:?}");
    Ok(())
}

#[test]
fn a_store_removed_under_living_sessions_is_whole_again_while_events_flow() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &FakeOptions { rate: 1_500, ..options(&[]) })?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &["GAP"])?;
    let _gateway = stack.gateway(&fake, "auto", &GATEWAY)?;
    let cache = stack.cache(&[])?;
    follower.read_until(1_000, DEADLINE)?;
    cache.kill()?;
    std::fs::remove_dir_all(mixcord_event::topology::state_dir(stack.instance()))?;
    let _cache = stack.cache(&[])?;
    until("new sessions", DEADLINE, || refilled(&stack).is_ok_and(|shards| shards == 3))?;
    fake.until_finished(DEADLINE)?;
    is_whole(&fake, &stack)?;
    let sent = by_ordinal(fake.journal()?);
    let last = |shard, session| {
        let of = sent.iter().filter(|sent| (sent.shard, sent.session) == (shard, session));
        of.map(|sent| sent.seq).max()
    };
    let given = |delivered: &[Delivered], shard| {
        let of = delivered.iter().filter(|it| (it.shard, it.session) == (Some(shard), Some(2)));
        of.filter_map(|it| it.seq).max()
    };
    until("all of the new sessions", DEADLINE, || {
        let read = follower.read().is_ok();
        read && (0..SHARDS).all(|shard| given(&follower.delivered, shard) >= last(shard, 2))
    })?;
    explained(&sent, &follower.delivered)?;
    one_identify_a_shard(&fake)
}

/// Sessions of each shard counted from 1.
fn by_ordinal(sent: Vec<Sent>) -> Vec<Sent> {
    let mut sessions: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    let ordinal = |mut sent: Sent| {
        let known = sessions.entry(sent.shard).or_default();
        let at = known.iter().position(|session| *session == sent.session);
        let at = at.unwrap_or_else(|| {
            known.push(sent.session);
            known.len() - 1
        });
        sent.session = u32::try_from(at + 1).unwrap_or(u32::MAX);
        sent
    };
    sent.into_iter().map(ordinal).collect()
}

/// Each shard begins one session, though gateway and cache are killed when some have and the others wait for the
/// budget; nobody waits at the end.
#[test]
fn kills_in_the_middle_change_nothing() -> Result<()> {
    let stack = Stack::new()?;
    // All begin, one begins again, and as many are left as there are shards.
    let left = (2 * SHARDS + 1).to_string();
    let fake = Fake::start(stack.folder(), &options(&["--identifies", &left]))?;
    let mut gateway = stack.gateway(&fake, "auto", &GATEWAY)?;
    let mut cache = stack.cache(&[])?;
    fake.until_finished(DEADLINE)?;
    is_whole(&fake, &stack)?;
    cache.kill()?;
    std::fs::remove_dir_all(mixcord_event::topology::state_dir(stack.instance()))?;
    cache = stack.cache(&[])?;
    for begun in 1..=usize::from(SHARDS) {
        until("one more session", DEADLINE, || {
            refilled(&stack).is_ok_and(|shards| shards == begun)
        })?;
        gateway.kill()?;
        cache.kill()?;
        ensure!(waiting(&stack)? == usize::from(SHARDS) - begun, "{}", stack.ls()?);
        // One more than is kept.
        fake.post(&format!("/fake/bot?remaining={}", SHARDS + 1))?;
        cache = stack.cache(&[])?;
        gateway = stack.gateway(&fake, "auto", &GATEWAY)?;
    }
    is_whole(&fake, &stack)?;
    one_identify_a_shard(&fake)?;
    ensure!(waiting(&stack)? == 0);
    gateway.terminate(Duration::from_secs(10))?;
    cache.terminate(Duration::from_secs(10))?;
    Ok(())
}

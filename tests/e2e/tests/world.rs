//! The state after all events is the world of fake-discord as far as the intents show it, whatever
//! died on the way.

use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord::State;
use mixcord::state::Resource;
use mixcord_e2e::{Fake, FakeOptions, Follower, Stack, View, differences};

const DEADLINE: Duration = Duration::from_secs(120);

/// About what a large bot sees, with the oddities that come only when they are named.
const ODDITIES: &str = "presence=400,message=250,typing=90,voice=60,message-update=45,\
    member-update=35,message-delete=15,member-add=20,member-remove=20,user-rename=10,\
    channel-update=5,channel-create=5,channel-delete=5,role-update=5,role-create=3,role-delete=3,\
    reaction-add=30,reaction-remove=10,thread-create=5,thread-update=3,thread-delete=3,\
    unknown=20,stale-update=40,stray-presence=40,early-member=20";

/// Channels that the bot may not see for a while. The world forgets what was written there before, the
/// cache does not.
const HIDDEN: &str = "hidden-channel=50,channel-update=20,channel-create=10,channel-delete=10,\
    thread-create=10,thread-update=10,thread-delete=5,voice=20,message=50,role-update=5";
const ALL_BUT_MESSAGES: View = View {
    shown: &[
        Resource::Guilds,
        Resource::Roles,
        Resource::Channels,
        Resource::Threads,
        Resource::Members,
        Resource::VoiceStates,
    ],
    hidden: &[],
    untold: &[],
};

/// Guilds that leave, come back, and are away for a while, in the midst of everything else.
const COMING_AND_GOING: &str = "guild-outage=60,guild-come-and-go=60,presence=100,message=100,\
    voice=60,member-update=50,member-add=30,member-remove=30,user-rename=20,role-update=10,\
    channel-update=10,channel-create=5,channel-delete=5,thread-create=10,emojis=5,stickers=5,\
    sounds=5,stage-create=5,scheduled-create=5,automod-rules=5,integrations=5";

/// What stays true without members, presences, voice states, messages and the rest.
const GUILDS_ALONE: View = View {
    shown: &[Resource::Roles, Resource::Channels, Resource::Threads, Resource::StageInstances],
    hidden: &[Resource::Presences, Resource::VoiceStates, Resource::Messages],
    untold: &["last_message_id", "last_pin_timestamp", "member_count"],
};

fn options(events: u64, mix: &str) -> FakeOptions {
    FakeOptions { events, more: vec!["--mix".into(), mix.into()], ..FakeOptions::default() }
}

fn equal(fake: &Fake, stack: &Stack, view: View) -> Result<()> {
    let found = differences(&fake.world()?, &State::attach(stack.instance())?, view)?;
    let first = found.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    ensure!(found.is_empty(), "{} differences, the first ones:\n{first}", found.len());
    Ok(())
}

/// The state after a run without deaths.
fn undisturbed(options: &FakeOptions, gateway: &[&str], view: View) -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), options)?;
    let tail = stack.tail(&["--group", "journal", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let _cache = stack.cache(&[])?;
    let _gateway = stack.gateway(&fake, "auto", gateway)?;
    follower.read_all(&fake, DEADLINE)?;
    equal(&fake, &stack, view)
}

#[test]
fn every_kind_of_event() -> Result<()> {
    undisturbed(&options(20_000, "even"), &["--encoding", "etf"], View::WHOLE)
}

#[test]
fn what_a_large_bot_sees_with_oddities() -> Result<()> {
    undisturbed(&options(40_000, ODDITIES), &["--encoding", "json"], View::WHOLE)
}

#[test]
fn channels_that_are_out_of_sight_for_a_while() -> Result<()> {
    undisturbed(&options(10_000, HIDDEN), &[], ALL_BUT_MESSAGES)
}

#[test]
fn guilds_that_come_and_go() -> Result<()> {
    undisturbed(&options(20_000, COMING_AND_GOING), &[], View::WHOLE)
}

#[test]
fn guilds_of_more_members_than_are_told_at_once() -> Result<()> {
    let options = FakeOptions { guilds: 4, members: 120, ..options(10_000, "even") };
    undisturbed(&options, &[], View::WHOLE)
}

#[test]
fn with_the_intent_of_guilds_alone() -> Result<()> {
    undisturbed(&options(10_000, "even"), &["--intents", "GUILDS"], GUILDS_ALONE)
}

#[test]
fn with_every_process_killed_again_and_again() -> Result<()> {
    const EVENTS: u64 = 40_000;
    const ROUNDS: usize = 9;
    let stack = Stack::new()?;
    let options = options(EVENTS, "even");
    let fake = Fake::start(stack.folder(), &options)?;
    let group = ["--group", "journal", "--from", "earliest"];
    let mut tail = stack.tail(&group)?;
    let mut follower = Follower::new(&tail, &[])?;
    let mut cache = stack.cache(&[])?;
    let mut gateway = stack.gateway(&fake, "auto", &[])?;
    follower.read_until_begun(options.shards, DEADLINE)?;
    let mut seen = 0;
    for round in 1..=ROUNDS {
        let wanted = round * EVENTS as usize / (ROUNDS + 1);
        follower.read_until(wanted.saturating_sub(seen), DEADLINE)?;
        match round % 3 {
            0 => {
                tail.kill()?;
                seen += follower.read()?;
                tail = stack.tail(&group)?;
                follower = Follower::new(&tail, &[])?;
            }
            1 => {
                gateway.kill()?;
                gateway = stack.gateway(&fake, "auto", &[])?;
            }
            _ => {
                cache.kill()?;
                cache = stack.cache(&[])?;
            }
        }
    }
    fake.until_finished(DEADLINE)?;
    // A repetition for each death of the consumer, at most one a partition, counts as seen.
    let sent = fake.journal()?.len();
    follower.read_until(sent.saturating_sub(seen), DEADLINE)?;
    mixcord_e2e::until("the group to have caught up", DEADLINE, || {
        follower.read().is_ok() && stack.lag("journal").is_ok_and(|lag| lag == 0)
    })?;
    // Of what was given to the consumer that died some counted twice: the cache may be at the last ones yet.
    let mut found = Ok(());
    let whole = mixcord_e2e::until("the state to be the world", DEADLINE, || {
        found = equal(&fake, &stack, View::WHOLE);
        found.is_ok()
    });
    found.and(whole)
}

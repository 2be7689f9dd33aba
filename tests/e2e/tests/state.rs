//! The SDK's queries, asked of a cache that runs: what they answer, and what they say when they
//! cannot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mixcord::state::{Error, Resource};
use mixcord::{Consumer, Kind, Next, State, atoms};
use mixcord_e2e::furnish::{CHANNEL, GUILD, MEMBERS, channel_name, furnished, rename, until_named};
use mixcord_e2e::{Program, Stack, until};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn every_query_answers_what_the_events_said() -> Result<()> {
    let stack = Stack::new()?;
    let (_shard, _cache, state) = furnished(&stack, &[])?;
    let name = |answer: mixcord::state::Answer| -> Result<String> {
        let document = answer?.context("it is cached")?;
        Ok(document.get(atoms::NAME).and_then(|name| name.as_str()).unwrap_or("").to_owned())
    };
    assert_eq!(name(state.guild(GUILD))?, "the guild");
    assert_eq!(name(state.channel(CHANNEL))?, "ready");
    assert_eq!(name(state.channel(210))?, "thread");
    assert_eq!(name(state.role(GUILD, 300))?, "role");
    assert_eq!(name(state.emoji(GUILD, 401))?, "other");
    assert_eq!(name(state.sticker(GUILD, 500))?, "sticker");
    assert_eq!(name(state.entity(Resource::ScheduledEvents, GUILD, 601))?, "event");
    assert_eq!(name(state.entity(Resource::SoundboardSounds, GUILD, 602))?, "sound");
    for (resource, id) in [
        (Resource::StageInstances, 600),
        (Resource::Integrations, 603),
        (Resource::AutomodRules, 604),
    ] {
        assert!(state.entity(resource, GUILD, id)?.is_some(), "{resource}");
    }
    let user = |document: &mixcord::event::Document| {
        document.get(atoms::USERNAME).and_then(|name| name.as_str()).map(str::to_owned)
    };
    assert_eq!(state.me()?.as_ref().and_then(user).as_deref(), Some("bot"));
    assert_eq!(state.user(1000)?.as_ref().and_then(user).as_deref(), Some("user 1000"));
    assert_eq!(
        state.presence(GUILD, 1001)?.and_then(|it| Some(it.get(atoms::STATUS)?.to_json())),
        Some("\"idle\"".to_owned())
    );
    assert_eq!(
        state.voice_state(GUILD, 1002)?.and_then(|it| it.get(atoms::CHANNEL_ID)?.as_id()),
        Some(201)
    );
    assert_eq!(state.guild_of_channel(210)?, Some(GUILD));
    assert_eq!(state.shard_of_guild(GUILD)?, Some((0, 1)));
    assert_eq!(state.member_counts(GUILD)?, Some((Some(MEMBERS), MEMBERS)));

    // What is not there is no error.
    assert!(state.guild(1)?.is_none() && state.channel(1)?.is_none());
    assert!(state.member(GUILD, 1)?.is_none() && state.user(2)?.is_none());
    assert!(state.emoji(GUILD, 1)?.is_none() && state.message(CHANNEL, 99)?.is_none());
    assert_eq!((state.guild_of_channel(1)?, state.shard_of_guild(1)?), (None, None));
    assert_eq!(state.members(1).count() + state.messages_after(1, 0, 9).count(), 0);
    Ok(())
}

#[test]
fn entities_are_read_into_types_of_ones_own() -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Member<'a> {
        #[serde(borrow)]
        user: User<'a>,
        nick: Option<&'a str>,
        guild_id: u64,
        roles: Vec<u64>,
    }
    #[derive(serde::Deserialize)]
    struct User<'a> {
        id: u64,
        username: &'a str,
    }
    let stack = Stack::new()?;
    let (_shard, _cache, state) = furnished(&stack, &[])?;
    let document = state.member(GUILD, 1003)?.context("a member")?;
    let member: Member<'_> = document.read()?;
    assert_eq!((member.user.id, member.user.username), (1003, "user 1003"));
    assert_eq!((member.nick, member.guild_id), (Some("nick 1003"), GUILD));
    assert_eq!(member.roles, [300]);
    Ok(())
}

#[test]
fn lists_come_in_order_in_pages_and_hold_nothing_between_them() -> Result<()> {
    let stack = Stack::new()?;
    let (mut shard, _cache, state) = furnished(&stack, &[])?;
    let ids = |entities: mixcord::state::Entities| -> Result<Vec<u64>, Error> {
        entities.map(|found| found.map(|found| found.id)).collect()
    };
    let members: Vec<_> = (1_000..1_000 + MEMBERS).collect();
    assert_eq!(ids(state.members(GUILD))?, members);
    assert_eq!(ids(state.channels(GUILD))?, [200, 201]);
    assert_eq!(ids(state.threads(GUILD))?, [210]);
    assert_eq!(ids(state.roles(GUILD))?, [100, 300]);
    assert_eq!(ids(state.guilds())?, [GUILD]);
    assert_eq!(ids(state.entities_of(Resource::Emojis, GUILD))?, [400, 401]);
    assert_eq!(ids(state.entities(Resource::Users))?.len() as u64, MEMBERS);
    assert_eq!(ids(state.messages_before(CHANNEL, u64::MAX, 3))?, [20, 19, 18]);
    assert_eq!(ids(state.messages_before(CHANNEL, 3, 9))?, [2, 1]);
    assert_eq!(ids(state.messages_after(CHANNEL, 17, 9))?, [18, 19, 20]);
    assert_eq!(ids(state.messages_after(CHANNEL, 0, 2))?, [1, 2]);
    assert_eq!(ids(state.messages_before(CHANNEL, 0, 2))?.len(), 0);
    for (resource, wanted) in [
        (Resource::Members, MEMBERS),
        (Resource::Emojis, 2),
        (Resource::Messages, 20),
        (Resource::Integrations, 1),
    ] {
        assert_eq!(state.count(resource)?, wanted, "{resource}");
    }

    // Half read, with the member that comes next gone by then.
    let mut half = state.members(GUILD);
    let first: Vec<_> = half.by_ref().take(256).collect::<Result<_, _>>()?;
    assert_eq!(first.last().map(|found| found.id), Some(1_255));
    let gone = json!({"guild_id": "100", "user": {"id": "1256"}});
    shard.send("GUILD_MEMBER_REMOVE", GUILD, &gone)?;
    shard.send("CHANNEL_UPDATE", GUILD, &rename("without 1256"))?;
    until_named(&state, "without 1256")?;
    assert_eq!(half.next().context("a member")??.id, 1_257);
    Ok(())
}

#[test]
fn it_is_said_what_to_do_when_there_is_no_state() -> Result<()> {
    let stack = Stack::new()?;
    assert!(State::attach("Not A Name").is_err_and(|error| error.is_configuration()));
    let state = State::attach(stack.instance())?;
    let error = state.guild(GUILD).expect_err("nothing runs");
    assert!(error.is_not_yet() && error.to_string().contains("start mixcord-cache"), "{error}");
    assert!(state.guilds().next().is_some_and(|first| first.is_err()));
    assert!(stack.segments().is_empty(), "asking left something behind");

    // It is found once it is there, answers while the cache is away, and goes on with the next one.
    let (mut shard, cache, _) = furnished(&stack, &[])?;
    until_named(&state, "ready")?;
    cache.kill()?;
    assert_eq!(channel_name(&state)?.as_deref(), Some("ready"));
    let cache = stack.cache(&[])?;
    shard.send("CHANNEL_UPDATE", GUILD, &rename("restarted"))?;
    until_named(&state, "restarted")?;
    cache.terminate(DEADLINE)?;

    let cache = stack.cache(&["--store", "none"])?;
    until("the cache to say that it keeps no state", DEADLINE, || {
        matches!(state.guild(GUILD), Err(Error::Off { .. }))
    })?;
    cache.terminate(DEADLINE)?;
    let _cache = stack.cache(&[])?;
    // What was published without the store is not in it: it begins anew, and is told of the guild again.
    let again = json!({"id": "100", "name": "the guild", "channels": [rename("kept again")]});
    shard.send("GUILD_CREATE", GUILD, &again)?;
    until_named(&state, "kept again")
}

#[test]
fn a_store_that_was_lost_is_opened_anew() -> Result<()> {
    let stack = Stack::new()?;
    let (mut shard, cache, state) = furnished(&stack, &[])?;
    let dir = state.directory()?;
    // In order, so that everything given is acknowledged and comes to no other cache.
    cache.terminate(DEADLINE)?;
    std::fs::remove_dir_all(&dir)?;
    // What was open still answers.
    assert_eq!(channel_name(&state)?.as_deref(), Some("ready"));
    let _cache = stack.cache(&[])?;
    let again = json!({"id": "100", "name": "the guild", "channels": [rename("of the new store")]});
    shard.send("GUILD_CREATE", GUILD, &again)?;
    until_named(&state, "of the new store")?;
    assert!(state.member(GUILD, 1_003)?.is_none(), "this is the lost store");
    Ok(())
}

#[test]
fn an_event_of_a_new_store_is_never_answered_from_the_old_one() -> Result<()> {
    let stack = Stack::new()?;
    let (mut shard, mut cache, state) = furnished(&stack, &[])?;
    let mut consumer = Consumer::builder()
        .instance(stack.instance())
        .group("asker")
        .kinds([Kind::GUILD_CREATE])
        .connect_blocking()?;
    for store in 1..=5 {
        cache.terminate(DEADLINE)?;
        std::fs::remove_dir_all(state.directory()?)?;
        cache = stack.cache(&[])?;
        let name = format!("of store {store}");
        let again = json!({"id": "100", "name": "the guild", "channels": [rename(&name)]});
        shard.send("GUILD_CREATE", GUILD, &again)?;
        let deadline = Instant::now() + DEADLINE;
        let event = loop {
            ensure!(Instant::now() < deadline, "the event does not come");
            // The old store is in use until the very moment of the event.
            let _ = channel_name(&state);
            let Next::Event(event) = consumer.next_timeout(Duration::ZERO)? else { continue };
            if event.data().to_json().contains(&name) {
                break event;
            }
            // What furnished the state is published only after it can be read.
            event.ack();
        };
        assert_eq!(channel_name(event.state())?.as_deref(), Some(name.as_str()));
        event.ack();
    }
    Ok(())
}

#[test]
fn stores_may_come_and_go_under_many_threads_that_ask() -> Result<()> {
    const STORES: u64 = 6;
    let stack = Stack::new()?;
    let (mut shard, mut cache, state) = furnished(&stack, &[])?;
    let dir = state.directory()?;
    let (newest, done) = (AtomicU64::new(0), AtomicBool::new(false));
    // Asks until all is done; nothing of an older store comes once a newer one was seen.
    let ask = || -> Result<u64> {
        let mut asked = 0;
        while !done.load(Ordering::SeqCst) {
            let known = newest.load(Ordering::SeqCst);
            match channel_name(&state) {
                Ok(Some(name)) => {
                    let seen = name.strip_prefix("store ").and_then(|store| store.parse().ok());
                    ensure!(seen.unwrap_or(0) >= known, "{name} after store {known}");
                }
                Ok(None) => {}
                Err(error) => ensure!(error.is_not_yet(), "{error}"),
            }
            let members = state.members(GUILD).take_while(Result::is_ok).count();
            ensure!(members as u64 <= MEMBERS, "{members} members");
            asked += 1;
        }
        Ok(asked)
    };
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let replaced = (1..=STORES).try_for_each(|store| -> Result<()> {
            cache.signal(nix::sys::signal::Signal::SIGTERM)?;
            until("the cache to end", DEADLINE, || !cache.is_running())?;
            std::fs::remove_dir_all(&dir)?;
            cache = stack.cache(&[])?;
            let name = format!("store {store}");
            let again = json!({"id": "100", "name": "the guild", "channels": [rename(&name)]});
            shard.send("GUILD_CREATE", GUILD, &again)?;
            until_named(&state, &name)?;
            newest.store(store, Ordering::SeqCst);
            Ok(())
        });
        done.store(true, Ordering::SeqCst);
        for asker in askers {
            assert!(asker.join().expect("no panic")? > 0);
        }
        replaced
    })
}

#[test]
fn a_state_elsewhere_is_found() -> Result<()> {
    let stack = Stack::new()?;
    let dir = stack.folder().join("state");
    let place = dir.to_str().context("a path")?;
    let (_shard, cache, state) = furnished(&stack, &["--state", place])?;
    assert_eq!(state.directory()?, dir.canonicalize()?);
    assert_eq!(stack.ls()?["state"]["path"].as_str(), dir.canonicalize()?.to_str());
    cache.terminate(DEADLINE)?;
    // Back to the default place, which is what readers follow.
    let _cache = stack.cache(&[])?;
    until("the default store to be read", DEADLINE, || {
        state.directory().is_ok_and(|found| found != dir)
    })
}

#[test]
fn a_state_elsewhere_is_removed_with_its_instance_and_nothing_else_is() -> Result<()> {
    let stack = Stack::new()?;
    let dir = stack.folder().join("state");
    let place = dir.to_str().context("a path")?;
    let (shard, cache, _) = furnished(&stack, &["--state", place])?;
    std::fs::write(dir.join("of somebody else"), "kept")?;
    cache.terminate(DEADLINE)?;
    drop(shard);
    let removed = stack.mixcord().args(["rm", "--instance", stack.instance()]).output()?;
    assert!(removed.status.success(), "{removed:?}");
    let left: Vec<_> = std::fs::read_dir(&dir)?.flatten().map(|it| it.file_name()).collect();
    assert_eq!(left, ["of somebody else"]);
    assert!(stack.segments().is_empty(), "{:?}", stack.segments());
    Ok(())
}

#[test]
fn a_store_that_others_could_have_written_is_not_read() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let stack = Stack::new()?;
    let (_shard, cache, state) = furnished(&stack, &[])?;
    let dir = state.directory()?;
    cache.terminate(DEADLINE)?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
    let other = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_asks", "--nocapture"])
        .env("ASK_INSTANCE", stack.instance())
        .output()?;
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(said.contains("mode 0700"), "{said}");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
    std::fs::write(dir.join("format"), "mixcord-state 2\nanother-boot\n")?;
    let other = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_asks", "--nocapture"])
        .env("ASK_INSTANCE", stack.instance())
        .output()?;
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(said.contains("start mixcord-cache"), "{said}");
    Ok(())
}

/// Not a test of its own: a process that asks once, and says what came of it.
#[test]
fn child_that_asks() -> Result<()> {
    let Ok(instance) = std::env::var("ASK_INSTANCE") else { return Ok(()) };
    println!("{:?}", State::attach(&instance)?.guild(GUILD));
    Ok(())
}

#[test]
fn the_example_answers_from_the_state() -> Result<()> {
    let stack = Stack::new()?;
    let (mut shard, _cache, _) = furnished(&stack, &[])?;
    let mut command = std::process::Command::new(Program::path("examples/who"));
    command.env("MIXCORD_INSTANCE", stack.instance());
    let example = Program::start("who", stack.folder(), &mut command)?;
    until("the example to join", DEADLINE, || stack.lag("who").is_ok())?;
    let ask = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": "!who",
                     "author": {"id": "1002", "username": "user 1002"}});
    shard.send("MESSAGE_CREATE", GUILD, &ask)?;
    let wanted = "this is the guild: 2 channels, 2 roles\n\
                  you are Some(\"nick 1002\"), in the voice channel Some(201)\n\
                  you may: ";
    until("the answer", DEADLINE, || example.stdout().starts_with(wanted))?;
    assert_eq!(example.terminate(DEADLINE)?.code, Some(0));
    Ok(())
}

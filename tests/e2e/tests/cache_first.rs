//! P4: a handler that asks the state sees its event in it, or something later, whatever dies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::event::Document;
use mixcord::{Consumer, Event, Kind, Stop, atoms};
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, until};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
const EVENTS: u64 = 30_000;
const KILLS: usize = 4;

/// Roles and channels are changed by their own events alone, so that each state they have is one that
/// an event told.
const MIX: &str = "role-update=300,role-create=60,role-delete=40,channel-update=200,message=400,\
                   presence=200,member-update=100";

/// What a handler saw of an entity while it had an event of it.
struct Look {
    /// Where the event stands among those of its shard.
    at: (u16, u64),
    /// The entity's kind and id.
    entity: (&'static str, u64),
    /// What the event left of it.
    told: Option<Value>,
    /// What the state said.
    seen: Option<Value>,
}

#[test]
fn a_handler_sees_its_event_or_something_later() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions {
        events: EVENTS,
        more: vec!["--mix".into(), MIX.into()],
        ..FakeOptions::default()
    };
    let fake = Fake::start(stack.folder(), &options)?;
    let (looks, stop) = (Arc::new(Mutex::new(Vec::new())), Stop::new());
    let handled = Arc::new(AtomicUsize::new(0));
    let builder =
        Consumer::builder().instance(stack.instance()).group("asker").from_earliest().stop(&stop);
    let (looked, counted) = (Arc::clone(&looks), Arc::clone(&handled));
    let consumer = std::thread::spawn(move || {
        // All that was sent is counted, however late it comes.
        let builder = builder.concurrency(4).max_age(Kind::INTERACTION_CREATE, None);
        builder.connect_blocking()?.run_blocking(|event: Event| {
            // A handler that cannot ask would be given its event for ever: this ends the test instead.
            let look = look(&event).unwrap_or_else(|error| panic!("{error:#}"));
            looked.lock().expect("sound").extend(look);
            counted.fetch_add(usize::from(is_sent(&event)), Ordering::SeqCst);
        })
    });

    let mut cache = stack.cache(&[])?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    for round in 1..=KILLS {
        until_handled(&handled, round * EVENTS as usize / (KILLS + 1), &cache)?;
        cache.kill()?;
        cache = stack.cache(&[])?;
    }
    fake.until_finished(DEADLINE)?;
    until_handled(&handled, fake.journal()?.len(), &cache)?;
    stop.stop();
    consumer.join().expect("no panic")?;
    let looks = std::mem::take(&mut *looks.lock().expect("sound"));
    judge(looks)
}

fn until_handled(handled: &AtomicUsize, events: usize, cache: &Program) -> Result<()> {
    let seen = || handled.load(Ordering::SeqCst);
    until("the events to be handled", DEADLINE, || seen() >= events)
        .with_context(|| format!("{} of {events} handled; the cache: {}", seen(), cache.stderr()))
}

fn is_sent(event: &Event) -> bool {
    event.index() == 0 && ![Kind::GAP, Kind::SHARD_STATE].contains(&event.kind())
}

/// Asks the state for what the event is about.
fn look(event: &Event) -> Result<Option<Look>> {
    let Some(guild) = event.guild_id() else { return Ok(None) };
    let (state, data) = (event.state(), event.data());
    let id = |key| data.get(key).and_then(|id| id.as_id()).context("an id");
    let parse = |document: Document| serde_json::from_str::<Value>(&document.to_json());
    let at = (event.shard().id, event.identity().position);
    let kind = event.kind();
    if kind == Kind::GUILD_ROLE_CREATE || kind == Kind::GUILD_ROLE_UPDATE {
        let role = data.get(atoms::ROLE).context("a role")?;
        let id = role.get(atoms::ID).and_then(|id| id.as_id()).context("an id")?;
        let told = Some(parse(role.to_document())?);
        let seen = state.role(guild, id)?.map(parse).transpose()?;
        return Ok(Some(Look { at, entity: ("role", id), told, seen }));
    }
    if kind == Kind::GUILD_ROLE_DELETE {
        let id = id(atoms::ROLE_ID)?;
        let seen = state.role(guild, id)?.map(parse).transpose()?;
        return Ok(Some(Look { at, entity: ("role", id), told: None, seen }));
    }
    if kind == Kind::CHANNEL_UPDATE {
        let id = id(atoms::ID)?;
        let told = Some(own(parse(data.to_document())?));
        let seen = state.channel(id)?.map(parse).transpose()?.map(own);
        return Ok(Some(Look { at, entity: ("channel", id), told, seen }));
    }
    if kind == Kind::MESSAGE_CREATE {
        let channel = state.channel(id(atoms::CHANNEL_ID)?)?.context("its channel")?;
        let last = channel.get(atoms::LAST_MESSAGE_ID).and_then(|id| id.as_id());
        ensure!(last >= Some(id(atoms::ID)?), "an older message is the last one: {last:?}");
        ensure!(state.user(author(event)?)?.is_some(), "the author is unknown");
    }
    Ok(None)
}

fn author(event: &Event) -> Result<u64> {
    let author = event.data().get(atoms::AUTHOR).context("an author")?;
    author.get(atoms::ID).and_then(|id| id.as_id()).context("an id")
}

/// Without what messages change of a channel.
fn own(mut channel: Value) -> Value {
    if let Some(fields) = channel.as_object_mut() {
        fields.remove("last_message_id");
    }
    channel
}

/// What each handler saw is what its own event left, or a later one.
fn judge(mut looks: Vec<Look>) -> Result<()> {
    looks.sort_by_key(|look| look.at);
    let mut last = HashMap::new();
    for (place, look) in looks.iter().enumerate() {
        last.entry(look.entity).or_insert_with(Vec::new).push(place);
    }
    let (mut checked, mut later) = (0, 0);
    for (entity, places) in &last {
        for (nth, &place) in places.iter().enumerate() {
            let seen = &looks[place].seen;
            let when = places[nth..].iter().position(|&after| looks[after].told == *seen);
            let when = when.with_context(|| {
                format!(
                    "{entity:?} was seen as {seen:?}, which is older than {:?}",
                    looks[place].told
                )
            })?;
            checked += 1;
            later += usize::from(when > 0);
        }
    }
    println!("{checked} looks, {later} of them at something later");
    ensure!(checked > 1_000, "only {checked} looks: the test proves nothing");
    Ok(())
}

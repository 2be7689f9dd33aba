//! The test kit itself: what it gives is what production gives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::commands::{PresenceUpdate, RequestMembers};
use mixcord::event::{Flags, Reason};
use mixcord::state::Resource;
use mixcord::testing::{Settled, Testbed};
use mixcord::{Event, Kind, Order, atoms};
use serde_json::{Value as Json, json};

fn to_json(document: &mixcord::event::Document) -> Json {
    serde_json::from_str(&document.to_json()).expect("JSON")
}

#[test]
fn an_event_is_what_it_was_made_of() {
    let bed = Testbed::new();
    let made = bed
        .event(Kind::GUILD_CREATE, json!({"id": "9", "name": "new"}))
        .old(json!({"id": "9", "name": "old"}))
        .reason(Reason::Available)
        .flags(Flags::STALE)
        .index(2)
        .shard(3, 4)
        .attempt(5)
        .make();
    assert_eq!(
        (made.kind(), made.name(), made.guild_id()),
        (Kind::GUILD_CREATE, "GUILD_CREATE", Some(9))
    );
    assert_eq!(
        made.old().expect("an old").get(atoms::NAME).and_then(|name| name.as_str()),
        Some("old")
    );
    assert_eq!((made.reason(), made.index(), made.attempt()), (Reason::Available, 2, 5));
    assert_eq!((made.shard().id, made.shard().count, made.flags()), (3, 4, Flags::STALE));
    assert_ne!(made.identity(), bed.event(Kind::GUILD_CREATE, "{}").make().identity());
    assert_eq!(bed.event_named("NEW_THING", "{}").make().name(), "NEW_THING");
}

#[test]
fn what_is_said_of_an_event_is_seen_and_only_the_first_word_counts() {
    let bed = Testbed::new();
    let event = || bed.event(Kind::MESSAGE_CREATE, "{}").make();
    let (acked, nak, term, silent) = (event(), event(), event(), event());
    acked.ack();
    acked.term("too late");
    let after = Duration::from_secs(3);
    nak.nak(after, "busy");
    term.term("never");
    silent.progress();
    assert_eq!(Settled::of(&acked), Some(Settled::Acked));
    assert_eq!(Settled::of(&nak), Some(Settled::Nak { after, reason: "busy".to_owned() }));
    assert_eq!(Settled::of(&term), Some(Settled::Term { reason: "never".to_owned() }));
    assert_eq!(Settled::of(&silent), None);
}

#[test]
#[should_panic = "in this JSON of a test: {oops"]
fn json_that_is_none_is_told() {
    let _ = Testbed::new().event(Kind::MESSAGE_CREATE, "{oops").make();
}

/// The same failure policy: attempts, order of a guild, dead letters, other guilds unharmed.
#[tokio::test]
async fn a_consumer_retries_keeps_the_order_and_buries() {
    let bed = Testbed::new();
    let dead = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&dead);
    let consumer = bed
        .consumer()
        .group("bot")
        .attempts(3)
        .retry(Duration::ZERO, Duration::ZERO)
        .on_dead(move |letter| {
            let seq = letter.event.as_ref().map(Event::seq);
            told.lock().expect("no panic").push((seq, letter.attempts, letter.error.clone()));
        })
        .connect()
        .await
        .expect("connected");
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    for guild in ["1", "2", "1", "1"] {
        bed.event(Kind::MESSAGE_CREATE, json!({"guild_id": guild})).publish();
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&seen);
    let running = tokio::spawn(consumer.run(move |event: Event| {
        calls.lock().expect("no panic").push((event.guild_id(), event.seq(), event.attempt()));
        async move { if event.seq() == 1 { Err("never") } else { Ok(()) } }
    }));
    bed.drained("bot").await;
    stop.stop();
    running.await.expect("no panic").expect("no error");
    let of = |guild| -> Vec<_> {
        let seen = seen.lock().expect("no panic");
        seen.iter().filter(|call| call.0 == Some(guild)).map(|call| (call.1, call.2)).collect()
    };
    assert_eq!(of(1), [(1, 1), (1, 2), (1, 3), (3, 1), (4, 1)]);
    assert_eq!(of(2), [(2, 1)]);
    assert_eq!(*dead.lock().expect("no panic"), [(Some(1), 3, "never".to_owned())]);
    let read = meter.read();
    assert_eq!((read.handled, read.failed, read.dead, read.lag), (3, 3, 1, None));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_given_up() {
    let bed = Testbed::new();
    let consumer =
        bed.consumer().group("bot").attempts(1).handler_timeout(Duration::from_millis(5));
    let consumer = consumer.connect().await.expect("connected");
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    bed.event(Kind::MESSAGE_CREATE, "{}").publish();
    let running = tokio::spawn(consumer.run(|_: Event| std::future::pending::<()>()));
    bed.drained("bot").await;
    assert_eq!(meter.read().dead, 1);
    stop.stop();
    running.await.expect("no panic").expect("no error");
}

/// A ring that fills behind one stuck event: the others go on (P10), from the aside file that here is a list.
#[tokio::test]
async fn a_stuck_event_holds_up_its_own_key_alone_though_the_ring_is_small() {
    let bed = Testbed::with_ring(64, 64 << 10);
    let consumer = bed.consumer().group("bot").order(Order::Guild).handler_timeout(None);
    let mut consumer = consumer.connect().await.expect("connected");
    bed.event(Kind::MESSAGE_CREATE, json!({"guild_id": "1"})).publish();
    let stuck = consumer.next().await.expect("no error").expect("not stopped");
    bed.event(Kind::MESSAGE_CREATE, json!({"guild_id": "1"})).publish();
    let patience = Duration::from_secs(30);
    for guild in 2..500u32 {
        bed.event(Kind::MESSAGE_CREATE, json!({"guild_id": guild.to_string()})).publish();
        let event =
            consumer.next_within(patience).await.expect("no error").event().expect("in time");
        assert_eq!(event.guild_id(), Some(guild.into()));
        event.ack();
        // The thread that sets aside works in its own time.
        while bed.lag("bot").is_some_and(|lag| lag > 60) {
            let _ = consumer.next_within(Duration::from_millis(1)).await.expect("no error");
        }
    }
    stuck.ack();
    let next = consumer.next_within(patience).await.expect("no error").event().expect("in time");
    assert_eq!((next.guild_id(), next.seq()), (Some(1), 2));
    next.ack();
}

#[tokio::test]
async fn whoever_waits_sees_what_is_published() {
    let bed = Testbed::new();
    let event = bed.event(Kind::MESSAGE_CREATE, json!({"channel_id": "7"})).make();
    let answer = event.wait_for(
        [Kind::MESSAGE_CREATE],
        |event| event.channel_id() == Some(7),
        Duration::from_secs(30),
    );
    bed.event(Kind::MESSAGE_CREATE, json!({"channel_id": "8"})).publish();
    bed.event(Kind::MESSAGE_CREATE, json!({"channel_id": "7", "content": "yes"})).publish();
    let answer = answer.await.expect("it came");
    assert_eq!(answer.data().get(atoms::CONTENT).and_then(|text| text.as_str()), Some("yes"));
}

#[tokio::test]
async fn an_observer_sees_all_and_commands_are_checked_and_written_down() {
    let bed = Testbed::new();
    let mut observer =
        bed.consumer().observer().from_earliest().connect().await.expect("connected");
    bed.event(Kind::TYPING_START, "{}").publish();
    assert_eq!(
        observer.next().await.expect("no error").expect("an event").kind(),
        Kind::TYPING_START
    );
    let commands = bed.commands();
    let online = PresenceUpdate {
        since: None,
        activities: Vec::new(),
        status: "online".to_owned(),
        afk: false,
    };
    commands.send(online).await.expect("it is fit");
    let wrong = RequestMembers { guild_id: 0, ..RequestMembers::default() };
    assert!(commands.send(wrong).await.expect_err("no guild").is_configuration());
    assert_eq!(bed.sent().len(), 1);
    assert!(bed.sent().is_empty());
}

#[test]
fn a_state_is_what_a_guild_brings_and_what_is_put_into_it() {
    let bed = Testbed::new();
    let state = bed.state();
    bed.guild(json!({
        "id": "9", "name": "guild", "member_count": 5,
        "roles": [{"id": "9", "name": "everyone"}, {"id": "3", "name": "r"}], "emojis": [{"id": "4", "name": "e"}],
        "stickers": [], "channels": [{"id": "7", "type": 0}, {"id": "6", "type": 0}],
        "threads": [{"id": "8", "type": 11, "parent_id": "7"}],
        "members": [{"user": {"id": "1", "username": "ann"}, "roles": ["3"], "nick": null}],
        "presences": [{"user": {"id": "1"}, "status": "online"}, {"user": {"id": "2"}, "status": "offline"}],
        "voice_states": [{"user_id": "1", "channel_id": "7"}],
    }));
    let guild = to_json(&state.guild(9).expect("a state").expect("the guild"));
    assert_eq!(
        guild,
        json!({"id": "9", "name": "guild", "member_count": 5,
        "roles": [{"id": "9", "name": "everyone"}, {"id": "3", "name": "r"}],
        "emojis": [{"id": "4", "name": "e"}], "stickers": []})
    );
    let member = to_json(&state.member(9, 1).expect("a state").expect("the member"));
    assert_eq!(
        member,
        json!({"user": {"id": "1", "username": "ann"}, "roles": ["3"], "nick": null, "guild_id": "9"})
    );
    let channel = to_json(&state.channel(8).expect("a state").expect("the thread"));
    assert_eq!(channel, json!({"id": "8", "type": 11, "parent_id": "7", "guild_id": "9"}));
    let ids = |found: mixcord::state::Entities| -> Vec<u64> {
        found.map(|found| found.expect("a state").id).collect()
    };
    assert_eq!(ids(state.channels(9)), [6, 7]);
    assert_eq!(ids(state.entities(Resource::Presences)), [1]);
    assert_eq!(
        (state.guild_of_channel(8).expect("a state"), state.member_counts(9).expect("a state")),
        (Some(9), Some((Some(5), 1)))
    );
    assert_eq!(state.shard_of_guild(9).expect("a state"), Some((0, 1)));

    bed.entity(Resource::Roles, 9, json!({"id": "5", "name": "later"}));
    bed.forget(Resource::Roles, 9, 3);
    let guild = to_json(&state.guild(9).expect("a state").expect("the guild"));
    assert_eq!(
        guild["roles"],
        json!([{"id": "9", "name": "everyone"}, {"id": "5", "name": "later"}])
    );
    for id in 1..=9 {
        bed.entity(Resource::Messages, 7, json!({"id": id.to_string(), "channel_id": "7"}));
    }
    assert_eq!(ids(state.messages_before(7, u64::MAX, 3)), [9, 8, 7]);
    assert_eq!(ids(state.messages_before(7, 3, 9)), [2, 1]);
    assert_eq!(ids(state.messages_after(7, 6, 2)), [7, 8]);
    let error = state.stats().expect_err("there is no store").to_string();
    assert!(error.contains("a state that a test made"), "{error}");
}

/// No process, no `/dev/shm`: nothing of it is there while it is in use.
#[tokio::test]
async fn it_makes_no_file() {
    let own = || -> Vec<_> {
        let entries = std::fs::read_dir("/proc/self/fd").expect("our descriptors").flatten();
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| target.starts_with("/dev/shm")).collect()
    };
    let bed = Testbed::new();
    let mut consumer = bed.consumer().group("bot").connect().await.expect("connected");
    bed.event(Kind::MESSAGE_CREATE, "{}").publish();
    consumer.next().await.expect("no error").expect("an event").term("for a dead letter");
    assert_eq!(bed.lag("bot"), Some(0));
    let maps = std::fs::read_to_string("/proc/self/maps").expect("our maps");
    assert!(own().is_empty() && !maps.contains("/dev/shm"), "{:?}", own());
}

//! P1 and P2: order per guild, nothing lost, nothing twice, whatever the number of members.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mixcord::{Kind, Stop};

use crate::rig::{Rig, next, numbers, until};

const GUILDS: u64 = 20;
const EVENTS: u64 = 2_000;

/// What each guild's handler calls saw, in the order of the calls.
fn check_complete(seen: &[(u64, u64)]) {
    let mut guilds: HashMap<u64, Vec<u64>> = HashMap::new();
    for (guild, number) in seen {
        guilds.entry(*guild).or_default().push(*number);
    }
    for guild in 0..GUILDS {
        let wanted: Vec<_> = (0..EVENTS).filter(|number| number % GUILDS == guild).collect();
        assert_eq!(guilds[&guild], wanted, "guild {guild}");
    }
    assert_eq!(seen.len() as u64, EVENTS);
}

#[test]
fn members_share_the_events_and_keep_each_guilds_order() {
    let mut rig = Rig::new();
    let (seen, done, stop) = (Mutex::new(Vec::new()), AtomicU64::new(0), Stop::new());
    let consumers: Vec<_> = (0..3)
        .map(|_| rig.consumer().group("bot").from_earliest().stop(&stop).connect_blocking())
        .collect();
    std::thread::scope(|scope| {
        for consumer in consumers {
            let mut consumer = consumer.expect("connected");
            let (seen, done, stop) = (&seen, &done, &stop);
            scope.spawn(move || {
                while let Some(event) = consumer.next_blocking().expect("an event") {
                    seen.lock().expect("sound").push(numbers(&event));
                    event.ack();
                    if done.fetch_add(1, Ordering::SeqCst) + 1 == EVENTS {
                        stop.stop();
                    }
                }
            });
        }
        (0..EVENTS).for_each(|number| rig.message(number % GUILDS, number));
    });
    check_complete(&seen.into_inner().expect("sound"));
    assert_eq!(rig.group("bot").lag, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_members_share_the_events_and_keep_each_guilds_order() {
    let mut rig = Rig::new();
    let seen: &'static Mutex<Vec<_>> = Box::leak(Box::default());
    let stop = Stop::new();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let consumer = rig.consumer().group("bot").from_earliest().stop(&stop).connect().await;
        let stop = stop.clone();
        tasks.push(tokio::spawn(consumer.expect("connected").run(move |event| {
            let stop = stop.clone();
            async move {
                tokio::task::yield_now().await;
                let mut seen = seen.lock().expect("sound");
                seen.push(numbers(&event));
                if seen.len() as u64 == EVENTS {
                    stop.stop();
                }
            }
        })));
    }
    let producer = tokio::task::spawn_blocking(move || {
        (0..EVENTS).for_each(|number| rig.message(number % GUILDS, number));
        rig
    });
    for task in tasks {
        task.await.expect("no panic").expect("no error");
    }
    let rig = producer.await.expect("published");
    check_complete(&seen.lock().expect("sound"));
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn threads_share_the_events_and_keep_each_guilds_order() {
    let mut rig = Rig::new();
    let seen = Mutex::new(Vec::new());
    let consumer = rig.consumer().group("bot").from_earliest().concurrency(4).connect_blocking();
    let consumer = consumer.expect("connected");
    let stop = consumer.stop_handle();
    std::thread::scope(|scope| {
        let seen = &seen;
        scope.spawn(move || {
            consumer.run_blocking(|event| {
                let mut seen = seen.lock().expect("sound");
                seen.push(numbers(&event));
                if seen.len() as u64 == EVENTS {
                    stop.stop();
                }
            })
        });
        (0..EVENTS).for_each(|number| rig.message(number % GUILDS, number));
    });
    check_complete(&seen.into_inner().expect("sound"));
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn every_group_sees_every_event() {
    let mut rig = Rig::new();
    let mut groups: Vec<_> = ["a", "b"]
        .map(|group| rig.consumer().group(group).connect_blocking().expect("connected"))
        .into();
    (0..50).for_each(|number| rig.message(number % 5, number));
    for consumer in &mut groups {
        let mut seen: Vec<_> = (0..50)
            .map(|_| {
                let event = next(consumer);
                event.ack();
                event.seq()
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }
}

#[test]
fn an_event_tells_everything_about_itself() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    let (new, old) = (r#"{"id":"5","guild_id":"9","nick":"b"}"#, r#"{"id":"5","nick":"a"}"#);
    rig.message(9, 1);
    rig.publish(Kind::GUILD_MEMBER_UPDATE, 9, 2, new, Some(old));
    let first = next(&mut consumer);
    first.ack();
    let event = next(&mut consumer);
    drop(first);

    assert_eq!((event.kind(), event.name()), (Kind::GUILD_MEMBER_UPDATE, "GUILD_MEMBER_UPDATE"));
    assert_eq!((event.shard().id, event.shard().count, event.session()), (1, 4, 3));
    assert_eq!((event.seq(), event.index(), event.attempt()), (2, 0, 1));
    assert_eq!((event.guild_id(), event.lost()), (Some(9), None));
    assert_eq!(event.identity().to_string(), "000000000000004d-1-1-0");
    assert_eq!(event.data().to_json(), new);
    assert_eq!(event.old().expect("an old value").to_json(), old);

    #[derive(serde::Deserialize)]
    struct Member<'a> {
        id: u64,
        nick: &'a str,
    }
    let (new, old): (Member<'_>, _) = (event.data_as().expect("a member"), event.old_as());
    let old: Member<'_> = old.expect("a member").expect("an old value");
    assert_eq!((new.id, new.nick, old.nick), (5, "b", "a"));
    assert!(event.data_as::<Vec<u64>>().is_err());
}

#[test]
fn an_event_outlives_its_partitions_turn_and_its_consumer() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(1, 1);
    let kept = next(&mut consumer);
    kept.ack();
    // Keeping it must hold nobody up, or the ring would fill and this would not end.
    (2..1_000).for_each(|number| {
        rig.message(1, number);
        next(&mut consumer).ack();
    });
    drop(consumer);
    assert_eq!(kept.data().to_json(), r#"{"id":"1","guild_id":"1","content":"text 1"}"#);
}

#[test]
fn kinds_that_are_not_wanted_are_passed_over_and_done_with() {
    let mut rig = Rig::new();
    let mut consumer = rig
        .consumer()
        .group("bot")
        .kinds([Kind::GUILD_MEMBER_UPDATE, Kind::GAP])
        .connect_blocking()
        .expect("connected");
    for number in 0..300 {
        match number % 10 {
            0 => rig.publish(Kind::GUILD_MEMBER_UPDATE, 4, number, r#"{"guild_id":"4"}"#, None),
            _ => rig.message(4, number),
        }
        if number % 10 == 0 {
            let event = next(&mut consumer);
            assert_eq!((event.kind(), event.seq()), (Kind::GUILD_MEMBER_UPDATE, number));
            event.ack();
        }
    }
    let gap = r#"{"shard":1,"from_seq":5,"to_seq":null,"reason":"invalid_session"}"#;
    rig.publish(Kind::GAP, 0, 0, gap, None);
    let event = next(&mut consumer);
    assert_eq!((event.kind(), event.data().to_json()), (Kind::GAP, gap.to_owned()));
    event.ack();
    assert!(consumer.next_timeout(std::time::Duration::ZERO).expect("no error").is_timeout());
    until("all to be acknowledged", || rig.group("bot").lag == 0);
}

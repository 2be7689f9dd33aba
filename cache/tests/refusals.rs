//! The system refuses for a while what has to be written: the cache waits, says so in one line now and then,
//! and loses nothing.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::instance::{Instance, kinds, receive, send, settle};
use common::small_shm::{fill_shm, in_a_small_shm};
use mixcord_cache::engine::{Engine, Progress};
use mixcord_event::Flags;
use mixcord_ring::{Geometry, Member, Namespace, Producer};
use serde_json::{Value as Json, json};
use tracing_subscriber::layer::SubscriberExt;

/// Lines that the engine logs as errors meanwhile.
fn errors_logged(work: impl FnOnce()) -> usize {
    struct Count(Arc<AtomicUsize>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Count {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            let is_error = *event.metadata().level() == tracing::Level::ERROR;
            self.0.fetch_add(usize::from(is_error), Ordering::Relaxed);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let counting = tracing_subscriber::registry().with(Count(Arc::clone(&count)));
    tracing::subscriber::with_default(counting, work);
    count.load(Ordering::Relaxed)
}

/// A ring for which 20 kB are too long and 10 kB are not, and a guild whose update needs 20 with its `old`.
fn with_long_guild(instance: &mut Instance) -> (Producer, Engine, Member) {
    instance.output = Geometry::new(256, 1 << 16, 4, 1, 4).unwrap();
    instance.state_bytes_max = 8 << 20;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let guild = json!({"id": "100", "name": "g", "description": "x".repeat(10_000)});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
    settle(&mut engine);
    assert_eq!(receive(&mut consumer).len(), 1);
    (shard, engine, consumer)
}

/// Updates that need a file, and what comes behind them.
fn long_updates() -> [(&'static str, Json); 4] {
    let long = "y".repeat(40_000);
    let member = |name: &str| json!({"guild_id": "100", "user": {"id": "1", "username": name, "avatar": name}, "roles": [], "joined_at": null});
    [
        ("GUILD_UPDATE", json!({"id": "100", "icon": "i"})),
        ("GUILD_UPDATE", json!({"id": "100", "description": long})),
        ("GUILD_MEMBER_ADD", member("short")),
        ("TYPING_START", json!({"n": 1})),
    ]
}

fn assert_all_there(engine: &mut Engine, consumer: &mut Member) {
    let mut seen = Vec::new();
    // The ring has room for one of them at a time.
    while settle(engine) != Progress::Idle {
        let some = receive(consumer);
        assert!(!some.is_empty(), "it goes on as soon as there is room");
        seen.extend(some);
    }
    seen.extend(receive(consumer));
    let expected = ["GUILD_UPDATE", "GUILD_UPDATE", "GUILD_MEMBER_ADD", "TYPING_START"];
    assert_eq!(kinds(&seen), expected);
    assert_eq!((&seen[0].old["icon"], &seen[0].data["icon"]), (&Json::Null, &json!("i")));
    assert_eq!(seen[0].old["description"].as_str().map(str::len), Some(10_000));
    assert_eq!(seen[1].old["icon"], "i");
    assert!(seen.iter().all(|out| !out.flags.contains(Flags::WITHOUT_OLD)));
}

#[test]
fn an_output_whose_file_cannot_be_made_waits_whole() {
    let mut instance = Instance::new("no-file");
    let (mut shard, mut engine, mut consumer) = with_long_guild(&mut instance);
    let out = consumer.ring().id().0;
    let prefix = instance.namespace.prefix();
    let blob = Namespace::directory().join(format!("{prefix}.out.blob-{out:016x}-1"));
    std::fs::create_dir(&blob).unwrap();
    send(&mut shard, (0, 1), &long_updates());
    let lines = errors_logged(|| {
        for _ in 0..20 {
            assert_eq!(settle(&mut engine), Progress::Refused);
        }
    });
    assert_eq!(lines, 0, "whoever runs the engine says it, now and then");
    assert!(engine.refusal().contains("too long for the ring"), "{}", engine.refusal());
    assert_eq!(kinds(&receive(&mut consumer)), Vec::<&str>::new());
    assert_eq!(shard.ring().groups()[0].lag, 4, "nothing is released");
    std::fs::remove_dir(&blob).unwrap();
    assert_all_there(&mut engine, &mut consumer);
}

/// The same where it happens: /dev/shm is full for a moment. In a mount namespace of its own.
#[test]
fn a_full_tmpfs_costs_neither_old_nor_event() {
    if !in_a_small_shm("a_full_tmpfs_costs_neither_old_nor_event") {
        return;
    }
    let mut instance = Instance::new("full-shm");
    let (mut shard, mut engine, mut consumer) = with_long_guild(&mut instance);
    let hog = fill_shm();
    send(&mut shard, (0, 1), &long_updates());
    assert_eq!(settle(&mut engine), Progress::Refused);
    std::fs::remove_file("/dev/shm/hog").unwrap();
    drop(hog);
    assert_all_there(&mut engine, &mut consumer);
}

#[test]
fn a_store_that_may_not_grow_says_why_and_waits() {
    if !in_a_small_shm("a_store_that_may_not_grow_says_why_and_waits") {
        return;
    }
    let mut instance = Instance::new("no-growth");
    instance.state_bytes_max = 64 << 20;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let hog = fill_shm();
    let text = "x".repeat(10_000);
    let lines = errors_logged(|| {
        for id in 0..2000_u64 {
            let guild = json!({"id": (1 + id).to_string(), "description": text});
            send(&mut shard, (0, 1), &[("GUILD_CREATE", guild)]);
            let progress = settle(&mut engine);
            if progress == Progress::Idle {
                receive(&mut consumer);
                continue;
            }
            assert_eq!(progress, Progress::Refused);
            for _ in 0..20 {
                assert_eq!(settle(&mut engine), Progress::Refused);
            }
            return;
        }
        panic!("it never had to grow");
    });
    assert_eq!(lines, 0, "whoever runs the engine says it, now and then");
    assert!(engine.refusal().contains("more bytes"), "{}", engine.refusal());
    std::fs::remove_file("/dev/shm/hog").unwrap();
    drop(hog);
    assert_eq!(settle(&mut engine), Progress::Idle);
    assert_eq!(kinds(&receive(&mut consumer)), ["GUILD_CREATE"]);
}

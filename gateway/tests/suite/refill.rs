//! A state that was lost is filled again: a new session beside the old one, once a shard, whoever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mixcord_event::topology::{CACHE_GROUP, shard_ring};
use mixcord_ring::Ring;
use serde_json::json;

use crate::harness::{Fake, Gateway, Got, Instance, Reader, SIGKILL, until};

/// So seldom that no acknowledgement is late on a busy machine: a shard looks at its ring when [`look`] wakes it.
const HEARTBEAT_MS: u64 = 20_000;
const SHARDS: u16 = 2;

fn fake(rate: f64) -> Fake {
    Fake::start(|config| {
        config.shards = SHARDS.into();
        config.heartbeat_ms = HEARTBEAT_MS;
        config.rate = rate;
        // By Discord's own rule so small a session is lost within a second.
        config.hold_while_away = Some(true);
        config.events = (rate == 0.0).then_some(200);
    })
}

fn start(instance: &Instance, fake: &Fake) -> Gateway {
    instance.start(&fake.api_url(), &["--reconnect-max-ms", "200"])
}

/// The state has nothing of what the ring said until now.
fn lose(instance: &Instance, shard: u16) {
    let ring = Ring::attach(&instance.namespace(), &shard_ring(shard, SHARDS)).expect("a ring");
    ring.ask_anew(CACHE_GROUP, ring.tail()).expect("asked");
}

/// Each shard is connected and has looked at its ring: whatever wakes it has it do so.
fn look(fake: &Fake) {
    let all =
        |than: &[usize]| (0..SHARDS).all(|of| count(fake, "heartbeat", of) > than[usize::from(of)]);
    // The first answer says that it runs, the second that it looked behind that.
    for _ in 0..2 {
        let beats: Vec<_> = (0..SHARDS).map(|shard| count(fake, "heartbeat", shard)).collect();
        let mut asked: Option<Instant> = None;
        until("each shard to answer", || {
            // Whoever was just connecting did not hear it; too often is not answered (G-28).
            if asked.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                fake.post("/fake/heartbeat");
                asked = Some(Instant::now());
            }
            all(&beats)
        });
    }
}

fn count(fake: &Fake, what: &str, shard: u16) -> usize {
    fake.logged(what).iter().filter(|entry| entry["shard"] == shard).count()
}

fn is_refilled(got: &[Got], shard: u16) -> bool {
    let new = |got: &&Got| got.shard == shard && got.session == 2;
    let guilds = got.iter().filter(new).filter(|got| got.kind == "GUILD_CREATE").count();
    let listed = got.iter().filter(new).find(|got| got.kind == "READY");
    listed.is_some_and(|ready| ready.data["guilds"].as_array().map(Vec::len) == Some(guilds))
}

/// In each shard's order: the old session whole up to its gap, then the new one whole from its READY on. Between its
/// events there may be ones of the old session, in order, of guilds that have not come on the new one yet.
fn check(reader: &Reader, refilled: &[u16]) {
    let mut shards: BTreeMap<u16, Vec<&Got>> = BTreeMap::new();
    for got in reader.got.iter().filter(|got| got.kind != "SHARD_STATE") {
        shards.entry(got.shard).or_default().push(got);
    }
    for (shard, records) in shards {
        let mut expected = (1, 1);
        let mut gaps = 0;
        // The least number the old session may bring yet, and the guilds that are the new one's.
        let (mut late, mut changed) = (1, BTreeSet::new());
        for (at, got) in records.iter().enumerate() {
            if got.kind != "GAP" && got.session < expected.0 {
                assert!(
                    got.seq >= late,
                    "shard {shard}: {} behind {late} of the old session",
                    got.seq
                );
                assert!(!changed.contains(&got.key), "shard {shard}: {} came before", got.key);
                late = got.seq + 1;
                continue;
            }
            if got.kind != "GAP" {
                assert_eq!((got.session, got.seq), expected, "shard {shard}: {}", got.kind);
                expected.1 += 1;
                if got.kind == "GUILD_CREATE" {
                    changed.insert(got.key);
                }
                continue;
            }
            late = expected.1;
            changed.clear();
            gaps += 1;
            assert_eq!(got.data["reason"], "refill");
            assert_eq!(
                (&got.data["session"], &got.data["from_seq"]),
                (&json!(1), &json!(expected.1))
            );
            assert!(got.data["to_seq"].is_null());
            assert_eq!(records[at + 1].kind, "READY", "behind the gap");
            expected = (2, 1);
        }
        assert_eq!(gaps, usize::from(refilled.contains(&shard)), "shard {shard}");
    }
}

#[test]
fn events_flow_until_the_new_session_is_there_and_each_shard_begins_one() {
    let (fake, instance) = (fake(400.0), Instance::new());
    let mut gateway = start(&instance, &fake);
    let mut reader = Reader::new(&instance);
    let flows =
        |got: &[Got]| (0..SHARDS).all(|of| got.iter().filter(|got| got.shard == of).count() > 60);
    reader.until("events", flows);
    (0..SHARDS).for_each(|shard| lose(&instance, shard));
    reader.until("all guilds again", |got| (0..SHARDS).all(|shard| is_refilled(got, shard)));
    let so_far = reader.got.len();
    reader.until("events of the new sessions", |got| got.len() > so_far + 100);
    // A wish that is met is none, also to the next process.
    gateway.signal(SIGKILL);
    gateway.wait();
    let mut gateway = start(&instance, &fake);
    reader.until("both sessions again", |got| {
        let resumed = |of: &u16| got.iter().any(|got| got.shard == *of && got.kind == "RESUMED");
        [0, 1].iter().all(resumed)
    });
    look(&fake);
    gateway.stop();
    while reader.read() {}
    check(&reader, &[0, 1]);
    for shard in 0..SHARDS {
        assert_eq!(count(&fake, "identify", shard), 2, "shard {shard}");
        let left: Vec<_> = fake.logged("left");
        let ended = |entry: &&serde_json::Value| entry["shard"] == shard && entry["detail"] == 1000;
        assert_eq!(left.iter().filter(ended).count(), 1, "the old session is ended: {left:?}");
    }
}

/// G-16: what is left of the budget is for those that lose their sessions.
#[test]
fn g16_a_refill_leaves_an_identify_for_each_shard_and_survives_a_kill_while_it_waits() {
    let (fake, instance) = (fake(0.0), Instance::new());
    // Both begin, one begins again, and two are left.
    fake.change("/fake/bot", &json!({"remaining": 5}));
    let mut gateway = start(&instance, &fake);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    (0..SHARDS).for_each(|shard| lose(&instance, shard));
    look(&fake);
    reader.until("one shard", |got| (0..SHARDS).any(|shard| is_refilled(got, shard)));
    until("the other to wait", || gateway.log().contains("would leave too few identifies"));
    assert_eq!(fake.logged("identify").len(), 3);
    gateway.signal(SIGKILL);
    gateway.wait();
    fake.change("/fake/bot", &json!({"remaining": 100}));
    let mut gateway = start(&instance, &fake);
    reader.until("both", |got| (0..SHARDS).all(|shard| is_refilled(got, shard)));
    gateway.stop();
    assert_eq!([0, 1].map(|shard| count(&fake, "identify", shard)), [2, 2]);
    assert_eq!(reader.gaps().len(), 2);
}

/// The session that runs notices nothing of one that cannot be begun.
#[test]
fn a_session_that_cannot_be_begun_leaves_the_old_one_alone() {
    let (fake, instance) = (fake(0.0), Instance::new());
    let mut gateway = start(&instance, &fake);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    fake.change("/fake/upgrade", &json!({"status": 503, "times": 3}));
    lose(&instance, 1);
    look(&fake);
    reader.until("the new session", |got| is_refilled(got, 1));
    assert_eq!(gateway.log().matches("no new session: the old one goes on").count(), 3);
    assert!(fake.logged("resume").is_empty(), "{}", gateway.log());
    assert_eq!([0, 1].map(|shard| count(&fake, "identify", shard)), [1, 2]);
    gateway.stop();
    while reader.read() {}
    check(&reader, &[1]);
}

#[test]
fn nothing_is_begun_where_the_operator_does_not_want_it_nor_twice_in_ten_minutes() {
    let (fake, instance) = (fake(0.0), Instance::new());
    let mut gateway = instance.start(&fake.api_url(), &["--no-refill"]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    lose(&instance, 0);
    look(&fake);
    gateway.stop();
    assert_eq!(fake.logged("identify").len(), 2);
    // The wish is there yet.
    let mut gateway = start(&instance, &fake);
    reader.until("the new session", |got| is_refilled(got, 0));
    lose(&instance, 0);
    look(&fake);
    gateway.stop();
    let mut gateway = start(&instance, &fake);
    look(&fake);
    gateway.stop();
    assert_eq!(fake.logged("identify").len(), 3, "a cache that loses its state again and again");
}

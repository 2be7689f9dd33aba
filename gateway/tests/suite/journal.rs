//! What the fake sent against what is in the rings.

use std::collections::BTreeMap;

use fake_discord::hash_json;
use mixcord_event::status::ShardStatus;
use mixcord_ring::Ring;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::{Fake, Got, Instance, Reader, SIGKILL, SIGTERM, TOKEN, until};

#[derive(Debug, Deserialize)]
struct Sent {
    shard: u16,
    session_id: String,
    seq: u64,
    kind: String,
    hash: String,
}

/// Each event of each session is in the rings exactly once, in order, with the same contents.
/// Sessions that ended in a gap may lack their end.
pub(crate) fn compare(fake: &Fake, got: &[&Got]) {
    let mut sent: BTreeMap<(u16, String), Vec<Sent>> = BTreeMap::new();
    for line in fake.get("/fake/journal").lines() {
        let line: Sent = serde_json::from_str(line).expect("a line of the journal");
        sent.entry((line.shard, line.session_id.clone())).or_default().push(line);
    }
    let mut by_session: BTreeMap<(u16, u32), Vec<&Got>> = BTreeMap::new();
    for got in got {
        by_session.entry((got.shard, got.session)).or_default().push(got);
    }
    let newest: BTreeMap<u16, u32> = by_session.keys().copied().collect();
    for ((shard, session), events) in by_session {
        let ready = events.first().expect("an event");
        assert_eq!(ready.kind, "READY", "shard {shard} session {session} begins with READY");
        let id = ready.data["session_id"].as_str().expect("an id").to_owned();
        let sent = &sent[&(shard, id)];
        for (at, (got, sent)) in events.iter().zip(sent).enumerate() {
            assert_eq!((got.seq, &got.kind), (sent.seq, &sent.kind), "shard {shard} at {at}");
            let whole = format!("{:016x}", hash_json(&got.data));
            let hash = if whole == sent.hash {
                whole
            } else {
                format!("{:016x}", hash_json(&with_numbers(&got.data)))
            };
            assert_eq!(hash, sent.hash, "shard {shard} seq {} {}: {}", got.seq, got.kind, got.data);
        }
        if newest[&shard] == session {
            assert_eq!(events.len(), sent.len(), "shard {shard}: all of its newest session");
        } else {
            assert!(events.len() <= sent.len(), "shard {shard}: more than was sent");
        }
    }
}

/// The ids of components are small numbers, and an `id` is text in what we print (P6).
fn with_numbers(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                match number.filter(|number| key == "id" && *number < 1_000) {
                    Some(number) => (key.clone(), number.into()),
                    None => (key.clone(), with_numbers(value)),
                }
            })
            .collect(),
        Value::Array(list) => list.iter().map(with_numbers).collect(),
        other => other.clone(),
    }
}

fn delivers(encoding: &str, compression: &str, change: impl FnOnce(&mut fake_discord::Config)) {
    let fake = Fake::start(change);
    let instance = Instance::new();
    let gateway =
        instance.start(&fake.api_url(), &["--encoding", encoding, "--compression", compression]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty());
    drop(gateway);
}

/// Contract §9 and §10: every encoding with every compression.
#[test]
fn g3_json_none() {
    delivers("json", "none", |_| {});
}

#[test]
fn g37_json_zstd() {
    delivers("json", "zstd-stream", |_| {});
}

#[test]
fn g35_json_zlib() {
    delivers("json", "zlib-stream", |config| config.split = true);
}

#[test]
fn g3_etf_none() {
    delivers("etf", "none", |config| config.split = true);
}

#[test]
fn g36_etf_zstd() {
    delivers("etf", "zstd-stream", |_| {});
}

#[test]
fn g36_etf_zstd_with_a_whole_frame_per_message() {
    delivers("etf", "zstd-stream", |config| config.zstd_whole_frames = true);
}

#[test]
fn g37_etf_zlib() {
    delivers("etf", "zlib-stream", |_| {});
}

#[test]
fn numbers_from_zero() {
    delivers("json", "none", |config| config.first_seq = 0);
}

/// §15 lines 5, 6 and 8, and G-20: whatever ends a connection, the session goes on.
#[test]
fn g20_lost_connections_resume_without_loss_or_repetition() {
    let fake = Fake::start(|config| {
        config.rate = 1_500.0;
        config.events = Some(6_000);
        config.forget_acked = true;
        config.hold_while_away = Some(true);
    });
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &[]);
    let mut reader = Reader::new(&instance);
    let faults = [
        "/fake/disconnect?how=cut",
        "/fake/disconnect?how=op7",
        "/fake/disconnect?how=op9true&shard=1",
        "/fake/disconnect?how=close&code=4000&shard=0",
        "/fake/disconnect?how=close&code=1001",
        "/fake/disconnect?how=close&code=4008&shard=1",
        "/fake/disconnect?how=cut&shard=0",
        "/fake/heartbeat",
    ];
    for (number, fault) in faults.iter().enumerate() {
        let enough = 300 + number * 230;
        reader.until("events between two faults", |got| got.len() > enough);
        until("a connection to break", || {
            fake.status()["sessions"]
                .as_array()
                .is_some_and(|all| all.iter().all(|session| session["connected"] == true))
        });
        fake.post(fault);
    }
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    assert_eq!(fake.logged("identify").len(), 2, "nothing was identified again");
    assert!(fake.logged("resume").len() >= 8);
    drop(gateway);
}

/// §15 lines 9 and 10, P2: the process ends at any time, politely or not, and the next one goes on.
#[test]
fn p2_processes_that_end_while_events_flow_lose_and_repeat_nothing() {
    let fake = Fake::start(|config| {
        config.rate = 1_500.0;
        config.events = Some(6_000);
        config.forget_acked = true;
        config.hold_while_away = Some(true);
    });
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    for (number, signal) in [SIGTERM, SIGKILL, SIGKILL, SIGTERM, SIGKILL].into_iter().enumerate() {
        let begun = || fake.logged("identify").len() + fake.logged("resume").len();
        let sessions = begun();
        let mut gateway = instance.start(&fake.api_url(), &[]);
        // Events that the one before left in the rings say nothing of this one.
        until("a session of this process", || begun() > sessions);
        let enough = 400 + number * 400;
        reader.until("events before the end", |got| got.len() > enough);
        gateway.signal(signal);
        let status = gateway.wait();
        if signal == SIGTERM {
            assert_eq!(status.code(), Some(0), "{}", gateway.log());
        }
    }
    let gateway = instance.start(&fake.api_url(), &[]);
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    assert!(reader.gaps().is_empty(), "{:?}", reader.gaps());
    assert_eq!(fake.logged("identify").len(), 2, "nothing was identified again");
    // G-22: every polite end said a code that keeps the session.
    let codes: Vec<_> =
        fake.logged("left").into_iter().filter_map(|left| left["detail"].as_u64()).collect();
    assert!(codes.len() >= 4, "{codes:?}");
    assert!(codes.iter().all(|code| !matches!(code, 1000 | 1001)), "{codes:?}");
    drop(gateway);
}

/// P3, §15 line 6: a session that is gone leaves one gap, before the READY of the next.
#[test]
fn p3_a_session_that_is_gone_leaves_a_gap_before_the_next_ready() {
    for fault in ["how=op9false", "how=close&code=4009"] {
        let fake = Fake::start(|config| {
            config.rate = 1_000.0;
            config.events = Some(2_000);
            config.shards = 1;
        });
        let instance = Instance::new();
        let gateway = instance.start(&fake.api_url(), &["--encoding", "json"]);
        let mut reader = Reader::new(&instance);
        reader.until("some events", |got| got.len() > 200);
        fake.post(&format!("/fake/disconnect?{fault}"));
        reader.until_all(&fake);
        compare(&fake, &reader.events());
        let gaps = reader.gaps();
        let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
        assert_eq!((gap.key, gap.session, gap.shard), (0, 2, 0));
        assert_eq!(gap.data["session"], 1);
        assert_eq!(gap.data["to_seq"], serde_json::Value::Null);
        let old: Vec<_> = reader.events().into_iter().filter(|got| got.session == 1).collect();
        let last = old.last().expect("events of the first session");
        assert_eq!(gap.data["from_seq"], last.seq + 1);
        let at = reader.got.iter().position(|got| got.kind == "GAP").expect("there");
        assert_eq!(reader.got[at + 1].kind, "READY", "nothing between the two");
        drop(gateway);
    }
}

/// §15 line 11, G-24: a replay that leaves something out ends the session, and the next READY series
/// rebuilds what is missing.
#[test]
fn g24_a_replay_with_a_hole_is_a_gap_and_a_new_session() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        config.rate = 1_000.0;
        config.events = Some(1_500);
        config.hold_while_away = Some(true);
    });
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &["--reconnect-min-ms", "60"]);
    let mut reader = Reader::new(&instance);
    reader.until("some events", |got| got.len() > 200);
    fake.post("/fake/fault?how=hole");
    fake.post("/fake/fault?how=cut");
    reader.until_all(&fake);
    compare(&fake, &reader.events());
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(gap.data["reason"], "hole");
    assert_eq!(fake.logged("identify").len(), 2);
    drop(gateway);
}

/// G-24: another set of intents cannot resume.
#[test]
fn g24_changed_intents_begin_a_new_session_with_a_gap() {
    let fake = Fake::start(|config| config.shards = 1);
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = instance.start(&fake.api_url(), &[]);
    reader.until_all(&fake);
    gateway.signal(SIGTERM);
    gateway.wait();
    let gateway = instance.start(&fake.api_url(), &["--intents", "513"]);
    reader
        .until("the second READY", |got| got.iter().filter(|got| got.kind == "READY").count() == 2);
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(gap.data["reason"], "settings_changed");
    assert!(fake.logged("resume").is_empty());
    drop(gateway);
}

/// G-24, P3: sessions of another shard count cannot be resumed, and what happened between them and
/// the new ones is told on every shard.
#[test]
fn p3_a_changed_shard_count_is_a_gap_before_every_new_session() {
    let fake = Fake::start(|config| config.events = Some(60));
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = instance.start(&fake.api_url(), &["--shards", "2"]);
    reader.until_all(&fake);
    assert!(reader.gaps().is_empty());
    gateway.signal(SIGTERM);
    gateway.wait();
    reader.read();
    let before = reader.got.len();
    // Killed before it could identify: what it owes is still owed.
    let mut killed = instance.start(&fake.api_url(), &["--shards", "4", "--hello-timeout-ms", "1"]);
    reader.until("a word of the new shards", |got| got.len() > before);
    killed.signal(SIGKILL);
    killed.wait();
    let gateway = instance.start(&fake.api_url(), &["--shards", "4"]);
    let ready = |got: &&Got| got.kind == "READY";
    reader.until("four new sessions", |got| got[before..].iter().filter(ready).count() == 4);
    for shard in 0..4 {
        let of_shard = |got: &&Got| got.shard == shard && got.kind != "SHARD_STATE";
        let first: Vec<_> = reader.got[before..].iter().filter(of_shard).take(2).collect();
        let [gap, ready] = first[..] else { panic!("{first:?}") };
        assert_eq!((gap.kind.as_str(), ready.kind.as_str()), ("GAP", "READY"));
        assert_eq!(gap.data["reason"], "shard_count_changed");
        assert_eq!((gap.session, ready.session), (1, 1));
    }
    drop(gateway);
}

/// §15 line 26: two sessions of the same shard, each with its own process, instance and copy of
/// everything; the identify queue is common (G-16), and when one goes the other does not notice.
#[test]
fn g40_two_sessions_of_one_shard_side_by_side() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        config.rate = 1_500.0;
        config.events = Some(3_000);
        config.max_concurrency = 1;
        config.identify_seconds = 0.25;
    });
    let (first, second) = (Instance::new(), Instance::new());
    let start = |instance: &Instance| {
        let mut command = instance.command();
        command.env("MIXCORD_IDENTIFY_DIR", first.folder().join("common")).args([
            "--api-url",
            &fake.api_url(),
            "--identify-spacing-ms",
            "1000",
        ]);
        instance.spawn(command)
    };
    let (old, new) = (start(&first), start(&second));
    let (mut old_reader, mut new_reader) = (Reader::new(&first), Reader::new(&second));
    new_reader.until("events of both", |got| got.len() > 300);
    old_reader.until("events of both", |got| got.len() > 300);
    drop(old);
    new_reader.until("the end of its own session", |got| {
        // Not `drained`: what the session that went had not read yet waits for its resume.
        let finished = fake.status()["finished"] == true;
        let last = fake.last_seqs();
        let own = got.iter().find(|got| got.kind == "READY").expect("it began");
        let id = own.data["session_id"].as_str().expect("text");
        finished && got.iter().any(|got| !got.is_own() && got.seq == last[id])
    });
    compare(&fake, &new_reader.events());
    assert!(new_reader.gaps().is_empty() && old_reader.gaps().is_empty());
    let session = |reader: &Reader| {
        let ready = reader.got.iter().find(|got| got.kind == "READY").expect("it began");
        ready.data["session_id"].as_str().expect("text").to_owned()
    };
    assert_ne!(session(&old_reader), session(&new_reader));
    assert_eq!(fake.logged("identify").len(), 2);
    assert!(fake.logged("identify_refused").is_empty());
    drop(new);
}

/// DESIGN §7: states of a shard are records of their own, and the token is in none (P9).
#[test]
fn shard_states_are_told_on_each_change() {
    let fake = Fake::start(|config| config.shards = 1);
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let mut gateway = instance.start(&fake.api_url(), &[]);
    reader.until_all(&fake);
    gateway.signal(SIGTERM);
    gateway.wait();
    reader.until("the last state", |got| {
        got.iter().any(|got| got.kind == "SHARD_STATE" && got.data["state"] == "stopped")
    });
    let states: Vec<_> = reader
        .got
        .iter()
        .filter(|got| got.kind == "SHARD_STATE")
        .map(|got| got.data["state"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(states, ["connecting", "identifying", "connected", "stopped"]);
    assert!(reader.got.iter().all(|got| !got.data.to_string().contains(TOKEN)));
}

/// The state of a shard stands in its segment, for others to read.
#[test]
fn a_shards_status_is_in_its_ring() {
    let fake = Fake::start(|config| {
        config.shards = 1;
        config.heartbeat_ms = 500;
    });
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &[]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    let ring = Ring::attach(&instance.namespace(), "shard-0-1").expect("a ring");
    let status = || {
        let bytes = ring.checkpoint().expect("a checkpoint");
        ShardStatus::decode(&bytes).expect("a status")
    };
    until("three latencies", || status().latencies_us.len() >= 3);
    let last = fake.last_seqs().into_values().max();
    assert_eq!((status().state.as_str(), status().session, status().seq), ("connected", 1, last));
    fake.post("/fake/disconnect?how=cut");
    until("the reconnect", || status().reconnects == 1 && status().state == "connected");
    drop(gateway);
}

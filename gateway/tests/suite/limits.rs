//! Servers that ask for more than the limits on sending allow.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::{Instance, until};
use crate::hostile::{Hostile, Peer};

const JSON: [&str; 4] = ["--encoding", "json", "--compression", "none"];

/// §15 line 14: Discord would close the connection for more, whoever asked for them.
#[test]
fn g9_g28_two_hundred_requests_for_a_heartbeat_get_at_most_120_sends() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "ws://127.0.0.1:9").await;
            if peer.number > 0 {
                return peer.stay().await;
            }
            for _ in 0..200 {
                peer.say(&json!({"op": 1, "d": null})).await;
            }
            // All that came before it is answered, or never will be.
            peer.say(&json!({"op": 7, "d": null})).await;
            while peer.expect(1).await.is_some() {
                SENT.fetch_add(1, Ordering::Relaxed);
            }
            DONE.store(1, Ordering::Release);
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    until("the end of the connection", || DONE.load(Ordering::Acquire) == 1);
    // IDENTIFY was sent as well, and room is kept for the heartbeats that are due.
    let sent = 1 + SENT.load(Ordering::Relaxed);
    assert!((100..=120).contains(&sent), "{sent}");
    drop(gateway);
}

/// An interval of nothing at all would break the send limit at once.
#[test]
fn an_absurd_heartbeat_interval_does_not_flood_the_server() {
    static BEATS: Mutex<usize> = Mutex::new(0);
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.say(&json!({"op": 10, "d": {"heartbeat_interval": 0}})).await;
            for beats in 1..=8 {
                peer.expect(1).await.expect("a heartbeat");
                peer.say(&json!({"op": 11})).await;
                *BEATS.lock().expect("whole") = beats;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let start = std::time::Instant::now();
    until("eight heartbeats", || *BEATS.lock().expect("whole") == 8);
    assert!(start.elapsed() >= Duration::from_millis(700), "one every 100 ms at most");
    drop(gateway);
}

/// What is sent while a shard waits for its turn to identify counts on the same connection.
#[test]
fn g28_heartbeats_before_identify_count() {
    static SENT: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.hello().await;
            // The connections after these two are not what is looked at.
            if peer.number > 1 {
                return peer.stay().await;
            }
            for _ in 0..70 {
                peer.say(&json!({"op": 1, "d": null})).await;
            }
            let mut sent = 0;
            while let Some(payload) = peer.any().await {
                sent += 1;
                if payload["op"] == 2 {
                    break;
                }
            }
            peer.dispatch(1, "READY", json!({"session_id": "s", "guilds": []})).await;
            for _ in 0..140 {
                peer.say(&json!({"op": 1, "d": null})).await;
            }
            peer.say(&json!({"op": 7, "d": null})).await;
            while peer.any().await.is_some() {
                sent += 1;
            }
            SENT.lock().expect("whole").push(sent);
        })
    });
    let instance = Instance::new();
    let mut command = instance.command();
    command
        .env("MIXCORD_IDENTIFY_SPACING_MS", "1500")
        .args(["--api-url", &server.api_url(), "--shards", "2"])
        .args(JSON);
    let gateway = instance.spawn(command);
    until("both connections to end", || SENT.lock().expect("whole").len() >= 2);
    drop(gateway);
    let sent = SENT.lock().expect("whole");
    assert!(sent.iter().all(|sent| (100..=120).contains(sent)), "{sent:?}");
}

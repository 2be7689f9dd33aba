//! The same events arrive in every encoding, and the journal says which they were.

use serde_json::Value;

use crate::client::{Client, get, journal, resume, server};

async fn everything_arrives(query: &str, split: bool) -> Vec<Value> {
    let server = server(|config| {
        config.events = Some(2000);
        config.split = split;
    })
    .await;
    let mut client = Client::identified(&server, query, [0, 1]).await;
    let mut seen = Vec::new();
    loop {
        let message = client.message().await;
        seen.push(message);
        let status = get(&server, "/fake/status").await;
        if status["finished"] == true && status["sessions"][0]["last_seq"] == client.seq {
            break;
        }
    }
    let journal = journal(&server, 1).await;
    assert_eq!(journal.len(), seen.len());
    for (line, message) in journal.iter().zip(&seen) {
        assert_eq!(line["seq"], message["s"]);
        assert_eq!(line["kind"], message["t"]);
        let hash = fake_discord::hash_json(&message["d"]);
        assert_eq!(line["hash"], format!("{hash:016x}"), "{message:#}");
    }
    server.stop().await;
    // What names the session and the port differs from run to run.
    if let Some(ready) = seen[0]["d"].as_object_mut() {
        ready.remove("session_id");
        ready.remove("resume_gateway_url");
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_etf_with_every_compression_carry_the_same_events() {
    let first = everything_arrives("v=10&encoding=json", false).await;
    assert!(first.len() >= 2003);
    for (query, split) in [
        ("v=10&encoding=etf", false),
        ("v=10&encoding=json&compress=zlib-stream", true),
        ("compress=zstd-stream&encoding=json&v=10", false),
        ("v=10&encoding=etf&compress=zlib-stream", false),
        ("v=10&encoding=etf&compress=zstd-stream", true),
        ("v=10", true),
    ] {
        let other = everything_arrives(query, split).await;
        assert_eq!(first.len(), other.len(), "{query}");
        for (one, two) in first.iter().zip(&other) {
            assert_eq!(one, two, "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_brings_what_was_missed_once() {
    let server = server(|config| config.events = Some(3000)).await;
    let mut client = Client::identified(&server, "v=10&encoding=json", [0, 1]).await;
    let ready = client.message().await;
    let session = ready["d"]["session_id"].as_str().expect("an id").to_owned();
    while client.seq < 500 {
        client.message().await;
    }
    drop(client);
    let mut client = Client::connect(&server, "v=10&encoding=json").await;
    client.message().await;
    client.send(&resume(&session, 500)).await;
    let mut expected = 501;
    let mut resumed = false;
    while expected < 3000 {
        let message = client.message().await;
        assert_eq!(message["s"], expected);
        resumed |= message["t"] == "RESUMED";
        expected += 1;
    }
    assert!(resumed);
    server.stop().await;
}

//! The same events arrive in every encoding, and the journal says which they were.

use serde_json::{Value, json};

use crate::client::{ALL, Client, JSON, get, identify, journal, resume, server};

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
async fn g37_json_and_etf_with_every_compression_carry_the_same_events() {
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
async fn the_journal_on_disk_is_the_journal_over_http() {
    let path = std::env::temp_dir().join(format!("fake-discord-{}.jsonl", std::process::id()));
    let server = server(|config| {
        config.events = Some(500);
        config.journal = Some(path.clone());
    })
    .await;
    let mut client = Client::identified(&server, "v=10&encoding=etf", [0, 1]).await;
    while client.seq < 500 {
        client.message().await;
    }
    drop(client);
    let (_, _, over_http) = crate::client::http(&server, "GET", "/fake/journal", "").await;
    server.stop().await;
    let on_disk = std::fs::read_to_string(&path).expect("a journal");
    std::fs::remove_file(&path).expect("it was there");
    assert!(over_http.lines().count() >= 500);
    assert!(on_disk.starts_with(&over_http));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oddities_of_other_servers_come_on_demand() {
    let server = server(|config| {
        config.events = Some(300);
        config.first_seq = 0;
        config.zstd_whole_frames = true;
        config.split = true;
        config.etf = fake_discord::EtfShape::Mixed;
        config.mix = "unknown=1,message=5".to_owned();
    })
    .await;
    let query = "v=10&encoding=etf&compress=zstd-stream";
    let mut client = Client::identified(&server, query, [0, 1]).await;
    let ready = client.message().await;
    assert_eq!(ready["s"], 0);
    // Keys are binaries, ids are text: no atom but the constants, no big integer.
    let raw = client.raw.clone();
    assert!(!raw.windows(7).any(|part| part == b"d\0\x04user"), "an atom as a key");
    client.event("GUILD_JOIN_REQUEST_UPDATE").await;
    let id = ready["d"]["session_id"].as_str().expect("an id");
    let mut again = Client::connect(&server, query).await;
    again.message().await;
    again.send(&resume(id, 0)).await;
    assert_eq!(again.message().await["s"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_made_ahead_are_all_sent() {
    let server = server(|config| {
        config.events = Some(5000);
        config.ahead = 100_000;
        config.shards = 2;
    })
    .await;
    let mut client = Client::identified(&server, "v=10", [1, 2]).await;
    while client.seq < 2500 {
        client.message().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g19_a_resume_brings_what_was_missed_once() {
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
    // RESUMED comes behind what was missed, however much that is.
    while expected < 3000 || !resumed {
        let message = client.message().await;
        assert_eq!(message["s"], expected);
        resumed |= message["t"] == "RESUMED";
        expected += 1;
    }
    server.stop().await;
}

#[tokio::test]
async fn g34_payload_compression_is_zlib_for_each_large_message_alone() {
    let server = server(|config| config.events = Some(100)).await;
    let mut client = Client::connect(&server, JSON).await;
    client.message().await;
    let mut message = identify([0, 1], ALL);
    message["d"]["compress"] = json!(true);
    client.send(&message).await;
    client.event("READY").await;
    client.event("GUILD_CREATE").await;
    assert!(client.was_compressed);
    server.stop().await;
}

#[tokio::test]
async fn g34_payload_compression_is_off_under_transport_compression_and_for_etf() {
    let server = server(|config| config.events = Some(100)).await;
    for query in ["v=10&encoding=etf", "v=10&encoding=json&compress=zstd-stream"] {
        let mut client = Client::connect(&server, query).await;
        client.message().await;
        let mut message = identify([0, 1], ALL);
        message["d"]["compress"] = json!(true);
        client.send(&message).await;
        client.event("GUILD_CREATE").await;
        assert!(!client.was_compressed);
    }
    server.stop().await;
}

#[tokio::test]
async fn g35_zlib_has_its_head_at_the_start_alone_and_every_message_ends_with_the_suffix() {
    for split in [false, true] {
        let server = server(|config| {
            config.events = Some(200);
            config.split = split;
        })
        .await;
        let mut client =
            Client::identified(&server, "v=10&encoding=json&compress=zlib-stream", [0, 1]).await;
        let mut spread = 0;
        while client.seq < 200 {
            client.message().await;
            assert!(client.frames.concat().ends_with(&[0, 0, 0xff, 0xff]));
            assert!(client.frames[0].first() != Some(&0x78) || split, "a second head");
            spread += usize::from(client.frames.len() > 1);
        }
        assert_eq!(spread > 0, split, "one gateway message in several of the websocket");
        server.stop().await;
    }
}

#[tokio::test]
async fn g36_each_websocket_message_is_one_gateway_message_of_a_zstd_frame_that_never_ends() {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    for whole in [false, true] {
        let server = server(|config| {
            config.events = Some(200);
            config.zstd_whole_frames = whole;
        })
        .await;
        let query = "v=10&encoding=json&compress=zstd-stream";
        let mut client = Client::connect(&server, query).await;
        client.message().await;
        assert!(client.frames[0].starts_with(&MAGIC));
        client.send(&identify([0, 1], ALL)).await;
        while client.seq < 200 {
            client.message().await;
            assert_eq!(client.frames.len(), 1);
            assert_eq!(client.frames[0].starts_with(&MAGIC), whole);
        }
        server.stop().await;
    }
}

/// Whether `part` occurs in `bytes`.
fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|at| at == part)
}

#[tokio::test]
async fn etf_is_written_as_discord_writes_it_or_mixed() {
    for (shape, discord) in
        [(fake_discord::EtfShape::Discord, true), (fake_discord::EtfShape::Mixed, false)]
    {
        let server = server(|config| {
            config.etf = shape;
            config.shards = 3;
        })
        .await;
        let mut client = Client::identified(&server, "v=10&encoding=etf", [1, 3]).await;
        let ready = client.message().await;
        let user: u64 = ready["d"]["user"]["id"].as_str().expect("an id").parse().expect("one");
        let raw = &client.raw;
        assert!(raw.starts_with(b"\x83t\0\0\0\x04"));
        // A list of small integers is STRING_EXT, an empty one NIL.
        assert!(has(raw, b"k\0\x02\x01\x03") && has(raw, b"j"));
        let atoms = has(raw, b"d\0\x02op") && has(raw, b"d\0\x05READY") && has(raw, b"d\0\x04user");
        let binaries = has(raw, b"m\0\0\0\x02op") && has(raw, b"m\0\0\0\x05READY");
        let big = [&b"n\x08\0"[..], &user.to_le_bytes()].concat();
        let text = [&b"m\0\0\0\x13"[..], user.to_string().as_bytes()].concat();
        assert_eq!((atoms, has(raw, &big)), (discord, discord));
        assert_eq!((binaries, has(raw, &text)), (!discord, !discord));
        server.stop().await;
    }
}

//! What a client must not send, and the close code it is answered with.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, JSON, identify, post, resume, server, session};

#[tokio::test]
async fn every_wrong_send_is_closed_with_its_code() {
    let server = server(|config| {
        config.token = Some("abc".to_owned());
        config.guilds_per_shard = 1;
        config.no_privileged_intents = true;
    })
    .await;
    let shard = |pair: Value| {
        let mut message = identify([0, 2], 1);
        message["d"]["shard"] = pair;
        message
    };
    let with = |key: &str, value: Value| {
        let mut message = identify([0, 2], 1);
        message["d"][key] = value;
        message
    };
    let long = json!({"op": 1, "d": null, "x": "y".repeat(4096)});
    for (code, message) in [
        (4001, json!({"op": 99, "d": null})),
        (4001, json!({"op": 5, "d": null})),
        (4002, json!({"d": null})),
        (4002, json!([])),
        (4002, long),
        (4002, json!({"op": 1, "d": "one"})),
        (4002, with("large_threshold", json!(20))),
        (
            4003,
            json!({"op": 3, "d": {"since": null, "activities": [], "status": "online", "afk": false}}),
        ),
        (4003, json!({"op": 8, "d": {"guild_id": "1", "query": "", "limit": 0}})),
        (4004, with("token", json!("wrong"))),
        (4004, json!({"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}})),
        (4010, shard(json!([2, 2]))),
        (4010, shard(json!([0]))),
        (4011, shard(Value::Null)),
        (4013, with("intents", json!(1 << 17))),
        (4013, with("intents", Value::Null)),
        (4014, with("intents", json!(1 << 1))),
        (4014, with("intents", json!(1 << 15))),
    ] {
        for query in [JSON, "v=10&encoding=etf&compress=zstd-stream"] {
            let mut client = Client::connect(&server, query).await;
            client.message().await;
            client.send(&message).await;
            assert_eq!(client.closed().await, Some(code), "{message} {query}");
        }
    }
    let mut client = Client::connect(&server, JSON).await;
    client.message().await;
    client.send(&identify([0, 2], 1)).await;
    client.event("READY").await;
    client.send(&identify([0, 2], 1)).await;
    assert_eq!(client.closed().await, Some(4005));
    for (query, bytes) in [
        (JSON, Message::text("{")),
        // An atom as a key: {op: 1, d: nil}.
        (
            "v=10&encoding=etf",
            Message::binary(b"\x83t\0\0\0\x02d\0\x02opa\x01d\0\x01dd\0\x03nil".to_vec()),
        ),
        ("v=10&encoding=etf", Message::binary(b"\x83l\xff\xff\xff\xff".to_vec())),
        ("v=10&encoding=etf", Message::binary(b"\x83".repeat(300))),
    ] {
        let mut client = Client::connect(&server, query).await;
        client.message().await;
        client.send_raw(bytes).await;
        assert_eq!(client.closed().await, Some(4002));
    }
    server.stop().await;
}

#[tokio::test]
async fn g30_a_send_of_4096_bytes_passes_and_one_of_4097_is_closed_with_4002() {
    let server = server(|config| config.events = Some(0)).await;
    let sized = |size: usize| {
        let text = json!({"op": 1, "d": null, "x": ""}).to_string();
        let filler = "y".repeat(size - text.len());
        Message::text(json!({"op": 1, "d": null, "x": filler}).to_string())
    };
    let (mut client, _) = session(&server).await;
    client.send_raw(sized(4096)).await;
    client.op(11).await;
    client.send_raw(sized(4097)).await;
    assert_eq!(client.closed().await, Some(4002));
    server.stop().await;
}

#[tokio::test]
async fn g33_what_comes_before_identify_is_closed_with_4003_but_heartbeats_are_not() {
    let server = server(|config| config.events = Some(0)).await;
    let presence = json!({"since": null, "activities": [], "status": "online", "afk": false});
    let leave =
        json!({"guild_id": "1", "channel_id": null, "self_mute": false, "self_deaf": false});
    for early in [
        json!({"op": 3, "d": presence}),
        json!({"op": 4, "d": leave}),
        json!({"op": 8, "d": {"guild_id": "1", "query": "", "limit": 0}}),
        json!({"op": 31, "d": {"guild_ids": []}}),
        json!({"op": 43, "d": {"guild_id": "1", "fields": []}}),
    ] {
        let mut client = Client::connect(&server, JSON).await;
        client.op(10).await;
        client.send(&json!({"op": 1, "d": null})).await;
        client.op(11).await;
        client.send(&early).await;
        assert_eq!(client.closed().await, Some(4003), "{early}");
    }
    // Also once a session has been declared invalid on the same connection.
    let (mut client, _) = session(&server).await;
    post(&server, "/fake/fault?how=op9false").await;
    client.op(9).await;
    client.send(&json!({"op": 3, "d": presence})).await;
    assert_eq!(client.closed().await, Some(4003));
    server.stop().await;
}

#[tokio::test]
async fn g37_what_a_client_compresses_is_closed_with_4002() {
    let server = server(|_| {}).await;
    let mut zlib = flate2::Compress::new(flate2::Compression::fast(), true);
    let mut bytes = Vec::with_capacity(100);
    let beat = br#"{"op":1,"d":null}"#;
    zlib.compress_vec(beat, &mut bytes, flate2::FlushCompress::Finish).expect("zlib");
    for query in [JSON, "v=10&encoding=json&compress=zlib-stream", "v=10&encoding=etf"] {
        let mut client = Client::connect(&server, query).await;
        client.message().await;
        client.send_raw(Message::binary(bytes.clone())).await;
        assert_eq!(client.closed().await, Some(4002));
    }
    server.stop().await;
}

#[tokio::test]
async fn g28_the_121st_send_of_a_minute_is_closed_with_4008_and_can_be_resumed() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let ready = client.event("READY").await;
    for _ in 0..119 {
        client.send(&json!({"op": 1, "d": null})).await;
    }
    let mut acks = 0;
    while acks < 119 {
        acks += u32::from(client.message().await["op"] == 11);
    }
    client.send(&json!({"op": 1, "d": null})).await;
    assert_eq!(client.closed().await, Some(4008));
    let session = ready["d"]["session_id"].as_str().expect("an id");
    let mut again = Client::connect(&server, JSON).await;
    again.send(&resume(session, client.seq)).await;
    again.event("RESUMED").await;
    server.stop().await;
}

#[tokio::test]
async fn server_closes_keep_or_end_the_session_as_the_table_says() {
    let server = server(|config| config.events = Some(0)).await;
    for (code, survives) in [
        (1000, true),
        (1001, true),
        (4000, true),
        (4001, false),
        (4002, true),
        (4003, false),
        (4005, false),
        (4007, false),
        (4008, true),
        (4009, false),
        (4900, true),
    ] {
        let (mut client, id) = session(&server).await;
        let told = post(&server, &format!("/fake/disconnect?how=close&code={code}")).await;
        assert_eq!(told["connections"], 1);
        assert_eq!(client.closed().await, Some(code));
        let mut again = Client::connect(&server, JSON).await;
        again.message().await;
        again.send(&resume(&id, client.seq)).await;
        let answer = again.message().await;
        assert_eq!(answer["op"] != 9, survives, "{code}");
        again.close(1000).await;
    }
    server.stop().await;
}

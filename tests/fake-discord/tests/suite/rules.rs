//! IDENTIFY, RESUME, heartbeats and close codes: a test for each rule of the gateway contract.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{ALL, Client, get, identify, post, resume, server};

const JSON: &str = "v=10&encoding=json";

#[tokio::test]
async fn hello_comes_first_and_a_heartbeat_is_acknowledged_before_identify() {
    let server = server(|config| config.heartbeat_ms = 12_345).await;
    for query in [JSON, "v=10&encoding=etf", "v=10&encoding=json&compress=zlib-stream"] {
        let mut client = Client::connect(&server, query).await;
        let hello = client.message().await;
        assert_eq!((&hello["op"], &hello["d"]["heartbeat_interval"]), (&json!(10), &json!(12_345)));
        assert!(hello["s"].is_null() && hello["t"].is_null());
        client.send(&json!({"op": 1, "d": null})).await;
        assert_eq!(client.message().await["op"], 11);
    }
    server.stop().await;
}

#[tokio::test]
async fn g9_a_server_may_ask_for_a_heartbeat() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    client.event("READY").await;
    post(&server, "/fake/heartbeat?shard=0").await;
    client.op(1).await;
    server.stop().await;
}

#[tokio::test]
async fn g10_no_heartbeats_end_the_connection_with_4009() {
    let server = server(|config| config.patience_ms = Some(300)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    assert_eq!(client.closed().await, Some(4009));
    server.stop().await;
}

#[tokio::test]
async fn missed_acks_are_missed_and_then_come_again() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    client.event("READY").await;
    post(&server, "/fake/fault?how=miss-acks").await;
    for _ in 0..4 {
        client.send(&json!({"op": 1, "d": client.seq})).await;
    }
    client.op(11).await;
    let log = get(&server, "/fake/log").await;
    let beats = log.as_array().expect("lines").iter().filter(|line| line["what"] == "heartbeat");
    assert_eq!(beats.count(), 4);
    server.stop().await;
}

#[tokio::test]
async fn g17_ready_names_the_session_and_everything_about_it() {
    let server = server(|config| config.shards = 2).await;
    for (query, shard) in [(JSON, [0, 2]), ("v=10&encoding=etf", [1, 2])] {
        let mut client = Client::identified(&server, query, shard).await;
        let ready = client.message().await;
        assert_eq!((&ready["t"], &ready["s"]), (&json!("READY"), &json!(1)));
        let data = &ready["d"];
        assert_eq!(data["v"], 10);
        assert_eq!(data["shard"], json!(shard));
        assert_eq!(data["user"]["bot"], true);
        assert_eq!(data["application"]["id"], data["user"]["id"]);
        assert_eq!(data["resume_gateway_url"], format!("ws://127.0.0.1:{}", server.port()));
        assert!(data["session_id"].as_str().is_some_and(|id| id.len() == 32));
    }
    server.stop().await;
}

#[tokio::test]
async fn g39_guilds_go_to_their_shard_and_direct_messages_to_shard_0() {
    let server = server(|config| {
        config.shards = 2;
        config.guilds = 10;
        config.events = Some(400);
        config.mix = "direct=1,message=1".to_owned();
    })
    .await;
    // Also with another number of shards than the world is cut into (G-40).
    for shards in [1_u64, 2, 3] {
        let mut total = 0;
        for shard in 0..shards {
            let mut client = Client::identified(&server, JSON, [shard, shards]).await;
            let ready = client.message().await;
            let guilds = ready["d"]["guilds"].as_array().expect("guilds");
            total += guilds.len();
            for guild in guilds {
                let id: u64 = guild["id"].as_str().expect("an id").parse().expect("a number");
                assert_eq!((id >> 22) % shards, shard);
            }
            client.close(1000).await;
        }
        assert_eq!(total, 10);
    }
    let mut first = Client::identified(&server, JSON, [0, 2]).await;
    let mut second = Client::identified(&server, JSON, [1, 2]).await;
    // What the second shard gets is of guilds only.
    while get(&server, "/fake/status").await["drained"] != true {
        tokio::task::yield_now().await;
    }
    let last = |status: &Value, shard: u64| {
        let sessions = status["sessions"].as_array().expect("sessions").clone();
        let of = sessions.iter().rev().find(|it| it["shard"] == shard && it["shards"] == 2);
        of.expect("a session")["last_seq"].as_u64().expect("a seq")
    };
    let status = get(&server, "/fake/status").await;
    while second.seq < last(&status, 1) {
        let message = second.message().await;
        assert!(message["op"] != 0 || message["t"] == "READY" || message["d"]["id"].is_string());
        assert!(message["t"] != "MESSAGE_CREATE" || message["d"]["guild_id"].is_string());
    }
    while first.seq < last(&status, 0) {
        first.message().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn direct_messages_arrive_on_shard_0() {
    let server = server(|config| {
        config.shards = 2;
        config.mix = "direct=1,message=1".to_owned();
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 2]).await;
    loop {
        let message = client.event("MESSAGE_CREATE").await;
        if message["d"].get("guild_id").is_none() {
            assert!(message["d"].get("member").is_none());
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn g14_a_second_identify_of_a_bucket_within_its_time_is_answered_with_op_9() {
    let server = server(|config| {
        config.identify_seconds = 60.0;
        config.max_concurrency = 2;
        config.shards = 4;
    })
    .await;
    for (shard, op) in [(0, 0), (1, 0), (2, 9), (3, 9)] {
        let mut client = Client::identified(&server, JSON, [shard, 4]).await;
        let message = client.message().await;
        assert_eq!(message["op"], op, "shard {shard}");
        if op == 9 {
            assert_eq!(message["d"], false);
        }
    }
    let bot = get(&server, "/api/v10/gateway/bot").await;
    assert_eq!(bot["session_start_limit"]["remaining"], 998);
    server.stop().await;
}

#[tokio::test]
async fn g13_without_budget_nobody_identifies() {
    let server = server(|config| config.identifies = 1).await;
    Client::identified(&server, JSON, [0, 1]).await.event("READY").await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    assert_eq!(client.closed().await, Some(4004));
    server.stop().await;
}

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

/// The session id of a new session, and how far its client has read.
async fn session(server: &fake_discord::Server) -> (Client, String) {
    let mut client = Client::identified(server, JSON, [0, 1]).await;
    let ready = client.event("READY").await;
    client.event("GUILD_CREATE").await;
    (client, ready["d"]["session_id"].as_str().expect("an id").to_owned())
}

#[tokio::test]
async fn g22_a_session_survives_any_end_but_a_close_with_1000_or_1001() {
    let server = server(|config| config.events = Some(0)).await;
    for (code, survives) in
        [(Some(1000), false), (Some(1001), false), (Some(4000), true), (None, true)]
    {
        let (client, id) = session(&server).await;
        let seq = client.seq;
        match code {
            Some(code) => client.close(code).await,
            None => drop(client),
        }
        let mut again = Client::connect(&server, JSON).await;
        again.message().await;
        again.send(&resume(&id, seq)).await;
        let answer = loop {
            let message = again.message().await;
            if message["t"] == "RESUMED" || message["op"] == 9 {
                break message;
            }
        };
        assert_eq!(answer["t"] == "RESUMED", survives, "{code:?}");
    }
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

#[tokio::test]
async fn g20_op_7_and_op_9_say_what_to_do_next() {
    let server = server(|config| config.events = Some(0)).await;
    for (how, resumable) in [("op7", true), ("op9true", true), ("op9false", false)] {
        let (mut client, id) = session(&server).await;
        post(&server, &format!("/fake/disconnect?how={how}&shard=0")).await;
        match how {
            "op7" => drop(client.op(7).await),
            _ => assert_eq!(client.op(9).await["d"], resumable),
        }
        let seq = client.seq;
        drop(client);
        let mut again = Client::connect(&server, JSON).await;
        again.message().await;
        again.send(&resume(&id, seq)).await;
        assert_eq!(again.message().await["op"] != 9, resumable, "{how}");
        if !resumable {
            // G-20: then a new IDENTIFY on the same connection is what Discord expects.
            again.send(&identify([0, 1], ALL)).await;
            again.event("READY").await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_resume_from_the_future_is_closed_with_4007_and_an_unknown_session_is_invalid() {
    let server = server(|config| config.events = Some(0)).await;
    let (client, id) = session(&server).await;
    let seq = client.seq;
    drop(client);
    let mut again = Client::connect(&server, JSON).await;
    again.message().await;
    again.send(&resume(&id, seq + 1000)).await;
    assert_eq!(again.closed().await, Some(4007));
    let mut again = Client::connect(&server, JSON).await;
    again.message().await;
    again.send(&resume("0123456789abcdef", 1)).await;
    let answer = again.message().await;
    assert_eq!((&answer["op"], &answer["d"]), (&json!(9), &json!(false)));
    server.stop().await;
}

#[tokio::test]
async fn g23_the_replay_buffer_is_finite() {
    let server = server(|config| {
        config.replay = Some(50);
        config.events = Some(400);
    })
    .await;
    let (mut client, id) = session(&server).await;
    while client.seq < 300 {
        client.message().await;
    }
    drop(client);
    let mut again = Client::connect(&server, JSON).await;
    again.message().await;
    again.send(&resume(&id, 10)).await;
    assert_eq!(again.op(9).await["d"], false);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_forgets_what_was_acknowledged_refuses_to_go_back_behind_it() {
    let server = server(|config| {
        config.forget_acked = true;
        config.events = Some(400);
    })
    .await;
    let (mut client, id) = session(&server).await;
    while client.seq < 300 {
        client.message().await;
    }
    client.send(&json!({"op": 1, "d": 200})).await;
    client.op(11).await;
    drop(client);
    for (seq, op) in [(200, 0), (199, 9)] {
        let mut again = Client::connect(&server, JSON).await;
        again.message().await;
        again.send(&resume(&id, seq)).await;
        let answer = again.message().await;
        assert_eq!(answer["op"], op);
        if op == 0 {
            assert_eq!(answer["s"], 201);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_hole_and_a_duplicate_come_when_asked_for() {
    let server = server(|config| config.events = Some(2000)).await;
    let (mut client, id) = session(&server).await;
    while client.seq < 100 {
        client.message().await;
    }
    drop(client);
    assert_eq!(post(&server, "/fake/fault?how=hole").await["connections"], 1);
    let mut client = Client::connect(&server, JSON).await;
    client.message().await;
    client.send(&resume(&id, 100)).await;
    assert_eq!(client.message().await["s"], 102);
    post(&server, "/fake/fault?how=duplicate").await;
    let mut last = client.message().await["s"].as_u64().expect("a seq");
    loop {
        let seq = client.message().await["s"].as_u64().expect("a seq");
        if seq == last {
            break;
        }
        assert_eq!(seq, last + 1);
        last = seq;
        assert!(last < 2000, "no duplicate came");
    }
    server.stop().await;
}

#[tokio::test]
async fn g40_two_sessions_of_one_shard_each_get_their_own_copy() {
    let server = server(|config| config.events = Some(300)).await;
    let mut one = Client::identified(&server, JSON, [0, 1]).await;
    one.event("READY").await;
    let mut two = Client::identified(&server, "v=10&encoding=etf", [0, 1]).await;
    two.event("READY").await;
    while get(&server, "/fake/status").await["finished"] != true {
        // The lane goes at the pace of the slower of the two.
        one.message().await;
        two.message().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_restart_refuses_connections_for_a_while_and_keeps_the_sessions_or_not() {
    restarted("restart").await;
    restarted("restart-fresh").await;
}

async fn restarted(how: &str) {
    let server = server(|config| config.events = Some(0)).await;
    let (mut client, id) = session(&server).await;
    post(&server, &format!("/fake/fault?how={how}&ms=200")).await;
    assert_eq!(client.closed().await, None);
    let url = format!("ws://127.0.0.1:{}/?{JSON}", server.port());
    let mut refused = 0;
    while tokio_tungstenite::connect_async(&url).await.is_err() {
        refused += 1;
    }
    assert!(refused > 0);
    let mut again = Client::connect(&server, JSON).await;
    again.message().await;
    again.send(&resume(&id, client.seq)).await;
    let answer = again.message().await;
    assert_eq!(answer["op"] == 9, how == "restart-fresh", "{answer}");
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
async fn hostile_frames_close_only_their_own_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = server(|config| config.events = Some(0)).await;
    let mut good = Client::identified(&server, JSON, [0, 1]).await;
    good.event("READY").await;
    for frame in [
        b"\x81\x02hi".to_vec(),
        b"\xf1\x82\0\0\0\0hi".to_vec(),
        b"\x89\xfe\xff\xff\0\0\0\0".to_vec(),
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x80\x82\0\0\0\0hi".to_vec(),
    ] {
        let mut stream =
            tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.expect("a socket");
        let handshake = b"GET /?v=10 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(handshake).await.expect("sent");
        stream.write_all(&frame).await.expect("sent");
        stream.shutdown().await.expect("no more");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 101"));
    }
    good.send(&json!({"op": 1, "d": good.seq})).await;
    good.op(11).await;
    assert_eq!(get(&server, "/fake/status").await["sessions"][0]["connected"], true);
    server.stop().await;
}

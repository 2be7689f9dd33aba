//! HELLO, heartbeats, IDENTIFY and who is sent what: a test for each rule of the gateway contract.

use serde_json::{Value, json};

use crate::client::{ALL, Client, JSON, get, identify, post, server, session};

#[tokio::test]
async fn g5_hello_comes_first_and_a_heartbeat_is_acknowledged_before_identify() {
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
async fn g4_a_shard_of_too_many_guilds_is_closed_with_4011_and_more_shards_are_recommended() {
    let server = server(|config| {
        config.shards = 3;
        config.guilds = 6;
        config.guilds_per_shard = 2;
    })
    .await;
    let recommended = get(&server, "/api/v10/gateway/bot").await["shards"].clone();
    assert_eq!(recommended, 3);
    for (shards, code) in [(1, Some(4011)), (2, Some(4011)), (3, None)] {
        let mut client = Client::identified(&server, JSON, [0, shards]).await;
        match code {
            Some(_) => assert_eq!(client.closed().await, code, "{shards} shards"),
            None => drop(client.event("READY").await),
        }
    }
    // Discord's own bound.
    assert_eq!(fake_discord::Config::default().guilds_per_shard, 2500);
    server.stop().await;
}

#[tokio::test]
async fn g7_connections_are_not_limited_only_identifies_are() {
    let server = server(|config| {
        config.identify_seconds = 60.0;
        config.max_concurrency = 1;
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(&server, JSON).await;
        assert_eq!(client.message().await["op"], 10);
        waiting.push(client);
    }
    waiting[49].send(&identify([0, 1], ALL)).await;
    waiting[49].event("READY").await;
    server.stop().await;
}

#[tokio::test]
async fn g8_a_heartbeat_carries_the_last_seq_or_null() {
    let server = server(|config| config.events = Some(0)).await;
    let (mut client, _) = session(&server).await;
    let seq = client.seq;
    for d in [json!(null), json!(seq)] {
        client.send(&json!({"op": 1, "d": d})).await;
        let ack = client.op(11).await;
        assert!(ack["d"].is_null() && ack["s"].is_null() && ack["t"].is_null());
    }
    let log = get(&server, "/fake/log").await;
    let beats = log.as_array().expect("lines").iter().filter(|line| line["what"] == "heartbeat");
    let beats: Vec<_> = beats.map(|line| line["detail"].clone()).collect();
    assert_eq!(beats, [json!(null), json!(seq)]);
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
async fn g10_missed_acks_are_missed_and_then_come_again() {
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
async fn g13_without_budget_nobody_identifies() {
    let server = server(|config| config.identifies = 1).await;
    Client::identified(&server, JSON, [0, 1]).await.event("READY").await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    assert_eq!(client.closed().await, Some(4004));
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
async fn g15_a_number_of_shards_that_is_no_multiple_is_closed_with_4010() {
    let server = server(|config| config.shard_multiple = 16).await;
    for (shards, code) in [(1, Some(4010)), (24, Some(4010)), (32, None)] {
        let mut client = Client::identified(&server, JSON, [0, shards]).await;
        match code {
            Some(_) => assert_eq!(client.closed().await, code, "{shards} shards"),
            None => drop(client.event("READY").await),
        }
    }
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
async fn g17_ready_names_no_shard_where_identify_named_none() {
    let server = server(|_| {}).await;
    for capabilities in [json!(null), json!(0), json!(1 << 15)] {
        let mut client = Client::connect(&server, JSON).await;
        client.message().await;
        let mut message = identify([0, 1], 0);
        message["d"].as_object_mut().expect("an object").remove("shard");
        message["d"]["capabilities"] = capabilities;
        client.send(&message).await;
        let ready = client.event("READY").await;
        assert!(ready["d"].get("shard").is_none());
        assert_eq!(ready["d"]["guilds"].as_array().map(Vec::len), Some(2));
    }
    server.stop().await;
}

#[tokio::test]
async fn intents_nobody_documented_pass_only_when_the_server_lets_them() {
    for (lenient, bits, code) in
        [(false, 1 << 17, Some(4013)), (true, 1 << 17 | 1 << 22, None), (true, 1 << 30, Some(4013))]
    {
        let server = server(|config| config.undocumented_intents = lenient).await;
        let mut client = Client::connect(&server, JSON).await;
        client.message().await;
        client.send(&identify([0, 1], 1 | bits)).await;
        match code {
            Some(_) => assert_eq!(client.closed().await, code),
            None => drop(client.event("READY").await),
        }
        server.stop().await;
    }
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
async fn g39_direct_messages_arrive_on_shard_0() {
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

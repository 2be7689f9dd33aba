//! RESUME: what is replayed, and when it is refused.

use serde_json::json;

use crate::client::{ALL, Client, JSON, get, identify, post, resume, server, session};

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
async fn g18_a_session_is_resumed_at_another_connection_in_its_own_encoding_alone() {
    let server = server(|config| config.events = Some(0)).await;
    for (query, op) in
        [(JSON, 0), ("v=10&encoding=json&compress=zlib-stream", 0), ("v=10&encoding=etf", 9)]
    {
        let (client, id) = session(&server).await;
        let seq = client.seq;
        drop(client);
        let mut again = Client::resumed(&server, query, &id, seq).await;
        assert_eq!(again.message().await["op"], op, "{query}");
        again.close(1000).await;
    }
    // The log shows where a client connected, so that a test can tell which URL it took.
    let log = get(&server, "/fake/log").await;
    let first = log.as_array().expect("lines").iter().find(|line| line["what"] == "connect");
    let first = &first.expect("a connection")["detail"];
    assert_eq!(first["target"], format!("/?{JSON}"));
    assert_eq!(first["host"], format!("127.0.0.1:{}", server.port()));
    server.stop().await;
}

#[tokio::test]
async fn g21_ready_can_name_a_resume_url_where_nobody_listens() {
    let dead = "ws://127.0.0.1:1";
    let server = server(|config| config.resume_url = Some(dead.to_owned())).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let ready = client.event("READY").await;
    assert_eq!(ready["d"]["resume_gateway_url"], dead);
    let id = ready["d"]["session_id"].as_str().expect("an id").to_owned();
    let seq = client.seq;
    drop(client);
    // The session is where it was: the URL of /gateway/bot reaches it.
    assert_eq!(Client::resumed(&server, JSON, &id, seq).await.message().await["s"], seq + 1);
    server.stop().await;
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
async fn what_ready_brings_is_kept_however_small_the_replay_buffer() {
    let server = server(|config| {
        config.guilds = 30;
        config.replay = Some(5);
        config.hold_while_away = Some(false);
        config.events = Some(0);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    assert_eq!(client.message().await["t"], "READY");
    for _ in 0..30 {
        assert_eq!(client.message().await["t"], "GUILD_CREATE");
    }
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
async fn g24_a_hole_and_a_duplicate_come_when_asked_for() {
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
async fn g25_a_restart_refuses_connections_for_a_while_and_keeps_the_sessions_or_not() {
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
async fn a_resume_from_the_future_is_closed_with_4007_and_an_unknown_session_is_invalid() {
    let server = server(|config| config.events = Some(0)).await;
    let (client, id) = session(&server).await;
    let seq = client.seq;
    drop(client);
    let mut again = Client::resumed(&server, JSON, &id, seq + 1000).await;
    assert_eq!(again.closed().await, Some(4007));
    let (_client, id) = session(&server).await;
    let mut again = Client::resumed(&server, JSON, &id, u64::MAX).await;
    assert_eq!(again.closed().await, Some(4007));
    let mut again = Client::connect(&server, JSON).await;
    again.message().await;
    again.send(&resume("0123456789abcdef", 1)).await;
    let answer = again.message().await;
    assert_eq!((&answer["op"], &answer["d"]), (&json!(9), &json!(false)));
    server.stop().await;
}

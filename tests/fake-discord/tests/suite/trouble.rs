//! `/gateway/bot`, the rest of the API and the handshake fail or vary, each without the others.

use serde_json::{Value, json};

use crate::client::{Client, JSON, Next, get, http, identify, server, session};

async fn change(server: &fake_discord::Server, path: &str, body: Value) -> Value {
    let (status, _, answer) = http(server, "POST", path, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).expect("JSON")
}

#[tokio::test]
async fn g1_gateway_bot_says_what_a_test_wants_and_the_budget_is_so() {
    let server = server(|config| config.shards = 2).await;
    let said = change(
        &server,
        "/fake/bot",
        json!({"shards": 17, "total": 2000, "remaining": 1, "reset_after": 60_000,
               "max_concurrency": 3, "url": "ws://127.0.0.1:9"}),
    )
    .await;
    let bot = get(&server, "/api/v10/gateway/bot").await;
    for said in [&said, &bot] {
        assert_eq!((&said["shards"], &said["url"]), (&json!(17), &json!("ws://127.0.0.1:9")));
        let limit = &said["session_start_limit"];
        assert_eq!(limit["total"], 2000);
        assert_eq!(limit["remaining"], 1);
        assert_eq!(limit["max_concurrency"], 3);
        let left = limit["reset_after"].as_u64().expect("a number");
        assert!((30_000..=60_000).contains(&left), "{left}");
    }
    // Both of an IDENTIFY: it is counted, and the one after it is one too many.
    session(&server).await;
    assert_eq!(get(&server, "/fake/status").await["identifies_remaining"], 0);
    let mut refused = Client::identified(&server, JSON, [0, 1]).await;
    assert_eq!(refused.closed().await, Some(4004));
    // At the end of its time the budget is whole again; null is the server's own value.
    change(&server, "/fake/bot", json!({"reset_after": 0, "shards": null, "url": null})).await;
    let bot = get(&server, "/api/v10/gateway/bot").await;
    assert_eq!(bot["session_start_limit"]["remaining"], 2000);
    assert_eq!(bot["shards"], 2);
    assert_eq!(bot["url"], format!("ws://127.0.0.1:{}", server.port()));
    session(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn gateway_bot_fails_alone_and_so_does_all_of_rest() {
    let server = server(|_| {}).await;
    let (mut client, _) = session(&server).await;
    change(&server, "/fake/bot", json!({"status": 503})).await;
    assert_eq!(http(&server, "GET", "/api/v10/gateway/bot", "").await.0, 503);
    get(&server, "/api/v10/users/@me").await;
    change(&server, "/fake/bot", json!({"status": 200})).await;
    get(&server, "/api/v10/gateway/bot").await;
    change(&server, "/fake/rest", json!({"status": 429, "retry_after": 1.5, "times": 2})).await;
    for path in ["gateway/bot", "users/@me"] {
        let (status, head, body) = http(&server, "GET", &format!("/api/v10/{path}"), "").await;
        assert_eq!(status, 429);
        assert!(head.contains("\r\nRetry-After: 2\r\n"), "{head}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["retry_after"], 1.5);
    }
    get(&server, "/api/v10/users/@me").await;
    // The websocket noticed nothing of it.
    client.send(&json!({"op": 1, "d": null})).await;
    client.op(11).await;
    let log = get(&server, "/fake/log").await;
    let asked: Vec<_> =
        log.as_array().expect("lines").iter().filter(|it| it["what"] == "gateway_bot").collect();
    let statuses: Vec<_> = asked.iter().map(|line| line["detail"].clone()).collect();
    assert_eq!(statuses, [503, 200, 429]);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_is_refused_with_a_status() {
    let server = server(|_| {}).await;
    let (mut client, _) = session(&server).await;
    change(&server, "/fake/upgrade", json!({"status": 503, "retry_after": 7, "times": 1})).await;
    let url = format!("ws://127.0.0.1:{}/?{JSON}", server.port());
    let error = tokio_tungstenite::connect_async(url).await.expect_err("refused");
    let tokio_tungstenite::tungstenite::Error::Http(answer) = error else { panic!("{error}") };
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers().get("retry-after").expect("told"), "7");
    let mut other = Client::connect(&server, JSON).await;
    assert_eq!(other.message().await["op"], 10);
    other.send(&identify([0, 1], 1)).await;
    other.event("READY").await;
    client.send(&json!({"op": 1, "d": null})).await;
    assert!(matches!(client.next().await, Next::Message(_)));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_is_kept_waiting() {
    let server = server(|_| {}).await;
    change(&server, "/fake/bot", json!({"delay_ms": 600_000})).await;
    let asked = http(&server, "GET", "/api/v10/gateway/bot", "");
    tokio::select! {
        _ = asked => panic!("answered at once"),
        _ = get(&server, "/api/v10/users/@me") => {}
    }
    server.stop().await;
}

#[tokio::test]
async fn gateway_bot_tells_a_rate_limit() {
    let server = server(|_| {}).await;
    let (_, head, _) = http(&server, "GET", "/api/v10/gateway/bot", "").await;
    for name in ["Limit", "Remaining", "Reset", "Reset-After", "Bucket"] {
        assert!(head.contains(&format!("\r\nX-RateLimit-{name}: ")), "{head}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_changes_nothing() {
    let server = server(|_| {}).await;
    for (path, body) in [
        ("/fake/bot", r#"{"remaining": 5, "shards": -1}"#),
        ("/fake/bot", r#"{"remaining": 5, "colour": 1}"#),
        ("/fake/bot", r#"{"remaining": 5, "status": 302}"#),
        ("/fake/rest", r#"{"shards": 5}"#),
        ("/fake/upgrade", "[]"),
        ("/fake/upgrade", "{"),
    ] {
        assert_eq!(http(&server, "POST", path, body).await.0, 400, "{path} {body}");
    }
    // Parameters do as well as a body.
    assert_eq!(http(&server, "POST", "/fake/bot?shards=x", "").await.0, 400);
    let bot = get(&server, "/api/v10/gateway/bot").await;
    assert_eq!(bot["session_start_limit"]["remaining"], 1000);
    assert_eq!(http(&server, "POST", "/fake/bot?shards=5&status=null", "").await.0, 200);
    assert_eq!(get(&server, "/api/v10/gateway/bot").await["shards"], 5);
    server.stop().await;
}

//! HTTP: finding the gateway, the handshake, a bot's messages.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, get, http, identify, post, server};

#[tokio::test]
async fn g1_gateway_bot_tells_url_shards_and_budget_under_every_version() {
    let server = server(|config| {
        config.shards = 3;
        config.max_concurrency = 2;
        config.identifies = 700;
    })
    .await;
    for version in ["/api/v10", "/api/v9", "/api"] {
        let (status, head, body) =
            http(&server, "GET", &format!("{version}/gateway/bot"), "").await;
        assert_eq!(status, 200);
        assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["url"], format!("ws://127.0.0.1:{}", server.port()));
        assert_eq!(body["shards"], 3);
        let limit = &body["session_start_limit"];
        assert_eq!(limit["remaining"], 700);
        assert_eq!(limit["max_concurrency"], 2);
        assert!(limit["total"].is_u64() && limit["reset_after"].is_u64());
    }
    assert!(get(&server, "/api/v10/gateway").await["url"].is_string());
    assert!(get(&server, "/api/v10/users/@me").await["id"].is_string());
    assert_eq!(get(&server, "/api/v10/users/@me/guilds").await.as_array().map(Vec::len), Some(2));
    // py-cord does not come up without the first two.
    for path in
        ["soundboard-default-sounds", "applications/1/emojis", "sticker-packs", "voice/regions"]
    {
        get(&server, &format!("/api/v10/{path}")).await;
    }
    let application = get(&server, "/api/v10/oauth2/applications/@me").await;
    assert_eq!(application["id"], get(&server, "/api/users/@me").await["id"]);
    server.stop().await;
}

#[tokio::test]
async fn a_token_is_taken_with_and_without_bot_before_it_and_a_wrong_one_is_not() {
    let server = server(|config| config.token = Some("secret".to_owned())).await;
    let ask = async |header: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.expect("a socket");
        let request = format!(
            "GET /api/v10/gateway/bot HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer[9..12].to_owned()
    };
    assert_eq!(ask("Authorization: Bot secret\r\n").await, "200");
    assert_eq!(ask("authorization: secret\r\n").await, "200");
    assert_eq!(ask("Authorization: Bot wrong\r\n").await, "401");
    assert_eq!(ask("").await, "401");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another_however_they_are_cut() {
    let server = server(|_| {}).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.expect("a socket");
    let request = "GET /api/v10/gateway HTTP/1.1\r\nHost: x\r\n\r\n";
    for piece in request.repeat(3).as_bytes().chunks(17) {
        stream.write_all(piece).await.expect("sent");
        stream.flush().await.expect("sent");
    }
    let mut answer = String::new();
    while answer.matches("HTTP/1.1 200 OK").count() < 3 || !answer.ends_with('}') {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.expect("an answer");
        assert!(count > 0, "closed early");
        answer.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
    }
    assert_eq!(answer.matches("Connection: keep-alive").count(), 3);
    server.stop().await;
}

#[tokio::test]
async fn g3_the_websocket_takes_its_parameters_in_any_order_and_shape() {
    let server = server(|_| {}).await;
    for path in ["/?v=10&encoding=json", "?encoding=json&v=10", "/?encoding=json", "/", ""] {
        let url = format!("ws://127.0.0.1:{}{path}", server.port());
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect(path);
        drop(socket);
    }
    let mut client = Client::connect(&server, "v=6&encoding=json").await;
    assert_eq!(client.closed().await, Some(4012));
    for query in ["encoding=xml", "compress=lzma"] {
        let url = format!("ws://127.0.0.1:{}/?{query}", server.port());
        assert!(tokio_tungstenite::connect_async(url).await.is_err());
    }
    server.stop().await;
}

#[tokio::test]
async fn g42_g43_an_outage_and_the_return_are_told() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::connect(&server, "v=10&encoding=json").await;
    client.message().await;
    client.send(&identify([0, 1], 1)).await;
    let ready = client.event("READY").await;
    assert!(
        ready["d"]["guilds"].as_array().expect("guilds").iter().all(|it| it["unavailable"] == true)
    );
    let guild = client.event("GUILD_CREATE").await["d"]["id"].clone();
    let id = guild.as_str().expect("an id");
    post(&server, &format!("/fake/outage?guild={id}")).await;
    let gone = client.event("GUILD_DELETE").await;
    assert_eq!(gone["d"], json!({"id": id, "unavailable": true}));
    post(&server, &format!("/fake/outage?guild={id}&back=1")).await;
    let back = client.event("GUILD_CREATE").await;
    assert_eq!((&back["d"]["id"], &back["d"]["unavailable"]), (&guild, &json!(false)));
    server.stop().await;
}

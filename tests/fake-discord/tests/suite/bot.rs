//! What a bot does over REST comes back as events.

use fake_discord::Server;
use serde_json::{Value, json};

use crate::client::{Client, JSON, http, server};

/// Sends a request and gives back status and body.
async fn call(
    server: &fake_discord::Server,
    method: &str,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, _, body) = http(server, method, &format!("/api/v10/{path}"), &body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn id(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no id: {value}"))
}

/// A client that has a session, its first guild, and a text channel of it.
async fn in_a_channel(server: &fake_discord::Server) -> (Client, Value, String) {
    let mut client = Client::identified(server, JSON, [0, 1]).await;
    let guild = client.event("GUILD_CREATE").await["d"].clone();
    client.event("GUILD_CREATE").await;
    let channels = guild["channels"].as_array().expect("channels");
    let channel = channels.iter().find(|it| it["type"] == 0).expect("a text channel");
    let path = format!("channels/{}", id(&channel["id"]));
    (client, guild, path)
}

#[tokio::test]
async fn what_a_bot_posts_edits_and_deletes_comes_back_as_events() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, "v=10&encoding=json", [0, 1]).await;
    let guild = client.event("GUILD_CREATE").await;
    let channels = guild["d"]["channels"].as_array().expect("channels");
    let channel = channels.iter().find(|it| it["type"] == 0).expect("a text channel");
    let base = format!("/api/v10/channels/{}", channel["id"].as_str().expect("an id"));
    let (status, _, body) =
        http(&server, "POST", &format!("{base}/messages"), r#"{"content":"hello","nonce":"7"}"#)
            .await;
    assert_eq!(status, 200, "{body}");
    let posted: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let created = client.event("MESSAGE_CREATE").await["d"].clone();
    assert_eq!(created["id"], posted["id"]);
    assert_eq!((&created["content"], &created["nonce"]), (&json!("hello"), &json!("7")));
    assert_eq!(created["guild_id"], guild["d"]["id"]);
    let path = format!("{base}/messages/{}", posted["id"].as_str().expect("an id"));
    assert_eq!(http(&server, "PATCH", &path, r#"{"content":"bye"}"#).await.0, 200);
    let updated = client.event("MESSAGE_UPDATE").await["d"].clone();
    assert_eq!(updated["content"], "bye");
    assert!(updated["edited_timestamp"].is_string());
    assert_eq!(http(&server, "POST", &format!("{base}/typing"), "").await.0, 204);
    client.event("TYPING_START").await;
    assert_eq!(http(&server, "DELETE", &path, "").await.0, 204);
    assert_eq!(client.event("MESSAGE_DELETE").await["d"]["id"], posted["id"]);
    assert_eq!(http(&server, "DELETE", &path, "").await.0, 404);
    assert_eq!(http(&server, "POST", &format!("{base}/messages"), "{}").await.0, 400);
    assert_eq!(
        http(&server, "POST", "/api/v10/channels/1/messages", r#"{"content":"x"}"#).await.0,
        404
    );
    server.stop().await;
}

#[tokio::test]
async fn a_message_keeps_what_the_bot_put_in_it() {
    let server = server(|config| config.events = Some(0)).await;
    let (mut client, _, channel) = in_a_channel(&server).await;
    let embed = json!({"title": "T", "fields": [{"name": "a", "value": "b"}], "unknown": {"x": 1}});
    let button = json!({"type": 2, "style": 1, "label": "go", "custom_id": "5"});
    let body = json!({
        "embeds": [embed], "components": [{"type": 1, "components": [button]}], "flags": 1 << 12,
        "poll": {"question": {"text": "?"}, "answers": [{"poll_media": {"text": "yes"}}], "duration": 1},
    });
    let path = format!("{channel}/messages");
    let (status, posted) = call(&server, "POST", &path, body).await;
    assert_eq!(status, 200, "{posted}");
    let created = client.event("MESSAGE_CREATE").await["d"].clone();
    for message in [&posted, &created] {
        assert_eq!(
            message["embeds"],
            json!([{"title": "T", "type": "rich", "fields": [{"name": "a", "value": "b"}]}])
        );
        assert_eq!(message["components"][0]["components"][0], button);
        assert_eq!(message["flags"], 1 << 12);
        assert_eq!(message["poll"]["answers"][0]["answer_id"], 1);
        assert!(message["poll"]["expiry"].is_string());
    }
    // What an edit leaves out stays.
    let one = format!("{path}/{}", id(&posted["id"]));
    let (status, _) = call(&server, "PATCH", &one, json!({"content": "x"})).await;
    assert_eq!(status, 200);
    let edited = client.event("MESSAGE_UPDATE").await["d"].clone();
    assert_eq!((&edited["content"], &edited["embeds"]), (&json!("x"), &created["embeds"]));
    // A poll that runs is not changed by anything.
    let poll = json!({"question": {"text": "!"}, "answers": []});
    let (status, edited) = call(&server, "PATCH", &one, json!({"poll": poll})).await;
    assert_eq!((status, &edited["poll"]), (200, &created["poll"]));
    let many = json!({"embeds": vec![json!({}); 11]});
    for body in [json!({}), json!({"content": "y".repeat(2001)}), many, json!([])] {
        assert_eq!(call(&server, "POST", &path, body).await.0, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_form_with_a_file_is_a_message_with_an_attachment() {
    let server = server(|config| config.events = Some(0)).await;
    let (mut client, _, channel) = in_a_channel(&server).await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{\"content\":\"see\"}\r\n\
                --b\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a.bin\"\r\n\r\n12345\r\n--b--\r\n";
    let mut stream =
        tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.expect("one");
    let head = format!(
        "POST /api/v10/{channel}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bot abc\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.expect("sent");
    let created = client.event("MESSAGE_CREATE").await["d"].clone();
    assert_eq!(created["content"], "see");
    let attachment = &created["attachments"][0];
    assert_eq!((&attachment["filename"], &attachment["size"]), (&json!("a.bin"), &json!(5)));
    server.stop().await;
}

#[tokio::test]
async fn reactions_pins_and_bulk_deletes_of_a_bot_are_told() {
    let server = server(|config| config.events = Some(0)).await;
    let (mut client, _, channel) = in_a_channel(&server).await;
    let messages = format!("{channel}/messages");
    let mut ids = Vec::new();
    for text in ["1", "2", "3"] {
        ids.push(
            id(&call(&server, "POST", &messages, json!({"content": text})).await.1["id"])
                .to_owned(),
        );
    }
    let reaction = format!("{messages}/{}/reactions/%F0%9F%91%8D/@me", ids[0]);
    assert_eq!(call(&server, "PUT", &reaction, Value::Null).await.0, 204);
    let added = client.event("MESSAGE_REACTION_ADD").await["d"].clone();
    assert_eq!((&added["message_id"], &added["emoji"]["name"]), (&json!(ids[0]), &json!("👍")));
    let shown = call(&server, "GET", &format!("{messages}/{}", ids[0]), Value::Null).await.1;
    assert_eq!(
        (&shown["reactions"][0]["count"], &shown["reactions"][0]["me"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(call(&server, "DELETE", &reaction, Value::Null).await.0, 204);
    assert_eq!(client.event("MESSAGE_REACTION_REMOVE").await["d"]["message_id"], ids[0]);
    assert_eq!(
        call(&server, "PUT", &format!("{channel}/pins/{}", ids[1]), Value::Null).await.0,
        204
    );
    client.event("CHANNEL_PINS_UPDATE").await;
    assert_eq!(client.event("MESSAGE_UPDATE").await["d"]["pinned"], true);
    let pins = call(&server, "GET", &format!("{channel}/pins"), Value::Null).await.1;
    assert_eq!(pins[0]["id"], ids[1]);
    let page = format!("{messages}?limit=1&before={}", ids[2]);
    assert_eq!(call(&server, "GET", &page, Value::Null).await.1[0]["id"], ids[1]);
    let bulk = format!("{messages}/bulk-delete");
    assert_eq!(call(&server, "POST", &bulk, json!({"messages": [ids[0]]})).await.0, 400);
    assert_eq!(call(&server, "POST", &bulk, json!({"messages": ids[..2]})).await.0, 204);
    assert_eq!(client.event("MESSAGE_DELETE_BULK").await["d"]["ids"], json!(ids[..2]));
    server.stop().await;
}

#[tokio::test]
async fn a_direct_message_can_be_opened_written_edited_and_deleted() {
    let server = server(|config| {
        config.events = Some(0);
        config.shards = 2;
        config.guilds = 4;
    })
    .await;
    let mut first = Client::identified(&server, JSON, [0, 2]).await;
    first.event("READY").await;
    // Somebody only the second shard has met.
    let mut second = Client::identified(&server, JSON, [1, 2]).await;
    let members = second.event("GUILD_CREATE").await["d"]["members"].clone();
    let user = members.as_array().and_then(|all| all.last()).expect("a member")["user"].clone();
    let open = json!({"recipient_id": user["id"]});
    let (status, channel) = call(&server, "POST", "users/@me/channels", open.clone()).await;
    assert_eq!((status, &channel["type"]), (200, &json!(1)));
    assert_eq!(channel["recipients"], json!([user]));
    assert_eq!(call(&server, "POST", "users/@me/channels", open).await.1["id"], channel["id"]);
    let path = format!("channels/{}/messages", id(&channel["id"]));
    let posted = call(&server, "POST", &path, json!({"content": "hello"})).await.1;
    let created = first.event("MESSAGE_CREATE").await["d"].clone();
    assert_eq!((&created["id"], &created["content"]), (&posted["id"], &json!("hello")));
    assert!(created.get("guild_id").is_none());
    let one = format!("{path}/{}", id(&posted["id"]));
    assert_eq!(call(&server, "PATCH", &one, json!({"content": "bye"})).await.1["content"], "bye");
    let edited = first.event("MESSAGE_UPDATE").await["d"].clone();
    assert_eq!((&edited["id"], &edited["content"]), (&posted["id"], &json!("bye")));
    assert!(edited["edited_timestamp"].is_string());
    let (user, other) = (id(&user["id"]), members[1]["user"]["id"].clone());
    assert_ne!(user, other);
    let other = call(&server, "POST", "users/@me/channels", json!({"recipient_id": other})).await.1;
    let astray = format!("channels/{}/messages/{}", id(&other["id"]), id(&posted["id"]));
    assert_eq!(call(&server, "PATCH", &astray, json!({"content": "?"})).await.0, 404);
    assert_eq!(call(&server, "DELETE", &astray, Value::Null).await.0, 404);
    assert_eq!(call(&server, "DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(first.event("MESSAGE_DELETE").await["d"]["id"], posted["id"]);
    assert_eq!(call(&server, "PATCH", &one, json!({"content": "?"})).await.0, 404);
    assert_eq!(call(&server, "DELETE", &one, Value::Null).await.0, 404);
    assert_eq!(
        call(&server, "POST", "users/@me/channels", json!({"recipient_id": "1"})).await.0,
        400
    );
    server.stop().await;
}

/// A server, and a client that was asked so many things.
async fn asked<const COUNT: usize>() -> (Server, Client, [Value; COUNT]) {
    let server = server(|config| {
        config.mix = "interaction=1".to_owned();
        config.events = Some(COUNT as u64);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let mut interactions = [const { Value::Null }; COUNT];
    for asked in &mut interactions {
        *asked = client.event("INTERACTION_CREATE").await["d"].clone();
    }
    (server, client, interactions)
}

fn callback(asked: &Value) -> String {
    format!("interactions/{}/{}/callback", id(&asked["id"]), id(&asked["token"]))
}

fn webhook(asked: &Value) -> String {
    format!("webhooks/{}/{}", id(&asked["application_id"]), id(&asked["token"]))
}

fn original(asked: &Value) -> String {
    format!("{}/messages/@original", webhook(asked))
}

#[tokio::test]
async fn an_answer_to_an_interaction_is_a_message_of_its_channel() {
    let (server, mut client, interactions) = asked::<3>().await;
    for (asked, deferred) in interactions.iter().zip([false, true]) {
        let callback = callback(asked);
        let data = json!({"content": "hi"});
        let body = if deferred { json!({"type": 5}) } else { json!({"type": 4, "data": data}) };
        let (status, told) =
            call(&server, "POST", &format!("{callback}?with_response=true"), body.clone()).await;
        assert_eq!(status, 200, "{told}");
        let said = client.event("MESSAGE_CREATE").await["d"].clone();
        assert_eq!(said["id"], told["resource"]["message"]["id"]);
        assert_eq!((&said["channel_id"], &said["type"]), (&asked["channel_id"], &json!(20)));
        assert_eq!(said["interaction_metadata"]["id"], asked["id"]);
        assert_eq!(call(&server, "POST", &callback, body).await.0, 400, "answered twice");
        let original = original(asked);
        assert_eq!(call(&server, "GET", &original, Value::Null).await.1["id"], said["id"]);
        assert_eq!(call(&server, "PATCH", &original, json!({"content": "ho"})).await.0, 200);
        let edited = client.event("MESSAGE_UPDATE").await["d"].clone();
        assert_eq!((&edited["content"], &edited["flags"]), (&json!("ho"), &json!(0)));
        assert_eq!(call(&server, "POST", &webhook(asked), json!({"content": "more"})).await.0, 200);
        assert_eq!(client.event("MESSAGE_CREATE").await["d"]["content"], "more");
        assert_eq!(call(&server, "DELETE", &original, Value::Null).await.0, 204);
        assert_eq!(client.event("MESSAGE_DELETE").await["d"]["id"], said["id"]);
    }
    // Only who asked sees an ephemeral answer: it has no guild, and no place in the channel.
    let asked = &interactions[2];
    let callback = callback(asked);
    let body = json!({"type": 4, "data": {"content": "psst", "flags": 64}});
    assert_eq!(call(&server, "POST", &callback, body).await.0, 204);
    let said = client.event("MESSAGE_CREATE").await["d"].clone();
    assert!(said.get("guild_id").is_none() && said.get("member").is_none());
    let path = format!("channels/{}/messages/{}", id(&asked["channel_id"]), id(&said["id"]));
    assert_eq!(call(&server, "GET", &path, Value::Null).await.0, 404);
    let original = original(asked);
    let edited = call(&server, "PATCH", &original, json!({"content": "hush"})).await.1;
    assert_eq!((&edited["id"], &edited["content"]), (&said["id"], &json!("hush")));
    assert_eq!(call(&server, "DELETE", &original, Value::Null).await.0, 204);
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(call(&server, method, &original, json!({"content": "?"})).await.0, 404);
    }
    assert_eq!(
        call(&server, "POST", &callback, json!({"type": 4})).await.0,
        400,
        "answered before"
    );
    assert_eq!(call(&server, "POST", "interactions/1/x/callback", json!({"type": 4})).await.0, 404);
    server.stop().await;
}

/// A poll may begin with the message that was promised, and is then what it is.
#[tokio::test]
async fn a_promised_answer_may_be_a_poll() {
    let (server, _client, [asked]) = asked().await;
    assert_eq!(call(&server, "POST", &callback(&asked), json!({"type": 5})).await.0, 204);
    let original = original(&asked);
    let poll = |text: &str| json!({"poll": {"question": {"text": text}, "answers": []}});
    let begun = call(&server, "PATCH", &original, poll("one?")).await.1;
    assert_eq!(begun["poll"]["question"]["text"], "one?");
    assert!(begun["poll"]["expiry"].as_str().is_some_and(|ends| ends.contains('T')), "{begun}");
    let edited = call(&server, "PATCH", &original, poll("another?")).await.1;
    assert_eq!(edited["poll"], begun["poll"]);
    server.stop().await;
}

/// The token of an interaction is good for the messages written with it, and for no others.
#[tokio::test]
async fn an_interaction_changes_only_its_own_messages() {
    let (server, _client, [asked, other]) = asked().await;
    let channel = format!("channels/{}/messages", id(&asked["channel_id"]));
    let hello = json!({"content": "hello"});
    let posted = call(&server, "POST", &channel, hello.clone()).await.1;
    let elsewhere = call(&server, "POST", &webhook(&other), hello.clone()).await.1;
    let own = call(&server, "POST", &webhook(&asked), hello).await.1;
    for (message, status) in [(&posted, 404), (&elsewhere, 404), (&own, 200)] {
        let one = format!("{}/messages/{}", webhook(&asked), id(&message["id"]));
        assert_eq!(call(&server, "GET", &one, Value::Null).await.0, status);
        assert_eq!(call(&server, "PATCH", &one, json!({"content": "bye"})).await.0, status);
        let deleted = call(&server, "DELETE", &one, Value::Null).await.0;
        assert_eq!(deleted, if status == 200 { 204 } else { status });
    }
    server.stop().await;
}

#[tokio::test]
async fn users_members_and_guilds_can_be_read() {
    let server = server(|config| config.events = Some(0)).await;
    let (_client, guild, _) = in_a_channel(&server).await;
    let path = format!("guilds/{}", id(&guild["id"]));
    let page = call(&server, "GET", &format!("{path}/members?limit=5"), Value::Null).await.1;
    let page = page.as_array().expect("members");
    assert_eq!(page.len(), 5);
    let last = id(&page[4]["user"]["id"]);
    let rest = format!("{path}/members?limit=1000&after={last}");
    assert_eq!(call(&server, "GET", &rest, Value::Null).await.1.as_array().map(Vec::len), Some(7));
    let name = page[1]["user"]["username"].as_str().expect("a name");
    let found = format!("{path}/members/search?limit=3&query={}", &name[..3]);
    assert!(
        !call(&server, "GET", &found, Value::Null).await.1.as_array().expect("members").is_empty()
    );
    assert_eq!(call(&server, "GET", &format!("users/{last}"), Value::Null).await.1["id"], last);
    assert_eq!(call(&server, "GET", "users/1", Value::Null).await.0, 404);
    let counts = call(&server, "GET", &format!("{path}?with_counts=true"), Value::Null).await.1;
    assert_eq!(counts["approximate_member_count"], 12);
    let one = call(&server, "GET", "users/@me/guilds?limit=1", Value::Null).await.1;
    let after = format!("users/@me/guilds?after={}", id(&one[0]["id"]));
    assert_eq!(call(&server, "GET", &after, Value::Null).await.1.as_array().map(Vec::len), Some(1));
    let commands = json!([{"name": "a", "description": "b"}]);
    let told = call(&server, "PUT", "applications/1/commands", commands).await.1;
    assert_eq!(told[0]["name"], "a");
    assert!(told[0]["id"].is_string() && told[0]["application_id"].is_string());
    server.stop().await;
}

//! Every documented event occurs, and the strictest typed reader takes each of them.

use std::collections::{BTreeMap, BTreeSet};

use fake_discord::Kind;
use serde::de::DeserializeSeed;
use serde_json::json;
use twilight_model::gateway::event::GatewayEventDeserializer;

use crate::client::{Client, Next, get, post, resume, server};

/// Documented, but twilight-model 0.18 does not know them, or (RATE_LIMITED) wants a `meta` with
/// the name of the request inside, which Discord does not send.
const NOT_IN_TWILIGHT: [&str; 12] = [
    "CHANNEL_INFO",
    "ENTITLEMENT_DELETE",
    "ENTITLEMENT_UPDATE",
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
    "GUILD_SOUNDBOARD_SOUND_CREATE",
    "GUILD_SOUNDBOARD_SOUND_DELETE",
    "GUILD_SOUNDBOARD_SOUND_UPDATE",
    "SOUNDBOARD_SOUNDS",
    "VOICE_CHANNEL_EFFECT_SEND",
    "VOICE_CHANNEL_START_TIME_UPDATE",
    "VOICE_CHANNEL_STATUS_UPDATE",
    "RATE_LIMITED",
];

/// What only comes as an answer.
const ASKED: [&str; 4] =
    ["CHANNEL_INFO", "GUILD_MEMBERS_CHUNK", "RATE_LIMITED", "SOUNDBOARD_SOUNDS"];

#[tokio::test(flavor = "multi_thread")]
async fn all_79_events_occur_and_are_parsed_by_twilight_model() {
    let server = server(|config| {
        config.mix = "even".to_owned();
        config.guilds = 6;
        config.events = Some(30_000);
        config.seed = 7;
    })
    .await;
    // The world stands still until everything was asked for: it might be rid of every guild by then.
    post(&server, "/fake/pause").await;
    let query = "v=10&encoding=json";
    let mut client = Client::identified(&server, query, [0, 1]).await;
    let mut seen = BTreeSet::new();
    let mut wrong = BTreeMap::new();
    let mut session = String::new();
    let mut asked = 0;
    let mut resumed = false;
    let status = loop {
        let message = match client.next().await {
            Next::Message(message) => message,
            Next::Closed(code) => panic!("closed: {code:?}"),
        };
        let Some(name) = message["t"].as_str() else { continue };
        let text = std::str::from_utf8(&client.raw).expect("text");
        let reader = GatewayEventDeserializer::from_json(text).expect("an envelope");
        let parsed = reader.deserialize(&mut serde_json::Deserializer::from_str(text));
        if let (Err(error), false) = (&parsed, NOT_IN_TWILIGHT.contains(&name)) {
            wrong.entry(name.to_owned()).or_insert_with(|| format!("{error}: {text}"));
        }
        seen.insert(name.to_owned());
        if name == "READY" {
            session = message["d"]["session_id"].as_str().expect("an id").to_owned();
        }
        if name == "GUILD_CREATE" && asked < 6 {
            asked += 1;
            let guild = &message["d"]["id"];
            for _ in 0..2 {
                let d = json!({"guild_id": guild, "query": "", "limit": 0, "presences": true});
                client.send(&json!({"op": 8, "d": d})).await;
            }
            client.send(&json!({"op": 31, "d": {"guild_ids": [guild]}})).await;
            let d = json!({"guild_id": guild, "fields": ["status", "voice_start_time"]});
            client.send(&json!({"op": 43, "d": d})).await;
        }
        if !resumed && ASKED.iter().all(|name| seen.contains(*name)) {
            resumed = true;
            let seq = client.seq;
            drop(client);
            client = Client::connect(&server, query).await;
            client.send(&resume(&session, seq)).await;
            post(&server, "/fake/resume").await;
        }
        if client.seq.is_multiple_of(500) || client.seq > 30_000 {
            let status = get(&server, "/fake/status").await;
            if status["finished"] == true && status["sessions"][0]["last_seq"] == client.seq {
                break status;
            }
        }
    };
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect();
    let missing: Vec<_> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "never sent: {missing:?} ({status})");
    let strange: Vec<_> = seen.difference(&all).collect();
    assert!(strange.is_empty(), "not documented: {strange:?}");
    server.stop().await;
}

//! Intents, and what a client may ask for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{ALL, Client, JSON, get, identify, post, server};

async fn identified(server: &fake_discord::Server, intents: u64) -> Client {
    let mut client = Client::connect(server, JSON).await;
    client.message().await;
    client.send(&identify([0, 1], intents)).await;
    client
}

/// Every event of a finished run, as a session with these intents sees it.
async fn seen(intents: u64) -> Vec<Value> {
    let server = server(|config| {
        config.mix = "even".to_owned();
        config.events = Some(4000);
    })
    .await;
    let mut client = identified(&server, intents).await;
    let mut all = Vec::new();
    loop {
        let status = get(&server, "/fake/status").await;
        let last = status["sessions"][0]["last_seq"].as_u64().unwrap_or(0);
        while client.seq < last {
            all.push(client.message().await);
        }
        if status["finished"] == true && last > 0 && client.seq == last {
            break;
        }
        // READY is on its way, or the next batch.
        if client.seq == 0 {
            all.push(client.message().await);
        }
    }
    server.stop().await;
    all
}

fn names(all: &[Value]) -> BTreeSet<&str> {
    all.iter().filter_map(|message| message["t"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_intents_only_what_needs_none_is_sent() {
    let all = seen(0).await;
    let free = [
        "READY",
        "APPLICATION_COMMAND_PERMISSIONS_UPDATE",
        "ENTITLEMENT_CREATE",
        "ENTITLEMENT_DELETE",
        "ENTITLEMENT_UPDATE",
        "GUILD_MEMBER_UPDATE",
        "INTERACTION_CREATE",
        "SUBSCRIPTION_CREATE",
        "SUBSCRIPTION_DELETE",
        "SUBSCRIPTION_UPDATE",
        "USER_UPDATE",
        "VOICE_SERVER_UPDATE",
    ];
    assert_eq!(names(&all), BTreeSet::from(free));
    let bot = &all[0]["d"]["user"]["id"];
    let members = all.iter().filter(|message| message["t"] == "GUILD_MEMBER_UPDATE");
    for member in members {
        assert_eq!(&member["d"]["user"]["id"], bot, "only the bot's own member is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_intent_brings_its_events_and_no_others() {
    let everything = seen(ALL).await;
    let free = names(&everything).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let none: BTreeSet<String> = {
        let all = seen(0).await;
        names(&all).into_iter().map(str::to_owned).collect()
    };
    let mut union = none.clone();
    for bit in (0..26).filter(|bit| ALL >> bit & 1 == 1) {
        let all = seen(1 << bit).await;
        union.extend(names(&all).into_iter().map(str::to_owned));
        let brought: BTreeSet<&str> =
            names(&all).into_iter().filter(|name| !none.contains(*name)).collect();
        let prefix = match bit {
            2 => &["GUILD_BAN", "GUILD_AUDIT"][..],
            4 => &["GUILD_INTEGRATIONS", "INTEGRATION"],
            5 => &["WEBHOOKS"],
            6 => &["INVITE"],
            7 => &["VOICE_STATE", "VOICE_CHANNEL_EFFECT"],
            8 => &["PRESENCE"],
            9 => &["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"],
            10 | 13 => &["MESSAGE_REACTION"],
            11 | 14 => &["TYPING"],
            15 => &[],
            16 => &["GUILD_SCHEDULED"],
            20 => &["AUTO_MODERATION_RULE"],
            21 => &["AUTO_MODERATION_ACTION"],
            24 => &["MESSAGE_POLL"],
            _ => continue,
        };
        assert!(
            brought.iter().all(|name| prefix.iter().any(|prefix| name.starts_with(prefix))),
            "intent {bit}: {brought:?}"
        );
        assert_eq!(brought.is_empty(), prefix.is_empty(), "intent {bit}");
    }
    assert_eq!(union, free);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_message_content_others_words_are_empty() {
    let message_content = 1 << 15;
    let all = seen(ALL & !message_content).await;
    let bot = all[0]["d"]["user"]["id"].clone();
    let mut words = 0;
    for message in all.iter().filter(|message| message["t"] == "MESSAGE_CREATE") {
        let data = &message["d"];
        let mentions = data["mentions"].as_array().expect("mentions");
        let free = data["author"]["id"] == bot
            || data.get("guild_id").is_none()
            || mentions.iter().any(|user| user["id"] == bot);
        if free {
            words += usize::from(data["content"] != "");
        } else {
            assert_eq!(data["content"], "", "{data}");
            assert_eq!(data["embeds"], json!([]));
            assert!(data.get("poll").is_none());
        }
    }
    assert!(words > 0, "direct messages keep their content");
}

#[tokio::test]
async fn g44_guild_create_shows_members_as_the_intents_and_the_threshold_allow() {
    let server = server(|config| {
        config.members = 120;
        config.guilds = 1;
        config.events = Some(0);
    })
    .await;
    let count = async |intents: u64, threshold: Value| {
        let mut client = Client::connect(&server, JSON).await;
        client.message().await;
        let mut message = identify([0, 1], intents);
        message["d"]["large_threshold"] = threshold;
        client.send(&message).await;
        let guild = client.event("GUILD_CREATE").await["d"].clone();
        assert_eq!(guild["member_count"], 120);
        (guild["members"].as_array().expect("members").len(), guild["large"] == true)
    };
    assert_eq!(count(ALL, json!(250)).await, (120, false));
    let (some, large) = count(ALL, json!(50)).await;
    assert!((2..120).contains(&some) && large);
    assert_eq!(count(ALL & !(1 << 8), json!(250)).await.0, 1, "only the bot without presences");
    server.stop().await;
}

#[tokio::test]
async fn g31_g32_members_are_sent_in_chunks_by_all_the_rules() {
    let server = server(|config| {
        config.members = 2100;
        config.guilds = 1;
        config.events = Some(0);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let guild = client.event("GUILD_CREATE").await["d"].clone();
    let id = &guild["id"];
    let d = json!({"guild_id": id, "query": "", "limit": 0, "presences": true, "nonce": "n".repeat(32)});
    client.send(&json!({"op": 8, "d": d})).await;
    let mut members = BTreeSet::new();
    for index in 0..3 {
        let chunk = client.event("GUILD_MEMBERS_CHUNK").await["d"].clone();
        assert_eq!((&chunk["chunk_index"], &chunk["chunk_count"]), (&json!(index), &json!(3)));
        assert_eq!(chunk["nonce"], "n".repeat(32));
        assert!(!chunk["presences"].as_array().expect("presences").is_empty());
        for member in chunk["members"].as_array().expect("members") {
            members.insert(member["user"]["id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(members.len(), 2100);
    // G-32: all members again, too soon; of another guild at once.
    let d = json!({"guild_id": id, "query": "", "limit": 0, "nonce": "again"});
    client.send(&json!({"op": 8, "d": d})).await;
    let limited = client.event("RATE_LIMITED").await["d"].clone();
    assert_eq!(limited["opcode"], 8);
    assert_eq!(limited["meta"], json!({"guild_id": id, "nonce": "again"}));
    assert!(limited["retry_after"].as_f64().is_some_and(|wait| wait > 0.0 && wait <= 30.1));
    // By id: who is not there is named; a long nonce is dropped; no presences unless asked for.
    let known = members.first().expect("a member");
    let d = json!({"guild_id": id, "user_ids": [known, "42"], "nonce": "n".repeat(33)});
    client.send(&json!({"op": 8, "d": d})).await;
    let chunk = client.event("GUILD_MEMBERS_CHUNK").await["d"].clone();
    assert_eq!(chunk["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(chunk["not_found"], json!(["42"]));
    assert!(chunk.get("nonce").is_none() && chunk.get("presences").is_none());
    // By name: at most 100.
    let d = json!({"guild_id": id, "query": "o", "limit": 500});
    client.send(&json!({"op": 8, "d": d})).await;
    let chunk = client.event("GUILD_MEMBERS_CHUNK").await["d"].clone();
    let found = chunk["members"].as_array().expect("members");
    assert!(!found.is_empty() && found.len() <= 100);
    for member in found {
        let name = member["user"]["username"].as_str().expect("a name").to_owned();
        let nick = member["nick"].as_str().unwrap_or_default().to_lowercase();
        assert!(name.starts_with('o') || nick.starts_with('o'));
    }
    // G-31: without GUILD_MEMBERS nobody is told of everybody, only of who is asked for by name.
    let mut other = identified(&server, ALL & !(1 << 1)).await;
    other.event("GUILD_CREATE").await;
    for d in [
        json!({"guild_id": id, "query": "", "limit": 0, "nonce": "all"}),
        json!({"guild_id": id, "query": "", "limit": 7, "nonce": "some"}),
        json!({"guild_id": id, "user_ids": known, "limit": 0, "nonce": "one"}),
    ] {
        other.send(&json!({"op": 8, "d": d})).await;
    }
    assert_eq!(other.event("GUILD_MEMBERS_CHUNK").await["d"]["nonce"], "one");
    // Neither of the two: refused.
    client.send(&json!({"op": 8, "d": {"guild_id": id}})).await;
    assert_eq!(client.closed().await, Some(4002));
    server.stop().await;
}

#[tokio::test]
async fn a_guild_that_is_away_answers_no_request() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let guild = client.event("GUILD_CREATE").await["d"]["id"].clone();
    post(&server, &format!("/fake/outage?guild={}", guild.as_str().expect("an id"))).await;
    client.event("GUILD_DELETE").await;
    client.send(&json!({"op": 31, "d": {"guild_ids": [guild]}})).await;
    client.send(&json!({"op": 1, "d": null})).await;
    assert_eq!(client.message().await["op"], 11);
    server.stop().await;
}

#[tokio::test]
async fn g44_a_guild_of_more_than_75000_shows_only_the_bot_and_who_is_in_voice() {
    let server = server(|config| {
        config.members = 75_001;
        config.guilds = 1;
        config.events = Some(0);
        config.journal_max = 0;
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let bot = client.event("READY").await["d"]["user"]["id"].clone();
    let guild = client.event("GUILD_CREATE").await["d"].clone();
    assert_eq!((&guild["member_count"], &guild["large"]), (&json!(75_001), &json!(true)));
    let members = guild["members"].as_array().expect("members");
    assert_eq!(members.len(), 1);
    assert_eq!((&members[0]["user"]["id"], &guild["presences"]), (&bot, &json!([])));
    server.stop().await;
}

#[tokio::test]
async fn g29_the_sixth_presence_of_20_seconds_is_dropped() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let d = json!({"since": null, "activities": [], "status": "idle", "afk": false});
    for _ in 0..6 {
        client.send(&json!({"op": 3, "d": d})).await;
    }
    client.send(&json!({"op": 1, "d": null})).await;
    client.op(11).await;
    let log = get(&server, "/fake/log").await;
    let of = |what: &str| {
        log.as_array().expect("lines").iter().filter(|line| line["what"] == what).count()
    };
    assert_eq!((of("request"), of("dropped")), (5, 1));
    server.stop().await;
}

#[tokio::test]
async fn op_4_moves_the_bot_and_op_31_and_43_are_answered() {
    let server = server(|config| config.events = Some(0)).await;
    let mut client = Client::identified(&server, "v=10&encoding=etf", [0, 1]).await;
    let bot = client.event("READY").await["d"]["user"]["id"].clone();
    let guild = client.event("GUILD_CREATE").await["d"].clone();
    let channels = guild["channels"].as_array().expect("channels");
    let voice = &channels.iter().find(|it| it["type"] == 2).expect("a voice channel")["id"];
    let id = &guild["id"];
    let join = json!({"guild_id": id, "channel_id": voice, "self_mute": true, "self_deaf": false});
    client.send(&json!({"op": 4, "d": join})).await;
    let state = client.event("VOICE_STATE_UPDATE").await["d"].clone();
    assert_eq!((&state["user_id"], &state["channel_id"]), (&bot, voice));
    assert_eq!(state["self_mute"], true);
    assert_eq!(&client.event("VOICE_SERVER_UPDATE").await["d"]["guild_id"], id);
    client.send(&json!({"op": 43, "d": {"guild_id": id, "fields": ["voice_start_time"]}})).await;
    let info = client.event("CHANNEL_INFO").await["d"].clone();
    assert_eq!(&info["channels"][0]["id"], voice);
    assert!(info["channels"][0]["voice_start_time"].is_u64());
    let leave = json!({"guild_id": id, "channel_id": null, "self_mute": false, "self_deaf": false});
    client.send(&json!({"op": 4, "d": leave})).await;
    assert!(client.event("VOICE_STATE_UPDATE").await["d"]["channel_id"].is_null());
    client.send(&json!({"op": 31, "d": {"guild_ids": [id, "1"]}})).await;
    let sounds = client.event("SOUNDBOARD_SOUNDS").await["d"].clone();
    assert_eq!(&sounds["guild_id"], id);
    assert!(!sounds["soundboard_sounds"].as_array().expect("sounds").is_empty());
    // serenity sends an object for `since`, and Discord takes it.
    let odd = json!({"secs_since_epoch": 1, "nanos_since_epoch": 2});
    for (status, since, code) in [
        ("idle", json!(null), None),
        ("dnd", json!(91_879_201), None),
        ("online", odd, None),
        ("asleep", json!(null), Some(4002)),
    ] {
        let d = json!({"since": since, "activities": [], "status": status, "afk": false});
        client.send(&json!({"op": 3, "d": d})).await;
        client.send(&json!({"op": 1, "d": null})).await;
        match code {
            None => drop(client.op(11).await),
            Some(_) => assert_eq!(client.closed().await, code),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shard_is_told_of_the_bots_own_user() {
    const CHANGES: usize = 20;
    let server = server(|config| {
        config.shards = 2;
        config.mix = "own-user".to_owned();
        config.events = Some(2 * CHANGES as u64);
    })
    .await;
    // The bot changes in the lane of shard 0, which stands still until somebody sees it.
    let mut other = Client::identified(&server, JSON, [1, 2]).await;
    assert_eq!(other.message().await["t"], "READY");
    let mut first = Client::identified(&server, JSON, [0, 2]).await;
    let mut told = Vec::new();
    for client in [&mut first, &mut other] {
        let mut bios = Vec::new();
        while bios.len() < CHANGES {
            let message = client.message().await;
            if message["t"] == "USER_UPDATE" {
                bios.push(message["d"]["bio"].to_string());
            }
        }
        told.push(bios);
    }
    assert_eq!(told[0], told[1]);
    server.stop().await;
}

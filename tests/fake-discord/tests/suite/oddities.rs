//! What a client meets now and then, and must get over.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{ALL, Client, JSON, get, http, identify, post, server};

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no id: {value}")).to_owned()
}

#[tokio::test]
async fn g42_g45_a_guild_that_is_away_at_the_start_is_a_stub_or_says_nothing_until_it_is_back() {
    let server = server(|config| {
        config.guilds = 24;
        config.events = Some(0);
    })
    .await;
    let world = get(&server, "/fake/world").await;
    let guilds: Vec<String> =
        world["guilds"].as_object().expect("guilds").keys().cloned().collect();
    for guild in &guilds {
        post(&server, &format!("/fake/outage?guild={guild}")).await;
    }
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let ready = client.event("READY").await;
    assert_eq!(ready["d"]["guilds"].as_array().map(Vec::len), Some(24));
    client.send(&json!({"op": 1, "d": null})).await;
    let mut stubs = BTreeSet::new();
    loop {
        let message = client.message().await;
        if message["op"] == 11 {
            break;
        }
        assert_eq!(message["t"], "GUILD_CREATE");
        assert_eq!(message["d"], json!({"id": message["d"]["id"], "unavailable": true}));
        stubs.insert(id(&message["d"]["id"]));
    }
    assert!((1..24).contains(&stubs.len()), "{} stubs", stubs.len());
    let silent = guilds.iter().find(|guild| !stubs.contains(*guild)).expect("a silent one");
    post(&server, &format!("/fake/outage?guild={silent}&back=1")).await;
    let back = client.event("GUILD_CREATE").await;
    assert_eq!((&back["d"]["id"], &back["d"]["unavailable"]), (&json!(silent), &json!(false)));
    server.stop().await;
}

/// Whom an event is about: guild and user.
fn whom(event: &Value) -> (String, String) {
    (id(&event["d"]["guild_id"]), id(&event["d"]["user"]["id"]))
}

#[tokio::test]
async fn g46_presences_and_member_updates_come_before_guild_create_and_after_a_leave() {
    let server = server(|config| {
        config.mix = "stray-presence=2,early-member=2,message=1".to_owned();
        config.guilds = 5;
        config.events = Some(3000);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    client.event("READY").await;
    let mut guilds = BTreeSet::new();
    let mut members = BTreeSet::new();
    let mut left = BTreeSet::new();
    let mut gone = BTreeSet::new();
    let mut met = BTreeSet::new();
    while client.seq < 3000 {
        let event = client.message().await;
        let name = event["t"].as_str().unwrap_or_default();
        match name {
            "GUILD_CREATE" => {
                let guild = id(&event["d"]["id"]);
                for member in event["d"]["members"].as_array().expect("members") {
                    members.insert((guild.clone(), id(&member["user"]["id"])));
                }
                guilds.insert(guild);
            }
            "GUILD_DELETE" => {
                guilds.remove(&id(&event["d"]["id"]));
                gone.insert(id(&event["d"]["id"]));
            }
            "GUILD_MEMBER_REMOVE" => {
                members.remove(&whom(&event));
                left.insert(whom(&event));
            }
            "PRESENCE_UPDATE" | "GUILD_MEMBER_UPDATE" => {
                let (guild, _) = whom(&event);
                let case = match (guilds.contains(&guild), gone.contains(&guild)) {
                    (false, false) => "before GUILD_CREATE",
                    (false, true) => "after GUILD_DELETE",
                    (true, _) if left.contains(&whom(&event)) => "after GUILD_MEMBER_REMOVE",
                    (true, _) => "of a stranger",
                };
                assert!(!guilds.contains(&guild) || !members.contains(&whom(&event)), "{event}");
                met.insert((name.to_owned(), case));
            }
            _ => {}
        }
    }
    for name in ["PRESENCE_UPDATE", "GUILD_MEMBER_UPDATE"] {
        for case in [
            "before GUILD_CREATE",
            "after GUILD_DELETE",
            "after GUILD_MEMBER_REMOVE",
            "of a stranger",
        ] {
            assert!(met.contains(&(name.to_owned(), case)), "{name} {case} is missing: {met:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn g46_the_first_of_them_come_between_ready_and_guild_create() {
    let server = server(|config| {
        config.mix = "stray-presence=1,early-member=1".to_owned();
        config.events = Some(0);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    client.event("READY").await;
    for _ in 0..2 {
        let presence = client.message().await;
        let member = client.message().await;
        let guild = client.message().await;
        assert_eq!(
            (&presence["t"], &member["t"], &guild["t"]),
            (&json!("PRESENCE_UPDATE"), &json!("GUILD_MEMBER_UPDATE"), &json!("GUILD_CREATE"))
        );
        assert_eq!(whom(&presence), whom(&member));
        assert_eq!(whom(&member).0, id(&guild["d"]["id"]));
    }
    server.stop().await;
}

#[tokio::test]
async fn g47_updates_are_whole_and_never_only_tell_the_last_message() {
    let server = server(|config| {
        config.mix =
            "message=20,message-update=5,channel-update=1,role-delete=1,role-create=1".to_owned();
        config.events = Some(4000);
        config.guilds = 1;
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let guild = client.event("GUILD_CREATE").await["d"].clone();
    let roles_of = |guild: &Value| -> BTreeSet<String> {
        guild["roles"].as_array().expect("roles").iter().map(|role| id(&role["id"])).collect()
    };
    let mut roles = roles_of(&guild);
    let mut names: std::collections::BTreeMap<String, Value> = guild["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|channel| (id(&channel["id"]), channel["name"].clone()))
        .collect();
    let (mut edits, mut updates, mut dead_roles) = (0, 0, 0);
    while client.seq < 4000 {
        let event = client.message().await;
        let data = &event["d"];
        match event["t"].as_str().unwrap_or_default() {
            "MESSAGE_UPDATE" => {
                edits += 1;
                assert_eq!(data["tts"], false);
                for key in
                    ["author", "content", "timestamp", "edited_timestamp", "mentions", "type"]
                {
                    assert!(data.get(key).is_some(), "{key} is missing: {data}");
                }
            }
            "CHANNEL_UPDATE" => {
                updates += 1;
                let former = names.insert(id(&data["id"]), data["name"].clone());
                assert_ne!(former.as_ref(), Some(&data["name"]), "nothing but a message was new");
                for overwrite in data["permission_overwrites"].as_array().expect("overwrites") {
                    dead_roles += usize::from(!roles.contains(&id(&overwrite["id"])));
                }
            }
            "GUILD_ROLE_CREATE" => drop(roles.insert(id(&data["role"]["id"]))),
            "GUILD_ROLE_DELETE" => drop(roles.remove(&id(&data["role_id"]))),
            _ => {}
        }
    }
    assert!(edits > 100 && updates > 20);
    assert!(dead_roles > 0, "no channel refers to a role that is gone");
    server.stop().await;
}

#[tokio::test]
async fn g48_an_older_edit_comes_after_a_newer_one_when_the_mix_says_so() {
    let server = server(|config| {
        config.mix = "stale-update=1".to_owned();
        config.events = Some(50);
        config.guilds = 1;
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    let mut edits = Vec::new();
    while edits.len() < 3 {
        edits.push(client.event("MESSAGE_UPDATE").await["d"].clone());
    }
    let time = |at: usize| edits[at]["edited_timestamp"].as_str().expect("a time");
    assert!(edits.iter().all(|edit| edit["id"] == edits[0]["id"]));
    assert!(time(0) < time(1));
    assert_eq!(edits[2], edits[0]);
    // The world keeps the newer one.
    while client.seq < 50 {
        client.message().await;
    }
    let world = get(&server, "/fake/world").await;
    let guild = world["guilds"].as_object().expect("guilds").values().next().expect("a guild");
    for message in guild["messages"].as_object().expect("messages").values() {
        assert_ne!(message["content"], "first edit");
    }
    server.stop().await;
}

/// Whether the channel is shown without what it is about.
fn is_obfuscated(channel: &Value) -> bool {
    if channel["name"] != "___hidden___" {
        return false;
    }
    let keys: BTreeSet<&str> =
        channel.as_object().expect("a channel").keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        BTreeSet::from([
            "flags",
            "guild_id",
            "id",
            "name",
            "parent_id",
            "permission_overwrites",
            "position",
            "type",
        ])
    );
    assert_eq!(channel["flags"], 1 << 17);
    let deny = json!({"allow": "0", "deny": "1024", "id": channel["guild_id"], "type": 0});
    assert_eq!(channel["permission_overwrites"], json!([deny]));
    true
}

#[tokio::test]
async fn g49_a_channel_out_of_sight_is_obfuscated_for_who_can_take_it_and_whole_when_it_returns() {
    let server = server(|config| {
        config.mix = "hidden-channel=1,message=10".to_owned();
        config.seed = 3;
        config.events = Some(2000);
        config.guilds = 1;
    })
    .await;
    let start = async |capabilities: u64| {
        let mut client = Client::connect(&server, JSON).await;
        client.message().await;
        let mut message = identify([0, 1], ALL);
        message["d"]["capabilities"] = json!(capabilities);
        client.send(&message).await;
        client
    };
    post(&server, "/fake/pause").await;
    let mut plain = start(0).await;
    plain.event("READY").await;
    let mut able = start(1 << 15).await;
    able.event("READY").await;
    post(&server, "/fake/resume").await;
    let mut names = std::collections::BTreeMap::new();
    let mut hidden = BTreeSet::new();
    let mut returned = 0;
    while able.seq < 2000 {
        // One world, told twice: the lane goes at the pace of the slower.
        let one = able.message().await;
        let other = plain.message().await;
        assert_eq!(one["t"], other["t"]);
        match one["t"].as_str().unwrap_or_default() {
            "GUILD_CREATE" => {
                for channel in one["d"]["channels"].as_array().expect("channels") {
                    names.insert(id(&channel["id"]), channel["name"].clone());
                }
            }
            "CHANNEL_UPDATE" if is_obfuscated(&one["d"]) => {
                assert!(hidden.insert(id(&one["d"]["id"])), "hidden twice");
                assert!(!is_obfuscated(&other["d"]), "the other session is shown the whole");
                assert_eq!(other["d"]["name"], names[&id(&one["d"]["id"])]);
                let overwrites = other["d"]["permission_overwrites"].as_array().expect("a list");
                assert!(
                    overwrites
                        .iter()
                        .any(|it| it["id"] == other["d"]["guild_id"] && it["deny"] == "1024")
                );
            }
            "CHANNEL_UPDATE" => {
                assert!(hidden.remove(&id(&one["d"]["id"])), "it was in sight");
                assert_eq!(one["d"], other["d"]);
                assert_eq!(one["d"]["name"], names[&id(&one["d"]["id"])]);
                returned += 1;
            }
            "MESSAGE_CREATE" => {
                let channel = id(&one["d"]["channel_id"]);
                assert!(!hidden.contains(&channel), "a message in a hidden channel");
            }
            _ => {}
        }
    }
    assert!(returned > 10, "{returned}");
    // Who comes later is shown the same, and REST shows such channels not at all.
    let world = get(&server, "/fake/world").await;
    let (guild, held) = world["guilds"].as_object().expect("guilds").iter().next().expect("one");
    let hidden: BTreeSet<String> =
        held["hidden_channels"].as_object().expect("hidden").keys().cloned().collect();
    assert!(!hidden.is_empty());
    for (capabilities, obfuscated) in [(0, 0), (1 << 15, hidden.len())] {
        let mut client = start(capabilities).await;
        let create = client.event("GUILD_CREATE").await;
        let channels = create["d"]["channels"].as_array().expect("channels");
        assert!(
            channels.iter().filter(|it| hidden.contains(&id(&it["id"]))).count() == hidden.len()
        );
        assert_eq!(channels.iter().filter(|it| is_obfuscated(it)).count(), obfuscated);
    }
    let seen = get(&server, &format!("/api/v10/guilds/{guild}/channels")).await;
    assert!(seen.as_array().expect("channels").iter().all(|it| !hidden.contains(&id(&it["id"]))));
    let one = hidden.first().expect("one");
    assert_eq!(http(&server, "GET", &format!("/api/v10/channels/{one}"), "").await.0, 403);
    server.stop().await;
}

#[tokio::test]
async fn g49_a_server_can_obfuscate_for_everybody() {
    let server = server(|config| {
        config.mix = "hidden-channel=1,message=1".to_owned();
        config.obfuscate_channels = true;
        config.events = Some(2000);
    })
    .await;
    let mut client = Client::connect(&server, JSON).await;
    client.message().await;
    let mut message = identify([0, 1], ALL);
    message["d"]["capabilities"] = json!(0);
    client.send(&message).await;
    while !is_obfuscated(&client.event("CHANNEL_UPDATE").await["d"]) {}
    server.stop().await;
}

//! The events, replayed over an empty state, give the world.

use serde_json::Value;

use crate::client::{Client, get, post, server};
use crate::follower::Follower;
use crate::replay::{World, apply, trim, without_me};

/// Compares what was told with the world. `lost`: a session was, so that what no GUILD_CREATE
/// brings is not known.
fn compare(world: &mut World, truth: &Value, lost: bool, what: &str) {
    trim(world, truth);
    // Of a guild that was away when the session began nothing may have been told (G-45).
    let told =
        |(id, guild): &(&String, &Value)| world.contains_key(*id) || guild["unavailable"] == false;
    let guilds = truth["guilds"].as_object().expect("guilds");
    let ids: Vec<&String> = guilds.iter().filter(told).map(|(id, _)| id).collect();
    assert_eq!(world.keys().collect::<Vec<_>>(), ids, "{what}");
    for (id, guild) in world {
        let truth = truth["guilds"][id].as_object().expect("a guild");
        assert_eq!(guild["unavailable"], truth["unavailable"], "{id}, {what}");
        if guild["unavailable"] == true {
            continue;
        }
        for (part, truth) in truth {
            let told = &guild[part];
            match part.as_str() {
                "hidden_channels" => {}
                "messages" | "integrations" | "automod_rules" if lost => {}
                "messages" => assert_eq!(without_me(told), without_me(truth), "{id}, {what}"),
                _ => assert_eq!(told, truth, "{part} of {id}, {what}"),
            }
        }
    }
}

async fn the_replay_is_the_world(seed: u64, mix: &str) {
    let server = server(|config| {
        config.mix = mix.to_owned();
        config.guilds = 4;
        config.members = 15;
        config.events = Some(12_000);
        config.seed = seed;
    })
    .await;
    let mut client = Client::identified(&server, "v=10&encoding=json", [0, 1]).await;
    let mut world = World::new();
    loop {
        let message = client.message().await;
        if message["op"] == 0 {
            let name = message["t"].as_str().expect("a name");
            apply(&mut world, name, &message["d"]);
        }
        if client.seq.is_multiple_of(500) || client.seq > 12_000 {
            let status = get(&server, "/fake/status").await;
            if status["finished"] == true && status["sessions"][0]["last_seq"] == client.seq {
                break;
            }
        }
    }
    let truth = get(&server, "/fake/world").await;
    compare(&mut world, &truth, false, &format!("seed {seed}, mix {mix:?}"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_replayed_over_nothing_give_the_world() {
    the_replay_is_the_world(1, "").await;
    for seed in 2..5 {
        the_replay_is_the_world(seed, "even").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_with_all_oddities_replayed_over_nothing_give_the_world() {
    let mix = "unknown=1,stale-update=2,stray-presence=2,hidden-channel=2,early-member=2,message=9,\
               message-update=3,member-add=2,member-remove=2,presence=9,thread-create=1,thread-delete=1,\
               channel-create=2,channel-update=2,channel-delete=1,voice=2,reaction-add=2";
    for seed in 5..8 {
        the_replay_is_the_world(seed, mix).await;
    }
}

/// Every fault there is, each of them as likely as the others.
const FAULTS: [&str; 13] = [
    "cut",
    "op7",
    "op9true",
    "op9false",
    "close",
    "stall",
    "miss-acks",
    "duplicate",
    "hole",
    "slow-accept",
    "restart",
    "restart-fresh",
    "outage",
];

async fn the_replay_is_the_world_under(faults: &str, seed: u64) {
    let server = server(|config| {
        config.mix = "even".to_owned();
        config.guilds = 4;
        config.members = 15;
        config.rate = 8000.0;
        config.hold_while_away = Some(true);
        config.seconds = Some(0.8);
        config.seed = seed;
        config.faults = faults.to_owned();
        config.fault_seconds = 0.05;
    })
    .await;
    let mut follower = Follower::default();
    let mut world = World::new();
    let mut sessions = 0;
    let mut last = 0;
    loop {
        let note = |seq: u64, message: &Value| {
            let name = message["t"].as_str().expect("a name");
            if name == "READY" {
                sessions += 1;
                world.clear();
                last = 0;
            }
            // What comes twice was applied the first time.
            if seq > last {
                last = seq;
                let partly = sessions > 1 && is_of_what_no_guild_create_brings(name);
                if !partly {
                    apply(&mut world, name, &message["d"]);
                }
            }
        };
        // Nothing goes wrong any more once the last event was made, or there might be no end.
        let calm = async {
            while get(&server, "/fake/status").await["finished"] != true {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            post(&server, "/fake/pause").await;
        };
        tokio::join!(follower.follow(&server, note), calm);
        let truth = get(&server, "/fake/world").await;
        // Guilds go away and come back even after the last event.
        if follower.has_all(&server).await {
            compare(&mut world, &truth, sessions > 1, &format!("seed {seed}, faults {faults:?}"));
            break;
        }
    }
    server.stop().await;
}

/// Events about messages that were written before the session began, and the like.
fn is_of_what_no_guild_create_brings(name: &str) -> bool {
    let about = ["MESSAGE_", "INTEGRATION_", "AUTO_MODERATION_"];
    name != "MESSAGE_CREATE" && about.iter().any(|about| name.starts_with(about))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_replayed_give_the_world_whatever_fault_there_is() {
    for (fault, seed) in FAULTS.iter().zip(10..) {
        the_replay_is_the_world_under(fault, seed).await;
    }
    the_replay_is_the_world_under(&FAULTS.join(","), 30).await;
}

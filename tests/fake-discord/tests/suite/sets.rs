//! Two numbers of shards over one world (G-40): what each set of sessions is told, and what happened.

use std::collections::{BTreeMap, BTreeSet};

use fake_discord::{Config, Server, hash_json};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::client::{Client, JSON, Next, get, http, post, server};

/// Of each guild its events in order: kind and hash.
type ByGuild = BTreeMap<String, Vec<(String, String)>>;

/// What happened in the world.
async fn happened(server: &Server) -> Vec<Value> {
    let (status, _, body) = http(server, "GET", "/fake/events", "").await;
    assert_eq!(status, 200);
    body.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Everybody sees a guild in its own way, and every session is told of the bot's user.
fn is_compared(kind: &str) -> bool {
    !matches!(kind, "READY" | "GUILD_CREATE" | "USER_UPDATE" | "VOICE_SERVER_UPDATE")
}

fn of_world<'a>(lines: impl IntoIterator<Item = &'a Value>) -> ByGuild {
    let mut all = ByGuild::new();
    for line in lines {
        if is_compared(line["kind"].as_str().expect("a kind")) {
            let event = (text(&line["kind"]), text(&line["hash"]));
            all.entry(text(&line["guild"])).or_default().push(event);
        }
    }
    all
}

fn of_clients<'a>(dispatches: impl IntoIterator<Item = &'a Value>) -> ByGuild {
    let mut all = ByGuild::new();
    for message in dispatches {
        let (kind, data) = (text(&message["t"]), &message["d"]);
        if is_compared(&kind) {
            let key =
                if matches!(&*kind, "GUILD_UPDATE" | "GUILD_DELETE") { "id" } else { "guild_id" };
            let event = (kind, format!("{:016x}", hash_json(data)));
            all.entry(text(&data[key])).or_default().push(event);
        }
    }
    all
}

/// Whether a line of the world says that this set was told.
fn is_told(line: &Value, shards: u64) -> bool {
    line["sets"].as_array().expect("sets").contains(&shards.into())
}

/// Sessions of one set, read to their end by tasks.
struct Set(Vec<JoinHandle<Vec<Value>>>);

impl Set {
    /// Each has its READY.
    async fn begin(server: &Server, shards: u64) -> Self {
        let mut all = Vec::new();
        for shard in 0..shards {
            let mut client = Client::identified(server, JSON, [shard, shards]).await;
            client.event("READY").await;
            all.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Next::Message(message) = client.next().await {
                    if message["op"] == 0 {
                        seen.push(message);
                    }
                }
                seen
            }));
        }
        Self(all)
    }

    /// All dispatches of all of them, each session's in its order. The server has ended.
    async fn told(self) -> Vec<Value> {
        let mut all = Vec::new();
        for client in self.0 {
            all.extend(client.await.expect("a client"));
        }
        all
    }
}

/// A world that stands still until its sessions are there.
async fn still(change: impl FnOnce(&mut Config)) -> Server {
    let server = server(|config| {
        config.shards = 2;
        config.guilds = 6;
        config.events = Some(2_000);
        change(config);
    })
    .await;
    post(&server, "/fake/pause").await;
    server
}

async fn run(server: &Server) {
    post(server, "/fake/resume").await;
    while get(server, "/fake/status").await["drained"] != true {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g40_two_sets_are_told_one_world_whose_journal_has_each_event_once() {
    let server = still(|config| config.mix = "even".to_owned()).await;
    let (two, three) = (Set::begin(&server, 2).await, Set::begin(&server, 3).await);
    run(&server).await;
    let world = happened(&server).await;
    assert!(world.len() >= 2_000, "{}", world.len());
    let status = get(&server, "/fake/status").await;
    assert_eq!(status["happened"], world.len());
    for (line, n) in world.iter().zip(1_u64..) {
        assert_eq!(line["n"], n);
        let alone = line["kind"] == "VOICE_SERVER_UPDATE";
        assert_eq!(line["sets"], if alone { json!([2]) } else { json!([2, 3]) }, "{line}");
    }
    let (_, _, rest) = http(&server, "GET", "/fake/events?from=1999", "").await;
    assert_eq!(rest.lines().count(), world.len() - 1998);
    server.stop().await;
    let wanted = of_world(&world);
    assert!(wanted.len() >= 6);
    for set in [two, three] {
        assert_eq!(of_clients(&set.told().await), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_told_later_keeps_the_order_of_each_guild_alone() {
    let server = still(|config| {
        config.rate = 4_000.0;
        config.sets = vec!["shards=1,delay=0..40".to_owned()];
    })
    .await;
    let (one, two) = (Set::begin(&server, 1).await, Set::begin(&server, 2).await);
    run(&server).await;
    let world = happened(&server).await;
    server.stop().await;
    let (wanted, late) = (of_world(&world), one.told().await);
    assert_eq!(of_clients(&two.told().await), wanted);
    assert_eq!(of_clients(&late), wanted);
    // Both lanes are this session's: across guilds the order is another one.
    let hash = |message: &Value| format!("{:016x}", hash_json(&message["d"]));
    let order: Vec<String> =
        late.iter().filter(|message| message["t"] != "GUILD_CREATE").map(hash).collect();
    let told = world.iter().filter(|line| line["kind"] != "GUILD_CREATE");
    let told: Vec<String> = told.map(|line| text(&line["hash"])).collect();
    assert_ne!(order, told);
    assert_eq!(BTreeSet::from_iter(&order), BTreeSet::from_iter(&told));
    let seqs: Vec<u64> = late.iter().map(|message| message["s"].as_u64().expect("a seq")).collect();
    assert!(seqs.is_sorted_by(|one, next| one + 1 == *next), "numbered as they were told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withheld_from_one_set_the_other_is_told() {
    let server = still(|config| {
        config.sets = vec![
            "shards=2,withhold=7".to_owned(),
            "shards=3,withhold=7,kinds=TYPING_START+PRESENCE_UPDATE".to_owned(),
        ];
    })
    .await;
    let (two, three) = (Set::begin(&server, 2).await, Set::begin(&server, 3).await);
    run(&server).await;
    let world = happened(&server).await;
    server.stop().await;
    let world: Vec<Value> = world
        .into_iter()
        .filter(|line| is_compared(line["kind"].as_str().expect("a kind")))
        .collect();
    let of = |sets: Value| world.iter().filter(move |line| line["sets"] == sets);
    assert!(of(json!([3])).count() > 100, "withheld from two");
    assert!(of(json!([2])).count() > 50, "withheld from three");
    assert_eq!(of(json!([])).count(), 0);
    let kinds = ["TYPING_START", "PRESENCE_UPDATE"];
    assert!(of(json!([2])).all(|line| kinds.contains(&line["kind"].as_str().expect("a kind"))));
    for (set, shards) in [(two, 2), (three, 3)] {
        let wanted = of_world(world.iter().filter(|line| is_told(line, shards)));
        assert_eq!(of_clients(&set.told().await), wanted, "{shards}");
    }
}

/// How sets are served changes while they run, and a wrong change is none.
#[tokio::test]
async fn a_set_is_changed_by_request() {
    let server = server(|config| config.events = Some(0)).await;
    let set = |query: &str| {
        let path = format!("/fake/set?{query}");
        let server = &server;
        async move { http(server, "POST", &path, "").await }
    };
    let (status, _, body) = set("shards=3&delay=5..20&withhold=9&kinds=TYPING_START").await;
    assert_eq!(status, 200, "{body}");
    let now = json!({"shards": 3, "delay": "5..20", "withhold": 9, "kinds": ["TYPING_START"]});
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), now);
    for wrong in ["delay=7", "shards=3&delay=7&withhold=x", "shards=3&unknown=1", "shards=0"] {
        assert_eq!(set(wrong).await.0, 400, "{wrong}");
    }
    let (_, _, body) = set("shards=3&withhold=0").await;
    let now = json!({"shards": 3, "delay": "5..20", "withhold": 0, "kinds": ["TYPING_START"]});
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), now);
    server.stop().await;
}

/// A member is told that it types, in the guild: something of the guild happens.
async fn type_in(server: &Server, guild: &Value) {
    let channels = guild["channels"].as_array().expect("channels");
    let channel = channels.iter().find(|it| it["type"] == 0).expect("a text channel");
    let path = format!("/api/v10/channels/{}/typing", text(&channel["id"]));
    assert_eq!(http(server, "POST", &path, "").await.0, 204);
}

#[tokio::test]
async fn a_guild_may_be_away_to_one_set_alone() {
    let server = server(|config| config.events = Some(0)).await;
    let mut one = Client::identified(&server, JSON, [0, 1]).await;
    let guild = one.event("GUILD_CREATE").await["d"].clone();
    one.event("GUILD_CREATE").await;
    let id = text(&guild["id"]);
    let shard = id.parse::<u64>().expect("an id") / (1 << 22) % 2;
    let mut two = Client::identified(&server, JSON, [shard, 2]).await;
    while two.event("GUILD_CREATE").await["d"]["id"] != guild["id"] {}

    let outage = format!("/fake/outage?guild={id}&shards=2");
    assert_eq!(post(&server, &outage).await["unavailable"], true);
    let gone = two.event("GUILD_DELETE").await["d"].clone();
    assert_eq!(gone, json!({"id": id, "unavailable": true}));
    type_in(&server, &guild).await;
    let typed = one.message().await;
    assert_eq!(typed["t"], "TYPING_START", "the other one is told no outage, and what happens");
    // A session that begins meanwhile is not told of the guild either, or that it is away.
    let mut later = Client::identified(&server, JSON, [shard, 2]).await;
    let ready = later.event("READY").await;
    let listed = ready["d"]["guilds"].as_array().expect("guilds");
    assert!(listed.iter().any(|listed| listed["id"] == guild["id"]));
    // What is asked about it is not answered.
    let sounds = |id: &str| json!({"op": 31, "d": {"guild_ids": [id]}});
    two.send(&sounds(&id)).await;
    two.send(&json!({"op": 1, "d": null})).await;
    assert_eq!(two.message().await["op"], 11, "no answer before");
    assert_eq!(post(&server, &format!("{outage}&back=1")).await["unavailable"], false);
    let back = two.message().await;
    assert_eq!((&back["t"], &back["d"]["id"]), (&json!("GUILD_CREATE"), &guild["id"]));
    assert_eq!(back["d"]["unavailable"], false);
    loop {
        let told = later.event("GUILD_CREATE").await;
        if told["d"]["id"] == guild["id"] && told["d"]["unavailable"] != true {
            break;
        }
    }
    two.send(&sounds(&id)).await;
    two.event("SOUNDBOARD_SOUNDS").await;
    type_in(&server, &guild).await;
    two.event("TYPING_START").await;
    assert_eq!(one.message().await["t"], "TYPING_START");
    let world = happened(&server).await;
    let told: Vec<_> =
        world.iter().map(|line| (text(&line["kind"]), line["sets"].clone())).collect();
    let line = |kind: &str, sets| (kind.to_owned(), sets);
    let wanted = [
        line("GUILD_DELETE", json!([2])),
        line("TYPING_START", json!([1])),
        line("GUILD_CREATE", json!([2])),
        line("TYPING_START", json!([1, 2])),
    ];
    assert_eq!(told, wanted);
    server.stop().await;
}

#[tokio::test]
async fn a_fault_may_be_one_sets_alone() {
    let server = server(|config| config.events = Some(0)).await;
    let mut one = Client::identified(&server, JSON, [0, 1]).await;
    one.event("READY").await;
    let mut two = Client::identified(&server, JSON, [0, 2]).await;
    two.event("READY").await;
    let told = post(&server, "/fake/fault?how=op9false&shard=0&shards=2").await;
    assert_eq!(told["connections"], 1);
    assert_eq!(two.op(9).await["d"], false);
    one.send(&json!({"op": 1, "d": null})).await;
    one.op(11).await;
    assert_eq!(post(&server, "/fake/fault?how=cut&shards=1").await["connections"], 1);
    assert_eq!(one.closed().await, None);
    assert_eq!(post(&server, "/fake/fault?how=set-outage&shards=1&ms=10").await["connections"], 1);
    let world = happened(&server).await;
    assert_eq!((&world[0]["kind"], &world[0]["sets"]), (&json!("GUILD_DELETE"), &json!([1])));
    server.stop().await;
}

#[tokio::test]
async fn equal_events_come_in_a_row_and_are_as_many() {
    let server = server(|config| {
        config.mix = "equal=1".to_owned();
        config.events = Some(100);
    })
    .await;
    let mut client = Client::identified(&server, JSON, [0, 1]).await;
    client.event("READY").await;
    while get(&server, "/fake/status").await["drained"] != true {
        tokio::task::yield_now().await;
    }
    let world = happened(&server).await;
    let equal = |pair: &&[Value]| {
        let [one, next] = pair else { return false };
        one["hash"] == next["hash"] && one["guild"] == next["guild"]
    };
    assert!(world.windows(2).filter(equal).count() >= world.len() / 3, "{world:?}");
    let mut told = Vec::new();
    while told.len() < world.len() {
        let message = client.message().await;
        if message["op"] == 0 && message["t"] != "GUILD_CREATE" {
            told.push(json!(format!("{:016x}", hash_json(&message["d"]))));
        }
    }
    assert_eq!(told, world.iter().map(|line| line["hash"].clone()).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn of_a_voice_server_the_set_is_told_that_asked() {
    let server = server(|config| config.events = Some(0)).await;
    let mut one = Client::identified(&server, JSON, [0, 1]).await;
    let guild = one.event("GUILD_CREATE").await["d"].clone();
    one.event("GUILD_CREATE").await;
    let id = text(&guild["id"]);
    let shard = id.parse::<u64>().expect("an id") / (1 << 22) % 2;
    let mut two = Client::identified(&server, JSON, [shard, 2]).await;
    two.event("READY").await;
    let channels = guild["channels"].as_array().expect("channels");
    let channel = channels.iter().find(|it| it["type"] == 2).expect("a voice channel");
    two.send(&json!({"op": 4, "d": {
        "guild_id": id, "channel_id": channel["id"], "self_mute": false, "self_deaf": false,
    }}))
    .await;
    two.event("VOICE_SERVER_UPDATE").await;
    type_in(&server, &guild).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&json!("TYPING_START")) {
        seen.push(one.message().await["t"].clone());
    }
    assert!(seen.contains(&json!("VOICE_STATE_UPDATE")), "{seen:?}");
    assert!(!seen.contains(&json!("VOICE_SERVER_UPDATE")), "{seen:?}");
    server.stop().await;
}

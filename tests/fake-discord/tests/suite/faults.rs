//! A client that resumes as the contract says loses nothing, whatever goes wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{ALL, Client, Next, get, identify, journal, resume, server};

/// What a session's client has seen: seq to kind and hash.
type Seen = BTreeMap<u64, (String, String)>;

/// Reads on one connection until it ends. True: the session may be resumed.
async fn read_on(client: &mut Client, session: &mut Option<String>, seen: &mut Vec<Seen>) -> bool {
    loop {
        let message = match client.next().await {
            Next::Message(message) => message,
            Next::Closed(code) => {
                let lost = matches!(code, Some(4001 | 4003 | 4005 | 4007 | 4009));
                return !lost;
            }
        };
        match message["op"].as_u64() {
            Some(0) => {
                if message["t"] == "READY" {
                    let id = message["d"]["session_id"].as_str().expect("an id");
                    *session = Some(id.to_owned());
                    seen.push(Seen::new());
                }
                let name = message["t"].as_str().expect("a name").to_owned();
                let hash = format!("{:016x}", fake_discord::hash_json(&message["d"]));
                let last = seen.last_mut().expect("a session");
                let known = last.insert(client.seq, (name.clone(), hash.clone()));
                if let Some(known) = known {
                    assert_eq!(known, (name, hash), "the same seq, another event");
                }
            }
            Some(7) => return true,
            Some(9) => return message["d"] == true,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resumes_loses_nothing_under_faults() {
    let server = server(|config| {
        config.rate = 4000.0;
        config.hold_while_away = Some(true);
        config.seconds = Some(3.0);
        config.faults =
            "cut=4,op7=2,op9true=2,op9false=1,close=3,stall=1,miss-acks=1,duplicate=2,outage=1,\
             slow-accept=1,restart=1"
                .to_owned();
        config.fault_seconds = 0.06;
    })
    .await;
    let mut session: Option<String> = None;
    let mut seen: Vec<Seen> = Vec::new();
    let mut seq = 0;
    let done = async |seen: &[Seen]| {
        let status = get(&server, "/fake/status").await;
        let last = status["sessions"].as_array().and_then(|all| all.last().cloned());
        let newest = seen.last().and_then(|seen| seen.keys().next_back().copied());
        status["finished"] == true && last.is_some_and(|it| it["last_seq"].as_u64() == newest)
    };
    while !done(&seen).await {
        let query = "v=10&encoding=json&compress=zstd-stream";
        let Some(mut client) = Client::try_connect(&server, query).await else { continue };
        match client.next().await {
            Next::Message(hello) => assert_eq!(hello["op"], 10),
            Next::Closed(_) => continue,
        }
        match &session {
            Some(id) => client.send(&resume(id, seq)).await,
            None => client.send(&identify([0, 1], ALL)).await,
        }
        client.seq = seq;
        let resumable = tokio::select! {
            resumable = read_on(&mut client, &mut session, &mut seen) => resumable,
            () = async { while !done_quietly(&server).await {} } => true,
        };
        seq = client.seq;
        if !resumable {
            session = None;
            seq = 0;
        }
    }
    assert!(seen.len() > 1, "some sessions were lost, as they had to be");
    for (ordinal, seen) in (1..).zip(&seen) {
        let journal = journal(&server, ordinal).await;
        for (line, seq) in journal.iter().zip(1_u64..) {
            assert_eq!(line["seq"], seq, "the journal has no hole");
        }
        // What was on its way when a session ended may never have arrived: a tail, no hole.
        for ((seq, (name, hash)), line) in seen.iter().zip(&journal) {
            assert_eq!(
                (&line["seq"], &line["kind"], &line["hash"]),
                (&Value::from(*seq), &Value::from(name.as_str()), &Value::from(hash.as_str()),)
            );
        }
    }
    let log = get(&server, "/fake/log").await;
    let resumes = log.as_array().expect("lines").iter().filter(|line| line["what"] == "resume");
    assert!(resumes.count() > 3);
    server.stop().await;
}

/// Whether everything was made and sent.
async fn done_quietly(server: &fake_discord::Server) -> bool {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    get(server, "/fake/status").await["drained"] == true
}

#[tokio::test]
async fn an_older_edit_comes_after_a_newer_one_when_the_mix_says_so() {
    let server = server(|config| {
        config.mix = "stale-update=1".to_owned();
        config.events = Some(50);
        config.guilds = 1;
    })
    .await;
    let mut client = Client::identified(&server, "v=10", [0, 1]).await;
    let mut edits = Vec::new();
    while edits.len() < 3 {
        let edit = client.event("MESSAGE_UPDATE").await["d"].clone();
        edits.push(edit["edited_timestamp"].as_str().expect("a time").to_owned());
    }
    assert!(edits[0] < edits[1]);
    assert_eq!(edits[2], edits[0]);
    server.stop().await;
}

#[tokio::test]
async fn channels_hide_and_presences_stray_when_the_mix_says_so() {
    let server = server(|config| {
        config.mix = "hidden-channel=1,stray-presence=1,early-member=1".to_owned();
        config.events = Some(200);
    })
    .await;
    let mut client = Client::identified(&server, "v=10", [0, 1]).await;
    let hidden = loop {
        let update = client.event("CHANNEL_UPDATE").await["d"].clone();
        if update["name"] == "___hidden___" {
            break update;
        }
    };
    assert_eq!(hidden["flags"], 1 << 17);
    let back = client.event("CHANNEL_UPDATE").await["d"].clone();
    assert_eq!(back["id"], hidden["id"]);
    assert_ne!(back["name"], "___hidden___");
    client.event("PRESENCE_UPDATE").await;
    client.event("GUILD_MEMBER_UPDATE").await;
    server.stop().await;
}

#[test]
fn a_wrong_fault_or_mix_names_the_right_ones() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for change in [
        (|config| config.faults = "nonsense=1".to_owned()) as fn(&mut fake_discord::Config),
        |config| config.mix = "nonsense=1".to_owned(),
        |config| config.shards = 0,
        |config| config.rate = -1.0,
    ] {
        let mut config = fake_discord::Config::default();
        change(&mut config);
        let error = runtime.block_on(fake_discord::Server::start(config)).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("known:") || text.starts_with("--"), "{text}");
    }
}

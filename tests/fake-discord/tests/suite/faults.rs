//! A client that resumes as the contract says loses nothing, whatever goes wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{get, journal, server};
use crate::follower::Follower;

/// What a session's client has seen: seq to kind and hash.
type Seen = BTreeMap<u64, (String, String)>;

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
    let mut seen: Vec<Seen> = Vec::new();
    let note = |seq: u64, message: &Value| {
        if message["t"] == "READY" {
            seen.push(Seen::new());
        }
        let name = message["t"].as_str().expect("a name").to_owned();
        let hash = format!("{:016x}", fake_discord::hash_json(&message["d"]));
        let last = seen.last_mut().expect("a session");
        if let Some(known) = last.insert(seq, (name.clone(), hash.clone())) {
            assert_eq!(known, (name, hash), "the same seq, another event");
        }
    };
    Follower::default().follow(&server, note).await;
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

#[test]
fn a_wrong_fault_or_mix_names_the_right_ones() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for change in [
        (|config| config.faults = "nonsense=1".to_owned()) as fn(&mut fake_discord::Config),
        |config| config.mix = "nonsense=1".to_owned(),
        |config| config.shards = 0,
        |config| config.sets = vec!["shards=3,nonsense=1".to_owned()],
        |config| config.rate = -1.0,
    ] {
        let mut config = fake_discord::Config::default();
        change(&mut config);
        let error = runtime.block_on(fake_discord::Server::start(config)).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("known:") || text.starts_with("--"), "{text}");
    }
}

//! Servers that behave badly: the process stays up, and good events between bad ones arrive.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Instance, Reader};
use crate::hostile::{Hostile, Peer};
use crate::packing::{self, Zlib};

const JSON: [&str; 4] = ["--encoding", "json", "--compression", "none"];
const JSON_ZSTD: [&str; 4] = ["--encoding", "json", "--compression", "zstd-stream"];

fn seqs(reader: &Reader, kind: &str) -> Vec<u64> {
    reader.got.iter().filter(|got| got.kind == kind).map(|got| got.seq).collect()
}

/// A poisoned payload is left out with a gap and a counter, and does not cost the connection.
#[test]
fn undecodable_messages_between_good_ones_are_left_out() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "ws://127.0.0.1:9").await;
            peer.dispatch(2, "TYPING_START", json!({"channel_id": "5"})).await;
            peer.send(Message::text("{\"op\":0,\"s\":3,\"t\":\"MESSAGE_CREATE\",\"d\":{")).await;
            peer.send(Message::binary(vec![0xff; 100])).await;
            peer.send(Message::text("[".repeat(100_000))).await;
            peer.dispatch(4, "TYPING_START", json!({"channel_id": "5"})).await;
            peer.send(Message::text("null")).await;
            peer.dispatch(5, "TYPING_START", json!({"channel_id": "5"})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().any(|got| got.seq == 5 && !got.is_own()));
    assert_eq!(seqs(&reader, "TYPING_START"), [2, 4, 5]);
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(
        gap.data,
        json!({"shard": 0, "session": 1, "from_seq": 3, "to_seq": 3, "reason": "undecodable"})
    );
    assert_eq!(server.connections(), 1);
    drop(gateway);
}

/// A RESUME that may not be sent (G-30) is not waited for: the session is given up, with a gap.
#[test]
fn g30_a_session_id_too_long_to_resume_with() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            if peer.number == 0 {
                peer.ready(&"s".repeat(5000), "ws://127.0.0.1:9").await;
                peer.dispatch(2, "TYPING_START", json!({"channel_id": "5"})).await;
                peer.say(&json!({"op": 7, "d": null})).await;
            } else if peer.number == 1 {
                peer.hello().await;
            } else {
                peer.ready("t", "ws://127.0.0.1:9").await;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader
        .until("the next session", |got| got.iter().filter(|got| got.kind == "READY").count() == 2);
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(gap.data["from_seq"], 3);
    assert_eq!(gap.data["reason"], "invalid_session");
    drop(gateway);
}

/// §15 line 20: unknown events pass through whole, unknown opcodes and members are ignored.
#[test]
fn unknown_events_opcodes_and_members() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "ws://127.0.0.1:9").await;
            peer.say(&json!({"op": 99, "d": {"x": 1}})).await;
            peer.say(&json!({"op": 250, "s": null, "t": null, "d": [1, 2]})).await;
            peer.dispatch(2, "BRAND_NEW_EVENT", json!({"guild_id": "77", "colour_of_it": [1]}))
                .await;
            peer.say(&json!({"op": 0, "s": 3, "t": "TYPING_START", "d": {"user_id": "1"}, "extra": {"a": 1}})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().any(|got| got.seq == 3 && !got.is_own()));
    let new = reader.got.iter().find(|got| got.kind == "BRAND_NEW_EVENT").expect("delivered");
    assert_eq!(new.data, json!({"guild_id": "77", "colour_of_it": [1]}));
    assert_eq!(new.key, 77);
    assert_eq!(server.connections(), 1);
    drop(gateway);
}

/// A server that asks for a User-Agent, and closes with a reason: the one is sent, the other logged.
#[test]
fn a_server_that_wants_to_know_who_asks_and_says_why_it_closes() {
    static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            NAMES.lock().expect("whole").push(peer.user_agent.clone());
            if peer.number == 0 {
                peer.hello().await;
                peer.close_because(4002, "no \u{1b}[31m manners").await;
            } else {
                peer.ready("s", "ws://127.0.0.1:9").await;
                peer.stay().await;
            }
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    for name in NAMES.lock().expect("whole").iter() {
        assert!(name.starts_with("DiscordBot (mixcord-gateway, "), "{name:?}");
    }
    let log = gateway.log();
    assert!(log.contains("manners") && log.contains("4002"), "the reason is told: {log}");
    assert!(!log.contains("\u{1b}[31m manners"), "the server writes no control characters: {log}");
}

/// What IDENTIFY says, and that nothing was said before it; no compression of payloads.
#[test]
fn g33_g34_identify_is_the_first_word_and_asks_for_no_payload_compression() {
    static SAID: Mutex<Vec<Value>> = Mutex::new(Vec::new());
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.hello().await;
            let identify = peer.any().await.expect("a payload");
            SAID.lock().expect("whole").push(identify);
            peer.dispatch(1, "READY", json!({"session_id": "s"})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let presence = r#"{"status":"idle","activities":[{"name":"tests","type":3}]}"#;
    let identify = ["--intents", "513", "--large-threshold", "70", "--presence", presence];
    let options = [&JSON[..], &identify].concat();
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    let said = SAID.lock().expect("whole").clone();
    let mut identify = said[0]["d"].clone();
    assert_eq!(said[0]["op"], 2);
    let properties = identify["properties"].take();
    let mut names: Vec<_> = properties.as_object().expect("a map").keys().collect();
    names.sort();
    assert_eq!(names, ["browser", "device", "os"]);
    assert_eq!(
        identify,
        json!({"token": crate::harness::TOKEN, "properties": null, "intents": 513,
               "shard": [0, 1], "large_threshold": 70,
               "presence": {"since": null, "status": "idle", "afk": false,
                            "activities": [{"name": "tests", "type": 3}]}})
    );
    drop(gateway);
}

/// G-2: the URL is asked for once, and again only when it fails.
#[test]
fn g2_the_url_is_asked_for_again_only_when_connecting_to_it_fails() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            match peer.number {
                0 => {
                    peer.hello().await;
                    peer.expect(2).await;
                    peer.dispatch(1, "READY", json!({"session_id": "s"})).await;
                    peer.dispatch(2, "TYPING_START", json!({})).await;
                }
                last => {
                    peer.hello().await;
                    let resume = peer.expect(6).await.expect("a resume");
                    let next = resume["seq"].as_u64().expect("a number") + 1;
                    peer.dispatch(next, "RESUMED", json!({})).await;
                    if last == 5 {
                        peer.stay().await;
                    }
                }
            }
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the fifth RESUMED", |got| {
        got.iter().filter(|got| got.kind == "RESUMED").count() == 5
    });
    assert_eq!((server.connections(), server.asked()), (6, 1));
    drop(gateway);
}

/// Members that are missing or of another type than they should be: what can be read is delivered,
/// what cannot be is told.
#[test]
fn odd_envelopes() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.say(&json!({"op": 10, "d": {"heartbeat_interval": 41_250.5}})).await;
            peer.expect(2).await;
            peer.say(&json!({"op": 0, "s": 1, "t": "READY", "d": {"v": 10}})).await;
            for odd in [
                json!({"op": 0, "s": null, "t": "TYPING_START", "d": {"channel_id": "1"}}),
                json!({"op": 0, "s": 2, "t": "TYPING_START"}),
                json!({"op": 0, "s": 3, "d": {"a": 1}}),
                json!({"op": 0.0, "s": 4.0, "t": "TYPING_START", "d": [1, 2]}),
                json!({"op": -1}),
                json!({"op": null}),
                json!({}),
                json!([]),
                json!("text"),
                json!({"op": 10, "d": null}),
                json!({"op": 11, "d": [1]}),
                json!({"op": 0, "s": 5, "t": "TYPING_START", "d": "text"}),
                json!({"op": 0, "s": 6, "t": "X".repeat(5_000), "d": {}}),
                json!({"op": 0, "s": 7, "t": "RESUMED", "d": {}}),
            ] {
                peer.say(&odd).await;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().any(|got| got.seq == 7 && !got.is_own()));
    let got: Vec<_> = reader
        .got
        .iter()
        .filter(|got| got.kind != "SHARD_STATE")
        .map(|got| (got.kind.as_str(), got.seq))
        .collect();
    let wanted = [
        ("READY", 1),
        ("TYPING_START", 0),
        ("TYPING_START", 2),
        ("", 3),
        ("TYPING_START", 4),
        ("TYPING_START", 5),
        ("GAP", 6),
        ("RESUMED", 7),
    ];
    assert_eq!(got, wanted);
    assert_eq!(server.connections(), 1);
    drop(gateway);
}

/// What breaks the websocket's own rules and comes again with every replay ends the session, not the
/// day: a gap, and another one.
#[test]
fn p8_a_replay_that_always_breaks_the_connection_is_given_up() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            let not_utf8 = Frame::message(vec![b'{', 0xff, 0xfe], OpCode::Data(Data::Text), true);
            match peer.number {
                0 => peer.ready("s", "ws://127.0.0.1:9").await,
                1 | 2 => {
                    peer.hello().await;
                    peer.expect(6).await.expect("a resume");
                }
                _ => {
                    peer.ready("t", "ws://127.0.0.1:9").await;
                    return peer.stay().await;
                }
            }
            peer.send(Message::Frame(not_utf8)).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the next session", |got| {
        got.iter().any(|got| got.kind == "READY" && got.session == 2)
    });
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(
        (gap.data["from_seq"].as_u64(), &gap.data["reason"]),
        (Some(2), &json!("resume_failed"))
    );
    drop(gateway);
}

fn packed(value: &Value) -> Message {
    Message::binary(packing::zstd(value.to_string().as_bytes()))
}

/// G-38: a broken compression stream and a bomb end the connection, and the session is resumed.
#[test]
fn g38_broken_streams_and_bombs_reconnect_and_resume() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            let hello = json!({"op": 10, "d": {"heartbeat_interval": 40_000}});
            peer.send(packed(&hello)).await;
            let event =
                |seq: u64| json!({"op": 0, "s": seq, "t": "TYPING_START", "d": {"user_id": "1"}});
            if peer.number == 0 {
                peer.expect(2).await;
                let ready = json!({"session_id": "s", "resume_gateway_url": null});
                peer.send(packed(&json!({"op": 0, "s": 1, "t": "READY", "d": ready}))).await;
                peer.send(packed(&event(2))).await;
                peer.send(Message::binary(b"no zstd at all".to_vec())).await;
            } else {
                let resume = peer.expect(6).await.expect("a resume");
                let next = resume["seq"].as_u64().expect("a number") + 1;
                peer.send(packed(&json!({"op": 0, "s": next, "t": "RESUMED", "d": {}}))).await;
                peer.send(packed(&event(next + 1))).await;
                if peer.number == 1 {
                    let bomb = " ".repeat(40 << 20);
                    peer.send(packed(&json!({"op": 0, "s": next + 2, "t": "X", "d": bomb}))).await;
                }
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let options = [&JSON_ZSTD[..], &["--message-bytes-max", "4MiB"]].concat();
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().any(|got| got.seq == 6 && !got.is_own()));
    assert_eq!(seqs(&reader, "TYPING_START"), [2, 4, 6]);
    assert_eq!(seqs(&reader, "RESUMED"), [3, 5]);
    assert_eq!(server.connections(), 3);
    assert!(reader.gaps().is_empty());
    drop(gateway);
}

/// §15 line 17: a zlib message whose first websocket message ends with `00 00 ff ff` is still one
/// message, and one that ends for good in its middle costs no other.
fn zlib_in_pieces(encoding: &'static str) {
    let server = Hostile::start(move |mut peer: Peer| {
        Box::pin(async move {
            let encode = |value: &Value| match encoding {
                "etf" => packing::etf(value),
                _ => value.to_string().into_bytes(),
            };
            let event = |seq: u64, text: &str| {
                let data = json!({"channel_id": "5", "text": text, "list": [1, 2], "end": null});
                encode(&json!({"op": 0, "s": seq, "t": "TYPING_START", "d": data}))
            };
            let mut zlib = Zlib::new();
            let mut messages = vec![
                encode(&json!({"op": 10, "d": {"heartbeat_interval": 40_000}})),
                encode(&json!({"op": 0, "s": 1, "t": "READY", "d": {"session_id": "s"}})),
            ];
            messages.extend((2..40).map(|seq| event(seq, "whole")));
            for (number, message) in messages.iter().enumerate() {
                let (first, second) = message.split_at(number % message.len());
                peer.send(Message::binary(zlib.flushed(first))).await;
                if !second.is_empty() {
                    peer.send(Message::binary(zlib.flushed(second))).await;
                }
                if number == 0 {
                    // IDENTIFY, in whatever encoding.
                    peer.anything().await;
                }
            }
            // The first part of a message that never ends, and a message that does.
            let cut_short = event(40, "never whole");
            for part in [1, 20, cut_short.len() / 2, cut_short.len() - 1] {
                peer.send(Message::binary(zlib.flushed(&cut_short[..part]))).await;
                peer.send(Message::binary(zlib.flushed(&event(41 + part as u64, "after")))).await;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let options = ["--encoding", encoding, "--compression", "zlib-stream"];
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().filter(|got| !got.is_own()).count() == 43);
    let seqs = seqs(&reader, "TYPING_START");
    assert_eq!(seqs[..38], (2..40).collect::<Vec<_>>());
    assert!(reader.gaps().iter().all(|gap| gap.data["reason"] == "undecodable"));
    assert_eq!(reader.gaps().len(), 4);
    assert_eq!(server.connections(), 1);
    drop(gateway);
}

#[test]
fn g35_zlib_messages_in_pieces_json() {
    zlib_in_pieces("json");
}

#[test]
fn g35_zlib_messages_in_pieces_etf() {
    zlib_in_pieces("etf");
}

/// A message cut at any byte, then whole ones: each whole one arrives as it was sent, and nothing is made of
/// the part and what follows it.
fn zlib_cut_anywhere(encoding: &'static str) {
    let last = Arc::new(Mutex::new(0));
    let sent = Arc::clone(&last);
    let server = Hostile::start(move |mut peer: Peer| {
        let sent = Arc::clone(&sent);
        Box::pin(async move {
            let encode = |value: &Value| match encoding {
                "etf" => packing::etf(value),
                _ => value.to_string().into_bytes(),
            };
            let event = |seq: u64| {
                let data = json!({"d": seq, "channel_id": "5", "list": [1, 2], "end": null});
                encode(&json!({"op": 0, "s": seq, "t": "TYPING_START", "d": data}))
            };
            let mut zlib = Zlib::new();
            let hello = encode(&json!({"op": 10, "d": {"heartbeat_interval": 40_000}}));
            peer.send(Message::binary(zlib.flushed(&hello))).await;
            peer.anything().await;
            let ready = json!({"op": 0, "s": 1, "t": "READY", "d": {"session_id": "s"}});
            peer.send(Message::binary(zlib.flushed(&encode(&ready)))).await;
            let mut seq = 2;
            for cut in 1.. {
                let part = event(seq);
                let Some(part) = part.get(..cut).filter(|_| cut < part.len()) else { break };
                peer.send(Message::binary(zlib.flushed(part))).await;
                for whole in [seq + 1, seq + 2] {
                    peer.send(Message::binary(zlib.flushed(&event(whole)))).await;
                }
                seq += 3;
            }
            *sent.lock().expect("whole") = seq - 1;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let options = ["--encoding", encoding, "--compression", "zlib-stream"];
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| {
        let last = *last.lock().expect("whole");
        last > 0 && got.iter().any(|got| got.seq == last && !got.is_own())
    });
    let whole: Vec<_> = (2..=*last.lock().expect("whole")).filter(|seq| seq % 3 != 2).collect();
    assert_eq!(seqs(&reader, "TYPING_START"), whole);
    for got in reader.events().iter().filter(|got| got.kind == "TYPING_START") {
        let sent = json!({"d": got.seq, "channel_id": "5", "list": [1, 2], "end": null});
        assert_eq!(got.data, sent);
    }
    for gap in reader.gaps() {
        assert_eq!(gap.data["from_seq"].as_u64().expect("a number") % 3, 2);
        assert_eq!(
            (&gap.data["from_seq"], &gap.data["reason"]),
            (&gap.data["to_seq"], &json!("undecodable"))
        );
    }
    assert_eq!(reader.gaps().len(), whole.len() / 2);
    assert_eq!(server.connections(), 1);
    drop(gateway);
}

#[test]
fn g35_zlib_messages_cut_anywhere_json() {
    zlib_cut_anywhere("json");
}

#[test]
fn g35_zlib_messages_cut_anywhere_etf() {
    zlib_cut_anywhere("etf");
}

/// A server of another version: one line, not one a key.
#[test]
fn p6_many_new_keys_are_one_line() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.hello().await;
            peer.expect(2).await;
            let mut ready = json!({"session_id": "s"});
            for number in 0..75 {
                ready[format!("brand_new_{number}")] = json!(number);
            }
            peer.dispatch(1, "READY", ready).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    crate::harness::until("the line", || gateway.log().contains("new to this version"));
    let log = gateway.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("brand_new_")).collect();
    let [line] = lines[..] else { panic!("one line, not {lines:?}") };
    assert!(line.contains("75") && line.contains("brand_new_0"), "{line}");
    drop(gateway);
}

/// A READY that cannot be decoded: told, not waited for for ever, identified again.
#[test]
fn p3_a_ready_that_cannot_be_decoded_is_tried_again_and_told() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            if peer.number < 2 {
                peer.hello().await;
                peer.expect(2).await;
                peer.send(Message::text("{\"op\":0,\"s\":1,\"t\":\"READY\",\"d\":{")).await;
                peer.dispatch(2, "GUILD_CREATE", json!({"id": "77"})).await;
            } else {
                peer.ready("s", "ws://127.0.0.1:9").await;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let options = [&JSON[..], &["--hello-timeout-ms", "2000"]].concat();
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("READY", |got| got.iter().any(|got| got.kind == "READY"));
    let gaps = reader.gaps();
    let [gap] = gaps[..] else { panic!("one gap, not {gaps:?}") };
    assert_eq!(
        gap.data,
        json!({"shard": 0, "session": 0, "from_seq": 0, "to_seq": null, "reason": "undecodable"})
    );
    assert_eq!(server.connections(), 3);
    assert!(gateway.log().contains("could not be decoded"), "{}", gateway.log());
    drop(gateway);
}

#[test]
fn hello_that_never_comes_and_a_resume_url_that_points_nowhere() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            match peer.number {
                0 => std::future::pending().await,
                1 => {
                    peer.ready("s", "ws://127.0.0.1:9").await;
                    peer.dispatch(2, "TYPING_START", json!({})).await;
                }
                // G-21: back at the first URL, with the session.
                _ => {
                    peer.hello().await;
                    let resume = peer.expect(6).await.expect("a resume");
                    assert_eq!(resume["session_id"], "s");
                    peer.dispatch(3, "RESUMED", json!({})).await;
                    peer.stay().await;
                }
            }
        })
    });
    let instance = Instance::new();
    let options = [&JSON[..], &["--hello-timeout-ms", "2000"]].concat();
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("RESUMED", |got| got.iter().any(|got| got.kind == "RESUMED"));
    assert_eq!(server.connections(), 3);
    drop(gateway);
}

/// A payload larger than the whole ring passes, in its place.
#[test]
fn ten_megabytes_in_one_event() {
    let server = Hostile::start(|mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "ws://127.0.0.1:9").await;
            peer.dispatch(2, "TYPING_START", json!({})).await;
            let large = json!({"guild_id": "1", "content": "x".repeat(10 << 20)});
            peer.dispatch(3, "MESSAGE_CREATE", large).await;
            peer.dispatch(4, "TYPING_START", json!({})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let gateway = instance.start(&server.api_url(), &JSON);
    let mut reader = Reader::new(&instance);
    reader.until("the last event", |got| got.iter().any(|got| got.seq == 4 && !got.is_own()));
    let large = reader.got.iter().find(|got| got.kind == "MESSAGE_CREATE").expect("delivered");
    assert_eq!(large.data["content"].as_str().map(str::len), Some(10 << 20));
    assert!(reader.gaps().is_empty());
    drop(gateway);
}

/// Close codes that nothing can be done about end the process, before anything was ever received.
#[test]
fn fatal_close_codes_end_the_process() {
    for code in [4004, 4010, 4011, 4012, 4013, 4014] {
        let server = Hostile::start(move |mut peer: Peer| {
            Box::pin(async move {
                peer.hello().await;
                peer.expect(2).await;
                peer.close(code).await;
            })
        });
        let instance = Instance::new();
        let mut gateway = instance.start(&server.api_url(), &JSON);
        assert_eq!(gateway.wait().code(), Some(78), "{code}: {}", gateway.log());
        assert!(gateway.log().contains(&code.to_string()), "{code}: {}", gateway.log());
        assert!(instance.segments().is_empty());
    }
}

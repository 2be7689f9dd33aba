//! What we send: the same in both encodings, binary keys, never too large.

use eetf::Term;
use mixcord_event::send::{
    Activity, EncodeError, Identify, PresenceUpdate, RequestChannelInfo, RequestMembers,
    RequestSounds, Resume, SEND_MAX, VoiceState,
};
use mixcord_event::{Decoder, Encoding, Limits, Outgoing, Shard};
use serde_json::{Value, json};

fn encode(payload: &Outgoing, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    payload.encode(encoding, &mut out).unwrap();
    out
}

fn presence() -> PresenceUpdate {
    PresenceUpdate {
        since: Some(91_879_201),
        activities: vec![Activity {
            name: "Analytical Engine".to_owned(),
            kind: 0,
            state: Some("Note G".to_owned()),
            url: None,
        }],
        status: "online".to_owned(),
        afk: false,
    }
}

/// Every payload beside the JSON that Discord documents for it (gateway contract, rules of §2 and §5).
fn payloads() -> Vec<(Outgoing, Value)> {
    let activity = json!({"name": "Analytical Engine", "type": 0, "state": "Note G"});
    let shown =
        json!({"since": 91_879_201, "activities": [activity], "status": "online", "afk": false});
    let id = 613_425_648_685_547_541;
    vec![
        (Outgoing::Heartbeat { seq: None }, json!({"op": 1, "d": null})),
        (Outgoing::Heartbeat { seq: Some(251) }, json!({"op": 1, "d": 251})),
        (Outgoing::Heartbeat { seq: Some(1 << 40) }, json!({"op": 1, "d": 1_u64 << 40})),
        (
            Outgoing::Identify(Identify {
                token: "t0k3n".to_owned(),
                intents: 53_608_447,
                shard: Shard { id: 3, count: 300 },
                large_threshold: Some(250),
                presence: Some(presence()),
                capabilities: Some(1 << 15),
            }),
            json!({"op": 2, "d": {
                "token": "t0k3n", "intents": 53_608_447, "shard": [3, 300], "large_threshold": 250,
                "properties": {"os": "linux", "browser": "mixcord", "device": "mixcord"},
                "presence": shown, "capabilities": 32_768}}),
        ),
        (Outgoing::PresenceUpdate(presence()), json!({"op": 3, "d": shown})),
        (
            Outgoing::VoiceState(VoiceState {
                guild_id: id,
                channel_id: None,
                self_mute: true,
                self_deaf: false,
            }),
            json!({"op": 4, "d": {"guild_id": id.to_string(), "channel_id": null,
                "self_mute": true, "self_deaf": false}}),
        ),
        (
            Outgoing::Resume(Resume {
                token: "t0k3n".to_owned(),
                session_id: "90326bd25d71d39b".to_owned(),
                seq: 1337,
            }),
            json!({"op": 6, "d": {"token": "t0k3n", "session_id": "90326bd25d71d39b", "seq": 1337}}),
        ),
        (
            Outgoing::RequestMembers(RequestMembers { guild_id: id, ..RequestMembers::default() }),
            json!({"op": 8, "d": {"guild_id": id.to_string(), "query": "", "limit": 0, "presences": false}}),
        ),
        (
            Outgoing::RequestMembers(RequestMembers {
                guild_id: id,
                user_ids: vec![7, u64::MAX],
                presences: true,
                nonce: Some("n".to_owned()),
                ..RequestMembers::default()
            }),
            json!({"op": 8, "d": {"guild_id": id.to_string(), "presences": true, "nonce": "n",
                "user_ids": ["7", u64::MAX.to_string()]}}),
        ),
        (
            Outgoing::RequestSounds(RequestSounds { guild_ids: vec![id] }),
            json!({"op": 31, "d": {"guild_ids": [id.to_string()]}}),
        ),
        (
            Outgoing::RequestChannelInfo(RequestChannelInfo {
                guild_id: id,
                fields: vec!["status".to_owned(), "voice_start_time".to_owned()],
            }),
            json!({"op": 43, "d": {"guild_id": id.to_string(), "fields": ["status", "voice_start_time"]}}),
        ),
    ]
}

#[test]
fn json_is_what_discord_documents() {
    for (payload, expected) in payloads() {
        let text = encode(&payload, Encoding::Json);
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected);
        assert_eq!(u64::from(payload.op()), expected["op"].as_u64().unwrap());
    }
}

/// ETF says the same, as our own reader and as eetf's see it; atoms as keys would be refused (4002).
#[test]
fn etf_says_the_same_with_binary_keys() {
    for (payload, _) in payloads() {
        let (etf, json) = (encode(&payload, Encoding::Etf), encode(&payload, Encoding::Json));
        let mut decoder = Decoder::new(Limits::default());
        let from_etf = decoder.document_from_etf(&etf).unwrap();
        let from_json = decoder.document_from_json(&json).unwrap();
        assert_eq!(from_etf, from_json);
        assert_eq!(etf[..2], [131, 116]);
        check_keys(&Term::decode(&etf[..]).unwrap());
    }
}

fn check_keys(term: &Term) {
    match term {
        Term::Map(map) => map.map.iter().for_each(|(key, value)| {
            assert!(matches!(key, Term::Binary(_)), "{key}");
            check_keys(value);
        }),
        Term::List(list) => list.elements.iter().for_each(check_keys),
        _ => {}
    }
}

/// eetf writes lists of more than 65,535 bytes and of negative integers wrongly: neither can be
/// in what we send, and what comes near is right.
#[test]
fn eetfs_bugs_are_out_of_reach() {
    let ids: Vec<u64> = (0..100).collect();
    let payload = Outgoing::RequestSounds(RequestSounds { guild_ids: ids });
    let mut decoder = Decoder::new(Limits::default());
    let from_etf = decoder.document_from_etf(&encode(&payload, Encoding::Etf)).unwrap();
    let from_json = decoder.document_from_json(&encode(&payload, Encoding::Json)).unwrap();
    assert_eq!(from_etf, from_json);
}

#[test]
fn what_discord_would_refuse_is_refused_here() {
    for encoding in [Encoding::Etf, Encoding::Json] {
        let nonce = |length| {
            Outgoing::RequestMembers(RequestMembers {
                nonce: Some("x".repeat(length)),
                ..RequestMembers::default()
            })
        };
        let mut out = b"before".to_vec();
        let error = nonce(5000).encode(encoding, &mut out).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { len } if len > SEND_MAX));
        assert_eq!(out, b"before");
        let mut length = 3900;
        while nonce(length).encode(encoding, &mut Vec::new()).is_ok() {
            length += 1;
        }
        let mut out = Vec::new();
        nonce(length - 1).encode(encoding, &mut out).unwrap();
        assert_eq!(out.len(), SEND_MAX);
    }
}

/// P9: no way of printing shows the token.
#[test]
fn the_token_is_never_printed() {
    for (payload, _) in payloads() {
        assert!(!format!("{payload:?} {payload:#?}").contains("t0k3n"));
    }
}

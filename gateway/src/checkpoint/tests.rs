//! What a checkpoint says to another process, of this release, an older one or a newer.

use mixcord_event::takeover::Taken;

use super::*;

fn settings(intents: u64) -> Settings {
    Settings {
        shard: 1,
        shards: 4,
        intents,
        etf: true,
        api_version: API_VERSION,
        fingerprint: [3; 16],
        account: [7; 16],
        capabilities: 0,
    }
}

fn checkpoint() -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    checkpoint.status.seq = Some(77);
    let session = SessionInfo { id: "abc".into(), resume_url: Some("wss://x".into()) };
    checkpoint.begin(5, &session, &settings(513));
    checkpoint
}

#[test]
fn g24_the_same_settings_resume_any_other_owe_a_gap() {
    let bytes = checkpoint().encode();
    let read = Checkpoint::decode(&bytes).expect("reads");
    let restored = read.restore(&settings(513));
    assert_eq!(restored.session.map(|session| session.id), Some("abc".into()));
    assert_eq!((restored.seq, restored.counter, restored.lost), (Some(77), 5, None));
    let others = [
        settings(1),
        settings(513).of_shard(1, 8),
        settings(513).of_shard(2, 4),
        Settings { etf: false, ..settings(513) },
        Settings { fingerprint: [4; 16], ..settings(513) },
        Settings { account: [8; 16], ..settings(513) },
        Settings { capabilities: 1 << 15, ..settings(513) },
    ];
    for other in others {
        let restored = read.restore(&other);
        assert_eq!(restored.session, None, "{other:?}");
        assert_eq!(restored.lost, Some(GapReason::SettingsChanged));
    }
    assert_eq!(Checkpoint::default().restore(&settings(1)).lost, None);
}

/// The bridge of this machine sends the ring from there on, over restarts of the gateway.
#[test]
fn what_a_ring_goes_on_from_that_was_taken_over_stays() {
    let taken = Taken { log: 7, position: 8, generation: 9, from: 10 };
    let mut bytes = checkpoint().encode();
    assert_eq!(Taken::decode(&bytes), None);
    taken.put(&mut bytes);
    let mut read = Checkpoint::decode(&bytes).expect("reads");
    read.count_anew(1, 2, true);
    assert_eq!(Taken::decode(&read.encode()), Some(taken));
    assert!(read.restore(&settings(513)).session.is_some());
}

#[test]
fn p8_other_bytes_are_no_checkpoint_and_no_other_session() {
    let bytes = checkpoint().encode();
    for end in 0..bytes.len() {
        let Some(read) = Checkpoint::decode(&bytes[..end]) else { continue };
        assert_eq!((read.status.session, read.status.seq), (5, Some(77)), "cut at {end}");
        assert!(read.session.is_none_or(|saved| saved.id == "abc"), "cut at {end}");
    }
    assert_eq!(Checkpoint::decode(&[0xff; 400]), None);
    let mut other = bytes;
    other[0] = other[0].wrapping_add(1);
    assert_eq!(Checkpoint::decode(&other), None);
}

/// What the gateway of 2026-11 left: no sections, and the status in front of the session.
const V2: &[u8] = b"\x02\x09connected\x05\x01\x4d\x02\xfb\x28\xa0\xfb\x04\xa6\x03\x01\x02\x04\xfb\xdc\x05\x00\
    \x01\x03abc\x01\x07wss://x\x01\x04\xfb\x01\x02\x01\x0a\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03";

/// What the first gateway with sections leaves: progress, session, status, writer.
const V3: &[u8] = b"\x03\
    \x02\x01\x0d\x00\x00\x00\x05\x00\x00\x00\x01\x4d\x00\x00\x00\x00\x00\x00\x00\
    \x03\x01\x24\x00\x00\x00\x03abc\x01\x07wss://x\x01\x04\xfb\x01\x02\x01\x0a\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\x03\
    \x04\x01\x1c\x00\x00\x00\x09connected\x05\x01\x4d\x02\xfb\x28\xa0\xfb\x04\xa6\x03\x01\x02\x04\xfb\xdc\x05\x00\
    \x01\x01\x15\x00\x00\x00mixcord-gateway 0.1.0";

fn resumes(bytes: &[u8]) -> ShardStatus {
    let read = Checkpoint::decode(bytes).expect("reads");
    let restored = read.restore(&settings(513));
    let session = SessionInfo { id: "abc".into(), resume_url: Some("wss://x".into()) };
    let expected = Restored { session: Some(session), seq: Some(77), counter: 5, lost: None };
    assert_eq!(restored, expected);
    assert_eq!(
        Checkpoint::decode(&read.encode()).expect("again").restore(&settings(513)),
        expected
    );
    read.status
}

/// G-F9: an upgrade of the gateway, from whatever release, identifies nobody anew.
#[test]
fn p11_the_sessions_of_older_gateways_are_resumed() {
    for frozen in [V2, V3] {
        let status = resumes(frozen);
        assert_eq!((status.state.as_str(), status.latencies_us.len()), ("connected", 2));
        assert_eq!((status.reconnects, status.gaps, status.stalled_ms), (3, 2, 1500));
    }
}

/// And so does the way back: sections that are new, a longer status and one that means something
/// else, a longer session and progress.
#[test]
fn p11_the_sessions_of_newer_gateways_are_resumed() {
    let longer = |section: u8, more: &[u8], version: u8| {
        let content = sections::find(&V3[1..], section, 1).expect("there");
        let mut bytes = Vec::new();
        sections::put(&mut bytes, section, version, &[content, more].concat());
        bytes
    };
    let mut unknown = Vec::new();
    sections::put(&mut unknown, 77, 9, &[0xff; 500]);
    let parts = |status_version| {
        [
            unknown.clone(),
            longer(4, b"\x2a\x05later", status_version),
            // Behind what this release knows of.
            longer(3, &[&[0; 17][..], b"\x01\x02"].concat(), 1),
            longer(2, &[9; 8], 1),
        ]
        .concat()
    };
    let status = resumes(&[&[CHECKPOINT][..], &parts(1)].concat());
    assert_eq!((status.state.as_str(), status.stalls), ("connected", 4));
    let status = resumes(&[&[CHECKPOINT][..], &parts(2)].concat());
    assert_eq!(status, ShardStatus { session: 5, seq: Some(77), ..ShardStatus::default() });
    // A status of nobody's making: it is empty, and the session stands.
    let broken = [&V3[..1], &V3[1..][..61], b"\x04\x01\x02\x00\x00\x00\xff\xff"].concat();
    assert_eq!(resumes(&broken).state, "");
}

/// What is not there any more cannot be resumed, but its counter and seq are known.
#[test]
fn a_session_in_a_form_that_nobody_knows_owes_a_gap() {
    let mut bytes = V3.to_vec();
    let at = 1 + 6 + 13;
    assert_eq!(bytes[at..at + 2], [SESSION, VERSION]);
    bytes[at + 1] = 2;
    let restored = Checkpoint::decode(&bytes).expect("reads").restore(&settings(513));
    assert_eq!((restored.session, restored.seq, restored.counter), (None, Some(77), 5));
    assert_eq!(restored.lost, Some(GapReason::SessionNotKept));
}

/// G-F17: the last word is kept, be it a command's or that of the options.
#[test]
fn a_presence_outlives_the_process_until_the_options_say_another() {
    let presence = |status: &str| PresenceUpdate {
        since: None,
        activities: vec![],
        status: status.into(),
        afk: false,
    };
    let (before, after) = (presence("online"), presence("dnd"));
    let mut checkpoint = checkpoint();
    assert_eq!(checkpoint.presence(Some(&before)), Some(before.clone()));
    let set = SetPresence { presence: presence("idle"), instead_of: Some(before.clone()) };
    checkpoint.show(Some(set));
    let read = Checkpoint::decode(&checkpoint.encode()).expect("reads");
    for (configured, shown) in
        [(Some(&before), Some("idle")), (Some(&after), Some("dnd")), (None, None)]
    {
        let mut read = read.clone();
        read.forget_presence(configured);
        assert_eq!(read.presence(configured).map(|it| it.status).as_deref(), shown);
    }
}

#[test]
fn endless_texts_are_not_kept() {
    let mut checkpoint = checkpoint();
    let session = SessionInfo { id: "i".repeat(10_000), resume_url: None };
    checkpoint.begin(6, &session, &settings(1));
    assert!(checkpoint.session.is_none());
    let read = Checkpoint::decode(&checkpoint.encode()).expect("reads");
    assert_eq!(read.restore(&settings(1)).lost, Some(GapReason::SessionNotKept));
    let session = SessionInfo { id: "i".into(), resume_url: Some("u".repeat(10_000)) };
    checkpoint.begin(6, &session, &settings(1));
    assert!(checkpoint.encode().len() < 200);
}

/// DESIGN §12: whoever has a copy of the ring on another machine knows by it that nothing comes any more.
#[test]
fn sessions_that_are_closed_for_good_are_told_from_those_that_can_be_resumed() {
    let mut checkpoint = checkpoint();
    let is_closed =
        |checkpoint: &Checkpoint| mixcord_event::status::is_closed(&checkpoint.encode());
    checkpoint.status.state = "stopped".into();
    assert!(!is_closed(&checkpoint), "the next process resumes it");
    checkpoint.end_session();
    assert!(is_closed(&checkpoint));
    let read = Checkpoint::decode(&checkpoint.encode()).expect("reads");
    assert_eq!((read.session_id(), read.restore(&settings(513)).seq), (None, Some(77)));
    checkpoint.status.state = "identifying".into();
    assert!(!is_closed(&checkpoint), "one begins");
    checkpoint.close();
    assert!(is_closed(&checkpoint));
    checkpoint.status = ShardStatus { state: "stopped".into(), ..ShardStatus::default() };
    assert!(is_closed(&checkpoint), "there never was one");
}

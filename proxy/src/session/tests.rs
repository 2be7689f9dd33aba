//! Single promises of a session; `model_tests` has what holds for all of them together.

use std::sync::Arc;

use mixcord::Kind;
use mixcord::event::Reason;
use mixcord::testing::Testbed;

use super::{Folder, Head, Records, Resumed, Session, Verdict};
use crate::feed::{Batch, Item, Taken};

const RING: u64 = 7;
const ME: u64 = 9;
const HEAD: Head =
    Head { ring: RING, start: 0, shard: 0, shards: 1, intents: 1, large: 50, me: ME };

/// A ring of one batch.
struct Ring(Arc<Batch>);

impl Records for Ring {
    fn id(&self) -> Option<u64> {
        Some(RING)
    }

    fn read(&self, _: u64, position: u64) -> Taken {
        if position < self.0.end { Taken::Batch(Arc::clone(&self.0)) } else { Taken::Nothing }
    }
}

fn ring(events: Vec<mixcord::Event>) -> Ring {
    let items = events.into_iter().enumerate();
    Ring(Arc::new(Batch::of(items.map(|(at, event)| Item::at(at as u64, event)).collect())))
}

struct Place {
    _place: tempfile::TempDir,
    folder: Folder,
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        Self { _place: place, folder }
    }

    fn session(&self, intents: u64) -> Session {
        Session::begin(&self.folder, Head { intents, ..HEAD }, &[]).expect("a session")
    }

    fn resumed(&self, ring: &Ring, session: Session, seq: u64) -> Session {
        let id = session.id().to_owned();
        drop(session);
        let Ok(Resumed(session)) = Session::resume(&self.folder, ring, &id, seq) else {
            panic!("refused")
        };
        session
    }
}

/// What the session makes of every record that comes.
fn look(session: &mut Session, ring: &Ring) -> Vec<Verdict> {
    let items = ring.0.from(session.next());
    items.iter().map(|item| session.look(item).expect("a log")).collect()
}

fn sent(session: &mut Session, ring: &Ring) -> Vec<bool> {
    look(session, ring).iter().map(|verdict| matches!(verdict, Verdict::Send { .. })).collect()
}

#[test]
fn what_happens_to_the_bot_itself_is_told_without_an_intent() {
    let (bed, place) = (Testbed::new(), Place::new());
    let update = |user: u64| {
        let data = format!(r#"{{"guild_id":"1","user":{{"id":"{user}"}}}}"#);
        bed.event(Kind::GUILD_MEMBER_UPDATE, data).make()
    };
    let thread = |moved: &str| {
        let data = format!(r#"{{"guild_id":"1","id":"2",{moved}}}"#);
        bed.event(Kind::THREAD_MEMBERS_UPDATE, data).make()
    };
    let ring = ring(vec![
        update(ME),
        update(5),
        thread(r#""added_members":[{"user_id":"5"},{"user_id":"9"}]"#),
        thread(r#""removed_member_ids":["9"]"#),
        thread(r#""added_members":[{"user_id":"5"}],"removed_member_ids":["6"]"#),
    ]);
    let told = |intents| sent(&mut place.session(intents), &ring);
    assert_eq!(told(0), [true, false, false, false, false]);
    assert_eq!(told(1), [true, false, true, true, false]);
    assert_eq!(told(1 | 1 << 1), [true; 5]);
}

#[test]
fn an_answer_without_a_nonce_is_owed_through_kills() {
    let (bed, place) = (Testbed::new(), Place::new());
    let answer = |kind| bed.event(kind, r#"{"guild_id":"1"}"#).make();
    let other = || bed.event(Kind::INTERACTION_CREATE, "{}").make();
    let ring = ring(vec![
        other(),
        answer(Kind::SOUNDBOARD_SOUNDS),
        answer(Kind::CHANNEL_INFO),
        other(),
        // Somebody else's.
        answer(Kind::CHANNEL_INFO),
    ]);
    let mut session = place.session(1);
    session.asks(Kind::SOUNDBOARD_SOUNDS, 1).expect("a log");
    session.asks(Kind::CHANNEL_INFO, 1).expect("a log");
    let whole = [true, true, true, true, false];
    for seq in 1..=5_u64 {
        assert_eq!(sent(&mut session, &ring), whole[seq as usize - 1..], "resumed at {seq}");
        session = place.resumed(&ring, session, seq);
        // Killed again before anything was sent.
        session = place.resumed(&ring, session, seq);
        assert_eq!(sent(&mut session, &ring), whole[seq as usize - 1..], "resumed at {seq}");
        session = place.resumed(&ring, session, (seq + 1).min(5));
    }
}

#[test]
fn a_request_that_came_too_soon_is_over() {
    let (bed, place) = (Testbed::new(), Place::new());
    let nonce = r#""nonce":"mixcord-0000000000000005""#;
    let refused = format!(r#"{{"opcode":8,"retry_after":3.5,"meta":{{"guild_id":"1",{nonce}}}}}"#);
    let chunk = format!(r#"{{"guild_id":"1","chunk_index":0,"chunk_count":1,{nonce}}}"#);
    let ring = ring(vec![
        bed.event(Kind::RATE_LIMITED, refused).make(),
        bed.event(Kind::GUILD_MEMBERS_CHUNK, chunk).make(),
    ]);
    let mut session = place.session(1);
    session.asks_members(5, "mine").expect("a log");
    assert_eq!(sent(&mut session, &ring), [true, false]);
}

/// Two shards lost their sessions: a client is told once both are whole.
#[test]
fn p3_a_session_waits_for_the_guilds_of_every_shard_that_lost_something() {
    let (bed, place) = (Testbed::new(), Place::new());
    let of = |shard: u16, kind: Kind, data: &str| bed.event(kind, data.to_owned()).shard(shard, 2);
    let gap = |shard| of(shard, Kind::GAP, "{}").reason(Reason::SessionLost).make();
    let ready = |shard, guild: &str| {
        of(shard, Kind::READY, &format!(r#"{{"guilds":[{{"id":"{guild}"}}]}}"#)).make()
    };
    let create = |shard, guild: &str| {
        of(shard, Kind::GUILD_CREATE, &format!(r#"{{"id":"{guild}"}}"#)).make()
    };
    let events = |last: mixcord::Event| {
        vec![gap(0), gap(1), ready(1, "4194304"), create(1, "4194304"), ready(0, "1"), last]
    };
    let over = |ring: &Ring| {
        let mut session = place.session(1);
        look(&mut session, ring).iter().position(|verdict| *verdict == Verdict::Over)
    };
    assert_eq!(over(&ring(events(create(0, "1")))), Some(5));
    let outage = of(0, Kind::GUILD_DELETE, r#"{"id":"1","unavailable":true}"#).make();
    assert_eq!(over(&ring(events(outage))), Some(5));
    // After a hole there is nothing to wait for.
    let hole = of(0, Kind::GAP, "{}").reason(Reason::ReplayHole).make();
    assert_eq!(over(&ring(vec![hole])), Some(0));
}

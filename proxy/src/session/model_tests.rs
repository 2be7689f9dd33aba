//! Whatever a session was sent, however often it is resumed and from whichever number: its client has every record
//! once that its snapshots do not have, and every snapshot it was to get.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mixcord::Kind;
use mixcord::event::Reason;
use mixcord::testing::Testbed;
use proptest::prelude::*;

use super::{Folder, Head, Records, Refusal, Resumed, Route, Session, Verdict};
use crate::feed::{Batch, Item, Taken};
use crate::intents::Intents;

const RING: u64 = 7;
const START: u64 = 100;
/// Of shard 0 of 2: every second.
const GUILDS: [u64; 4] = [2 << 22, 4 << 22, 6 << 22, 8 << 22];

/// A ring that lost nothing.
struct Ring(Vec<Arc<Batch>>);

impl Records for Ring {
    fn id(&self) -> Option<u64> {
        Some(RING)
    }

    fn read(&self, _: u64, position: u64) -> Taken {
        let found = self.0.iter().find(|batch| batch.end > position);
        found.map_or(Taken::Nothing, |batch| Taken::Batch(Arc::clone(batch)))
    }
}

/// What a client was sent.
#[derive(Clone, Debug, PartialEq)]
enum Sent {
    Ready,
    Record(u64, Option<Route>),
    Guild(u64, u64),
    Resumed,
}

#[derive(Clone, Debug)]
enum Step {
    /// Looks at so many records.
    Look(usize),
    /// A guild's snapshot, so far ahead of where the session is.
    Give(u64),
    GiveUp,
    /// Dies, and is resumed so many numbers back.
    Resume(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_usize..40).prop_map(Step::Look),
        3 => (0_u64..60).prop_map(Step::Give),
        1 => Just(Step::GiveUp),
        2 => (0_u64..30).prop_map(Step::Resume),
    ];
    prop::collection::vec(step, 1..40)
}

/// A record: of which guild (or none, or another shard's), and whether it is for those alone who asked.
fn records() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0_usize..7, 0_u8..10), 1..600)
}

fn ring(bed: &Testbed, records: &[(usize, u8)]) -> Ring {
    let items = records.iter().enumerate().map(|(at, (guild, kind))| {
        let guild = match GUILDS.get(*guild) {
            Some(guild) => format!(r#""guild_id":"{guild}""#),
            None if *guild == 4 => r#""guild_id":"4194304""#.to_owned(),
            None => r#""channel_id":"1""#.to_owned(),
        };
        let (kind, data) = match kind {
            0 => (
                Kind::GUILD_MEMBERS_CHUNK,
                format!(r#"{{{guild},"nonce":"mixcord-0000000000000005"}}"#),
            ),
            1 => (Kind::GUILD_MEMBERS_CHUNK, format!(r#"{{{guild},"nonce":"another's"}}"#)),
            2 => (Kind::PRESENCE_UPDATE, format!("{{{guild}}}")),
            3 => (Kind::SHARD_STATE, r#"{"shard":0}"#.to_owned()),
            // Nothing that is in a snapshot: it comes whether the guild was given or not.
            4 => (Kind::INTERACTION_CREATE, format!("{{{guild}}}")),
            _ => (Kind::MESSAGE_CREATE, format!("{{{guild}}}")),
        };
        Item::at(START + at as u64, bed.event(kind, data).make())
    });
    let items: Vec<_> = items.collect();
    let mut batches = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let more = rest.split_off(rest.len().min(16));
        batches.push(Arc::new(Batch::of(rest)));
        rest = more;
    }
    Ring(batches)
}

/// Looks at records until `until`, noting what is sent.
fn look(session: &mut Session, ring: &Ring, count: usize, sent: &mut Vec<Sent>) {
    for _ in 0..count {
        let Taken::Batch(batch) = ring.read(RING, session.next()) else { return };
        let Some(item) = batch.from(session.next()).first() else { return };
        match session.look(item).expect("a log") {
            Verdict::Skip => {}
            Verdict::Send { seq, route } => {
                sent.push(Sent::Record(item.position, route));
                assert_eq!(seq, sent.len() as u64);
            }
            Verdict::Over => panic!("nothing was lost"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_client_has_everything_once(records in records(), steps in steps()) {
        let bed = Testbed::new();
        let ring = ring(&bed, &records);
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        // All but presences.
        let intents = Intents::from_bits(0x0331_ffff & !(1 << 8)).expect("intents").bits();
        let head = Head { ring: RING, start: START, shard: 0, shards: 2, intents, large: 50, me: 9 };
        let mut session = Session::begin(&folder, head, &GUILDS).expect("a session");
        session.asks_members(5, "mine").expect("a log");
        let mut sent = vec![Sent::Ready];
        let mut given_up = BTreeSet::new();
        let end = START + records.len() as u64;
        for step in steps.into_iter().chain([Step::Look(usize::MAX)]) {
            match step {
                Step::Look(count) => {
                    look(&mut session, &ring, count.min(records.len()), &mut sent);
                }
                Step::Give(ahead) => {
                    if let Some(guild) = session.next_guild() {
                        let position = (session.next() + ahead).min(end);
                        let seq = session.give(guild, position).expect("a log");
                        sent.push(Sent::Guild(guild, position));
                        prop_assert_eq!(seq, sent.len() as u64);
                    }
                }
                Step::GiveUp => {
                    if let Some(guild) = session.next_guild() {
                        given_up.insert((guild, session.next()));
                        session.give_up(guild).expect("a log");
                    }
                }
                Step::Resume(back) => {
                    let seq = (sent.len() as u64).saturating_sub(back).max(1);
                    let id = session.id().to_owned();
                    drop(session);
                    let resumed = Session::resume(&folder, &ring, &id, seq);
                    let Ok(Resumed(again)) = resumed else {
                        panic!("refused: {:?}", resumed.err());
                    };
                    session = again;
                    sent.truncate(seq as usize);
                    // RESUMED has a number, too.
                    prop_assert_eq!(session.resumed().expect("a log"), seq + 1);
                    sent.push(Sent::Resumed);
                }
            }
        }
        // What the client is left with, against what it should be.
        let snapshots: BTreeMap<u64, u64> = sent.iter().filter_map(|sent| match sent {
            Sent::Guild(guild, position) => Some((*guild, *position)),
            _ => None,
        }).chain(given_up).collect();
        let expected: Vec<_> = records.iter().enumerate().filter_map(|(at, (guild, kind))| {
            let position = START + at as u64;
            let route = match kind {
                0 => Some(Route { nonce: Some("mine".to_owned()) }),
                1..=3 => return None,
                _ => None,
            };
            match GUILDS.get(*guild) {
                Some(_) if route.is_some() || *kind == 4 => Some((position, route)),
                Some(guild) => {
                    let from = snapshots.get(guild)?;
                    (position >= *from).then_some((position, route))
                }
                None if *guild == 4 => None,
                None => Some((position, route)),
            }
        }).collect();
        let got: Vec<_> = sent.into_iter().filter_map(|sent| match sent {
            Sent::Record(position, route) => Some((position, route)),
            _ => None,
        }).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_number_that_was_not_given_is_refused(records in records(), ahead in 1_u64..50) {
        let bed = Testbed::new();
        let ring = ring(&bed, &records);
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        let head = Head { ring: RING, start: START, shard: 0, shards: 2, intents: 1 << 9, large: 50, me: 9 };
        let mut session = Session::begin(&folder, head, &[]).expect("a session");
        let mut sent = vec![Sent::Ready];
        look(&mut session, &ring, records.len(), &mut sent);
        let id = session.id().to_owned();
        drop(session);
        let resumed = Session::resume(&folder, &ring, &id, sent.len() as u64 + ahead);
        prop_assert!(matches!(resumed, Err(Refusal::Seq)));
    }
}

/// A shard that lost its session: its READY, then its guilds, with messages and an answer in between.
fn loss(bed: &Testbed) -> Ring {
    let message = || bed.event(Kind::MESSAGE_CREATE, format!(r#"{{"guild_id":"{}"}}"#, GUILDS[0]));
    let guild = |at: usize| format!(r#"{{"id":"{}"}}"#, GUILDS[at]);
    let mut events = Vec::new();
    events.extend((0..70).map(|_| message()));
    events.push(bed.event(Kind::GAP, "{}").reason(Reason::SessionLost));
    let nonce = r#""nonce":"mixcord-0000000000000005""#;
    let chunk = format!(r#"{{"guild_id":"{}",{nonce}}}"#, GUILDS[0]);
    events.push(bed.event(Kind::GUILD_MEMBERS_CHUNK, chunk));
    events.extend((0..70).map(|_| message()));
    let listed = format!(r#"{{"guilds":[{},{}]}}"#, guild(0), guild(1));
    events.push(bed.event(Kind::READY, listed));
    events.extend((0..70).map(|_| message()));
    events.push(bed.event(Kind::GUILD_CREATE, guild(0)));
    events.extend((0..70).map(|_| message()));
    events.push(bed.event(Kind::GUILD_CREATE, guild(1)));
    let items = events.into_iter().enumerate();
    let mut items = items.map(|(at, event)| Item::at(START + at as u64, event.make())).peekable();
    let mut batches = Vec::new();
    while items.peek().is_some() {
        batches.push(Arc::new(Batch::of(items.by_ref().take(16).collect())));
    }
    Ring(batches)
}

/// Looks at records until the session is over or `until` have a number; true when it is over.
fn over_before(session: &mut Session, ring: &Ring, until: u64) -> bool {
    while session.seq() < until {
        let Taken::Batch(batch) = ring.read(RING, session.next()) else { return false };
        let Some(item) = batch.from(session.next()).first() else { return false };
        if session.look(item).expect("a log") == Verdict::Over {
            return true;
        }
    }
    false
}

/// Whatever the client has when it comes back: the loss behind that is not forgotten.
#[test]
fn p3_a_loss_ends_a_session_however_often_it_is_resumed() {
    let bed = Testbed::new();
    let ring = loss(&bed);
    let place = tempfile::tempdir().expect("a folder");
    let folder = Folder::at(place.path().join("sessions")).expect("ours");
    let head =
        Head { ring: RING, start: START, shard: 0, shards: 2, intents: 513, large: 50, me: 9 };
    let begin = || {
        let mut session = Session::begin(&folder, head, &[]).expect("a session");
        session.asks_members(5, "mine").expect("a log");
        session
    };
    let mut session = begin();
    assert!(over_before(&mut session, &ring, u64::MAX));
    let (last, end) = (session.seq(), session.next());
    session.end();
    assert!(last > 280, "{last}");
    for seq in 1..=last {
        let mut session = begin();
        assert!(!over_before(&mut session, &ring, seq));
        for back in [0, 1, 40] {
            let (id, seq) = (session.id().to_owned(), session.seq().saturating_sub(back).max(1));
            drop(session);
            let resumed = Session::resume(&folder, &ring, &id, seq);
            let Ok(Resumed(again)) = resumed else { panic!("refused: {:?}", resumed.err()) };
            session = again;
        }
        assert!(over_before(&mut session, &ring, u64::MAX), "resumed at {seq}");
        assert_eq!(session.next(), end, "resumed at {seq}");
        session.end();
    }
}

#[test]
fn p7_requests_that_are_never_answered_are_not_kept_for_ever() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = Folder::at(place.path().join("sessions")).expect("ours");
    let head = Head { ring: RING, start: START, shard: 0, shards: 1, intents: 0, large: 50, me: 9 };
    let mut session = Session::begin(&folder, head, &[]).expect("a session");
    for number in 0..3000 {
        session.asks_members(number, "mine").expect("a log");
        session.asks(Kind::CHANNEL_INFO, number).expect("a log");
        session.speaks(number, true).expect("a log");
    }
    let check = |session: &Session| {
        assert_eq!((session.asked.members.len(), session.asked.voice.len()), (1000, 2500));
        assert_eq!(session.asked.members.back().map(|(number, _)| *number), Some(2999));
    };
    check(&session);
    assert_eq!(session.asked.others.back(), Some(&(Kind::CHANNEL_INFO, 2999)), "the newest stays");
    assert_eq!(session.asked.others.len(), 1000);
    let id = session.id().to_owned();
    drop(session);
    let resumed = Session::resume(&folder, &Ring(Vec::new()), &id, 1);
    let Ok(Resumed(session)) = resumed else { panic!("refused: {:?}", resumed.err()) };
    check(&session);
}

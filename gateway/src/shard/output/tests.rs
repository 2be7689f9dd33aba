//! What goes together is committed together, however full the ring is.

use mixcord_event::{Kind, Record, Shard, topology};
use mixcord_ring::{Bell, Geometry, GroupSpec, Limits, Member, Namespace, Ring, Start};

use super::*;
use crate::session::GapReason;

const RING: &str = "shard-0-1";
/// Bytes of a record that fills the ring, and of the event behind the gap.
const FILLER: usize = 1_024;
const EVENT: usize = 2_048;

/// A small ring with a group that reads it; removed when dropped.
struct Rig {
    name: String,
    output: Output,
    member: Member,
    _bell: Bell,
}

impl Rig {
    fn new(test: &str, slots: u32) -> Self {
        let name = format!("t{}-{test}", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&name)).expect("a name");
        let bell = namespace.bell().expect("a doorbell");
        let geometry = Geometry::new(slots, 64 << 10, 4, 1, 4).expect("a geometry");
        let producer = Producer::create(&namespace, RING, geometry, &[], &bell).expect("a ring");
        let group = GroupSpec::durable("reader").from(Start::Earliest);
        let ring = Ring::attach(&namespace, RING).expect("a ring");
        let member = ring.join(&group, &bell).expect("joins");
        let records = Records::new(Shard { id: 0, count: 1 });
        let settings = Settings::default();
        let output = Output::new(producer, records, settings, Checkpoint::default(), 1 << 20);
        Self { name, output, member, _bell: bell }
    }

    /// An event of so many bytes; its first byte says what it is.
    fn event(&mut self, first: u8, bytes: usize, seq: u64) {
        let bytes = vec![first; bytes];
        self.output.event(entry(&bytes, seq)).expect("written");
    }

    /// Leaves about so many bytes of the ring free.
    fn fill(&mut self, room: usize) {
        let free =
            |rig: &mut Self| usize::try_from(rig.output.producer.free_payload()).expect("small");
        while free(self) > room + FILLER {
            self.event(b'f', FILLER, 1);
        }
        let rest = free(self).saturating_sub(room);
        if rest > 0 {
            self.event(b'f', rest, 1);
        }
        self.output.commit().expect("committed");
        assert!(!self.output.is_waiting());
    }

    fn tail(&self) -> u64 {
        self.output.producer.tail()
    }

    /// Takes all there is.
    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        while let Some(batch) =
            self.member.take(Limits { records: 512, bytes: 1 << 20 }).expect("a sound ring")
        {
            got.extend(batch.records().map(|record| record.payload.to_vec()));
            batch.ack();
        }
        got
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let prefix = format!("mixcord.{}.", self.name);
        for entry in std::fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn entry(bytes: &[u8], seq: u64) -> Entry<'_> {
    let meta = Meta { source: seq, ..Meta::default() };
    Entry { meta, bytes, counter: 1, resume_at: seq }
}

fn is_gap(bytes: &[u8]) -> bool {
    Record::parse(bytes).is_ok_and(|record| record.kind() == Kind::GAP)
}

/// A gap and the event behind it, into a ring that `fill` has left little room in: no commit holds one
/// without the other, and what was staged before them is not lost.
fn gap_with_its_event(rig: &mut Rig, what: &str) {
    let before = rig.tail();
    rig.event(b's', 8, 3);
    let staged = u64::from(!rig.output.is_waiting());
    let gap = Gap { counter: 1, from_seq: 4, to_seq: Some(6), reason: GapReason::Hole };
    let event = vec![b'e'; EVENT];
    rig.output.gap_and_event(&gap, entry(&event, 7), None).expect("written");
    let looks = |rig: &Rig| rig.tail() - before;
    assert!([0, staged, 3].contains(&looks(rig)), "{what}: {} before the commit", looks(rig));
    let committed = rig.output.commit().expect("committed").seq;
    assert!([staged, 3].contains(&looks(rig)), "{what}: {} records", looks(rig));
    let whole = looks(rig) == 3;
    assert_eq!(committed.expect("a number").1 == 7, whole, "{what}: RESUME carries what is there");
    // With space they come, in order.
    let mut got = rig.read();
    for _ in 0..3 {
        rig.output.drain().expect("staged");
        rig.output.commit().expect("committed");
        got.extend(rig.read());
    }
    let [.., small, told, last] = &got[..] else { panic!("{what}: {} records", got.len()) };
    assert_eq!((small[0], is_gap(told), last == &event), (b's', true, true), "{what}");
    assert_eq!(rig.output.commit().expect("committed").seq, Some((1, 7)));
    assert_eq!(rig.tail() - before, 3, "{what}");
}

/// At every amount of free payload: with room for nothing, for the gap alone, for both.
#[test]
fn p3_a_gap_and_its_event_are_one_commit_however_little_space_there_is() {
    let mut alone = 0;
    let mut rig = Rig::new("gap-bytes", 256);
    for room in (0..4_096).step_by(64) {
        rig.fill(room);
        alone += usize::from((512..2_048).contains(&room));
        gap_with_its_event(&mut rig, &format!("{room} bytes free"));
        assert!(rig.read().is_empty());
    }
    assert!(alone > 0, "a gap alone had room");
}

/// At every number of free descriptors.
#[test]
fn p3_a_gap_and_its_event_are_one_commit_however_few_slots_there_are() {
    let mut rig = Rig::new("gap-slots", 64);
    for free in 0..5 {
        while rig.output.producer.free_records() > free {
            rig.event(b'f', 8, 1);
        }
        rig.output.commit().expect("committed");
        gap_with_its_event(&mut rig, &format!("{free} slots free"));
        assert!(rig.read().is_empty());
    }
}

/// A session that was begun for a lost state counts from the record with its READY on, also where that waits.
#[test]
fn a_wish_is_met_once_ready_is_in_the_ring_and_not_before() {
    let mut rig = Rig::new("wish", 256);
    rig.event(b'e', 100, 1);
    rig.output.commit().expect("committed");
    assert!(!rig.output.is_asked_anew());
    rig.output.producer.ring().ask_anew("reader", 1).expect("asked");
    assert!(rig.output.is_asked_anew());
    rig.fill(0);
    rig.output.refills_next();
    let session = SessionInfo { id: "next".into(), resume_url: None };
    let gap = Gap { counter: 1, from_seq: 2, to_seq: None, reason: GapReason::Refill };
    let ready = vec![b'r'; 500];
    rig.output.gap_and_event(&gap, entry(&ready, 1), Some(session)).expect("kept");
    rig.output.commit().expect("committed");
    assert!(rig.output.is_waiting() && rig.output.is_asked_anew());
    assert_eq!(rig.output.figures().refills, 0, "not yet");
    rig.read();
    rig.output.drain().expect("room");
    rig.output.commit().expect("committed");
    assert!(!rig.output.is_waiting() && !rig.output.is_asked_anew());
    let figures = rig.output.figures();
    assert_eq!((figures.refills, figures.began_at), (1, rig.tail() - 1));
    assert!(figures.refilled_us > 0 && figures.refilled_us == figures.session_since_us);
}

/// What a guild's new session has before its GUILD_CREATE is passed over: a RESUME never brings it, however full the
/// ring was.
#[test]
fn what_is_passed_over_while_others_wait_is_done_with_them() {
    let mut rig = Rig::new("passed", 256);
    rig.output.pass_over(1, 2);
    assert_eq!(rig.output.commit().expect("committed").seq, Some((1, 2)), "nothing is before it");
    rig.fill(0);
    let before = rig.output.commit().expect("committed").seq;
    rig.event(b'e', EVENT, 3);
    rig.output.pass_over(1, 5);
    rig.output.beside(Meta { source: 9, ..Meta::default() }, &[b'o'; EVENT]).expect("kept");
    rig.output.pass_over(1, 7);
    assert!(rig.output.is_waiting());
    assert_eq!(rig.output.commit().expect("committed").seq, before, "not before what waits");
    rig.read();
    rig.output.drain().expect("room");
    assert_eq!(rig.output.commit().expect("committed").seq, Some((1, 7)));
}

/// One of the session before is its loss, not that of the session that RESUME goes on with.
#[test]
fn p3_a_record_that_never_fits_is_a_gap_of_its_own_session() {
    let mut rig = Rig::new("large", 256);
    rig.event(b'e', 8, 3);
    rig.fill(0);
    let header = mixcord_event::Header {
        kind: Kind::MESSAGE_CREATE,
        session: 7,
        seq: 9,
        ..mixcord_event::Header::default()
    };
    let mut record = Vec::new();
    mixcord_event::record::encode(&header, None, &[0; EVENT], None, &mut record);
    rig.output.beside(Meta { source: 9, ..Meta::default() }, &record).expect("kept");
    assert!(rig.output.is_waiting());
    rig.output.replace_too_large(0, 1, 0);
    rig.read();
    rig.output.drain().expect("room");
    rig.output.commit().expect("committed");
    let got = rig.read();
    let gap = Record::parse(&got[0]).expect("a record");
    let data: serde_json::Value = serde_json::from_str(&gap.data().to_json()).expect("json");
    assert_eq!((&data["session"], &data["from_seq"]), (&7.into(), &9.into()));
}

#[test]
fn a_heartbeat_says_what_the_bridge_has_sent_and_no_more() {
    let mut rig = Rig::new("o-sent", 64);
    assert_eq!(rig.output.sent_on(0), None, "nobody takes this shard over");
    let group = GroupSpec::durable(topology::BRIDGE_GROUP).follow().from(Start::Earliest);
    let bell = Namespace::new(&topology::namespace(&rig.name)).expect("a name").bell();
    let bell = bell.expect("a doorbell");
    let mut bridge = rig.output.producer.ring().join(&group, &bell).expect("joins");
    rig.output.watch_bridge();
    rig.event(b'a', 100, 5);
    let (counter, _) = rig.output.commit().expect("committed").seq.expect("a number");
    assert_eq!(rig.output.sent_on(counter), None);
    bridge.take(Limits::default()).expect("read").expect("there").ack();
    assert_eq!(rig.output.sent_on(counter), Some(5));
}

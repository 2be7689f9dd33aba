//! What a pass keeps of records that it leaves out.

use std::collections::BTreeMap;

use mixcord_event::{Document, Header, Kind, Origin, Shard, record, topology};
use mixcord_ring::{Bell, Geometry, GroupSpec, Meta, Namespace, Producer, Start};
use mixcord_state::tables::CHANNEL_MAP;
use mixcord_state::{Arena, Cached, ChannelFacts, Inputs, Writer};

use super::ahead::Ahead;
use super::input::{self, Input};
use super::pass::{End, Pass};
use super::tally::Tally;
use super::work::{Ground, Work};
use crate::annotate::Outputs;
use crate::settings::Settings;
use crate::store::{Notes, OpenBatch};

/// Rings of the test's own; removed with it.
struct Rings(Namespace);

impl Rings {
    /// For the test of that name.
    fn new(test: &str) -> Self {
        let name = format!("t{}-c-{test}", std::process::id());
        Self(Namespace::new(&topology::namespace(&name)).unwrap())
    }

    /// A ring that `group` reads.
    fn ring(&self, name: &str, group: &str, bell: &Bell) -> Producer {
        let geometry = Geometry::new(256, 1 << 18, 4, 1, 4).unwrap();
        let group = GroupSpec::durable(group).from(Start::Earliest);
        Producer::create(&self.0, name, geometry, &[group], bell).unwrap()
    }

    /// The ring of a shard.
    fn shard(&self, (shards, shard): (u16, u16), bell: &Bell) -> Producer {
        self.ring(&topology::shard_ring(shard, shards), topology::CACHE_GROUP, bell)
    }

    /// The same as the cache reads it.
    fn input(&self, (shards, shard): (u16, u16), bell: &Bell) -> Input {
        Input::join(&self.0, &topology::shard_ring(shard, shards), bell).unwrap().unwrap()
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        let _ = self.0.remove_all();
    }
}

/// P7: for each of them the history of a channel is looked at ahead, and none of them begins.
#[test]
fn what_was_read_for_records_that_are_left_out_is_given_up() {
    const RECORDS: u64 = 200;
    let rings = Rings::new("left-out");
    let bell = rings.0.bell().unwrap();
    let mut out = rings.ring(topology::OUTPUT_RING, "test", &bell);
    let mut shard = rings.shard((1, 0), &bell);
    let data = r#"{"id": "900", "channel_id": "200", "guild_id": "100", "content": "c"}"#;
    let data = Document::from_json(data).unwrap();
    let of = Shard { id: 0, count: 1 };
    let kind = Kind::MESSAGE_UPDATE;
    let header = Header { kind, key: 100, shard: of, received_us: 5, ..Header::default() };
    for source in 0..RECORDS {
        let mut bytes = Vec::new();
        record::encode(&header, None, data.as_bytes(), None, &mut bytes);
        shard.stage(&Meta { source, ..Meta::default() }, &[&bytes]).unwrap();
    }
    shard.publish();
    let mut input = rings.input((1, 0), &bell);
    assert!(input.fill(0, input::limits(1)).is_none());

    let dir = tempfile::tempdir().unwrap();
    let mut store = Writer::create(dir.path(), 64 << 20).unwrap();
    let mut facts = ChannelFacts::of(100);
    for id in 0..1000 {
        facts.insert(Cached { id, received_us: 1 });
    }
    let history = facts.as_bytes().len();
    store.put(CHANNEL_MAP.at(200), &[facts.as_bytes()]).unwrap();
    store.commit((0, 0)).unwrap();

    let mut arena = Arena::default();
    let (mut notes, mut outputs) = (Notes::default(), Outputs::default());
    let (settings, mut refusal) = (Settings::default(), String::new());
    let mut begun = None;
    let mut pass = Pass {
        work: Work {
            out: &mut out,
            settings: &settings,
            ground: Ground::Store(OpenBatch::new(&mut store, &mut arena)),
            notes: &mut notes,
            outputs: &mut outputs,
            output_bytes_max: 5000,
            refusal: &mut refusal,
            tally: &mut Tally::default(),
        },
        left: usize::MAX,
        cut_us: 5,
        applied_us: 0,
        begun: &mut begun,
        too_much: None,
        end: End::Enough,
        torn: false,
        beside: None,
    };
    let mut inputs = BTreeMap::from([((1, 0), input)]);
    let lent = inputs.values_mut().map(|input| input.lend((1, 0))).collect::<Vec<_>>();
    pass.inputs(&lent, &mut inputs, &Inputs::new()).unwrap();
    drop(pass);
    let mut input = inputs.remove(&(1, 0)).unwrap();
    lent.into_iter().for_each(|lent| input.have_back(lent));
    assert_eq!(begun, None, "all were left out");
    assert_eq!(input.reached(Origin::default()).map(|at| at.position), Some(RECORDS));
    // Some are looked at ahead of the one whose turn it is, and memory is had in steps.
    assert!(arena.bytes() < 20 * history, "{} of {history}", arena.bytes());
    drop((out, shard, input));
}

/// Records of many inputs are looked ahead in as one row: what is left of an input is passed over, and none is given to
/// another.
#[test]
fn each_input_is_given_its_own_records_and_no_more() {
    let rings = Rings::new("ahead");
    let bell = rings.0.bell().unwrap();
    // Fewer and more than are looked ahead at.
    let counts = [0, 1, 9, 0, 3, 1, 1, 1, 20, 2];
    let mut inputs = Vec::new();
    for (count, shard) in counts.into_iter().zip(0..) {
        let mut producer = rings.shard((10, shard), &bell);
        for number in 0..count {
            let bytes = [shard as u8, number];
            producer.stage(&Meta::default(), &[&bytes]).unwrap();
        }
        producer.publish();
        let mut input = rings.input((10, shard), &bell);
        assert!(input.fill(0, input::limits(10)).is_none());
        inputs.push(input);
    }
    let lent: Vec<_> = inputs.iter_mut().map(|input| input.lend((10, 0))).collect();
    // How many of each input's are taken at most, before the next one's turn.
    for most in 0..=20 {
        let (mut ahead, notes) = (Ahead::new(&lent), Notes::default());
        for (turn, count) in counts.into_iter().enumerate() {
            for number in 0..count.min(most) {
                let waiting = ahead.next(turn, None, &notes).unwrap();
                assert_eq!(waiting.entry.payload, [turn as u8, number], "{most} of each");
            }
            if count <= most {
                assert!(ahead.next(turn, None, &notes).is_none(), "{most} of each");
            }
        }
    }
    inputs.into_iter().zip(lent).for_each(|(mut input, lent)| input.have_back(lent));
}

/// A ring whose tail stands is passed over, but not for good: its group may have been moved back.
#[test]
fn what_is_changed_while_nothing_comes_is_met_by_the_next_look() {
    let rings = Rings::new("idle");
    let bell = rings.0.bell().unwrap();
    let mut producer = rings.shard((1, 0), &bell);
    let mut input = rings.input((1, 0), &bell);
    input.fill(0, input::limits(1));
    assert!(input.is_idle() && input.is_idle());
    producer.stage(&Meta::default(), &[b"news"]).unwrap();
    producer.publish();
    assert!(!input.is_idle(), "the tail tells");
    input.fill(0, input::limits(1));
    input.advance(1, None);
    input.release();
    input.fill(1, input::limits(1));
    assert!(input.is_idle());
    producer.ring().reset_group(topology::CACHE_GROUP, Start::Earliest).unwrap();
    input.look_again();
    assert!(!input.is_idle(), "the group was moved");
}

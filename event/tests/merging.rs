//! Merging against a model that searches from the front: maps of any order and length, covering each other
//! or not, with lengths wider than they need be, and with keys twice, which no decoder writes.

use mixcord_event::{Atom, Document, Key, Map, Value, Writer, edit};
use proptest::prelude::*;

/// A member: its key by number, and its value.
type Member = (u16, i64);

/// Half of the keys are documented, the others texts.
fn write(members: &[Member], wide: Wide) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut map = Writer::new(&mut bytes).map();
    for &(number, value) in members {
        let text = format!("key {number}");
        let key = match Atom::from_number(number / 2) {
            Some(atom) if number % 2 == 0 => Key::Atom(atom),
            _ => Key::Text(&text),
        };
        if value % 3 == 0 {
            map.keyed(key, inner(value, wide == Wide::Inside || wide == Wide::Both).value());
        } else {
            map.keyed(key, Value::Int(value));
        }
    }
    map.end();
    if matches!(wide, Wide::Outside | Wide::Both) { widened(&bytes) } else { bytes }
}

/// A value that has a length.
fn inner(value: i64, wide: bool) -> Document {
    let narrow = Document::from_json(&format!(r#"{{"n": [{value}]}}"#)).unwrap();
    if !wide {
        return narrow;
    }
    Document::from_bytes(widened(narrow.as_bytes())).unwrap()
}

/// The same map with a length of four bytes.
fn widened(map: &[u8]) -> Vec<u8> {
    if map[0] != 0x10 {
        return map.to_vec();
    }
    let len = u32::from(u16::from_le_bytes([map[1], map[2]]));
    [&[0x11], &len.to_le_bytes()[..], &map[3..]].concat()
}

/// What of a map has a wide length.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wide {
    Nothing,
    Outside,
    Inside,
    Both,
}

fn wide() -> impl Strategy<Value = Wide> {
    prop_oneof![Just(Wide::Nothing), Just(Wide::Outside), Just(Wide::Inside), Just(Wide::Both)]
}

fn map(bytes: &[u8]) -> Map<'_> {
    Value::parse(bytes).unwrap().as_map().unwrap()
}

/// Members in any order, a key once.
fn members(len: usize) -> impl Strategy<Value = Vec<Member>> {
    let keys = prop::collection::btree_set(0_u16..400, 0..len);
    let keys = keys.prop_map(|keys| keys.into_iter().collect::<Vec<_>>()).prop_shuffle();
    (keys, any::<u8>()).prop_map(|(keys, value)| {
        keys.into_iter().zip(0..).map(|(key, n)| (key, i64::from(value) + n)).collect()
    })
}

/// Two maps, of which the second shares members with the first: in its order, before others or between
/// them, or in no order.
fn pair() -> impl Strategy<Value = (Vec<Member>, Vec<Member>)> {
    let len = prop_oneof![4 => Just(8_usize), 1 => Just(250)];
    let parts = len.prop_flat_map(|len| (members(len), members(len), any::<u64>(), 0..5_u8));
    parts.prop_map(|(base, mut more, mut bits, how)| {
        let mut shared = base.clone();
        for (_, value) in &mut shared {
            bits = bits.rotate_left(1);
            *value += (bits & 1) as i64;
        }
        more.retain(|(key, _)| base.iter().all(|(held, _)| held != key));
        let over = match how {
            0 => [shared, more].concat(),
            1 => [more, shared].concat(),
            2 => [shared.split_off(shared.len() / 2), more, shared].concat(),
            3 => shared.into_iter().rev().collect(),
            _ => more,
        };
        (base, over)
    })
}

fn find(members: &[Member], key: u16) -> Option<i64> {
    members.iter().find(|(held, _)| *held == key).map(|(_, value)| *value)
}

/// What `over` has in its place, then what only it has.
fn model(base: &[Member], over: &[Member]) -> Vec<Member> {
    let held = base.iter().map(|&(key, value)| (key, find(over, key).unwrap_or(value)));
    let new = over.iter().copied().filter(|(key, _)| find(base, *key).is_none());
    held.chain(new).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// To the byte: how wide the lengths were does not show.
    #[test]
    fn a_merge_is_that_of_the_model((base, over) in pair(), wide in [wide(), wide()]) {
        let expected = model(&base, &over);
        let (base_bytes, over_bytes) = (write(&base, wide[0]), write(&over, wide[1]));
        let (base_map, over_map) = (map(&base_bytes), map(&over_bytes));
        let mut merged = Vec::new();
        edit::merge(base_map, over_map, &mut merged);
        let expected_bytes = write(&expected, Wide::Nothing);
        prop_assert_eq!(map(&merged), map(&expected_bytes));
        // A map that is narrow although what is in it is wide no function writes.
        if wide.iter().all(|wide| *wide != Wide::Inside) {
            prop_assert_eq!(&merged, &expected_bytes);
        }
        prop_assert_eq!(edit::merge_changes(base_map, over_map), expected != base);
        let changes = edit::changes(base_map.into(), map(&expected_bytes).into());
        prop_assert_eq!(changes.is_empty(), expected == base);
        let except: Vec<Atom> = over_map.iter().filter_map(|(key, _)| key.atom()).collect();
        let left: Vec<Member> = over.iter().copied().filter(|(key, _)| key % 2 == 1 || Atom::from_number(key / 2).is_none()).collect();
        prop_assert_eq!(
            edit::merge_changes_except(base_map, over_map, &except),
            model(&base, &left) != base
        );
    }

    /// Every member of the result comes from either, and none is lost.
    #[test]
    fn keys_that_stand_twice_lose_nothing(
        base in prop::collection::vec((0_u16..6, 0_i64..9), 0..12),
        over in prop::collection::vec((0_u16..6, 0_i64..9), 0..12),
    ) {
        let (base_bytes, over_bytes) = (write(&base, Wide::Nothing), write(&over, Wide::Nothing));
        let mut merged = Vec::new();
        edit::merge(map(&base_bytes), map(&over_bytes), &mut merged);
        edit::merge_changes(map(&base_bytes), map(&over_bytes));
        for number in 0..6 {
            let from = if find(&over, number).is_some() { &over } else { &base };
            let all: Vec<Vec<u8>> = from.iter().filter(|(key, _)| *key == number).map(|member| write(&[*member], Wide::Nothing)).collect();
            let key = write(&[(number, 1)], Wide::Nothing);
            let key = map(&key).iter().next().unwrap().0;
            let found = map(&merged).get_key(key);
            prop_assert_eq!(found.is_some(), !all.is_empty());
            if let Some(found) = found {
                prop_assert!(all.iter().any(|one| map(one).get_key(key) == Some(found)));
            }
        }
    }
}

#[test]
fn what_is_set_gets_narrow_lengths_too() {
    let (narrow, wide) = (inner(3, false), inner(3, true));
    for base in ["{}", r#"{"user": 1}"#] {
        let base = Document::from_json(base).unwrap();
        let set = |value: &Document| {
            let mut bytes = Vec::new();
            let members = [(mixcord_event::atoms::USER, value.value())];
            edit::with(base.value().as_map().unwrap(), &members, &mut bytes);
            bytes
        };
        assert_eq!(set(&wide), set(&narrow));
    }
}

/// Maps in opposite orders are searched in a moment, or for ever.
#[test]
fn two_large_maps_in_no_common_order_are_merged() {
    let base: Vec<Member> = (0..30_000).map(|key| (key, 1)).collect();
    let over: Vec<Member> = base.iter().rev().map(|&(key, _)| (key, 2)).collect();
    let (base_bytes, over_bytes) = (write(&base, Wide::Nothing), write(&over, Wide::Nothing));
    let mut merged = Vec::new();
    edit::merge(map(&base_bytes), map(&over_bytes), &mut merged);
    let expected: Vec<Member> = base.iter().map(|&(key, _)| (key, 2)).collect();
    assert!(merged == write(&expected, Wide::Nothing));
    assert!(edit::merge_changes(map(&base_bytes), map(&over_bytes)));
    assert!(!edit::merge_changes(map(&merged), map(&over_bytes)));
}

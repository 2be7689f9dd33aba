//! The laws of merge, with, without, only and changes, for any two maps.

mod tree;

use mixcord_event::{Atom, Document, Key, Map, Value, Writer, atoms, edit};
use proptest::prelude::*;
use tree::Tree;

fn document(tree: &Tree) -> Document {
    Document::from_json(&tree::json::plain(&tree.last_wins()).to_string()).unwrap()
}

fn map(document: &Document) -> Map<'_> {
    document.value().as_map().unwrap()
}

fn merged(base: &Document, over: &Document) -> Document {
    let mut bytes = Vec::new();
    edit::merge(map(base), map(over), &mut bytes);
    Document::from_bytes(bytes).unwrap()
}

/// Two maps that share some members: the second is the first with some replaced and some dropped,
/// and others of its own.
fn pair() -> impl Strategy<Value = (Document, Document)> {
    (tree::map(), tree::map(), any::<u64>()).prop_map(|(one, two, seed)| {
        let (Tree::Map(first), Tree::Map(mut second)) = (one.last_wins(), two.last_wins()) else {
            unreachable!("maps are generated")
        };
        let mut dice = tree::Dice::new(seed);
        for (key, value) in &first {
            match dice.below(4) {
                0 => second.insert(0, (key.clone(), value.clone())),
                1 => second.push((key.clone(), Tree::Null)),
                _ => {}
            }
        }
        (document(&Tree::Map(first)), document(&Tree::Map(second)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn merge_keeps_what_is_absent_and_takes_what_is_there((base, over) in pair()) {
        let merged = merged(&base, &over);
        for (key, value) in map(&over) {
            prop_assert_eq!(map(&merged).get_key(key), Some(value));
        }
        for (key, value) in map(&base) {
            let expected = map(&over).get_key(key).unwrap_or(value);
            prop_assert_eq!(map(&merged).get_key(key), Some(expected));
        }
        for (key, _) in map(&merged) {
            prop_assert!(map(&base).get_key(key).or_else(|| map(&over).get_key(key)).is_some());
        }
        prop_assert_eq!(map(&merged).len(), map(&merged).iter().map(|m| m.0).collect::<std::collections::HashSet<_>>().len());
    }

    #[test]
    fn merge_has_a_neutral_element_and_is_idempotent_and_associative(
        (a, b) in pair(), c in tree::map(),
    ) {
        let c = document(&c);
        let empty = Document::from_json("{}").unwrap();
        prop_assert_eq!(&merged(&a, &empty), &a);
        prop_assert_eq!(&merged(&empty, &a), &a);
        prop_assert_eq!(&merged(&a, &a), &a);
        prop_assert_eq!(&merged(&merged(&a, &b), &b), &merged(&a, &b));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(edit::merge_changes(map(&a), map(&b)), merged(&a, &b) != a);
    }

    #[test]
    fn what_a_long_message_carried_gets_the_bytes_of_a_short_one(tree in tree::map()) {
        let carried = |text: &str| {
            let tree = tree::json::plain(&tree.last_wins());
            let json = format!(r#"{{"member": {tree}, "content": "{text}"}}"#);
            let message = Document::from_json(&json).unwrap();
            let member = message.get(atoms::MEMBER).unwrap().as_map().unwrap();
            let mut copied = Vec::new();
            edit::without(member, &[], &mut copied);
            (member.as_bytes().len(), copied)
        };
        let (long, short) = (carried(&"x".repeat(50_000)), carried(""));
        prop_assert!(short.1 == b"\x0D" || long.0 > short.0, "the decoder guessed wide lengths");
        prop_assert_eq!(long.1, short.1);
    }

    #[test]
    fn the_bytes_of_members_are_those_of_the_map(tree in tree::map()) {
        let document = document(&tree);
        let bytes = map(&document).iter_bytes();
        let (keys, bytes): (Vec<_>, Vec<_>) = bytes.unzip();
        prop_assert_eq!(keys, map(&document).iter().map(|(key, _)| key.atom()).collect::<Vec<_>>());
        prop_assert!(document.as_bytes().ends_with(&bytes.concat()));
    }

    #[test]
    fn pieces_are_the_bytes_of_the_members_that_are_left(tree in tree::map(), every in 1_usize..5) {
        let document = document(&tree);
        let keys = map(&document).iter().filter_map(|(key, _)| key.atom()).step_by(every);
        let except: Vec<Atom> = keys.collect();
        let left = map(&document).iter_bytes().filter(|(key, _)| key.is_none_or(|key| !except.contains(&key)));
        let left: Vec<_> = left.map(|(_, bytes)| bytes).collect();
        let mut pieces = Vec::new();
        map(&document).pieces(&except, |piece| pieces.extend_from_slice(piece));
        prop_assert_eq!(pieces, left.concat());
    }

    #[test]
    fn what_is_not_read_yet_is_read_the_same(tree in tree::map()) {
        let document = document(&tree);
        let read = map(&document).iter().filter_map(|(key, value)| Some((key.atom()?, value)));
        let later: Vec<_> = map(&document).unread().map(|(key, value)| (key, value.read())).collect();
        prop_assert_eq!(later, read.collect::<Vec<_>>());
    }

    #[test]
    fn what_covers_another_is_the_merge((base, over) in pair()) {
        let over = merged(&base, &over);
        if edit::covers(map(&base), map(&over)) {
            let merge = merged(&base, &over);
            prop_assert_eq!(merge.as_bytes(), over.as_bytes());
        }
        prop_assert!(edit::covers(map(&over), map(&over)) || over.as_bytes()[0] == 0x11, "itself");
    }

    #[test]
    fn without_and_only_part_a_map((base, over) in pair()) {
        let keys: Vec<Atom> = map(&over).iter().filter_map(|(key, _)| key.atom()).collect();
        let (mut rest, mut part) = (Vec::new(), Vec::new());
        edit::without(map(&base), &keys, &mut rest);
        edit::only(map(&base), &keys, &mut part);
        let (rest, part) = (Document::from_bytes(rest).unwrap(), Document::from_bytes(part).unwrap());
        prop_assert!(keys.iter().all(|key| map(&rest).get(*key).is_none()));
        prop_assert!(map(&part).iter().all(|(key, _)| key.atom().is_some_and(|key| keys.contains(&key))));
        prop_assert_eq!(merged(&rest, &part), base);
    }

    #[test]
    fn with_is_a_merge((base, over) in pair()) {
        let members: Vec<(Atom, Value<'_>)> =
            map(&over).iter().filter_map(|(key, value)| Some((key.atom()?, value))).collect();
        let mut bytes = Vec::new();
        edit::with(map(&base), &members, &mut bytes);
        // By name the same, with the keys that no table has as well.
        let named: Vec<_> = map(&over).iter().map(|(key, value)| (key.as_str(), value)).collect();
        let mut by_name = Vec::new();
        edit::with_named(map(&base), &named, &mut by_name);
        let by_name = Document::from_bytes(by_name).unwrap();
        prop_assert_eq!(by_name, merged(&base, &over));
        let mut part = Vec::new();
        let mut writer = Writer::new(&mut part).map();
        members.iter().for_each(|(key, value)| writer.entry(*key, *value));
        writer.end();
        let (with, part) = (Document::from_bytes(bytes).unwrap(), Document::from_bytes(part).unwrap());
        prop_assert_eq!(with, merged(&base, &part));
    }

    #[test]
    fn changes_are_the_difference((old, new) in pair()) {
        let changes = edit::changes(old.value(), new.value());
        prop_assert_eq!(changes.is_empty(), old == new);
        for change in &changes {
            prop_assert!(change.old != change.new);
            prop_assert_eq!(follow(old.value(), &change.path), change.old);
            prop_assert_eq!(follow(new.value(), &change.path), change.new);
        }
        // Both ways round it is the same list of places.
        let mut there: Vec<String> = changes.iter().map(|change| change.path_text()).collect();
        let back = edit::changes(new.value(), old.value());
        let mut back: Vec<String> = back.iter().map(|change| change.path_text()).collect();
        there.sort();
        back.sort();
        prop_assert_eq!(there, back);
        // Replaying the changes of the first level upon the old gives the new.
        let mut replayed = Vec::new();
        let gone: Vec<Key<'_>> = changes.iter().filter(|c| c.new.is_none() && c.path.len() == 1).map(|c| c.path[0]).collect();
        let mut writer = Writer::new(&mut replayed).map();
        for (key, value) in map(&old) {
            let is_deeper = changes.iter().any(|c| c.path[0] == key);
            match map(&new).get_key(key) {
                Some(value) if is_deeper => writer.keyed(key, value),
                _ if gone.contains(&key) => {}
                _ => writer.keyed(key, value),
            }
        }
        for change in changes.iter().filter(|c| c.old.is_none() && c.path.len() == 1) {
            writer.keyed(change.path[0], change.new.unwrap());
        }
        writer.end();
        prop_assert_eq!(Document::from_bytes(replayed).unwrap(), new);
    }

    /// Equality is that of the values, whatever the order of members.
    #[test]
    fn equality_ignores_the_order_of_members(tree in tree::map()) {
        let Tree::Map(mut members) = tree.last_wins() else { unreachable!() };
        let forwards = document(&Tree::Map(members.clone()));
        members.reverse();
        let backwards = document(&Tree::Map(members.clone()));
        prop_assert_eq!(&forwards, &backwards);
        prop_assert!(edit::changes(forwards.value(), backwards.value()).is_empty());
        if let Some((key, _)) = members.pop() {
            let fewer = document(&Tree::Map(members.clone()));
            prop_assert!(fewer != forwards);
            prop_assert!(forwards != fewer);
            members.push((key, Tree::Text("another value, never generated".to_owned())));
            prop_assert!(document(&Tree::Map(members)) != forwards);
        }
    }
}

fn follow<'a>(value: Value<'a>, path: &[Key<'_>]) -> Option<Value<'a>> {
    path.iter().try_fold(value, |value, key| value.as_map()?.get_key(*key))
}

#[test]
fn null_and_absent_are_kept_apart() {
    let base = Document::from_json(r#"{"nick":"ada","avatar":"a","flags":2}"#).unwrap();
    let over = Document::from_json(r#"{"nick":null,"banner":null}"#).unwrap();
    assert_eq!(
        merged(&base, &over).to_json(),
        r#"{"nick":null,"avatar":"a","flags":2,"banner":null}"#
    );
    let both = merged(&base, &over);
    let changes = edit::changes(base.value(), both.value());
    let texts: Vec<_> = changes.iter().map(|c| (c.path_text(), c.old, c.new)).collect();
    assert_eq!(
        texts,
        [
            ("nick".to_owned(), Some(Value::Str("ada")), Some(Value::Null)),
            ("banner".to_owned(), None, Some(Value::Null)),
        ]
    );
}

#[test]
fn a_change_says_the_way() {
    let old = Document::from_json(r#"{"author":{"id":"1","global_name":"A","x":1}}"#).unwrap();
    let new = Document::from_json(r#"{"author":{"id":"1","global_name":"B","x":1}}"#).unwrap();
    let changes = edit::changes(old.value(), new.value());
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path_text(), "author.global_name");
    assert_eq!(changes[0].path, [Key::Atom(atoms::AUTHOR), Key::Atom(atoms::GLOBAL_NAME)]);
}

/// A document beyond 64 KiB has other headers, and grows into them.
#[test]
fn large_documents_are_edited_too() {
    let long = "x".repeat(70_000);
    let base = Document::from_json(&format!(r#"{{"content":"{long}","id":"1"}}"#)).unwrap();
    let over = Document::from_json(r#"{"id":"2"}"#).unwrap();
    let both = merged(&base, &over);
    assert_eq!(both.value().get(atoms::ID), Some(Value::Id(2)));
    assert_eq!(both.value().get(atoms::CONTENT), Some(Value::Str(&long)));
    let mut bytes = Vec::new();
    edit::without(map(&both), &[atoms::CONTENT], &mut bytes);
    assert_eq!(Document::from_bytes(bytes).unwrap(), over);
    let mut bytes = Vec::new();
    edit::with(map(&over), &[(atoms::CONTENT, Value::Str(&long))], &mut bytes);
    assert_eq!(Document::from_bytes(bytes).unwrap(), both);
}

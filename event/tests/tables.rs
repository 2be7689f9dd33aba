//! The key and kind tables, as their source files and stored documents need them.

use std::{collections::HashSet, fs, path::Path};

use mixcord_event::{Atom, Kind, atoms, topology};

/// How many names of each list are frozen.
const KEYS: usize = 858;
const KINDS: usize = 79;

/// The lines of a list without comments, as (name, mark); those that are frozen come first.
fn lines(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines
        .map(|line| {
            let (name, mark) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), mark.to_owned())
        })
        .collect()
}

/// FNV-1a over the first `count` names.
fn fingerprint(names: &[(String, String)], count: usize) -> u64 {
    let bytes = names[..count].iter().flat_map(|(name, _)| name.bytes().chain([b'\n']));
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn every_key_is_found_by_its_name_and_no_other() {
    let keys = lines("keys.txt");
    assert_eq!(Atom::all().count(), keys.len());
    for (number, (name, mark)) in keys.iter().enumerate() {
        let atom = Atom::lookup(name.as_bytes()).unwrap();
        assert_eq!(usize::from(atom.number()), number, "{name}");
        assert_eq!(atom.as_str(), name);
        assert_eq!(atom.is_snowflake(), mark == "id", "{name}");
        assert_eq!(atom.is_later(), number >= KEYS, "{name}");
        assert_eq!(Atom::from_number(atom.number()), Some(atom).filter(|atom| !atom.is_later()));
    }
    let names: HashSet<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    for name in &names {
        let mut near = name.as_bytes().to_vec();
        for index in 0..near.len() {
            near[index] ^= 1;
            let known = std::str::from_utf8(&near).is_ok_and(|near| names.contains(near));
            assert_eq!(Atom::lookup(&near).is_some(), known, "{name} with byte {index} changed");
            near[index] ^= 1;
        }
        for longer in [format!("{name}\0"), format!("{name}s"), format!("_{name}")] {
            let known = names.contains(longer.as_str());
            assert_eq!(Atom::lookup(longer.as_bytes()).is_some(), known, "{longer:?}");
        }
        let shorter = &name[..name.len() - 1];
        assert_eq!(Atom::lookup(shorter.as_bytes()).is_some(), names.contains(shorter));
    }
    assert!(Atom::from_number(KEYS as u16).is_none());
    assert_eq!(atoms::GUILD_ID.as_str(), "guild_id");
}

/// Numbers stand in stored documents: what is new goes behind `[later]`, and has none.
#[test]
fn p11_numbers_never_change() {
    assert_eq!(fingerprint(&lines("keys.txt"), KEYS), 0x6ead50eabf77e28b);
    assert_eq!(fingerprint(&lines("kinds.txt"), KINDS), 0x1860ea15279f53c4);
    assert_eq!(Atom::all().filter(|atom| !atom.is_later()).count(), KEYS);
    assert_eq!(Kind::documented().filter(|kind| !kind.is_later()).count(), KINDS);
}

#[test]
fn every_kind_is_found_by_its_name() {
    let kinds = lines("kinds.txt");
    assert_eq!(Kind::documented().count(), kinds.len());
    for (place, (kind, (name, _))) in Kind::documented().zip(&kinds).enumerate() {
        assert_eq!(Kind::from_name(name.as_bytes()), Some(kind));
        assert_eq!(Kind::from_dispatch(name.as_bytes()), Some(kind));
        assert_eq!(kind.is_later(), place >= KINDS, "{name}");
        let stands = if kind.is_later() { Kind::UNKNOWN } else { kind };
        assert_eq!(Kind::from_number(kind.number()), Some(stands));
        assert_eq!(kind.name(), name);
        assert_eq!(Kind::from_name(&name.as_bytes()[1..]), None);
        assert_eq!(Kind::from_name(format!("{name}S").as_bytes()), None);
    }
    assert_eq!(Kind::from_number(80), None);
    for own in [Kind::GAP, Kind::SHARD_STATE] {
        assert_eq!(Kind::from_name(own.name().as_bytes()), Some(own));
        assert_eq!(Kind::from_dispatch(own.name().as_bytes()), None, "Discord cannot send {own}");
    }
}

#[test]
fn names_of_rings_and_sockets_are_read_back() {
    assert_eq!(topology::parse_shard_ring(&topology::shard_ring(3, 16)), Some((3, 16)));
    for name in ["shard-16-16", "shard-03-16", "shard-3-16-1", "shard-3", "out", "shard--1-2"] {
        assert_eq!(topology::parse_shard_ring(name), None, "{name}");
    }
    let socket = topology::command_socket("prod", 4, 16);
    let name = Path::new(&socket).file_name().unwrap().to_str().unwrap();
    assert_eq!(topology::parse_command_socket("prod", name), Some((4, 16)));
    assert_eq!(topology::parse_command_socket("pro", name), None);
    assert!(topology::is_instance_name("a-1_b"));
    for name in ["", "-a", "A", "a.b", "a/b", "a23456789012345678901234567890123"] {
        assert!(!topology::is_instance_name(name), "{name}");
    }
}

/// What one process writes another reads.
#[test]
fn orders_of_a_change_of_the_shard_count() {
    use topology::ReshardOrder::{self, CallOff, Leave, To};
    for order in [To(17), CallOff(String::new()), CallOff("no room".to_owned()), Leave] {
        assert_eq!(ReshardOrder::parse(&order.to_string()), Some(order));
    }
    assert_eq!(ReshardOrder::parse("to 3\n"), Some(To(3)));
    for text in ["", "to", "to -1", "to 65536", "call", "leave now"] {
        assert_eq!(ReshardOrder::parse(text), None, "{text}");
    }
}

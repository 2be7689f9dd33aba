//! Fingerprints: equal for both sessions' copies of one event.
//!
//! A keyed hash of kind and typed values, independent of the order of members, as wires and encodings differ in it.
//! `nonce` is left out: the session that sent a message alone is told it. Of GUILD_CREATE and GUILD_DELETE the guild
//! alone counts, and whether it is an outage, for the rest differs by session.

use mixcord_event::{Atom, DEPTH_MAX, Key, Kind, Map, Record, Value, atoms};

/// Two random numbers: nobody outside can make events whose fingerprints are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keys(pub [u64; 2]);

impl Keys {
    /// The fingerprint of a record.
    #[must_use]
    pub fn print(self, record: &Record<'_>) -> u64 {
        let kind = self.bytes(record.kind_name().as_bytes());
        let data = record.data();
        let value = match record.kind() {
            Kind::GUILD_CREATE | Kind::GUILD_DELETE => {
                let id = data.get(atoms::ID).and_then(Value::as_id).unwrap_or(0);
                let is_outage = data.get(atoms::UNAVAILABLE).and_then(Value::as_bool);
                self.mix(id, u64::from(is_outage == Some(true)))
            }
            _ => match data {
                Value::Map(map) => self.map(map, Some(atoms::NONCE), 0),
                other => self.value(other, 0),
            },
        };
        self.mix(kind, value)
    }

    /// Of a value that stands in `depth` containers. What stands in more than a document has that was checked, under a
    /// seal that was forged, is all the same.
    fn value(self, value: Value<'_>, depth: usize) -> u64 {
        if depth > DEPTH_MAX {
            return self.mix(11, 0);
        }
        match value {
            Value::Null => self.mix(1, 0),
            Value::Bool(value) => self.mix(2, value.into()),
            Value::Int(value) => self.mix(3, value as u64),
            Value::Uint(value) => self.mix(4, value),
            // Two zeros are one.
            Value::Float(value) => self.mix(5, (value + 0.0).to_bits()),
            Value::Id(value) => self.mix(6, value),
            Value::Str(text) => self.mix(7, self.bytes(text.as_bytes())),
            Value::List(list) => {
                let fold = |hash, value| self.mix(hash, self.value(value, depth + 1));
                self.mix(8, list.iter().fold(0, fold))
            }
            Value::Map(map) => self.map(map, None, depth),
        }
    }

    /// Members in whatever order: their hashes are added.
    fn map(self, map: Map<'_>, without: Option<Atom>, depth: usize) -> u64 {
        let (mut sum, mut members) = (0_u64, 0);
        for (key, value) in map {
            let key = match key {
                Key::Atom(atom) if Some(atom) == without => continue,
                Key::Atom(atom) => self.bytes(atom.as_str().as_bytes()),
                Key::Text(text) => self.bytes(text.as_bytes()),
                Key::Unknown(number) => self.mix(10, number.into()),
            };
            sum = sum.wrapping_add(self.mix(key, self.value(value, depth + 1)));
            members += 1;
        }
        self.mix(self.mix(9, members), sum)
    }

    fn bytes(self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        words.fold(bytes.len() as u64, |hash, word| self.mix(hash, word))
    }

    /// Two words into one: each half of a product of 128 bits depends on all bits of both.
    const fn mix(self, left: u64, right: u64) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let left = (left ^ self.0[0]).wrapping_add(ODD) as u128;
        let product = left.wrapping_mul((right ^ self.0[1]) as u128 | 1 << 64);
        let folded = (product as u64) ^ ((product >> 64) as u64);
        (folded ^ folded.rotate_right(29)).wrapping_mul(ODD)
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::{Document, Header, Seal, record};

    use super::*;

    const KEYS: Keys = Keys([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);

    fn print_with(keys: Keys, kind: Kind, json: &str) -> u64 {
        let data = Document::from_json(json).unwrap();
        let mut bytes = Vec::new();
        record::encode(
            &Header { kind, ..Header::default() },
            None,
            data.as_bytes(),
            None,
            &mut bytes,
        );
        keys.print(&Record::parse(&bytes).unwrap())
    }

    fn print(kind: Kind, json: &str) -> u64 {
        print_with(KEYS, kind, json)
    }

    #[test]
    fn order_of_members_and_nonce_make_no_difference() {
        let one =
            r#"{"id": "1", "author": {"id": "2", "username": "a"}, "content": "x", "nonce": "7"}"#;
        let two = r#"{"content": "x", "author": {"username": "a", "id": "2"}, "id": "1"}"#;
        assert_eq!(print(Kind::MESSAGE_CREATE, one), print(Kind::MESSAGE_CREATE, two));
    }

    #[test]
    fn everything_else_does() {
        let all = [
            r#"{}"#,
            r#"{"content": null}"#,
            r#"{"content": ""}"#,
            r#"{"content": "x"}"#,
            r#"{"content": "xxxxxxxx"}"#,
            r#"{"content": "xxxxxxxxx"}"#,
            r#"{"content": ["x"]}"#,
            r#"{"content": ["x", "y"]}"#,
            r#"{"content": ["y", "x"]}"#,
            r#"{"content": {}}"#,
            r#"{"content": {"x": 1, "y": 2}}"#,
            r#"{"content": {"x": 2, "y": 1}}"#,
            r#"{"content": {"nonce": 1}}"#,
            r#"{"content": {"nonce": 2}}"#,
            r#"{"content": 1}"#,
            r#"{"content": 1.5}"#,
            r#"{"content": true}"#,
            r#"{"content": false}"#,
            r#"{"id": "1"}"#,
            r#"{"user_id": "1"}"#,
            r#"{"of no table": "1"}"#,
            r#"{"of no table": 1}"#,
            r#"{"of no other": 1}"#,
        ];
        let mut prints: Vec<u64> =
            all.iter().map(|json| print(Kind::MESSAGE_CREATE, json)).collect();
        prints.extend(all.iter().map(|json| print(Kind::MESSAGE_UPDATE, json)));
        let mut different = prints.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), prints.len());
        assert_ne!(print_with(Keys([1, 2]), Kind::MESSAGE_CREATE, all[0]), prints[0]);
    }

    #[test]
    fn a_guild_that_comes_or_goes_is_itself_whatever_else_is_said() {
        let one = print(Kind::GUILD_CREATE, r#"{"id": "1", "name": "a", "members": []}"#);
        assert_eq!(one, print(Kind::GUILD_CREATE, r#"{"id": "1", "name": "b"}"#));
        assert_ne!(one, print(Kind::GUILD_CREATE, r#"{"id": "2", "name": "a"}"#));
        let left = print(Kind::GUILD_DELETE, r#"{"id": "1"}"#);
        assert_eq!(left, print(Kind::GUILD_DELETE, r#"{"id": "1", "unavailable": false}"#));
        assert_ne!(left, print(Kind::GUILD_DELETE, r#"{"id": "1", "unavailable": true}"#));
    }

    /// P8: bytes that nobody checked, under a seal that was forged.
    #[test]
    fn p8_what_nests_without_end_has_a_print() {
        let lists = |depth: u32| {
            // With four bytes for their length each.
            let heads = (0..depth).rev().map(|within| (within * 5 + 1).to_le_bytes());
            let heads = heads.flat_map(|within| [&[0x0F][..], &within].concat());
            let (header, mut bytes) = (Header::default(), Vec::new());
            let data: Vec<u8> = heads.chain([0]).collect();
            record::encode(&header, None, &data, None, &mut bytes);
            KEYS.print(&Record::parse_sealed(&bytes, Seal::of(&bytes)).unwrap())
        };
        assert_eq!(lists(100_000), lists(100_001));
        assert_ne!(lists(DEPTH_MAX as u32 - 1), lists(DEPTH_MAX as u32));
    }

    /// However little two events differ, their prints have nothing to do with each other.
    #[test]
    fn prints_spread() {
        let mut seen = std::collections::BTreeSet::new();
        let mut ones = [0_u32; 64];
        for n in 0..4096 {
            let print = print(Kind::TYPING_START, &format!(r#"{{"timestamp": {n}}}"#));
            assert!(seen.insert(print));
            (0..64).for_each(|bit| ones[bit] += u32::from(print >> bit & 1 == 1));
        }
        assert!(ones.iter().all(|ones| (1700..2400).contains(ones)), "{ones:?}");
    }
}
